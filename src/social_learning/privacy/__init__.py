"""Privacy: what a lesson gives away, measured.

The functions named here are pure: they take texts and numbers, and know nothing of runs.
"""

from social_learning.privacy.distance import indel_to_substring, normalized_distance
from social_learning.privacy.exposure import (
    Interval,
    Membership,
    exposure_extrapolated,
    exposure_interpolated,
    first_interval,
    mean_rank_interval,
    membership,
    rank_of,
    uniform_p_value,
)

__all__ = [
    "Interval",
    "Membership",
    "exposure_extrapolated",
    "exposure_interpolated",
    "first_interval",
    "indel_to_substring",
    "mean_rank_interval",
    "membership",
    "normalized_distance",
    "rank_of",
    "uniform_p_value",
]
