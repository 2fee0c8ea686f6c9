"""What left the silos: the message logs of a run, counted whole and shown in part."""

import json
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from pydantic import BaseModel, Field, ValidationError

from social_learning.lesson import Lesson
from social_learning.messages import (
    GuardResult,
    Reply,
    ReplyExamples,
    ReplyGrades,
    ReplyInstruction,
    ReplyVote,
    Request,
    RequestVote,
)
from social_learning.records import read_failure
from social_learning.results import CellKey
from social_learning.task import Example, Task

SHOWN = 200
"""How many messages of one arm are shown."""

TEACHERS = 40
"""How many teachers the totals of an arm name."""

LONGEST = 5_000
"""How many characters of one text are shown."""


class LogLine(BaseModel):
    """One line of messages.jsonl: a reply that left a silo, with its request and its size on the wire in bytes.

    `withheld` is the number of private examples that were sent but not written down.
    """

    bytes: int = Field(ge=0)
    request: Request
    reply: Reply
    withheld: int = 0

    @classmethod
    def read(cls, line: str) -> Self:
        """Read a line; raises ValueError for one that is damaged."""
        table = json.loads(line)
        reply = table.get("reply") if isinstance(table, dict) else None
        if not isinstance(reply, dict):
            raise ValueError("not a line of a message log")
        withheld = reply.pop("withheld", 0)
        return cls.model_validate({**table, "withheld": withheld})

    @property
    def texts(self) -> int:
        """How many texts left with it: examples, those withheld too, or an instruction."""
        if isinstance(self.reply, ReplyExamples):
            return len(self.reply.examples) + self.withheld
        return int(isinstance(self.reply, ReplyInstruction) and self.reply.instruction is not None)


@dataclass(frozen=True, slots=True)
class Message:
    """A reply as it is shown: `number` is its line in the log, `texts` is what left, `remark` what there is to say where nothing
    can be shown.
    """

    number: int
    round: int
    teacher: str
    kind: str
    texts: tuple[str, ...]
    remark: str
    bytes: int
    discarded: dict[str, int]
    guards: tuple[GuardResult, ...]


@dataclass(slots=True)
class CellLog:
    """The log of one cell: the messages shown, and how many there are. `file` is relative to the run folder. `failed` says why
    the cell has no lesson, where it has none; `linked`: the page links to one of its messages.
    """

    key: CellKey
    file: str
    missing: bool
    failed: str | None = None
    linked: bool = False
    total: int = 0
    damaged: list[int] = field(default_factory=list)
    shown: list[Message] = field(default_factory=list)

    @property
    def hidden(self) -> int:
        """How many messages are neither shown nor damaged."""
        return self.total - len(self.shown) - len(self.damaged)


@dataclass(slots=True)
class ArmLog:
    """The logs of an arm's cells, and what they come to: messages and bytes by teacher, and what was kept back."""

    arm: str
    cells: list[CellLog] = field(default_factory=list)
    messages: Counter[str] = field(default_factory=Counter)
    bytes: Counter[str] = field(default_factory=Counter)
    discarded: Counter[str] = field(default_factory=Counter)
    mended: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)

    @property
    def linked(self) -> bool:
        """Whether the page links to one of these messages."""
        return any(cell.linked for cell in self.cells)

    @property
    def kept_back(self) -> dict[str, Counter[str]]:
        """What was discarded, dropped and mended in all cells together, under the words for it."""
        return {
            "Discarded by teachers": self.discarded,
            "Dropped by guards": self.dropped,
            "Mended by guards": self.mended,
        }

    @property
    def largest(self) -> list[tuple[str, int]]:
        """Teachers with the bytes that left their silos: all in order, or of very many those that sent most."""
        return list(self.bytes.items()) if len(self.bytes) <= TEACHERS else self.bytes.most_common(TEACHERS)

    def count(self, line: LogLine) -> None:
        """Add one message to the totals."""
        reply = line.reply
        self.messages[reply.teacher] += 1
        self.bytes[reply.teacher] += line.bytes
        if not isinstance(reply, ReplyVote | ReplyGrades):
            self.discarded.update(reply.discarded)
        for guard in reply.guards:
            self.mended[guard.guard] += guard.mended
            self.dropped[guard.guard] += guard.dropped


