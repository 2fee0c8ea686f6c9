"""Caller: one call until it is answered: within the pace, with retries, up to a deadline."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from social_learning.errors import ContextLengthError, EndpointError, ModelError
from social_learning.models.endpoint.faults import Broken, Empty, Fault, Filtered, Overloaded, Refused
from social_learning.models.endpoint.pace import Pace, Patience, Surroundings

Answer = TypeVar("Answer")


class SenselessError(EndpointError):
    """An endpoint answered, and what it sent made no sense, however often it was asked."""


class EmptyError(SenselessError):
    """An endpoint answered, and at last there was no answer in what it sent."""


class FilteredError(ModelError):
    """An endpoint's filter refused a call."""


class Caller:
    """Sends requests through one pace. `name` is what the endpoint is called in errors."""

    def __init__(self, name: str, pace: Pace, patience: Patience, around: Surroundings) -> None:
        self._name = name
        self._pace = pace
        self._patience = patience
        self._around = around

    async def call(self, send: Callable[[], Awaitable[Any]], read: Callable[[Any], Answer]) -> Answer:
        """Send a request until `read` makes sense of its answer.

        Raises ModelError where the endpoint refuses it, ContextLengthError where it is too long, FilteredError where a filter
        took it, and EndpointError where no usable answer came.
        """
        started, attempt, broken = self._around.clock(), 0, 0
        while True:
            try:
                return await self._attempt(send, read)
            except Refused as fault:
                if fault.too_long:
                    raise ContextLengthError(
                        f"a prompt does not fit the context of {self._name}: use fewer shots, shorter examples, or a model "
                        "with a longer context"
                    ) from None
                kind = FilteredError if isinstance(fault, Filtered) else ModelError
                raise kind(f"{self._name} refused a call: {fault.reason}") from None
            except Fault as fault:
                broken += isinstance(fault, Broken)
                wait = fault.wait if isinstance(fault, Overloaded) else 0.0
                pause = self._patience.pause(attempt, wait, self._around.rng)
                attempt += 1
                late = self._around.clock() + pause - started > self._patience.deadline
                if late or attempt >= self._patience.attempts or broken >= self._patience.broken:
                    senseless = EmptyError if isinstance(fault, Empty) else SenselessError
                    raise (senseless if broken >= self._patience.broken else EndpointError)(
                        f"{self._name} gave no usable answer in {attempt} attempts over "
                        f"{self._around.clock() - started:.0f} s; the last: {fault.reason}"
                    ) from None
            await self._around.sleep(pause)

    async def _attempt(self, send: Callable[[], Awaitable[Any]], read: Callable[[Any], Answer]) -> Answer:
        mark = await self._pace.enter()
        try:
            answer = read(await send())
        except Overloaded as fault:
            self._pace.bad(mark, fault.wait)
            raise
        else:
            self._pace.good()
            return answer
        finally:
            self._pace.leave()
