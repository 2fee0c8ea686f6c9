"""Statistics over graded outputs: mean, standard error, permutation test. Pure; SciPy does the work."""

from collections.abc import Sequence

import numpy as np


def mean(values: Sequence[float]) -> float:
    """Return the arithmetic mean."""
    return float(np.mean(values))


def standard_error(values: Sequence[float]) -> float | None:
    """Return the standard error of the mean, from the sample standard deviation; None for fewer than two values."""
    return float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None


def permutation_p_value(left: Sequence[int], right: Sequence[int], seed: int, resamples: int = 10_000) -> float:
    """Return the two-sided permutation p-value for a difference in means of two independent samples of 0 and 1.

    Both samples are pooled and reshuffled `resamples` times; p is the share of reshuffles whose difference is at least
    as large as the observed one (the observed one counted in, so p > 0). The test of arXiv 2312.11441, by
    scipy.stats.permutation_test.
    """
    from scipy.stats import permutation_test

    if min(len(left), len(right)) < 2:  # SciPy wants two values or more; the exact answer is easy
        return exact_p_value(left, right)
    result = permutation_test(
        (np.asarray(left, dtype=float), np.asarray(right, dtype=float)),
        lambda x, y, axis: np.abs(np.mean(x, axis=axis) - np.mean(y, axis=axis)),
        vectorized=True,
        n_resamples=resamples,
        batch=500,
        alternative="greater",
        rng=np.random.default_rng(seed),
    )
    return float(result.pvalue)


def exact_p_value(left: Sequence[int], right: Sequence[int]) -> float:
    """Return what `permutation_p_value` draws near to: the share of all reshuffles whose difference is as large.

    How many ones of both samples fall into the left one is distributed hypergeometrically.
    """
    from scipy.stats import hypergeom

    total, all_ones = len(left) + len(right), sum(left) + sum(right)
    ones = np.arange(max(0, all_ones - len(right)), min(len(left), all_ones) + 1)
    differences = np.abs(ones / len(left) - (all_ones - ones) / len(right))
    large = differences >= abs(mean(left) - mean(right)) - 1e-12
    return float(min(1.0, hypergeom.pmf(ones, total, all_ones, len(left))[large].sum()))
