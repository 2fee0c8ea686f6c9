"""Rounds: the one loop that drives a protocol, wherever its teachers are."""

from collections.abc import Callable

from social_learning.lesson import Lesson
from social_learning.protocols.base import Ask, Protocol, Replies


def drive_rounds(protocol: Protocol, answer: Callable[[Ask], Replies]) -> Lesson:
    """Run a protocol to its end and return the lesson; `answer` has one round answered."""
    try:
        ask = next(protocol)
        while True:
            ask = protocol.send(answer(ask))
    except StopIteration as end:
        lesson: Lesson = end.value
        return lesson
