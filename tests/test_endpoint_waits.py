"""Waits: every form in which an endpoint says how long to leave it alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from social_learning.models.endpoint.waits import LONGEST_WAIT, RESETS, wait_of

NOW = 1_445_412_480.0
"""Wed, 21 Oct 2015 07:28:00 GMT."""


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 0),
        ({"retry-after": "7"}, 7),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:30 GMT"}, 30),
        ({"retry-after": "Wed, 21 Oct 2015 07:27:30 GMT"}, 0),
        ({"retry-after": "Wed, 21 Oct 99999 07:27:30 GMT"}, 0),
        ({"retry-after": "soon"}, 0),
        ({"retry-after": "86400"}, LONGEST_WAIT),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "1"}, 1),
        # OpenAI, Groq: the limit that is used up counts, not the other one
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1m2.5s"}, 62.5),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "120ms"}, 0.12),
        ({"x-ratelimit-remaining-tokens": "9", "x-ratelimit-reset-tokens": "6m0s"}, 0),
        ({"x-ratelimit-reset-requests": "6m0s"}, 0),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6m0"}, 0),
        ({"retry-after": "2", "x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "9s"}, 2),
        # OpenRouter: milliseconds since 1970; others: seconds since 1970, or from now
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": f"{(NOW + 5) * 1000:.0f}"}, 5),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": f"{NOW + 5:.0f}"}, 5),
        ({"ratelimit-remaining": "0", "ratelimit-reset": "5"}, 5),
    ],
)
def test_what_is_asked_for_is_found(headers: dict[str, str], seconds: float) -> None:
    assert wait_of(headers, NOW) == pytest.approx(seconds)


NAMES = ["retry-after", "retry-after-ms", *(name for pair in RESETS for name in pair)]


@given(st.dictionaries(st.sampled_from(NAMES), st.text(max_size=12) | st.floats().map(str) | st.just("0"), max_size=4))
def test_whatever_a_header_says_the_wait_is_bounded(headers: dict[str, str]) -> None:
    assert 0 <= wait_of(headers, NOW) <= LONGEST_WAIT
