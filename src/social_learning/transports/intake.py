"""Intake: what comes in from teachers of their own is checked before a protocol sees it.

A teacher, or whoever carries for it, may be hostile. What is no answer to what was asked is refused whole; of an answer,
examples that are not what was asked for, or far longer than a teacher writes them, are taken out and counted. What reads like an
order to the student's model is flagged and stays: a message may say such things honestly, and a reader should look.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from social_learning.errors import MessageError, TaskError
from social_learning.guards import private_texts
from social_learning.messages import (
    NAME_FORM,
    RESPONSE_BYTES,
    Enquiry,
    Reply,
    ReplyExamples,
    ReplyGrades,
    ReplyInstruction,
    ReplyVote,
    RequestExamples,
    RequestGrades,
    RequestInstruction,
    RequestVote,
    response_from_json,
)
from social_learning.task import ANSWER, Example, Task
from social_learning.text import normalise, visible
from social_learning.transports.carrier import Missing

LONGEST_TEXT = 8_000
"""Bytes of an example that is let in, whatever its task."""

LONGEST_INSTRUCTION = 2_000
"""Bytes of an instruction that is let in: some ten for each token that a teacher's model may write."""

BYTES_PER_TOKEN = 8
"""No example is let in that has more bytes than this for each token that a teacher's model may write: long ones would fill the
context of every model that grades or reads the lesson."""

REASONS = frozenset({"malformed", "refused", "cut_off", "repeated", "self_check"})
"""Why teachers discard drafts. Other words of a reply are told as `other`."""

MOST_COUNTS = 32
"""Entries of a reply's counts of guards and discards."""

MARKUP = re.compile(
    r"<\|[^|\n]{1,40}\|>|\[/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS)\]|<<SYS>>|<(?:start|end)_of_turn>"
    r"|</?(?:s|think|bos|eos|pad|unk|tool_call|tool_response)>|^\s*### ?(?:instruction|response|input|system|user|assistant)\b",
    re.IGNORECASE | re.MULTILINE,
)
"""Control words of chat formats: no text of a task holds them, and a tokenizer may read them as its own. It finds common ones."""

ORDERS = re.compile(
    r"\b(?:ignore|disregard|forget|override)\b[^.!?\n]{0,40}\b(?:instruction|prompt|example|rule|above|previous)s?\b"
    r"|\bsystem prompt\b|\b(?:always|from now on),? (?:answer|reply|respond|classify|label)\b",
    re.IGNORECASE,
)
"""What reads like an order to a language model. It finds the plain forms only."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """A reply as the protocol may see it, and how many of its parts were taken out or flagged, by reason."""

    reply: Reply
    flags: Mapping[str, int]


def accept(teacher: str, enquiry: Enquiry, raw: bytes, task: Task) -> Accepted | Missing:
    """Check a response against what was asked. Never raises, whatever came in."""
    if len(raw) > RESPONSE_BYTES:
        return Missing("too_long")
    try:
        response = response_from_json(raw)
    except MessageError:
        return Missing("garbage")
    if (response.run, response.id) != (enquiry.run, enquiry.id):
        # A refusal of what could not be read names neither; anything else answers another request.
        return Missing("refused: unreadable" if response.refused == "unreadable" else "unasked")
    if response.reply is None:
        return Missing(f"refused: {response.refused}")
    reply = response.reply
    if reply.teacher != teacher or reply.round != enquiry.request.round or not _counts_are_plain(reply):
        return Missing("wrong_reply")
    request = enquiry.request
    if isinstance(request, RequestExamples) and isinstance(reply, ReplyExamples):
        return _examples(reply, request.count, task)
    if isinstance(request, RequestInstruction) and isinstance(reply, ReplyInstruction):
        return _instruction(reply)
    if isinstance(request, RequestVote) and isinstance(reply, ReplyVote) and reply.choice < len(request.candidates):
        return Accepted(reply, {})
    if isinstance(request, RequestGrades) and isinstance(reply, ReplyGrades):
        return Accepted(reply, {}) if len(reply.grades) == len(request.lessons) else Missing("wrong_reply")
    return Missing("wrong_reply")


def _counts_are_plain(reply: Reply) -> bool:
    """Whether names of guards and reasons are names: they are shown in reports and errors."""
    names = [guard.guard for guard in reply.guards] + (
        [] if isinstance(reply, ReplyVote | ReplyGrades) else list(reply.discarded)
    )
    return len(names) <= MOST_COUNTS and all(re.fullmatch(NAME_FORM.strip("^$"), name) for name in names)


def _examples(reply: ReplyExamples, count: int, task: Task) -> Accepted:
    flags = Counter[str]()
    kept: list[Example] = []
    for example in reply.examples:
        problem = "more_than_asked" if len(kept) >= count else _problem(example, task)
        if problem:
            flags[problem] += 1
            continue
        kept.append(example)
        flags["reads_like_an_order"] += _is_order(*private_texts(task, example))
    changes = {"examples": tuple(kept), "discarded": _known(reply.discarded)}
    return Accepted(reply.model_copy(update=changes), dict(+flags))


def _is_order(*texts: str) -> bool:
    return any(ORDERS.search(normalise(text)) for text in texts)


def _known(discarded: Mapping[str, int]) -> dict[str, int]:
    """What a teacher says it discarded, in words of ours."""
    counts = Counter[str]()
    for reason, count in discarded.items():
        counts[reason if reason in REASONS else "other"] += count
    return dict(counts)


def _problem(example: Example, task: Task) -> str:
    """Why an example is not let in; empty where it is."""
    texts = (*example.fields.values(), example.answer)
    if _bytes(*texts) > min(LONGEST_TEXT, BYTES_PER_TOKEN * task.max_example_tokens):
        return "too_long"
    problem = next((found for text in texts if (found := _problem_of_text(text))), "")
    if problem:
        return problem
    if task.labels and example.answer not in task.labels:
        return "wrong_label"
    try:
        # Whatever would read as more than one example, or as another one, in a prompt does not come back the same.
        fits = set(example.fields) == set(task.field_names) and (
            task.example({**example.fields, ANSWER: example.answer}) == example
        )
    except TaskError:
        fits = False
    return "" if fits else "not_of_the_task"


def _bytes(*texts: str) -> int:
    # More than characters, where one of them makes several tokens.
    return sum(len(text.encode(errors="replace")) for text in texts)


def _problem_of_text(text: str) -> str:
    if visible(text) != text:
        return "control_characters"
    # Variants of letters, such as the wide bars of some formats, are looked through.
    return "model_markup" if MARKUP.search(unicodedata.normalize("NFKC", text)) else ""


def _instruction(reply: ReplyInstruction) -> Accepted:
    text = reply.instruction or ""
    problem = "too_long" if _bytes(text) > LONGEST_INSTRUCTION else _problem_of_text(text)
    flags = {problem: 1} if problem else {"reads_like_an_order": 1} if _is_order(text) else {}
    changes = {"instruction": None if problem else reply.instruction, "discarded": _known(reply.discarded)}
    return Accepted(reply.model_copy(update=changes), flags)
