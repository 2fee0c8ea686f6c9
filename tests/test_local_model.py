"""The local engine: equal to plain forward passes and to transformers' own greedy decoding, on several architectures."""

import ctypes
import resource
import string
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AttentionInterface,
    AutoModelForCausalLM,
    AutoTokenizer,
    Gemma2Config,
    Gemma3TextConfig,
    GPT2Config,
    LlamaConfig,
    MistralConfig,
    PreTrainedTokenizerFast,
    Qwen2Config,
)

from social_learning.errors import ContextLengthError, ModelError
from social_learning.models.base import ChatTurn, Completion, GenerateCall, LanguageModel, Sampling
from social_learning.models.local.attention import IMPLEMENTATION, explicit_attention, shared_prefix_attention
from social_learning.models.local.engine import Engine
from social_learning.models.local.loading import load
from social_learning.models.local.memory import give_back, parse_limit
from social_learning.models.local.model import LocalModel
from social_learning.models.local.plan import batches, by_length, common_length, group_by_prefix, pack
from social_learning.models.local.sampling import choose
from social_learning.models.local.tokens import ScoringTokens
from social_learning.models.registry import load_model

ARCHITECTURES = {
    "llama": LlamaConfig(
        hidden_size=48, intermediate_size=96, num_hidden_layers=3, num_attention_heads=6, num_key_value_heads=2
    ),
    "qwen2": Qwen2Config(
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=4
    ),
    "mistral": MistralConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        sliding_window=64,
    ),
    "gemma2": Gemma2Config(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        attn_logit_softcapping=0.5,
        final_logit_softcapping=0.1,
    ),
    "gemma3": Gemma3TextConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        sliding_window=64,
        layer_types=["sliding_attention", "full_attention", "sliding_attention"],
    ),
    "gpt2": GPT2Config(n_embd=32, n_layer=2, n_head=4, n_positions=512),
}
LESSON = "\n\n".join(f"Text: message number {i} from Ida\nClass: {'spam' if i % 2 else 'not spam'}" for i in range(8))


def save_tiny(kind: str, folder: Path) -> None:
    """Save a random model with a byte-level tokenizer, as a folder that transformers loads."""
    alphabet = {character: i + 2 for i, character in enumerate(pre_tokenizers.ByteLevel.alphabet())}
    vocabulary = {"<start>": 0, "<end>": 1, **alphabet, "ĊĊ": 258}
    tokenizer = Tokenizer(models.BPE(vocabulary, [("Ċ", "Ċ")]))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            # Line breaks at the very end are one piece, inside a text each stands alone: the seam trap of real tokenizers.
            pre_tokenizers.Split(Regex(r"\n+$|\n|[^\n]+"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<start>", eos_token="<end>")
    fast.save_pretrained(folder)
    config = ARCHITECTURES[kind]
    config.vocab_size, config.bos_token_id, config.eos_token_id, config.max_position_embeddings = 259, 0, 1, 512
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)
    model.save_pretrained(folder)


class Plain:
    """The oracle: one text at a time through plain transformers."""

    def __init__(self, folder: str) -> None:
        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        self.model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()

    @torch.inference_mode()
    def score(self, prompt: str, continuation: str) -> tuple[float, int, bool]:
        encoded = self.tokenizer(prompt + continuation, return_offsets_mapping=True)
        ids, ends = encoded.input_ids, [end for _, end in encoded.offset_mapping]
        start = next(i for i, end in enumerate(ends) if end > len(prompt))
        if start == 0:
            ids, start = [self.tokenizer.bos_token_id, *ids], 1
        logprobs = torch.log_softmax(self.model(torch.tensor([ids])).logits[0].float(), dim=-1)
        places = range(start, len(ids))
        greedy = all(int(logprobs[i - 1].argmax()) == ids[i] for i in places)
        return sum(float(logprobs[i - 1, ids[i]]) for i in places), len(places), greedy

    @torch.inference_mode()
    def logits(self, ids: tuple[int, ...]) -> torch.Tensor:
        logits: torch.Tensor = self.model(torch.tensor([ids])).logits[0].float()
        return logits

    @torch.inference_mode()
    def greedy(self, prompt: str, tokens: int) -> str:
        ids = self.tokenizer(prompt, return_tensors="pt").input_ids
        out = self.model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=tokens, do_sample=False, pad_token_id=0
        )
        text: str = self.tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True)
        return text


