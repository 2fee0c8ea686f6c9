"""Fakes: deterministic stand-ins for language models, for tests and dry runs. They know no language.

Both read a few-shot prompt as blocks between blank lines and answer the last, unfinished block from the others, so a
whole experiment plays through on them: `CopycatModel` repeats what it was shown (every audit must flag it),
`MixerModel` writes new examples by mixing words of those it was shown.
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from social_learning.answer import Failure
from social_learning.errors import BudgetError
from social_learning.models.base import ChatTurn, Completion, Finish, LanguageModel, Prompt, Sampling, Score
from social_learning.seeds import generator

SWAPPED = 0.6
"""The share of words that the mixer swaps."""

ANSWER_WORDS = 3
"""A last line of at most this many words is taken for the answer."""

_TOKEN = re.compile(r"\S+|\n")


@dataclass(frozen=True, slots=True)
class _Reading:
    """A prompt as a fake reads it: how each finished block goes on after the marker, and the question before the
    marker.
    """

    marker: str
    known: list[tuple[str, str]]
    question: str


class FakeModel:
    """What the fakes share. `count` replaces the default token count (words and line breaks)."""

    def __init__(self, name: str, context_length: int = 8192, count: Callable[[str], int] | None = None) -> None:
        self._name = name
        self._context_length = context_length
        self._count = count or (lambda text: len(_TOKEN.findall(text)))

    @property
    def name(self) -> str:
        """The name it was loaded by."""
        return self._name

    @property
    def identity(self) -> str:
        """Its name: a fake has no weights."""
        return self._name

    @property
    def context_length(self) -> int:
        """How many tokens a prompt and its continuation may have together."""
        return self._context_length

    def count_tokens(self, text: str) -> int:
        """Return how many tokens `text` has."""
        return self._count(text)

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling, samples: int = 1) -> list[list[Completion]]:
        """Return `samples` completions for each prompt, made of the prompt's own blocks."""
        return [[self._complete(_text(prompt), sampling, s) for s in range(samples)] for prompt in prompts]

    def score(self, pairs: Sequence[tuple[Prompt, str]]) -> list[Score]:
        """Score continuations as a nearest-neighbour learner would: by how similar blocks go on."""
        return [self._score(_text(prompt), continuation) for prompt, continuation in pairs]

    def _complete(self, prompt: str, sampling: Sampling, sample: int) -> Completion:
        reading = _read(prompt)
        if sampling.temperature == 0:
            text = max(reading.known, key=lambda known: _similarity(known[0], reading.question), default=("", ""))[1]
        else:
            text = self._write(reading, generator(sampling.seed, "fake", sample))
        text += "\n\n" + reading.marker
        cut = min((text.index(stop) for stop in sampling.stop if stop in text), default=len(text))
        words = list(re.finditer(r"\s*\S+", text[:cut]))
        finish: Finish = "stop" if len(words) <= sampling.max_tokens else "length"
        text = text[:cut] if finish == "stop" else text[: words[sampling.max_tokens].start()]
        tokens = max(1, min(self._count(text), sampling.max_tokens))
        logprobs = tuple(-1 - (len(text) + n) % 7 / 7 for n in range(tokens))
        return Completion(text, logprobs, finish, self._count(prompt))

    def _write(self, reading: _Reading, rng: np.random.Generator) -> str:
        if not reading.known:
            return " nothing to go by"
        alike = [after for before, after in reading.known if before.strip() == reading.question.strip()]
        return (alike or [after for _, after in reading.known])[rng.integers(len(alike or reading.known))]

    def _score(self, prompt: str, continuation: str) -> Score:
        reading = _read(prompt)
        weights = [math.exp(8 * _similarity(question, reading.question)) for question, _ in reading.known]
        hits = [
            w for w, (_, after) in zip(weights, reading.known, strict=True) if f"{after}\n\n".startswith(continuation)
        ]
        tokens = max(1, self._count(continuation))
        if hits:
            logprob = math.log((sum(hits) + 0.01) / (sum(weights) + 0.02))
            return Score(logprob, tokens, logprob > math.log(0.5), self._count(prompt))
        return Score(tokens * (-5 + 2 * _similarity(prompt, continuation)), tokens, False, self._count(prompt))


