"""The verdict: what a run showed, in one sentence for each arm. Words only; every figure comes from a Result."""

from collections.abc import Mapping

from social_learning.config import Arm, Method
from social_learning.report import numbers
from social_learning.results import ArmResult, Result

LESSONS: dict[Method, str] = {
    "zero-shot": "no lesson",
    "manual": "a hand-written instruction",
    "original": "private examples word for word",
    "generated": "generated examples",
    "voted": "generated examples chosen by vote",
    "instruction": "an instruction that a teacher wrote",
}
"""What a student is taught by, in words."""


def verdict_of(result: Result, arms: Mapping[str, Arm]) -> tuple[str, ...]:
    """Say what the student was taught by and how far it got: the compared arm first, then the others in order."""
    groups: dict[str, list[ArmResult]] = {}
    for arm in sorted(result.arms, key=lambda arm: arm.name != result.compared_with):
        groups.setdefault(arm.name, []).append(arm)
    return tuple(
        f"{_taught(name, arms)}: {'; '.join(_outcome(result, arm, arm is group[0]) for arm in group)}."
        for name, group in groups.items()
    )


def _taught(name: str, arms: Mapping[str, Arm]) -> str:
    method = arms[name].method if name in arms else None
    if method is None:
        return f"Taught by {name}"
    told = "Taught nothing" if method == "zero-shot" else f"Taught by {LESSONS[method]}"
    return told if name == method else f"{told} ({name})"


def _outcome(result: Result, arm: ArmResult, first: bool) -> str:
    """What an arm came to at one number of shots; only the first names the arm it is compared with."""
    text = f"{numbers.percent(arm.accuracy)}\N{NO-BREAK SPACE}%"
    text += f" with {numbers.count(arm.shots, 'shot')}" if arm.shots else ""
    base = numbers.against(result, arm)
    if base is None:
        return text
    difference = numbers.points(arm, base)
    if difference:
        distance = f"{abs(difference)} points {'above' if difference > 0 else 'below'}" + f" {base.name}" * first
    else:
        distance = f"level with {base.name}"
    return f"{text}, {distance} ({_p_in_words(arm)})"


def _p_in_words(arm: ArmResult) -> str:
    """The p-value in a sentence, held together by no-break spaces."""
    p = numbers.p_value(arm).rstrip("*")
    relation = f"p < {p[1:]}" if p.startswith("<") else f"p = {p}"
    return (relation if arm.significant else f"{relation}, not significant").replace(" ", "\N{NO-BREAK SPACE}")
