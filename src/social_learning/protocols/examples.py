"""Sharing examples: teachers send examples their models wrote, and the student picks among them at random, or by vote."""

import itertools
import math
from collections import Counter
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from social_learning.errors import TeachingError
from social_learning.lesson import Lesson, Source
from social_learning.messages import (
    Reply,
    ReplyExamples,
    ReplyGrades,
    ReplyVote,
    RequestExamples,
    RequestGrades,
    RequestVote,
)
from social_learning.protocols.base import Ask, Protocol, Replies, example_replies, why_nothing
from social_learning.task import Example, Task

MAX_ROUNDS = 6
"""How often teachers are asked again while too few usable examples have come in."""

TRIMMED = 1 / 8
"""This share of a lesson's grades is left out at either end, rounded up; at least one is left."""


@dataclass(frozen=True, slots=True)
class Generation:
    """What teachers are asked for in each round, and how the student picks; see RequestExamples for most of it.

    `balanced` picks about equally many examples of each label, labels in turn. `lessons` is how many whole lessons are picked,
    of which teachers grade the best one, by `questions` held-out examples each. `vote_by`: see RequestVote and RequestGrades.
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


def random_examples(
    task: Task, teachers: Sequence[str], count: int, generation: Generation, rng: np.random.Generator
) -> Protocol:
    """Pick `count` of the teachers' examples at random (the paper's random aggregator), `generation.lessons` times over; of
    several lessons, take the one that teachers grade best.

    Teachers are asked again, up to MAX_ROUNDS times, until enough have come in; raises TeachingError where that fails.
    """
    pool: list[Candidate] = []
    heard: list[ReplyExamples] = []
    for round in range(MAX_ROUNDS):
        replies = yield Ask(generation.request(round), tuple(teachers))
        heard.extend(example_replies(replies, task))
        pool = _without_repeats(task, pool + candidates_of(task, replies))
        chosen = pick(task, pool, count, generation.balanced, rng) if len(pool) >= count else []
        if len(chosen) == count:
            others = [pick(task, pool, count, generation.balanced, rng) for _ in range(generation.lessons - 1)]
            return lesson_of(task, (yield from best_of([chosen, *others], teachers, generation, round + 1)))
    raise TeachingError(
        f"{len(teachers)} teachers sent {len(pool)} usable examples in {MAX_ROUNDS} rounds, the lesson needs {count}; "
        f"{why_nothing(heard)}"
    )


def best_of(
    lessons: Sequence[list[Candidate]], teachers: Sequence[str], generation: Generation, round: int
) -> Generator[Ask, Replies, list[Candidate]]:
    """Have teachers grade lessons, and return the best one.

    For each lesson, an eighth of its grades at either end is left out, one at least: from three graders on, one alone cannot push a
    lesson beyond what others gave it.
    """
    if len(lessons) == 1:
        return lessons[0]
    offered = list({id(candidate): candidate for candidate in itertools.chain(*lessons)}.values())
    places = {id(candidate): place for place, candidate in enumerate(offered)}
    request = RequestGrades(
        round=round,
        candidates=tuple(candidate.example for candidate in offered),
        lessons=tuple(tuple(places[id(candidate)] for candidate in lesson) for lesson in lessons),
        questions=generation.questions,
        by=generation.vote_by,
    )
    replies = yield Ask(request, tuple(teachers))
    grades = [_grades(name, reply, len(lessons)) for name, reply in replies.items()]
    if not grades:
        raise TeachingError("no teacher graded the lessons")
    left_out = min((len(grades) - 1) // 2, math.ceil(TRIMMED * len(grades)))
    trimmed = np.sort(grades, axis=0)[left_out : len(grades) - left_out]
    return lessons[int(np.argmax(trimmed.mean(axis=0)))]


def _grades(name: str, reply: Reply, lessons: int) -> tuple[float, ...]:
    if not isinstance(reply, ReplyGrades) or len(reply.grades) != lessons:
        raise TeachingError(f"teacher {name!r} did not answer with grades for {lessons} lessons")
    return reply.grades


def voted_examples(
    task: Task, teachers: Sequence[str], count: int, generation: Generation, rng: np.random.Generator
) -> Protocol:
    """Generate, vote, select, `count` times over (the paper's voting aggregator, appendix H).

    Every teacher votes for the candidate that its held-out examples speak for; the one with most votes is chosen,
    a tie is broken at random. An example that was chosen is no candidate again.
    """
    chosen: list[Candidate] = []
    heard: list[ReplyExamples] = []
    for turn in range(count + MAX_ROUNDS):
        replies = yield Ask(generation.request(2 * turn), tuple(teachers))
        heard.extend(example_replies(replies, task))
        taken = {task.render(candidate.example) for candidate in chosen}
        fresh = [c for c in _without_repeats(task, candidates_of(task, replies)) if task.render(c.example) not in taken]
        if generation.balanced and task.labels:
            fresh = _rarest_label(fresh, chosen)
        if not fresh:
            continue
        ballot = RequestVote(round=2 * turn + 1, candidates=tuple(c.example for c in fresh), by=generation.vote_by)
        votes = yield Ask(ballot, tuple(teachers))
        chosen.append(fresh[_winner(votes, len(fresh), rng)])
        if len(chosen) == count:
            return lesson_of(task, chosen)
    raise TeachingError(
        f"{len(teachers)} teachers agreed on {len(chosen)} examples in {count + MAX_ROUNDS} rounds, the lesson needs {count}; "
        f"{why_nothing(heard)}"
    )


def pick(
    task: Task, pool: Sequence[Candidate], count: int, balanced: bool, rng: np.random.Generator
) -> list[Candidate]:
    """Pick `count` candidates at random; `balanced`: labels in turn, as far as the pool has them. The order is random
    too.
    """
    order = [pool[i] for i in rng.permutation(len(pool))]
    if not (balanced and task.labels):
        return order[:count]
    piles = [[c for c in order if c.example.answer == label] for label in rng.permutation(list(task.labels))]
    return [pile[turn] for turn in range(len(order)) for pile in piles if turn < len(pile)][:count]


def candidates_of(task: Task, replies: Replies) -> list[Candidate]:
    """Return all examples of a round's replies, with their sources, in order."""
    return [
        Candidate(example, Source(teacher=reply.teacher, round=reply.round))
        for reply in example_replies(replies, task)
        for example in reply.examples
    ]


def _without_repeats(task: Task, candidates: Sequence[Candidate]) -> list[Candidate]:
    return list({task.render(candidate.example): candidate for candidate in reversed(candidates)}.values())[::-1]


def _rarest_label(fresh: list[Candidate], chosen: list[Candidate]) -> list[Candidate]:
    """Only candidates of the label that the lesson has least of, among those on offer."""
    counts = Counter(candidate.example.answer for candidate in chosen)
    rarest = min((candidate.example.answer for candidate in fresh), key=lambda label: counts[label], default=None)
    return [candidate for candidate in fresh if candidate.example.answer == rarest]


def _winner(votes: Replies, candidates: int, rng: np.random.Generator) -> int:
    """The index with most votes; ties are broken at random."""
    tally = np.zeros(candidates, dtype=int)
    for name, vote in votes.items():
        if not isinstance(vote, ReplyVote) or vote.choice >= candidates:
            raise TeachingError(f"teacher {name!r} did not answer with a vote for one of {candidates} candidates")
        tally[vote.choice] += 1
    return int(rng.choice(np.flatnonzero(tally == tally.max())))


def lesson_of(task: Task, chosen: Sequence[Candidate]) -> Lesson:
    """Return the lesson of the candidates chosen."""
    return Lesson(
        task=task,
        examples=tuple(candidate.example for candidate in chosen),
        sources=tuple(candidate.source for candidate in chosen),
    )
