"""Messages: everything a student and its teachers say to each other, as frozen values with a canonical JSON form.

A request says what is wanted, never how a teacher finds it. A reply holds what left the silo and nothing else. These
types are the whole wire format: transports carry their JSON and know nothing of teaching.
"""

import json
from typing import Annotated, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, FailFast, Field, TypeAdapter, ValidationError, model_validator

from social_learning.errors import MessageError
from social_learning.task import Example


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False)


class RequestExamples(_Frozen):
    """Asks each teacher for up to `count` new examples, written by its model after `shots` private ones.

    `way`: `plain` shows the examples as they are and lets the model continue (the paper's procedure); `label-first`
    asks for a class and then for the question, about equally often for each class, after `shots` examples of that class
    alone, as far as the silo has them. `self_check` drops an example when the teacher's model, shown `shots` private
    examples of all classes, gives it another label; `complete` has it answer a draft that ended before its answer; `cloze`
    sets the gap in a draft that has none, at a word of its own. `samples` continuations are drawn, at `temperature` and
    `top_p`; of those that are well-formed, the `count` of lowest perplexity are kept (per class where `way` is label-first).
    """

    kind: Literal["examples"] = "examples"
    round: int = Field(ge=0)
    count: int = Field(ge=1)
    shots: int = Field(ge=1)
    samples: int = Field(ge=1)
    way: Literal["plain", "label-first"] = "plain"
    self_check: bool = False
    complete: bool = False
    cloze: bool = False
    temperature: float = Field(default=1.0, gt=0)
    top_p: float = Field(default=1.0, gt=0, le=1)


class RequestOriginals(_Frozen):
    """Asks for `count` private examples word for word: the baseline that breaks privacy. Teachers refuse it unless
    built to allow it."""

    kind: Literal["originals"] = "originals"
    round: int = Field(ge=0)
    count: int = Field(ge=1)


class RequestVote(_Frozen):
    """Asks each teacher which candidate is best, judged by its held-out examples.

    `by`: `likelihood` votes for the candidate that they make most likely (the paper's); `answers` for the one that helps the
    teacher's model answer most of them right, which needs no likelihoods.
    """

    kind: Literal["vote"] = "vote"
    round: int = Field(ge=0)
    candidates: Annotated[tuple[Example, ...], FailFast()] = Field(min_length=1)
    by: Literal["likelihood", "answers"] = "likelihood"


class RequestGrades(_Frozen):
    """Asks each teacher how good lessons are, judged by its held-out examples.

    A lesson is a list of places in `candidates`, in the order in which a student would read them. Its grade is the mean, over
    the first `questions` held-out examples (fewer where the silo holds fewer), of how probable the teacher's model finds the
    right label after the lesson; without labels, of how probable it finds the answer (the geometric mean over its tokens) and
    whether it would say it (1 or 0), half of each. `by` answers: the share of questions it answers right, among those that
    an answer came for (no filter withheld it), which needs no likelihoods.
    """

    kind: Literal["grades"] = "grades"
    round: int = Field(ge=0)
    candidates: Annotated[tuple[Example, ...], FailFast()] = Field(min_length=1)
    lessons: Annotated[tuple[Annotated[tuple[int, ...], FailFast()], ...], FailFast()] = Field(min_length=1)
    questions: int = Field(ge=1)
    by: Literal["likelihood", "answers"] = "likelihood"

    @model_validator(mode="after")
    def _places_exist(self) -> Self:
        if any(not 0 <= place < len(self.candidates) for lesson in self.lessons for place in lesson):
            raise ValueError("a lesson names a candidate that is not there")
        return self


class RequestInstruction(_Frozen):
    """Asks for an instruction: a task description written by the teacher's model after `shots` private examples.

    `samples` are drawn; the one of lowest perplexity that passes the guards is sent.
    """

    kind: Literal["instruction"] = "instruction"
    round: int = Field(ge=0)
    shots: int = Field(ge=1)
    samples: int = Field(ge=1)
    temperature: float = Field(default=0.7, gt=0)
    top_p: float = Field(default=0.95, gt=0, le=1)


Count = Annotated[int, Field(ge=0, le=1_000_000)]
"""How many items of a reply something happened to."""


class GuardResult(_Frozen):
    """What one guard did to one reply: how many items it let pass, changed, and dropped."""

    guard: str
    passed: Count
    mended: Count = 0
    dropped: Count = 0


class _Reply(_Frozen):
    teacher: str
    round: int = Field(ge=0)
    guards: Annotated[tuple[GuardResult, ...], FailFast()] = ()


