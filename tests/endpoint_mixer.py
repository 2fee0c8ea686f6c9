"""A pretender that writes what the shipped stand-in `fake:mixer` writes, so that a whole experiment plays through on it."""

from collections.abc import Mapping
from typing import Any

from benchmarks.endpoints.pretender import Pretender, Written
from social_learning.models.base import Sampling
from social_learning.models.endpoint.probes import COUNTING, STORY
from social_learning.models.fakes import MixerModel


class MixingPretender(Pretender):
    """Like its parent to probes; all other prompts are continued by the stand-in."""

    def write(self, text: str, body: Mapping[str, Any], number: int = 0) -> Written:
        prompt = text.split("\n---\n")[-1]
        if prompt in (COUNTING, STORY, "a") or "word yes" in prompt:
            return super().write(text, body, number)
        sampling = Sampling(
            temperature=body.get("temperature") or 0.0,
            max_tokens=body["max_tokens"],
            stop=tuple(body.get("stop") or ()),
            seed=body.get("seed") or 0,
        )
        made = MixerModel("mixer").generate([prompt], sampling)[0][0]
        # One token less than allowed: what the stand-in writes is never cut off.
        return [(token, -1.0, -0.5) for token in self.tokens(made.text)[: body["max_tokens"] - 1]]
