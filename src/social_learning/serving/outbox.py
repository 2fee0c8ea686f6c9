"""Outbox: everything that left a silo, in one append-only file with a hash chain.

One line of JSON per response. Each line's hash covers the line and the hash before it, so a line that is changed, taken
out or put in later breaks the chain. Lines cut off at the end do not: keep the last hash elsewhere to notice that.

A line is on disk before the response is sent. So what is not in the outbox has not left, and after a crash the caps still
count everything that did.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from filelock import FileLock, Timeout

from social_learning.errors import MessageError, ServingError
from social_learning.messages import (
    Enquiry,
    Refusal,
    Reply,
    ReplyExamples,
    ReplyGrades,
    ReplyInstruction,
    ReplyVote,
    RequestGrades,
    RequestVote,
    reply_from_json,
    to_json,
)
from social_learning.serving.policy import Sent

START = "0" * 64
"""What the first line's hash is chained to."""

REFUSALS_KEPT = 10_000
"""How many refusals are written down, at most: a flood of requests must not fill the disk. Replies are all written."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of an outbox. `reply` is the reply's JSON exactly as it left; None for a refusal."""

    number: int
    time: float
    run: str
    id: str
    repeat: int
    request: dict[str, Any]
    request_sha256: str
    reply: str | None
    refused: str | None
    previous: str
    hash: str

    @classmethod
    def read(cls, line: bytes) -> Self:
        """Read a line; raises ValueError for one that is damaged, or that does not carry the hash of its content."""
        table = json.loads(line)
        try:
            entry = cls(**table)
        except TypeError as error:
            raise ValueError("not a line of an outbox") from error
        if _hash({name: value for name, value in table.items() if name != "hash"}) != entry.hash:
            raise ValueError("the line's hash is not that of its content")
        return entry

    @property
    def content(self) -> Reply | None:
        """The reply; None for a refusal."""
        return None if self.reply is None else reply_from_json(self.reply)

    @property
    def sent(self) -> Sent:
        """What counts against the caps."""
        reply = self.content
        if isinstance(reply, ReplyExamples):
            return Sent(requests=1, texts=len(reply.examples))
        if isinstance(reply, ReplyInstruction):
            return Sent(requests=1, texts=int(reply.instruction is not None))
        if isinstance(reply, ReplyGrades):
            return Sent(requests=1, votes=len(reply.grades))
        return Sent(requests=1, votes=1) if isinstance(reply, ReplyVote) else Sent()


@dataclass(frozen=True, slots=True)
class _Place:
    request_sha256: str
    offset: int


