"""What a user sees of long work: a bar in a terminal, a line now and then elsewhere."""

import time
from collections.abc import Mapping
from types import MappingProxyType, TracebackType

from rich import progress as rich_progress
from rich.console import Console

SHOWN = {
    "loss": "loss",
    "margin": "rewards/margin",
    "accuracy": "rewards/accuracy",
    "chosen": "rewards/chosen",  # below 0, what is preferred becomes less likely than it was
    "pairs/s": "pairs_per_second",
}
STANDARD_ERROR = Console(stderr=True)  # one for all bars: those of one console can stand below each other


class Progress:
    """Steps done of `total`, with their most telling metrics and the time left, on standard error; silent where `shown` is False.

    total: None until `expect` says it. every: where the output is no terminal, a line each time this many steps are done, after the first
    and after the last. passing: a part of something longer, whose bar may stand above; this one goes away when it is done, and where the
    output is no terminal nothing is said of it. label, unit: what is going on, and what is counted.
    """

    def __init__(
        self,
        total: int | None,
        *,
        start: int = 0,
        every: int = 10,
        shown: bool = True,
        passing: bool = False,
        label: str = "training",
        unit: str = "step",
        console: Console | None = None,
    ):
        self._total, self._start, self._every, self._said = total, start, every, shown and not passing
        self._console = console or STANDARD_ERROR
        self._label, self._unit = label, unit
        self._began = time.monotonic()
        self._bar = _bar(self._console, transient=passing) if shown and self._console.is_terminal else None
        self._task = self._bar.add_task(label, total=total, completed=start, figures="") if self._bar else None

    def __enter__(self) -> "Progress":
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar:
            self._bar.stop()

    def expect(self, total: int) -> None:
        """Says how many steps there will be."""
        self._total = total
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, total=total)

    def update(self, step: int, values: Mapping[str, float] = MappingProxyType({})) -> None:
        """Shows that `step` is done; `values` are its metrics, of which those that exist are shown."""
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=step, figures=_figures(values))
        elif self._said and self._total is not None and (step % self._every == 0 or step in (self._start + 1, self._total)):
            left = (time.monotonic() - self._began) / (step - self._start) * (self._total - step)
            self.note(f"{self._label}: {self._unit} {step}/{self._total}  {_figures(values)}  {_clock(left)} left")

    def note(self, text: str) -> None:
        """A line of its own, above the bar where there is one; nothing of what is passing."""
        if self._said:
            self._console.print(text, markup=False, highlight=False, soft_wrap=True)


def _bar(console: Console, *, transient: bool) -> rich_progress.Progress:
    return rich_progress.Progress(
        rich_progress.TextColumn("{task.description}"),
        rich_progress.BarColumn(),
        rich_progress.MofNCompleteColumn(),
        rich_progress.TextColumn("{task.fields[figures]}"),
        rich_progress.TimeRemainingColumn(),
        console=console,
        transient=transient,
    )


def _figures(values: Mapping[str, float]) -> str:
    return "  ".join(f"{label} {values[name]:.4g}" for label, name in SHOWN.items() if name in values)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
