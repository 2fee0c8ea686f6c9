"""LocalModel: the LanguageModel that runs in this process, on transformers."""

import contextlib
import math
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import torch
from transformers import AttentionInterface

from social_learning.errors import ContextLengthError, ModelError
from social_learning.models.base import Capabilities, Completion, Finish, GenerateCall, Prompt, Sampling, Score
from social_learning.models.local.attention import IMPLEMENTATION, shared_prefix_attention
from social_learning.models.local.engine import Draft, Engine, Progress
from social_learning.models.local.loading import Loaded, load
from social_learning.models.local.memory import give_back, parse_limit
from social_learning.models.local.tokens import ScoringTokens, Tokenizer

AttentionInterface.register(IMPLEMENTATION, shared_prefix_attention)

CHECKED_TOKENS = 24
"""How many tokens the engine is compared on with the model's own forward pass, when a model is loaded."""

CHECKED_WINDOW = 9
"""How long windows of attention are for that."""

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class LocalModel:
    """A causal language model of transformers in this process, on CPU or CUDA.

    `memory` is the limit, in bytes, on what a batch takes besides the weights.
    """

    def __init__(self, name: str, loaded: Loaded, memory: int) -> None:
        self._name = name
        self._tokenizer = Tokenizer(loaded.tokenizer)
        self._engine = Engine(loaded.model, memory)
        check_engine(name, loaded, self._engine)
        self._context_length = loaded.context_length
        kind = str(self._engine.dtype).removeprefix("torch.")
        self._identity = f"{name} {loaded.digest[:16]} {kind}"

    @property
    def name(self) -> str:
        """The name it was loaded by."""
        return self._name

    @property
    def identity(self) -> str:
        """Name, first 16 hex digits of the weights' digest, and number format."""
        return self._identity

    @property
    def context_length(self) -> int:
        """How many tokens a prompt and its continuation may have together."""
        return self._context_length

    @property
    def capabilities(self) -> Capabilities:
        """Everything, but for chat where the model's tokenizer has no template that takes a user's turn."""
        reason = self._tokenizer.without_chat
        reasons = {"chat": reason, "chat_logprobs": reason} if reason else {}
        return Capabilities(chat=not reason, chat_logprobs=not reason, reasons=reasons)

    def count_tokens(self, text: str) -> int:
        """Return how many tokens `text` has."""
        return self._tokenizer.count(text)

    def report_to(self, progress: Progress) -> None:
        """Have `progress` told of what the model is doing, as it goes on."""
        self._engine.progress = progress

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling, samples: int = 1) -> list[list[Completion]]:
        """Return `samples` completions for each prompt; see LanguageModel."""
        return self.generate_calls([GenerateCall(tuple(prompts), sampling, samples)])[0]

    def generate_calls(self, calls: Sequence[GenerateCall]) -> list[list[list[Completion]]]:
        """Answer several calls; those that differ in prompts and seed alone go through the model as one batch."""
        alike: dict[tuple[Sampling, int], list[int]] = {}
        for number, call in enumerate(calls):
            if call.samples < 1:
                raise ModelError(f"samples must be 1 or more, not {call.samples}")
            alike.setdefault((call.sampling.with_seed(0), call.samples), []).append(number)
        answers: list[list[list[Completion]]] = [[] for _ in calls]
        for (sampling, samples), numbers in alike.items():
            asked = [(n, prompt) for n in numbers for prompt in calls[n].prompts]
            ids = self._tokenizer.for_generation([prompt for _, prompt in asked])
            for tokens in ids:
                self._check_length(len(tokens), sampling.max_tokens)
            seeds = [calls[n].sampling.seed for n, _ in asked]
            rows = self._engine.generate(ids, seeds, sampling, samples, partial(self._ended, stop=sampling.stop))
            give_back()
            for (n, _), tokens, row in zip(asked, ids, rows, strict=True):
                answers[n].append([self._completion(draft, sampling.stop, len(tokens)) for draft in row])
        return answers

    def score(self, pairs: Sequence[tuple[Prompt, str]]) -> list[Score]:
        """Return the log-likelihood of each continuation after its prompt; see LanguageModel."""
        sequences = self._tokenizer.for_scoring(pairs)
        for sequence in sequences:
            self._check_length(len(sequence.ids), 0)
        scored = self._engine.score(sequences)
        give_back()
        return [
            Score(math.fsum(logprobs), len(logprobs), greedy, sequence.start)
            for (logprobs, greedy), sequence in zip(scored, sequences, strict=True)
        ]

    def _check_length(self, prompt: int, new: int) -> None:
        if prompt + new > self._context_length:
            asked = f"a prompt of {prompt} tokens" + (f" with {new} to generate" if new else "")
            raise ContextLengthError(
                f"{asked} does not fit the {self._context_length} tokens of context of {self._name}: "
                "use fewer shots, shorter examples, or a model with a longer context"
            )

    def _ended(self, draft: Draft, stop: tuple[str, ...]) -> bool:
        if draft.tokens[-1] in self._tokenizer.end_ids:
            return True
        return bool(stop) and any(text in self._tokenizer.decode(draft.tokens) for text in stop)

    def _completion(self, draft: Draft, stop: tuple[str, ...], prompt_tokens: int) -> Completion:
        text = self._tokenizer.decode(draft.tokens)
        cuts = [text.index(s) for s in stop if s in text]
        finish: Finish = "stop" if draft.stopped else "length"
        return Completion(text[: min(cuts)] if cuts else text, tuple(draft.logprobs), finish, prompt_tokens)


