"""The reply log: every response that was accepted, and how each round ended, so that no teacher is asked twice.

replies.jsonl   {"time", "teacher", "id", "response"} for a response, as it came in, and when (ISO 8601, UTC);
                {"time", "cell", "round", "missing"} for a round's end

A response is written when it comes, so that it outlives this process, and is safe on disk before it has any effect. A round that
has ended is replayed as it was, with the same teachers missing; of one that has not, only those teachers are asked that have not
answered.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from social_learning.errors import RunFolderError
from social_learning.provenance import Clock, iso, utc_now


class ReplyLog:
    """The reply log of one run. Raises RunFolderError where the file is damaged; a last line that was cut off goes."""

    def __init__(self, path: Path, clock: Clock = utc_now) -> None:
        self._path, self._clock = path, clock
        self._offsets: dict[tuple[str, str], int] = {}
        self._ended: dict[tuple[str, int], dict[str, str]] = {}
        path.touch()
        self._stream = path.open("r+b")
        try:
            self._load()
        except BaseException:
            self._stream.close()
            raise

    def _load(self) -> None:
        end = 0
        for number, line in enumerate(self._stream, start=1):
            if not line.endswith(b"\n"):
                break
            try:
                self._note(json.loads(line), end)
            except (ValueError, KeyError, TypeError, AttributeError):
                raise RunFolderError(
                    f"{self._path}, line {number}, is damaged: delete the file to have teachers asked again"
                ) from None
            end += len(line)
        self._stream.truncate(end)
        self._stream.seek(end)

    def _note(self, table: dict[str, Any], offset: int) -> None:
        if "response" in table:
            # The first one counts: what comes later under the same id changes nothing.
            self._offsets.setdefault((table["teacher"], table["id"]), offset)
        else:
            self._ended[table["cell"], int(table["round"])] = {str(k): str(v) for k, v in table["missing"].items()}

    def find(self, teacher: str, id: str) -> bytes | None:
        """Return a teacher's response to an enquiry as it came in, or None."""
        offset = self._offsets.get((teacher, id))
        if offset is None:
            return None
        with self._path.open("rb") as stream:
            stream.seek(offset)
            response: str = json.loads(stream.readline())["response"]
        return response.encode()

    def keep(self, teacher: str, id: str, response: bytes) -> None:
        """Write a response down, safe from a loss of power once `sync` was called; it is valid UTF-8, since it was accepted."""
        self._write({"teacher": teacher, "id": id, "response": response.decode()})

    def ended(self, cell: str, round: int) -> dict[str, str] | None:
        """Return who was missing in a round that has ended, and why; None where it has not ended."""
        return self._ended.get((cell, round))

    def end(self, cell: str, round: int, missing: Mapping[str, str]) -> None:
        """Write down, durably, that a round has ended."""
        self._write({"cell": cell, "round": round, "missing": dict(missing)})
        self.sync()

    def sync(self) -> None:
        """Wait until everything is on disk: once for all responses of a round, since each time takes milliseconds."""
        os.fsync(self._stream.fileno())

    def _write(self, table: dict[str, Any]) -> None:
        offset = self._stream.tell()
        table = {"time": iso(self._clock()), **table}
        self._stream.write(json.dumps(table).encode() + b"\n")
        self._stream.flush()
        self._note(table, offset)

    def close(self) -> None:
        """Close the file."""
        self._stream.close()
