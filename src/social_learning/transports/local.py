"""Local transport: drives a protocol over teachers in this process."""

from collections.abc import Callable, Mapping
from typing import Protocol as Interface

from social_learning.lesson import Lesson
from social_learning.messages import Reply, Request
from social_learning.protocols.base import Ask, Protocol


class Answers(Interface):
    """What this transport needs of a teacher."""

    def answer(self, request: Request) -> Reply:
        """Answer a request."""


Sent = Callable[[Request, Reply], None]
"""Told of every reply right after it left its silo, before the protocol sees it."""


def drive(
    protocol: Protocol,
    teachers: Mapping[str, Answers],
    sent: Sent | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Lesson:
    """Run a protocol to its end and return the lesson.

    Teachers are asked one after the other, in the order the protocol names them. `progress` is told (teachers heard, teachers
    asked) within each round.
    """
    try:
        ask = next(protocol)
        while True:
            ask = protocol.send(_round(ask, teachers, sent, progress))
    except StopIteration as end:
        lesson: Lesson = end.value
        return lesson


def _round(
    ask: Ask,
    teachers: Mapping[str, Answers],
    sent: Sent | None,
    progress: Callable[[int, int], None] | None,
) -> dict[str, Reply]:
    replies: dict[str, Reply] = {}
    for name in ask.teachers:
        reply = teachers[name].answer(ask.request)
        if sent:
            sent(ask.request, reply)
        replies[name] = reply
        if progress:
            progress(len(replies), len(ask.teachers))
    return replies
