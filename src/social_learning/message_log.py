"""The message log: every reply that left a silo in one cell, with its request and its time, each line chained to the one before."""

from pathlib import Path

from social_learning.chain import START, line_of
from social_learning.messages import Reply, ReplyExamples, Request, RequestOriginals
from social_learning.provenance import Clock, iso


class MessageLog:
    """The log of what left silos in one cell: one JSON line per reply, written before the student sees it.

    `time` is when the reply left, or came in from a teacher of its own: ISO 8601, UTC. The hash of a line covers what is
    written, so private examples that are withheld cannot be guessed at by it.
    """

    def __init__(self, path: Path, record_originals: bool, clock: Clock) -> None:
        self._path, self._record_originals, self._clock = path, record_originals, clock
        self._last = START
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.unlink(missing_ok=True)

    def __call__(self, request: Request, reply: Reply) -> None:
        """Append one reply and its request."""
        told = reply.model_dump(mode="json")
        if isinstance(request, RequestOriginals) and isinstance(reply, ReplyExamples) and not self._record_originals:
            told["examples"] = []
            told["withheld"] = len(reply.examples)
        table = {
            "time": iso(self._clock()),
            "bytes": len(reply.model_dump_json().encode()),
            "request": request.model_dump(mode="json"),
            "reply": told,
            "previous": self._last,
        }
        line, self._last = line_of(table, ascii=False)
        with self._path.open("ab") as stream:
            stream.write(line)
