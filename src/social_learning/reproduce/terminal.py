"""The terminal's tables, made for 80 columns: ours beside the paper's, and what a dry run foresees."""

from collections.abc import Callable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from social_learning.report.terminal import aligned
from social_learning.report.visible import visible
from social_learning.reproduce import words
from social_learning.reproduce.compare import Row, View
from social_learning.reproduce.estimate import Forecast
from social_learning.reproduce.runner import Outcome

Column = tuple[str, Callable[[Row], str], Callable[[Row], bool]]
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


def _table(view: View, rows: Sequence[Row]) -> RichTable:
    measure = view.table.measure
    columns: list[Column] = [
        ("ours", lambda row: words.ours(measure, row), lambda row: row.best),
        ("points", lambda row: words.margin(row.ours), lambda _: False),
        ("p", lambda row: words.p_value(row.ours), lambda _: False),
        ("permut.", lambda row: words.permutation(row.ours), lambda _: False),
        ("paper", lambda row: words.paper(measure, row.paper), lambda row: row.paper_best),
    ]
    columns.append((words.BASES[measure], lambda row: words.tested_on(measure, row.ours), lambda _: False))
    columns = [column for column in columns if any(column[1](row) for row in rows)]
    table = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    table.add_column(words.heading(measure), no_wrap=True)
    table.add_column("line", overflow="fold", min_width=8)
    filled = []
    for name, text, bold in columns:
        cells = aligned([text(row) for row in rows], " (")
        width = max(map(len, (name, *cells)))
        table.add_column(Text(name.rjust(width)), no_wrap=True, min_width=width)
        styles = ["bold" if bold(row) else "" for row in rows]
        filled.append([Text(cell.rjust(width), style=style) for cell, style in zip(cells, styles, strict=True)])
    before = ""
    for number, row in enumerate(rows):
        told, before = words.group(measure, row) if row.group != before else "", row.group
        table.add_row(Text(told.rjust(5)), Text(visible(row.line.label)), *(cells[number] for cells in filled))
    return table


def show_forecast(forecast: Forecast, console: Console) -> None:
    """Print what a command would take: by task and arm, in all, and how the time was reckoned."""
    table = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    table.add_column("part", overflow="fold", min_width=8)
    names = ("calls", "reads", "different", "writes", "time", *(["price"] if forecast.remarks else []))
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    for row in forecast.rows:
        table.add_row(Text(visible(row.label)), *row.figures[: len(names)])
    table.add_section()
    table.add_row("all", *forecast.total.figures[: len(names)])
    console.print(Text("What is left to do (estimate)", style="bold"))
    console.print()
    console.print(table)
    console.print()
    for text in (forecast.about, *forecast.remarks):
        console.print(Text(visible(text), style="dim"))
