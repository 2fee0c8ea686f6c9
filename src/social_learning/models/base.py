"""Language models: what the rest of the package may ask of one, whatever runs it."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol, runtime_checkable

Finish = Literal["stop", "length", "refused", "missing"]


@dataclass(frozen=True, slots=True)
class ChatTurn:
    """A prompt told to the model as one user turn through its own chat template, instead of plain text to continue."""

    content: str = field(repr=False)


Prompt = str | ChatTurn
"""Plain text to continue, or one chat turn."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to sample, as one value.

    `temperature` 0 is greedy, and then `top_p` and `seed` have no effect. `top_p` in (0, 1] keeps the smallest set of
    tokens whose probabilities, at this temperature, sum to at least `top_p`. `max_tokens` counts generated tokens.
    `stop` texts end a completion and are cut off. The same seed gives the same samples, whatever else is in the batch.

    Raises ValueError where a number is out of range.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    max_tokens: int = 64
    stop: tuple[str, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.temperature) and self.temperature >= 0):
            raise ValueError(f"temperature must be 0 or more, not {self.temperature}")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be in (0, 1], not {self.top_p}")
        if self.max_tokens < 1:
            raise ValueError(f"max_tokens must be 1 or more, not {self.max_tokens}")
        if any(not text for text in self.stop):
            raise ValueError("stop texts must not be empty")

    def with_seed(self, seed: int) -> "Sampling":
        """Return the same sampling under another seed."""
        return replace(self, seed=seed)


@dataclass(frozen=True, slots=True)
class GenerateCall:
    """One call of `generate` as a value, so that calls of several callers can go through a model together."""

    prompts: tuple[Prompt, ...]
    sampling: Sampling
    samples: int


@dataclass(frozen=True, slots=True)
class Completion:
    """One continuation of a prompt.

    `text` ends before the stop text. `logprobs` holds the natural log-probability of every generated token under the
    model itself (temperature 1, no top-p), the stop text's tokens included; it is empty where the backend does not tell
    them, and then `written` says how many tokens were generated. `finish` is `stop` (a stop text or the model's own end),
    `length` (max_tokens were generated), `refused` (a filter, or the model by a refusal of its own, withheld the text) or
    `missing` (nothing that could be used came, however often it was asked); with the last two there is no text.
    `prompt_tokens` is the prompt's length. The repr tells sizes only: a
    teacher's raw output is private.
    """

    text: str = field(repr=False)
    logprobs: tuple[float, ...] = field(repr=False)
    finish: Finish
    prompt_tokens: int = 0
    written: int | None = field(default=None, repr=False)

    @property
    def tokens(self) -> int:
        """How many tokens were generated."""
        return len(self.logprobs) if self.written is None else self.written

    @property
    def perplexity(self) -> float:
        """exp of the mean negative log-probability per generated token; infinite where none is known."""
        return math.exp(-math.fsum(self.logprobs) / len(self.logprobs)) if self.logprobs else math.inf


@dataclass(frozen=True, slots=True)
class Score:
    """Log-likelihood of a given continuation after its prompt.

    `logprob`: natural log, summed over the continuation's tokens. `tokens`: how many there are. `greedy`: whether each
    of them is the model's most likely next token. `prompt_tokens` is the number of tokens before the continuation.
    """

    logprob: float
    tokens: int
    greedy: bool
    prompt_tokens: int = 0

    @property
    def per_token(self) -> float:
        """Mean log-likelihood per token (natural log)."""
        return self.logprob / self.tokens


@dataclass(frozen=True, slots=True)
class Usage:
    """What was asked of models: finished calls (one per prompt and sample, or per scored pair), tokens in and tokens
    out.

    `cached` counts the calls among them that were answered from the call cache without computing anything. `cost` is
    what all of them cost by the model's prices, the cached ones included, in the prices' currency; 0 without prices.
    """

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached: int = 0
    cost: float = 0.0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.calls + other.calls,
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cached + other.cached,
            self.cost + other.cost,
        )

    def __sub__(self, other: "Usage") -> "Usage":
        return Usage(
            self.calls - other.calls,
            self.prompt_tokens - other.prompt_tokens,
            self.completion_tokens - other.completion_tokens,
            self.cached - other.cached,
            self.cost - other.cost,
        )


