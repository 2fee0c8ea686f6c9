"""Statistics over graded outputs: mean, standard error, the paired test, Holm's correction, the paper's permutation test.

Pure; NumPy and SciPy do the work.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

SIGNIFICANT = 0.05
"""The level of all tests; intervals hold 1 - SIGNIFICANT."""


@dataclass(frozen=True, slots=True)
class Paired:
    """The difference of two arms' shares of right answers, on the same test rows and, where repeats redraw silos, the same silos.

    `difference` in [-1, 1]; `stderr` its standard error, clustered by repeat and by row; `low` and `high` the ends of its 95 %
    interval; `p_value` two-sided, of a difference of none. These four are None where `difference` is of one repeat of an arm
    that chance has a hand in: nothing is known then of what another repeat would bring. `repeats` and `rows` say how many
    there were.
    """

    difference: float
    repeats: int
    rows: int
    stderr: float | None = None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None


def mean(values: Sequence[float]) -> float:
    """Return the arithmetic mean."""
    return float(np.mean(values))


def standard_error(values: Sequence[float]) -> float | None:
    """Return the standard error of the mean, from the sample standard deviation; None for fewer than two values."""
    return float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None


def paired(left: Sequence[Sequence[int]], right: Sequence[Sequence[int]], *, chance: bool = True) -> Paired:
    """Compare graded answers, 0 or 1, of shape (repeats, rows), with those of another arm in the same repeats, or with one repeat of
    an arm without chance in it. `chance` says whether chance has a hand in either arm: repeats differ then.

    The variance is clustered two ways, by repeat and by row (Cameron, Gelbach and Miller, 2011, equation 2.8, each part with its
    factor G / (G - 1)): answers of one repeat share a lesson, and answers to one row share the row. The test is Student's t with
    repeats - 1 degrees of freedom; for two arms without chance, whose rows alone are a sample, with rows - 1.

    Raises ValueError where shapes do not fit.
    """
    ours, theirs = np.asarray(left, dtype=float), np.asarray(right, dtype=float)
    if ours.ndim != 2 or theirs.ndim != 2 or 0 in ours.shape or theirs.shape not in (ours.shape, (1, ours.shape[1])):
        raise ValueError(f"answers of shapes {ours.shape} and {theirs.shape} are no pairs")
    differences = ours - theirs
    repeats, rows = differences.shape
    found = float(differences.mean())
    units = repeats if repeats > 1 else rows
    if units < 2 or (repeats == 1 and chance):
        return Paired(found, repeats, rows)
    from scipy.stats import t

    error = float(np.sqrt(_variance(differences - found)))
    margin = error * float(t.ppf(1 - SIGNIFICANT / 2, units - 1))
    p_value = float(2 * t.sf(abs(found) / error, units - 1))
    return Paired(found, repeats, rows, error, max(-1.0, found - margin), min(1.0, found + margin), p_value)


def _variance(residuals: np.ndarray) -> float:
    """The variance of the mean of residuals of shape (repeats, rows), clustered by both; by row alone for one repeat.

    Where subtracting what both ways count leaves nothing, as it can with few repeats, the larger of the two stays. Where no answer
    varies at all, the variance is that of a sample in which one answer came out otherwise: no sample makes a sure thing.
    """
    by_row = _clustered(residuals.sum(axis=0), residuals.size)
    if len(residuals) == 1:
        variance = by_row
    else:
        by_repeat = _clustered(residuals.sum(axis=1), residuals.size)
        both = by_repeat + by_row - _clustered(residuals.ravel(), residuals.size)
        variance = both if both > 0 else max(by_repeat, by_row)
    return max(variance, 1 / residuals.size**2)


def _clustered(sums: np.ndarray, count: int) -> float:
    groups = len(sums)
    return groups / (groups - 1) * float(np.sum(sums**2)) / count**2 if groups > 1 else 0.0


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Return p-values corrected for their number (Holm, 1979), in the same order; None stays None, and does not count.

    The k-th smallest of m is multiplied by m - k + 1, is never below one before it, and never above 1.
    """
    known = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    corrected: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for done, (p, place) in enumerate(known):
        largest = max(largest, min(1.0, (len(known) - done) * p))
        corrected[place] = largest
    return corrected


def permutation_p_value(left: Sequence[int], right: Sequence[int]) -> float:
    """Return the two-sided permutation p-value for a difference in means of two samples of 0 and 1: the test of arXiv 2312.11441,
    computed exactly where the paper reshuffles 10,000 times.

    It takes every answer for independent of every other, so it is too small where answers share lessons or rows. The share of
    all reshuffles whose difference is at least as large: how many ones of both samples fall into the left one is distributed
    hypergeometrically.
    """
    from scipy.stats import hypergeom

    total, all_ones = len(left) + len(right), sum(left) + sum(right)
    ones = np.arange(max(0, all_ones - len(right)), min(len(left), all_ones) + 1)
    differences = np.abs(ones / len(left) - (all_ones - ones) / len(right))
    large = differences >= abs(mean(left) - mean(right)) - 1e-12
    return float(min(1.0, hypergeom.pmf(ones, total, all_ones, len(left))[large].sum()))
