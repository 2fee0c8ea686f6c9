"""The judge: how a teacher rates examples and lessons that came from everywhere, by what its silo held out.

Held-out examples take no part in teaching. Of what is found here only numbers leave the silo, through the teacher.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from social_learning.answer import Failure
from social_learning.lesson import Lesson
from social_learning.models.base import LanguageModel
from social_learning.student import Student
from social_learning.task import SEPARATOR, Example, Task

VOTE_SHOTS = 16
"""How many held-out examples a teacher judges candidates after, at most: the first ones of its random split."""

WITHHELD: tuple[Failure, ...] = ("refused", "missing")
"""Failures that are not the lesson's."""

By = Literal["likelihood", "answers"]


class Judge:
    """Rates by the held-out examples of one silo, with its teacher's model."""

    def __init__(self, task: Task, model: LanguageModel, held_out: Sequence[Example]) -> None:
        self._task = task
        self._model = model
        self._held_out = held_out

    def marks(self, candidates: Sequence[Example], by: By) -> list[float]:
        """Return a number for each candidate, more is better; see RequestVote."""
        shown = self._held_out[:VOTE_SHOTS]
        if by == "answers":
            return self._shares_right([[candidate] for candidate in candidates], shown)
        # Log-likelihood per token after the held-out examples (appendix H).
        prompt = SEPARATOR.join(self._task.render(example) for example in shown)
        end = self._task.label_end
        scores = self._model.score([(prompt, SEPARATOR + self._task.render(c) + end) for c in candidates])
        return [score.per_token for score in scores]

    def grades(self, lessons: Sequence[Sequence[Example]], questions: int, by: By) -> list[float]:
        """Return each lesson's grade, in [0, 1]; see RequestGrades."""
        asked = self._held_out[:questions]
        if by == "answers":
            return self._shares_right(lessons, asked)
        return [float(np.mean(self._student(examples).grades(asked))) for examples in lessons]

    def _shares_right(self, lessons: Sequence[Sequence[Example]], asked: Sequence[Example]) -> list[float]:
        """Return the share of right answers after each lesson; the mean of the others where no answer came after one, so that
        nothing speaks for or against it.
        """
        shares = [self._share_right(examples, asked) for examples in lessons]
        known = [share for share in shares if share is not None]
        return [float(np.mean(known or [0.0])) if share is None else share for share in shares]

    def _share_right(self, examples: Sequence[Example], asked: Sequence[Example]) -> float | None:
        """The share of right answers among those that came; None where none did.

        What a filter withheld, or the model did not give, says nothing of the lesson. What cannot be read does: a lesson shows
        how answers are written, and the fewer of them could be read, the more its share would rest on chance.
        """
        answers = self._student(examples, free=True).answers([example.fields for example in asked])
        there = [(a.text, e) for a, e in zip(answers, asked, strict=True) if a.failure not in WITHHELD]
        right = [text is not None and self._task.correct(text, example) for text, example in there]
        return sum(right) / len(right) if right else None

    def _student(self, examples: Sequence[Example], free: bool = False) -> Student:
        lesson = Lesson(task=self._task, examples=tuple(examples))
        return Student(self._model, lesson, answer_by="free" if free else "auto")
