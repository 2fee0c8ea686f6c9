"""The door: the guards that settings ask for, in the order they are applied, and a count of what each did."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Literal, Protocol, TypeVar

from social_learning.guards.copies import NoCopies
from social_learning.guards.distance import MinDistance
from social_learning.guards.guard import Guard
from social_learning.guards.origin import Origin
from social_learning.guards.plain import PlainText
from social_learning.guards.shared import NoSharedItems
from social_learning.messages import GuardResult
from social_learning.privacy.detectors import LEAST_DIGITS
from social_learning.privacy.wording import NEAR
from social_learning.task import Example, Task

LONG_NUMBER = 7
"""Where answers are numbers, numbers are what a task is about: only so long ones (telephones, accounts) tell whose they are.
"""


class GuardTable(Protocol):
    """The settings that choose guards, as experiment files and policies have them."""

    @property
    def no_copies(self) -> bool:
        """Whether verbatim copies are dropped."""

    @property
    def min_distance(self) -> float:
        """The least distance; 0 turns the guard off."""

    @property
    def no_shared_numbers(self) -> bool | Literal["auto"]:
        """Whether what holds a number, an e-mail address or a link of the silo is dropped; `auto`: a telling one."""

    @property
    def no_shared_names(self) -> bool:
        """Whether what holds a name of the silo is dropped."""


def guards_for(table: GuardTable, task: Task) -> list[Guard]:
    """Return the guards that settings ask for, in the order they are applied; `plain_text` is always among them.

    With `no_shared_numbers` on `auto` neither round numbers nor years count, and in a task whose answers are numbers only
    those of LONG_NUMBER digits or more.
    """
    guards: list[Guard] = [PlainText()]
    if table.no_copies:
        guards.append(NoCopies())
    if table.min_distance:
        guards.append(MinDistance(table.min_distance))
    if table.no_shared_numbers == "auto":
        guards.append(_no_telling_numbers(task))
    elif table.no_shared_numbers:
        guards.append(NoSharedItems("numbers"))
    if table.no_shared_names:
        guards.append(NoSharedItems("names"))
    return guards


def default_guards(task: Task) -> list[Guard]:
    """Return the guards that settings ask for where nobody says anything else."""
    return [PlainText(), NoCopies(), MinDistance(NEAR), _no_telling_numbers(task)]


def _no_telling_numbers(task: Task) -> Guard:
    return NoSharedItems("numbers", LONG_NUMBER if task.metric == "number" else LEAST_DIGITS, common=False)


Item = TypeVar("Item", Example, str)


class Door:
    """The guards of one teacher, in order, and a count of what each of them did."""

    def __init__(self, guards: Iterable[Guard]) -> None:
        self._guards = tuple(guards)
        self._passed, self._mended, self._dropped = Counter[str](), Counter[str](), Counter[str]()

    def let_out_example(self, example: Example, origin: Origin) -> Example | None:
        """Return the example as it may leave, or None."""
        return self._through(example, lambda guard, item: guard.check_example(item, origin))

    def let_out_text(self, text: str, origin: Origin) -> str | None:
        """Return the text as it may leave, or None."""
        return self._through(text, lambda guard, item: guard.check_text(item, origin))

    def _through(self, item: Item, check: Callable[[Guard, Item], Item | None]) -> Item | None:
        for guard in self._guards:
            checked = check(guard, item)
            if checked is None:
                self._dropped[guard.name] += 1
                return None
            (self._passed if checked is item or checked == item else self._mended)[guard.name] += 1
            item = checked
        return item

    def results(self) -> tuple[GuardResult, ...]:
        """Return what each guard did so far, in order."""
        return tuple(
            GuardResult(
                guard=guard.name,
                passed=self._passed[guard.name],
                mended=self._mended[guard.name],
                dropped=self._dropped[guard.name],
            )
            for guard in self._guards
        )
