"""Guards: what may leave a silo. Each looks at one item that is about to leave, and passes, mends or drops it.

Guards see private text; their results, which leave the silo, are counts.
"""

import string
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol, TypeVar

from social_learning.errors import TaskError
from social_learning.messages import GuardResult
from social_learning.privacy.detectors import Detector, FormDetector, Found, shared
from social_learning.privacy.distance import normalized_distance
from social_learning.task import ANSWER, Example, Task
from social_learning.unseen import is_unseen

LONG_FIELD_WORDS = 5
"""A private field of at least this many words is a copy wherever it turns up; a shorter one only as a whole question.
"""


PUNCTUATION = string.punctuation + "\u2018\u2019\u201c\u201d\u2026"


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

    def forms(self, example: Example) -> tuple[str, ...]:
        """Return an example as texts that may stand in the prompt: in the task's format, and label first where the prompt is."""
        first = self.task.can_label_first and self.prompt.startswith(self.task.ask_for_label(""))
        return (self.task.render(example), *((self.task.render_label_first(example),) if first else ()))


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


def visible(text: str) -> str:
    """Return `text` without control and invisible characters; line breaks stay, other white space becomes a blank."""
    if text.isascii() and text.replace("\n", " ").isprintable():
        return text  # most text is: a whole silo is read here for each teacher
    kept = (c if c == "\n" or not c.isspace() else " " for c in text)
    return "".join(c for c in kept if c == "\n" or not is_unseen(c))


def normalise(text: str) -> str:
    """Return `text` without case, invisible characters, variants of letters and runs of blanks: the same wording."""
    shown = visible(text)
    if shown.isascii():  # has neither variants nor, in most texts, anything else to fold
        return " ".join(shown.lower().split())
    return " ".join(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", shown).casefold()).split())


def words_of(text: str) -> list[str]:
    """Return the words of a text, normalised; punctuation at their ends does not count."""
    return [word for part in normalise(text).split() if (word := part.strip(PUNCTUATION))]


def private_texts(task: Task, example: Example) -> tuple[str, ...]:
    """The texts of an example that may be private: its fields, and its answer where that is no label."""
    return (*example.fields.values(), *(() if task.labels else (example.answer,)))


@dataclass(frozen=True)
class NoCopies:
    """Drops an example whose question is word for word a private one, and any item that holds a private field of five
    or more words word for word (blanks and case apart)."""

    name: str = "no_copies"

    def check_text(self, item: str, origin: Origin) -> str | None:
        """Drop a text that holds a long private field, or is part of one at that length."""
        text = normalise(item)
        long = text.count(" ") + 1 >= LONG_FIELD_WORDS
        copied = any(private in text or (long and text in private) for private in origin.private.long_fields)
        return None if copied else item

    def check_example(self, example: Example, origin: Origin) -> Example | None:
        """Drop an example with a private question, or with a field that copies one."""
        if normalise(origin.task.question(example.fields)) in origin.private.questions:
            return None
        texts = private_texts(origin.task, example)
        return example if all(self.check_text(text, origin) is not None for text in texts) else None


@dataclass(frozen=True)
class MinDistance:
    """Drops what is closer than `least` (in [0, 1]) to the private text its model was shown, by normalised distance."""

    least: float
    name: str = "min_distance"

    def check_text(self, item: str, origin: Origin) -> str | None:
        """Drop a text that is too close."""
        return item if normalized_distance(item, origin.prompt) >= self.least else None

    def check_example(self, example: Example, origin: Origin) -> Example | None:
        """Drop an example whose question and answer, as one text, are too close, in any form that the prompt has."""
        near = any(self.check_text(form, origin) is None for form in origin.forms(example))
        return None if near else example


@dataclass(frozen=True)
class NoSharedItems:
    """Drops what holds an item of the silo of one kind, `numbers` or `names`, as the origin's detector finds them."""

    kind: str

    @property
    def name(self) -> str:
        """`no_shared_numbers` or `no_shared_names`."""
        return f"no_shared_{self.kind}"

    def check_text(self, item: str, origin: Origin) -> str | None:
        """Drop a text with such an item."""
        return None if self.kind in shared(origin.private.found, item) else item

    def check_example(self, example: Example, origin: Origin) -> Example | None:
        """Drop an example with such an item in a field, or in an answer that is no label."""
        texts = private_texts(origin.task, example)
        return example if all(self.check_text(text, origin) is not None for text in texts) else None


@dataclass(frozen=True)
class PlainText:
    """Takes control and invisible characters out of a text; drops what broken decoding left (U+FFFD)."""

    name: str = "plain_text"

    def check_text(self, item: str, origin: Origin) -> str | None:  # noqa: ARG002  # what is private does not matter here
        """Mend or drop a text."""
        return None if "\ufffd" in item else visible(item).strip() or None

    def check_example(self, example: Example, origin: Origin) -> Example | None:
        """Mend or drop an example, field by field; what no longer fits the task's format is dropped."""
        row = {
            name: self.check_text(text, origin) for name, text in (*example.fields.items(), (ANSWER, example.answer))
        }
        task = origin.task
        # What nobody changed can still hold a line break where the format has one line.
        if row == {**example.fields, ANSWER: example.answer} and task.parse(task.render(example)) == example:
            return example
        try:
            return task.example(row)
        except TaskError:
            return None


class GuardTable(Protocol):
    """The settings that choose guards, as experiment files and policies have them."""

    @property
    def no_copies(self) -> bool:
        """Whether verbatim copies are dropped."""

    @property
    def min_distance(self) -> float:
        """The least distance; 0 turns the guard off."""

    @property
    def no_shared_numbers(self) -> bool:
        """Whether what holds a number of the silo is dropped."""

    @property
    def no_shared_names(self) -> bool:
        """Whether what holds a name of the silo is dropped."""


def guards_for(table: GuardTable) -> list[Guard]:
    """Return the guards that settings ask for, in the order they are applied; `plain_text` is always among them."""
    guards: list[Guard] = [PlainText()]
    if table.no_copies:
        guards.append(NoCopies())
    if table.min_distance:
        guards.append(MinDistance(table.min_distance))
    if table.no_shared_numbers:
        guards.append(NoSharedItems("numbers"))
    if table.no_shared_names:
        guards.append(NoSharedItems("names"))
    return guards


Item = TypeVar("Item", Example, str)


class Door:
    """The guards of one teacher, in order, and a count of what each of them did."""

    def __init__(self, guards: Iterable[Guard]) -> None:
        self._guards = tuple(guards)
        self._passed, self._mended, self._dropped = Counter[str](), Counter[str](), Counter[str]()

    def let_out_example(self, example: Example, origin: Origin) -> Example | None:
        """Return the example as it may leave, or None."""
        return self._through(example, lambda guard, item: guard.check_example(item, origin))

    def let_out_text(self, text: str, origin: Origin) -> str | None:
        """Return the text as it may leave, or None."""
        return self._through(text, lambda guard, item: guard.check_text(item, origin))

    def _through(self, item: Item, check: Callable[[Guard, Item], Item | None]) -> Item | None:
        for guard in self._guards:
            checked = check(guard, item)
            if checked is None:
                self._dropped[guard.name] += 1
                return None
            (self._passed if checked is item or checked == item else self._mended)[guard.name] += 1
            item = checked
        return item

    def results(self) -> tuple[GuardResult, ...]:
        """Return what each guard did so far, in order."""
        return tuple(
            GuardResult(
                guard=guard.name,
                passed=self._passed[guard.name],
                mended=self._mended[guard.name],
                dropped=self._dropped[guard.name],
            )
            for guard in self._guards
        )
