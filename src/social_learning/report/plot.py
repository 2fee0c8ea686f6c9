"""The dot plot as numbers: where each mark stands. The template draws it.

Places along the axis are percentages of the plot's width, so that it grows and shrinks with the page while its letters
and dots keep their size. Places down the page are pixels.
"""

from dataclasses import dataclass

from social_learning.report import numbers
from social_learning.results import ArmResult, Result

ROW = 44
"""Height of a row, in pixels: a line of text, and the dots below it."""

LABEL = 36
"""The longest label, in characters: more would run into the figures on a telephone."""

TICKS = (0, 25, 50, 75, 100)


@dataclass(frozen=True, slots=True)
class PlotRow:
    """One arm at one number of shots: its mean, minus and plus one standard error, and what it is compared with."""

    label: str
    value: str
    top: int
    mean: float
    bar: tuple[float, float] | None
    repeats: tuple[float, ...]
    reference: float
    compared: bool


@dataclass(frozen=True, slots=True)
class Plot:
    """The rows from top to bottom, and the height of all of them."""

    rows: tuple[PlotRow, ...]
    height: int
    row_height: int = ROW
    ticks: tuple[int, ...] = TICKS

    @property
    def repeated(self) -> bool:
        """Whether any row has repeats to show."""
        return any(row.repeats for row in self.rows)

    @property
    def description(self) -> str:
        """The same in words, for those who do not see it."""
        return "; ".join(f"{row.label}: {row.value}" for row in self.rows)


def plot_of(result: Result) -> Plot:
    """Lay out a result's arms."""
    rows = tuple(_row(result, arm, number * ROW) for number, arm in enumerate(result.arms))
    return Plot(rows, len(rows) * ROW)


def _row(result: Result, arm: ArmResult, top: int) -> PlotRow:
    mean, base = 100 * arm.accuracy, numbers.against(result, arm)
    bar = None
    if arm.stderr is not None:
        bar = (max(0.0, mean - 100 * arm.stderr), min(100.0, mean + 100 * arm.stderr))
    return PlotRow(
        label=_short(numbers.label(arm.name, arm.shots)),
        value=f"{numbers.accuracy(arm)} %{' *' if arm.significant else ''}",
        top=top,
        mean=mean,
        bar=bar,
        repeats=tuple(100 * share for share in arm.accuracies) if arm.repeats > 1 else (),
        reference=100 * (base or arm).accuracy,
        compared=arm.name == result.compared_with,
    )


def _short(label: str) -> str:
    return label if len(label) <= LABEL else label[: LABEL - 1] + "…"
