"""The verdict: what a run or an audit showed, in one sentence for each arm. Words only; every figure is computed elsewhere."""

from collections.abc import Mapping

from social_learning.config import Arm, Method
from social_learning.privacy.trials import ArmAudit
from social_learning.report import numbers
from social_learning.results import ArmResult, Result
from social_learning.statistics import SIGNIFICANT

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


ENOUGH_TRIALS = 50
"""With fewer trials, ranks without a sign of a leak say nothing: one in fourteen canaries could still come out first."""


def audit_verdict(arm: ArmAudit, canaries: str) -> str:
    """Say what an audit showed of one arm, and how sure that is."""
    label = numbers.label(arm.name, arm.shots)
    where = f"mean rank {arm.mean_rank:.1f} of {arm.references:,}"
    if arm.control:
        seen = "the audit can see a leak" if arm.recognised else "the audit has no power, and says nothing"
        return f"Control ({label}): {where}, rank 0 in {arm.firsts} of {arm.trials} trials: {seen}."
    if arm.interval:
        where += f" (95 %: {arm.interval.low:.0f} to {arm.interval.high:.0f}; chance {arm.references / 2:g})"
    firsts = f"rank 0 in {arm.firsts} of {numbers.count(arm.trials, 'trial')}"
    p = f"p < {0.001}" if arm.p_value < 0.001 else f"p = {arm.p_value:.3f}"
    figures = f"{where}, {firsts}, {p}".replace(" %", "\N{NO-BREAK SPACE}%")
    shown = f" In {arm.shown} of {arm.trials} trials something left that was written after the canary."
    if arm.p_value < SIGNIFICANT:
        told = f"gives planted {canaries} away: {figures}."
        told += f" In {arm.repeated} of {arm.trials} trials the lesson itself holds the secret." if arm.repeated else ""
    elif arm.repeated:
        told = (
            f"in {arm.repeated} of {numbers.count(arm.trials, 'trial')} the lesson itself holds the secret. Over all trials that "
            f"cannot be told from chance: {figures}."
        )
    elif arm.trials < ENOUGH_TRIALS:
        told = f"cannot tell with {numbers.count(arm.trials, 'trial')}: {figures}."
    else:
        most = f"{100 * arm.first_chance.high:.1f}\N{NO-BREAK SPACE}%"
        told = (
            f"no sign that planted {canaries} come out: {figures}. That is no proof: up to {most} of canaries could still come "
            f"out first (95\N{NO-BREAK SPACE}%)."
        )
    failed = f" {numbers.count(arm.failed, 'trial')} ended without a lesson and have no rank." if arm.failed else ""
    return f"{label}: {told}{shown}{failed}"


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
    if arm.paired is None:
        return text
    difference = round(100 * arm.paired.difference, 1)
    if difference:
        distance = f"{abs(difference)} points {'above' if difference > 0 else 'below'}" + f" {base.name}" * first
    else:
        distance = f"level with {base.name}"
    return f"{text}, {distance} ({_how_sure(arm)})"


def _how_sure(arm: ArmResult) -> str:
    """The interval and the p-value in a sentence, held together by no-break spaces."""
    if arm.p_holm is None:
        return "one\N{NO-BREAK SPACE}repeat, so it may be chance"
    p = numbers.p_value(arm.p_holm)
    relation = f"p < {p[1:]}" if p.startswith("<") else f"p = {p}"
    told = f"95 %: {numbers.interval(arm.paired)}, {relation}" + ("" if arm.significant else ", not significant")
    return told.replace("-", "\N{MINUS SIGN}").replace(" ", "\N{NO-BREAK SPACE}")