@runtime_checkable
class LanguageModel(Protocol):
    """A language model behind synchronous batch calls. Concurrency and batching are the provider's own business."""

    @property
    def name(self) -> str:
        """The name it was loaded by."""

    @property
    def identity(self) -> str:
        """Name, digest of the weights, and number format: equal exactly where equal answers may be expected."""

    @property
    def context_length(self) -> int:
        """How many tokens a prompt and its continuation may have together."""

    def count_tokens(self, text: str) -> int:
        """Return how many tokens `text` has for this model."""

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling, samples: int = 1) -> list[list[Completion]]:
        """Return `samples` completions for each prompt, in the prompts' order.

        Raises ContextLengthError, naming limit and length, where a prompt with `max_tokens` does not fit.
        """

    def score(self, pairs: Sequence[tuple[Prompt, str]]) -> list[Score]:
        """Return the log-likelihood of each continuation after its prompt, in order.

        The two are tokenised as one text, and the tokens that reach into the continuation are scored. Raises
        ModelError for an empty continuation and ContextLengthError where a pair does not fit.
        """


@runtime_checkable
class BatchingModel(LanguageModel, Protocol):
    """A language model for which one large batch costs less than many small ones, such as one that computes in this process."""

    def generate_calls(self, calls: Sequence[GenerateCall]) -> list[list[list[Completion]]]:
        """Answer several calls of `generate` at once, each as it would be answered alone."""


@dataclass(frozen=True, slots=True)
class SampleCall:
    """One sample of one prompt, as a call of its own. `number` counts the samples of the prompt from 0."""

    prompt: Prompt = field(repr=False)
    sampling: Sampling
    number: int


@dataclass(frozen=True, slots=True)
class ScoreCall:
    """One continuation to be scored after its prompt, as a call of its own."""

    prompt: Prompt = field(repr=False)
    continuation: str = field(repr=False)


SingleCall = SampleCall | ScoreCall


@runtime_checkable
class OneByOneModel(LanguageModel, Protocol):
    """A language model that answers every sample and every pair in a call of its own, such as one behind a network."""

    def answer_each(self, calls: Sequence[SingleCall], finished: Callable[[int, Completion | Score], None]) -> None:
        """Answer all calls, several at a time; `finished` is told the place and the answer of each as soon as it is there.

        A SampleCall is answered with a Completion, a ScoreCall with a Score. `finished` may be called from another thread,
        never from two at once. After the first failure no call is started any more; those in flight are finished and
        told, and then the failure is raised.
        """

    def interrupt(self) -> None:
        """Give up the calls in flight; whoever waits for them gets an error. May be called from another thread."""


@runtime_checkable
class PricedModel(LanguageModel, Protocol):
    """A language model whose tokens cost money."""

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float:
        """Return what so many tokens cost, in the prices' currency."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a model can do. The default is everything, which is what a model in this process can.

    `text`: continue plain prompts. `chat`: answer a chat turn. `logprobs`, `chat_logprobs`: tell the log-probability of
    what it wrote after either. `scoring`: score a given continuation. `seed`: give the same sample again for the same
    seed. `reasons` says, by capability, why one is lacking. `details` holds, by name, all that is known for whoever wants
    to see it.
    """

    text: bool = True
    chat: bool = True
    logprobs: bool = True
    chat_logprobs: bool = True
    scoring: bool = True
    seed: bool = True
    reasons: Mapping[str, str] = field(default_factory=dict)
    details: Mapping[str, bool | str | None] = field(default_factory=dict)


@runtime_checkable
class LimitedModel(LanguageModel, Protocol):
    """A language model that cannot do everything, and says so."""

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
