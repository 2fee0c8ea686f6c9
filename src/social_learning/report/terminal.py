"""The terminal's table: one row per arm, as wide as the terminal."""

from pathlib import Path

from rich.console import Console
from rich.text import Text

from social_learning.report import numbers
from social_learning.report.fit import NAME, Column, Fitted
from social_learning.report.terminal_evidence import show_closeness
from social_learning.report.visible import visible
from social_learning.report.words import PERMUTATION, STAND_IN, TEST
from social_learning.results import Result


def show_result(result: Result, console: Console) -> None:
    """Print a run's table: accuracy, difference with its interval, p, answers that could not be read, and where the report lies.

    No figure is cut, whatever the width; long names of arms go over several lines.
    """
    figures = [Column(heading, cells) for heading, cells in _columns(result).items()]
    table = Fitted([Column("arm", [arm.name for arm in result.arms], NAME), *figures])
    console.print(Text(visible(f"{result.experiment}: {result.task}"), style="bold"))
    console.print()
    console.print(table)
    console.print()
    for sentence in filter(None, map(numbers.unread, result.arms)):
        console.print(Text(visible(sentence)))
    console.print(Text(_caption(result), style="dim"))
    show_closeness(Path(result.run), result.task, console)
    console.print(Text(f"Report: {Path(result.run) / 'report.html'}"), soft_wrap=True)


def _columns(result: Result) -> dict[str, list[str]]:
    """The columns of figures by heading, aligned at the decimal point; those without any figure are left out."""
    columns: dict[str, list[str]] = {
        "shots": [str(arm.shots or "") for arm in result.arms],
        "accuracy": aligned([numbers.accuracy(arm) for arm in result.arms], " ("),
        "points": aligned([numbers.margin(arm.paired) for arm in result.arms], " \N{PLUS-MINUS SIGN}"),
        "p": aligned([numbers.p_value(arm.p_holm, arm.significant) for arm in result.arms], "*"),
        "permut.": [numbers.p_value(arm.permutation_p) for arm in result.arms],
        "rows": [numbers.rows(arm) for arm in result.arms],
    }
    return {heading: cells for heading, cells in columns.items() if any(cells)}


def aligned(cells: list[str], tail: str) -> list[str]:
    """Pad texts on the right, so that what stands before `tail` lines up."""
    longest = max((len(cell) - cell.index(tail) for cell in cells if tail in cell), default=0)
    return [cell + " " * (longest - (len(cell) - cell.index(tail) if tail in cell else 0)) for cell in cells]


def _caption(result: Result) -> str:
    repeated = " (standard error over repeats)" if any(arm.stderr is not None for arm in result.arms) else ""
    rows = f"Rows: test rows {numbers.TIMES} repeats."
    if result.stand_in:
        return f"Accuracy in %{repeated}. {rows}\n{STAND_IN}"
    tested = sum(arm.p_holm is not None for arm in result.arms)
    points = f"points above or below {visible(result.compared_with)} \N{PLUS-MINUS SIGN} their 95 % margin"
    text = f"Accuracy in %{repeated}; {points}. {rows}"
    if tested:
        text += (
            f"\n* p < 0.05. {TEST} Corrected for {numbers.count(tested, 'comparison')} (Holm). Permut.: {PERMUTATION}"
        )
    return text
