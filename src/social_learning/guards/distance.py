"""Distance: what is nearly a copy."""

from dataclasses import dataclass

from social_learning.guards.origin import Origin, texts_of
from social_learning.task import Example


@dataclass(frozen=True)
class MinDistance:
    """Drops what is closer than `least` (in [0, 1]): by letters to the private text its model was shown, or by words to any
    private text of the silo of five words or more; and what repeats a piece of such a text, PIECE words in a row.

    By letters is the paper's normalised distance, of an example as a whole, in any form that the prompt has, and of one of its
    texts alone: the words of the format, which every example has, make nothing near. By words is the share of words
    changed, of a field or a free answer.
    """

    least: float
    name: str = "min_distance"

    def check_text(self, item: str, origin: Origin) -> str | None:
        """Drop a text that is too close."""
        return None if self._near(item, origin) else item

    def check_example(self, example: Example, origin: Origin) -> Example | None:
        """Drop an example that is too close."""
        return None if self._near(example, origin) else example

    def _near(self, item: Example | str, origin: Origin) -> bool:
        if origin.changed(item, below=self.least) < self.least or origin.holds_piece(item):
            return True
        alone = texts_of(origin.task, item)
        return origin.distance(item) < self.least and any(origin.distance(text) < self.least for text in alone)
