"""Faults: a server that misbehaves in every way. Each gets a clear outcome, and none becomes a score."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.endpoints.loopback import Answer, Asked
from benchmarks.endpoints.pretender import Pretender
from social_learning.errors import ContextLengthError, EndpointError, ModelError
from social_learning.models.base import Completion, SampleCall, Sampling, Score
from social_learning.models.cache import CachedModel, CallCache
from social_learning.models.endpoint.faults import Broken
from social_learning.models.endpoint.forms import Dialect, body_of, checked_logprob, read_completion
from social_learning.models.endpoint.model import MISSING_IN_A_ROW, EndpointModel
from social_learning.models.endpoint.scoring import read_ids
from tests.conftest import Connect, Hours

SECRET = "a private text"
PAIR = ("One, two, three, four,", " five")

Spoil = Callable[[Answer, int], Answer]
"""Makes of a good answer, and how many calls came before it, a bad one."""


@dataclass
class Spoiled:
    """A pretender whose answers to calls are spoiled, once it is told to begin."""

    spoil: Spoil
    pretender: Pretender
    begun: bool = False
    calls: int = 0

    def __call__(self, asked: Asked) -> Answer:
        answer = self.pretender(asked)
        if not self.begun or asked.method == "GET" or asked.path == "/tokenize":
            return answer
        self.calls += 1
        return self.spoil(answer, self.calls - 1)


def spoiled(connect: Connect, spoil: Spoil, **table: Any) -> tuple[EndpointModel, Spoiled]:
    handler = Spoiled(spoil, Pretender())
    model = connect(handler, **table)
    handler.begun = True
    return model, handler


def first(count: int, bad: Callable[[Answer], Answer]) -> Spoil:
    return lambda answer, number: bad(answer) if number < count else answer


def changed(change: Callable[[Any], None]) -> Callable[[Answer], Answer]:
    """An answer whose body is changed in place; it is made anew for each call."""

    def bad(answer: Answer) -> Answer:
        change(answer.body)
        return answer

    return bad


def usage(**counts: Any) -> Callable[[Answer], Answer]:
    return changed(lambda body: body["usage"].update(counts))


def logprob(value: Any) -> Callable[[Answer], Answer]:
    return changed(lambda body: body["choices"][0]["logprobs"]["token_logprobs"].__setitem__(1, value))


PASSING: dict[str, Callable[[Answer], Answer]] = {
    "429": lambda _: Answer({"error": {"message": SECRET}}, 429),
    "429 with a pause": lambda _: Answer({}, 429, {"Retry-After": "3"}),
    "500": lambda _: Answer(b"<html>" + SECRET.encode(), 500),
    "503": lambda _: Answer({}, 503),
    "cut": lambda answer: replace(answer, cut=True),
    "drop": lambda answer: replace(answer, drop=True),
    "truncated": lambda _: Answer(b'{"choices": [{"text": "' + SECRET.encode()),
    "no JSON": lambda _: Answer(b"\xff\xfe"),
    "a list": lambda _: Answer([]),
    "no choice": lambda answer: replace(answer, body={**answer.body, "choices": []}),
    "two choices": lambda answer: replace(answer, body={**answer.body, "choices": answer.body["choices"] * 2}),
    "no finish": changed(lambda body: body["choices"][0].pop("finish_reason")),
    "another finish": changed(lambda body: body["choices"][0].update(finish_reason="tool_calls")),
    "no text": changed(lambda body: body["choices"][0].pop("text")),
    "text is a number": changed(lambda body: body["choices"][0].update(text=7)),
    "too many tokens": usage(completion_tokens=1000),
    "no tokens": usage(completion_tokens=0),
    "negative tokens": usage(completion_tokens=-4),
    "tokens are text": usage(prompt_tokens="9"),
    "an endless prompt": usage(prompt_tokens=10**9),
    "logprobs missing": changed(lambda body: body["choices"][0].pop("logprobs")),
    "one logprob too few": changed(lambda body: body["choices"][0]["logprobs"]["token_logprobs"].pop()),
    "NaN": logprob(math.nan),
    "-9999": logprob(-9999.0),
    "minus infinity": logprob(-math.inf),
    "above 0": logprob(0.5),
    "null": logprob(None),
}
"""What a server may do once, and do right the next time."""

EMPTY = ("no choice", "no finish", "another finish", "no text")
"""What holds no answer, and nothing else that is wrong."""


@pytest.mark.parametrize("fault", PASSING)
def test_a_fault_that_passes_leaves_no_trace(connect: Connect, fault: str) -> None:
    good = connect(Pretender()).generate(["the cat"], Sampling(max_tokens=6))
    model, handler = spoiled(connect, first(2, PASSING[fault]))
    assert model.generate(["the cat"], Sampling(max_tokens=6)) == good
    assert handler.calls == 3


@pytest.mark.parametrize("fault", [fault for fault in PASSING if fault not in EMPTY])
def test_a_fault_that_stays_is_an_error_that_repeats_nothing(connect: Connect, fault: str) -> None:
    model, _ = spoiled(connect, lambda answer, _: PASSING[fault](answer))
    with pytest.raises(EndpointError, match=r"^served gave no usable answer in ") as caught:
        model.generate(["the cat"], Sampling(max_tokens=6))
    assert SECRET not in str(caught.value)
    assert "the cat" not in str(caught.value)


def entry(change: Callable[[dict[str, Any]], None]) -> Callable[[Answer], Answer]:
    """An answer in which the last token's entry is changed."""
    return changed(lambda body: change(body["choices"][0]["prompt_logprobs"][-1]))


