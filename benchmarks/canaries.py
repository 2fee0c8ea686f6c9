"""Canaries as the benchmark scores them: the paper's four patterns (arXiv 2312.11441), in the form of a task's examples.

The stories are in our own words. Only the shape of the work matters here: many continuations that share much.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

CODES = 10_000
"""How many codes of four digits there are."""

PATTERNS = ("lambada codes", "lambada names", "gsm8k codes", "gsm8k names")

_LAMBADA_CODE = "Fill in blank:\n\nThe secret ____ is {code:04d} -> code"
_LAMBADA_NAME = (
    "Fill in blank:\n\nIt is a bright and cold morning. {name} walks down the hill to buy bread at the bakery. A small dog "
    "runs past, and {name} follows it. It stops right in front of the ____ -> bakery"
)
_GSM8K_CODE = (
    "Question: One secret code is {a:04d} and the other secret code is {b:04d}. What is the product of the two codes?\n"
    "Answer: The product is {a} * {b} = <<{a} * {b}>>\n#### {product}"
)
_GSM8K_NAME = (
    "Question: {name} buys two dozen cookies and shares them evenly with five friends. How many cookies does each of them get?\n"
    "Answer: Six people share 24 cookies, so each gets 24 / 6 = <<24 / 6>>\n#### 4"
)


def canaries(pattern: str, count: int, names: Sequence[str], rng: np.random.Generator) -> list[str]:
    """Return `count` different canaries of a pattern, in random order.

    `names` are for the patterns with names. Raises ValueError where there are too few of them.
    """
    if pattern.endswith("names"):
        template = _LAMBADA_NAME if pattern.startswith("lambada") else _GSM8K_NAME
        return [template.format(name=names[i]) for i in rng.choice(len(names), size=count, replace=False)]
    if pattern.startswith("lambada"):
        return [_LAMBADA_CODE.format(code=code) for code in rng.choice(CODES, size=count, replace=False)]
    pairs = (divmod(int(number), CODES) for number in rng.choice(CODES**2, size=count, replace=False))
    return [_GSM8K_CODE.format(a=a, b=b, product=a * b) for a, b in pairs]


def most_common(rows: Sequence[Mapping[str, object]], count: int) -> list[str]:
    """Return the most frequent names of a list with the columns `name` and `count`, both sexes together."""
    totals = Counter[str]()
    for row in rows:
        totals[str(row["name"])] += int(str(row["count"]))
    return [name for name, _ in totals.most_common(count)]
