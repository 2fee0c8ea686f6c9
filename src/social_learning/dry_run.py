"""Dry run: what an experiment would take, found by playing it through with a stand-in that counts the real model's
tokens.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from social_learning.config import Experiment
from social_learning.experiment import run
from social_learning.models.base import LanguageModel, Usage
from social_learning.models.endpoint.settings import estimated_tokens
from social_learning.models.fakes import MixerModel
from social_learning.models.registry import load_token_counter
from social_learning.task import SEPARATOR

CountTokens = Callable[[str], int]


@dataclass(frozen=True, slots=True)
class Estimate:
    """Model calls and tokens of one arm at one number of shots, all repeats together."""

    arm: str
    shots: int
    repeats: int
    teaching: Usage
    answering: Usage


def dry_run(
    experiment: Experiment,
    *,
    data: Path | None = None,
    token_counter: Callable[[str], CountTokens] = load_token_counter,
) -> list[Estimate]:
    """Estimate model calls and tokens per arm, without a single call of a real model and without writing anything that
    stays.

    Data is read and checked as in a run. Tokens are counted by the real model's tokenizer, example by example; how
    long texts turn out, and how many of them are usable, is the stand-in's guess. Cells that a run folder already
    holds are counted too.
    """

    def stand_in(name: str, **options: Any) -> LanguageModel:
        # An endpoint is asked nothing: its tokens are estimated.
        count = estimated_tokens if "endpoint" in options else token_counter(name)
        return MixerModel(name, context_length=10**9, count=_by_blocks(count))

    with tempfile.TemporaryDirectory() as folder:
        private = experiment.privacy.model_copy(update={"silos": str(Path(folder).resolve() / "silos")})
        played = experiment.model_copy(update={"privacy": private})
        result = run(played, Path(folder) / "run", data=data, load=stand_in)
    return [Estimate(arm.name, arm.shots, arm.repeats, arm.teaching, arm.answering) for arm in result.arms]


def _by_blocks(count: CountTokens) -> CountTokens:
    """Count a prompt block by block, each distinct block once: a lesson's examples stand in every one of its prompts."""
    counted = lru_cache(maxsize=100_000)(count)
    return lambda text: sum(counted(block) for block in text.split(SEPARATOR))
