"""Students: a lesson and a model answer questions. Teachers are gone by then."""

import math
from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np

from social_learning.answer import Answer
from social_learning.errors import ModelError
from social_learning.lesson import AnswerMode, Lesson
from social_learning.models.base import Completion, LanguageModel, Sampling
from social_learning.seeds import generator
from social_learning.task import Example

CONTENT_FREE = ("N/A", "[MASK]", "-")
"""Inputs that say nothing, for lessons without examples (Zhao et al., arXiv 2102.09690)."""

WORD_SALADS = 16
"""How many inputs of shuffled words show the bias of a lesson with examples."""


class Student:
    """A model that answers questions with a lesson.

    `answer_by`: `free` continues the prompt greedily and parses the answer, as in the paper; `labels` takes the label
    of highest log-likelihood; `auto` is `labels` for tasks that have labels. `calibrate` (labels only) takes from each
    label's log-likelihood the mean bias that the lesson shows for inputs that say nothing: words of its own examples
    in random order (domain-context calibration, Fei et al., arXiv 2305.19148), or `CONTENT_FREE` where it has no
    examples. `seed` draws those words. Raises ModelError where `labels` is asked for a task without labels.
    """

    def __init__(
        self,
        model: LanguageModel,
        lesson: Lesson,
        *,
        answer_by: AnswerMode = "auto",
        calibrate: bool = True,
        seed: int = 0,
    ) -> None:
        self._model = model
        self._task = lesson.task
        self.lesson = lesson
        by_labels = answer_by == "labels" or (answer_by == "auto" and bool(self._task.labels))
        if by_labels and not self._task.labels:
            raise ModelError(f"task {self._task.name!r} has no labels to choose from: let the student answer freely")
        self._by_labels = by_labels
        self._blanks = self._blank_questions(generator(seed, "calibration")) if calibrate and by_labels else []

    @classmethod
    def tested(cls, lesson: Lesson, model: LanguageModel) -> Self:
        """Return the student that a run tested with this lesson: the lesson says how it answers. Whether the model is the one
        that was tested, `lesson.student.identity` tells. Raises ModelError where the lesson does not say.
        """
        told = lesson.student
        if told is None:
            raise ModelError(
                "the lesson does not say which student was tested: say how it answers with Student(model, lesson, ...)"
            )
        return cls(model, lesson, answer_by=told.answer_by, calibrate=told.calibrate, seed=told.seed)

    def answer(self, fields: Mapping[str, str]) -> str | None:
        """Return the answer to one question, given by field name; None where there is none, for which `answers` says why."""
        return self.answers([fields])[0].text

    def answers(self, questions: Sequence[Mapping[str, str]]) -> list[Answer]:
        """Return the answer to each question, in order, or why there is none.

        Raises BudgetError where the run's budget does not suffice for all of them; what was answered is in the call cache.
        """
        return self._choose(questions) if self._by_labels else self._continue(questions)

    def _continue(self, questions: Sequence[Mapping[str, str]]) -> list[Answer]:
        sampling = Sampling(max_tokens=self._task.max_answer_tokens, stop=self._task.stop)
        completions = self._model.generate([self.lesson.prompt(fields) for fields in questions], sampling)
        return [self._read(row[0]) for row in completions]

    def _read(self, completion: Completion) -> Answer:
        """Read a continuation. One that was cut off before its first letter is there, but cannot be read."""
        if completion.finish == "refused":
            return Answer(failure="refused")
        if completion.finish == "missing" or (completion.finish == "stop" and not completion.text.strip()):
            return Answer(failure="missing")
        return Answer.read(self._task.parse_answer(completion.text))

    def grades(self, examples: Sequence[Example]) -> list[float]:
        """Return how well the student would answer each example's question, in [0, 1], in order: how probable it finds the right
        label, calibrated; without labels, the mean of how probable it finds the right answer as the text that follows (the geometric
        mean over its tokens: a worked answer as a whole has hardly any probability) and of whether it would say just that (1) or
        not (0). What is said counts in the end, and a probability tells what is close to it.
        """
        questions = [example.fields for example in examples]
        if self._by_labels:
            scores = self._calibrated(questions)
            right = [self._task.labels.index(example.answer) for example in examples]
            shares = np.exp(scores - np.logaddexp.reduce(scores, axis=1, keepdims=True))
            return [float(share) for share in shares[np.arange(len(right)), right]]
        pairs = [(self.lesson.prompt(e.fields), self._task.continuation(e.answer)) for e in examples]
        return [(math.exp(min(0.0, score.per_token)) + score.greedy) / 2 for score in self._model.score(pairs)]

    def _choose(self, questions: Sequence[Mapping[str, str]]) -> list[Answer]:
        scores = self._calibrated(questions)
        shares = scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)
        labels = self._task.labels
        return [
            Answer(labels[int(np.argmax(row))], logprobs=dict(zip(labels, share.tolist(), strict=True)))
            for row, share in zip(scores, shares, strict=True)
        ]

    def _calibrated(self, questions: Sequence[Mapping[str, str]]) -> np.ndarray:
        """Return the log-likelihood of each label after each question, less the lesson's bias, shape (questions, labels)."""
        scores = self._label_scores([*self._blanks, *questions])
        blank = scores[: len(self._blanks)]
        if len(blank):
            shares = np.exp(blank - np.logaddexp.reduce(blank, axis=1, keepdims=True))
            scores = scores - np.log(shares.mean(axis=0))
        return scores[len(blank) :]

    def _blank_questions(self, rng: np.random.Generator) -> list[dict[str, str]]:
        """Questions that say nothing: for each field, as many words as its mean, drawn from all examples of the lesson."""
        names, examples = self._task.field_names, self.lesson.examples
        if not examples:
            return [dict.fromkeys(names, text) for text in CONTENT_FREE]
        words = {name: [example.fields[name].split() for example in examples] for name in names}
        pools = {name: [word for text in texts for word in text] for name, texts in words.items()}
        sizes = {name: max(1, round(len(pools[name]) / len(examples))) for name in names}
        salads = {
            name: rng.integers(len(pool), size=(WORD_SALADS, sizes[name])).tolist() for name, pool in pools.items()
        }
        return [
            {name: " ".join([pools[name][place] for place in salads[name][salad]]) for name in names}
            for salad in range(WORD_SALADS)
        ]

    def _label_scores(self, questions: Sequence[Mapping[str, str]]) -> np.ndarray:
        """Return the log-likelihood of each label after each question, shape (questions, labels)."""
        labels = self._task.labels
        continuations = [self._task.scored_label(label) for label in labels]
        pairs = [
            (prompt, continuation) for prompt in map(self.lesson.prompt, questions) for continuation in continuations
        ]
        scores = self._model.score(pairs)
        return np.array([score.logprob for score in scores]).reshape(-1, len(labels))