@pytest.fixture(scope="module", params=["llama", "qwen2", "gpt2", "mistral", "gemma3"])
def tiny(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[LanguageModel, Plain]:
    folder = tmp_path_factory.mktemp(str(request.param))
    save_tiny(str(request.param), folder)
    return load_model(str(folder), dtype="float32", device="cpu"), Plain(str(folder))


def ragged_pairs(count: int) -> list[tuple[str, str]]:
    rng = np.random.default_rng(5)
    words = ["win", "a", "prize", "now", "lunch?", "é", "\n", "4821", "…"]
    pairs = [("", "start of nothing"), ("a", "b"), ("ends in breaks\n\n", "Text: x"), (LESSON, "\n\nText: x")]
    for number in range(count):
        question = " ".join(rng.choice(words, size=rng.integers(1, 9)))
        prompt = f"{LESSON}\n\nText: {question}\nClass:" if number % 4 else question
        pairs += [(prompt, " spam"), (prompt, " not spam"), (prompt, " not")]
    return pairs


def test_scores_equal_plain_forward_passes(tiny: tuple[LanguageModel, Plain]) -> None:
    model, plain = tiny
    pairs = ragged_pairs(12)
    for pair, score in zip(pairs, model.score(pairs), strict=True):
        logprob, tokens, greedy = plain.score(*pair)
        assert score.logprob == pytest.approx(logprob, abs=1e-4 * tokens)
        assert (score.tokens, score.greedy) == (tokens, greedy)


@pytest.mark.parametrize("memory", ["auto", "1 MiB"])
@pytest.mark.parametrize("seed", range(4))
def test_every_token_of_random_tries_scores_as_in_a_plain_pass(
    tiny: tuple[LanguageModel, Plain], seed: int, memory: str
) -> None:
    _, plain = tiny
    rng = np.random.default_rng(seed)
    loaded = load(plain.model.name_or_path, torch.float32, torch.device("cpu"))
    engine = Engine(loaded.model, parse_limit(memory, "cpu"))
    sequences = []
    for length in (0, 3, 120, 400):
        stem = rng.integers(2, 258, size=length)
        for _ in range(8):
            branch = rng.integers(2, 6, size=rng.integers(2, 100))  # four tokens only: branches share their beginnings
            ids = np.concatenate([stem, branch])[:511]
            sequences.append(ScoringTokens(tuple(ids.tolist()), int(rng.integers(1, len(ids)))))
    rng.shuffle(sequences)
    for sequence, (logprobs, greedy) in zip(sequences, engine.score(sequences), strict=True):
        expected = torch.log_softmax(plain.logits(sequence.ids), dim=-1)[sequence.start - 1 : -1]
        targets = torch.tensor(sequence.ids[sequence.start :])
        assert logprobs == pytest.approx(expected[range(len(targets)), targets].tolist(), abs=1e-4)
        assert greedy == bool((expected.argmax(dim=-1) == targets).all())


def test_every_distinct_token_is_computed_once_and_read_where_needed(tmp_path: Path) -> None:
    save_tiny("llama", tmp_path)
    loaded = load(str(tmp_path), torch.float32, torch.device("cpu"))
    model = LocalModel("tiny", loaded, 2**30)
    computed, read = [], []
    loaded.model.get_submodule("model").register_forward_pre_hook(
        lambda module, arguments, options: computed.append(options["input_ids"].numel()), with_kwargs=True
    )
    loaded.model.get_submodule("lm_head").register_forward_pre_hook(lambda module, args: read.append(args[0].shape[0]))
    questions = [f"{LESSON}\n\nText: {'so ' * n}{n}\nClass:" for n in range(8)]
    pairs = [(question, label) for question in questions for label in (" spam", " not spam")]
    ids = [tuple(loaded.tokenizer(prompt + label).input_ids) for prompt, label in pairs]
    assert sum(score.tokens for score in model.score(pairs)) == 8 * (len(" spam") + len(" not spam"))
    assert sum(read) == 8 * (
        len(" spam") + len(" not spam") - 2
    )  # both are read where the blank and the next letter begin
    distinct = len({row[:end] for row in ids for end in range(1, len(row))})
    assert distinct <= sum(computed) <= 1.01 * distinct  # a token or two are cheaper done again than masked
    computed.clear()
    model.generate(questions, Sampling(max_tokens=1), 3)
    prompts = [tuple(loaded.tokenizer(question).input_ids) for question in questions]
    distinct = len({row[:end] for row in prompts for end in range(1, len(row) + 1)})
    assert distinct <= sum(computed) <= 1.01 * distinct


def test_scores_do_not_depend_on_what_else_is_in_the_batch(tiny: tuple[LanguageModel, Plain]) -> None:
    model, _ = tiny
    pairs = ragged_pairs(4)
    together = model.score(pairs)
    for pair, score in zip(pairs, together, strict=True):
        assert model.score([pair])[0].logprob == pytest.approx(score.logprob, abs=1e-3)


def test_greedy_continuations_equal_transformers(tiny: tuple[LanguageModel, Plain]) -> None:
    model, plain = tiny
    prompts = [f"{LESSON}\n\nText: {'so ' * n}long\nClass:" for n in range(5)] + ["Once", "x" * 40]
    for prompt, row in zip(prompts, model.generate(prompts, Sampling(max_tokens=10)), strict=True):
        assert row[0].text == plain.greedy(prompt, 10)
        assert row[0].prompt_tokens == len(plain.tokenizer(prompt).input_ids)


def test_samples_depend_on_seed_and_number_alone(tiny: tuple[LanguageModel, Plain]) -> None:
    model, _ = tiny
    sampling = Sampling(temperature=0.9, top_p=0.9, max_tokens=12, seed=3)
    prompts = [f"{LESSON}\n\nText: {n}" for n in range(3)]
    alone = [model.generate([prompt], sampling, 4)[0] for prompt in prompts]
    assert _texts(model.generate(prompts, sampling, 4)) == _texts(alone)
    assert _texts(model.generate(prompts[:1], sampling, 2)) == [_texts(alone)[0][:2]]
    assert _texts(model.generate(prompts, sampling.with_seed(4), 4)) != _texts(alone)
    assert isinstance(model, LocalModel)
    calls = [GenerateCall((prompt,), sampling.with_seed(n), 2) for n, prompt in enumerate(prompts)]
    assert [_texts(answer) for answer in model.generate_calls(calls)] == [
        _texts(model.generate(call.prompts, call.sampling, 2)) for call in calls
    ]


def test_rows_of_many_prompts_that_end_one_by_one_are_written_as_if_alone(tiny: tuple[LanguageModel, Plain]) -> None:
    model, _ = tiny
    sampling = Sampling(temperature=1.5, top_p=1.0, max_tokens=24, stop=tuple(string.ascii_letters), seed=3)
    prompts = [f"{n} is a number. " * 6 + "so " * (n % 5) for n in range(16)] + ["Once"]
    together, alone = model.generate(prompts, sampling, 8), [model.generate([p], sampling, 8)[0] for p in prompts]
    assert _texts(together) == _texts(alone)
    for row, other in zip(together, alone, strict=True):
        assert [c.logprobs for c in row] == [pytest.approx(c.logprobs, abs=1e-4) for c in other]
    # A random model may hardly look at its prompt, so that rows of one number end together: eight numbers differ anyhow.
    assert len({len(completion.logprobs) for row in together for completion in row}) > 3


def _texts(rows: list[list[Completion]]) -> list[list[str]]:
    return [[completion.text for completion in row] for row in rows]


def test_samples_and_scores_do_not_depend_on_the_memory_limit(tiny: tuple[LanguageModel, Plain]) -> None:
    model, plain = tiny
    small = load_model(plain.model.name_or_path, dtype="float32", device="cpu", memory="1 MiB")
    prompts = [f"{LESSON}\n\nText: {n}" for n in range(3)] + ["Once", "x" * 300, LESSON]
    sampling = Sampling(temperature=0.9, top_p=0.9, max_tokens=12, seed=3)
    assert _texts(small.generate(prompts, sampling, 4)) == _texts(model.generate(prompts, sampling, 4))
    pairs = ragged_pairs(6)
    scores = [score.logprob for score in model.score(pairs)]
    assert [score.logprob for score in small.score(pairs)] == pytest.approx(scores, abs=1e-4)


def test_a_prompt_that_just_fits_scores_like_a_plain_pass(tiny: tuple[LanguageModel, Plain]) -> None:
    model, plain = tiny
    pairs = [
        ("x" * 511, "y"),
        (LESSON + "z" * (512 - len(plain.tokenizer(LESSON).input_ids) - 1), "\n"),
        ("", "y" * 511),
    ]
    for pair, score in zip(pairs, model.score(pairs), strict=True):
        logprob, tokens, greedy = plain.score(*pair)
        assert score.logprob == pytest.approx(logprob, abs=1e-4 * tokens)
        assert (score.tokens, score.greedy) == (tokens, greedy)


def test_logprobs_of_samples_are_those_of_the_model(tiny: tuple[LanguageModel, Plain]) -> None:
    model, plain = tiny
    sampling = Sampling(temperature=0.7, top_p=0.8, max_tokens=3, seed=1)
    compared = 0
    for completion in model.generate([LESSON], sampling, 64)[0]:
        # A token may be a part of a letter, and then the text does not tell which tokens were picked.
        if completion.finish == "length" and completion.text.isascii() and completion.tokens == len(completion.text):
            assert sum(completion.logprobs) == pytest.approx(plain.score(LESSON, completion.text)[0], abs=1e-3)
            compared += 1
    assert compared


def test_stop_texts_end_and_are_cut(tiny: tuple[LanguageModel, Plain]) -> None:
    model, plain = tiny
    # Which tokens a random model picks differs between processors, and a token may be a part of a letter or none.
    texts = [plain.greedy(LESSON, tokens) for tokens in range(1, 11)]
    stop = texts[-1][len(texts[-1]) // 2]
    tokens = next(tokens for tokens, text in enumerate(texts, 1) if stop in text)
    cut = model.generate([LESSON], Sampling(max_tokens=10, stop=(stop,)))[0][0]
    assert (cut.text, cut.tokens, cut.finish) == (texts[tokens - 1].partition(stop)[0], tokens, "stop")


def test_what_does_not_fit_the_context_names_limit_and_length(tiny: tuple[LanguageModel, Plain]) -> None:
    model, _ = tiny
    fits = "x" * 500
    model.generate([fits], Sampling(max_tokens=12))
    with pytest.raises(ContextLengthError, match="500 tokens with 13 to generate does not fit the 512 tokens"):
        model.generate([fits], Sampling(max_tokens=13))
    with pytest.raises(ContextLengthError, match="513"):
        model.score([("x" * 500, "y" * 13)])
    with pytest.raises(ModelError, match="empty continuation"):
        model.score([("x", "")])
    with pytest.raises(ModelError, match="chat template"):
        model.generate([ChatTurn("hello")], Sampling())


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("no-such-model", {}, "no model named"),
        ("fake:other", {}, "there are fake:copycat, fake:mixer"),
        ("smollm2-135m-instruct", {"dtype": "int4"}, "unknown dtype"),
        ("smollm2-135m-instruct", {"device": "quantum"}, "unknown device"),
        ("smollm2-135m-instruct", {"memory": "lots"}, "memory must be auto, or 1 MiB or more"),
        ("smollm2-135m-instruct", {"memory": "2 parsecs"}, "not '2 parsecs'"),
        ("smollm2-135m-instruct", {"memory": 1000}, "not 1000"),
        ("smollm2-135m-instruct", {"dtypes": "float32"}, "unknown model option 'dtypes'"),
    ],
)
def test_models_that_cannot_be_had_are_explained(name: str, options: dict[str, str], told: str) -> None:
    with pytest.raises(ModelError, match=told):
        load_model(name, **options)


