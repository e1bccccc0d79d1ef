"""What keeps answers from being scored."""

from collections import defaultdict
from dataclasses import dataclass, field

from jax_mdpo.core.errors import UserError

SHOWN = 5  # names in a message; all of them stand in the metrics


class AnswersError(UserError):
    """Answers do not fit the questions, so that their figures would be wrong."""


@dataclass
class Faults:
    """What keeps answers from being scored: the kind of fault → the name of each case."""

    found: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def add(self, kind: str, name: str) -> None:
        self.found[kind].append(name)

    def __bool__(self) -> bool:
        return bool(self.found)

    def lines(self) -> list[str]:
        """A line for each kind, with its count and the first names."""
        return [
            f"{len(names)} × {kind}: {'; '.join(names[:SHOWN])}" + ("; …" if len(names) > SHOWN else "")
            for kind, names in self.found.items()
        ]
