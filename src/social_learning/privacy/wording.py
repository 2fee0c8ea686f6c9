"""Wording: the share of its words that would have to change to make one text of another. Finds near copies.

The distance of the paper counts letters, against a whole prompt and together with the words of the task's format. So it
depends on how long a changed word is and how short the text, and unlike texts come out at 0.4 to 0.9. By words, texts
that have nothing to do with each other come out at 0.6 to 1 whatever their length, and one changed word at one part in
as many as there are.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from social_learning.privacy.detectors import NUMBER
from social_learning.text import words_of

LEAST_WORDS = 5
"""Shorter private texts are common wording and have no near copies: with one word of four changed it is another text."""

NEAR = 0.25
"""What is nearer than this to a private text is a near copy of it: fewer than one word in four changed."""

PIECE = 8
"""So many words in a row that a private text holds too are a piece of it, whatever stands around them: in texts that have nothing to
do with each other the longest common runs have three or four.
"""


def wording(text: str) -> tuple[str, ...]:
    """Return the words of a text as they are compared; a number is one word, however its digits are grouped."""
    return tuple(words_of(NUMBER.sub(lambda number: re.sub(r"[ ,()/-]", "", number[0]), text)))


def edits(words: Sequence[str], others: Sequence[str], anywhere: bool) -> int:
    """Return the least number of words to replace, insert or drop that makes `others` of `words`; with `anywhere`, some passage
    of `others`, be it empty.

    Levenshtein's distance, a column of its table at a time as bits of an integer (Myers 1999, in the form of Hyyro 2003).
    """
    if not words:
        return 0 if anywhere else len(others)
    places: dict[str, int] = {}
    for place, word in enumerate(words):
        places[word] = places.get(word, 0) | 1 << place
    every, last = (1 << len(words)) - 1, 1 << (len(words) - 1)
    # The differences between neighbours in a column, one bit each: +1 (up) or -1 (down).
    up, down, distance = every, 0, len(words)
    least = distance
    for word in others:
        match = places.get(word, 0)
        below = match | down
        level = (((match & up) + up) ^ up) | match
        rise, fall = down | (every & ~(level | up)), up & level
        distance += bool(rise & last) - bool(fall & last)
        rise, fall = rise << 1 | (not anywhere), fall << 1
        up, down = (fall | ~(below | rise)) & every, rise & below & every
        least = min(least, distance)
    return least if anywhere else distance


def changed(words: Sequence[str], others: Sequence[str]) -> float:
    """Return the share of changed words between two texts, in [0, 1], the same both ways; 1 where either has no words.

    The edits that make the shorter a passage of the longer, divided by its words. A text of fewer than LEAST_WORDS
    is compared with the whole longer one, and by its words.
    """
    short, long = sorted((words, others), key=len)
    if not short:
        return 1.0
    if len(short) < LEAST_WORDS:
        return edits(short, long, anywhere=False) / len(long)
    return edits(short, long, anywhere=True) / len(short)


class Wordings:
    """The private texts of a silo by their words, to find the nearest; those of fewer than LEAST_WORDS are left out."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._texts = sorted({words for text in texts if len(words := wording(text)) >= LEAST_WORDS})
        holders: dict[str, list[tuple[int, int]]] = {}
        for number, words in enumerate(self._texts):
            for word, count in Counter(words).items():
                holders.setdefault(word, []).append((number, count))
        # For each word which texts hold it, and how often.
        self._holders = {word: np.array(pairs).T for word, pairs in holders.items()}
        self._lengths = np.array([len(words) for words in self._texts], dtype=int)

    def __repr__(self) -> str:
        return f"Wordings({len(self._texts)} texts)"

    def nearest(self, text: str, below: float = 1.0) -> float:
        """Return the share of changed words to the nearest private text where that is less than `below`, else 1.

        A word that the other text does not hold has to change, so only texts that hold enough of the words are
        looked at, those that hold most first.
        """
        words = wording(text)
        common = np.zeros(len(self._texts))
        for word, count in Counter(words).items():
            if word in self._holders:
                holders, counts = self._holders[word]
                common[holders] += np.minimum(counts, count)
        if not common.any():
            return 1.0
        compared = np.minimum(self._lengths, len(words)) if len(words) >= LEAST_WORDS else self._lengths
        bounds = 1 - common / compared
        best = below
        for number in np.argsort(bounds, kind="stable"):
            if bounds[number] >= best:
                break
            best = min(best, changed(words, self._texts[number]))
        return best if best < below else 1.0
