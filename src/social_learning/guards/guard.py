"""A guard, as the door knows it."""

from typing import Protocol

from social_learning.guards.origin import Origin
from social_learning.task import Example


class Guard(Protocol):
    """Looks at items on their way out. The origin tells what is private."""

    @property
    def name(self) -> str:
        """The guard's name in the experiment file and in results."""

    def check_text(self, item: str, origin: Origin) -> str | None:
        """Return the text as it may leave (the same, or mended), or None to drop it.

        `item` is an instruction, or one field of an example.
        """

    def check_example(self, example: Example, origin: Origin) -> Example | None:
        """Return the example as it may leave, or None to drop it."""
