"""Cloze: turning running text into a question whose answer is a word of the text itself.

A model that is shown passages with their last word missing writes passages, and hardly ever the gap. So the gap is set
afterwards, at a word that has come up before, so that it can be found by reading; and where the private examples could have theirs.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from social_learning.errors import TaskError
from social_learning.guards import PUNCTUATION, words_of
from social_learning.task import ANSWER, Example, Task

TAIL = 0.1
"""In each respect a gap is like the other nine tenths of the private ones; docs/results.md says what that is worth."""


@dataclass(frozen=True, slots=True)
class GapStyle:
    """Where gaps may be: after at least `before` words, at a word that stands in at most the share `rarity` of the private
    examples, in [0, 1], and has come up before, for the last time at least `back` words earlier.

    `shares` is the share of private examples that hold a word, in (0, 1]; words that are not there are in none.
    """

    before: int
    back: int
    rarity: float
    shares: Mapping[str, float] = field(repr=False)


def style_of(task: Task, examples: Sequence[Example]) -> GapStyle:
    """Return where the gaps of private examples are, but for the extreme tenth in each respect; at least one example."""
    last = task.field_names[-1]
    counts = Counter(word for e in examples for word in set(words_of(f"{e.fields[last]} {e.answer}")))
    shares = {word: count / len(examples) for word, count in counts.items()}
    texts = [_known(_words(task, e.fields)) for e in examples]
    answers = [e.answer.casefold() for e in examples]
    back = [_back(words, answer) for words, answer in zip(texts, answers, strict=True) if answer in words]
    return GapStyle(
        before=int(np.quantile([len(words) for words in texts], TAIL, method="lower")),
        back=int(np.quantile(back, TAIL, method="lower")) if back else 1,
        rarity=float(np.quantile([shares.get(answer, 0) for answer in answers], 1 - TAIL, method="higher")),
        shares=shares,
    )


def with_gap(task: Task, fields: Mapping[str, str], style: GapStyle) -> Example | None:
    """Cut the question's last field before a word, which becomes the answer. None where `style` allows no such word.

    It is the one that stands in fewest private examples; of several, the last.
    """
    last = task.field_names[-1]
    words = _words(task, fields)
    known = _known(words)
    places = [
        place
        for place in range(style.before, len(words))
        if known[place].isalpha()
        and known[place] in known[:place]
        and _back(known[:place], known[place]) >= style.back
        and style.shares.get(known[place], 0) <= style.rarity
    ]
    if not places:
        return None
    place = min(places, key=lambda place: (style.shares.get(known[place], 0), -place))
    try:
        answer = words[place].strip(PUNCTUATION)
        return task.example({**fields, last: " ".join(words[:place]) + task.gap, ANSWER: answer})
    except TaskError:
        return None


def _words(task: Task, fields: Mapping[str, str]) -> list[str]:
    return fields[task.field_names[-1]].removesuffix(task.gap).split()


def _known(words: Sequence[str]) -> list[str]:
    """Words as they are compared, one for one: unlike `words_of`, punctuation by itself keeps its place."""
    return [word.strip(PUNCTUATION).casefold() for word in words]


def _back(known: Sequence[str], word: str) -> int:
    """How many words before the end of a text one of its words came up for the last time."""
    return known[::-1].index(word) + 1
