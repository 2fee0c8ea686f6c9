"""How often the tests of two arms find a difference: one that is not there (the error of the first kind), and one that is (power).

    .venv/bin/python -m benchmarks.paired

Answers are simulated: rows are easy or hard, some more so for one arm than for the other, and each repeat's lesson is good or
bad as a whole. Prints the share of draws with p < 0.05, by the paired test, by the same test clustered by repeat alone, and by
the paper's permutation test, which takes all answers for independent. Writes benchmarks/results/paired.json.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from scipy.stats import ttest_1samp

from social_learning.files import write_file
from social_learning.statistics import SIGNIFICANT, paired, permutation_p_value

RESULT = Path(__file__).parent / "results" / "paired.json"
Test = Callable[[np.ndarray, np.ndarray], float]


@dataclass(frozen=True, slots=True)
class Setting:
    """What is simulated. All effects are normal, in logits: `rows_alike` of a row on both arms, `rows_unlike` of a row on one arm,
    `lessons` of a repeat on one arm, so that accuracies of repeats differ by about 10 points (ours do by 2 to 17); `gain` is
    what the first arm is better by.
    """

    repeats: int
    rows: int
    lessons: float = 0.6
    rows_unlike: float = 0.5
    rows_alike: float = 1.5
    gain: float = 0.0


def draw(setting: Setting, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw the graded answers of two arms, each of shape (repeats, rows)."""
    easy = 0.5 + rng.normal(0, setting.rows_alike, setting.rows)

    def arm(gain: float) -> np.ndarray:
        lessons = rng.normal(0, setting.lessons, (setting.repeats, 1))
        logits = easy + gain + lessons + rng.normal(0, setting.rows_unlike, setting.rows)
        return (rng.random((setting.repeats, setting.rows)) < 1 / (1 + np.exp(-logits))).astype(int)

    return arm(setting.gain), arm(0.0)


def by_both(left: np.ndarray, right: np.ndarray) -> float:
    """The p-value of the paired test."""
    p = paired(left.tolist(), right.tolist()).p_value
    return 1.0 if p is None else p


def by_repeat(left: np.ndarray, right: np.ndarray) -> float:
    """The p-value of a t-test over the repeats' differences, which takes the rows for the only ones there are."""
    return float(ttest_1samp((left - right).mean(axis=1), 0).pvalue)


def by_permutation(left: np.ndarray, right: np.ndarray) -> float:
    """The p-value of the paper's test."""
    return permutation_p_value(left.ravel().tolist(), right.ravel().tolist())


def share_significant(setting: Setting, draws: int, seed: int, test: Test = by_both) -> float:
    """Return the share of draws in which a test finds a difference at 5 %."""
    rng = np.random.default_rng([seed, setting.repeats, setting.rows])
    return sum(test(*draw(setting, rng)) < SIGNIFICANT for _ in range(draws)) / draws


SETTINGS = [
    replace(base, repeats=repeats, rows=rows)
    for base in (
        Setting(1, 1),
        Setting(1, 1, lessons=0.3),
        Setting(1, 1, lessons=0.0),
        Setting(1, 1, rows_unlike=0.0),
        Setting(1, 1, rows_unlike=1.0),
        Setting(1, 1, gain=0.5),
        Setting(1, 1, gain=1.0),
    )
    for rows in (100, 500)
    for repeats in (3, 5, 10)
]


def main(draws: int = 4000) -> None:
    """Simulate, print, write."""
    tests: dict[str, Test] = {"paired": by_both, "by repeat alone": by_repeat, "permutation": by_permutation}
    lines = []
    print(f"share of {draws:,} draws with p < 0.05\nlessons rows-unlike gain rows repeats  " + "  ".join(tests))
    for setting in SETTINGS:
        shares = {
            name: share_significant(setting, draws if name == "paired" else draws // 4, 1, test)
            for name, test in tests.items()
        }
        lines.append({**asdict(setting), "significant": shares})
        told = f"{setting.lessons:7} {setting.rows_unlike:11} {setting.gain:4} {setting.rows:4} {setting.repeats:7}  "
        print(told + "  ".join(f"{100 * share:{len(name)}.1f}" for name, share in shares.items()), flush=True)
    write_file(RESULT, json.dumps({"draws": draws, "settings": lines}, indent=1) + "\n")


if __name__ == "__main__":
    main()
