"""Live view: a run's progress on the terminal, with the time left; plain lines where there is no terminal."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


class Live:
    """A Watch that shows a bar for the whole run and one for the step at hand. Use as a context manager."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(compact=True),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._run: TaskID | None = None
        self._step: TaskID | None = None
        self._what = ""
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
        if self._run is None:
            self._run = self._progress.add_task("whole run", total=total)
        self._progress.update(self._run, completed=done, total=total)
        if not self._console.is_terminal:
            seconds = time.monotonic() - self._started
            self._console.print(
                f"[{seconds:.0f} s] {done} of {total} parts of the run are done", highlight=False, markup=False
            )

    def step(self, what: str, done: int, total: int) -> None:
        """Move the bar of one step; a new step gets a new bar."""
        if what != self._what or self._step is None:
            if self._step is not None:
                self._progress.remove_task(self._step)
            self._step = self._progress.add_task(what, total=total)
            self._what = what
        self._progress.update(self._step, completed=done, total=total)
