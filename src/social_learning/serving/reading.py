"""Reading an outbox: which of its entries, and how each reads on the owner's terminal. Nothing in them reaches it as it is:
hidden characters are shown by their number.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from rich.console import Console
from rich.text import Text

from social_learning.errors import ConfigError, ServingError
from social_learning.messages import ReplyExamples, ReplyGrades, ReplyInstruction, ReplyVote
from social_learning.report.fit import Block
from social_learning.report.numbers import count
from social_learning.report.visible import visible
from social_learning.serving.entries import Entry

SHORT = 160
"""How many characters of a text are shown, unless whole texts are asked for."""
FEW = 4
"""How many examples of an entry are shown, unless whole texts are asked for."""
NAMED = 5
"""How many runs a mistake names."""

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def since(text: str, now: datetime) -> datetime:
    """Return the time that a text names: ISO 8601, in UTC where it names no zone, or how long ago, such as `90s`, `30m`,
    `2h`, `7d` or `1w`. Raises ConfigError for anything else.
    """
    try:
        if length := re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw])", text.strip()):
            return now - timedelta(**{_UNITS[length[2]]: float(length[1])})
        return _in_utc(datetime.fromisoformat(text.strip()))
    except (ValueError, OverflowError):
        raise ConfigError(
            f"--since {visible(text)!r}: use a time in UTC such as 2026-07-01T12:00, or how long ago, such as 90s, 30m, 2h, 7d or 1w"
        ) from None


def moment(time: float | str | None) -> datetime | None:
    """Return an entry's time: told in seconds since 1970 or in ISO 8601, or not at all."""
    if isinstance(time, str):
        return _in_utc(datetime.fromisoformat(time))
    return None if time is None else datetime.fromtimestamp(time, UTC)


@dataclass(frozen=True, slots=True)
class Chosen:
    """Entries that were asked for, in order, out of how many. Those that have no time are always among them, counted."""

    entries: tuple[Entry, ...]
    of: int
    timeless: int


def choose(entries: Iterable[Entry], run: str | None = None, after: datetime | None = None) -> Chosen:
    """Return the entries of a run, from a time on. Raises ServingError where there is none of that run, and names the runs."""
    everything = list(entries)
    found = [entry for entry in everything if run in (None, entry.run)]
    if run is not None and not found:
        runs = list(dict.fromkeys(visible(entry.run) for entry in everything))
        more = f" and {len(runs) - NAMED} more" if len(runs) > NAMED else ""
        there = f"its runs are {', '.join(runs[:NAMED])}{more}" if runs else "it is empty"
        raise ServingError(f"the outbox holds nothing of run {visible(run)!r}: {there}")
    if after is not None:
        found = [entry for entry in found if (when := moment(entry.time)) is None or when >= after]
    return Chosen(tuple(found), len(everything), sum(moment(entry.time) is None for entry in found))


def show_entries(chosen: Chosen, console: Console, whole: bool = False) -> None:
    """Print entries as blocks: when, for which run and request, what the guards did, and what left; says what it left out."""
    shown = len(chosen.entries)
    whole_number = count(chosen.of, "entry", "entries")
    console.print(Text(whole_number if shown == chosen.of else f"{shown:,} of {whole_number}", style="bold"))
    if chosen.timeless:
        console.print(Text(f"{chosen.timeless:,} of them have no time: they are shown whatever --since says"))
    shortened = 0
    for entry in chosen.entries:
        texts, left_out = _left(entry, whole)
        shortened += left_out
        when = moment(entry.time)
        facts = {
            "time": "not known" if when is None else when.strftime("%Y-%m-%d %H:%M:%S UTC"),
            "run": entry.run,
            "id": entry.id,
            "request": f"{entry.request.get('kind')}, round {entry.request.get('round')}, repeat {entry.repeat}",
            "guards": _guards(entry),
            "left": "\n".join(texts),
        }
        console.print()
        console.print(
            Block(f"No {entry.number + 1}", [(name, Text(visible(told))) for name, told in facts.items() if told])
        )
    if shortened:
        console.print()
        console.print(Text(f"{count(shortened, 'text')} cut short or left out: --full shows them whole"))


def _guards(entry: Entry) -> str:
    reply = entry.content
    told = (
        [f"{g.guard}: {g.passed} passed, {g.mended} mended, {g.dropped} dropped" for g in reply.guards] if reply else []
    )
    return "\n".join(told)


def _left(entry: Entry, whole: bool) -> tuple[Sequence[str], int]:
    """What left as texts, and how many texts are cut short or left out."""
    reply = entry.content
    if isinstance(reply, ReplyGrades):
        return [", ".join(f"{grade:.4f}" for grade in reply.grades) or "no grade"], 0
    if isinstance(reply, ReplyVote):
        return [f"candidate {reply.choice + 1}"], 0
    if isinstance(reply, ReplyExamples):
        texts = [" | ".join((*example.fields.values(), example.answer)) for example in reply.examples]
    elif isinstance(reply, ReplyInstruction):
        texts = [] if reply.instruction is None else [reply.instruction]
    elif reply is None:
        return [f"nothing, refused: {entry.refused}"], 0
    else:
        raise ServingError(f"entry {entry.number + 1} holds a reply of kind {reply.kind!r}, which cannot be shown")
    if whole or not texts:
        return texts or ["nothing"], 0
    cut = [_cut(text) for text in texts[:FEW]]
    hidden = len(texts) - len(cut)
    more = [f"and {count(hidden, 'more example')}"] if hidden else []
    return [*cut, *more], hidden + sum(len(text) > SHORT for text in texts[:FEW])


def _cut(text: str) -> str:
    return text if len(text) <= SHORT else f"{text[:SHORT]}… ({count(len(text) - SHORT, 'more character')})"


def _in_utc(time: datetime) -> datetime:
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
