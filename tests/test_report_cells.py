"""Cells that say which column they are of: where labels go, and that nothing else of a page changes."""

import re
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st
from markupsafe import escape

from social_learning.report.cells import FEW_COLUMNS, with_labels

HEAD = "<thead><tr><th>Arm</th><th>Part</th><th>Calls, <em>all</em></th><th>a &lt; b</th></tr></thead>"


def labels(page: str) -> list[tuple[str, str | None]]:
    """Each cell of the page's bodies: its kind and its label."""
    found: list[tuple[str, str | None]] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            if tag in ("td", "th"):
                found.append((tag, dict(attrs).get("data-label")))

    Reader().feed(page.partition("</thead>")[2])
    return found


def test_each_cell_is_told_the_heading_of_its_column() -> None:
    page = with_labels(f"<table>{HEAD}<tbody><tr><th>x</th><td>1</td><td>2</td><td></td></tr></tbody></table>")
    assert labels(page) == [("th", None), ("td", "Part"), ("td", "Calls, all"), ("td", "a < b")]
    assert page.startswith(
        '<table data-stacks role="table"><thead role="rowgroup"><tr role="row"><th role="columnheader">'
    )
    assert '<tbody role="rowgroup"><tr role="row"><th role="rowheader">x</th><td role="cell" data-label="Part">' in page


def test_a_cell_that_reaches_over_rows_keeps_its_column() -> None:
    rows = '<tr><th rowspan="2">x</th><td>teaching</td><td>1</td><td>2</td></tr><tr><td>answering</td><td>3</td><td>4</td></tr>'
    after = "<tr><th>y</th><td>5</td><td>6</td><td>7</td></tr>"
    page = with_labels(f"<table>{HEAD}<tbody>{rows}</tbody><tbody>{after}</tbody></table>")
    three = [("td", "Part"), ("td", "Calls, all"), ("td", "a < b")]
    assert labels(page) == [("th", None), *three, *three, ("th", None), *three]


def test_small_tables_and_those_that_look_after_themselves_stay() -> None:
    assert FEW_COLUMNS == 3
    narrow = "<table><thead><tr><th>a</th><th>b</th><th>c</th></tr></thead><tbody><tr><td>1</td></tr></tbody></table>"
    headless = "<table><tbody><tr><td>1</td><td>2</td><td>3</td><td>4</td></tr></tbody></table>"
    own = f'<table role="table">{HEAD}<tbody><tr><td>1</td></tr></tbody></table>'
    for page in (narrow, headless, own):
        assert with_labels(page) == page
    wide = f"<table>{HEAD}</table>"
    assert with_labels(narrow + wide + own) == narrow + with_labels(wide) + own


@given(st.text(st.characters(codec="utf-8"), max_size=60), st.text(st.characters(codec="utf-8"), max_size=60))
def test_nothing_else_changes_whatever_the_texts_are(before: str, cell: str) -> None:
    row = f"<tr>\n<th>{escape(cell)}</th><td>{escape(cell)}</td><td>1</td><td>2</td></tr>"
    page = f"<p>{escape(before)}</p>\n<table>{HEAD}<tbody>{row}</tbody></table>\n<pre>{escape(before)}</pre>"
    told = with_labels(page)
    assert re.sub(r' (data-label="[^"]*"|data-stacks|role="\w+")', "", told) == re.sub(
        r' (data-label="[^"]*"|data-stacks|role="\w+")', "", page
    )
    assert labels(told) == [("th", None), ("td", "Part"), ("td", "Calls, all"), ("td", "a < b")]