class Outbox:
    """The outbox of one silo, held by one process at a time. Use as a context manager.

    Opening reads and checks the whole file; raises ServingError where its chain is broken or another process holds it. A
    last line that a crash cut off is taken away: it never left.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = FileLock(path.with_name(path.name + ".lock"), mode=0o600)
        self._number, self._last, self._refusals = 0, START, 0
        self._places: dict[tuple[str, str], _Place] = {}
        self._by_run: dict[str, Sent] = {}
        self._ever = Sent()

    def __enter__(self) -> Self:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise ServingError(f"{self._path} is in use: this teacher is already being served") from None
        with ExitStack() as stack:
            stack.callback(self._lock.release)
            try:
                self._path.touch(mode=0o600)
                self._stream = stack.enter_context(self._path.open("r+b"))
            except OSError as error:
                raise ServingError(f"cannot write the outbox {self._path}: {error.strerror}") from None
            self._load()
            self._closing = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def _load(self) -> None:
        """Read what is there, and take away a last line that was cut off."""
        end = 0
        for offset, line, entry in _entries(self._path):
            if entry is not None:
                self._note(entry, offset)
                end = offset + len(line)
        self._stream.truncate(end)
        self._stream.seek(end)

    def _note(self, entry: Entry, offset: int) -> None:
        self._number, self._last = entry.number + 1, entry.hash
        if entry.reply is None:
            self._refusals += 1
            return
        self._places[entry.run, entry.id] = _Place(entry.request_sha256, offset)
        self._by_run[entry.run] = self.sent(entry.run) + entry.sent
        self._ever += entry.sent

    def sent(self, run: str | None = None) -> Sent:
        """Return how much left in one run, or ever."""
        return self._ever if run is None else self._by_run.get(run, Sent())

    def earlier(self, enquiry: Enquiry) -> Entry | None:
        """Return what was sent before under an enquiry's run and id; None where nothing was.

        Raises MessageError where it was sent for another request.
        """
        place = self._places.get((enquiry.run, enquiry.id))
        if place is None:
            return None
        if place.request_sha256 != _request_hash(enquiry):
            raise MessageError("another request was answered under this run and id")
        with self._path.open("rb") as stream:
            stream.seek(place.offset)
            return Entry.read(stream.readline())

    def add(self, enquiry: Enquiry, reply: Reply | None, refused: Refusal | None, time: float) -> None:
        """Write down, durably, what is about to be sent; refusals beyond REFUSALS_KEPT are left out."""
        if reply is None and self._refusals >= REFUSALS_KEPT:
            return
        table: dict[str, Any] = {
            "number": self._number,
            "time": time,
            "run": enquiry.run,
            "id": enquiry.id,
            "repeat": enquiry.repeat,
            "request": _told(enquiry),
            "request_sha256": _request_hash(enquiry),
            "reply": None if reply is None else to_json(reply),
            "refused": refused,
            "previous": self._last,
        }
        entry = Entry(**table, hash=_hash(table))
        offset = self._stream.tell()
        try:
            self._stream.write(json.dumps({**table, "hash": entry.hash}).encode() + b"\n")
            self._stream.flush()
            os.fsync(self._stream.fileno())
        except OSError:
            self._stream.truncate(offset)
            self._stream.seek(offset)
            raise
        self._note(entry, offset)


@dataclass(frozen=True, slots=True)
class Check:
    """What `verify` found: the number of whole lines, the last hash, and whether a last line was cut off."""

    entries: int
    last: str
    cut_off: bool


def verify(path: Path) -> Check:
    """Check the whole chain of an outbox. Raises ServingError that names the first line that is wrong."""
    number, last, cut_off = 0, START, False
    for _, _, entry in _entries(path):
        if entry is None:
            cut_off = True
        else:
            number, last = entry.number + 1, entry.hash
    return Check(number, last, cut_off)


def read_outbox(path: Path) -> Iterator[Entry]:
    """Read the entries of an outbox in order, each checked. Raises ServingError at the first line that is wrong."""
    return (entry for _, _, entry in _entries(path) if entry is not None)


def _entries(path: Path) -> Iterator[tuple[int, bytes, Entry | None]]:
    """Each line with its offset, checked against the chain; None for a last line without its end."""
    previous, offset = START, 0
    try:
        with path.open("rb") as stream:
            for number, line in enumerate(stream):
                if not line.endswith(b"\n"):
                    yield offset, line, None
                    return
                try:
                    entry = Entry.read(line)
                except (ValueError, RecursionError):
                    raise _broken(path, number, "was changed or is damaged") from None
                if entry.previous != previous or entry.number != number:
                    raise _broken(path, number, "does not follow the line before it")
                yield offset, line, entry
                previous, offset = entry.hash, offset + len(line)
    except OSError as error:
        raise ServingError(f"cannot read the outbox {path}: {error.strerror}") from None


def _broken(path: Path, number: int, problem: str) -> ServingError:
    return ServingError(
        f"outbox {path}, line {number + 1}: {problem}; find out why, then move the file away to start a new one"
    )


def _hash(table: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(table, sort_keys=True).encode()).hexdigest()


def _request_hash(enquiry: Enquiry) -> str:
    return hashlib.sha256(f"{enquiry.repeat} {to_json(enquiry.request)}".encode()).hexdigest()


def _told(enquiry: Enquiry) -> dict[str, Any]:
    """The request as plain values; of a ballot only its length, since other teachers' texts are not ours to keep."""
    table = enquiry.request.model_dump(mode="json")
    if isinstance(enquiry.request, RequestVote | RequestGrades):
        table["candidates"] = len(enquiry.request.candidates)
    return table
