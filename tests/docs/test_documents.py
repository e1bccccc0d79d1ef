"""What README and docs tell a reader to type is there, and their links lead somewhere."""

import ast
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import typer

import jax_mdpo
from jax_mdpo.cli.main import app
from jax_mdpo.core.config import validate
from jax_mdpo.recipe.configuration import read_settings
from jax_mdpo.recipe.settings import RunSettings
from jax_mdpo.studies.settings import read_study

REPOSITORY = Path(__file__).parents[2]
DOCUMENTS = [*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md")]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")  # not those with a scheme


def blocks(language: str) -> list:
    found = [(path, text) for path in DOCUMENTS for kind, text in BLOCK.findall(path.read_text()) if kind == language]
    return [pytest.param(text, id=f"{path.name}-{number}") for number, (path, text) in enumerate(found)]


def commands(first: str) -> list:
    lines = [line for block in blocks("bash") for line in block.values[0].replace("\\\n", " ").splitlines()]
    words = [shlex.split(line, comments=True) for line in lines]
    return [pytest.param(parts, id=" ".join(parts)[:60]) for parts in words if parts and parts[0] == first]


@pytest.mark.parametrize("words", commands("jax-mdpo"))
def test_the_program_takes_these_arguments(words):
    group = typer.main.get_command(app)
    verb = group.commands[words[1]]
    context = verb.make_context(words[1], words[2:])  # raises where an option or argument is unknown or missing
    config = context.params.get("config")
    if config is not None:
        read = read_study if words[1] == "study" else read_settings
        assert read(REPOSITORY / config, context.params["overrides"] or ()).out


@pytest.mark.parametrize("words", commands("bash"))
def test_scripts_are_there(words):
    assert (REPOSITORY / words[1]).is_file()
    if "--dry-run" in words:
        subprocess.run(words, cwd=REPOSITORY, check=True, capture_output=True)


@pytest.mark.parametrize("source", blocks("python"))
def test_python_examples_use_what_exists(source):
    tree = ast.parse(source)
    used = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    names = {node.attr for node in used if isinstance(node.value, ast.Name) and node.value.id == "jax_mdpo"}
    assert names
    for name in names:
        assert callable(getattr(jax_mdpo, name))


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path):
    targets = LINK.findall(path.read_text())
    assert [target for target in targets if not (path.parent / target).exists()] == []


def test_the_documents_hold_commands_and_examples():
    assert len(commands("jax-mdpo")) > 5
    assert len(blocks("python")) > 0


def test_every_key_of_the_configuration_page_exists():
    """Each is set to a value of a type that nothing accepts: a known key then has a wrong type, an unknown one is called unknown."""
    first_column = [line.split("|")[1] for line in (REPOSITORY / "docs" / "config.md").read_text().splitlines() if line.startswith("| `")]
    keys = [key.removesuffix(".*") for cell in first_column for key in re.findall(r"`([\w.*]+)`", cell)]
    assert len(keys) > 15
    unknown = [key for key in keys if "unknown key" in fault_of(key)]
    assert unknown == []


def fault_of(key: str) -> str:
    value: object = object()
    for part in reversed(key.split(".")):
        value = {part: value}
    try:
        validate(RunSettings, value, where="docs")
    except Exception as error:
        return str(error)
    raise AssertionError(f"{key} takes any value")
