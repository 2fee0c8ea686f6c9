"""Dry run: what an experiment or an audit would take, found by playing it through with a stand-in that counts the real
model's tokens; and how long that would be, by the pace of the real model on a small piece.
"""

import contextlib
import itertools
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from social_learning.audit import audit
from social_learning.audit_plan import Plan, arms_of, controls_of
from social_learning.config import Experiment, cells_of
from social_learning.errors import AuditError
from social_learning.experiment import run
from social_learning.models.base import Completion, LanguageModel, Prompt, Sampling, Score, Usage
from social_learning.models.endpoint.settings import UNKNOWN_LENGTH, estimated_tokens
from social_learning.models.fakes import SWAPPED, MixerModel
from social_learning.models.registry import load_context_length, load_token_counter
from social_learning.progress import Unwatched
from social_learning.results import CellKey
from social_learning.task import SEPARATOR
from social_learning.work import Work, cost_of, distinct_share, known_sum

CountTokens = Callable[[str], int]
TRIED = 2
"""So many trials of an audit are played through."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """Model calls, tokens and price of one arm at one number of shots, all repeats together.

    `cost` is of the calls that have to be made: what arms share is paid for by the first of them. It is None where an endpoint
    has a part in it whose prices are not known.
    """

    arm: str
    shots: int
    repeats: int
    teaching: Usage
    answering: Usage
    cost: float | None = 0.0


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a run or an audit: an arm at a number of shots, and what each model computes for it, by its name."""

    arm: str
    shots: int
    work: Mapping[str, Work]

    def times(self, factor: float) -> "Part":
        """Return the same work so many times over."""
        return Part(self.arm, self.shots, {name: work * factor for name, work in self.work.items()})


def dry_run(
    experiment: Experiment,
    *,
    data: Path | None = None,
    token_counter: Callable[[str], CountTokens] = load_token_counter,
) -> list[Estimate]:
    """Estimate model calls, tokens and price per arm, without a single call of a real model and without writing anything
    that stays.

    Data is read and checked as in a run. Tokens are counted by the real model's tokenizer, example by example; how
    long texts turn out, and how many of them are usable, is the stand-in's guess. Cells that a run folder already
    holds are counted too.
    """
    meter = Meter(token_counter)
    with _played(experiment) as (played, folder):
        result = run(played, folder / "run", data=data, load=meter.load, watch=meter)
    works: dict[tuple[str, int], list[float | None]] = {}
    for (_, key), work in zip(cells_of(experiment), meter.steps(), strict=True):
        works.setdefault((key.arm, key.shots), []).append(cost_of(experiment, work))
    return [
        Estimate(arm.name, arm.shots, arm.repeats, arm.teaching, arm.answering, known_sum(works[arm.name, arm.shots]))
        for arm in result.arms
    ]


def dry_cells(
    experiment: Experiment,
    cells: Collection[CellKey],
    *,
    data: Path | None = None,
    token_counter: Callable[[str], CountTokens] = load_token_counter,
) -> list[Part]:
    """Return the work of some cells of an experiment, by arm and shots; as `dry_run`, but one repeat stands for all.

    The arm compared with is always played. What cells share through the call caches is counted for the first one.
    """
    first = experiment.model_copy(update={"repeats": 1})
    wanted = {(key.arm, key.shots) for key in cells} | {(first.compare_with, key.shots) for _, key in cells_of(first)}
    keys = [key for _, key in cells_of(first) if (key.arm, key.shots) in wanted]
    meter = Meter(token_counter)
    with _played(first) as (played, folder):
        run(played, folder / "run", data=data, load=meter.load, watch=meter, cells=keys)
    parts = []
    for key, work in zip(keys, meter.steps(), strict=True):
        times = sum((other.arm, other.shots) == (key.arm, key.shots) for other in cells)
        parts.append(Part(key.arm, key.shots, work).times(times))
    return [part for part in parts if any(work.calls for work in part.work.values())]


def dry_audit(
    experiment: Experiment,
    plan: Plan,
    arms: Collection[str],
    *,
    data: Path | None = None,
    token_counter: Callable[[str], CountTokens] = load_token_counter,
) -> list[Part]:
    """Return the work of an audit of some arms, by arm, the control first; a few trials stand for all."""
    tried = replace(plan, trials=min(TRIED, plan.trials), only=arms)
    audited = arms_of(experiment, arms)
    meter = Meter(token_counter)
    with _played(experiment) as (played, folder), contextlib.suppress(AuditError):
        audit(played, tried, folder / "run", data=data, load=meter.load, watch=meter)
    parts = []
    # So few trials are one block: an arm's work is what lies between one mark and the next.
    for arm, work in zip([*controls_of(experiment, audited), *audited], meter.steps(), strict=True):
        parts.append(Part(arm.name, max(arm.shots), work).times(plan.wanted(arm) / tried.wanted(arm)))
    return parts


