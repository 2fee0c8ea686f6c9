"""The estimate: calls, tokens and time of what is left to do, by playing one repeat and a few trials with a stand-in, and
by the pace of the real models on this machine.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from social_learning.config import Experiment, parse_experiment
from social_learning.corpus import load_corpus
from social_learning.dry_run import CountTokens, dry_audit, dry_cells
from social_learning.dry_run import Part as Done
from social_learning.endpoints import is_remote, models_of, price_remarks
from social_learning.folders import cache_folder
from social_learning.models.pool import Load, ModelPool
from social_learning.models.registry import load_model, load_token_counter
from social_learning.progress import Unwatched, Watch
from social_learning.report.numbers import duration, price
from social_learning.reproduce.plan import Part, Request
from social_learning.reproduce.runner import planned
from social_learning.reproduce.state import audited, cells_left
from social_learning.task import SEPARATOR
from social_learning.work import Pace, Work, calibrate, cost_of, known_sum

CALIBRATION_TEXTS, CALIBRATION_SHOTS = 8, 8
"""A model is timed on so many prompts of so many of the bundled, invented messages."""


@dataclass(frozen=True, slots=True)
class ForecastRow:
    """The work of one arm on one task, all shots and repeats (or trials) together; the seconds it would take, None where a
    model behind an endpoint has a part in it; and what it would cost, None where such a model's prices are not known.
    """

    label: str
    work: Work
    seconds: float | None
    cost: float | None = 0.0

    def __add__(self, other: "ForecastRow") -> "ForecastRow":
        seconds, cost = known_sum([self.seconds, other.seconds]), known_sum([self.cost, other.cost])
        return ForecastRow(self.label, self.work + other.work, seconds, cost)

    @property
    def figures(self) -> tuple[str, ...]:
        """Calls, prompt tokens, different ones of them, new tokens, time, and price, as short texts."""
        work = self.work
        counts = (work.calls, work.prompt_tokens, work.different, work.new_tokens)
        return (*map(_short, counts), "" if self.seconds is None else duration(self.seconds), price(self.cost))


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a command would take: rows, all of them together, each model's pace, and what to know about prices, in sentences;
    none where no endpoint has a part in it.
    """

    rows: tuple[ForecastRow, ...]
    paces: Mapping[str, Pace]
    remarks: tuple[str, ...] = ()

    @property
    def total(self) -> ForecastRow:
        """All rows together."""
        work = sum((row.work for row in self.rows), Work())
        seconds, cost = known_sum(row.seconds for row in self.rows), known_sum(row.cost for row in self.rows)
        return ForecastRow("all", work, seconds, cost)

    @property
    def about(self) -> str:
        """How the figures came about, in sentences."""
        paces = "; ".join(
            f"{name} reads {_rate(pace.prompt_token)} and writes {_rate(pace.new_token)} tokens a second (measured on "
            f"{pace.tokens:,} tokens in {pace.measured:.0f} s)"
            for name, pace in self.paces.items()
        )
        return (
            "An estimate. Calls, prompt tokens read, and tokens written: one repeat, and two trials of an audit, played through "
            "with a stand-in that guesses how long texts turn out. Different: what the prompts of one batch have in common "
            "counts once. Time: different and written tokens at this machine's pace: "
            f"{paces or 'no model was measured'}. Where it was checked, it was 0.8 and 2.3 times the time taken. A model behind an "
            "endpoint is asked nothing, and gets no time. Work that tables share is counted once, work that is done already not "
            "at all."
        )

    def to_table(self) -> dict[str, Any]:
        """Return the object that `reproduce --dry-run --json` prints."""
        return {
            "rows": [_table(row) for row in self.rows],
            "total": _table(self.total),
            "paces": {
                name: {
                    "prompt_tokens_per_second": _per_second(p.prompt_token),
                    "new_tokens_per_second": _per_second(p.new_token),
                }
                for name, p in self.paces.items()
            },
        }


