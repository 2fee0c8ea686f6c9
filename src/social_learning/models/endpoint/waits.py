"""Waits: how long an endpoint asks to be left alone, in the headers in which servers and hosts say so."""

import email.utils
import math
import re
from collections.abc import Mapping

LONGEST_WAIT = 600.0
"""The longest pause, in seconds, that an endpoint can ask for."""

RESETS = (
    ("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"),
    ("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
    ("x-ratelimit-remaining", "x-ratelimit-reset"),
    ("ratelimit-remaining", "ratelimit-reset"),
)
"""What is left of a limit, and when it is full again: OpenAI and hosts like it, OpenRouter, and the IETF's draft."""

UNITS = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 0.001, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
EPOCH = 1e9
"""Numbers above are moments, in seconds since 1970; a thousand times as large ones, in milliseconds."""

_SPAN = re.compile(r"([\d.]+)(ms|us|µs|ns|d|h|m|s)")


def wait_of(headers: Mapping[str, str], now: float) -> float:
    """Return the seconds that a refusal asks for, at most `LONGEST_WAIT`; 0 where it says nothing that makes sense.

    `headers` are found by their names in lower case; `now` is in seconds since 1970. `retry-after-ms` counts before
    `Retry-After` (a number or a date; RFC 9110, 10.2.3), and that before the moment at which a limit that is used up is full
    again.
    """
    exact = _number(headers.get("retry-after-ms", ""))
    if exact is not None:
        return _bounded(exact / 1000)
    asked = headers.get("retry-after")
    if asked is not None:
        return _bounded(_seconds(asked, now))
    used_up = [reset for left, reset in RESETS if _number(headers.get(left, "")) == 0 and reset in headers]
    return max((_bounded(_seconds(headers[reset], now)) for reset in used_up), default=0.0)


def _seconds(text: str, now: float) -> float:
    """A number of seconds, a span such as `6m0s` or `120ms`, or a moment."""
    number = _number(text)
    if number is not None:
        if number > 1000 * EPOCH:
            number /= 1000
        return number - now if number > EPOCH else number
    spans = _SPAN.findall(text)
    if spans and "".join(map("".join, spans)) == text.strip():
        return math.fsum((_number(count) or 0.0) * UNITS[unit] for count, unit in spans)
    try:
        return email.utils.parsedate_to_datetime(text).timestamp() - now
    except (ValueError, OverflowError):
        return 0.0


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _bounded(seconds: float) -> float:
    return min(max(seconds, 0.0), LONGEST_WAIT)
