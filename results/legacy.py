"""Tests for runs whose outcomes row by row were not kept: of each arm there is the mean, the
standard error over repeats, and the numbers of repeats and of test rows.

Both arms repeated: Welch's t-test over repeats. It says what other silos, other sampling and other
lessons would bring on these test rows. It says nothing of other test rows.

One arm measured once, because chance has no hand in it: Student's t over the repeats of the other,
with repeats - 1 degrees of freedom. To the variance over repeats that of both accuracies over test
rows is added, as of binomials. That takes the rows of both arms for different ones, which they are
not, so it errs on the side of no difference.

Neither repeated: no test.
"""

from dataclasses import dataclass

from scipy.stats import t, ttest_ind_from_stats

from social_learning.statistics import SIGNIFICANT


@dataclass(frozen=True, slots=True)
class Measured:
    """What was kept of one arm. `accuracy` is a share in [0, 1]; `stderr` is over repeats, None for
    a single one; `rows` counts test rows.
    """

    accuracy: float
    stderr: float | None
    repeats: int
    rows: int


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference of shares, in [-1, 1], with its 95 % interval and two-sided p; these three are
    None where there is no test.
    """

    difference: float
    low: float | None = None
    high: float | None = None
    p_value: float | None = None


def compare(arm: Measured, base: Measured) -> Difference:
    """Return how far `arm` is from `base`, by the test that fits what was kept; see above."""
    if arm.repeats > 1 and base.repeats > 1:
        return _welch(arm, base)
    if arm.repeats > 1 or base.repeats > 1:
        return _against_one(arm, base)
    return Difference(arm.accuracy - base.accuracy)


def _welch(arm: Measured, base: Measured) -> Difference:
    """Welch's test; no test where neither arm varies over repeats."""
    found, errors = arm.accuracy - base.accuracy, (arm.stderr or 0.0, base.stderr or 0.0)
    if not any(errors):
        return Difference(found)
    deviations = [error * one.repeats**0.5 for error, one in zip(errors, (arm, base), strict=True)]
    result = ttest_ind_from_stats(
        arm.accuracy, deviations[0], arm.repeats, base.accuracy, deviations[1], base.repeats, equal_var=False
    )
    error = (errors[0] ** 2 + errors[1] ** 2) ** 0.5
    freedom = error**4 / sum(e**4 / (one.repeats - 1) for e, one in zip(errors, (arm, base), strict=True))
    margin = float(t.ppf(1 - SIGNIFICANT / 2, freedom)) * error
    return Difference(found, max(-1.0, found - margin), min(1.0, found + margin), float(result.pvalue))


def _against_one(arm: Measured, base: Measured) -> Difference:
    """Student's t over the repeats of whichever arm has them; no test where no answer varies."""
    found, repeated = arm.accuracy - base.accuracy, arm if arm.repeats > 1 else base
    of_rows = sum(one.accuracy * (1 - one.accuracy) / one.rows for one in (arm, base))
    error = ((repeated.stderr or 0.0) ** 2 + of_rows) ** 0.5
    if not error:
        return Difference(found)
    freedom = repeated.repeats - 1
    margin = float(t.ppf(1 - SIGNIFICANT / 2, freedom)) * error
    p_value = float(2 * t.sf(abs(found) / error, freedom))
    return Difference(found, max(-1.0, found - margin), min(1.0, found + margin), p_value)
