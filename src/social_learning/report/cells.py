"""Cells: each cell of a page's tables is given the heading of its column, so that a narrow window can stack them.

A phone shows no eleven columns side by side. There each row becomes a block of cells (`report.css`), and a cell says itself
what it is. Nobody has to think of it in a template: it is done for every table of every page.
"""

from html import escape
from html.parser import HTMLParser
from itertools import accumulate

FEW_COLUMNS = 3
"""Tables of at most so many columns fit a narrow window as they are."""

ROLES = {"thead": "rowgroup", "tbody": "rowgroup", "tr": "row", "td": "cell"}
"""What a browser no longer takes elements for once they are laid out as blocks."""


def with_labels(page: str) -> str:
    """Return a page whose tables of more than FEW_COLUMNS columns can be stacked: `data-stacks` on the table, the column's
    heading as `data-label` on each cell, and the roles of a table's parts.

    Nothing else of the page changes, byte for byte. Tables that have a role already look after themselves.
    """
    reader = _Tables(page)
    reader.feed(page)
    reader.close()
    pieces, done = [], 0
    for place, words in sorted(reader.insertions):
        pieces += [page[done:place], words]
        done = place
    return "".join([*pieces, page[done:]])


class _Tables(HTMLParser):
    """Finds where in a page which attributes go."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.insertions: list[tuple[int, str]] = []
        self._lines = [0, *accumulate(len(line) + 1 for line in page.split("\n"))]
        self._waiting: list[tuple[int, str]] | None = None
        self._head: list[str] = []
        self._in_head = self._in_heading = False
        self._column = 0
        self._spanned: dict[int, int] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a table, its headings, and what its cells are to be told."""
        given = dict(attrs)
        if tag == "table":
            self._waiting = None if "role" in given else []
            self._head, self._spanned = [], {}
            self._tell(tag, {"data-stacks": "", "role": "table"})
        elif self._waiting is None:
            return
        elif tag == "thead":
            self._in_head = True
            self._tell(tag, {"role": ROLES[tag]})
        elif tag == "tr":
            self._column = 0
            self._tell(tag, {"role": ROLES[tag]})
        elif tag in ("td", "th"):
            self._cell(tag, given)
        elif tag in ROLES:
            self._tell(tag, {"role": ROLES[tag]})

    def _cell(self, tag: str, given: dict[str, str | None]) -> None:
        if self._in_head:
            self._head.append("")
            self._in_heading = True
            self._tell(tag, {"role": "columnheader"})
            return
        while self._spanned.get(self._column, 0):  # a cell of a row above reaches down to here
            self._spanned[self._column] -= 1
            self._column += 1
        label = self._head[self._column] if self._column < len(self._head) else ""
        self._spanned[self._column] = int(given.get("rowspan") or 1) - 1
        self._column += 1
        self._tell(tag, {"role": "rowheader"} if tag == "th" else {"role": ROLES[tag], "data-label": label.strip()})

    def handle_data(self, data: str) -> None:
        """Take in the words of a heading."""
        if self._in_heading:
            self._head[-1] += data

    def handle_endtag(self, tag: str) -> None:
        """Close a heading, the headings, or a table: only now is it known how many columns it has."""
        if tag == "th":
            self._in_heading = False
        elif tag == "thead":
            self._in_head = False
        elif tag == "table" and self._waiting is not None:
            if len(self._head) > FEW_COLUMNS:
                self.insertions += self._waiting
            self._waiting = None

    def _tell(self, tag: str, attributes: dict[str, str]) -> None:
        if self._waiting is not None:
            line, column = self.getpos()
            words = "".join(f' {name}="{escape(value)}"' if value else f" {name}" for name, value in attributes.items())
            self._waiting.append((self._lines[line - 1] + column + len(tag) + 1, words))
