"""Cloze: turning running text into a question whose answer is a word of the text itself.

A model that is shown passages with their last word missing writes passages, and hardly ever the gap. So the gap is set
afterwards, at a word that has come up before, so that it can be found by reading; and where the private examples could have theirs.
Of such places the best is the one of whose word the whole text tells most: LAMBADA's own words are those that readers found after the
whole passage, and not after its last sentence (Paperno et al., 2016, arXiv 1606.06031).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from social_learning.errors import TaskError
from social_learning.models.base import LanguageModel
from social_learning.task import ANSWER, Example, Task
from social_learning.text import PUNCTUATION, words_of

TAIL = 0.1
"""In each respect a gap is like the other nine tenths of the private ones; docs/results.md says what that is worth."""


FEW = 8
"""After so many words alone, the last ones before it, a gap's word is to be hard to guess."""


@dataclass(frozen=True, slots=True)
class Gap:
    """An example with its gap at one of the places where it may be. `whole` and `few` are the text before the gap and its last
    words, each with the answer, as a model scores them.
    """

    example: Example
    whole: tuple[str, str] = field(repr=False)
    few: tuple[str, str] = field(repr=False)


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

    def allows(self, known: Sequence[str], place: int) -> bool:
        """Whether the word at `place` may be a gap's, where `known` are a text's words as they are compared."""
        word, read = known[place], known[:place]
        return (
            place >= self.before
            and word.isalpha()
            and word in read
            and _back(read, word) >= self.back
            and self.shares.get(word, 0) <= self.rarity
        )


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


def gaps_in(task: Task, fields: Mapping[str, str], style: GapStyle) -> list[Gap]:
    """Cut the question's last field before each word where `style` allows it; the word becomes the answer."""
    words = _words(task, fields)
    known = _known(words)
    gaps = (_gap(task, fields, words, place) for place in range(len(words)) if style.allows(known, place))
    return [gap for gap in gaps if gap]


def gains(model: LanguageModel, gaps: Sequence[Gap]) -> list[float]:
    """Return by how much likelier the model finds each gap's word after the whole text than after its last words: a difference of
    natural logs.
    """
    scores = model.score([pair for gap in gaps for pair in (gap.whole, gap.few)]) if gaps else []
    return [whole.logprob - few.logprob for whole, few in zip(scores[::2], scores[1::2], strict=True)]


def _gap(task: Task, fields: Mapping[str, str], words: Sequence[str], place: int) -> Gap | None:
    last, answer = task.field_names[-1], words[place].strip(PUNCTUATION)
    try:
        example = task.example({**fields, last: " ".join(words[:place]) + task.gap, ANSWER: answer})
    except TaskError:
        return None
    whole, few = " ".join(words[:place]), " ".join(words[max(0, place - FEW) : place])
    return Gap(example, (whole, f" {answer}"), (few, f" {answer}"))


def _words(task: Task, fields: Mapping[str, str]) -> list[str]:
    return fields[task.field_names[-1]].removesuffix(task.gap).split()


def _known(words: Sequence[str]) -> list[str]:
    """Words as they are compared, one for one: unlike `words_of`, punctuation by itself keeps its place."""
    return [word.strip(PUNCTUATION).casefold() for word in words]


def _back(known: Sequence[str], word: str) -> int:
    """How many words before the end of a text one of its words came up for the last time."""
    return known[::-1].index(word) + 1
