"""The terminal's tables: ours beside the paper's, and what a dry run foresees."""

from collections.abc import Callable, Sequence

from rich.console import Console
from rich.text import Text

from social_learning.report.fit import NAME, Column, Fitted
from social_learning.report.terminal import aligned
from social_learning.report.visible import visible
from social_learning.reproduce import words
from social_learning.reproduce.compare import Row, View
from social_learning.reproduce.estimate import Forecast
from social_learning.reproduce.runner import Outcome

Cells = tuple[str, Callable[[Row], str], Callable[[Row], bool]]
"""A heading, the text of a row, and whether it is bold."""


def show_outcome(outcome: Outcome, console: Console) -> None:
    """Print the tables that were asked for, what to know about them, and where the files lie."""
    for view in outcome.views:
        console.print(Text(words.title(view), style="bold"))
        console.print()
        for task, rows in view.tasks.items():
            console.print(Text(visible(task)))
            console.print(_table(view, rows))
            console.print()
        console.print(Text(visible(words.caption(view)), style="dim"))
        console.print()
        for remark in words.remarks(view):
            console.print(Text(visible(remark)))
    for remark in outcome.remarks:
        console.print(Text(visible(remark)))
    console.print(Text(f"Page: {outcome.root / 'reproduce.html'}"), soft_wrap=True)


def _table(view: View, rows: Sequence[Row]) -> Fitted:
    measure = view.table.measure
    columns: list[Cells] = [
        ("ours", lambda row: words.ours(measure, row), lambda row: row.best),
        ("points", lambda row: words.margin(row.ours), lambda _: False),
        ("p", lambda row: words.p_value(row.ours), lambda _: False),
        ("permut.", lambda row: words.permutation(row.ours), lambda _: False),
        ("paper", lambda row: words.paper(measure, row.paper), lambda row: row.paper_best),
    ]
    columns.append((words.BASES[measure], lambda row: words.tested_on(measure, row.ours), lambda _: False))
    groups = [words.group(measure, row) for row in rows]
    before = [None, *(row.group for row in rows)]
    told_once = ["" if row.group == earlier else told for row, earlier, told in zip(rows, before, groups, strict=False)]
    shown = [
        Column(words.heading(measure), told_once, apart=groups),
        Column("line", [row.line.label for row in rows], NAME),
    ]
    for heading, text, bold in columns:
        if any(map(text, rows)):
            cells = aligned([text(row) for row in rows], " (")
            shown.append(Column(heading, cells, bold={number for number, row in enumerate(rows) if bold(row)}))
    return Fitted(shown, title=1)


def show_forecast(forecast: Forecast, console: Console) -> None:
    """Print what a command would take: by task and arm, in all, and how the time was reckoned."""
    names = ("calls", "reads", "different", "writes", "time", *(["price"] if forecast.remarks else []))
    rows = [row.figures for row in forecast.rows] + [forecast.total.figures]
    labels = [row.label for row in forecast.rows] + ["all"]
    columns = [Column(name, [row[number] for row in rows]) for number, name in enumerate(names)]
    console.print(Text("What is left to do (estimate)", style="bold"))
    console.print()
    console.print(Fitted([Column("part", labels, NAME), *columns], total=True))
    console.print()
    for text in (forecast.about, *forecast.remarks):
        console.print(Text(visible(text), style="dim"))
