"""Copies: private text word for word."""

from dataclasses import dataclass

from social_learning.guards.origin import LONG_FIELD_WORDS, Origin, private_texts
from social_learning.task import Example
from social_learning.text import normalise


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
