"""Closeness: how near each item that left a silo is to that silo, beside two controls.

Items are held against private text where that text lies, and only numbers come out: copies, distances, lengths of runs,
counts. The one exception is `closest_pair`, which is for the silo's owner alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from social_learning.errors import EvaluationError
from social_learning.guards import NoCopies, Origin, Private, words_of
from social_learning.privacy.detectors import shared
from social_learning.privacy.distance import normalized_distance
from social_learning.privacy.evidence import Closeness, Group
from social_learning.task import Example, Task
from social_learning.teacher import Departure

_COPIES = NoCopies()


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
    task = origin.task
    text = as_text(task, item)
    check = _COPIES.check_text(item, origin) if isinstance(item, str) else _COPIES.check_example(item, origin)
    fields = [item] if isinstance(item, str) else [*item.fields.values(), *(() if task.labels else (item.answer,))]
    return Closeness(
        teacher=teacher,
        group=group,
        copy=check is None,
        distance=normalized_distance(text, origin.prompt),
        run=max(longest_run(field, origin.private) for field in fields),
        **shared(origin.private.found, "\n".join(fields)),
    )


def measure(
    departures: Sequence[Departure], public: Sequence[Example], instruction: str, rng: np.random.Generator
) -> list[Closeness]:
    """Measure what left silos, and as many items of each control.

    *Verbatim*: a private example of the same silo at random, as if it had been sent. *Public*: for an example, one of
    `public` at random, held against the same private text; for an instruction the hand-written one, where there is one.

    Raises EvaluationError where a verbatim row is not recognised: then the measurement is broken, and says nothing.
    """
    found = []
    for departure in departures:
        origin, teacher = departure.origin, departure.teacher
        private = origin.private.examples[int(rng.integers(len(origin.private.examples)))]
        floor: Example | str = public[int(rng.integers(len(public)))]
        if isinstance(departure.item, str) and instruction:
            floor = instruction
        copied = Origin(origin.private, origin.task.render(private))
        control = closeness(private, copied, teacher, "verbatim")
        if not control.copy or control.distance:
            raise EvaluationError(
                f"a verbatim row of {teacher!r} was not recognised as a copy: the closeness of what left says nothing"
            )
        found.append(closeness(departure.item, origin, teacher, "left"))
        found.append(control)
        found.append(closeness(floor, origin, teacher, "public"))
    return found


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
    """Return, for the owner of one silo, the item that came nearest to its prompt, and the private example nearest to
    it; None where nothing left.
    """
    if not departures:
        return None
    task = departures[0].origin.task
    by_distance = [(normalized_distance(as_text(task, d.item), d.origin.prompt), n) for n, d in enumerate(departures)]
    item, origin = departures[min(by_distance)[1]].item, departures[min(by_distance)[1]].origin
    text = as_text(task, item)
    rows = [task.render(example) for example in origin.private.examples]
    distances = [normalized_distance(text, row) for row in rows]
    nearest = int(np.argmin(distances))
    return Pair(private=rows[nearest], shared=text, distance=distances[nearest])


def as_text(task: Task, item: Example | str) -> str:
    """Return an item as the text that is compared: an example in its task's format, an instruction as it is."""
    return item if isinstance(item, str) else task.render(item)
