"""Statistics: the paired test against its definition and by simulation, Holm's correction, the permutation test by enumeration."""

import math
import statistics
from collections.abc import Sequence
from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import permutation_test, ttest_rel

from benchmarks.paired import Setting, share_significant
from social_learning.statistics import holm, mean, paired, permutation_p_value, standard_error

bits = st.integers(0, 1)
tiny = st.integers(2, 6).flatmap(lambda n: st.tuples(*[st.lists(bits, min_size=n, max_size=n)] * 2))


def table(repeats: int, rows: int) -> st.SearchStrategy[list[list[int]]]:
    """Graded answers of shape (repeats, rows)."""
    return st.lists(st.lists(bits, min_size=rows, max_size=rows), min_size=repeats, max_size=repeats)


tables = st.tuples(st.integers(2, 5), st.integers(2, 7)).flatmap(lambda shape: st.tuples(table(*shape), table(*shape)))


def slow_variance(left: list[list[int]], right: list[list[int]]) -> Fraction:
    """The clustered variance of the mean difference by its definition: over pairs of answers that share a repeat, or a row."""
    repeats, rows = len(left), len(left[0])
    found = {(r, i): Fraction(left[r][i] - right[r][i]) for r in range(repeats) for i in range(rows)}
    middle = sum(found.values(), Fraction()) / len(found)

    def over_pairs(groups: int, alike: Sequence[int]) -> Fraction:
        pairs = ((a, b) for a in found for b in found if all(a[k] == b[k] for k in alike))
        total = sum(((found[a] - middle) * (found[b] - middle) for a, b in pairs), Fraction())
        return Fraction(groups, groups - 1) * total / len(found) ** 2

    by_repeat, by_row = over_pairs(repeats, [0]), over_pairs(rows, [1])
    both = by_repeat + by_row - over_pairs(repeats * rows, [0, 1])
    return max(both if both > 0 else max(by_repeat, by_row), Fraction(1, len(found) ** 2))


@settings(max_examples=60)
@given(tables)
def test_the_standard_error_is_that_of_pairs_that_share_a_repeat_or_a_row(
    both: tuple[list[list[int]], list[list[int]]],
) -> None:
    pair = paired(*both)
    assert pair.stderr == pytest.approx(math.sqrt(slow_variance(*both)))
    assert (pair.repeats, pair.rows) == (len(both[0]), len(both[0][0]))
    back = paired(both[1], both[0])
    assert back.difference == pytest.approx(-pair.difference)
    assert back.p_value == pytest.approx(pair.p_value)


@given(tables)
def test_interval_and_p_value_agree(both: tuple[list[list[int]], list[list[int]]]) -> None:
    pair = paired(*both)
    assert pair.low is not None
    assert pair.high is not None
    assert pair.p_value is not None
    assert -1 <= pair.low <= pair.difference <= pair.high <= 1
    inside = pair.low < 0 < pair.high
    assert inside == (pair.p_value > 0.05) or 0 in (pair.low, pair.high) or 1 in (-pair.low, pair.high)


def test_one_repeat_of_arms_without_chance_is_the_textbooks_paired_t_test() -> None:
    left, right = [1, 1, 0, 1, 1, 0, 1, 1, 1, 0], [0, 1, 0, 0, 1, 1, 0, 0, 1, 0]
    pair, textbook = paired([left], [right], chance=False), ttest_rel(left, right)
    low, high = textbook.confidence_interval()
    assert pair.p_value == pytest.approx(textbook.pvalue)
    assert pair.low == pytest.approx(low)
    assert pair.high == pytest.approx(high)


def test_one_repeat_of_an_arm_with_chance_in_it_says_nothing_of_the_next() -> None:
    pair = paired([[1, 1, 1, 1]], [[0, 0, 0, 0]])
    assert (pair.difference, pair.stderr, pair.low, pair.high, pair.p_value) == (1.0, None, None, None, None)


def test_an_arm_that_is_measured_once_is_paired_with_every_repeat() -> None:
    left, once = [[1, 0, 1], [1, 1, 1]], [0, 0, 1]
    assert paired(left, [once]) == paired(left, [once, once])


def test_answers_that_never_vary_are_no_sure_thing() -> None:
    assert paired([[1] * 4] * 2, [[0] * 4] * 2).p_value == pytest.approx(0.0792, abs=1e-3)
    same = paired([[1, 0]] * 3, [[1, 0]] * 3)
    assert same.difference == 0
    assert same.p_value == pytest.approx(1)


@pytest.mark.parametrize(
    ("left", "right"),
    [([[1, 0]], [[1, 0, 1]]), ([[1], [0], [1]], [[1], [0]]), ([], []), ([[]], [[]]), ([[1, 0]], [[1, 0], [1, 0]])],
)
def test_what_is_no_pair_is_refused(left: list[list[int]], right: list[list[int]]) -> None:
    with pytest.raises(ValueError, match="are no pairs"):
        paired(left, right)


