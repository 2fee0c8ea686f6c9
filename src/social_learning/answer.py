"""Answers: what a student's model gave for a question, read by the task, or why there is none."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Self, get_args

Failure = Literal["unparsed", "refused", "missing", "over_budget"]
FAILURES: tuple[Failure, ...] = get_args(Failure)
"""Why there is no answer: what the model wrote cannot be read as one, a filter withheld it, the model gave none, or the run's
budget ended before it was asked for.
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, or a failure: one of the two is None. A failure is no answer, so it is never a wrong one.

    `logprobs` holds, by label, the natural log-probability of each label among all of the task's, calibrated where the student is;
    it is empty where the student did not choose among labels, and two answers are the same whatever it holds. The repr tells which
    failure it is, never the text.
    """

    text: str | None = field(default=None, repr=False)
    failure: Failure | None = None
    logprobs: Mapping[str, float] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        if (self.text is None) == (self.failure is None):
            raise ValueError("an answer is either a text or a failure")

    @classmethod
    def read(cls, text: str | None) -> Self:
        """What a task read in a text that the model gave; None where it could read nothing."""
        return cls(text) if text is not None else cls(failure="unparsed")
