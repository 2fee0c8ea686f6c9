"""Terminal tables at 40, 60 and 80 columns: no line is longer than the window, and every figure stands there whole."""

import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from benchmarks.endpoints.loopback import Handler, Loopback
from benchmarks.endpoints.pretender import Pretender
from social_learning.audit import audit
from social_learning.audit_plan import Plan
from social_learning.config import parse_experiment
from social_learning.experiment import run
from social_learning.report import show_audit
from social_learning.report.fit import NAME, TEXT, Column, Fitted, figures
from social_learning.report.terminal_evidence import show_closeness
from social_learning.reproduce import Request, reproduce, show_forecast, show_outcome
from social_learning.reproduce.estimate import Forecast, ForecastRow
from social_learning.work import Work

WIDTHS = [40, 60, 80]
NARROW: dict[str, Any] = {
    "name": "narrow",
    "task": "phone_messages",
    "shots": [2, 12],
    "repeats": 1,
    "arms": {
        "zero-shot": {},
        "generated": {},
        "instruction": {},
        "generated-guarded": {"method": "generated", "teachers": {"no_shared_numbers": True, "min_distance": 0.125}},
    },
    "data": {"test_rows": 10},
    "teachers": {"model": "fake:mixer", "count": 3},
    "student": {"model": "fake:mixer"},
}
PLAN = Plan(trials=3, references=1234)
Show = Callable[[Console], None]


def printed(show: Show, width: int) -> str:
    stream = StringIO()
    show(Console(width=width, file=stream, color_system=None, highlight=False))
    return stream.getvalue()


def whole_figures(text: str) -> "Counter[str]":
    """What stands between blanks and has a digit in it; addresses are text, and may go over lines."""
    return Counter(word for word in re.findall(r"\S*\d\S*", text) if "/v1" not in word)


