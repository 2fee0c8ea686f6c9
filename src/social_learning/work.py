"""Work: what a model has to compute, how long that takes at its pace, and what it costs by its prices."""

import itertools
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from social_learning.config import Experiment
from social_learning.endpoints import prices_of
from social_learning.models.base import LanguageModel, Sampling


@dataclass(frozen=True, slots=True)
class Work:
    """What one model has to compute: calls, prompt tokens, those of them that differ, and new tokens.

    `different` counts what prompts of one batch have in common once, as the local engine computes it.
    """

    calls: float = 0
    prompt_tokens: float = 0
    different: float = 0
    new_tokens: float = 0

    def __add__(self, other: "Work") -> "Work":
        return Work(*(a + b for a, b in zip(self._parts, other._parts, strict=True)))

    def __sub__(self, other: "Work") -> "Work":
        return Work(*(a - b for a, b in zip(self._parts, other._parts, strict=True)))

    def __mul__(self, times: float) -> "Work":
        return Work(*(times * part for part in self._parts))

    @property
    def _parts(self) -> tuple[float, ...]:
        return self.calls, self.prompt_tokens, self.different, self.new_tokens


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds per different prompt token and per new token, and the piece that it was measured on: tokens, seconds."""

    prompt_token: float
    new_token: float
    tokens: int
    measured: float

    def seconds(self, work: Work) -> float:
        """Return how long some work takes at this pace."""
        return self.prompt_token * work.different + self.new_token * work.new_tokens


def calibrate(model: LanguageModel, texts: Sequence[str], clock: Callable[[], float] = time.perf_counter) -> Pace:
    """Measure a model's pace: it reads `texts`, different from each other, and continues each of them by 8 x 32 tokens.

    `clock` tells seconds. A first small call, which prepares what later ones find prepared, is not timed.
    """
    model.score([(texts[0][:40], " so")])
    began = clock()
    scores = model.score([(text, " so") for text in texts])
    read = clock() - began
    tokens = sum(score.prompt_tokens + score.tokens for score in scores)
    per_prompt_token = read / max(1, tokens * distinct_share(texts))
    began = clock()
    rows = model.generate(list(texts), Sampling(temperature=1.0, max_tokens=32, seed=1), samples=8)
    wrote = clock() - began
    new = sum(completion.tokens for row in rows for completion in row)
    per_new_token = max(0.0, wrote - read) / max(1, new)
    return Pace(per_prompt_token, per_new_token, tokens + new, read + wrote)


def cost_of(experiment: Experiment, work: Mapping[str, Work]) -> float | None:
    """Return what work costs by each model's prices; None where those of an endpoint with a part in it are not known."""
    done = {name: one for name, one in work.items() if one.calls}
    prices = {name: prices_of(experiment, name) for name in done}
    return known_sum(
        None if price is None else price.cost(done[name].prompt_tokens, done[name].new_tokens)
        for name, price in prices.items()
    )


def known_sum(parts: Iterable[float | None]) -> float | None:
    """Return the sum; None where any part is not known."""
    known = list(parts)
    return None if None in known else math.fsum(part for part in known if part is not None)


def distinct_share(texts: Sequence[str]) -> float:
    """Return the share of characters, in (0, 1], that are left when texts lie in one trie: common beginnings once."""
    ordered = sorted(texts)
    total = sum(map(len, ordered))
    shared = sum(_common(a, b) for a, b in itertools.pairwise(ordered))
    return 1 - shared / total if total else 1.0


def _common(left: str, right: str) -> int:
    """How many characters two texts share at their beginning, by halving."""
    low, high = 0, min(len(left), len(right))
    while low < high:
        middle = (low + high + 1) // 2
        if left[low:middle] == right[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
