"""Charts of accuracy over the number of shots as numbers: where each mark stands. A template draws them.

As in the dot plot, places along the axis are percentages of the chart's width, and places down the page are pixels.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

HEIGHT = 220
"""The height of a chart's field, in pixels."""

STEP = 10
"""The axis begins and ends at a multiple of this, in points."""


@dataclass(frozen=True, slots=True)
class Series:
    """What one curve shows: (shots, accuracy in percent, standard error or None) by shots; `hue` 0 to 4 is its colour.

    `dashed`: not ours. Raises nothing; a series without values draws nothing.
    """

    label: str
    hue: int
    dashed: bool
    values: Sequence[tuple[int, float, float | None]]


@dataclass(frozen=True, slots=True)
class Mark:
    """A value: its place, the ends of its error bar in pixels, and what it says in words."""

    x: float
    y: float
    bar: tuple[float, float] | None
    told: str


@dataclass(frozen=True, slots=True)
class Curve:
    """Marks, and the lines between neighbours as (x1, y1, x2, y2)."""

    label: str
    hue: int
    dashed: bool
    marks: tuple[Mark, ...]
    lines: tuple[tuple[float, float, float, float], ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """Curves over an axis of shots; ticks are (percent, text) along and (pixels, text) down."""

    title: str
    curves: tuple[Curve, ...]
    across: tuple[tuple[float, str], ...]
    down: tuple[tuple[float, str], ...]
    height: int = HEIGHT

    @property
    def description(self) -> str:
        """The same in words, for those who do not see it."""
        return "; ".join(f"{curve.label}: {', '.join(mark.told for mark in curve.marks)}" for curve in self.curves)


def chart_of(title: str, series: Sequence[Series]) -> Chart | None:
    """Lay out series; None where there are fewer than two numbers of shots to draw over."""
    series = [one for one in series if one.values]
    shots = sorted({number for one in series for number, _, _ in one.values})
    if len(shots) < 2:
        return None
    ends = [value + sign * (error or 0) for one in series for _, value, error in one.values for sign in (-1, 1)]
    low = max(0, STEP * math.floor(min(ends) / STEP))
    high = min(100, max(low + STEP, STEP * math.ceil(max(ends) / STEP)))
    places = {number: 100 * place / (len(shots) - 1) for place, number in enumerate(shots)}

    def down(value: float) -> float:
        return round(HEIGHT * (high - min(max(value, low), high)) / (high - low), 2)

    def mark(number: int, value: float, error: float | None) -> Mark:
        bar = None if error is None else (down(value + error), down(value - error))
        told = f"{value:.1f} at {number}" + ("" if error is None else f" (± {error:.1f})")
        return Mark(round(places[number], 3), down(value), bar, told)

    def curve(one: Series) -> Curve:
        marks = tuple(mark(*value) for value in sorted(one.values, key=lambda value: value[0]))
        lines = tuple((a.x, a.y, b.x, b.y) for a, b in itertools.pairwise(marks))
        return Curve(one.label, one.hue, one.dashed, marks, lines)

    step = STEP if high - low <= 5 * STEP else 2 * STEP
    ticks = tuple((down(value), str(value)) for value in range(low, high + 1, step))
    return Chart(title, tuple(map(curve, series)), tuple((places[n], str(n)) for n in shots), ticks)