def rename(found: dict[str, Any]) -> None:
    found["1"] = found.pop(next(iter(found)))


SCORES: dict[str, Callable[[Answer], Answer]] = {
    "ids do not match": entry(rename),
    "an entry is missing": changed(lambda body: body["choices"][0]["prompt_logprobs"].pop()),
    "an entry too many": changed(lambda body: body["choices"][0]["prompt_logprobs"].append({})),
    "all are missing": changed(lambda body: body["choices"][0].pop("prompt_logprobs")),
    "null": changed(lambda body: body["choices"][0]["prompt_logprobs"].__setitem__(-1, None)),
    "NaN": entry(lambda found: next(iter(found.values())).update(logprob=math.nan)),
    "-9999": entry(lambda found: next(iter(found.values())).update(logprob=-9999.0)),
    "above 0": entry(lambda found: next(iter(found.values())).update(logprob=3.0)),
    "text": entry(lambda found: next(iter(found.values())).update(logprob="-1")),
}


@pytest.mark.parametrize("fault", SCORES)
def test_no_fault_becomes_a_score(connect: Connect, fault: str) -> None:
    good = connect(Pretender()).score([PAIR])
    model, _ = spoiled(connect, first(1, SCORES[fault]))
    assert model.score([PAIR]) == good
    model, _ = spoiled(connect, lambda answer, _: SCORES[fault](answer))
    with pytest.raises(EndpointError, match="in 5 attempts"):
        model.score([PAIR])


@pytest.mark.parametrize("ids", [None, "abc", [1.5], [True], [{"id": "7"}], [None]])
def test_tokens_that_are_none_are_refused(ids: Any) -> None:
    with pytest.raises(Broken):
        read_ids({"tokens": ids})


def test_a_slow_body_counts_as_no_answer(connect: Connect) -> None:
    handler = Spoiled(lambda answer, number: replace(answer, delay=60.0 if number < 1 else 0.0), Pretender())
    model = connect(handler, timeout=1.0)
    handler.begun = True
    assert model.generate(["the cat"], Sampling(max_tokens=2))[0][0].tokens == 2
    assert handler.calls >= 2


def test_a_storm_slows_calls_down_and_loses_none(connect: Connect, hours: Hours) -> None:
    model, handler = spoiled(connect, lambda answer, n: Answer({}, 429) if 20 <= n < 60 else answer)
    seen: dict[int, Completion | Score] = {}
    told: list[int] = []

    def finished(place: int, answer: Completion | Score) -> None:
        told.append(place)
        seen[place] = answer

    model.answer_each([SampleCall(f"text {n}", Sampling(max_tokens=2), 0) for n in range(200)], finished)
    assert sorted(told) == list(range(200))
    assert handler.calls == 240
    assert hours.now > 0


def test_a_pause_that_was_asked_for_is_kept(connect: Connect, hours: Hours) -> None:
    model, _ = spoiled(connect, first(1, lambda _: Answer({}, 503, {"Retry-After": "120"})))
    before = hours.now
    model.generate(["the cat"], Sampling(max_tokens=2))
    assert hours.now - before >= 120


@pytest.mark.parametrize("header", ["soon", "-5", "nan", "inf", "Wed, 21 Oct 2015 07:28:00 GMT"])
def test_a_pause_without_sense_is_none(connect: Connect, hours: Hours, header: str) -> None:
    model, _ = spoiled(connect, first(1, lambda _: Answer({}, 503, {"Retry-After": header})))
    before = hours.now
    model.generate(["the cat"], Sampling(max_tokens=2))
    assert hours.now - before <= 1


