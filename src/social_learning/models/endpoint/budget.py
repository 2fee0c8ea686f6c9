"""Budget: what a run may spend in calls, tokens and money, and the ledger of what it has spent so far."""

import json
import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import astuple, dataclass
from itertools import count
from pathlib import Path
from typing import Any

from social_learning.errors import BudgetError, RunFolderError
from social_learning.files import locked, make_folder


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


class Booking:
    """One attempt's place in the budget. It took nothing until somebody says so."""

    def __init__(self) -> None:
        self.taken: Spent | None = None

    def settle(self, taken: Spent) -> None:
        """Say what the attempt took; what is said last counts."""
        self.taken = taken


class _Account:
    """What was spent, and what attempts that have not ended may take, by their ids."""

    def __init__(self) -> None:
        self.spent = Spent()
        self.open: dict[str, Spent] = {}

    @property
    def most(self) -> Spent:
        """What is spent at most when all attempts have ended."""
        return sum(self.open.values(), self.spent)

    def note(self, id: str, may_take: Spent | None, took: Spent | None) -> None:
        """Note that an attempt begins, and what it may take, or that it has ended, and what it took."""
        if may_take is not None:
            self.open[id] = may_take
        if took is not None:
            self.open.pop(id, None)
            self.spent += took


class _Ledger:
    """An account in a file that several processes share. Use it within `turn`, which reads what others wrote meanwhile.

        {"id": "1f2e3d4c-7", "may_take": [calls, tokens, cost]}    before an attempt
        {"id": "1f2e3d4c-7", "took": [calls, tokens, cost]}        at its end

    An attempt whose process was killed has no end, and counts for the most it may take: its host may bill for it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read_to, self._file = 0, (0, 0)
        self.account = _Account()

    @contextmanager
    def turn(self) -> Iterator[_Account]:
        """Hold the ledger."""
        try:
            make_folder(self._path.parent, 0o700)
        except OSError as error:
            raise self._unwritable(error) from None
        with locked(self._path.with_name(f".{self._path.name}.lock")):
            self._catch_up()
            yield self.account

    def add(self, id: str, may_take: Spent | None = None, took: Spent | None = None) -> None:
        """Write an attempt's beginning or end, and note it."""
        name, amount = ("took", took) if may_take is None else ("may_take", may_take)
        line = json.dumps({"id": id, name: None if amount is None else astuple(amount)}) + "\n"
        try:
            with self._path.open("ab", buffering=0) as stream:
                whole = stream.write(line.encode()) == len(line)
                self._file = _identity(stream.fileno())
        except OSError as error:
            raise self._unwritable(error) from None
        if not whole:  # the rest had no room; whoever reads it next takes the beginning away
            raise RunFolderError(f"cannot write the ledger {self._path}: no space left")
        self._read_to += len(line)
        self.account.note(id, may_take, took)

    def _catch_up(self) -> None:
        """Note what was written since. A last line that a kill cut off goes: its attempt was not begun, or has no end."""
        try:
            with self._path.open("r+b") as stream:
                file, size = _identity(stream.fileno()), stream.seek(0, os.SEEK_END)
                if file != self._file or size < self._read_to:  # deleted, to forget what was spent
                    self._read_to, self._file, self.account = 0, file, _Account()
                stream.seek(self._read_to)
                text = stream.read()
                whole = text[: text.rfind(b"\n") + 1]
                for line in whole.splitlines():
                    self._note(json.loads(line))
                self._read_to += len(whole)
                if len(whole) < len(text):
                    stream.truncate(self._read_to)
        except FileNotFoundError:
            self._read_to, self._file, self.account = 0, (0, 0), _Account()
        except (OSError, ValueError, TypeError, KeyError):
            raise RunFolderError(f"{self._path} is damaged: delete it to forget what was spent") from None

    def _note(self, table: Any) -> None:
        if isinstance(table, list):  # as earlier versions wrote attempts that had ended
            self.account.note("", None, _amount(table))
        elif "may_take" in table:
            self.account.note(table["id"], _amount(table["may_take"]), None)
        else:
            self.account.note(table["id"], None, _amount(table["took"]))

    def _unwritable(self, error: OSError) -> RunFolderError:
        return RunFolderError(f"cannot write the ledger {self._path}: {error.strerror}")


class Purse:
    """What a run has left. May be used from any thread.

    `ledger` is a file that says what each attempt may take and what it took. Runs at once, and later ones, that name the
    same ledger have one budget together. An attempt is let through if all that was spent, all that those in flight may
    take, in whichever process, and what it may take itself stay within the limits.
    """

    def __init__(self, limits: Limits, ledger: Path | None = None) -> None:
        self._limits = limits
        self._ledger = _Ledger(ledger) if ledger else None
        self._alone = _Account()
        self._turn = threading.Lock()
        self._name, self._number = secrets.token_hex(4), count()
        if self._ledger and ledger and ledger.exists():
            with self._ledger.turn():
                pass

    @property
    def limits(self) -> Limits:
        """The most that may be spent."""
        return self._limits

    @property
    def spent(self) -> Spent:
        """What was taken so far, as far as this process knows."""
        return (self._ledger.account if self._ledger else self._alone).spent

    @contextmanager
    def book(self, expected: Spent) -> Iterator[Booking]:
        """Book an attempt. Raises BudgetError where there is no room for it. What it was settled with is written down at the
        end, however it ended.
        """
        id = f"{self._name}-{next(self._number)}"
        with self._turn, self._held() as account:
            self._check(account, expected)
            self._note(id, may_take=expected)
        booking = Booking()
        try:
            yield booking
        finally:
            with self._turn, self._held():
                self._note(id, took=booking.taken or Spent())

    def _held(self) -> AbstractContextManager[_Account]:
        return self._ledger.turn() if self._ledger else nullcontext(self._alone)

    def _note(self, id: str, may_take: Spent | None = None, took: Spent | None = None) -> None:
        if self._ledger:
            self._ledger.add(id, may_take, took)
        else:
            self._alone.note(id, may_take, took)

    def _check(self, account: _Account, expected: Spent) -> None:
        limits, spent, total = self._limits, account.spent, account.most + expected
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


def _amount(table: Any) -> Spent:
    calls, tokens, cost = table
    return Spent(int(calls), int(tokens), float(cost))


def _identity(number: int) -> tuple[int, int]:
    """Which file an open one is, so that another of the same name is not taken for it."""
    found = os.fstat(number)
    return found.st_dev, found.st_ino
