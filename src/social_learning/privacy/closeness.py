"""Closeness: how near each item that left a silo is to that silo, beside three controls.

Items are held against private text where that text lies, and only numbers come out: copies, distances, lengths of runs,
counts. The one exception is `closest_pair`, which is for the silo's owner alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from social_learning.errors import EvaluationError
from social_learning.guards import MinDistance, NoCopies, Origin, Private, texts_of
from social_learning.privacy.detectors import shared
from social_learning.privacy.distance import normalized_distance
from social_learning.privacy.evidence import Closeness, Group
from social_learning.privacy.near_copies import near_copy
from social_learning.privacy.wording import NEAR
from social_learning.task import Example, Task
from social_learning.teacher import Departure
from social_learning.text import words_of

_COPIES, _NEAR = NoCopies(), MinDistance(NEAR)


@dataclass(frozen=True, slots=True)
class Pair:
    """A shared text and the private one nearest to it. Private: for the silo's owner alone."""

    private: str
    shared: str
    distance: float

    def __repr__(self) -> str:
        return f"Pair(distance {self.distance:.2f})"


def closeness(item: Example | str, origin: Origin, teacher: str, group: Group) -> Closeness:
    """Hold one item against a silo."""
    check = _COPIES.check_text(item, origin) if isinstance(item, str) else _COPIES.check_example(item, origin)
    fields = texts_of(origin.task, item)
    return Closeness(
        teacher=teacher,
        group=group,
        copy=check is None,
        distance=origin.distance(item),
        run=max(longest_run(field, origin.private) for field in fields),
        **shared(origin.private.found, "\n".join(fields)),
        changed=0.0 if check is None else origin.changed(item),
    )


def measure(
    departures: Sequence[Departure], public: Sequence[Example], instruction: str, rng: np.random.Generator
) -> list[Closeness]:
    """Measure what left silos, and as many items of each control.

    *Verbatim*: one of the private examples that stand in the prompt which the item was written after, at random, as if it
    had been sent. *Near*: one of them with a word, number or name changed (see `near_copy`); none where the prompt holds
    only short ones. *Public*: for an example, one of `public` at random, held against the same private text; for an
    instruction the hand-written one, where there is one. Without `public` there may be none.

    Raises EvaluationError where a verbatim row is not recognised, where a near copy is not nearer than NEAR or is not
    dropped by the guard, or where no row stands in a prompt: then the measurement is broken, and says nothing.
    """
    found: list[Closeness] = []
    shown: dict[tuple[str, str], list[Example]] = {}
    for departure in departures:
        origin, teacher, first = departure.origin, departure.teacher, len(found)
        rows = shown.get((teacher, origin.prompt)) or _shown(origin)
        shown[teacher, origin.prompt] = rows
        if not rows:
            raise EvaluationError(
                f"no row of {teacher!r} stands word for word in what its model was shown: closeness cannot be measured"
            )
        row = rows[int(rng.integers(len(rows)))]
        floor: Example | str | None = public[int(rng.integers(len(public)))] if public else None
        if isinstance(departure.item, str) and instruction:
            floor = instruction
        found.append(closeness(departure.item, origin, teacher, "left"))
        found += _controls(row, near_copy(origin, rows, public, rng), origin, teacher)
        if floor is not None:
            found.append(closeness(floor, origin, teacher, "public"))
        found[first:] = [replace(one, message=departure.message, item=departure.number) for one in found[first:]]
    return found


def _controls(row: Example, near: Example | None, origin: Origin, teacher: str) -> list[Closeness]:
    """Measure a private row and, where there is one, a near copy; raises EvaluationError where either is not recognised."""
    verbatim = closeness(row, origin, teacher, "verbatim")
    if not verbatim.copy or verbatim.distance:
        raise EvaluationError(
            f"a verbatim row of {teacher!r} was not recognised as a copy: the closeness of what left says nothing"
        )
    if near is None:
        return [verbatim]
    found = closeness(near, origin, teacher, "near")
    if found.changed is None or found.changed >= NEAR or _NEAR.check_example(near, origin) is not None:
        raise EvaluationError(
            f"a row of {teacher!r} with one word changed was not recognised as near: the closeness of what left says nothing"
        )
    return [verbatim, found]


def longest_run(text: str, private: Private) -> int:
    """Return the length, in words, of the longest run of words of `text` that some private text holds too.

    Case, punctuation and invisible characters do not count.
    """
    words, longest = words_of(text), 0
    for first in range(len(words)):
        while (end := first + longest + 1) <= len(words) and f" {' '.join(words[first:end])} " in private.words:
            longest += 1
    return longest


def closest_pair(departures: Sequence[Departure]) -> Pair | None:
    """Return, for the owner of one silo, the item that came nearest to a private example which its model was shown, that
    example, and the distance between the two; None where nothing left.
    """
    pairs = [
        Pair(private=row, shared=text, distance=normalized_distance(text, row))
        for departure in departures
        for text in [as_text(departure.origin.task, departure.item)]
        for row in map(departure.origin.task.render, _shown(departure.origin))
    ]
    return min(pairs, key=lambda pair: pair.distance, default=None)


def as_text(task: Task, item: Example | str) -> str:
    """Return an item as text to read: an example in its task's format, an instruction as it is."""
    return item if isinstance(item, str) else task.render(item)


def _shown(origin: Origin) -> list[Example]:
    """The private examples that stand in a prompt."""
    return [row for row in origin.private.examples if any(form in origin.prompt for form in origin.forms(row))]