def arm_log(
    folder: Path,
    arm: str,
    keys: Sequence[CellKey],
    task: Task | None,
    linked: Collection[tuple[str, int]] = (),
) -> ArmLog:
    """Read the logs of one arm's cells, in order; the first SHOWN messages of them are kept, and all that are `linked`, which
    are pairs of a cell's name and a line.
    """
    log, left = ArmLog(arm), SHOWN
    for key in keys:
        path = message_file(folder, key)
        failed = None if (path.parent / "cell.json").is_file() else read_failure(folder, key)
        cell = CellLog(key, str(path.relative_to(folder)), not path.is_file() and failed is None, failed)
        for number, line in log_lines(path):
            cell.total += 1
            if line is None:
                cell.damaged.append(number)
                continue
            log.count(line)
            wanted = (key.name, number) in linked
            cell.linked |= wanted
            if left or wanted:
                cell.shown.append(_message(number, line, task))
                left -= bool(left)
        log.cells.append(cell)
    return log


def as_text(example: Example, task: Task | None) -> str:
    """Return an example in its task's format; field by field where there is none, or where it has other fields."""
    if task is not None and set(example.fields) == set(task.field_names):
        return task.render(example)
    return "\n".join(f"{name}: {text}" for name, text in [*example.fields.items(), ("answer", example.answer)])


def sources_of(lesson: Lesson) -> list[str]:
    """Say which parts of a lesson came from whom: one entry for each teacher and round."""
    numbers: dict[tuple[str, int], list[str]] = {}
    for number, source in enumerate(lesson.sources, start=1):
        numbers.setdefault((source.teacher, source.round), []).append(str(number))
    if not lesson.examples:
        return [f"instruction: {teacher}, round {round}" for teacher, round in numbers]
    return [
        f"{'example' if len(which) == 1 else 'examples'} {', '.join(which)}: {teacher}, round {round}"
        for (teacher, round), which in numbers.items()
    ]


def text_at(file: Path, message: int, item: int, task: Task | None) -> str | None:
    """Return one text of a log; None where it is not there, or withheld."""
    line = next((line for number, line in log_lines(file) if number == message), None)
    texts = [] if line is None else _content(line, task)[0]
    return shortened(texts[item - 1], LONGEST) if 0 < item <= len(texts) else None


def message_file(folder: Path, key: CellKey) -> Path:
    """Return where the log of a cell lies in a run folder."""
    return folder / "cells" / key.name / "messages.jsonl"


def log_lines(path: Path) -> Iterator[tuple[int, LogLine | None]]:
    """The lines of a log with their numbers; None for a damaged one, nothing for a log that is not there."""
    if not path.is_file():
        return
    with path.open(encoding="utf-8", errors="replace") as stream:
        for number, line in enumerate(stream, start=1):
            try:
                yield number, LogLine.read(line)
            except (ValueError, ValidationError, RecursionError):
                yield number, None


def _message(number: int, line: LogLine, task: Task | None) -> Message:
    texts, remark = _content(line, task)
    reply = line.reply
    return Message(
        number=number,
        round=reply.round,
        teacher=reply.teacher,
        kind=line.request.kind,
        texts=tuple(shortened(text, LONGEST) for text in texts),
        remark=remark,
        bytes=line.bytes,
        discarded={} if isinstance(reply, ReplyVote | ReplyGrades) else reply.discarded,
        guards=reply.guards,
    )


def _content(line: LogLine, task: Task | None) -> tuple[list[str], str]:
    reply, request = line.reply, line.request
    if isinstance(reply, ReplyExamples):
        if line.withheld:
            return [], f"{line.withheld} private examples, word for word: withheld here"
        return [as_text(example, task) for example in reply.examples], "" if reply.examples else "no example"
    if isinstance(reply, ReplyInstruction):
        return ([], "no instruction") if reply.instruction is None else ([reply.instruction], "")
    if isinstance(reply, ReplyGrades):
        return [", ".join(f"{grade:.4f}" for grade in reply.grades)], f"grades for {len(reply.grades)} lessons"
    if isinstance(request, RequestVote) and reply.choice < len(request.candidates):
        vote = f"votes for candidate {reply.choice + 1} of {len(request.candidates)}"
        return [as_text(request.candidates[reply.choice], task)], vote
    return [], f"votes for candidate {reply.choice + 1}"


def shortened(text: str, longest: int) -> str:
    """Return a text, or its beginning and how much is left out."""
    left_out = len(text) - longest
    return text if left_out <= 0 else f"{text[:longest]}\n[… {left_out:,} more characters]"
