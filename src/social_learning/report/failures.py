"""Failures: the cells of a run that ended without a lesson, in words."""

from collections.abc import Mapping

from social_learning.report import numbers
from social_learning.results import CellKey


def failure_lines(failures: Mapping[CellKey, str]) -> list[str]:
    """Return a line for each cell without a lesson, such as `repeat 2 of generated, 16 shots: no lesson (reason)`."""
    return [
        f"repeat {key.repeat + 1} of {numbers.label(key.arm, key.shots)}: no lesson ({reason})"
        for key, reason in failures.items()
    ]