def test_attention_that_the_engine_does_not_compute_is_refused(tmp_path: Path) -> None:
    save_tiny("gemma2", tmp_path)
    with pytest.raises(ModelError, match="a kind of attention that the local engine does not compute"):
        load_model(str(tmp_path), dtype="float32", device="cpu")


def test_a_sliding_window_that_the_engine_is_not_told_of_is_refused(tmp_path: Path) -> None:
    def untold(*args: Any, **kwargs: Any) -> Any:
        return shared_prefix_attention(*args, **{**kwargs, "sliding_window": None})

    save_tiny("mistral", tmp_path)
    AttentionInterface.register(IMPLEMENTATION, untold)
    try:
        with pytest.raises(ModelError, match="a kind of attention that the local engine does not compute"):
            load_model(str(tmp_path), dtype="float32", device="cpu")
    finally:
        AttentionInterface.register(IMPLEMENTATION, shared_prefix_attention)


def test_a_folder_without_a_model_is_explained(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot load model"):
        load_model(str(tmp_path))


@pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="only glibc keeps free memory so"
)
def test_what_is_free_is_given_back_to_the_system() -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

    give_back()
    # Below what glibc takes from the system piece by piece; those that stay keep it from giving back the others.
    pieces = [torch.ones(16 * 2**10) for _ in range(4000)]
    stay = pieces[::100]
    del pieces
    before = resident()
    give_back()
    assert resident() < before - 100 * 2**20
    assert all(piece.sum() == 16 * 2**10 for piece in stay)