@pytest.mark.parametrize(
    ("status", "body", "error", "says"),
    [
        (400, {"error": {"code": "bad", "message": SECRET}}, ModelError, r"HTTP 400 \(bad\)"),
        (404, {}, ModelError, "HTTP 404"),
        (401, {}, ModelError, "wants another key"),
        (302, {}, ModelError, "put that into base_url"),
        (429, {"error": {"code": "insufficient_quota"}}, ModelError, "no credit left"),
        (400, {"error": {"code": "context_length_exceeded"}}, ContextLengthError, "does not fit"),
        (400, {"error": {"message": "maximum context length is 8"}}, ContextLengthError, "does not fit"),
    ],
)
def test_what_is_refused_is_told_at_once(
    connect: Connect, status: int, body: Any, error: type[Exception], says: str
) -> None:
    model, handler = spoiled(connect, lambda *_: Answer(body, status))
    with pytest.raises(error, match=says) as caught:
        model.generate([SECRET], Sampling())
    assert SECRET not in str(caught.value)
    assert handler.calls == 1


def test_after_a_failure_calls_in_flight_are_finished_and_no_more_are_started(connect: Connect) -> None:
    handler = Spoiled(lambda answer, number: Answer({}, 400) if number == 3 else answer, Pretender())
    model = connect(handler, concurrency=4)
    handler.begun = True
    told: list[int] = []
    calls = [SampleCall(f"text {n}", Sampling(max_tokens=2), 0) for n in range(100)]
    with pytest.raises(ModelError):
        model.answer_each(calls, lambda place, _: told.append(place))
    assert handler.calls < 12
    assert len(told) == handler.calls - 1


def test_a_failure_to_keep_an_answer_is_told(connect: Connect) -> None:
    def finished(place: int, answer: object) -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        connect(Pretender()).answer_each([SampleCall("a b", Sampling(max_tokens=2), 0)], finished)


@pytest.mark.parametrize("fault", EMPTY)
def test_a_call_that_is_never_answered_is_missing_and_the_others_go_on(
    connect: Connect, fault: str, tmp_path: Path
) -> None:
    def handler(asked: Asked) -> Answer:
        answer = pretender(asked)
        return PASSING[fault](answer) if begun and "the dog" in str(asked.body) else answer

    pretender, begun = Pretender(), list[bool]()
    model = connect(handler)
    begun.append(True)
    cached = CachedModel(model, CallCache(tmp_path / "calls.db"))
    lost, made = (row[0] for row in cached.generate(["the dog", "the cat"], Sampling(max_tokens=6)))
    assert (lost.text, lost.finish, lost.tokens) == ("", "missing", 0)
    assert made.text
    begun.clear()
    again = cached.generate(["the dog"], Sampling(max_tokens=6))[0][0]  # it was not kept as an answer
    assert again.text
    assert cached.usage.cached == 0


def test_an_endpoint_that_answers_nothing_any_more_ends_the_run(connect: Connect) -> None:
    model, _ = spoiled(connect, lambda answer, _: PASSING["no choice"](answer))
    asked = [f"text {n}" for n in range(MISSING_IN_A_ROW + 40)]
    with pytest.raises(EndpointError, match="the last: an answer without a choice"):
        model.generate(asked, Sampling(max_tokens=2))


FILTERS: dict[str, Callable[[Answer], Answer]] = {
    "finish": changed(lambda body: body["choices"][0].update(finish_reason="content_filter")),
    "finish without text": lambda answer: Answer({**answer.body, "choices": [{"finish_reason": "content_filter"}]}),
    "finish in capitals": changed(lambda body: body["choices"][0].update(finish_reason="SAFETY")),
    "refusal": changed(lambda body: body["choices"][0].update(message={"content": None, "refusal": SECRET})),
    "400": lambda _: Answer({"error": {"code": "content_filter", "param": "prompt", "message": SECRET}}, 400),
    "403": lambda _: Answer({"error": {"code": 403, "metadata": {"reasons": ["x"], "flagged_input": SECRET}}}, 403),
    "200": lambda _: Answer({"error": {"code": "content_filter", "message": SECRET}}),
}
"""How hosts say that a filter of theirs, or the model itself, withholds an answer."""


@pytest.mark.parametrize("how", FILTERS)
def test_what_a_filter_withholds_is_refused_asked_for_once_and_kept_as_that(
    connect: Connect, how: str, tmp_path: Path
) -> None:
    model, handler = spoiled(connect, lambda answer, _: FILTERS[how](answer))
    cached = CachedModel(model, CallCache(tmp_path / "calls.db"))
    for _ in range(2):
        made = cached.generate(["the cat"], Sampling(max_tokens=4))[0][0]
        assert (made.text, made.logprobs, made.finish) == ("", (), "refused")
        assert SECRET not in repr(made)
    assert handler.calls == 1


