"""LABEL=PATH, or a path whose name is its label."""

from collections.abc import Sequence
from pathlib import Path


def labelled(sources: Sequence[str | Path]) -> dict[str, list[Path]]:
    """Label → paths, in the order of the labels' first sources. Only a label that is given twice makes repetitions."""
    split = [_split(source) for source in sources]
    bare = [path for label, path in split if label is None]
    given = {label for label, _ in split if label is not None}
    names = dict(zip(bare, _names(bare, given), strict=True))
    groups: dict[str, list[Path]] = {}
    for label, path in split:
        groups.setdefault(names[path] if label is None else label, []).append(path)
    return groups


def _split(source: str | Path) -> tuple[str | None, Path]:
    """A path that is there is a path, whatever signs are in its name."""
    label, equals, rest = str(source).partition("=")
    if isinstance(source, Path) or not equals or not label or Path(source).exists():
        return None, Path(source)
    return label, Path(rest)


def _names(paths: Sequence[Path], taken: set[str]) -> list[str]:
    """The last parts of each path, as few as tell all of them apart."""
    parts = [path.absolute().parts[1:] for path in paths]
    for count in range(1, max(map(len, parts), default=0) + 1):
        names = ["/".join(of[-count:]) for of in parts]
        if len({*names, *taken}) == len(set(paths)) + len(taken):
            return names
    return [str(path) for path in paths]
