"""Progress: what a run tells whoever watches it."""

from typing import Protocol


class Watch(Protocol):
    """Told what is going on. `step` counts within one step, `cells` over the whole run."""

    def cells(self, done: int, total: int) -> None:
        """So many cells of all are finished."""

    def step(self, what: str, done: int, total: int) -> None:
        """So many parts of one step are done; a step starts with `done` 0."""


class Unwatched:
    """Tells nobody."""

    def cells(self, done: int, total: int) -> None:
        """Ignore."""

    def step(self, what: str, done: int, total: int) -> None:
        """Ignore."""