@pytest.mark.parametrize(
    "failure", [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("can't allocate memory: 9 GB")]
)
def test_a_batch_that_does_not_fit_is_halved_until_it_does(
    tmp_path: Path, failure: RuntimeError, caplog: pytest.LogCaptureFixture
) -> None:
    save_tiny("llama", tmp_path)
    loaded = load(str(tmp_path), torch.float32, torch.device("cpu"))
    model = LocalModel("tiny", loaded, 2**30)
    long = ["".join(f"{n}{i}" for i in range(120)) for n in range(6)]  # some 330 tokens each, nothing shared
    pairs, sampling = [(text, " spam") for text in long], Sampling(temperature=1.0, max_tokens=5)
    scores, texts = model.score(pairs), _texts(model.generate(long, sampling, 2))
    most = 700

    def too_many(module: torch.nn.Module, arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
        if options["input_ids"].shape[1] > most:
            raise failure

    loaded.model.get_submodule("model").register_forward_pre_hook(too_many, with_kwargs=True)
    assert [s.logprob for s in model.score(pairs)] == pytest.approx([s.logprob for s in scores], abs=1e-3)
    assert "going on with half as many" in caplog.text
    assert _texts(model.generate(long, sampling, 2)) == texts
    most = 0
    with pytest.raises(ModelError, match="not even one prompt at a time"):
        model.generate(long, sampling, 2)


@pytest.mark.parametrize("block", [1, 200, 2**26])
@pytest.mark.parametrize("causal", [True, False])
def test_attention_written_out_equals_the_kernel(causal: bool, block: int) -> None:
    random = torch.Generator().manual_seed(2)
    query, key, value = (torch.randn(3, 4, 9, 8, generator=random) for _ in range(3))
    hidden = torch.rand(3, 1, 9, 9, generator=random) < 0.4
    hidden[..., range(9), range(9)] = False
    mask = None if causal else torch.zeros(hidden.shape).masked_fill_(hidden, float("-inf"))
    kernel = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    out, weight = kernel(query, key, value, is_causal=causal, attn_mask=mask, scale=0.3)
    ours, log_sum = explicit_attention(query, key, value, mask, 0.3, causal, block)
    assert torch.allclose(ours, out, atol=1e-5)
    assert torch.allclose(log_sum, weight, atol=1e-5)


# Sampling against its definition


@given(st.integers(0, 10**6), st.floats(0.2, 2.0), st.floats(0.05, 1.0), st.sampled_from([1.0, 3.0]))
@settings(max_examples=60)
def test_tokens_are_drawn_from_the_top_p_set_as_often_as_they_are_likely(
    seed: int, temperature: float, top_p: float, spread: float
) -> None:
    logits = torch.tensor(np.random.default_rng(seed).normal(size=1200) * spread, dtype=torch.float32)
    draws = 500
    uniform = (torch.arange(draws, dtype=torch.float64) + 0.5) / draws
    tokens, logprobs = choose(logits.expand(draws, -1), Sampling(temperature=temperature, top_p=top_p), uniform)
    probabilities = torch.softmax(logits.double() / temperature, dim=-1)
    best, order = probabilities.sort(descending=True)
    size, larger = (min(int((best.cumsum(0) < top_p + slack).sum()) + 1, 1200) for slack in (-1e-5, 1e-5))
    assume(size == larger)  # else rounding may move the last token in or out
    expected = torch.zeros(1200, dtype=torch.float64)
    expected[order[:size]] = best[:size] / best[:size].sum() * draws
    assert not tokens[expected[tokens] == 0].tolist()
    assert float((torch.bincount(tokens, minlength=1200) - expected).abs().max()) <= 2
    assert torch.allclose(logprobs, torch.log_softmax(logits, -1)[tokens], atol=1e-4)


@pytest.mark.parametrize("temperature", [0.0, 1e-6, 1.0])
def test_the_ends_of_the_uniform_numbers_are_tokens_too(temperature: float) -> None:
    logits = torch.full((2, 700), -1e9)
    logits[:, 600] = 0.0
    uniform = torch.tensor([0.0, 1 - 2**-53], dtype=torch.float64)
    for top_p in (1.0, 0.9):
        assert choose(logits, Sampling(temperature=temperature, top_p=top_p), uniform)[0].tolist() == [600, 600]


# Planning

SEQUENCES = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=9).map(tuple), min_size=1, max_size=12)


