"""The models that ship for tests and dry runs, and what all models share: names, sampling, completions, scores."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from social_learning.corpus import Corpus
from social_learning.errors import ModelError
from social_learning.models.base import ChatTurn, Completion, LanguageModel, Sampling, Score, Usage
from social_learning.models.fakes import CopycatModel, FakeModel, MixerModel
from social_learning.models.registry import load_model, load_token_counter
from social_learning.prompts.shots import label_first_prompt, lesson_prompt, new_example_prompt, question_prompt

FAKES = (CopycatModel("fake:copycat"), MixerModel("fake:mixer"))
SHOTS = "Text: win cash today\nClass: spam\n\nText: see you there\nClass: not spam\n\n"
SAMPLED = Sampling(temperature=1.0, max_tokens=60, stop=("\n\n",), seed=5)

both = pytest.mark.parametrize("model", FAKES, ids=[model.name for model in FAKES])


@both
def test_fakes_are_language_models(model: FakeModel) -> None:
    assert isinstance(model, LanguageModel)
    assert model.identity == model.name
    assert model.context_length == 8192
    assert type(model)("other", context_length=10).context_length == 10


@both
def test_the_same_seed_says_the_same_whatever_else_is_asked(model: FakeModel) -> None:
    prompts = [SHOTS + "Text:", "\n\n".join(f"Text: word {i}\nClass: spam" for i in range(9)) + "\n\nText:"]
    together = model.generate(prompts, SAMPLED, samples=6)
    assert [len(row) for row in together] == [6, 6]
    assert together == [model.generate([prompt], SAMPLED, samples=6)[0] for prompt in prompts]
    assert [row[:2] for row in together] == model.generate(prompts, SAMPLED, samples=2)
    assert model.generate(prompts[1:], SAMPLED, 6) != model.generate(prompts[1:], SAMPLED.with_seed(6), 6)
    assert len({completion.text for completion in together[1]}) > 1


@both
@settings(max_examples=60)
@given(prompt=st.text(max_size=60), temperature=st.sampled_from([0.0, 1.0]), max_tokens=st.integers(1, 6))
def test_any_prompt_is_continued_within_its_limits(
    model: FakeModel, prompt: str, temperature: float, max_tokens: int
) -> None:
    sampling = Sampling(temperature=temperature, max_tokens=max_tokens, stop=("\n",))
    for asked in (prompt, ChatTurn(prompt)):
        ((completion,),) = model.generate([asked], sampling)
        assert "\n" not in completion.text
        assert len(completion.text.split()) <= max_tokens
        assert 1 <= completion.tokens <= max_tokens
        assert all(logprob < 0 for logprob in completion.logprobs)
        assert 1 < completion.perplexity < math.inf
        (score,) = model.score([(asked, " word")])
        assert score.logprob < 0 < score.tokens


def test_finish_says_whether_a_completion_was_cut() -> None:
    model = CopycatModel("m")
    long, short = (Sampling(max_tokens=tokens, stop=("\n",)) for tokens in (9, 2))
    prompt = SHOTS + "Text: see you where\nClass:"
    assert [model.generate([prompt], how)[0][0].finish for how in (long, short)] == ["stop", "stop"]
    one = Sampling(max_tokens=1, stop=("\n",))
    assert model.generate([prompt], one)[0][0] == Completion(
        " not", (-1 - 4 / 7,), "length", model.count_tokens(prompt)
    )


def test_the_copycat_repeats_what_it_was_shown(phone_messages: Corpus) -> None:
    task, shots = phone_messages.task, phone_messages.train[:6]
    prompt = new_example_prompt(task, shots)
    texts = {completion.text for completion in FAKES[0].generate([prompt], SAMPLED, samples=40)[0]}
    assert {task.opening + text for text in texts} == {task.render(shot) for shot in shots}


def test_the_mixer_writes_new_examples_of_the_class_it_is_asked_for(phone_messages: Corpus) -> None:
    task, shots = phone_messages.task, phone_messages.train[:6]
    known = {shot.fields["text"] for shot in shots}
    plain = FAKES[1].generate([new_example_prompt(task, shots)], SAMPLED, samples=20)[0]
    examples = [task.parse(task.opening + completion.text) for completion in plain]
    assert all(example and example.fields["text"] not in known for example in examples)
    words = {word for text in known for word in text.split()}
    assert all(example and set(example.fields["text"].split()) <= words for example in examples)
    asked = FAKES[1].generate([label_first_prompt(task, shots, "spam")], SAMPLED, samples=20)[0]
    read = [task.parse_label_first(task.opening + completion.text, "spam") for completion in asked]
    assert all(example and example.fields["text"] not in known for example in read)


@both
def test_questions_are_answered_as_alike_ones_were(model: FakeModel, phone_messages: Corpus) -> None:
    task, shots = phone_messages.task, phone_messages.train[:6]
    prompts = [question_prompt(task, lesson_prompt(task, "Decide.", shots), shot.fields) for shot in shots]
    greedy = model.generate(prompts, Sampling(max_tokens=4, stop=("\n",)))
    assert [row[0].text.strip() for row in greedy] == [shot.answer for shot in shots]
    for prompt, shot in zip(prompts, shots, strict=True):
        likely = max(task.labels, key=lambda label: model.score([(prompt, " " + label)])[0].logprob)
        assert likely == shot.answer


@both
def test_what_was_shown_is_likelier_than_what_was_not(model: FakeModel) -> None:
    shown, new = model.score([(SHOTS.strip(), "\n\nText: win cash now"), (SHOTS.strip(), "\n\nText: quite unlike it")])
    assert shown.per_token > new.per_token


def test_tokens_are_counted_as_told() -> None:
    assert CopycatModel("m").count_tokens("two words\nand a line") == 6
    letters = CopycatModel("m", count=len)
    assert letters.count_tokens("abc") == 3
    assert letters.generate(["abc"], Sampling())[0][0].prompt_tokens == 3
    (score,) = letters.score([("abc", " de")])
    assert (score.tokens, score.prompt_tokens) == (3, 3)


# The registry


def test_fakes_are_loaded_by_name() -> None:
    assert isinstance(load_model("fake:copycat"), CopycatModel)
    assert isinstance(load_model("fake:mixer", dtype="auto", device="cpu"), MixerModel)
    assert load_model("fake:mixer").name == "fake:mixer"
    assert load_token_counter("fake:mixer")("two words") == 2


def test_unknown_names_and_options_are_refused() -> None:
    with pytest.raises(ModelError, match="no fake named 'fake:parrot': there are fake:copycat, fake:mixer"):
        load_model("fake:parrot")
    with pytest.raises(ModelError, match="no fake named 'fake:parrot'"):
        load_token_counter("fake:parrot")
    with pytest.raises(ModelError, match="unknown model option 'dtyp': local models take dtype, device and memory"):
        load_model("some/model", dtyp="float32")


# What all models share


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ({"temperature": -0.1}, "temperature must be 0 or more"),
        ({"temperature": math.inf}, "temperature must be 0 or more"),
        ({"temperature": math.nan}, "temperature must be 0 or more"),
        ({"top_p": 0.0}, r"top_p must be in \(0, 1\]"),
        ({"top_p": 1.01}, r"top_p must be in \(0, 1\]"),
        ({"max_tokens": 0}, "max_tokens must be 1 or more"),
        ({"stop": ("\n", "")}, "stop texts must not be empty"),
    ],
)
def test_sampling_out_of_range_is_refused(wrong: dict[str, object], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Sampling(**wrong)  # type: ignore[arg-type]


def test_a_seed_is_all_that_with_seed_changes() -> None:
    assert SAMPLED.with_seed(9) == Sampling(temperature=1.0, max_tokens=60, stop=("\n\n",), seed=9)
    assert SAMPLED.seed == 5


def test_perplexity_is_per_token() -> None:
    completion = Completion("a b", (math.log(0.5), math.log(0.125)), "stop")
    assert completion.tokens == 2
    assert completion.perplexity == pytest.approx(4.0)
    assert Completion("", (), "stop").perplexity == math.inf
    assert Score(-6.0, 3, True).per_token == -2.0


def test_a_completions_repr_shows_no_text() -> None:
    assert repr(Completion("my secret", (-1.0,), "stop", 3)) == "Completion(finish='stop', prompt_tokens=3)"


def test_usage_adds_up() -> None:
    one, two = Usage(3, 20, 10, 1), Usage(1, 5, 4, 1)
    assert one + two == Usage(4, 25, 14, 2)
    assert one + two - two == one
    assert sum([one, two], Usage()) == one + two
