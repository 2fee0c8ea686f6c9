"""Entries: the lines of an outbox, and the chain that their hashes make."""

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from social_learning.chain import START, line_of
from social_learning.errors import MessageError, ServingError
from social_learning.messages import (
    Enquiry,
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
from social_learning.provenance import iso
from social_learning.serving.policy import Sent

REQUEST_BYTES = 4096
"""The longest request that is written down; of a longer one only its kind and length are."""

TRIED: frozenset[str] = frozenset(("cannot", "failed", "too_large"))
"""Refusals before which the model may have worked: each counts as a request."""


def written(seconds: float) -> str:
    """Return a time in seconds since 1970 as entries hold it: ISO 8601, UTC."""
    return iso(datetime.fromtimestamp(seconds, UTC))


def _seconds(value: object) -> object:
    """Read a time as it is written; older entries hold seconds since 1970 themselves."""
    return datetime.fromisoformat(value).timestamp() if isinstance(value, str) and value.endswith("Z") else value


Time = Annotated[float, Field(ge=0, lt=253_402_300_800), BeforeValidator(_seconds), PlainSerializer(written)]
"""Seconds since 1970, until the year 9999; in a line, and as plain values, ISO 8601 in UTC."""


class Entry(BaseModel):
    """One line of an outbox. `reply` is the reply's JSON exactly as it left; None for a refusal."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)

    number: Annotated[int, Field(ge=0)]
    time: Time
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
        """Read a line; raises ValueError for one that is damaged, or that is not byte for byte the one its hash was made for,
        and MessageError for a reply that cannot be read.
        """
        table = json.loads(line)
        entry = cls.model_validate(table)
        del table["hash"]
        if line_of(table) != (line, entry.hash):
            raise ValueError("the line's hash is not that of its content")
        _ = entry.content
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
        if isinstance(reply, ReplyVote):
            return Sent(requests=1, votes=1)
        return Sent(requests=int(self.refused in TRIED))


def request_hash(enquiry: Enquiry) -> str:
    """What tells one request from another, without keeping its texts."""
    return hashlib.sha256(f"{enquiry.repeat} {to_json(enquiry.request)}".encode()).hexdigest()


def told(enquiry: Enquiry) -> dict[str, Any]:
    """The request as plain values; of a ballot and of lessons only their number: other teachers' texts are not ours to keep."""
    request = enquiry.request
    table = request.model_dump(mode="json")
    if isinstance(request, RequestVote | RequestGrades):
        table["candidates"] = len(request.candidates)
    if isinstance(request, RequestGrades):
        table["lessons"] = len(request.lessons)
    length = len(json.dumps(table))
    return table if length <= REQUEST_BYTES else {"kind": request.kind, "bytes": length}


def entries(path: Path) -> Iterator[tuple[int, bytes, Entry | None]]:
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
                except MessageError:
                    raise _broken(path, number, "holds a reply that this version does not know") from None
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