@given(SEQUENCES)
def test_groups_are_a_partition_that_shares_what_is_common(sequences: list[tuple[int, ...]]) -> None:
    limits = [len(sequence) - 1 for sequence in sequences]
    groups = group_by_prefix(sequences, limits, min_shared=3, min_group=8)
    assert sorted(member for group in groups for member in group.members) == list(range(len(sequences)))
    for group in groups:
        starts = {sequences[member][: group.shared] for member in group.members}
        assert len(starts) == 1
        assert all(group.shared <= limits[member] for member in group.members)
        assert group.shared == 0 or group.shared >= 3
        if group.shared:
            assert group.shared + sum(len(sequences[member]) - group.shared for member in group.members) > 8


@given(SEQUENCES, st.integers(0, 9))
def test_common_length_is_the_longest_common_start(sequences: list[tuple[int, ...]], limit: int) -> None:
    shortest = min(limit, *(len(sequence) for sequence in sequences))
    expected = max(n for n in range(shortest + 1) if len({sequence[:n] for sequence in sequences}) == 1)
    assert common_length(sequences, limit) == expected


@given(SEQUENCES, st.integers(1, 20))
def test_packed_rows_hold_every_sequence_and_no_beginning_twice(sequences: list[tuple[int, ...]], limit: int) -> None:
    rows = pack(dict(enumerate(sequences)), limit)
    assert sorted(number for row in rows for number in row.paths) == list(range(len(sequences)))
    for row in rows:
        for number, path in row.paths.items():
            assert tuple(row.tokens[place] for place in path) == sequences[number]
            assert [row.parents[place] for place in path] == [-1, *path[:-1]]
        assert len(set(zip(row.parents, row.tokens, strict=True))) == len(row.tokens)
        assert len(row.tokens) <= max(limit, *(len(sequences[number]) for number in row.paths))
        assert len({sequences[number][0] for number in row.paths}) == 1
        assert row.is_chain == (row.parents == list(range(-1, len(row.tokens) - 1)))


