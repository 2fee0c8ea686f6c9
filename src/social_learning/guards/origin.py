"""What items are held against: the private text of a silo, and the part of it that a model was shown."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from social_learning.privacy.detectors import Detector, FormDetector, Found
from social_learning.privacy.distance import normalized_distance
from social_learning.privacy.wording import PIECE, Wordings
from social_learning.task import Example, Task
from social_learning.text import normalise, words_of

LONG_FIELD_WORDS = 5
"""A private field of at least this many words is a copy wherever it turns up; a shorter one only as a whole question.
"""


class Private:
    """What a silo's examples come to, for guards: worked out once, when first needed."""

    def __init__(self, task: Task, examples: Sequence[Example], detector: Detector | None = None) -> None:
        self.task = task
        self.examples = tuple(examples)
        self._detector = detector or FormDetector()

    @cached_property
    def questions(self) -> frozenset[str]:
        """All private questions, normalised."""
        return frozenset(normalise(self.task.question(example.fields)) for example in self.examples)

    @cached_property
    def long_fields(self) -> tuple[str, ...]:
        """All private fields and free answers of at least LONG_FIELD_WORDS words, normalised."""
        texts = {normalise(text) for text in self._texts}
        return tuple(sorted(text for text in texts if text.count(" ") + 1 >= LONG_FIELD_WORDS))

    @cached_property
    def found(self) -> Found:
        """The names, numbers, e-mail addresses and links of the silo."""
        return self._detector.find(self._texts)

    @cached_property
    def words(self) -> str:
        """All private texts, normalised to words between blanks, with a line break between two texts."""
        return "\n".join(f" {' '.join(words_of(text))} " for text in self._texts)

    @cached_property
    def wordings(self) -> Wordings:
        """All private fields and free answers by their words."""
        return Wordings(self._texts)

    @property
    def _texts(self) -> list[str]:
        return [text for example in self.examples for text in private_texts(self.task, example)]


@dataclass(frozen=True)
class Origin:
    """What an item is held against: what is private in its silo, and the private text its model was shown."""

    private: Private = field(repr=False)
    prompt: str = field(default="", repr=False)

    @property
    def task(self) -> Task:
        """The task of the silo."""
        return self.private.task

    def forms(self, item: Example | str) -> tuple[str, ...]:
        """Return an item as texts that may stand in the prompt: an example in the task's format, and label first where the
        prompt is.
        """
        if isinstance(item, str):
            return (item,)
        first = self.task.can_label_first and self.prompt.startswith(self.task.ask_for_label(""))
        return (self.task.render(item), *((self.task.render_label_first(item),) if first else ()))

    def distance(self, item: Example | str) -> float:
        """Return the normalised distance of an item from the prompt it was written after, in [0, 1].

        In a prompt that holds its examples label first, an example is a copy in that form, and in the task's own it is not:
        the least distance of both forms counts.
        """
        return min(normalized_distance(form, self.prompt) for form in self.forms(item))

    def changed(self, item: Example | str, below: float = 1.0) -> float:
        """Return the share of changed words, in [0, 1], from the nearest private text of the whole silo: the least of an
        example's fields and free answer. 1 where that is not less than `below`.
        """
        return min((self.private.wordings.nearest(text, below) for text in texts_of(self.task, item)), default=1.0)

    def holds_piece(self, item: Example | str) -> bool:
        """Tell whether an item repeats PIECE words in a row of some private text of the silo."""
        return any(
            f" {' '.join(words[first : first + PIECE])} " in self.private.words
            for words in map(words_of, texts_of(self.task, item))
            for first in range(len(words) - PIECE + 1)
        )


def private_texts(task: Task, example: Example) -> tuple[str, ...]:
    """The texts of an example that may be private: its fields, and its answer where that is no label."""
    return (*example.fields.values(), *(() if task.labels else (example.answer,)))


def texts_of(task: Task, item: Example | str) -> tuple[str, ...]:
    """The texts of an item that are held against private ones, one by one."""
    return (item,) if isinstance(item, str) else private_texts(task, item)
