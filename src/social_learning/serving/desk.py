"""Desk: where enquiries come in at a teacher of its own, and responses go out. Knows nothing of sockets."""

import contextlib
import threading
from collections.abc import Callable
from functools import lru_cache
from typing import Protocol

from social_learning.errors import DataError, MessageError, ModelError, TaskError, UserError
from social_learning.messages import (
    ENQUIRY_BYTES,
    Enquiry,
    Refusal,
    Reply,
    Request,
    Response,
    enquiry_from_json,
    reply_from_json,
    to_json,
)
from social_learning.serving.outbox import Outbox
from social_learning.serving.policy import Policy

REPEATS_KEPT = 8
"""For how many repeats at a time a teacher is kept at hand; each keeps what its guards know of the silo."""


class Answers(Protocol):
    """What the desk needs of a teacher."""

    def answer(self, request: Request) -> Reply:
        """Answer a request."""


class Desk:
    """Takes an enquiry as bytes and returns a response as bytes, whatever comes in.

    `teacher_for` gives the teacher of a repeat. A request that was answered before gets the same reply again, from the
    outbox, without asking the model. `clock` tells the time of entries, in seconds since 1970; `note` is told, on the
    owner's side, the kind of each failure, and the text of a UserError, which holds nothing private. May be used from any
    thread: one enquiry waits for another.
    """

    def __init__(
        self,
        teacher_for: Callable[[int], Answers],
        policy: Policy,
        outbox: Outbox,
        clock: Callable[[], float],
        note: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._teacher_for = lru_cache(maxsize=REPEATS_KEPT)(teacher_for)
        self._policy = policy
        self._outbox = outbox
        self._clock = clock
        self._note = note
        self._turn = threading.Lock()

    def respond(self, raw: bytes) -> bytes:
        """Return the response to an enquiry: a reply or a refusal, as one line of JSON without its line break."""
        if len(raw) > ENQUIRY_BYTES:
            return refusal("unreadable")
        with self._turn:  # also to read it: what is large in memory is there once
            try:
                enquiry = enquiry_from_json(raw)
            except MessageError:
                return refusal("unreadable")
            try:
                return to_json(self._respond(enquiry)).encode()
            except Exception as error:  # the outbox cannot be read or written
                self._tell(enquiry, error)
                return refusal("failed", enquiry)

    def _respond(self, enquiry: Enquiry) -> Response:
        try:
            earlier = self._outbox.earlier(enquiry)
        except MessageError:
            return self._refuse(enquiry, "other_request")
        if earlier is not None and earlier.reply is not None:
            return Response(run=enquiry.run, id=enquiry.id, reply=reply_from_json(earlier.reply))
        refused = self._policy.refuses(enquiry.request, self._outbox.sent(enquiry.run), self._outbox.sent())
        if refused:
            return self._refuse(enquiry, refused)
        try:
            reply = self._teacher_for(enquiry.repeat).answer(enquiry.request)
        except Exception as error:
            self._tell(enquiry, error)
            return self._refuse(
                enquiry, "cannot" if isinstance(error, DataError | ModelError | TaskError) else "failed"
            )
        if len(to_json(reply).encode()) > self._policy.per_request.bytes:
            return self._refuse(enquiry, "too_large")
        self._outbox.add(enquiry, reply, None, self._clock())
        return Response(run=enquiry.run, id=enquiry.id, reply=reply)

    def _tell(self, enquiry: Enquiry, error: Exception) -> None:
        # The text of an error that is not ours may hold private words.
        text = f": {error}" if isinstance(error, UserError) else ""
        # Where nobody reads the log any more, what was tried counts all the same.
        with contextlib.suppress(OSError, ValueError):
            self._note(f"{enquiry.run}/{enquiry.id}: {type(error).__name__}{text}")

    def _refuse(self, enquiry: Enquiry, code: Refusal) -> Response:
        self._outbox.add(enquiry, None, code, self._clock())
        return Response(run=enquiry.run, id=enquiry.id, refused=code)


def refusal(code: Refusal, enquiry: Enquiry | None = None) -> bytes:
    """Return a refusal as bytes; without an enquiry, one that answers what could not be read."""
    run, id = (enquiry.run, enquiry.id) if enquiry else ("", "")
    return to_json(Response(run=run, id=id, refused=code)).encode()
