"""Cloze: turning running text into a question whose answer is a word of the text itself.

A model that is shown passages with their last word missing writes passages, and hardly ever the gap. So the gap is set
afterwards, at a word that can be found by reading: one that has come up before and is no everyday word.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

from social_learning.errors import TaskError
from social_learning.guards import PUNCTUATION, words_of
from social_learning.task import ANSWER, Example, Task

LEAST_BEFORE = 25
"""So many words stand before the gap at least."""

EVERYDAY = 0.1
"""A word in more than this share of the private examples is an everyday word."""


def word_shares(task: Task, examples: Sequence[Example]) -> dict[str, float]:
    """Return, for each word, the share of examples, in (0, 1], whose last field or answer holds it."""
    last = task.field_names[-1]
    counts = Counter(word for e in examples for word in set(words_of(f"{e.fields[last]} {e.answer}")))
    return {word: count / len(examples) for word, count in counts.items()}


def with_gap(task: Task, fields: Mapping[str, str], shares: Mapping[str, float]) -> Example | None:
    """Cut the question's last field before a word, which becomes the answer. None where there is no such word.

    It is the rarest by `shares` of the words that have come up before and are no everyday words; of several, the last.
    """
    last = task.field_names[-1]
    words = fields[last].removesuffix(task.gap).split()
    bare = [word.strip(PUNCTUATION) for word in words]
    known = [word.casefold() for word in bare]
    places = [
        place
        for place in range(LEAST_BEFORE, len(words))
        if bare[place].isalpha() and known[place] in known[:place] and shares.get(known[place], 0) <= EVERYDAY
    ]
    if not places:
        return None
    place = min(places, key=lambda place: (shares.get(known[place], 0), -place))
    try:
        return task.example({**fields, last: " ".join(words[:place]) + task.gap, ANSWER: bare[place]})
    except TaskError:
        return None