@pytest.mark.parametrize("said", ["STOP", "eos_token", "stop", "end_turn"])
def test_an_end_is_known_by_each_of_its_names(connect: Connect, said: str) -> None:
    model, _ = spoiled(
        connect, lambda answer, _: changed(lambda body: body["choices"][0].update(finish_reason=said))(answer)
    )
    assert model.generate(["the cat"], Sampling(max_tokens=4))[0][0].finish == "stop"


@given(st.floats() | st.integers() | st.none() | st.booleans() | st.text())
def test_a_logprob_is_a_finite_number_up_to_0_or_broken(value: Any) -> None:
    try:
        found = checked_logprob(value)
    except Broken:
        return
    assert math.isfinite(found)
    assert -9990 < found <= 0
    assert abs(found - value) <= 0.01


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["choices", "text", "message", "content", "usage", "logprobs", "finish_reason", "tokens"]), inner, max_size=4
    ),
    max_leaves=12,
)  # fmt: skip


@given(JSON, st.booleans(), st.booleans())
def test_whatever_comes_back_is_a_completion_or_broken(answer: Any, chat: bool, logprobs: bool) -> None:
    try:
        made = read_completion(Dialect("m", chat, logprobs), answer, "some text", Sampling(max_tokens=4))
    except Broken:
        return
    assert isinstance(made, Completion)


def test_a_stop_text_that_the_server_ignores_ends_the_completion_and_its_logprobs() -> None:
    dialect = Dialect("m", chat=False)
    sampling = Sampling(max_tokens=8, stop=("\n",))
    logprobs = {"tokens": [" spam", "\n", "Text", ":"], "token_logprobs": [-1.0, -2.0, -3.0, -4.0]}
    choice = {"text": " spam\nText:", "finish_reason": "length", "logprobs": logprobs}
    answer = {"choices": [choice], "usage": {"prompt_tokens": 3, "completion_tokens": 4}}
    made = read_completion(dialect, answer, "Class:", sampling)
    assert (made.text, made.finish, made.logprobs, made.tokens) == (" spam", "stop", (-1.0, -2.0), 4)


def test_a_stop_text_whose_tokens_have_no_logprobs_is_one_all_the_same() -> None:
    """As llama-server 2026.10 answers: the stop text's tokens are counted and not told."""
    dialect, sampling = Dialect("m", chat=False), Sampling(max_tokens=8, stop=("six, seven",))
    content = [{"token": " five", "logprob": -1.0}, {"token": ",", "logprob": -2.0}]
    choice: dict[str, Any] = {"text": " five, ", "finish_reason": "stop", "logprobs": {"content": content}}
    answer = {"choices": [choice], "usage": {"prompt_tokens": 8, "completion_tokens": 5}}
    made = read_completion(dialect, answer, "One, two, three, four,", sampling)
    assert (made.text, made.logprobs, made.tokens) == (" five, ", (-1.0, -2.0), 5)
    answer = {
        "choices": [{**choice, "text": "", "logprobs": None}],
        "usage": {"prompt_tokens": 8, "completion_tokens": 1},
    }
    made = read_completion(dialect, answer, "One, two, three, four,", sampling)
    assert (made.text, made.logprobs, made.tokens) == ("", (), 1)
    answer = {"choices": [{**choice, "finish_reason": "length"}], "usage": {"prompt_tokens": 8, "completion_tokens": 5}}
    with pytest.raises(Broken, match="of another number than the tokens"):
        read_completion(dialect, answer, "One, two, three, four,", sampling)


def test_a_chat_reply_is_read_as_the_continuation_it_was_asked_for() -> None:
    dialect, sampling = Dialect("m", chat=True), Sampling(max_tokens=8, stop=("\n",))
    body = body_of(dialect, "Text: hi\nClass:", sampling, 1)
    assert body["messages"][0]["content"].endswith("Text: hi\nClass:")
    assert "stop" not in body
    content = [{"token": t, "logprob": -1.0} for t in ("Class", ":", " spam", "\n", "Sure", "!")]
    choice = {
        "message": {"content": "Class: spam\nSure!"},
        "finish_reason": "stop",
        "logprobs": {"content": content},
    }
    answer = {"choices": [choice], "usage": {"prompt_tokens": 3, "completion_tokens": 7}}
    made = read_completion(dialect, answer, "Text: hi\nClass:", sampling)
    assert (made.text, made.finish) == (" spam", "stop")
    assert len(made.logprobs) == 4


def test_tokens_that_were_only_thought_are_no_answer() -> None:
    choice = {"message": {"content": None}, "finish_reason": "length"}
    details = {"reasoning_tokens": 8}
    answer = {
        "choices": [choice],
        "usage": {"prompt_tokens": 3, "completion_tokens": 8, "completion_tokens_details": details},
    }
    made = read_completion(Dialect("m", True, logprobs=False), answer, "a", Sampling(max_tokens=8))
    assert (made.text, made.tokens) == ("", 8)
