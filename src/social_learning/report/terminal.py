"""The terminal's table: one row per arm, made for 80 columns."""

from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from social_learning.report import numbers
from social_learning.report.terminal_evidence import show_closeness
from social_learning.report.visible import visible
from social_learning.results import ArmResult, Result


def show_result(result: Result, console: Console) -> None:
    """Print a run's table: accuracy, difference, p, answers that could not be read, and where the report lies.

    From 80 columns on no figure is cut; long names of arms go over several lines.
    """
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    table.add_column("arm", overflow="fold", min_width=8)
    columns = _columns(result)
    for heading, cells in columns.items():
        width = max(map(len, (heading, *cells)))
        table.add_column(Text(heading.rjust(width)), no_wrap=True, min_width=width)
    for row, arm in enumerate(result.arms):
        figures = [Text(cells[row].rjust(max(map(len, (heading, *cells))))) for heading, cells in columns.items()]
        table.add_row(Text(visible(arm.name)), *figures)
    console.print(Text(visible(f"{result.experiment}: {result.task}"), style="bold"))
    console.print()
    console.print(table)
    console.print()
    console.print(Text(_caption(result), style="dim"))
    show_closeness(Path(result.run), result.task, console)
    console.print(Text(f"Report: {Path(result.run) / 'report.html'}"), soft_wrap=True)


def _columns(result: Result) -> dict[str, list[str]]:
    """The columns of figures by heading, aligned at the decimal point; `unparsed` only where there are any."""
    columns: dict[str, list[str]] = {
        "shots": [str(arm.shots or "") for arm in result.arms],
        "accuracy": aligned([numbers.accuracy(arm) for arm in result.arms], " ("),
        "points": [_points(result, arm) for arm in result.arms],
        "p": aligned([numbers.p_value(arm) for arm in result.arms], "*"),
    }
    if any(arm.unparsed for arm in result.arms):
        columns["unparsed"] = [f"{arm.unparsed:,}" for arm in result.arms]
    columns[f"rows {numbers.TIMES} repeats"] = [numbers.rows(arm) for arm in result.arms]
    return columns


def aligned(cells: list[str], tail: str) -> list[str]:
    """Pad texts on the right, so that what stands before `tail` lines up."""
    longest = max((len(cell) - cell.index(tail) for cell in cells if tail in cell), default=0)
    return [cell + " " * (longest - (len(cell) - cell.index(tail) if tail in cell else 0)) for cell in cells]


def _points(result: Result, arm: ArmResult) -> str:
    base = numbers.against(result, arm)
    return numbers.signed(numbers.points(arm, base)) if base else ""


def _caption(result: Result) -> str:
    repeated = " (standard error over repeats)" if any(arm.stderr is not None for arm in result.arms) else ""
    return (
        f"Accuracy in %{repeated}, points above or below {visible(result.compared_with)}.\n"
        "* p < 0.05, permutation test over all graded answers."
    )
