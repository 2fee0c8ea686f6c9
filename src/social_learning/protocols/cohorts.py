"""Cohorts: sharing examples with more teachers than the student has memory for. They are asked some at a time, and of what came
in only a reservoir of fixed size is kept.
"""

import heapq
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from social_learning.errors import TeachingError
from social_learning.protocols.base import Ask, Protocol, example_replies, in_words, reasons
from social_learning.protocols.candidates import Candidate, Generation, candidates_of, pick
from social_learning.protocols.examples import MAX_ROUNDS, lesson_of
from social_learning.protocols.grading import CHOICE, best_lesson, has_choice
from social_learning.task import Task


class Reservoir:
    """The candidates with the smallest of random numbers, at most `size` of each of `piles`, which are labels; one pile where
    there are none.

    Each candidate is kept with the same chance, whatever came before or comes later, and one that is not kept leaves
    nothing behind (reservoir sampling, with a number drawn for each item). A candidate like one that is kept is left out;
    so an example that many teachers send is likelier to be kept than another.
    """

    def __init__(self, task: Task, size: int, piles: Sequence[str], rng: np.random.Generator) -> None:
        self._task, self._size, self._rng = task, size, rng
        # Largest number first, so that the one to go is at the front; the count decides between equals.
        self._piles: dict[str, list[tuple[float, int, Candidate]]] = {pile: [] for pile in piles or ("",)}
        self._kept: set[str] = set()
        self._count = 0

    def offer(self, candidate: Candidate) -> None:
        """Keep a candidate, perhaps, and let go of another one for it."""
        number, text = float(self._rng.random()), self._task.render(candidate.example)
        self._count += 1
        if text in self._kept:
            return
        pile = self._piles.get(candidate.example.answer) if "" not in self._piles else self._piles[""]
        if pile is None:
            return
        self._kept.add(text)
        heapq.heappush(pile, (-number, -self._count, candidate))
        if len(pile) > self._size:
            self._kept.remove(self._task.render(heapq.heappop(pile)[2].example))

    def candidates(self) -> list[Candidate]:
        """Return what is kept, pile by pile, in the order it came in."""
        return [
            candidate for pile in self._piles.values() for _, _, candidate in sorted(pile, key=lambda kept: -kept[1])
        ]


def cohort_examples(
    task: Task, teachers: Sequence[str], count: int, generation: Generation, rng: np.random.Generator
) -> Protocol:
    """Pick `count` of the teachers' examples at random, as `random_examples` does, with teachers asked in cohorts.

    Memory holds one cohort's replies, at most `count` candidates per label (CHOICE times as many where lessons are graded), and
    counts. All teachers are asked once, and again, up to MAX_ROUNDS times, until enough have come in; raises TeachingError where
    that fails. Several lessons are graded by as many teachers as a cohort has, chosen at random from all of them.
    """
    size = count if generation.lessons == 1 else CHOICE * count
    reservoir = Reservoir(task, size, task.labels if generation.balanced else (), rng)
    heard, pool = Counter[str](), list[Candidate]()
    for round in range(MAX_ROUNDS):
        for cohort in _cohorts(teachers, generation.cohort or len(teachers)):
            replies = yield Ask(generation.request(round), cohort)
            heard += reasons(example_replies(replies, task))
            for candidate in candidates_of(task, replies):
                reservoir.offer(candidate)
        pool = reservoir.candidates()
        chosen = pick(task, pool, count, generation.balanced, rng) if len(pool) >= count else []
        if len(chosen) == count and has_choice(pool, count, generation, round + 1):
            graders = [teachers[i] for i in sorted(rng.permutation(len(teachers))[: generation.cohort])]
            return lesson_of(task, (yield from best_lesson(task, pool, count, graders, generation, rng, round + 1)))
    raise TeachingError(
        f"{len(teachers)} teachers sent {len(pool)} usable examples in {MAX_ROUNDS} rounds, the lesson needs {count}; "
        f"{in_words(heard)}"
    )


def _cohorts(teachers: Sequence[str], size: int) -> Iterable[tuple[str, ...]]:
    return (tuple(teachers[first : first + size]) for first in range(0, len(teachers), size))
