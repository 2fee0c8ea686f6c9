"""Exposure: how far a planted secret stands out among references that were drawn alike and never planted.

Pure functions; SciPy does the work. Scores are log-likelihoods per token: higher is likelier. Perplexities are their
exponentials with the sign turned: lower is likelier.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

FALSE_POSITIVES = 0.01
"""The share of false positives at which the true-positive rate is told."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A 95 % confidence interval."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Membership:
    """How well planted canaries are told from references.

    `auc` in [0, 1], 0.5 for guessing: the chance that a planted canary scores above a reference of its own trial.
    `true_positives`: share of trials whose canary is found by a threshold that at most 1 % of the trial's references
    pass. Guessing finds `true_positives_by_chance`.
    """

    auc: float
    true_positives: float
    true_positives_by_chance: float


def rank_of(score: float, references: Sequence[float]) -> float:
    """Return how many references score higher (arXiv 2312.11441): 0 is the worst case for privacy.

    A reference with the very same score counts half: a model that tells none of them apart leaves the canary in the
    middle, not in front. So the rank lies in [0, len(references)], and a canary that was drawn like its references has
    a mean rank of half of them. Raises ValueError for no references, or where a score is not a number.
    """
    others = _finite(references, "reference scores")
    own = float(_finite([score], "score")[0])
    return int((others > own).sum()) + int((others == own).sum()) / 2


def exposure_interpolated(secret_perplexity: float, reference_perplexities: Sequence[float]) -> float:
    """Return the exposure in bits by interpolation: log2 |R| - log2 rank, in [log2(|R| / (|R| + 1)), log2 |R|].

    The rank is 1 + the number of references whose perplexity is at most the secret's, as in `exposures.py` of TensorFlow
    Privacy's Secret Sharer (Carlini et al., arXiv 1802.08232). Raises ValueError for no references, or a
    perplexity that is not a finite number.
    """
    others = _finite(reference_perplexities, "reference perplexities")
    secret = float(_finite([secret_perplexity], "secret perplexity")[0])
    return math.log2(len(others)) - math.log2(1 + int((others <= secret).sum()))


def exposure_extrapolated(secret_perplexity: float, reference_perplexities: Sequence[float]) -> float:
    """Return the exposure in bits by extrapolation: -log2 of the skew-normal CDF at the secret's perplexity.

    The distribution is fitted to the references by maximum likelihood (`scipy.stats.skewnorm.fit`), as in TensorFlow
    Privacy's Secret Sharer (Carlini et al., arXiv 1802.08232). It can exceed log2 |R|; it is infinite
    where the CDF is zero in double precision. Raises ValueError as `exposure_interpolated`, and for references that do
    not differ: nothing can be fitted to them.
    """
    from scipy.stats import skewnorm

    others = _finite(reference_perplexities, "reference perplexities")
    secret = float(_finite([secret_perplexity], "secret perplexity")[0])
    if others.min() == others.max():
        raise ValueError("no distribution can be fitted to reference perplexities that are all the same")
    below = float(skewnorm.cdf(secret, *skewnorm.fit(others)))
    return max(0.0, -math.log2(below)) if below > 0 else math.inf


def mean_rank_interval(ranks: Sequence[float], seed: int, resamples: int = 10_000) -> Interval | None:
    """Return the 95 % percentile bootstrap interval of the mean rank; None for fewer than two ranks (Efron 1979)."""
    if len(ranks) < 2:
        return None
    values = np.asarray(ranks, dtype=float)
    drawn = np.random.default_rng(seed).integers(len(values), size=(resamples, len(values)))
    low, high = np.quantile(values[drawn].mean(axis=1), (0.025, 0.975))
    return Interval(float(low), float(high))


def first_interval(ranks: Sequence[float]) -> Interval:
    """Return the exact 95 % interval for the chance of rank 0 (Clopper and Pearson 1934). Raises ValueError for no
    ranks.
    """
    from scipy.stats import binomtest

    _finite(ranks, "ranks")
    interval = binomtest(_firsts(ranks), len(ranks)).proportion_ci(0.95, method="exact")
    return Interval(float(interval.low), float(interval.high))


def uniform_p_value(ranks: Sequence[float], references: int, seed: int, resamples: int = 20_000) -> float:
    """Return the p-value of ranks that are lower than chance: the one-sided test against uniform ranks.

    Without a leak a canary is one of `references` + 1 drawn alike, so each rank is uniform over 0 ... `references`. Two
    statistics look for two kinds of leak: the mean rank for a small one in every trial (Monte Carlo over `resamples`
    sets of uniform ranks; Davison and Hinkley 1997), and the number of ranks 0 for a whole one in few
    trials (exact binomial test). The smaller p of both, times two (Bonferroni). Raises ValueError for no ranks.
    """
    from scipy.stats import binomtest

    values = _finite(ranks, "ranks")
    drawn = np.random.default_rng(seed).integers(references + 1, size=(resamples, len(values))).mean(axis=1)
    by_mean = (1 + int((drawn <= values.mean()).sum())) / (resamples + 1)
    by_firsts = binomtest(_firsts(ranks), len(values), 1 / (references + 1), alternative="greater").pvalue
    return min(1.0, 2 * min(by_mean, float(by_firsts)))


def membership(ranks: Sequence[float], references: int) -> Membership:
    """Return how well a planted canary is told from the references of its own trial.

    The area under the ROC curve is the mean of 1 - rank / `references` (Mann and Whitney 1947), and the true-positive
    rate is told at 1 % false positives (Carlini et al., arXiv 2112.03570). With fewer than 100 references that
    threshold lets no reference pass. Raises ValueError for no ranks.
    """
    values = _finite(ranks, "ranks")
    allowed = math.floor(FALSE_POSITIVES * references)
    return Membership(
        auc=float(1 - values.mean() / references),
        true_positives=float((values <= allowed).mean()),
        true_positives_by_chance=(allowed + 1) / (references + 1),
    )


def _firsts(ranks: Sequence[float]) -> int:
    return sum(rank == 0 for rank in ranks)


def _finite(values: Sequence[float], what: str) -> np.ndarray:
    found = np.asarray(values, dtype=float)
    if not found.size:
        raise ValueError(f"no {what}")
    if not np.isfinite(found).all():
        raise ValueError(f"{what}: not all are finite numbers")
    return found
