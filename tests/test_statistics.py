"""Statistics: mean, standard error, and the permutation test against full enumeration."""

import math
import statistics
from collections.abc import Sequence
from fractions import Fraction
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from social_learning import statistics as ours
from social_learning.statistics import mean, permutation_p_value, standard_error

bits = st.integers(0, 1)
tiny = st.integers(2, 6).flatmap(lambda n: st.tuples(*[st.lists(bits, min_size=n, max_size=n)] * 2))


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
def test_small_samples_get_the_exact_p_value(samples: tuple[list[int], list[int]]) -> None:
    left, right = samples
    assert permutation_p_value(left, right, seed=1) == pytest.approx(exact_p_value(left, right))


@pytest.mark.parametrize(
    ("left", "right"), [([1, 1], [0] * 8), ([0, 1], [1, 1, 1, 1, 1, 0]), ([0, 0, 0], [1, 1, 1, 0])]
)
def test_samples_of_unlike_sizes_get_the_exact_p_value(left: list[int], right: list[int]) -> None:
    assert permutation_p_value(left, right, seed=1) == pytest.approx(exact_p_value(left, right))


@pytest.mark.parametrize(("left", "right"), [([1], [0]), ([1], [0] * 9), ([0, 1, 1], [1])])
def test_a_sample_of_one_has_a_p_value(left: list[int], right: list[int]) -> None:
    assert permutation_p_value(left, right, seed=1) == pytest.approx(exact_p_value(left, right))


def test_larger_samples_come_close_to_the_exact_p_value() -> None:
    left, right = [1] * 30 + [0] * 20, [1] * 21 + [0] * 29
    ways = [math.comb(51, hits) * math.comb(49, 50 - hits) for hits in range(51)]
    exact = sum(way for hits, way in enumerate(ways) if abs(hits - (51 - hits)) >= 9) / math.comb(100, 50)
    error = 2 * math.sqrt(exact / 2 * (1 - exact / 2) / 10_000)
    for seed in (1, 2):
        assert abs(permutation_p_value(left, right, seed) - exact) < 4 * error


@settings(max_examples=25)
@given(
    left=st.lists(bits, min_size=2, max_size=40),
    right=st.lists(bits, min_size=2, max_size=40),
    seed=st.integers(0, 2**63 - 1),
)
def test_p_values_are_shares_above_nothing_and_do_not_mind_the_order(
    left: list[int], right: list[int], seed: int
) -> None:
    p = permutation_p_value(left, right, seed, resamples=400)
    assert 0 < p <= 1
    assert permutation_p_value(left, right, seed, resamples=400) == p
    assert permutation_p_value(right, left, seed, resamples=400) == pytest.approx(p, abs=0.15)


def test_no_difference_and_the_largest_difference() -> None:
    same = [0, 1] * 30
    assert permutation_p_value(same, same, seed=1) == 1.0
    assert permutation_p_value([1] * 60, [1] * 40, seed=1) == 1.0
    assert 0 < permutation_p_value([1] * 60, [0] * 60, seed=1) < 3e-4


@given(values=st.lists(st.floats(0, 1), min_size=2, max_size=9))
def test_mean_and_standard_error_are_the_textbooks(values: list[float]) -> None:
    assert mean(values) == pytest.approx(statistics.fmean(values))
    error = standard_error(values)
    assert error == pytest.approx(statistics.stdev(values) / math.sqrt(len(values)), abs=1e-9)


def test_one_value_has_no_standard_error() -> None:
    assert standard_error([0.5]) is None
    assert standard_error([]) is None


@given(tiny)
def test_the_exact_p_value_is_that_of_full_enumeration(samples: tuple[list[int], list[int]]) -> None:
    left, right = samples
    assert ours.exact_p_value(left, right) == pytest.approx(exact_p_value(left, right))
    assert ours.exact_p_value(left, right[:1]) == pytest.approx(exact_p_value(left, right[:1]))


def test_the_exact_p_value_is_what_reshuffling_draws_near_to() -> None:
    left, right = [1] * 300 + [0] * 200, [1] * 265 + [0] * 235
    exact = ours.exact_p_value(left, right)
    assert exact == pytest.approx(permutation_p_value(left, right, seed=1), abs=0.01)
    assert 0.01 < exact < 0.05