def assert_fits(show: Show, width: int) -> None:
    """What a wide window shows, a narrow one does too: no figure is cut, broken or left out. Paths stay in one line."""
    narrow = [line for line in printed(show, width).splitlines() if not line.startswith(("Report:", "Page:"))]
    assert max(map(cell_len, narrow)) <= width
    wide = printed(show, 240)
    expected = whole_figures(re.sub(r"(?m)^(Report|Page):.*", "", wide))
    assert len(expected) > 3
    assert not expected - whole_figures("\n".join(narrow))
    assert "…" not in "".join(narrow)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A small run on fakes with an audit beside it."""
    folder = tmp_path_factory.mktemp("run") / "narrow"
    experiment = parse_experiment(NARROW)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        run(experiment, folder)
        audit(experiment, PLAN, folder)
        yield folder


@pytest.mark.parametrize("width", WIDTHS)
def test_closeness_fits(folder: Path, width: int) -> None:
    assert_fits(lambda console: show_closeness(folder, "phone_messages", console), width)


def test_a_control_is_named_with_its_arm_where_nothing_stands_above_it(folder: Path) -> None:
    narrow = printed(lambda console: show_closeness(folder, "phone_messages", console), 40).splitlines()
    assert "generated, 12 shots" in narrow
    assert "generated, 12 shots: verbatim" in narrow
    assert "instruction: public" in narrow


@pytest.mark.parametrize("width", WIDTHS)
def test_an_audit_fits(folder: Path, width: int) -> None:
    assert_fits(lambda console: show_audit(folder, PLAN.name, console), width)
    shown = printed(lambda console: show_audit(folder, PLAN.name, console), width)
    assert "no_shared_numbers" in shown  # a guard's name is not broken


@pytest.mark.parametrize("width", WIDTHS)
def test_reproduced_tables_fit(tmp_path: Path, width: int) -> None:
    settings: dict[str, Any] = {"tasks": ("phone_messages",), "test_rows": 6, "repeats": 2, "recipes": ("default",)}
    small = ("shots=[2,4]", "teachers.count=3", "generation.samples=4")
    request = Request(("table1", "table6"), model="fake:mixer", overrides=small, **settings)
    outcome = reproduce(request, tmp_path / "root")
    assert_fits(lambda console: show_outcome(outcome, console), width)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("remarks", [(), ("Prices are those of the endpoint called big.",)])
def test_a_forecast_fits(remarks: tuple[str, ...], width: int) -> None:
    names = ("sms_spam generated", "sms_spam generated-paper, 100 trials")
    rows = [ForecastRow(name, Work(12_345, 6_789_000, 345_600, 98_700), 7_500.0, 12.5) for name in names]
    assert_fits(lambda console: show_forecast(Forecast(tuple(rows), {}, remarks), console), width)


def commanded(*arguments: str) -> Show:
    """A command of ours, in a window as wide as the console it is shown on."""

    def show(console: Console) -> None:
        command = [sys.executable, "-m", "social_learning.cli", *arguments]
        window = {**os.environ, "COLUMNS": str(console.width), "TERM": "dumb"}
        told = subprocess.run(command, capture_output=True, text=True, check=True, env=window).stdout
        console.file.write(re.sub(r"\b\d+(?=\s+s;)", "0", told))  # seconds differ from one command to the next

    return show


@pytest.mark.parametrize("width", WIDTHS)
def test_a_dry_run_fits(width: int, tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text(
        'task = "phone_messages"\narms = ["zero-shot", "generated"]\n[teachers]\nmodel = "fake:mixer"\n[student]\nmodel = "big"\n'
        '[models.big]\nmodel = "m"\nbase_url = "http://127.0.0.1:9/v1"\nprices = { input = 1.0, output = 2.0 }\n'
    )
    assert_fits(commanded("run", str(tmp_path / "x.toml"), "--dry-run"), width)


@pytest.mark.parametrize("width", WIDTHS)
def test_what_a_doctor_finds_fits(width: int, serve: Callable[[Handler], Loopback]) -> None:
    server = serve(Pretender(offers=frozenset({"chat", "seed"}), context_length=None))
    show = commanded("doctor", f"openai:pretender@{server.url}")
    assert_fits(show, width)
    shown = " ".join(printed(show, width).split())
    assert "HTTP 404" in shown
    assert "generation.keep" in shown


@pytest.mark.parametrize("width", WIDTHS)
def test_tasks_fit(width: int) -> None:
    assert_fits(commanded("tasks"), width)


# The layout itself


def test_a_table_is_a_table_where_it_fits_then_folds_its_headings_then_becomes_blocks() -> None:
    table = figures("arm", ["voted", "generated"], {"shots": ["", "4"], "mean rank": ["9.5", "12.0"]})
    assert printed(lambda console: console.print(table), 27).splitlines() == [
        "arm        shots  mean rank",
        "───────────────────────────",
        "voted                   9.5",
        "generated      4       12.0",
    ]
    assert printed(lambda console: console.print(table), 26).splitlines()[:2] == [
        "                  mean",
        "arm        shots  rank",
    ]
    assert [line.rstrip() for line in printed(lambda console: console.print(table), 21).splitlines()] == [
        "voted",
        "  mean rank  9.5",
        "",
        "generated",
        "  shots      4",
        "  mean rank  12.0",
    ]
    assert [line.rstrip() for line in printed(lambda console: console.print(table), 14).splitlines()][:3] == [
        "voted",
        "  mean rank",
        "    9.5",
    ]


def test_the_last_row_can_stand_apart_and_cells_can_be_bold() -> None:
    table = Fitted([Column("part", ["a", "all"], NAME), Column("calls", ["1", "1"], bold={1})], total=True)
    assert printed(lambda console: console.print(table), 30).splitlines()[3].strip() == ""
    stream = StringIO()
    Console(width=30, file=stream, force_terminal=True, color_system="standard").print(table)
    assert "\x1b[1m    1\x1b[0m" in stream.getvalue()


def test_nothing_in_a_table_steers_the_terminal() -> None:
    table = Fitted(
        [Column("arm", ["\x1b[31mred\u202e", "[bold]b[/]"], NAME), Column("found", ["\x1b]0;t\x07", "x"], TEXT)]
    )
    for width in (80, 20):
        shown = printed(lambda console: console.print(table), width)
        assert "\x1b" not in shown
        assert "\u202e" not in shown
        assert "[bold]b[/]" in shown
        assert "⟦U+001B⟧" in shown


NAMES = st.text(st.characters(codec="utf-8", categories=("L", "N", "P")), min_size=1, max_size=40)
FIGURE = st.from_regex(r"[-+]?[0-9]{1,7}(\.[0-9]{1,3})?\*?", fullmatch=True)


@given(st.data(), st.integers(20, 120), st.integers(1, 4), st.integers(1, 9))
def test_whatever_the_columns_are_no_figure_is_lost(data: st.DataObject, width: int, rows: int, columns: int) -> None:
    names = data.draw(st.lists(NAMES, min_size=rows, max_size=rows))
    cells = data.draw(st.lists(st.lists(FIGURE, min_size=rows, max_size=rows), min_size=columns, max_size=columns))
    table = figures("arm", names, {f"column {number}": column for number, column in enumerate(cells)})
    shown = printed(lambda console: console.print(table), width)
    assert max(map(cell_len, shown.splitlines())) <= width
    wanted = Counter(figure for column in cells for figure in column)
    assert not wanted - Counter(shown.split())
