"""Numbers as the reports print them, and the words around them. Formatting only: every figure comes from a Result."""

from collections.abc import Mapping

from social_learning.results import ArmResult, Result
from social_learning.statistics import Paired

TIMES = "\N{MULTIPLICATION SIGN}"


def percent(share: float) -> str:
    """Return a share in [0, 1] in percent with one decimal, without the sign: `92.7`."""
    return f"{100 * share:.1f}"


def accuracy(arm: ArmResult) -> str:
    """Return accuracy in percent, with the standard error over repeats where there is one: `92.7 (0.6)`."""
    return percent(arm.accuracy) if arm.stderr is None else f"{percent(arm.accuracy)} ({percent(arm.stderr)})"


def against(result: Result, arm: ArmResult) -> ArmResult | None:
    """Return what `arm` is compared with, by the rule of `results.summarise`; None for the compared arm itself."""
    base = [other for other in result.arms if other.name == result.compared_with]
    if arm.name == result.compared_with or not base:
        return None
    return next((other for other in base if other.shots == arm.shots), base[0])


def points(pair: Paired | None) -> str:
    """Return a difference in percentage points with its sign, such as `+31.7`, `-2.5` or `0.0`; empty where there is none."""
    return "" if pair is None else signed(100 * pair.difference)


def interval(pair: Paired | None) -> str:
    """Return the 95 % interval of a difference in percentage points, such as `+20.1 to +43.3`; empty where it is not known."""
    if pair is None or pair.low is None or pair.high is None:
        return ""
    return f"{signed(100 * pair.low)} to {signed(100 * pair.high)}"


def margin(pair: Paired | None) -> str:
    """Return a difference in points with its margin of 95 %, such as `+31.7 \N{PLUS-MINUS SIGN} 11.6`: the interval in less room."""
    if pair is None or pair.low is None or pair.high is None:
        return points(pair)
    half = max(pair.difference - pair.low, pair.high - pair.difference)
    return f"{points(pair)} \N{PLUS-MINUS SIGN} {percent(half)}"


def signed(value: float) -> str:
    """Return a number with one decimal and its sign, and never -0.0: `+31.7`, `-2.5`, `0.0`."""
    rounded = round(value, 1) + 0.0
    return f"{rounded:+.1f}" if rounded else "0.0"


def p_value(p: float | None, significant: bool = False) -> str:
    """Return p with three digits, and a star where it is significant, such as `0.032*`; empty for None."""
    if p is None:
        return ""
    return ("<0.001" if p < 0.001 else f"{p:.3f}") + ("*" if significant else "")


def failures(counts: Mapping[str, int]) -> str:
    """Return how many rows ended without a readable answer, by kind: `12 unparsed, 3 over budget`; empty for none."""
    return ", ".join(f"{number:,} {kind.replace('_', ' ')}" for kind, number in counts.items() if number)


def unread(arm: ArmResult) -> str:
    """Return what is to be said of rows without a readable answer; empty for none."""
    if not arm.failed:
        return ""
    rest = "no answer could be read"
    if arm.readable_accuracy is not None:
        rest = f"{percent(arm.readable_accuracy)} % of the answers that could be read are right"
    return f"{label(arm.name, arm.shots)}: {failures(arm.failures)} of {arm.test_rows * arm.repeats:,} answers; {rest}."


def bits(exposure: float | None) -> str:
    """Return an exposure in bits with one decimal and never -0.0; a dash where it is not known."""
    return "\N{EN DASH}" if exposure is None else f"{round(exposure, 1) + 0.0:.1f}"


def rows(arm: ArmResult) -> str:
    """Return test rows by repeats, such as `500 x 5` with a multiplication sign."""
    return f"{arm.test_rows:,} {TIMES} {arm.repeats}"


def price(cost: float | None) -> str:
    """Return money with four digits after the point below 1 and two above; `not known` for None."""
    return "not known" if cost is None else f"{cost:,.4f}" if cost < 1 else f"{cost:,.2f}"


def duration(seconds: float) -> str:
    """Return a length of time in words, such as `35 s`, `12 min` or `3 h 20 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def count(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun: `1 shot`, `1,024 shots`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def label(name: str, shots: int) -> str:
    """Return how an arm is called at a number of shots: `generated, 16 shots`, or `manual`."""
    return f"{name}, {count(shots, 'shot')}" if shots else name