def check_engine(name: str, loaded: Loaded, engine: Engine) -> None:
    """Compare the engine with the model's own forward pass on a few tokens.

    Raises ModelError where they differ: the model's attention is of a kind that the engine does not compute (soft caps,
    attention sinks, biases by distance), and its scores would be wrong.
    """
    model: Any = loaded.model
    ids = tuple(range(10, 10 + CHECKED_TOKENS))
    with _short_windows(model):
        model.set_attn_implementation("eager")
        with torch.inference_mode():
            logits = model(torch.tensor([ids], device=engine.device), use_cache=False).logits[0].float()
        model.set_attn_implementation(IMPLEMENTATION)
        plain = torch.log_softmax(logits, dim=-1)[range(len(ids) - 1), ids[1:]].cpu()
        try:
            ours = torch.tensor(engine.score([ScoringTokens(ids, 1)])[0][0])
            differ = float((ours - plain).abs().max()) > (1e-2 if engine.dtype == torch.float32 else 1.0)
        except (TypeError, KeyError):
            differ = True
    if differ:
        raise ModelError(
            f"model {name!r} has a kind of attention that the local engine does not compute: use another model"
        )


@contextlib.contextmanager
def _short_windows(model: Any) -> Iterator[None]:
    """Shorten the windows of layers that have one, so that few tokens show whether the engine keeps to them."""
    holders: list[Any] = [model.config, model.config.get_text_config(), *model.modules()]
    windows = [(holder, holder.sliding_window) for holder in holders if getattr(holder, "sliding_window", None)]
    for holder, _ in windows:
        holder.sliding_window = CHECKED_WINDOW
    yield
    for holder, window in windows:
        holder.sliding_window = window


def load_local(name: str, dtype: str = "auto", device: str = "auto", memory: int | str = "auto") -> LocalModel:
    """Load a local model. `dtype`: auto, float32, bfloat16 or float16; `device`: auto, cpu, cuda, cuda:1, ...

    `auto` takes CUDA where there is one; and bfloat16 on CUDA and on processors that compute in it, float32 elsewhere.
    `memory` limits what a batch takes besides the weights: bytes, a text as in `512 MiB`, or `auto` (2 GiB, on CUDA 16
    GiB, and at most half of what is free). Raises ModelError for a device, number format or limit that is not to be had.
    """
    where = _device(device)
    limit = parse_limit(memory, where.type)
    if dtype != "auto" and dtype not in DTYPES:
        raise ModelError(f"unknown dtype {dtype!r}: use auto, {', '.join(DTYPES)}")
    kind = DTYPES[dtype] if dtype != "auto" else (torch.bfloat16 if _computes_bfloat16(where) else torch.float32)
    return LocalModel(name, load(name, kind, where), limit)


def _device(device: str) -> torch.device:
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        where = torch.device(device)
    except RuntimeError:
        raise ModelError(f"unknown device {device!r}: use auto, cpu, cuda or cuda:N") from None
    if where.type == "cuda" and not torch.cuda.is_available():
        raise ModelError("device 'cuda' was asked for, but this PyTorch sees no CUDA GPU: use device 'cpu'")
    return where


def _computes_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
