"""Nearness: whether what left the silos is nearer to them than public texts come by chance, measure by measure.

Items and public texts are ranked together. Where both are alike, each order of the ranking is as likely as any other, so how
many items come before the nearest public texts has a known distribution (negative hypergeometric; the precedence test of
Nelson 1963). Items of one teacher resemble each other, so the figure is a yardstick, not a proof.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from social_learning.privacy.detectors import KINDS
from social_learning.privacy.evidence import Closeness
from social_learning.privacy.wording import NEAR

CHANCE = 0.01
"""What happens less often than this by chance is called nearer than chance. Several measures and arms are looked at, so it is
less than the usual 0.05."""

CHANGED = NEAR
"""Fewer than one word in four changed makes a near copy; the guard `min_distance` has the same limit by default."""

NEAR_COPY = 0.1
"""At most this distance: nine letters of ten stand in one passage of the private text, in the same order."""

LONG_RUN = 10
"""A run of so many words, about a sentence, that a private text holds too."""

ONE_IN = 20
"""Items are counted that are nearer than all but one in so many public texts."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One measure of what left beside that of public texts, both in the measure's own unit.

    `best` is the measure of the item that came nearest. `public_median` and `public_best` are those of public texts, None
    where there are none. `beyond` counts the items nearer than all but one in ONE_IN public texts. `chance`, in [0, 1], is how
    often as many or more would be by chance; `least_chance` is the same if all were.
    """

    items: int
    public: int
    best: float
    public_median: float | None
    public_best: float | None
    beyond: int
    chance: float
    least_chance: float

    @property
    def can_tell(self) -> bool:
        """Whether there are enough texts for any outcome to be called nearer than chance."""
        return self.least_chance < CHANCE

    @property
    def nearer(self) -> bool:
        """Whether what left is nearer than public texts come by chance."""
        return self.chance < CHANCE


def shared_items(item: Closeness) -> int:
    """Return how many of the silo's names, numbers, e-mail addresses and links an item holds."""
    return sum(getattr(item, kind) for kind in KINDS)


MEASURES: Mapping[str, Callable[[Closeness], float]] = {
    "changed": lambda item: -1.0 if item.changed is None else -item.changed,
    "distance": lambda item: -item.distance,
    "run": lambda item: item.run,
    "shared": shared_items,
}
"""What is compared, each as a figure that is larger the nearer an item is."""


def compare(left: Sequence[Closeness], public: Sequence[Closeness]) -> dict[str, Compared]:
    """Compare what left (at least one item) with public texts on each of MEASURES, by its name; without the share of changed words
    where an older version measured, which did not.
    """
    known = all(item.changed is not None for item in (*left, *public))
    return {
        name: _compared([near(item) for item in left], [near(item) for item in public])
        for name, near in MEASURES.items()
        if known or name != "changed"
    }


@dataclass(frozen=True, slots=True)
class Reach:
    """How near public texts come at most: their least distance, longest run and least share of changed words."""

    distance: float = 1.0
    run: int = 0
    changed: float = 1.0

    @classmethod
    def of(cls, public: Sequence[Closeness]) -> "Reach":
        """Return the reach of public texts; without any they reach nothing."""
        shares = [item.changed for item in public if item.changed is not None]
        return cls(
            min([1.0, *(item.distance for item in public)]),
            max([0, *(item.run for item in public)]),
            min([1.0, *shares]),
        )

    def near_copy(self, item: Closeness) -> bool:
        """Tell whether an item has to be read: a copy; or with less than CHANGED of its words changed, within NEAR_COPY, or with a
        run of LONG_RUN words, where no public text comes as near on that measure.
        """
        near = item.distance <= NEAR_COPY and item.distance < self.distance
        near |= item.changed is not None and item.changed < min(CHANGED, self.changed)
        return item.copy or near or (item.run >= LONG_RUN and item.run > self.run)

    def order(self, item: Closeness) -> tuple[float, ...]:
        """Return what sorts items as they should be read: copies, near copies, then by distance, run and shared items."""
        return (not item.copy, not self.near_copy(item), item.distance, -item.run, -shared_items(item))


def line_of(public: int) -> int:
    """Return the place, from the nearest, of the public text that items are counted beyond."""
    return math.ceil(public / ONE_IN)


def _compared(left: Sequence[float], public: Sequence[float]) -> Compared:
    best = abs(max(left))
    if not public:
        return Compared(len(left), 0, best, None, None, 0, 1.0, 1.0)
    place = line_of(len(public))
    line = sorted(public, reverse=True)[place - 1]
    beyond = sum(value > line for value in left)
    return Compared(
        items=len(left),
        public=len(public),
        best=best,
        public_median=abs(median(public)),
        public_best=abs(max(public)),
        beyond=beyond,
        chance=chance_of(beyond, len(left), len(public), place),
        least_chance=chance_of(len(left), len(left), len(public), place),
    )


def chance_of(beyond: int, left: int, public: int, place: int) -> float:
    """Return how often, by chance, `beyond` or more of `left` values come before the one in `place` (from 1) of `public` values.

    That is: among the first `beyond + place - 1` of all, fewer than `place` are public.
    """
    from scipy.stats import hypergeom  # takes a second, which only reports with evidence should take

    return float(hypergeom.cdf(place - 1, left + public, public, beyond + place - 1))
