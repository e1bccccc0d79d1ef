"""Prompts for a judge: ours, or a file that the user names, such as the official tool's own."""

import ast
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from jax_mdpo.core.errors import UserError

OURS = "ours"


@dataclass(frozen=True)
class Prompt:
    """text: holds a place for each of `fields`: {name}, or {} for the next of them. name: what it is, as it stands beside the figures."""

    text: str
    fields: tuple[str, ...]
    name: str

    def filled(self, values: Mapping[str, str]) -> str:
        """The text with the values in their places; braces within a value mean nothing."""
        following = iter(self.fields)
        return _places(self.fields).sub(lambda place: values[place[1] or next(following)], self.text)


def prompt(path: Path | None, *, ours: str, fields: Sequence[str]) -> Prompt:
    """The prompt in the file `path`, or else the one of ours. Raises UserError where it does not have a place for each of `fields`.

    Of a Python file, such as an official tool, the text with the places in it is taken; nothing of it is run.
    """
    if path is None:
        text = (files("jax_mdpo.evaluation.benchmarks") / "prompts" / f"{ours}.txt").read_text(encoding="utf-8")
        return Prompt(text, tuple(fields), OURS)
    try:
        content = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"the judge's prompt cannot be read: {error}", fix="check prompt") from None
    candidates = _texts(content, path) if path.suffix == ".py" else [content]
    fitting = [text for text in candidates if _fits(text, fields)]
    if len(fitting) != 1:
        named = " ".join(f"{{{name}}}" for name in fields)
        raise UserError(
            f"{path} {'holds several prompts' if fitting else 'is no prompt for this judge'}",
            expected=f"one text with the places {named}, or as many {{}} in this order",
        )
    digest = hashlib.sha256(fitting[0].encode()).hexdigest()[:12]
    return Prompt(fitting[0], tuple(fields), f"{path.name}, sha256 {digest}")


def _places(fields: Sequence[str]) -> re.Pattern[str]:
    return re.compile(r"\{(" + "|".join(map(re.escape, fields)) + r")?\}")


def _fits(text: str, fields: Sequence[str]) -> bool:
    found = _places(fields).findall(text)
    return found == [""] * len(fields) or set(found) == set(fields)


def _texts(source: str, path: Path) -> list[str]:
    try:
        nodes = ast.walk(ast.parse(source))
    except (SyntaxError, ValueError) as error:
        raise UserError(f"the judge's prompt {path} is no Python file: {error}", fix="put the prompt alone into a text file") from None
    return [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
