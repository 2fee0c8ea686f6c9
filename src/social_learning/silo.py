"""Silos: each teacher's private examples, and the ways to split one data set into silos."""

from collections.abc import Callable, Sequence

import numpy as np

from social_learning.errors import DataError
from social_learning.task import Example, Task

Partitioner = Callable[[Sequence[Example], int, np.random.Generator], list[list[Example]]]
"""Splits examples into a given number of disjoint parts that together hold all of them."""

_DIRICHLET_TRIES = 200


class Silo:
    """One teacher's private examples: those it teaches from, and a held-out part that it only judges with.

    The repr tells counts, never text.
    """

    def __init__(self, name: str, task: Task, examples: Sequence[Example], held_out: Sequence[Example] = ()) -> None:
        if not examples:
            raise DataError(f"silo {name!r} has no examples")
        self.name = name
        self.task = task
        self.examples = tuple(examples)
        self.held_out = tuple(held_out)

    def __repr__(self) -> str:
        return f"Silo({self.name!r}, task {self.task.name!r}, {len(self.examples)} examples, {len(self.held_out)} held out)"

    @property
    def everything(self) -> tuple[Example, ...]:
        """All private examples, held-out ones included."""
        return self.examples + self.held_out


def split_uniform(examples: Sequence[Example], parts: int, rng: np.random.Generator) -> list[list[Example]]:
    """Split uniformly at random into parts whose sizes differ by at most one."""
    order = rng.permutation(len(examples))
    return [[examples[i] for i in order[part::parts]] for part in range(parts)]


def split_dirichlet(alpha: float, at_least: int = 1) -> Partitioner:
    """Return a partitioner with skewed labels: each label's examples are shared out by a draw from Dirichlet(`alpha`).

    Small `alpha` (0.1) gives teachers that know mostly one label, large `alpha` (100) nearly equal ones (Hsu et al.,
    arXiv 1909.06335). Draws are repeated until every part has `at_least` examples; raises DataError when 200 draws do
    not get there.
    """

    def split(examples: Sequence[Example], parts: int, rng: np.random.Generator) -> list[list[Example]]:
        answers = sorted({example.answer for example in examples})
        for _ in range(_DIRICHLET_TRIES):
            result: list[list[Example]] = [[] for _ in range(parts)]
            for answer in answers:
                same = [example for example in examples if example.answer == answer]
                order = rng.permutation(len(same))
                counts = _whole_numbers(rng.dirichlet([alpha] * parts) * len(same), rng)
                for part, chosen in zip(result, np.split(order, np.cumsum(counts)[:-1]), strict=True):
                    part.extend(same[i] for i in chosen)
            if min(map(len, result)) >= at_least:
                return [[part[i] for i in rng.permutation(len(part))] for part in result]
        raise DataError(
            f"no Dirichlet split with alpha {alpha} left every one of {parts} teachers at least {at_least} of "
            f"{len(examples)} examples: raise alpha, or use fewer teachers"
        )

    return split


def _whole_numbers(wanted: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Round to whole numbers with the same sum: down, and what is left over goes at random to those that lost most."""
    counts = np.floor(wanted)
    lost = wanted - counts
    left_over = round(float(lost.sum()))
    if left_over:
        counts[rng.choice(len(wanted), size=left_over, replace=False, p=lost / lost.sum())] += 1
    whole: np.ndarray = counts.astype(int)
    return whole


def make_silos(
    task: Task,
    examples: Sequence[Example],
    names: Sequence[str],
    partition: Partitioner,
    held_out: float,
    rng: np.random.Generator,
) -> list[Silo]:
    """Split `examples` into one silo per name; the share `held_out` (in [0, 1)) of each is set apart, rounded to the
    nearest.

    Raises DataError where there are fewer examples than silos.
    """
    if len(examples) < len(names):
        raise DataError(f"{len(examples)} examples are too few for {len(names)} teachers")
    silos = []
    for name, part in zip(names, partition(examples, len(names), rng), strict=True):
        apart = min(round(held_out * len(part)), len(part) - 1)
        silos.append(Silo(name, task, part[apart:], part[:apart]))
    return silos
