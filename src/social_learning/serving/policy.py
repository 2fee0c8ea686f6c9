"""Policy: what the owner of a silo lets leave it. One file per silo; everything else is refused."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from social_learning.messages import (
    ENVELOPE_BYTES,
    RESPONSE_BYTES,
    Refusal,
    Request,
    RequestExamples,
    RequestGrades,
    RequestInstruction,
    RequestOriginals,
    RequestVote,
)
from social_learning.privacy.wording import NEAR
from social_learning.task import Example

Kind = Literal["examples", "instruction", "vote", "grades"]
"""Kinds of requests that can be allowed. Private examples word for word never leave a teacher of its own."""

Count = Annotated[int, Field(ge=1)]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class RequestCaps(_Table):
    """`[per_request]`: the largest request that is answered, and the longest reply in bytes.

    `examples` limits how many examples are asked for, `samples` how many drafts are written for them, `candidates` the length
    of a ballot, `text` the characters of each candidate, `lessons` how many are graded, `lesson` how many candidates each of
    them names. `questions` are the only numbers of held-out examples that a grade may be of: two grades of the same lesson, by
    4 and by 5 of them, tell about the fifth alone. `least_shots` and `shots` bound how many private examples the model is
    shown: with one, what it writes is close to that one.
    """

    examples: Count = 8
    samples: Count = 64
    least_shots: Count = 4
    shots: Count = 64
    candidates: Count = 1024
    text: Count = 8000
    lessons: Count = 64
    lesson: Count = 64
    questions: tuple[Count, ...] = (8,)
    bytes: int = Field(default=64 * 1024, ge=1, le=RESPONSE_BYTES - ENVELOPE_BYTES)


class Caps(_Table):
    """`[per_run]`: how many requests are answered or tried, and how many texts (examples, instructions) and votes leave. Each
    grade counts as a vote.
    """

    requests: Count = 500
    texts: Count = 500
    votes: Count = 500


class EverCaps(Caps):
    """`[ever]`: the same over all runs."""

    requests: Count = 5000
    texts: Count = 5000
    votes: Count = 5000


class Guards(_Table):
    """`[guards]`: the guards of the silo, as in `[teachers]` of an experiment file."""

    no_copies: bool = True
    min_distance: float = Field(default=NEAR, ge=0, lt=1)
    no_shared_numbers: bool | Literal["auto"] = "auto"
    no_shared_names: bool = False
    detector: Literal["own", "presidio"] = "own"


class Policy(_Table):
    """A policy file. A run is what the student calls one: only the caps under `[ever]` hold against a student that makes up
    new names of runs.
    """

    allow: tuple[Kind, ...] = ("examples", "instruction", "vote", "grades")
    per_request: RequestCaps = RequestCaps()
    per_run: Caps = Caps()
    ever: EverCaps = EverCaps()
    guards: Guards = Guards()

    def refuses(self, request: Request, in_run: "Sent", ever: "Sent") -> Refusal | None:
        """Return why a request is refused, given what was sent in its run and ever; None where it is allowed."""
        if isinstance(request, RequestOriginals) or request.kind not in self.allow:
            return "not_allowed"
        if not _within(request, self.per_request):
            return "over_request_cap"
        more = Sent.most(request)
        if not (in_run + more).within(self.per_run):
            return "over_run_cap"
        return None if (ever + more).within(self.ever) else "over_ever_cap"


class Sent(_Table):
    """How much a silo gave: requests answered or tried, texts and votes (or grades) sent."""

    requests: int = 0
    texts: int = 0
    votes: int = 0

    @classmethod
    def most(cls, request: Request) -> "Sent":
        """Return the most that can leave in answer to a request."""
        if isinstance(request, RequestVote):
            return cls(requests=1, votes=1)
        if isinstance(request, RequestGrades):
            return cls(requests=1, votes=len(request.lessons))
        return cls(requests=1, texts=1 if isinstance(request, RequestInstruction) else request.count)

    def __add__(self, other: "Sent") -> "Sent":
        return Sent(
            requests=self.requests + other.requests, texts=self.texts + other.texts, votes=self.votes + other.votes
        )

    def within(self, caps: Caps) -> bool:
        """Tell whether this keeps within caps."""
        return self.requests <= caps.requests and self.texts <= caps.texts and self.votes <= caps.votes


def _within(request: Request, caps: RequestCaps) -> bool:
    if isinstance(request, RequestVote):
        return _short(request.candidates, caps)
    if isinstance(request, RequestGrades):
        few = len(request.lessons) <= caps.lessons and all(len(lesson) <= caps.lesson for lesson in request.lessons)
        return few and request.questions in caps.questions and _short(request.candidates, caps)
    if isinstance(request, RequestExamples) and request.count > caps.examples:
        return False
    if isinstance(request, RequestExamples | RequestInstruction):
        return request.samples <= caps.samples and caps.least_shots <= request.shots <= caps.shots
    return False


def _short(candidates: Sequence[Example], caps: RequestCaps) -> bool:
    lengths = (len(example.answer) + sum(map(len, example.fields.values())) for example in candidates)
    return len(candidates) <= caps.candidates and all(length <= caps.text for length in lengths)
