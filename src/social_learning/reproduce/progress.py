"""Progress over many runs as if they were one: cells of runs and trials of audits, counted through."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from social_learning.audit_plan import Plan
from social_learning.progress import Watch
from social_learning.reproduce.plan import Part
from social_learning.reproduce.state import audited, cells_left


@dataclass(frozen=True, slots=True)
class Stage:
    """One run or audit: the task, how many cells or trials it has, and how many were done before."""

    task: str
    total: int
    done: int


class Whole:
    """A Watch that tells another one of all stages together, and names the task in each step. `went_on` is called when more is
    done than before.
    """

    def __init__(self, watch: Watch, parts: Sequence[Part], went_on: Callable[[], None]) -> None:
        self._watch = watch
        self._went_on = went_on
        self._stages = [stage for part in parts for stage in _stages(part)]
        self._at = -1
        self._told = -1

    @contextmanager
    def stage(self) -> Iterator[None]:
        """Go on to the next stage."""
        self._at += 1
        yield
        self.cells(1, 1)

    def cells(self, done: int, total: int) -> None:
        """So many of this stage are done: the rest is all that is left of it."""
        now = self._stages[self._at]
        before = sum(stage.total for stage in self._stages[: self._at])
        after = sum(stage.done for stage in self._stages[self._at + 1 :])
        here = max(now.done, now.total - (total - done))
        if self._told != (told := before + here + after):
            self._watch.cells(told, sum(stage.total for stage in self._stages))
            self._went_on()
        self._told = told

    def step(self, what: str, done: int, total: int) -> None:
        """Pass on, with the task."""
        self._watch.step(f"{self._stages[self._at].task} {what}", done, total)

    def model(self, what: str, done: int, total: int) -> None:
        """Pass on."""
        self._watch.model(what, done, total)

    def tokens(self, count: int) -> None:
        """Pass on."""
        self._watch.tokens(count)


def _stages(part: Part) -> list[Stage]:
    run = Stage(part.task, len(part.cells), len(part.cells) - len(cells_left(part)))
    return [run, *(_audit(part, plan) for plan in part.audits)]


def _audit(part: Part, plan: Plan) -> Stage:
    total = sum(map(plan.wanted, audited(part)))
    return Stage(part.task, total, total - sum(plan.left(part.folder, arm) for arm in audited(part)))
