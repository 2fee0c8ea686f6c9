"""Sharing examples: teachers send examples their models wrote, and the student picks among them at random, or by vote."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from social_learning.errors import TeachingError
from social_learning.lesson import Lesson
from social_learning.messages import ReplyExamples, ReplyVote, RequestVote
from social_learning.protocols.base import Ask, Protocol, Replies, example_replies, why_nothing
from social_learning.protocols.candidates import Candidate, Generation, candidates_of, pick, without_repeats
from social_learning.protocols.grading import best_lesson, has_choice
from social_learning.task import Task

MAX_ROUNDS = 6
"""How often teachers are asked again while too few usable examples have come in."""


def random_examples(
    task: Task, teachers: Sequence[str], count: int, generation: Generation, rng: np.random.Generator
) -> Protocol:
    """Pick `count` of the teachers' examples at random (the paper's random aggregator); or, with `generation.lessons` above 1, so
    that teachers grade the lesson well (see `best_lesson`).

    Teachers are asked again, up to MAX_ROUNDS times, until enough have come in; raises TeachingError where that fails.
    """
    pool: list[Candidate] = []
    heard: list[ReplyExamples] = []
    for round in range(MAX_ROUNDS):
        replies = yield Ask(generation.request(round), tuple(teachers))
        heard.extend(example_replies(replies, task))
        pool = without_repeats(task, pool + candidates_of(task, replies))
        chosen = pick(task, pool, count, generation.balanced, rng) if len(pool) >= count else []
        if len(chosen) == count and has_choice(pool, count, generation, round + 1):
            return lesson_of(task, (yield from best_lesson(task, pool, count, teachers, generation, rng, round + 1)))
    raise TeachingError(
        f"{len(teachers)} teachers sent {len(pool)} usable examples in {MAX_ROUNDS} rounds, the lesson needs {count}; "
        f"{why_nothing(heard)}"
    )


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
        fresh = [c for c in without_repeats(task, candidates_of(task, replies)) if task.render(c.example) not in taken]
        if generation.balanced:
            fresh = _rarest(task, fresh, chosen)
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


def _rarest(task: Task, fresh: list[Candidate], chosen: list[Candidate]) -> list[Candidate]:
    """Only candidates of the label that the lesson has least of, among those on offer; without labels, of the answers."""
    counts = Counter(candidate.example.answer.casefold() for candidate in chosen)
    least = min((counts[candidate.example.answer.casefold()] for candidate in fresh), default=0)
    rare = [candidate for candidate in fresh if counts[candidate.example.answer.casefold()] == least]
    return [candidate for candidate in rare if not task.labels or candidate.example.answer == rare[0].example.answer]


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
