"""Pace: how many calls are in flight, learned from how the endpoint takes them; and how long to wait before a retry."""

import asyncio
import math
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

Clock = Callable[[], float]
Sleep = Callable[[float], Awaitable[None]]

FIRST_LIMIT = 8
"""How many calls are in flight at the beginning, at most."""


@dataclass
class Surroundings:
    """Time and chance, so that tests can bring their own: `clock` and `sleep` in seconds, `rng` for jitter alone."""

    clock: Clock = time.monotonic
    sleep: Sleep = asyncio.sleep
    rng: random.Random = field(default_factory=random.Random)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a call is tried: `deadline` seconds in all, `attempts` times at most, and no more than `broken` answers that
    make no sense.
    """

    deadline: float
    broken: int = 5
    attempts: int = 1_000_000
    first: float = 0.5
    longest: float = 30.0

    def pause(self, attempt: int, wait: float, rng: random.Random) -> float:
        """Return the seconds before retry `attempt` (from 0): what the endpoint asked for, and a jittered share of a limit
        that doubles ("full jitter", so that calls that failed together do not come back together).
        """
        return wait + rng.uniform(0, min(self.longest, self.first * 2 ** min(attempt, 30)))


class Pace:
    """The limit on calls in flight: additive increase, multiplicative decrease (as TCP does, RFC 5681).

    Until the first trouble it doubles with every round of calls. After trouble it is halved, once for all calls that were
    in flight together, and then grows by one with every round. It never exceeds `most`.
    """

    def __init__(self, most: int, around: Surroundings) -> None:
        self.limit = float(min(FIRST_LIMIT, most))
        self.in_flight = 0
        self._most = most
        self._around = around
        self._doubling = True
        self._closed_until = -math.inf
        self._halved_at = -math.inf
        self._queue: deque[asyncio.Future[None]] = deque()

    async def enter(self) -> float:
        """Wait until a call may start; return when it did."""
        while True:
            wait = self._closed_until - self._around.clock()
            if wait > 0:
                await self._around.sleep(wait)
            elif self.in_flight < int(self.limit):
                self.in_flight += 1
                return self._around.clock()
            else:
                turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                self._queue.append(turn)
                await turn

    def leave(self) -> None:
        """A call is over, however it went."""
        self.in_flight -= 1
        free = int(self.limit) - self.in_flight
        while free > 0 and self._queue:
            turn = self._queue.popleft()
            if not turn.done():
                turn.set_result(None)
                free -= 1

    def good(self) -> None:
        """A call was answered."""
        self.limit = min(self._most, self.limit + (1.0 if self._doubling else 1.0 / self.limit))

    def bad(self, started: float, wait: float) -> None:
        """The endpoint is overloaded, as a call that started at `started` found; it asked for a pause of `wait` seconds."""
        now = self._around.clock()
        if wait > 0:
            self._closed_until = max(self._closed_until, now + wait)
        if started >= self._halved_at:
            self.limit = max(1.0, self.limit / 2)
            self._halved_at = now
            self._doubling = False
