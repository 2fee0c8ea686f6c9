"""Carriers: what brings enquiries to teachers of their own and responses back, as bytes. They know nothing of teaching."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Missing:
    """A teacher that has no part in a round, and why, in fixed words.

    Carriers say `unreachable`, `timed_out`, `hung_up` or `too_long`; the intake says `garbage`, `unasked`, `wrong_reply` or
    `refused: CODE`; the rounds say `silent` of a teacher that was not asked because it timed out before.
    """

    reason: str


class Carrier(Protocol):
    """Carries one round."""

    def carry(self, letters: Mapping[str, bytes]) -> Iterator[tuple[str, bytes | Missing]]:
        """Bring each teacher its enquiry, side by side, and yield what came back, as it comes; at most once per teacher.

        Who is not among them has not answered in time. Never raises because of a teacher: that is a Missing.
        """