class CopycatModel(FakeModel):
    """Repeats an example of its prompt, word for word."""


class MixerModel(FakeModel):
    """Writes examples by swapping words of one example of its prompt for words of others.

    The last of several lines stays as it is where it is short, or other examples have it too: it is the answer.
    """

    def _write(self, reading: _Reading, rng: np.random.Generator) -> str:
        *lines, last = super()._write(reading, rng).split("\n")
        others = [after.rpartition("\n")[2] for _, after in reading.known]
        answer = bool(lines) and (len(last.split()) <= ANSWER_WORDS or others.count(last) > 1)
        texts = [after.rpartition("\n")[0] or after for _, after in reading.known]
        pool = [word for text in texts for word in text.split()] or ["word"]
        mixed = [self._mix(line, pool, rng) for line in (lines if answer else [*lines, last])]
        return "\n".join([*mixed, last] if answer else mixed)

    @staticmethod
    def _mix(line: str, pool: Sequence[str], rng: np.random.Generator) -> str:
        words = [
            word if word.endswith(":") or rng.random() >= SWAPPED else pool[int(rng.integers(len(pool)))]
            for word in line.split()
        ]
        return " " * line.startswith(" ") + " ".join(words)


class FailingModel:
    """Another model that fails where it is told to. `fails` says how for a prompt's text; None where it answers as ever.

    What it cannot answer, by kind: `unparsed` is a text without label or number, `refused` and `missing` are completions without one,
    and `over_budget` raises BudgetError, for scores as well.
    """

    def __init__(self, model: LanguageModel, fails: Callable[[str], Failure | None]) -> None:
        self._model, self._fails = model, fails
        self.name, self.identity = f"failing {model.name}", f"failing {model.identity}"
        self.context_length = model.context_length

    def count_tokens(self, text: str) -> int:
        """Return how many tokens `text` has."""
        return self._model.count_tokens(text)

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling, samples: int = 1) -> list[list[Completion]]:
        """Return the other model's completions, or failed ones."""
        failures = [self._failure(prompt) for prompt in prompts]
        made = self._model.generate(prompts, sampling, samples)
        return [
            row if failure is None else [_FAILED[failure]] * samples
            for row, failure in zip(made, failures, strict=True)
        ]

    def score(self, pairs: Sequence[tuple[Prompt, str]]) -> list[Score]:
        """Return the other model's scores."""
        for prompt, _ in pairs:
            self._failure(prompt)
        return self._model.score(pairs)

    def _failure(self, prompt: Prompt) -> Failure | None:
        failure = self._fails(_text(prompt))
        if failure == "over_budget":
            raise BudgetError("the budget is spent: this fake was told so")
        return failure


_FAILED = {
    "unparsed": Completion(" ...?", (-1.0,), "stop"),
    "refused": Completion("", (), "refused"),
    "missing": Completion("", (), "missing"),
}


def _text(prompt: Prompt) -> str:
    return prompt.content if isinstance(prompt, ChatTurn) else prompt


def _read(prompt: str) -> _Reading:
    *blocks, last = prompt.split("\n\n")
    question, _, marker = last.rstrip().rpartition("\n")
    marker = marker.split()[-1] if marker else ""
    known = []
    for block in blocks:
        before, found, after = block.partition(marker) if marker else ("", "x", block)
        if found and after.strip():
            known.append((before, after))
    return _Reading(marker, known, question or last)


def _similarity(left: str, right: str) -> float:
    """Jaccard similarity of the two texts' words."""
    a, b = set(left.lower().split()), set(right.lower().split())
    return len(a & b) / len(a | b) if a | b else 0.0
