"""Live view: a run's progress on the terminal, with the time left; plain lines where there is no terminal."""

import threading
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from social_learning.report.numbers import duration
from social_learning.settings import DEFAULT_MODEL

LAST = 60.0
"""The pace is that of so many seconds before now."""

SELDOM = 60.0
"""Without a terminal, steps are told at most once in so many seconds; and after as many without a word, what the model does."""


class Live:
    """A Watch with three bars: the whole run, the step at hand, and what the model does. Use as a context manager.

    `clock` tells seconds.
    """

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[left]}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._bars: dict[str, tuple[TaskID, str]] = {}
        self._lefts: dict[tuple[str, str], Left] = {}
        self._started = clock()
        self._pace = Pace(self._started)
        self._step_told = ("", -SELDOM)
        self._step, self._said = "", self._started

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def cells(self, done: int, total: int) -> None:
        """Move the bar of the whole run."""
        left = self._move("run", "whole run", done, total)
        told = f"{done} of {total} parts of the run are done{self._pace.told(self._clock())}"
        self._say(told + (f", {left}" if left else ""))

    def step(self, what: str, done: int, total: int) -> None:
        """Move the bar of a cell's step."""
        self._move("step", what, done, total)
        self._step = what
        (before, at), now = self._step_told, self._clock()
        if what != before and now - at >= SELDOM:
            self._say(f"{what}, {done} of {total}")
            self._step_told = (what, now)

    def model(self, what: str, done: int, total: int) -> None:
        """Move the bar of a model's call."""
        self._move("model", what, done, total, self._pace.told(self._clock()))
        if what.startswith("loading") and not done:
            self._say(what + (" (the first time: half a minute)" if DEFAULT_MODEL in what else ""))
        elif self._clock() - self._said >= SELDOM:
            self._say(f"{self._step}: {what}{self._pace.told(self._clock())}")

    def tokens(self, count: int) -> None:
        """Count what models compute, for the pace."""
        self._pace.add(self._clock(), count)

    def _move(self, bar: str, what: str, done: int, total: int, remark: str = "") -> str:
        """Move a bar, and return the time left; what is come back to goes on with the pace that it had."""
        left = self._lefts.setdefault((bar, what), Left())
        left.move(self._clock(), done, total)
        if done >= total:
            del self._lefts[bar, what]
        task, before = self._bars.get(bar, (None, ""))
        if task is None:
            task = self._progress.add_task(what, total=total, left="")
        elif what != before or not done:
            self._progress.refresh()  # so that a step that is over is seen to be
        self._progress.update(task, completed=done, total=total, description=what + remark, left=left.told())
        self._bars[bar] = (task, what)
        return left.told()

    def _say(self, text: str) -> None:
        if not self._console.is_terminal:
            self._said = self._clock()
            seconds = self._said - self._started
            self._console.print(f"[{seconds:.0f} s] {text}", highlight=False, markup=False)


class Pace:
    """How many tokens a second models compute; counted from any thread."""

    def __init__(self, started: float) -> None:
        self._started = started
        self._counts: deque[tuple[float, int]] = deque()
        self._turn = threading.Lock()

    def add(self, now: float, count: int) -> None:
        """Count tokens that were computed up to now, in seconds of one clock."""
        with self._turn:
            self._counts.append((now, count))

    def told(self, now: float) -> str:
        """Return the pace of the last minute in words; empty where nothing was computed."""
        with self._turn:
            # A count tells what was computed since the one before it, so that one is where time begins.
            while len(self._counts) > 1 and self._counts[0][0] < now - LAST:
                self._started = self._counts.popleft()[0]
            seconds = now - self._started
            return (
                f", {sum(n for _, n in self._counts) / seconds:,.0f} tokens/s" if self._counts and seconds > 0 else ""
            )


class Left:
    """How long the rest takes if it goes on like the parts done since the first look, or since it was begun again."""

    def __init__(self) -> None:
        self._first: tuple[float, int] | None = None
        self._so_far = 0
        self._told = ""

    def move(self, now: float, done: int, total: int) -> None:
        """Take down that so many parts of all are done now, in seconds of one clock."""
        if self._first is None or done < self._so_far or not done:
            self._first = (now, done)
        before, at_first = self._first
        self._so_far, gained = done, done - at_first
        self._told = (
            f"about {duration((now - before) / gained * (total - done))} left" if gained and done < total else ""
        )

    def told(self) -> str:
        """Return the time left in words; empty where it is not known."""
        return self._told
