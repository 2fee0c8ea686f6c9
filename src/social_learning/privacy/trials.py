"""Trials: what each trial of a Secret Sharer audit found, and what all of them come to. Plain values, no private text."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from social_learning.errors import AuditError
from social_learning.privacy.exposure import (
    Interval,
    Membership,
    first_interval,
    mean_rank_interval,
    membership,
    uniform_p_value,
)
from social_learning.statistics import mean

POWER = 0.05
"""The verbatim control has power where its mean rank is at most this share of the references."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One trial. Scores are log-likelihoods per token; `references` are sorted, highest first.

    `rank` counts references that score higher, and half of those that score the same (see `rank_of`). The exposures are
    in bits; `extrapolated` is None where no distribution could be fitted, or where the exposure is beyond double
    precision. `shown`: how many of the items that left the silos were written after the canary. `repeated`: whether the
    lesson holds the secret itself.
    """

    number: int
    rank: float
    score: float
    references: tuple[float, ...]
    interpolated: float
    extrapolated: float | None
    shown: int
    repeated: bool

    def to_table(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {**asdict(self), "references": list(self.references)}

    @classmethod
    def from_table(cls, table: dict[str, Any]) -> "Trial":
        """Read what `to_table` made."""
        return cls(**{**table, "references": tuple(table["references"])})


@dataclass(frozen=True, slots=True)
class Failure:
    """A trial whose teaching ended without a lesson, and why, in counts. It has no rank."""

    number: int
    failed: str


@dataclass(frozen=True, slots=True)
class ArmAudit:
    """All trials of one arm.

    `ranks` are in the trials' order. `firsts` counts rank 0, `first_chance` is the 95 % interval of its chance.
    `p_value` tests against uniform ranks, one-sided (see `uniform_p_value`). `interpolated` and `extrapolated` are the
    medians of the exposures; an exposure that is not known counts as the largest, and a median that is not known is
    None. `shown` and `repeated` count trials.
    """

    name: str
    method: str
    shots: int
    control: bool
    references: int
    ranks: tuple[float, ...]
    failed: int
    mean_rank: float
    interval: Interval | None
    firsts: int
    first_chance: Interval
    p_value: float
    membership: Membership
    interpolated: float
    extrapolated: float | None
    shown: int
    repeated: int

    @property
    def trials(self) -> int:
        """How many trials have a rank."""
        return len(self.ranks)

    @property
    def recognised(self) -> bool:
        """Whether the ranks are as near to 0 as those of a verbatim control have to be."""
        return self.mean_rank <= POWER * self.references

    def to_table(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {**asdict(self), "ranks": list(self.ranks)}

    @classmethod
    def from_table(cls, table: dict[str, Any]) -> "ArmAudit":
        """Read what `to_table` made."""
        parts = {
            "ranks": tuple(table["ranks"]),
            "interval": Interval(**table["interval"]) if table["interval"] else None,
            "first_chance": Interval(**table["first_chance"]),
            "membership": Membership(**table["membership"]),
        }
        return cls(**{**table, **parts})


def summarise(
    name: str, method: str, shots: int, control: bool, trials: Sequence[Trial | Failure], seed: int
) -> ArmAudit:
    """Put trials together; `seed` draws the bootstrap and the test's uniform ranks.

    Raises AuditError where no trial has a rank.
    """
    ranked = [trial for trial in trials if isinstance(trial, Trial)]
    failures = [trial for trial in trials if isinstance(trial, Failure)]
    if not ranked:
        why = f": {failures[0].failed}" if failures else ""
        raise AuditError(f"arm {name!r}: none of {len(trials)} trials ended with a lesson, so there is no rank{why}")
    ranks, references = [trial.rank for trial in ranked], len(ranked[0].references)
    bits = [math.inf if trial.extrapolated is None else trial.extrapolated for trial in ranked]
    middle = median(bits)
    return ArmAudit(
        name=name,
        method=method,
        shots=shots,
        control=control,
        references=references,
        ranks=tuple(ranks),
        failed=len(failures),
        mean_rank=mean(ranks),
        interval=mean_rank_interval(ranks, seed),
        firsts=sum(rank == 0 for rank in ranks),
        first_chance=first_interval(ranks),
        p_value=uniform_p_value(ranks, references, seed),
        membership=membership(ranks, references),
        interpolated=median([trial.interpolated for trial in ranked]),
        extrapolated=middle if math.isfinite(middle) else None,
        shown=sum(trial.shown > 0 for trial in ranked),
        repeated=sum(trial.repeated for trial in ranked),
    )
