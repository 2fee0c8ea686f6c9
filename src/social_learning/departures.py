"""Departures: what left the silos in one cell, each item with its place in the cell's message log."""

from collections.abc import Callable
from dataclasses import replace

from social_learning.errors import EvaluationError
from social_learning.messages import Reply, ReplyExamples, ReplyInstruction, Request
from social_learning.task import Example
from social_learning.teacher import Departure


class Departures:
    """Takes down what departs, and finds the place of each item once its reply is written into the message log.

    `log` writes one reply, and is called in the order of the log. Teachers may work side by side, each of them answers one
    request at a time.
    """

    def __init__(self, log: Callable[[Request, Reply], None]) -> None:
        self._log = log
        self._messages = 0
        self._waiting: dict[str, list[Departure]] = {}
        self._placed: list[Departure] = []

    def departed(self, departure: Departure) -> None:
        """Take down an item; from any thread."""
        self._waiting.setdefault(departure.teacher, []).append(departure)

    def sent(self, request: Request, reply: Reply) -> None:
        """Write a reply into the log, and give its items their places: message and item both count from 1.

        Raises EvaluationError where the reply does not hold what departed from its teacher: then no place would be right.
        """
        self._log(request, reply)
        self._messages += 1
        left = self._waiting.pop(reply.teacher, [])
        if [departure.item for departure in left] != items_of(reply):
            raise EvaluationError(
                f"message {self._messages} of {reply.teacher!r} does not hold what left the silo: closeness cannot be measured"
            )
        self._placed += [replace(item, message=self._messages, number=n) for n, item in enumerate(left, start=1)]

    @property
    def placed(self) -> list[Departure]:
        """What left, by teacher; what left one teacher in the order in which it left."""
        return sorted(self._placed, key=lambda departure: departure.teacher)


def items_of(reply: Reply) -> list[Example | str]:
    """Return the texts of a reply, in order: its examples or its instruction; a vote and grades have none."""
    if isinstance(reply, ReplyExamples):
        return list(reply.examples)
    return [reply.instruction] if isinstance(reply, ReplyInstruction) and reply.instruction is not None else []
