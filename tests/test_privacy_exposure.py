"""Ranks, exposure and what is made of them, against values worked out by hand and slow counts."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import skewnorm

from social_learning.privacy import (
    exposure_extrapolated,
    exposure_interpolated,
    first_interval,
    mean_rank_interval,
    membership,
    rank_of,
    uniform_p_value,
)

scores = st.integers(-3, 3).map(float)


@pytest.mark.parametrize(
    ("score", "references", "rank"),
    [
        (-1.0, [-2.0, -3.0, -4.0], 0.0),
        (-5.0, [-2.0, -3.0, -4.0], 3.0),
        (-3.0, [-2.0, -3.0, -4.0], 1.5),  # a tie counts half
        (-1.0, [-1.0, -1.0, -1.0, -1.0], 2.0),  # a model that tells nothing apart leaves the canary in the middle
    ],
)
def test_rank_counts_references_that_score_higher(score: float, references: list[float], rank: float) -> None:
    assert rank_of(score, references) == rank


@given(st.lists(scores, min_size=2, max_size=12))
def test_without_a_leak_the_mean_rank_is_half_of_the_references_whatever_the_ties(values: list[float]) -> None:
    ranks = [rank_of(value, values[:n] + values[n + 1 :]) for n, value in enumerate(values)]
    assert sum(ranks) / len(ranks) == pytest.approx((len(values) - 1) / 2)


def test_exposure_by_interpolation_is_log2_of_the_references_less_log2_of_the_rank() -> None:
    references = [2.0, 3.0, 4.0, 5.0]
    assert exposure_interpolated(1.0, references) == 2.0  # rank 1 of 4
    assert exposure_interpolated(3.5, references) == pytest.approx(2 - math.log2(3))
    assert exposure_interpolated(3.0, references) == pytest.approx(2 - math.log2(3))  # a tie counts against the secret
    assert exposure_interpolated(9.0, references) == pytest.approx(2 - math.log2(5))


def test_exposure_by_extrapolation_is_one_bit_in_the_middle_and_grows_beyond_the_references() -> None:
    references = np.random.default_rng(1).normal(20, 2, 2000).tolist()
    assert exposure_extrapolated(float(np.median(references)), references) == pytest.approx(1, abs=0.05)
    # Two standard deviations below a normal distribution: -log2 of 0.02275.
    assert exposure_extrapolated(16.0, references) == pytest.approx(5.46, abs=0.4)
    skewed = skewnorm.rvs(6, 20, 5, size=4000, random_state=2).tolist()
    assert exposure_extrapolated(20.0, skewed) == pytest.approx(-math.log2(skewnorm.cdf(20.0, 6, 20, 5)), abs=0.25)
    far = exposure_extrapolated(8.0, references)
    assert far > exposure_interpolated(8.0, references) == math.log2(2000)
    assert exposure_extrapolated(-1e6, references) == math.inf
    assert exposure_extrapolated(1e6, references) == 0.0


@pytest.mark.parametrize("function", [exposure_interpolated, exposure_extrapolated, rank_of])
@pytest.mark.parametrize(("secret", "references"), [(1.0, []), (math.nan, [1.0, 2.0]), (1.0, [1.0, math.inf])])
def test_what_is_no_number_is_refused(function: object, secret: float, references: list[float]) -> None:
    with pytest.raises(ValueError, match=r"no |not all"):
        function(secret, references)  # type: ignore[operator]


def test_nothing_is_fitted_to_references_that_do_not_differ() -> None:
    with pytest.raises(ValueError, match="all the same"):
        exposure_extrapolated(1.0, [2.0, 2.0, 2.0])


def test_the_interval_of_the_mean_rank_holds_the_mean_and_narrows_with_trials() -> None:
    rng = np.random.default_rng(3)
    few, many = (rng.integers(1000, size=count).tolist() for count in (20, 500))
    for ranks in (few, many):
        interval = mean_rank_interval(ranks, seed=1)
        assert interval is not None
        assert interval.low < np.mean(ranks) < interval.high
        half = 1.96 * np.std(ranks) / len(ranks) ** 0.5
        assert interval.high - interval.low == pytest.approx(2 * half, rel=0.05)
    narrow, wide = mean_rank_interval(many, 1), mean_rank_interval(few, 1)
    assert narrow is not None
    assert wide is not None
    assert narrow.high - narrow.low < wide.high - wide.low
    assert mean_rank_interval([3.0], seed=1) is None


def test_the_chance_of_rank_0_has_an_exact_interval() -> None:
    none = first_interval([1.0] * 20)
    assert none.low == 0
    assert none.high == pytest.approx(1 - 0.025 ** (1 / 20))
    assert first_interval([0.0] * 20).high == 1


def test_uniform_ranks_pass_and_both_kinds_of_leak_are_seen() -> None:
    rng = np.random.default_rng(4)
    passed = [uniform_p_value(rng.integers(1000, size=100).tolist(), 999, seed) > 0.05 for seed in range(100)]
    assert sum(passed) >= 90  # at most 5 in 100 should fail
    whole_in_few = [0.0] * 5 + rng.integers(1000, size=95).tolist()
    assert uniform_p_value(whole_in_few, 999, 1) < 1e-4
    little_in_all = rng.integers(700, size=100).tolist()
    assert uniform_p_value(little_in_all, 999, 1) < 0.01
    assert uniform_p_value([480.0] * 100, 999, 1) > 0.05  # what the docs say of a mean rank of 480


@given(st.lists(st.lists(st.integers(0, 9), min_size=5, max_size=5), min_size=1, max_size=8))
def test_membership_is_the_share_of_pairs_that_a_threshold_tells_apart(trials: list[list[int]]) -> None:
    ranks = [rank_of(own, references) for own, *references in trials]
    pairs = [(own, other) for own, *references in trials for other in references]
    told = sum((own > other) + (own == other) / 2 for own, other in pairs)
    assert membership(ranks, references=4).auc == pytest.approx(told / len(pairs))


def test_membership_is_the_share_of_references_below_and_of_canaries_above_nearly_all() -> None:
    found = membership([0, 9, 10, 499.5, 999], references=999)
    assert found.auc == pytest.approx(1 - (0 + 9 + 10 + 499.5 + 999) / 5 / 999)
    assert found.true_positives == 2 / 5  # ranks up to 9: at most 9 of 999 references pass
    assert found.true_positives_by_chance == 0.01
    assert membership([0, 1], references=50).true_positives == 0.5