class ReplyExamples(_Reply):
    """Examples that a teacher lets out, and how many it discarded, by reason. Answers both example requests."""

    kind: Literal["examples"] = "examples"
    examples: Annotated[tuple[Example, ...], FailFast()]
    discarded: dict[str, Count] = Field(default_factory=dict)


class ReplyVote(_Reply):
    """The index of the candidate that a teacher votes for."""

    kind: Literal["vote"] = "vote"
    choice: int = Field(ge=0)


class ReplyGrades(_Reply):
    """A grade for each lesson, in order, rounded to four digits: 0 for none of the answers, 1 for all of them."""

    kind: Literal["grades"] = "grades"
    grades: Annotated[tuple[Annotated[float, Field(ge=0, le=1)], ...], FailFast()]


class ReplyInstruction(_Reply):
    """A teacher's instruction; None where no draft passed its guards."""

    kind: Literal["instruction"] = "instruction"
    instruction: str | None
    discarded: dict[str, Count] = Field(default_factory=dict)


Request = Annotated[
    RequestExamples | RequestOriginals | RequestVote | RequestGrades | RequestInstruction, Field(discriminator="kind")
]
Reply = Annotated[ReplyExamples | ReplyVote | ReplyGrades | ReplyInstruction, Field(discriminator="kind")]

Refusal = Literal[
    "unreadable",
    "not_allowed",
    "over_request_cap",
    "over_run_cap",
    "over_ever_cap",
    "other_request",
    "cannot",
    "failed",
    "too_large",
]
"""Why a teacher of its own sends no reply: the only words of an error that cross; docs/teachers.md explains each."""

NAME_FORM = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
Name = Annotated[str, Field(pattern=NAME_FORM)]
"""A name that is safe in a file name and in a log."""

ENQUIRY_BYTES = 4 * 2**20
"""The longest enquiry that a teacher reads; a vote carries the candidates of all teachers."""

MOST_KEYS = 64
"""The most keys that an object in a message may have."""

RESPONSE_BYTES = 2**18
"""The longest response that a student reads."""


ENVELOPE_BYTES = 512
"""More than a response adds to its reply: run, id and the names of its keys."""


class Enquiry(_Frozen):
    """A request on its way to a teacher of its own: of which run, under which id, for which repeat.

    Run and id together name the request: asked again, a teacher sends what it sent before.
    """

    run: Name
    id: Name
    repeat: int = Field(ge=0, le=1_000_000)
    request: Request


class Response(_Frozen):
    """What comes back for an enquiry: a reply, or a refusal."""

    run: str = ""
    id: str = ""
    reply: Reply | None = None
    refused: Refusal | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.reply is None) == (self.refused is None):
            raise ValueError("either a reply or a refusal")
        return self


Message = TypeVar("Message", Request, Reply, Enquiry, Response)

_REQUEST: TypeAdapter[Request] = TypeAdapter(Request)
_REPLY: TypeAdapter[Reply] = TypeAdapter(Reply)
_ENQUIRY: TypeAdapter[Enquiry] = TypeAdapter(Enquiry)
_RESPONSE: TypeAdapter[Response] = TypeAdapter(Response)


def to_json(message: Request | Reply | Enquiry | Response) -> str:
    """Return the canonical JSON of a message: one line, fields in the order they are declared, no blanks."""
    return message.model_dump_json()


def request_from_json(text: str | bytes) -> Request:
    """Read a request; raises MessageError, which never repeats the input."""
    return _read(_REQUEST, text, "request")


def reply_from_json(text: str | bytes) -> Reply:
    """Read a reply; raises MessageError, which never repeats the input."""
    return _read(_REPLY, text, "reply")


def enquiry_from_json(text: str | bytes) -> Enquiry:
    """Read an enquiry; raises MessageError, which never repeats the input."""
    return _read(_ENQUIRY, text, "enquiry")


def response_from_json(text: str | bytes) -> Response:
    """Read a response; raises MessageError, which never repeats the input."""
    return _read(_RESPONSE, text, "response")


def _read(adapter: TypeAdapter[Message], text: str | bytes, what: str) -> Message:
    try:
        json.loads(text, object_pairs_hook=_of_few_keys)
        return adapter.validate_json(text)
    except ValidationError as error:
        kinds = sorted({problem["type"] for problem in error.errors(include_input=False, include_url=False)})
    except (ValueError, RecursionError):
        kinds = ["json_invalid"]
    raise MessageError(f"this is no {what}: {', '.join(kinds)}")


def _of_few_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Refuse an object with many keys before its every key is complained about, which takes a hundred times its bytes."""
    if len(pairs) > MOST_KEYS:
        raise ValueError
    return dict(pairs)
