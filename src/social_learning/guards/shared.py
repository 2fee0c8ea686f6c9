"""Shared items: numbers, addresses, links and names of the silo."""

from dataclasses import dataclass
from typing import Literal

from social_learning.guards.origin import Origin, texts_of
from social_learning.privacy.detectors import LEAST_DIGITS, is_common, shared_items
from social_learning.task import Example


@dataclass(frozen=True)
class NoSharedItems:
    """Drops what holds an item of the silo, as the origin's detector finds them: `names`; or `numbers`, among which e-mail
    addresses and links count.

    Only numbers of at least `digits` digits count, and without `common` no round ones and no years.
    """

    kind: Literal["numbers", "names"]
    digits: int = LEAST_DIGITS
    common: bool = True

    @property
    def name(self) -> str:
        """`no_shared_numbers` or `no_shared_names`."""
        return f"no_shared_{self.kind}"

    def check_text(self, item: str, origin: Origin) -> str | None:
        """Drop a text with such an item."""
        return None if self._shares(item, origin) else item

    def check_example(self, example: Example, origin: Origin) -> Example | None:
        """Drop an example with such an item in a field, or in an answer that is no label."""
        return None if any(self._shares(text, origin) for text in texts_of(origin.task, example)) else example

    def _shares(self, text: str, origin: Origin) -> bool:
        found = shared_items(origin.private.found, text)
        if self.kind == "names":
            return bool(found.names)
        return bool(found.emails or found.links) or any(map(self._counts, found.numbers))

    def _counts(self, number: str) -> bool:
        return len(number) >= self.digits and (self.common or not is_common(number))
