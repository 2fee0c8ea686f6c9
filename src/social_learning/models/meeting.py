"""Meetings: where several callers of one model wait for each other, so that their calls can be put together.

Whoever starts a meeting runs the callers' calls, in its own thread: a number of threads that each compute would each bring
their own workers, and an interrupt would find nobody to stop. Whenever every caller that is still going waits for its
call, these calls run together. What is in a batch therefore depends on the callers alone, never on timing.
"""

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from greenlet import getcurrent, greenlet

from social_learning.models.base import Completion, GenerateCall, Prompt, Score


class AnswersAll(Protocol):
    """What calls are asked of."""

    def answer_all(self, calls: Sequence["Call"]) -> None:
        """Settle all of the calls; raises nothing that is a call's failure."""


@dataclass(slots=True)
class Call:
    """One caller's call: what it wants of which model, and then its answer or failure."""

    model: AnswersAll
    request: GenerateCall | Sequence[tuple[Prompt, str]]
    answer: list[list[Completion]] | list[Score] | None = None
    failure: Exception | None = None

    def result(self) -> list[list[Completion]] | list[Score] | None:
        """Return the settled call's answer, or raise its failure."""
        if self.failure:
            raise self.failure
        return self.answer


def _settle(calls: Sequence[Call]) -> None:
    """Have calls answered, those of one model together."""
    for model in {id(call.model): call.model for call in calls}.values():
        model.answer_all([call for call in calls if call.model is model])


class Meeting(Protocol):
    """Runs callers, and settles what they ask for."""

    def ask(self, call: Call) -> None:
        """Return when the call is settled; for callers, inside `run`."""

    def run(self, callers: Sequence[Callable[[], None]]) -> None:
        """Run all callers to their ends; an Exception must not come out of any."""


class Turns:
    """Callers that go on one at a time, as coroutines of one thread: for those that wait for the model alone.

    In threads they would take Python from each other, and waking one from the other cost more than everything else that
    teachers do.
    """

    def ask(self, call: Call) -> None:
        """See Meeting."""
        getcurrent().parent.switch(call)

    def run(self, callers: Sequence[Callable[[], None]]) -> None:
        """See Meeting."""
        seats = [greenlet(caller) for caller in callers]
        try:
            going = seats
            while going:
                # A switch comes back with the caller's next call, or with None when it is done.
                calls: dict[greenlet, Call] = {seat: call for seat in going if (call := seat.switch()) is not None}
                _settle(list(calls.values()))
                going = list(calls)
        finally:
            for seat in seats:
                if seat:  # it was interrupted: nothing that it waits for will come
                    seat.throw()


class _Left(BaseException):
    """Ends the callers when whoever started them was interrupted."""


@dataclass
class SideBySide:
    """Callers in threads: for those that wait for something else as well, such as a network.

    Each caller waits for its own call and only the starter for `turn`: were all of them woken whenever one comes in,
    waiting would cost more than everything else. `give_up` is called when the starter is interrupted: it must end what
    keeps callers busy besides the models.
    """

    give_up: Callable[[], None]
    going: int = 0
    left: bool = False
    broken: BaseException | None = None
    waiting: dict[int, tuple[Call, threading.Event]] = field(default_factory=dict)
    turn: threading.Condition = field(default_factory=threading.Condition)
    seat: threading.local = field(default_factory=threading.local)

    def ask(self, call: Call) -> None:
        """See Meeting."""
        settled = threading.Event()
        with self.turn:
            if self.left:
                raise _Left
            self.waiting[self.seat.number] = call, settled
            self._stop_going()
        settled.wait()
        if self.left:
            raise _Left

    def run(self, callers: Sequence[Callable[[], None]]) -> None:
        """See Meeting."""
        self.going = len(callers)
        threads = [threading.Thread(target=self._work, args=seat, daemon=True) for seat in enumerate(callers)]
        try:
            for thread in threads:
                thread.start()
            self._serve()
        except BaseException:
            self.give_up()
            raise
        finally:
            self._leave()
            for thread in threads:
                thread.join()
        if self.broken:
            raise self.broken

    def _work(self, number: int, caller: Callable[[], None]) -> None:
        self.seat.number = number
        try:
            with suppress(_Left):
                caller()
        except BaseException as broken:  # raised again by the starter
            self.broken = broken
        finally:
            with self.turn:
                self._stop_going()

    def _stop_going(self) -> None:
        """A caller waits, or is done; to be called with `turn` held."""
        self.going -= 1
        if not self.going:
            self.turn.notify()

    def _serve(self) -> None:
        with self.turn:
            while True:
                self.turn.wait_for(lambda: not self.going)
                if not self.waiting:
                    return
                met = [self.waiting[number] for number in sorted(self.waiting)]
                _settle([call for call, _ in met])
                self.going, self.waiting = len(met), {}
                for _, settled in met:
                    settled.set()

    def _leave(self) -> None:
        """Send everybody home; what they wait for will not come."""
        with self.turn:
            self.left = True
            for _, settled in self.waiting.values():
                settled.set()
