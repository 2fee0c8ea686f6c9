"""Grading: looking among the lessons that could be made of the candidates for one that teachers grade well.

Half of the lessons are drawn at random. Their grades tell what single examples are worth, and what is left of the lessons is drawn
by that, in two turns. Only grades leave the silos.
"""

import math
from collections.abc import Generator, Mapping, Sequence

import numpy as np

from social_learning.errors import TeachingError
from social_learning.messages import Reply, ReplyGrades, RequestGrades
from social_learning.protocols.base import Ask, Replies
from social_learning.protocols.candidates import Candidate, Generation, pick
from social_learning.task import Task

Lessons = list[list[Candidate]]

CHOICE = 3
"""So many times as many candidates as a lesson has are wanted, and so many rounds are spent on them at most: lessons that share
most of their examples get much the same grades.
"""

TRIMMED = 1 / 8
"""This share of a lesson's grades is left out at either end, rounded up; at least one is left."""

SHRINKAGE = 2.0
"""The penalty of the ridge regression, in lessons: what stands in few lessons is taken for an average example."""

NOISE = 0.5
"""How much chance there is in later turns: its standard deviation, in those of the examples' worth."""


def has_choice(pool: Sequence[Candidate], count: int, generation: Generation, rounds: int) -> bool:
    """Whether candidates, after so many rounds, are enough to make different lessons of; without grades they need not be."""
    return generation.lessons == 1 or len(pool) >= CHOICE * count or rounds >= CHOICE


def best_lesson(
    task: Task,
    pool: Sequence[Candidate],
    count: int,
    teachers: Sequence[str],
    generation: Generation,
    rng: np.random.Generator,
    round: int,
) -> Generator[Ask, Replies, list[Candidate]]:
    """Have teachers grade `generation.lessons` lessons of `count` candidates each, and return the best one; a single lesson is
    graded by nobody. Requests are numbered from `round`.

    Only teachers that graded all lessons count, each by how a lesson's grade differs from its mean grade. For each lesson, an eighth
    of these at either end is left out, one at least: from three graders on, one alone cannot push a lesson beyond what others gave
    it. Nor has a teacher more than its share of a lesson, `generation.share` equal parts, as far as others sent enough. Raises
    TeachingError where no teacher graded all.
    """
    balanced = generation.balanced
    if generation.lessons == 1:
        return pick(task, pool, count, balanced, rng)
    share = math.ceil(generation.share * count / len({candidate.source.teacher for candidate in pool}))
    later = generation.lessons // 4
    lessons = [pick(task, pool, count, balanced, rng, share=share) for _ in range(generation.lessons - 2 * later)]
    grades = yield from _graded(lessons, teachers, generation, round)
    for turn in range(1, 3 if later else 1):
        worth = _worth(pool, lessons, _trimmed(grades))
        more = [_drawn_by(worth, task, pool, count, balanced, rng, share) for _ in range(later)]
        added = yield from _graded(more, teachers, generation, round + turn)
        lessons += more
        grades = {name: [*row, *added[name]] for name, row in grades.items() if name in added}
    return lessons[int(np.argmax(_trimmed(grades)))]


def _graded(
    lessons: Lessons, teachers: Sequence[str], generation: Generation, round: int
) -> Generator[Ask, Replies, dict[str, list[float]]]:
    """Ask for grades; returns each teacher's, in the order of the lessons."""
    offered = list({id(candidate): candidate for lesson in lessons for candidate in lesson}.values())
    places = {id(candidate): place for place, candidate in enumerate(offered)}
    request = RequestGrades(
        round=round,
        candidates=tuple(candidate.example for candidate in offered),
        lessons=tuple(tuple(places[id(candidate)] for candidate in lesson) for lesson in lessons),
        questions=generation.questions,
        by=generation.vote_by,
    )
    replies = yield Ask(request, tuple(teachers))
    return {name: _grades(name, reply, len(lessons)) for name, reply in replies.items()}


def _grades(name: str, reply: Reply, lessons: int) -> list[float]:
    if not isinstance(reply, ReplyGrades) or len(reply.grades) != lessons:
        raise TeachingError(f"teacher {name!r} did not answer with grades for {lessons} lessons")
    return list(reply.grades)


def _trimmed(grades: Mapping[str, Sequence[float]]) -> np.ndarray:
    """The trimmed mean of each lesson's grades, each less its grader's mean: how hard a grader's questions are says nothing of
    lessons, and would make room for one that lies.
    """
    if not grades:
        raise TeachingError("no teacher graded the lessons")
    left_out = min((len(grades) - 1) // 2, math.ceil(TRIMMED * len(grades)))
    given = np.array(list(grades.values()), dtype=float)
    rows = np.sort(given - given.mean(axis=1, keepdims=True), axis=0)
    trimmed: np.ndarray = rows[left_out : len(rows) - left_out].mean(axis=0)
    return trimmed


def _worth(pool: Sequence[Candidate], lessons: Lessons, grades: np.ndarray) -> np.ndarray:
    """What each candidate adds to a lesson's grade: ridge regression of grades on what stands in a lesson (Hoerl and Kennard,
    1970), in its form with as many unknowns as lessons.
    """
    held = np.array([[any(candidate is c for c in lesson) for candidate in pool] for lesson in lessons], dtype=float)
    held -= held.mean(axis=0)
    worth: np.ndarray = held.T @ np.linalg.solve(
        held @ held.T + SHRINKAGE * np.eye(len(lessons)), grades - grades.mean()
    )
    return worth


def _drawn_by(
    worth: np.ndarray,
    task: Task,
    pool: Sequence[Candidate],
    count: int,
    balanced: bool,
    rng: np.random.Generator,
    share: int,
) -> list[Candidate]:
    """Pick the candidates that seem to be worth most, with some chance in it, in random order."""
    noisy = worth + NOISE * worth.std() * rng.standard_normal(len(pool))
    chosen = pick(task, pool, count, balanced, rng, noisy.tolist(), share)
    return pick(task, chosen, count, balanced, rng)
