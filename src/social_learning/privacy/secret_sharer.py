"""Secret Sharer for social learning: plant a canary in every silo, teach, and see whether the lesson gives it away.

After Mohtashami et al., "Social Learning" (arXiv 2312.11441), which adapts Carlini et al., "The Secret Sharer" (arXiv
1802.08232): the student's prompt scores the planted canary against references drawn alike and never planted.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from social_learning.errors import ModelError, SocialLearningError
from social_learning.lesson import Lesson
from social_learning.models.base import LanguageModel
from social_learning.privacy.canaries import CanaryTask
from social_learning.privacy.exposure import exposure_extrapolated, exposure_interpolated, rank_of
from social_learning.privacy.trials import Failure, Trial
from social_learning.protocols.base import Protocol
from social_learning.silo import Silo
from social_learning.task import SEPARATOR
from social_learning.teacher import Departure, Teacher

DIGITS = 6
"""To how many digits scores are recorded and compared: beyond them numbers differ by what else was in the batch."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A trial before its teaching: the secrets (the first one is planted), the teachers, and what leaves them."""

    number: int
    secrets: Sequence[str] = field(repr=False)
    protocol: Protocol
    teachers: Mapping[str, Teacher]
    departures: list[Departure] = field(default_factory=list, repr=False)


def plant(silo: Silo, canary: CanaryTask, secret: str, rng: np.random.Generator, rows: int | None = None) -> Silo:
    """Return a silo with a canary at a random place among the examples it teaches from.

    `rows` leaves it only so many of these, the canary among them: with as many as a prompt holds, the canary is in every
    prompt.
    """
    kept = [canary.adapt(example) for example in silo.examples[: None if rows is None else rows - 1]]
    kept.insert(int(rng.integers(len(kept) + 1)), canary.example(secret))
    return Silo(silo.name, canary.task, kept, [canary.adapt(example) for example in silo.held_out])


def finish(
    prepared: Prepared, lesson: Lesson | SocialLearningError, student: LanguageModel, canary: CanaryTask
) -> Trial | Failure:
    """Score the canaries after the lesson, and return what the trial found.

    A score is the log-likelihood per token of a whole canary, as one more example after the lesson.
    """
    if not isinstance(lesson, Lesson):
        return Failure(prepared.number, str(lesson))
    scores = canary_scores(student, lesson.text, [canary.pattern.text(secret) for secret in prepared.secrets])
    own, references = scores[0], sorted(scores[1:], reverse=True)
    perplexities = [math.exp(-score) for score in references]
    secret = prepared.secrets[0]
    planted = canary.forms(secret)
    return Trial(
        number=prepared.number,
        rank=rank_of(own, references),
        score=own,
        references=tuple(references),
        interpolated=exposure_interpolated(math.exp(-own), perplexities),
        extrapolated=_extrapolated(math.exp(-own), perplexities),
        shown=sum(any(form in departure.origin.prompt for form in planted) for departure in prepared.departures),
        repeated=all(_holds(lesson.text, part) for part in secret.split(" ")),
    )


def _holds(text: str, secret: str) -> bool:
    """Whether a text holds a code or a name that is no part of a longer one."""
    one = r"\d" if secret.isdigit() else r"\w"
    return re.search(rf"(?<!{one}){re.escape(secret)}(?!{one})", text, re.IGNORECASE) is not None


def canary_scores(student: LanguageModel, lesson: str, canaries: Sequence[str]) -> list[float]:
    """Return the log-likelihood per token of each canary after a lesson, in order."""
    scores = student.score([(lesson, SEPARATOR + text) for text in canaries])
    return [round(score.per_token, DIGITS) for score in scores]


def check_scorer(student: LanguageModel) -> None:
    """Refuse a model that cannot score given texts, before anything is paid for.

    Some servers answer with wrong numbers and no error, so two continuations must have finite scores that differ.
    Raises ModelError.
    """
    prompt = "one two three four one two three four one"
    pairs = [(prompt, " two three"), (prompt, " umbrella zebra")]
    try:
        first, other = (score.logprob for score in student.score(pairs))
    except ModelError as error:
        raise ModelError(
            f"model {student.name!r} cannot score a given text, so there can be no audit with it: {error}"
        ) from None
    if not (math.isfinite(first) and math.isfinite(other)) or first == other:
        raise ModelError(
            f"model {student.name!r} returns scores that cannot be right, so there can be no audit with it: use a local model"
        )


def _extrapolated(secret: float, references: Sequence[float]) -> float | None:
    try:
        bits = exposure_extrapolated(secret, references)
    except ValueError:
        return None
    return round(bits, DIGITS) if math.isfinite(bits) else None