@given(SEQUENCES)
def test_small_tries_are_one_row_where_a_token_is_dear(sequences: list[tuple[int, ...]]) -> None:
    distinct = {sequence[: end + 1] for sequence in sequences for end in range(len(sequence))}
    assert sum(len(row.tokens) for row in pack(dict(enumerate(sequences)), 1000)) == len(distinct)


@given(st.lists(st.integers(0, 50), max_size=30), st.integers(1, 120))
def test_batches_keep_the_order_and_the_limit(costs: list[int], limit: int) -> None:
    made = batches(costs, limit)
    assert [item for batch in made for item in batch] == list(range(len(costs)))
    for batch, following in zip(made, [*made[1:], None], strict=False):
        total = sum(costs[item] for item in batch)
        assert len(batch) == 1 or total <= limit
        assert following is None or total + costs[following[0]] > limit


@given(st.lists(st.integers(1, 50), max_size=30), st.floats(1, 3))
def test_rows_attend_with_rows_of_like_length(lengths: list[int], padding: float) -> None:
    sets = by_length(lengths, padding)
    assert sorted(row for alike in sets for row in alike) == list(range(len(lengths)))
    for alike in sets:
        assert max(lengths[row] for row in alike) * len(alike) <= padding * sum(lengths[row] for row in alike) + 1e-9


# The embedded model


@pytest.mark.model
def test_the_embedded_model_scores_like_a_plain_forward_pass(embedded_cache: None) -> None:
    model = load_model("smollm2-135m-instruct", dtype="float32", device="cpu")
    from social_learning.models.local.loading import load_tokenizer

    plain = Plain(load_tokenizer("smollm2-135m-instruct").name_or_path)
    pairs = ragged_pairs(5)
    for pair, score in zip(pairs, model.score(pairs), strict=True):
        logprob, tokens, greedy = plain.score(*pair)
        assert score.logprob == pytest.approx(logprob, abs=1e-4 * tokens)
        assert (score.tokens, score.greedy) == (tokens, greedy)
    prompt = "The capital of France is"
    assert model.generate([prompt], Sampling(max_tokens=8))[0][0].text == plain.greedy(prompt, 8)


@pytest.mark.model
def test_the_embedded_model_answers_a_chat_turn(embedded_cache: None) -> None:
    model = load_model("smollm2-135m-instruct", dtype="float32", device="cpu")
    answer = model.generate([ChatTurn("What is the capital of France?")], Sampling(max_tokens=12))[0][0]
    assert "Paris" in answer.text
    assert model.count_tokens("Hello\n\nText: a") == 6
    assert model.identity == "smollm2-135m-instruct b179c9523d0e6a0f float32"
