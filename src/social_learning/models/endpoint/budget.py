"""Budget: what a run may spend in calls, tokens and money, and the ledger of what it has spent so far."""

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from social_learning.errors import BudgetError, RunFolderError


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that a run may spend: calls, tokens in and out together, money; None for no limit."""

    calls: int | None = None
    tokens: int | None = None
    cost: float | None = None


@dataclass(frozen=True, slots=True)
class Spent:
    """Calls, tokens and money."""

    calls: int = 0
    tokens: int = 0
    cost: float = 0.0

    def __add__(self, other: "Spent") -> "Spent":
        return Spent(self.calls + other.calls, self.tokens + other.tokens, self.cost + other.cost)

    def __sub__(self, other: "Spent") -> "Spent":
        return Spent(self.calls - other.calls, self.tokens - other.tokens, self.cost - other.cost)


class Booking:
    """One attempt's place in the budget. It took nothing until somebody says so."""

    def __init__(self) -> None:
        self.taken: Spent | None = None

    def settle(self, taken: Spent) -> None:
        """Say what the attempt took; what is said last counts."""
        self.taken = taken


class Purse:
    """What a run has left. May be used from any thread.

    `ledger` is a file with one line for each attempt that took something; a run that goes on has spent what stands there. An
    attempt is let through if all that was spent, all that those in flight may take, and what it may take itself stay within
    the limits.
    """

    def __init__(self, limits: Limits, ledger: Path | None = None) -> None:
        self._limits = limits
        self._ledger = ledger
        self._turn = threading.Lock()
        self._spent = _read(ledger) if ledger else Spent()
        self._booked = Spent()

    @property
    def limits(self) -> Limits:
        """The most that may be spent."""
        return self._limits

    @property
    def spent(self) -> Spent:
        """What was taken so far."""
        return self._spent

    @contextmanager
    def book(self, expected: Spent) -> Iterator[Booking]:
        """Book an attempt. Raises BudgetError where there is no room for it. What it was settled with is written down at the
        end, however it ended.
        """
        with self._turn:
            self._check(self._spent + self._booked + expected)
            self._booked += expected
        booking = Booking()
        try:
            yield booking
        finally:
            with self._turn:
                self._booked -= expected
                if booking.taken is not None:
                    self._spent += booking.taken
                    self._write(booking.taken)

    def _check(self, total: Spent) -> None:
        limits, spent = self._limits, self._spent
        for what, limit, would, so_far in (
            ("calls", limits.calls, total.calls, f"{spent.calls:,}"),
            ("tokens", limits.tokens, total.tokens, f"{spent.tokens:,}"),
            ("cost", limits.cost, total.cost, f"{spent.cost:.4f}"),
        ):
            if limit is not None and would > limit:
                raise BudgetError(
                    f"the budget is spent: the next call does not fit into budget.max_{what} = {limit:g} ({so_far} so far); "
                    "finished calls are kept: raise the limit and give the same command again to go on"
                )

    def _write(self, taken: Spent) -> None:
        if not self._ledger:
            return
        line = json.dumps([taken.calls, taken.tokens, taken.cost]) + "\n"
        try:
            self._ledger.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with self._ledger.open("a", encoding="ascii") as stream:
                stream.write(line)
        except OSError as error:
            raise RunFolderError(f"cannot write the ledger {self._ledger}: {error.strerror}") from None


def _read(ledger: Path) -> Spent:
    """Add up a ledger. A last line that a kill cut off goes: its call's answer was not kept either."""
    try:
        text = ledger.read_text(encoding="ascii")
        lines = text[: text.rfind("\n") + 1].splitlines()
        if not text.endswith("\n"):
            os.truncate(ledger, text.rfind("\n") + 1)
    except FileNotFoundError:
        return Spent()
    except (OSError, UnicodeDecodeError):
        raise RunFolderError(f"{ledger} is damaged: delete it to forget what was spent") from None
    total = Spent()
    for line in lines:
        try:
            calls, tokens, cost = json.loads(line)
            total += Spent(int(calls), int(tokens), float(cost))
        except (ValueError, TypeError):
            raise RunFolderError(f"{ledger} is damaged: delete it to forget what was spent") from None
    return total
