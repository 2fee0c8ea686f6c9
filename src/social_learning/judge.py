"""The judge: how a teacher rates examples and lessons that came from everywhere, by what its silo held out.

Held-out examples take no part in teaching. Of what is found here only numbers leave the silo, through the teacher.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from social_learning.lesson import Lesson
from social_learning.models.base import LanguageModel
from social_learning.student import Student
from social_learning.task import SEPARATOR, Example, Task

VOTE_SHOTS = 16
"""How many held-out examples a teacher judges candidates after, at most: the first ones of its random split."""

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
            return [self._share_right([candidate], shown) for candidate in candidates]
        # Log-likelihood per token after the held-out examples (appendix H).
        prompt = SEPARATOR.join(self._task.render(example) for example in shown)
        scores = self._model.score([(prompt, SEPARATOR + self._task.render(c)) for c in candidates])
        return [score.per_token for score in scores]

    def grades(self, lessons: Sequence[Sequence[Example]], questions: int, by: By) -> list[float]:
        """Return each lesson's grade, in [0, 1]; see RequestGrades."""
        asked = self._held_out[:questions]
        if by == "answers":
            return [self._share_right(examples, asked) for examples in lessons]
        return [float(np.mean(self._student(examples).grades(asked))) for examples in lessons]

    def _share_right(self, examples: Sequence[Example], asked: Sequence[Example]) -> float:
        answers = self._student(examples, free=True).answers([example.fields for example in asked])
        right = [a is not None and self._task.correct(a, e) for a, e in zip(answers, asked, strict=True)]
        return sum(right) / len(right)

    def _student(self, examples: Sequence[Example], free: bool = False) -> Student:
        lesson = Lesson(task=self._task, examples=tuple(examples))
        return Student(self._model, lesson, answer_by="free" if free else "auto")