@pytest.mark.parametrize("repeats", [3, 5, 10])
@pytest.mark.parametrize("rows", [100, 500])
def test_the_error_of_the_first_kind_is_five_percent(repeats: int, rows: int) -> None:
    share = share_significant(Setting(repeats, rows), draws=1000, seed=11)
    assert 0.03 <= share <= 0.07


def test_taking_all_answers_for_independent_finds_what_is_not_there() -> None:
    def permutation(left: np.ndarray, right: np.ndarray) -> float:
        return permutation_p_value(left.ravel().tolist(), right.ravel().tolist())

    assert share_significant(Setting(5, 500), draws=200, seed=11, test=permutation) > 0.3


def test_a_difference_that_is_there_is_found() -> None:
    few, many = (share_significant(Setting(n, 200, gain=1.0), draws=400, seed=11) for n in (3, 10))
    assert 0.1 < few < many
    assert many > 0.8


@given(st.lists(st.none() | st.floats(0, 1), max_size=8))
def test_holm_is_the_step_down_procedure(p_values: list[float | None]) -> None:
    corrected = holm(p_values)
    assert [p is None for p in corrected] == [p is None for p in p_values]
    known = sorted(p for p in p_values if p is not None)
    for level in (0.01, 0.05, 0.5):
        rejected = 0
        while rejected < len(known) and known[rejected] * (len(known) - rejected) < level:
            rejected += 1
        assert sum(p is not None and p < level for p in corrected) == rejected


def test_holm_by_hand() -> None:
    assert holm([0.04, None, 0.01, 0.03]) == pytest.approx([0.06, None, 0.03, 0.06])


def exact_p_value(left: Sequence[int], right: Sequence[int]) -> float:
    """The share of all ways to deal the pooled values out again whose difference is at least as large."""
    pooled = [*left, *right]
    observed = abs(Fraction(sum(left), len(left)) - Fraction(sum(right), len(right)))
    deals = list(combinations(range(len(pooled)), len(left)))
    large = 0
    for deal in deals:
        dealt = sum(pooled[i] for i in deal)
        difference = Fraction(dealt, len(left)) - Fraction(sum(pooled) - dealt, len(right))
        large += abs(difference) >= observed
    return large / len(deals)


@settings(max_examples=40)
@given(samples=tiny)
def test_the_permutation_p_value_is_that_of_full_enumeration(samples: tuple[list[int], list[int]]) -> None:
    left, right = samples
    assert permutation_p_value(left, right) == pytest.approx(exact_p_value(left, right))
    assert permutation_p_value(left, right[:1]) == pytest.approx(exact_p_value(left, right[:1]))


@pytest.mark.parametrize(
    ("left", "right"), [([1, 1], [0] * 8), ([0, 1], [1, 1, 1, 1, 1, 0]), ([1], [0]), ([1], [0] * 9), ([0, 1, 1], [1])]
)
def test_samples_of_unlike_sizes_get_the_exact_p_value(left: list[int], right: list[int]) -> None:
    assert permutation_p_value(left, right) == pytest.approx(exact_p_value(left, right))


def test_the_permutation_p_value_is_what_reshuffling_draws_near_to() -> None:
    left, right = [1] * 300 + [0] * 200, [1] * 265 + [0] * 235
    exact = permutation_p_value(left, right)
    drawn = permutation_test(
        (left, right),
        lambda x, y, axis: np.abs(np.mean(x, axis=axis) - np.mean(y, axis=axis)),
        vectorized=True,
        n_resamples=10_000,
        batch=500,
        alternative="greater",
        rng=np.random.default_rng(1),
    )
    assert exact == pytest.approx(drawn.pvalue, abs=0.01)
    assert 0.01 < exact < 0.05


def test_no_difference_and_the_largest_difference() -> None:
    same = [0, 1] * 30
    assert permutation_p_value(same, same) == pytest.approx(1.0)
    assert permutation_p_value([1] * 60, [1] * 40) == 1.0
    assert 0 < permutation_p_value([1] * 60, [0] * 60) < 3e-4


@given(values=st.lists(st.floats(0, 1), min_size=2, max_size=9))
def test_mean_and_standard_error_are_the_textbooks(values: list[float]) -> None:
    assert mean(values) == pytest.approx(statistics.fmean(values))
    error = standard_error(values)
    assert error == pytest.approx(statistics.stdev(values) / math.sqrt(len(values)), abs=1e-9)


def test_one_value_has_no_standard_error() -> None:
    assert standard_error([0.5]) is None
    assert standard_error([]) is None
