"""Evaluation: a student on held-out examples. Outcomes are kept row by row, and texts are not."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from social_learning.answer import FAILURES as FAILURES
from social_learning.answer import Answer
from social_learning.answer import Failure as Failure
from social_learning.errors import BudgetError, EvaluationError
from social_learning.student import Student
from social_learning.task import Example, Task

Outcome = Literal["correct", "wrong", "unparsed", "refused", "missing", "over_budget"]
"""How a row came out: its answer right or wrong, or a failure, which is neither."""

CHUNK = 256
"""How many rows are answered at once; each chunk is in the call cache before the next one starts."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How each test row came out, in the rows' order."""

    outcomes: tuple[Outcome, ...]

    @property
    def accuracy(self) -> float:
        """Share of rows answered correctly, in [0, 1]. An answer that cannot be read is not correct.

        Raises EvaluationError for no rows: the accuracy of nothing is no number.
        """
        if not self.outcomes:
            raise EvaluationError("no test rows were answered, so there is no accuracy")
        return self.outcomes.count("correct") / len(self.outcomes)

    @property
    def failures(self) -> dict[Failure, int]:
        """How many rows ended without an answer that could be read, by kind; every kind is there."""
        return {kind: self.outcomes.count(kind) for kind in FAILURES}

    @property
    def readable(self) -> int:
        """How many answers could be read."""
        return len(self.outcomes) - sum(self.failures.values())

    @property
    def readable_accuracy(self) -> float | None:
        """Share of right ones among the answers that could be read, in [0, 1]; None where there is none."""
        return self.outcomes.count("correct") / self.readable if self.readable else None

    @property
    def unparsed(self) -> int:
        """How many answers could not be read as an answer to the task."""
        return self.outcomes.count("unparsed")

    @property
    def graded(self) -> list[int]:
        """1 for each correct row, else 0."""
        return [int(outcome == "correct") for outcome in self.outcomes]


def evaluate(
    student: Student,
    task: Task,
    test: Sequence[Example],
    progress: Callable[[int, int], None] | None = None,
    *,
    partial: bool = False,
) -> Evaluation:
    """Ask the student every test question. `progress` is told (rows done, rows in all) after each chunk.

    Raises BudgetError where the run's budget ends on the way: a part of the rows is no evaluation. With `partial` it is one, and
    rows that there was no budget for come out as `over_budget`.
    """
    outcomes: list[Outcome] = []
    for first in range(0, len(test), CHUNK):
        chunk = test[first : first + CHUNK]
        answers = (_affordable if partial else _all)(student, chunk)
        outcomes += [_outcome(task, answer, example) for answer, example in zip(answers, chunk, strict=True)]
        if progress:
            progress(len(outcomes), len(test))
    return Evaluation(tuple(outcomes))


def _all(student: Student, rows: Sequence[Example]) -> list[Answer]:
    return student.answers([example.fields for example in rows])


def _affordable(student: Student, rows: Sequence[Example]) -> list[Answer]:
    """Answers as far as the budget goes; where it ends, each row is asked for by itself: some are in the call cache by then."""
    try:
        return _all(student, rows)
    except BudgetError:
        if len(rows) == 1:
            return [Answer(failure="over_budget")]
    return [answer for row in rows for answer in _affordable(student, [row])]


def _outcome(task: Task, answer: Answer, example: Example) -> Outcome:
    if answer.failure is not None:
        return answer.failure
    return "correct" if answer.text is not None and task.correct(answer.text, example) else "wrong"
