"""Live view: a run's progress on the terminal, with the time left; plain lines where there is no terminal."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from social_learning.config import DEFAULT_MODEL


class Live:
    """A Watch with three bars: the whole run, the step at hand, and what the model does. Use as a context manager."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("left"),
            TimeRemainingColumn(compact=True),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._bars: dict[str, tuple[TaskID, str, int]] = {}
        self._started = time.monotonic()

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def cells(self, done: int, total: int) -> None:
        """Move the bar of the whole run."""
        self._move("run", "whole run", done, total)
        self._say(f"{done} of {total} parts of the run are done")

    def step(self, what: str, done: int, total: int) -> None:
        """Move the bar of a cell's step."""
        self._move("step", what, done, total)

    def model(self, what: str, done: int, total: int) -> None:
        """Move the bar of a model's call."""
        self._move("model", what, done, total)
        if what.startswith("loading") and not done:
            self._say(what + (" (the first time: half a minute)" if DEFAULT_MODEL in what else ""))

    def _move(self, bar: str, what: str, done: int, total: int) -> None:
        """Move a bar; something new, or the same begun again, gets a fresh one, or its time left would be wrong."""
        task, before, so_far = self._bars.get(bar, (None, "", 0))
        if task is None or what != before or done < so_far:
            if task is not None:
                self._progress.remove_task(task)
            task = self._progress.add_task(what, total=total)
            self._progress.refresh()
        self._progress.update(task, completed=done, total=total)
        self._bars[bar] = (task, what, done)

    def _say(self, text: str) -> None:
        if not self._console.is_terminal:
            seconds = time.monotonic() - self._started
            self._console.print(f"[{seconds:.0f} s] {text}", highlight=False, markup=False)
