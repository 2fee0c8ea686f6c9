"""Messages: the whole wire format between a student and its teachers."""

import json
import subprocess
import sys
import traceback
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from social_learning.errors import MessageError
from social_learning.messages import (
    GuardResult,
    Reply,
    ReplyExamples,
    ReplyGrades,
    ReplyInstruction,
    ReplyVote,
    Request,
    RequestExamples,
    RequestGrades,
    RequestInstruction,
    RequestOriginals,
    RequestVote,
    reply_from_json,
    request_from_json,
    to_json,
)
from social_learning.task import Example

text = st.text(max_size=20)
small, positive = st.integers(0, 9), st.integers(1, 99)
temperature, top_p = st.floats(0.01, 5), st.floats(0.01, 1)
example = st.builds(Example, fields=st.dictionaries(text, text, max_size=3), answer=text)
guards = st.lists(st.builds(GuardResult, guard=text, passed=small, mended=small, dropped=small), max_size=2).map(tuple)
discarded = st.dictionaries(text, small, max_size=2)
shared = {"teacher": text, "round": small, "guards": guards}

requests: st.SearchStrategy[Request] = st.one_of(
    st.builds(
        RequestExamples,
        round=small,
        count=positive,
        shots=positive,
        samples=positive,
        way=st.sampled_from(["plain", "label-first"]),
        self_check=st.booleans(),
        cloze=st.booleans(),
        temperature=temperature,
        top_p=top_p,
    ),
    st.builds(RequestOriginals, round=small, count=positive),
    st.builds(RequestVote, round=small, candidates=st.lists(example, min_size=1, max_size=3).map(tuple)),
    st.builds(
        RequestGrades,
        round=small,
        candidates=st.just((Example(fields={"text": "a"}, answer="spam"),)),
        lessons=st.lists(st.lists(st.just(0), max_size=3).map(tuple), min_size=1, max_size=3).map(tuple),
        questions=positive,
    ),
    st.builds(RequestInstruction, round=small, shots=positive, samples=positive, temperature=temperature, top_p=top_p),
)
replies: st.SearchStrategy[Reply] = st.one_of(
    st.builds(ReplyExamples, examples=st.lists(example, max_size=3).map(tuple), discarded=discarded, **shared),
    st.builds(ReplyVote, choice=small, **shared),
    st.builds(ReplyGrades, grades=st.lists(st.floats(0, 1), max_size=3).map(tuple), **shared),
    st.builds(ReplyInstruction, instruction=st.none() | text, discarded=discarded, **shared),
)


@settings(max_examples=60)
@given(request=requests)
def test_requests_survive_the_wire(request: Request) -> None:
    line = to_json(request)
    assert request_from_json(line) == request_from_json(line.encode()) == request
    assert to_json(request_from_json(line)) == line
    assert "\n" not in line


@settings(max_examples=60)
@given(reply=replies)
def test_replies_survive_the_wire(reply: Reply) -> None:
    line = to_json(reply)
    assert reply_from_json(line) == reply_from_json(line.encode()) == reply
    assert to_json(reply_from_json(line)) == line
    assert "\n" not in line


def test_the_canonical_form() -> None:
    vote = RequestVote(round=1, candidates=(Example(fields={"text": "hé"}, answer="spam"),))
    assert (
        to_json(vote)
        == '{"kind":"vote","round":1,"candidates":[{"fields":{"text":"hé"},"answer":"spam"}],"by":"likelihood"}'
    )
    reply = ReplyVote(teacher="ann", round=1, choice=0)
    assert json.loads(to_json(reply)) == {"teacher": "ann", "round": 1, "guards": [], "kind": "vote", "choice": 0}


@pytest.mark.parametrize(
    "wrong",
    [
        {"round": -1},
        {"count": 0},
        {"shots": 0},
        {"samples": 0},
        {"way": "backwards"},
        {"temperature": 0},
        {"temperature": float("inf")},
        {"top_p": 0},
        {"top_p": 1.5},
        {"kind": "vote"},
        {"shot": 3},
    ],
)
def test_requests_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    right: dict[str, object] = {"round": 0, "count": 1, "shots": 1, "samples": 1}
    RequestExamples.model_validate(right)
    with pytest.raises(ValidationError):
        RequestExamples.model_validate({**right, **wrong})


def test_a_vote_needs_candidates() -> None:
    with pytest.raises(ValidationError):
        RequestVote(round=0, candidates=())


def test_messages_are_frozen() -> None:
    reply = ReplyVote(teacher="ann", round=0, choice=0)
    with pytest.raises(ValidationError):
        reply.choice = 1  # type: ignore[misc]


@pytest.mark.parametrize("read", [request_from_json, reply_from_json])
@pytest.mark.parametrize(
    "broken",
    [
        "my secret",
        '{"my secret": 1}',
        '{"kind": "vote", "round": 0, "teacher": "ann", "choice": "my secret", "candidates": "my secret"}',
        '{"kind": "examples", "round": 0, "teacher": "ann", "examples": [{"fields": {"text": ["my secret"]}}]}',
        '{"kind": "vote", "round": 0, "teacher": "ann", "choice": 0, "candidates": [{"fields": "my secret"}]}',
    ],
)
def test_what_cannot_be_read_is_refused_without_repeating_it(read: Callable[[str], object], broken: str) -> None:
    with pytest.raises(MessageError) as caught:
        read(broken)
    assert "secret" not in "".join(traceback.format_exception(caught.value))


def test_a_reply_is_no_request() -> None:
    with pytest.raises(MessageError):
        request_from_json(to_json(ReplyVote(teacher="ann", round=0, choice=0)))
    with pytest.raises(MessageError):
        reply_from_json(to_json(RequestOriginals(round=0, count=1)))


def test_grades_are_shares_and_lessons_name_candidates() -> None:
    with pytest.raises(ValidationError):
        ReplyGrades(teacher="ann", round=0, grades=(1.5,))
    with pytest.raises(ValidationError, match="not there"):
        RequestGrades(round=0, candidates=(Example(fields={"text": "a"}, answer="b"),), lessons=((1,),), questions=1)


HOSTILE = """
import json, resource, sys
from social_learning.errors import MessageError
from social_learning.messages import ENQUIRY_BYTES, enquiry_from_json

kind, many = sys.argv[1], ENQUIRY_BYTES // 12
example = {"fields": {"text": "a"}, "answer": "b"}
request = {
    "candidates": {"kind": "vote", "round": 0, "candidates": [0] * 5 * many},
    "lessons": {"kind": "grades", "round": 0, "questions": 8, "candidates": [example], "lessons": [["x"] * 2 * many]},
    "fields": {"kind": "vote", "round": 0, "candidates": [{"fields": {str(n): 0 for n in range(many)}, "answer": ""}]},
    "keys": {"kind": "vote", "round": 0, "candidates": [example], **{str(n): 0 for n in range(many)}},
    "deep": {"kind": "vote", "round": 0, "candidates": "DEEP"},
}[kind]
raw = json.dumps({"run": "r", "id": "i", "repeat": 0, "request": request}, separators=(",", ":"))
raw = raw.replace('"DEEP"', "[" * ENQUIRY_BYTES)[:ENQUIRY_BYTES].encode()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    enquiry_from_json(raw)
except MessageError:
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.parametrize("kind", ["candidates", "lessons", "fields", "keys", "deep"])
def test_what_is_wrong_in_a_million_places_takes_no_more_memory_for_it(kind: str) -> None:
    done = subprocess.run([sys.executable, "-c", HOSTILE, kind], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 150  # MiB, of an enquiry of 4 MiB; complaints about each place took gigabytes