class Meter(Unwatched):
    """A Watch, and a loader of stand-ins, that knows what each model computed for each part of a run."""

    def __init__(self, token_counter: Callable[[str], CountTokens]) -> None:
        self._token_counter = token_counter
        self._models: dict[str, StandIn] = {}
        self._marks: list[dict[str, Work]] = []

    def load(self, name: str, **options: Any) -> LanguageModel:
        """Return a stand-in for a model. An endpoint is asked nothing: its tokens are estimated."""
        if name not in self._models:
            endpoint = options.get("endpoint")
            count = estimated_tokens if endpoint else self._token_counter(name)
            length = endpoint.context_length or UNKNOWN_LENGTH if endpoint else load_context_length(name)
            self._models[name] = StandIn(name, context_length=length, count=_by_blocks(count))
        return self._models[name]

    def cells(self, done: int, total: int) -> None:  # noqa: ARG002  # what is done is told by the marks' order
        """Remember what was computed up to here."""
        self._marks.append({name: model.work for name, model in self._models.items()})

    def steps(self) -> list[dict[str, Work]]:
        """Return the work between one mark and the next, by model."""
        return [
            {name: work - before.get(name, Work()) for name, work in after.items()}
            for before, after in itertools.pairwise(self._marks)
        ]


UNGUARDED = {"min_distance": 0.0, "no_shared_numbers": False, "no_shared_names": False}
"""Guards that a dry run goes without."""


class StandIn(MixerModel):
    """A fake that counts what a real model would compute in its place. What it writes keeps a task's marks and numbers."""

    work = Work()

    @staticmethod
    def _mix(line: str, pool: Sequence[str], rng: np.random.Generator) -> str:
        ordinary = [word for word in pool if _ordinary(word)]
        words = [
            ordinary[int(rng.integers(len(ordinary)))] if _ordinary(word) and rng.random() < SWAPPED else word
            for word in line.split()
        ]
        return " " * line.startswith(" ") + " ".join(words)

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling, samples: int = 1) -> list[list[Completion]]:
        """Generate as the fake does, and count."""
        rows = super().generate(prompts, sampling, samples)
        texts = [prompt if isinstance(prompt, str) else prompt.content for prompt in prompts]
        read = sum(row[0].prompt_tokens for row in rows)
        new = sum(completion.tokens for row in rows for completion in row)
        self.work += Work(len(prompts) * samples, read, read * distinct_share(texts), new)
        return rows

    def score(self, pairs: Sequence[tuple[Prompt, str]]) -> list[Score]:
        """Score as the fake does, but an example that stands in its prompt word for word is likely, and count."""
        scores = [
            replace(score, logprob=-0.1 * score.tokens)
            if text.startswith(SEPARATOR) and text.strip() in str(prompt)
            else score
            for (prompt, text), score in zip(pairs, super().score(pairs), strict=True)
        ]
        read = sum(score.prompt_tokens + score.tokens for score in scores)
        texts = [f"{prompt}{text}" for prompt, text in pairs]
        self.work += Work(len(pairs), read, read * distinct_share(texts))
        return scores


def _ordinary(word: str) -> bool:
    """Whether a word can be swapped for another one, and an example is still one: no heading, mark or number."""
    return any(map(str.isalpha, word)) and not any(map(str.isdigit, word)) and not word.endswith(":")


@contextmanager
def _played(experiment: Experiment) -> Iterator[tuple[Experiment, Path]]:
    """The experiment with its private folders in a folder that goes when it is over, and without guards that compare with the
    silo: what a stand-in writes is made of the silo's own words, so they would drop what a real model's text passes.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        changes: dict[str, Any] = {
            "privacy": experiment.privacy.model_copy(update={"silos": str(folder / "silos")}),
            "teachers": experiment.teachers.model_copy(update=UNGUARDED),
        }
        if isinstance(experiment.arms, dict):
            changes["arms"] = {
                name: arm.model_copy(update={"teachers": {**arm.teachers, **UNGUARDED}})
                for name, arm in experiment.arms.items()
            }
        yield experiment.model_copy(update=changes), folder


def _by_blocks(count: CountTokens) -> CountTokens:
    """Count a prompt block by block, each distinct block once: a lesson's examples stand in every one of its prompts."""
    counted = lru_cache(maxsize=100_000)(count)
    return lambda text: sum(counted(block) for block in text.split(SEPARATOR))
