"""How fast the normalised distance is, on one core: 10,000 examples of 200 characters against prompts of 2,000.

    .venv/bin/python benchmarks/distance.py

Prints the seconds of the whole, and how many times faster that is than the table of Sellers (1980) filled cell by cell, on a
part of the same pairs; both give the same distances. Writes benchmarks/results/distance.json.
"""

import json
import time
from pathlib import Path

import numpy as np

from social_learning.privacy import indel_to_substring

EXAMPLES, LENGTH, PROMPT, PROMPTS, SLOW = 10_000, 200, 2_000, 80, 5
WORDS = (
    "the",
    "a",
    "dog",
    "runs",
    "past",
    "house",
    "by",
    "street",
    "who",
    "it",
    "was",
    "morning",
    "bread",
    "and",
    "to",
    "of",
)


def slow_distance(text: str, prompt: str) -> int:
    """The same by its definition: a table of insertions and deletions, any beginning and end of the passage."""
    row = [0] * (len(prompt) + 1)
    for number, letter in enumerate(text, start=1):
        below = [number]
        for place, other in enumerate(prompt, start=1):
            below.append(row[place - 1] if letter == other else 1 + min(row[place], below[place - 1]))
        row = below
    return min(row)


def texts(count: int, length: int, rng: np.random.Generator) -> list[str]:
    """Draw texts of common words, cut to a length."""
    return [" ".join(rng.choice(WORDS, size=length // 2))[:length] for _ in range(count)]


def main() -> None:
    """Measure, and tell."""
    rng = np.random.default_rng(1)
    prompts, examples = texts(PROMPTS, PROMPT, rng), texts(EXAMPLES, LENGTH, rng)
    pairs = [(example, prompts[number * PROMPTS // EXAMPLES]) for number, example in enumerate(examples)]
    started = time.process_time()
    fast = [indel_to_substring(example, prompt) for example, prompt in pairs]
    seconds = time.process_time() - started
    started = time.process_time()
    slow = [slow_distance(example, prompt) for example, prompt in pairs[:SLOW]]
    each = (time.process_time() - started) / SLOW
    if fast[:SLOW] != slow:
        raise SystemExit("the distances differ")
    told = {"pairs": EXAMPLES, "seconds": round(seconds, 2), "times_faster": round(each * EXAMPLES / seconds)}
    results = Path(__file__).parent / "results" / "distance.json"
    results.write_text(json.dumps(told, indent=2) + "\n")
    print(told)


if __name__ == "__main__":
    main()
