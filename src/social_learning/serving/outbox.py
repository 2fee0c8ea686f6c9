"""Outbox: everything that left a silo, in one append-only file with a hash chain.

One line of JSON per response. Each line's hash covers the bytes of the line and the hash before it, so a line that is
changed, taken out or put in breaks the chain, unless all hashes after it are made anew. Who keeps a hash elsewhere notices
that too, and lines cut off at the end.

A line is on disk before the response is sent. So what is not in the outbox has not left, and after a crash the caps still
count everything that did.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from filelock import FileLock, Timeout

from social_learning.chain import START, line_of
from social_learning.errors import MessageError, ServingError
from social_learning.files import sync_folder
from social_learning.messages import Enquiry, Refusal, Reply, to_json
from social_learning.serving.entries import TRIED, Entry, entries, request_hash, told, written
from social_learning.serving.policy import Sent

REFUSALS_KEPT = 10_000
"""How many refusals are written down, at most: a flood of requests must not fill the disk. Replies are all written, and
what was tried in vain too: caps bound both."""


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
        self._broken = False

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
                self._stream = stack.enter_context(self._path.open("r+b", buffering=0))
                # With a file that is not found again after a loss of power the caps' memory would go.
                sync_folder(self._path.parent)
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
        for offset, line, entry in entries(self._path):
            if entry is not None:
                self._note(entry, offset)
                end = offset + len(line)
        self._stream.truncate(end)
        self._stream.seek(end)

    def _note(self, entry: Entry, offset: int) -> None:
        self._number, self._last = entry.number + 1, entry.hash
        if entry.reply is not None:
            self._places[entry.run, entry.id] = _Place(entry.request_sha256, offset)
        elif entry.refused not in TRIED:
            self._refusals += 1
            return
        self._count(entry.run, entry.sent)

    def _count(self, run: str, more: Sent) -> None:
        self._by_run[run] = self.sent(run) + more
        self._ever += more

    def sent(self, run: str | None = None) -> Sent:
        """Return what counts against the caps of one run, or of all."""
        return self._ever if run is None else self._by_run.get(run, Sent())

    def earlier(self, enquiry: Enquiry) -> Entry | None:
        """Return what was sent before under an enquiry's run and id; None where nothing was.

        Raises MessageError where it was sent for another request, and ServingError where nothing can be sent any more.
        """
        if self._broken:
            raise ServingError(f"the outbox {self._path} cannot be written: make room, and serve this teacher again")
        place = self._places.get((enquiry.run, enquiry.id))
        if place is None:
            return None
        if place.request_sha256 != request_hash(enquiry):
            raise MessageError("another request was answered under this run and id")
        with self._path.open("rb") as stream:
            stream.seek(place.offset)
            return Entry.read(stream.readline())

    def add(self, enquiry: Enquiry, reply: Reply | None, refused: Refusal | None, time: float) -> None:
        """Write down, durably, what is about to be sent; refusals beyond REFUSALS_KEPT are left out.

        Raises ServingError where that cannot be done; then nothing may be sent. What was tried counts all the same.
        """
        tried = reply is not None or refused in TRIED
        if not tried and self._refusals >= REFUSALS_KEPT:
            return
        table: dict[str, Any] = {
            "number": self._number,
            "time": written(time),
            "run": enquiry.run,
            "id": enquiry.id,
            "repeat": enquiry.repeat,
            "request": told(enquiry),
            "request_sha256": request_hash(enquiry),
            "reply": None if reply is None else to_json(reply),
            "refused": refused,
            "previous": self._last,
        }
        line, hash = line_of(table)
        offset = self._stream.tell()
        try:
            self._append(line, offset)
        except OSError as error:
            if tried:
                self._count(enquiry.run, Sent(requests=1))
            raise ServingError(f"cannot write the outbox {self._path}: {error.strerror}") from None
        self._note(Entry(**table, hash=hash), offset)

    def _append(self, line: bytes, offset: int) -> None:
        """Write the whole line at the end, or nothing: without a buffer, which would keep what did not fit for later."""
        try:
            while line:
                line = line[self._stream.write(line) :]
            os.fsync(self._stream.fileno())
        except OSError:
            self._broken = True
            self._stream.truncate(offset)
            self._stream.seek(offset)
            self._broken = False
            raise


@dataclass(frozen=True, slots=True)
class Check:
    """What `verify` found: the number of whole lines, the last hash, and whether a last line was cut off."""

    entries: int
    last: str
    cut_off: bool


def verify(path: Path) -> Check:
    """Check the whole chain of an outbox. Raises ServingError that names the first line that is wrong."""
    number, last, cut_off = 0, START, False
    for _, _, entry in entries(path):
        if entry is None:
            cut_off = True
        else:
            number, last = entry.number + 1, entry.hash
    return Check(number, last, cut_off)


def read_outbox(path: Path) -> Iterator[Entry]:
    """Read the entries of an outbox in order, each checked. Raises ServingError at the first line that is wrong."""
    return (entry for _, _, entry in entries(path) if entry is not None)
