"""What the program must not do, read from its source: unpickle, run code of a checkpoint, load YAML that makes objects, need torch."""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import jax_mdpo

SOURCES = sorted(Path(jax_mdpo.__file__).parent.rglob("*.py"))
FORBIDDEN_MODULES = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal", "torch", "torchvision", "peft"}
FORBIDDEN_CALLS = {"eval", "exec", "compile"}
ALLOWED_OF_YAML = {"safe_load", "safe_dump", "YAMLError"}


def imports(node: ast.AST) -> Iterator[str]:
    names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
    names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
    yield from (f"imports {name}" for name in names if name.partition(".")[0] in FORBIDDEN_MODULES)


def calls(node: ast.AST) -> Iterator[str]:
    if not isinstance(node, ast.Call):
        return
    if isinstance(node.func, ast.Name) and node.func.id in FORBIDDEN_CALLS:
        yield f"calls {node.func.id}"
    given = {keyword.arg: keyword.value for keyword in node.keywords}
    for name in ("trust_remote_code", "allow_pickle"):
        if name in given and not (isinstance(given[name], ast.Constant) and given[name].value is False):
            yield f"passes {name} other than False"
    if isinstance(node.func, ast.Attribute) and node.func.attr == "from_pretrained" and "trust_remote_code" not in given:
        yield "leaves trust_remote_code to a default"


def yaml_names(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "yaml" and node.attr not in ALLOWED_OF_YAML:
        yield f"uses yaml.{node.attr}"
    if isinstance(node, ast.ImportFrom) and node.module == "yaml":
        yield "imports names from yaml, which this test does not follow"


CHECKS: list[Callable[[ast.AST], Iterator[str]]] = [imports, calls, yaml_names]


def faults(source: str) -> list[str]:
    return [fault for node in ast.walk(ast.parse(source)) for check in CHECKS for fault in check(node)]


def test_the_source_is_free_of_them():
    assert len(SOURCES) > 100
    found = {str(path): faults(path.read_text(encoding="utf-8")) for path in SOURCES}
    assert {path: those for path, those in found.items() if those} == {}


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from cloudpickle import dumps",
        "import torch.nn",
        "eval('1')",
        "np.load(path, allow_pickle=True)",
        "np.load(path, allow_pickle=trusted)",
        "AutoConfig.from_pretrained(folder)",
        "AutoConfig.from_pretrained(folder, trust_remote_code=True)",
        "yaml.load(text)",
        "from yaml import load",
    ],
)
def test_each_would_be_found(source):
    assert len(faults(source)) == 1