def forecast(
    request: Request,
    root: Path | None = None,
    *,
    data: Path | None = None,
    load: Load = load_model,
    token_counter: Callable[[str], CountTokens] = load_token_counter,
    watch: Watch | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Forecast:
    """Estimate what `reproduce` with the same arguments would take. Writes nothing; each model in this process answers a few
    short prompts. Endpoints, which may cost money, are asked nothing.

    Raises a UserError as `reproduce` does.
    """
    root, parts = planned(request, root, data)
    done = [(part, label, one) for part in parts for label, one in _work(part, data, token_counter)]
    options = {name: options for part in parts for name, options in _options(part.experiment).items()}
    needed = dict.fromkeys(name for part, _, one in done for name in one.work if not is_remote(part.experiment, name))
    watch = watch or Unwatched()
    paces = {}
    with closing(ModelPool(load, cache_folder() / "silos", watch.model)) as models:
        for name in needed:
            paces[name] = calibrate(models.load(name, options[name]), _texts(), clock)
    rows: dict[str, ForecastRow] = {}
    for part, label, one in done:
        seconds = known_sum(paces[name].seconds(work) if name in paces else None for name, work in one.work.items())
        row = ForecastRow(label, sum(one.work.values(), Work()), seconds, cost_of(part.experiment, one.work))
        rows[label] = rows[label] + row if label in rows else row
    remarks = dict.fromkeys(
        remark
        for part in parts
        if any(is_remote(part.experiment, name) for name in models_of(part.experiment))
        for remark in price_remarks(part.experiment)
    )
    return Forecast(tuple(rows.values()), paces, tuple(remarks))


def _work(part: Part, data: Path | None, token_counter: Callable[[str], CountTokens]) -> list[tuple[str, Done]]:
    found = []
    left = cells_left(part)
    if left:
        cells = dry_cells(part.experiment, left, data=data, token_counter=token_counter)
        found += [(f"{part.task} {one.arm}", one) for one in cells]
    for plan in part.audits:
        shares = {arm.name: plan.left(part.folder, arm) / plan.wanted(arm) for arm in audited(part)}
        if any(shares.values()):
            audit = dry_audit(part.experiment, plan, part.audited, data=data, token_counter=token_counter)
            label = f"{part.task} audit, {plan.canaries}:"
            found += [(f"{label} {one.arm}", one.times(shares[one.arm])) for one in audit if shares[one.arm]]
    return found


def _options(experiment: Experiment) -> dict[str, dict[str, int | str]]:
    arms = experiment.resolved_arms()
    return {table.model: table.options() for arm in arms for table in (arm.teachers, arm.student)}


def _texts() -> list[str]:
    corpus = load_corpus(parse_experiment({"name": "calibration", "task": "phone_messages"}))
    examples = [corpus.task.render(example) for example in corpus.train]
    size = CALIBRATION_SHOTS
    return [SEPARATOR.join(examples[first * size : (first + 1) * size]) for first in range(CALIBRATION_TEXTS)]


def _short(count: float) -> str:
    """A count in at most five characters, such as `950`, `12.3k` or `4.6M`."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= 0.9995 * size:
            return f"{count / size:.1f}{unit}" if count < 99.95 * size else f"{count / size:.0f}{unit}"
    return f"{count:.0f}"


def _rate(seconds: float) -> str:
    return f"{1 / seconds:,.0f}" if seconds else "very many"


def _per_second(seconds: float) -> float | None:
    return round(1 / seconds, 1) if seconds else None


def _table(row: ForecastRow) -> dict[str, Any]:
    work = row.work
    return {
        "part": row.label,
        "calls": round(work.calls),
        "prompt_tokens": round(work.prompt_tokens),
        "different_prompt_tokens": round(work.different),
        "new_tokens": round(work.new_tokens),
        "seconds": None if row.seconds is None else round(row.seconds, 1),
        "cost": row.cost,
    }
