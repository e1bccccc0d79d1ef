"""Line charts as SVG, computed here and drawn by a template: polylines, a band and a few ticks, in the page's own colours.

No plotting library: their SVG brings its own fonts and fixed colours, which neither follow the reader's colour scheme nor let a reader
point at a value, and a page of thirty charts would weigh megabytes.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

WIDTH, HEIGHT = 300, 170  # of a chart, in its own units
LEFT, RIGHT, TOP, BOTTOM = 44, 12, 10, 22  # the room around the lines
TICKS = 2.5  # at least, on an axis
FEW = 30  # points: so many are drawn as dots too
PLENTY = 100_000  # ticks from here on are counted in thousands

Number = int | float
Point = tuple[Number, Number]
FRAME = {"width": WIDTH, "height": HEIGHT, "left": LEFT, "right": WIDTH - RIGHT}  # for the template


@dataclass(frozen=True)
class Curve:
    """A subject's metric over the steps. subject: its place on the page. mean, low, high: of its repetitions."""

    subject: int
    steps: Sequence[Number]
    mean: Sequence[Number]
    low: Sequence[Number]
    high: Sequence[Number]
    repetitions: int = 1


@dataclass(frozen=True)
class Chart:
    """One metric of all subjects. steps: of the longest run. share: it lies between 0 and 1, and the axis shows all of that."""

    name: str
    curves: tuple[Curve, ...]
    steps: Number
    share: bool = False

    @cached_property
    def across(self) -> "Axis":
        return Axis.of((0, self.steps), LEFT, WIDTH - RIGHT)

    @cached_property
    def up(self) -> "Axis":
        bounds = (0.0, 1.0) if self.share else ()
        return Axis.of([*bounds, *(value for curve in self.curves for value in (*curve.low, *curve.high))], HEIGHT - BOTTOM, TOP)

    def last(self, subjects: int) -> list[str]:
        """Each subject's last value."""
        found = {curve.subject: f"{curve.mean[-1]:.4g}".replace("-", "−") for curve in self.curves}
        return [found.get(subject, "–") for subject in range(subjects)]

    def line(self, curve: Curve) -> str:
        """The mean as points of a polyline."""
        return _points(self._placed(curve.steps, curve.mean))

    def band(self, curve: Curve) -> str:
        """The repetitions' range as points of a polygon."""
        return _points([*self._placed(curve.steps, curve.high), *reversed(self._placed(curve.steps, curve.low))])

    def dots(self, curve: Curve) -> list[Point]:
        """Where there are few points, each of them."""
        return self._placed(curve.steps, curve.mean) if len(curve.steps) <= FEW else []

    def _placed(self, steps: Sequence[Number], values: Sequence[Number]) -> list[Point]:
        return [(self.across.place(step), self.up.place(value)) for step, value in zip(steps, values, strict=True)]

    def numbers(self) -> dict[str, Any]:
        """What the page's own program shows on pointing at the chart."""
        return {
            "name": self.name,
            "curves": [
                {
                    "subject": curve.subject,
                    "repetitions": curve.repetitions,
                    "at": self._placed(curve.steps, curve.mean),
                    **{name: [float(f"{value:.6g}") for value in getattr(curve, name)] for name in ("steps", "mean", "low", "high")},
                }
                for curve in self.curves
            ],
        }


@dataclass(frozen=True)
class Axis:
    """From values to places: `low` stands at `start`, `high` at `end`."""

    low: Number
    high: Number
    start: Number
    end: Number

    @classmethod
    def of(cls, values: Iterable[Number], start: Number, end: Number) -> "Axis":
        """One that holds all values; around a single one there is some room."""
        held = list(values)
        low, high = min(held), max(held)
        if high - low <= 1e-9 * max(abs(low), abs(high)):
            room = abs(low) / 10 or 1.0
            low, high = low - room, high + room
        return cls(low, high, start, end)

    def place(self, value: Number) -> float:
        """To a tenth of a unit."""
        return round(self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start), 1)

    @cached_property
    def ticks(self) -> list[tuple[Number, str]]:
        """(place, text) of round values."""
        step = _round_step((self.high - self.low) / TICKS)
        first, last = math.ceil(self.low / step - 1e-6), math.floor(self.high / step + 1e-6)
        return [(self.place(number * step), _text(number * step, step)) for number in range(first, last + 1)]


def _round_step(step: Number) -> float:
    """The next lower of 1, 2, 5, 10, … times a power of ten."""
    power = 10.0 ** math.floor(math.log10(step))
    return power * max(factor for factor in (1, 2, 5) if factor * power <= step * (1 + 1e-9))


def _text(value: Number, step: Number) -> str:
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    if abs(value) >= PLENTY:
        return f"{value / 1000:.0f}k".replace("-", "−")
    if decimals > 4:
        return f"{value:.0e}".replace("e-0", "e-").replace("-", "−") if value else "0"
    written = f"{value:.{decimals}f}"
    return written.replace("-", "−")


def _points(points: Iterable[Point]) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in points)
