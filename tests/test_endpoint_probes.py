"""Probes: what an endpoint really does, whatever it claims, accepts or ignores."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.endpoints.loopback import Answer, Asked, Handler, Loopback
from benchmarks.endpoints.pretender import Pretender
from social_learning.errors import ConfigError, EndpointError, ModelError
from social_learning.models.endpoint.budget import Limits, Purse
from social_learning.models.endpoint.settings import SCORING_FORMS, ScoringForm
from tests.conftest import Connect

BASE = frozenset({"text", "chat", "choices", "seed", "logprobs", "plain"})


@pytest.mark.parametrize("form", SCORING_FORMS)
def test_each_way_to_score_is_found_and_gives_the_same_scores(connect: Connect, form: ScoringForm) -> None:
    pretender = Pretender(offers=BASE | {form})
    model = connect(pretender)
    assert model.offer.scoring == form
    assert model.capabilities.scoring
    pairs = [("One, two, three, four,", " five"), ("the cat is on", " the old mat"), ("the cat", " is")]
    for (prompt, continuation), score in zip(pairs, model.score(pairs), strict=True):
        before, after = pretender.tokens(prompt), pretender.tokens(continuation)
        known = [pretender.logprob([*before, *after[:n]], token) for n, token in enumerate(after)]
        assert score.logprob == pytest.approx(sum(known))
        assert (score.tokens, score.prompt_tokens) == (len(after), len(before))
        assert score.greedy == all(
            pretender.following([*before, *after[:n]])[0][0] == token for n, token in enumerate(after)
        )


def test_everything_that_is_offered_is_found(connect: Connect) -> None:
    offer = connect(Pretender()).offer
    assert (offer.text, offer.chat, offer.choices, offer.seed, offer.plain_sampling) == (True,) * 5
    assert (offer.text_logprobs, offer.chat_logprobs) == (True, True)
    assert offer.context_length == 4096
    assert offer.tokenize == "prompt"


@pytest.mark.parametrize("lacking", ["text", "chat", "choices", "seed", "logprobs", "plain"])
def test_what_is_not_offered_is_found_to_be_missing(connect: Connect, lacking: str) -> None:
    offer = connect(Pretender(offers=BASE - {lacking})).offer
    found = {
        "text": offer.text,
        "chat": offer.chat,
        "choices": offer.choices,
        "seed": offer.seed,
        "logprobs": offer.text_logprobs,
        "plain": offer.plain_sampling,
    }
    assert found.pop(lacking) is False
    if lacking == "text":  # there is nothing then that log-probabilities could be of
        assert found.pop("logprobs") is False
    assert set(found.values()) == {True}
    assert offer.scoring is None


@pytest.mark.parametrize(
    ("lie", "note", "says"),
    [
        ("template", "text", "a chat template is put around it"),
        ("one_choice", "choices", "asked for two samples in one call"),
        ("no_logprobs", "text_logprobs", "without the log-probabilities that were asked for"),
        ("hot", "text_logprobs", "change with the temperature"),
        ("no_plain", "plain_sampling", "accepts top_k and ignores it"),
    ],
)
def test_a_flag_that_is_accepted_and_ignored_does_not_count(connect: Connect, lie: str, note: str, says: str) -> None:
    offer = connect(Pretender(lies=frozenset({lie}))).offer
    assert says in offer.notes[note]
    assert not getattr(offer, note)


@pytest.mark.parametrize("form", SCORING_FORMS)
@pytest.mark.parametrize(("lie", "says"), [("same", "score the same"), ("shifted", "")])
def test_scores_that_cannot_be_are_no_scoring(connect: Connect, form: ScoringForm, lie: str, says: str) -> None:
    model = connect(Pretender(offers=BASE | {form}, lies=frozenset({lie})))
    assert model.offer.scoring is None
    assert says in model.offer.notes["scoring"]
    with pytest.raises(ModelError, match="served cannot score a given continuation: no way"):
        model.score([("a b", " c")])


def test_an_echo_that_is_ignored_is_no_echo(connect: Connect) -> None:
    assert "no echo of the prompt" in connect(Pretender(offers=BASE)).offer.notes["scoring echo"]


def test_what_was_found_is_kept_for_each_endpoint(
    connect: Connect, serve: Callable[[Handler], Loopback], tmp_path: Path
) -> None:
    server = serve(Pretender())
    first = connect(server)
    probed = len(server.asked)
    assert connect(server).offer == first.offer
    assert len(server.asked) <= probed + 3
    file = next((tmp_path / "cache" / "social-learning" / "endpoints").glob("*.json"))
    assert json.loads(file.read_text())["base_url"] == server.url


def test_an_endpoint_that_became_another_is_probed_anew(connect: Connect, serve: Callable[[Handler], Loopback]) -> None:
    other = Pretender()

    def handler(asked: Asked) -> Answer:
        if asked.path == "/version":
            return Answer({"version": "2" if other.lies else "1"})
        return other(asked)

    server = serve(handler)
    before = connect(server)
    other.lies = frozenset({"same"})
    after = connect(server)
    assert before.offer.scoring == "vllm"
    assert after.offer.scoring is None
    assert before.identity != after.identity


def test_a_server_that_is_busy_while_it_is_probed_is_not_remembered_for_it(connect: Connect, tmp_path: Path) -> None:
    pretender = Pretender()

    def handler(asked: Asked) -> Answer:
        return Answer({}, 503) if "n" in (asked.body or {}) else pretender(asked)

    offer = connect(handler).offer
    assert not offer.choices
    assert not offer.certain
    assert not list((tmp_path / "cache").rglob("*.json"))


def test_nobody_there_is_told_soon(connect: Connect) -> None:
    with Loopback(Pretender()) as server:
        pass
    with pytest.raises(EndpointError, match=r"served gave no usable answer .*: no connection"):
        connect(server)


def test_an_endpoint_that_does_nothing_we_need_is_refused(connect: Connect) -> None:
    with pytest.raises(ModelError, match=r"neither continues text \(.*404.*\) nor chats \(.*404.*\)"):
        connect(Pretender(offers=frozenset()))


def test_an_endpoint_that_wants_a_key_says_how_to_give_one(connect: Connect) -> None:
    with pytest.raises(ModelError, match=r"HTTP 401: it wants another key: check a \[models.NAME\] table with key_env"):
        connect(lambda _: Answer({"error": "no"}, 401))


def test_scoring_can_be_turned_off_or_named(connect: Connect) -> None:
    assert connect(Pretender(), scoring="none").offer.notes["scoring"] == "turned off by scoring = 'none'"
    both = Pretender(offers=BASE | {"vllm", "forced"})
    assert connect(both, scoring="forced").offer.scoring == "forced"


def test_money_can_be_limited_only_where_prices_are_known(connect: Connect) -> None:
    with pytest.raises(ConfigError, match=r"budget.max_cost needs its prices"):
        connect(Pretender(), Purse(Limits(cost=1.0)))
