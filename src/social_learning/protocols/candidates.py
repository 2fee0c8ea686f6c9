"""Candidates: examples that came in from teachers, how they are asked for, and how a lesson's worth of them is picked."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from social_learning.lesson import Source
from social_learning.messages import RequestExamples
from social_learning.protocols.base import Replies, example_replies
from social_learning.task import Example, Task


@dataclass(frozen=True, slots=True)
class Generation:
    """What teachers are asked for in each round, and how the student picks; see RequestExamples for most of it.

    `balanced` picks about equally many examples of each label, labels in turn; without labels, no answer twice, as far as the
    pool has others: a student says an answer again that it has seen twice. `lessons` is how many whole lessons are picked,
    of which teachers grade the best one, by `questions` held-out examples each; none of them has more than `share` equal parts of
    such a lesson. `vote_by`: see RequestVote and RequestGrades.
    `cohort`: how many teachers are asked at a time, see `cohort_examples`; None for all of them.
    """

    shots: int
    samples: int
    count: int
    temperature: float
    top_p: float
    way: Literal["plain", "label-first"]
    self_check: bool
    balanced: bool
    complete: bool = False
    cloze: bool = False
    lessons: int = 1
    questions: int = 8
    share: float = 1.0
    vote_by: Literal["likelihood", "answers"] = "likelihood"
    cohort: int | None = None

    def request(self, round: int) -> RequestExamples:
        """Return the request of a round."""
        return RequestExamples(
            round=round,
            count=self.count,
            shots=self.shots,
            samples=self.samples,
            way=self.way,
            self_check=self.self_check,
            complete=self.complete,
            cloze=self.cloze,
            temperature=self.temperature,
            top_p=self.top_p,
        )


@dataclass(frozen=True, slots=True)
class Candidate:
    """An example that came in, and from where."""

    example: Example
    source: Source


def pick(
    task: Task,
    pool: Sequence[Candidate],
    count: int,
    balanced: bool,
    rng: np.random.Generator,
    merits: Sequence[float] | None = None,
    share: int | None = None,
) -> list[Candidate]:
    """Pick `count` candidates, in random order; with `merits`, one for each of `pool`, those of highest merit, best first.

    `share`: at most so many of one teacher, as far as the others have enough; beyond that, of whoever has least. `balanced`: labels
    in turn, as far as the pool has them; of other answers, letter case aside, first those that the lesson has least often.
    """
    places = rng.permutation(len(pool)).tolist()
    if merits is not None:
        places.sort(key=lambda place: -merits[place])
    order = [pool[place] for place in places]
    if not (balanced and task.labels):
        return _in_turn([order], count, share, balanced)
    piles = [[c for c in order if c.example.answer == label] for label in rng.permutation(list(task.labels))]
    return _in_turn(piles, count, share, balanced)


def _in_turn(piles: Sequence[list[Candidate]], count: int, share: int | None, balanced: bool) -> list[Candidate]:
    """Take from each pile in turn the first candidate whose teacher has had least beyond its share; `balanced`: of several such,
    the first whose answer was taken least.
    """
    left, chosen = [list(pile) for pile in piles], list[Candidate]()
    of_teacher, of_answer = Counter[str](), Counter[str]()
    while len(chosen) < count and any(left):
        for pile in filter(None, left):
            had = [
                (
                    0 if share is None else max(0, of_teacher[c.source.teacher] - share + 1),
                    of_answer[c.example.answer.casefold()] if balanced else 0,
                )
                for c in pile
            ]
            candidate = pile.pop(had.index(min(had)))
            of_teacher[candidate.source.teacher] += 1
            of_answer[candidate.example.answer.casefold()] += 1
            chosen.append(candidate)
    return chosen[:count]


def candidates_of(task: Task, replies: Replies) -> list[Candidate]:
    """Return all examples of a round's replies, with their sources, in order."""
    return [
        Candidate(example, Source(teacher=reply.teacher, round=reply.round))
        for reply in example_replies(replies, task)
        for example in reply.examples
    ]


def without_repeats(task: Task, candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return candidates that read differently, the first of those that read alike."""
    return list({task.render(candidate.example): candidate for candidate in reversed(candidates)}.values())[::-1]
