"""Origins for tests: clocks that stand still or go on by a second each time they are read, and versions of no real code."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count

from social_learning.provenance import Clock, Origin

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)

STEADY = Origin("test", lambda: NOON)
"""A clock that stands still, so that two runs are alike to the byte."""


def ticking() -> Clock:
    """A clock that goes on by a second each time it is read, from noon."""
    moments: Iterator[datetime] = (NOON + timedelta(seconds=n) for n in count())
    return lambda: next(moments)


def made_by(command: str, commit: str) -> Origin:
    """The origin of a command of a checkout, with a ticking clock."""
    return Origin(command, ticking(), {"social-learning": "9.9", "commit": commit})
