"""Reading an outbox on a terminal: which entries, that they fit, and that nothing in them is hidden or steers it."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from social_learning.errors import ConfigError, ServingError
from social_learning.messages import (
    Enquiry,
    GuardResult,
    Reply,
    ReplyExamples,
    ReplyGrades,
    ReplyInstruction,
    ReplyVote,
    RequestExamples,
)
from social_learning.serving.entries import Entry
from social_learning.serving.outbox import Outbox, read_outbox
from social_learning.serving.reading import FEW, SHORT, Chosen, choose, moment, show_entries, since
from social_learning.task import Example
from tests.silos import cli

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
LONG = " ".join(f"word{number}" for number in range(60))


def example(text: str) -> Example:
    return Example(fields={"text": text}, answer="spam")


REPLIES: list[Reply | None] = [
    ReplyExamples(
        teacher="t",
        round=0,
        examples=tuple(example(f"{LONG} number {n}") for n in range(6)),
        guards=(GuardResult(guard="no_shared_numbers", passed=123456, mended=89, dropped=1011),),
    ),
    ReplyInstruction(teacher="t", round=1, instruction="Look for \x1b[31mred\u202e words.\nNo 7\ttab"),
    ReplyVote(teacher="t", round=2, choice=122),
    ReplyGrades(teacher="t", round=3, grades=(0.12345, 0.5)),
    None,
    ReplyInstruction(teacher="t", round=5, instruction=None),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """An outbox of six entries, an hour apart, the last one now; the first two of one run, the others of another."""
    path = tmp_path / "outbox.jsonl"
    with Outbox(path) as outbox:
        for number, reply in enumerate(REPLIES):
            request = RequestExamples(round=number, count=8, shots=4, samples=8)
            enquiry = Enquiry(
                run="demo-0123abcd" if number < 2 else "later", id=f"i{number}", repeat=number, request=request
            )
            time = (NOW - timedelta(hours=len(REPLIES) - 1 - number)).timestamp()
            outbox.add(enquiry, reply, None if reply else "over_run_cap", time)
    return path


def shown(chosen: Chosen, width: int = 80, whole: bool = False) -> str:
    stream = StringIO()
    show_entries(chosen, Console(width=width, file=stream, color_system=None, highlight=False), whole)
    return stream.getvalue()


def timeless(entries: Sequence[Entry], *numbers: int) -> list[Entry]:
    """Entries of which some have no time, as those of other versions."""
    return [
        entry.model_copy(update={"time": None}) if number in numbers else entry for number, entry in enumerate(entries)
    ]


@pytest.mark.parametrize("width", [40, 60, 80])
@pytest.mark.parametrize("whole", [False, True])
def test_entries_fit_and_no_figure_is_cut(path: Path, width: int, whole: bool) -> None:
    told = shown(choose(read_outbox(path)), width, whole)
    assert max(map(cell_len, told.splitlines())) <= width
    words = told.split()
    for figure in ("123456", "89", "1011", "0.1235", "0.5000", "123", "07:00:00", "2026-07-01", "demo-0123abcd"):
        assert figure in {word.strip(",") for word in words}
    assert "over_run_cap" in told
    assert [line for line in told.splitlines() if line.startswith("No ")] == [
        f"No {n + 1}" for n in range(len(REPLIES))
    ]


@pytest.mark.parametrize("whole", [False, True])
def test_escapes_are_shown_and_never_sent(path: Path, whole: bool) -> None:
    told = shown(choose(read_outbox(path)), 80, whole)
    assert "Look for ⟦U+001B⟧[31mred⟦U+202E⟧ words." in told
    assert not any(ord(character) < 32 and character != "\n" for character in told)
    assert "\u202e" not in told


def test_long_texts_are_cut_which_is_told_and_full_shows_them(path: Path) -> None:
    chosen = choose(read_outbox(path))
    short, whole = (" ".join(shown(chosen, whole=full).split()) for full in (False, True))
    text = f"{LONG} number 0 | spam"
    assert f"{' '.join(text[:SHORT].split())}… ({len(text) - SHORT} more characters)" in short
    assert "and 2 more examples" in short
    assert "6 texts cut short or left out: --full shows them whole" in short
    assert "number 0" not in short
    assert all(f"{LONG} number {n} | spam" in whole for n in range(6))
    assert "--full" not in whole
    assert FEW == 4


def test_nothing_is_said_to_be_cut_where_nothing_was(path: Path) -> None:
    told = shown(choose(read_outbox(path), "later"))
    assert "cut short" not in told
    assert told.startswith("4 of 6 entries\n")


def test_only_what_left_for_one_run(path: Path) -> None:
    chosen = choose(read_outbox(path), "demo-0123abcd")
    assert [entry.id for entry in chosen.entries] == ["i0", "i1"]
    assert chosen.of == 6
    with pytest.raises(ServingError, match=r"holds nothing of run 'demo': its runs are demo-0123abcd, later$"):
        choose(read_outbox(path), "demo")
    with pytest.raises(ServingError, match="holds nothing of run 'demo': it is empty"):
        choose([], "demo")


def test_an_unknown_run_names_a_few_runs_and_sends_no_escape(path: Path) -> None:
    (entry, *_) = read_outbox(path)
    many = [entry.model_copy(update={"run": f"\x1b{number}"}) for number in range(8)]
    with pytest.raises(ServingError) as caught:
        choose(many, "\x1b")
    assert "\x1b" not in str(caught.value)
    assert str(caught.value).endswith("⟦U+001B⟧4 and 3 more")


def test_only_what_left_since_a_time(path: Path) -> None:
    chosen = choose(read_outbox(path), after=NOW - timedelta(hours=2))
    assert [entry.id for entry in chosen.entries] == ["i3", "i4", "i5"]  # that of exactly two hours ago among them
    assert [e.id for e in choose(read_outbox(path), "later", NOW - timedelta(minutes=1)).entries] == ["i5"]
    assert shown(choose(read_outbox(path), after=NOW + timedelta(1))) == "0 of 6 entries\n"


def test_entries_without_a_time_are_shown_and_counted_whatever_since_says(path: Path) -> None:
    entries = timeless(list(read_outbox(path)), 0, 2)
    chosen = choose(entries, after=NOW)
    assert [entry.id for entry in chosen.entries] == ["i0", "i2", "i5"]
    told = shown(chosen)
    assert "2 of them have no time: they are shown whatever --since says" in told
    assert told.count("not known") == 2
    assert "have no time" not in shown(choose(read_outbox(path), after=NOW))


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("90s", NOW - timedelta(seconds=90)),
        ("30m", NOW - timedelta(minutes=30)),
        ("2h", NOW - timedelta(hours=2)),
        ("1.5d", NOW - timedelta(hours=36)),
        ("1w", NOW - timedelta(days=7)),
        ("2026-06-30", datetime(2026, 6, 30, tzinfo=UTC)),
        ("2026-06-30T10:00", datetime(2026, 6, 30, 10, tzinfo=UTC)),
        ("2026-06-30T10:00+02:00", datetime(2026, 6, 30, 8, tzinfo=UTC)),
        ("2026-06-30T10:00:00Z", datetime(2026, 6, 30, 10, tzinfo=UTC)),
    ],
)
def test_a_time_is_iso_8601_in_utc_or_how_long_ago(text: str, meant: datetime) -> None:
    assert since(text, NOW) == meant


@pytest.mark.parametrize("text", ["", "3", "yesterday", "2y", "-2h", "99999999w", "2026-13-01", "\x1b[31m"])
def test_any_other_time_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(
        ConfigError, match=r"use a time in UTC such as 2026-07-01T12:00, or how long ago, such as"
    ) as caught:
        since(text, NOW)
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    "time", [NOW.timestamp(), "2026-07-01T12:00:00Z", "2026-07-01T14:00:00+02:00", "2026-07-01T12:00:00"]
)
def test_an_entry_tells_its_time_in_seconds_or_in_iso_8601(time: float | str) -> None:
    told = moment(time)
    assert told == NOW
    assert told is not None
    assert told.utcoffset() == timedelta(0)


def test_the_command_takes_all_three(path: Path) -> None:
    every = cli("outbox", "show", str(path))
    assert every.returncode == 0, every.stderr
    assert every.stdout.startswith("6 entries\n")
    assert "--full shows them whole" in every.stdout
    told = cli("outbox", "show", str(path), "--run", "demo-0123abcd", "--since", "2026-07-01T08:00", "--full")
    assert told.stdout.startswith("1 of 6 entries\n")
    assert "No 2\n" in told.stdout
    for wrong, problem in (("--run=x", "holds nothing of run 'x'"), ("--since=x", "--since 'x': use a time")):
        refused = cli("outbox", "show", str(path), wrong)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert refused.stderr.startswith("error: ")
        assert problem in refused.stderr
        assert len(refused.stderr.splitlines()) == 1
