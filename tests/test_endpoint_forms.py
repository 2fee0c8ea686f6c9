"""Real servers' forms, by name: what the probes find, and that scores come out right, against scripted servers."""

import pytest

from benchmarks.endpoints.loopback import Answer, Asked
from social_learning.errors import ContextLengthError, EndpointError, ModelError
from social_learning.models.base import ChatTurn, Sampling
from social_learning.models.endpoint.offer import Offer
from tests.conftest import Connect
from tests.endpoint_servers import Hosted, HostedThinker, LmStudio, LocalThinker, Ollama, Sglang, Vllm

PAIR = ("One, two, three, four,", " five")


def found(offer: Offer) -> set[str]:
    names = ("text", "chat", "choices", "seed", "text_logprobs", "chat_logprobs", "plain_sampling")
    return {name for name in names if getattr(offer, name)}


def test_vllm_scores_by_prompt_logprobs(connect: Connect) -> None:
    server = Vllm()
    model = connect(server)
    assert (model.offer.scoring, model.offer.tokenize, model.offer.context_length) == ("vllm", "prompt", 4096)
    assert found(model.offer) == {
        "text", "chat", "choices", "seed", "text_logprobs", "chat_logprobs", "plain_sampling",
    }  # fmt: skip
    score = model.score([PAIR])[0]
    assert score.logprob == pytest.approx(server.logprob(server.tokens(PAIR[0]), PAIR[1]))


def test_sglang_scores_by_generate_and_an_echo_without_places_is_none(connect: Connect) -> None:
    server = Sglang()
    model = connect(server)
    assert (model.offer.scoring, model.offer.seed) == ("sglang", False)
    score = model.score([PAIR])[0]
    assert score.logprob == pytest.approx(server.logprob(server.tokens(PAIR[0]), PAIR[1]))
    told = connect(Sglang(), scoring="echo").offer
    assert told.scoring is None
    assert "whose tokens have no order" in told.notes["scoring"]


def test_ollama_chats_by_its_template_and_does_not_turn_its_samplers_off(connect: Connect) -> None:
    model = connect(Ollama())
    assert found(model.offer) == {"chat", "seed", "chat_logprobs"}
    assert "a chat template is put around it" in model.offer.notes["text"]
    assert "accepts top_k and ignores it" in model.offer.notes["plain_sampling"]
    assert model.offer.scoring is None
    assert model.generate(["the cat"], Sampling(max_tokens=4))[0][0].logprobs


def test_lm_studio_says_200_to_everything_and_is_not_believed(connect: Connect) -> None:
    offer = connect(LmStudio()).offer
    assert found(offer) == {"text", "chat", "seed", "plain_sampling"}
    assert (offer.scoring, offer.tokenize) == (None, None)
    assert "HTTP 200 with an error in it" in offer.notes["tokenize"]


def test_a_hosted_model_of_the_newer_kind_is_asked_for_max_completion_tokens(connect: Connect) -> None:
    model = connect(Hosted())
    assert found(model.offer) == {"chat", "choices", "seed", "chat_logprobs"}
    assert model.offer.limit_key == "max_completion_tokens"
    assert "HTTP 400 (unsupported_parameter: min_p)" in model.offer.notes["plain_sampling"]
    made = model.generate([ChatTurn("Say hello.")], Sampling(temperature=0.5, max_tokens=4, seed=1))[0][0]
    assert len(made.logprobs) == 4


def test_a_hosted_model_that_takes_no_temperature_is_refused_by_its_name(connect: Connect) -> None:
    with pytest.raises(ModelError, match=r"nor chats .*HTTP 400 \(unsupported_value: temperature\)"):
        connect(HostedThinker())


def test_a_model_that_thinks_is_refused_until_it_is_told_not_to(connect: Connect) -> None:
    with pytest.raises(ModelError, match=r"spends a short answer on thinking: .*reasoning_effort"):
        connect(LocalThinker())
    model = connect(LocalThinker(), body={"reasoning_effort": "none"})
    assert model.offer.chat
    assert "reasoning_effort" in model.identity
    assert model.generate(["the cat"], Sampling(max_tokens=4))[0][0].text


@pytest.mark.parametrize("server", [Vllm, Ollama])
def test_a_model_that_is_not_served_is_told_with_those_that_are(connect: Connect, server: type[Vllm]) -> None:
    served = server()
    served.model = "qwen3"
    with pytest.raises(
        ModelError, match=r"it lists no model 'pretender', but qwen3\S*: put one of those names into model$"
    ):
        connect(served)


@pytest.mark.parametrize(
    "said",
    [
        "This model's maximum context length is 4096 tokens. However, your request has 5000 input tokens.",  # vLLM
        "The decoder prompt (length 5000) is longer than the maximum model length of 4096.",  # vLLM
        "The input (5000 tokens) is longer than the model's context length (4096 tokens).",  # SGLang
        "the request exceeds the available context size, try increasing it",  # llama-server
        "the input length exceeds the context length",  # Ollama
        "Please reduce the length of the messages or completion.",  # Groq
        "The input token count (5000) exceeds the maximum number of tokens allowed (4096).",  # Gemini
    ],
)
def test_a_prompt_that_does_not_fit_is_told_as_such_in_every_servers_words(connect: Connect, said: str) -> None:
    server = Vllm()
    full: list[bool] = []

    def handler(asked: Asked) -> Answer:
        return Answer({"error": {"message": said}}, 400) if full else server(asked)

    model = connect(handler)
    full.append(True)
    with pytest.raises(ContextLengthError, match="use fewer shots"):
        model.generate(["the cat"], Sampling(max_tokens=2))


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (Answer(b"<!doctype html><title>Hello</title>"), "a web page instead of JSON: check base_url"),
        (Answer({"error": {"code": "bad_gateway", "message": "x"}}), r"HTTP 200 with an error in it \(bad_gateway\)"),
    ],
)
def test_what_is_no_api_is_told_as_such(connect: Connect, answer: Answer, says: str) -> None:
    with pytest.raises((ModelError, EndpointError), match=says):
        connect(lambda _: answer)
