"""Local transport: drives a protocol over teachers in this process."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import count
from typing import Protocol as Interface

from social_learning.errors import TeachingError
from social_learning.lesson import Lesson
from social_learning.messages import Reply, Request
from social_learning.protocols.base import Ask, Protocol
from social_learning.transports.rounds import drive_rounds


class Answers(Interface):
    """What this transport needs of a teacher."""

    def answer(self, request: Request) -> Reply:
        """Answer a request."""


class Together(Interface):
    """Runs jobs, side by side or one after the other, and returns their results in order."""

    def __call__(self, jobs: Sequence[Callable[[], Reply]]) -> list[Reply]:
        """Run all jobs."""


def one_by_one(jobs: Sequence[Callable[[], Reply]]) -> list[Reply]:
    """Run jobs one after the other."""
    return [job() for job in jobs]


Sent = Callable[[Request, Reply], None]
"""Told of every reply of a round, in the teachers' order, before the protocol sees any of them."""

Heard = Callable[[str, int, int], None]
"""Told within a round: the kind of request, how many teachers have answered, and how many were asked."""


def drive(
    protocol: Protocol,
    teachers: Mapping[str, Answers],
    sent: Sent | None = None,
    progress: Heard | None = None,
    together: Together = one_by_one,
) -> Lesson:
    """Run a protocol to its end and return the lesson.

    `together` runs the teachers of a round; `progress` may be told from any thread.
    """
    return drive_rounds(protocol, lambda ask: _round(ask, teachers, sent, progress, together))


def drive_all(
    teachings: Sequence[tuple[Protocol, Mapping[str, Answers]]],
    progress: Callable[[int, int], None] | None = None,
    together: Together = one_by_one,
) -> list[Lesson | TeachingError]:
    """Run several protocols side by side, each over its own teachers, and return their lessons in order.

    Each round of all of them goes through `together` at once. A protocol that ends without a lesson leaves its
    TeachingError in the lesson's place; the others go on. `progress` is told (protocols at their end, protocols).
    """
    ends: dict[int, Lesson | TeachingError] = {}
    asks: dict[int, Ask] = {}

    def advance(number: int, replies: dict[str, Reply] | None) -> None:
        protocol = teachings[number][0]
        asks.pop(number, None)
        try:
            asks[number] = next(protocol) if replies is None else protocol.send(replies)
        except StopIteration as end:
            ends[number] = end.value
        except TeachingError as error:
            ends[number] = error

    for number in range(len(teachings)):
        advance(number, None)
    while asks:
        if progress:
            progress(len(ends), len(teachings))
        jobs = [(number, name) for number, ask in asks.items() for name in ask.teachers]
        replies = together([partial(teachings[n][1][name].answer, asks[n].request) for n, name in jobs])
        heard: dict[int, dict[str, Reply]] = {number: {} for number in asks}
        for (number, name), reply in zip(jobs, replies, strict=True):
            heard[number][name] = reply
        for number, answers in heard.items():
            advance(number, answers)
    return [ends[number] for number in range(len(teachings))]


def _round(
    ask: Ask,
    teachers: Mapping[str, Answers],
    sent: Sent | None,
    progress: Heard | None,
    together: Together,
) -> dict[str, Reply]:
    heard = count(1)

    def answer(name: str) -> Reply:
        reply = teachers[name].answer(ask.request)
        if progress:
            progress(ask.request.kind, next(heard), len(ask.teachers))
        return reply

    if progress:
        progress(ask.request.kind, 0, len(ask.teachers))
    replies = dict(zip(ask.teachers, together([partial(answer, name) for name in ask.teachers]), strict=True))
    if sent:
        for reply in replies.values():
            sent(ask.request, reply)
    return replies
