"""Progress: what a run tells whoever watches it."""

from typing import Protocol


class Watch(Protocol):
    """Told what is going on: `cells` over the whole run, `step` within a cell, `model` within one call of a model.

    Each is told how much is done, and of how much; what starts is told with `done` 0.
    """

    def cells(self, done: int, total: int) -> None:
        """So many cells of a run, or trials of an audit, are finished."""

    def step(self, what: str, done: int, total: int) -> None:
        """So many parts of one step of a cell are done."""

    def model(self, what: str, done: int, total: int) -> None:
        """A model is loading, generating or scoring, and so far with it."""

    def tokens(self, count: int) -> None:
        """A model has computed so many more tokens, prompts and answers together; may come from any thread."""


class Unwatched:
    """Tells nobody."""

    def cells(self, done: int, total: int) -> None:
        """Ignore."""

    def step(self, what: str, done: int, total: int) -> None:
        """Ignore."""

    def model(self, what: str, done: int, total: int) -> None:
        """Ignore."""

    def tokens(self, count: int) -> None:
        """Ignore."""
