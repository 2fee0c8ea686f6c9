"""Tables of the terminal, laid out for its width: no figure is ever cut.

A table has one line per row where its columns fit, with headings over several lines where only that makes them fit. In a
narrower window each row is a block of its own: its name, and below it a line for each figure.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from textwrap import wrap

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from social_learning.report.visible import visible

GAP = 2
"""Blanks between two columns, and before the lines of a block."""
NAME = 12
"""What a column of names asks for: longer names go over several lines."""
TEXT = 24
"""What a column of text asks for, and a value of a block before it gets lines of its own below its heading."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table. `least` is 0 for figures, which stand on the right and are never broken; for text it is how
    wide the column must be for the table to keep its form, if the text is that long: text goes over several lines.

    `bold` holds numbers of rows. `apart` are the cells as they read in blocks, where what stands above is no help.
    """

    heading: str
    cells: Sequence[str]
    least: int = 0
    bold: Collection[int] = ()
    apart: Sequence[str] | None = None

    @property
    def widest(self) -> int:
        """The width of the widest line of a cell."""
        return max((cell_len(line) for cell in self.cells for line in visible(cell).splitlines()), default=0)

    def headed(self, folded: bool) -> list[str]:
        """Return the heading's lines: one, or where `folded` as many as the cells' width asks for."""
        width = max(
            self.widest if not self.least else min(self.widest, self.least), *map(cell_len, self.heading.split())
        )
        return (wrap(self.heading, width, break_long_words=False) or [""]) if folded else [self.heading]

    def width(self, folded: bool) -> int:
        """Return how wide the column must be, at least."""
        cells = min(self.widest, self.least) if self.least else self.widest
        return max(cells, *map(cell_len, self.headed(folded)))


@dataclass(frozen=True, slots=True)
class Fitted:
    """A table that fits the terminal it is printed on. All columns have the same number of cells.

    `title` is the number of the column that names a row; `total` sets the last row apart. Hidden characters are shown.
    """

    columns: Sequence[Column]
    title: int = 0
    total: bool = False

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the first form that fits."""
        for folded in (False, True):
            if widths := self._widths(options.max_width, folded):
                yield self._table(widths, folded)
                return
        yield self._blocks()

    def _widths(self, room: int, folded: bool) -> list[int]:
        """Share out a width: to each column what it must have, and to text more as long as there is; empty where it is too
        little.
        """
        widths = [column.width(folded) for column in self.columns]
        spare = room - sum(widths) - GAP * (len(widths) - 1)
        if spare < 0:
            return []
        texts = [number for number, column in enumerate(self.columns) if column.least]
        for place, number in enumerate(sorted(texts, key=lambda number: self.columns[number].widest)):
            more = min(max(0, self.columns[number].widest - widths[number]), spare // (len(texts) - place))
            widths[number] += more
            spare -= more
        return widths

    def _table(self, widths: Sequence[int], folded: bool) -> Table:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, GAP - 1, 0, 0), show_edge=False)
        headings = [column.headed(folded) for column in self.columns]
        height = max(map(len, headings))
        drawn = []
        for column, heading, width in zip(self.columns, headings, widths, strict=True):
            lines = "\n".join([""] * (height - len(heading)) + heading)  # headings stand on the rule below them
            place = (lambda text: text) if column.least else (lambda text, width=width: _right(text, width))
            table.add_column(Text(place(lines)), overflow="fold", width=width)
            cells = [place(visible(cell)) for cell in column.cells]
            drawn.append([Text(cell, "bold" if row in column.bold else "") for row, cell in enumerate(cells)])
        for number, row in enumerate(zip(*drawn, strict=True)):
            if self.total and number == len(drawn[0]) - 1:
                table.add_section()
            table.add_row(*row)
        return table

    def _blocks(self) -> RenderableType:
        title = self.columns[self.title]
        blocks: list[RenderableType] = []
        for row in range(len(title.cells)):
            facts = [
                (column.heading, Text(visible(told).strip(), "bold" if row in column.bold else ""))
                for number, column in enumerate(self.columns)
                if number != self.title and (told := (column.apart or column.cells)[row]).strip()
            ]
            blocks += [*([Text()] if blocks else []), Block((title.apart or title.cells)[row].strip(), facts)]
        return Group(*blocks)


@dataclass(frozen=True, slots=True)
class Block:
    """A name, and below it headings with their values: side by side, or each value below its heading where it would be
    broken. Values must be visible already.
    """

    name: str
    facts: Sequence[tuple[str, Text]]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the name, and the form of the facts that fits."""
        yield Text(visible(self.name), "bold", overflow="fold")
        headings = max((cell_len(heading) for heading, _ in self.facts), default=0)
        asked = max((min(_widest(value), TEXT) for _, value in self.facts), default=0)
        if options.max_width - GAP - headings - GAP < asked:
            for heading, value in self.facts:
                value.overflow = "fold"
                yield Padding(Text(heading, "dim", overflow="fold"), (0, 0, 0, GAP))
                yield Padding(value, (0, 0, 0, GAP + GAP))
            return
        grid = Table.grid(padding=(0, GAP, 0, 0))
        grid.add_column(no_wrap=True, min_width=headings)
        grid.add_column(overflow="fold")
        for heading, value in self.facts:
            grid.add_row(Text(heading, "dim"), value)
        yield Padding(grid, (0, 0, 0, GAP))


def figures(
    heading: str, names: Sequence[str], columns: Mapping[str, Sequence[str]], apart: Sequence[str] | None = None
) -> Fitted:
    """Return a table of figures by name. `apart` are the names as they read in blocks, see `Column`."""
    return Fitted([Column(heading, names, NAME, apart=apart), *(Column(*column) for column in columns.items())])


def _right(text: str, width: int) -> str:
    """Each line of a text, on the right of its column."""
    return "\n".join(" " * (width - cell_len(line)) + line for line in text.split("\n"))


def _widest(value: Text) -> int:
    return max(map(cell_len, value.plain.splitlines()), default=0)
