"""Students: a lesson and a model answer questions. Teachers are gone by then."""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from social_learning.errors import ModelError
from social_learning.lesson import Lesson
from social_learning.models.base import LanguageModel, Sampling

AnswerMode = Literal["auto", "free", "labels"]

CONTENT_FREE = ("N/A", "[MASK]", "-")
"""Inputs that say nothing, whose mean label probabilities show the bias of a lesson (Zhao et al., arXiv 2102.09690)."""


class Student:
    """A model that answers questions with a lesson.

    `answer_by`: `free` continues the prompt greedily and parses the answer, as in the paper; `labels` takes the label of highest
    log-likelihood; `auto` is `labels` for tasks that have labels. `calibrate` (labels only) first takes from each label's
    log-likelihood what the lesson gives it for content-free inputs. Raises ModelError where `labels` or `calibrate` is asked for
    a task without labels.
    """

    def __init__(
        self, model: LanguageModel, lesson: Lesson, *, answer_by: AnswerMode = "auto", calibrate: bool = False
    ) -> None:
        self._model = model
        self._task = lesson.task
        self.lesson = lesson
        by_labels = answer_by == "labels" or (answer_by == "auto" and bool(self._task.labels))
        if (by_labels or calibrate) and not self._task.labels:
            raise ModelError(f"task {self._task.name!r} has no labels to choose from: let the student answer freely")
        self._by_labels = by_labels
        self._calibrate = calibrate and by_labels

    def answer(self, fields: Mapping[str, str]) -> str | None:
        """Return the answer to one question, given by field name; None where the model's continuation cannot be read."""
        return self.answers([fields])[0]

    def answers(self, questions: Sequence[Mapping[str, str]]) -> list[str | None]:
        """Return the answer to each question, in order; None where one cannot be read."""
        return self._choose(questions) if self._by_labels else self._continue(questions)

    def _continue(self, questions: Sequence[Mapping[str, str]]) -> list[str | None]:
        sampling = Sampling(max_tokens=self._task.max_answer_tokens, stop=self._task.stop)
        completions = self._model.generate([self.lesson.prompt(fields) for fields in questions], sampling)
        return [self._task.parse_answer(row[0].text) for row in completions]

    def _choose(self, questions: Sequence[Mapping[str, str]]) -> list[str | None]:
        asked = list(questions)
        if self._calibrate:
            asked = [dict.fromkeys(self._task.field_names, text) for text in CONTENT_FREE] + asked
        scores = self._label_scores(asked)
        if self._calibrate:
            blank = scores[: len(CONTENT_FREE)]
            bias = np.log(np.mean(np.exp(blank - np.logaddexp.reduce(blank, axis=1, keepdims=True)), axis=0))
            scores = scores[len(CONTENT_FREE) :] - bias
        return [self._task.labels[i] for i in np.argmax(scores, axis=1)]

    def _label_scores(self, questions: Sequence[Mapping[str, str]]) -> np.ndarray:
        """Return the log-likelihood of each label after each question, shape (questions, labels)."""
        labels = self._task.labels
        pairs = [
            (self.lesson.prompt(fields), self._task.continuation(label)) for fields in questions for label in labels
        ]
        scores = self._model.score(pairs)
        return np.array([score.logprob for score in scores]).reshape(-1, len(labels))
