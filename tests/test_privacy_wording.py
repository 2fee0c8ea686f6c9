"""Wording: the share of changed words, against slow oracles."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from social_learning.privacy.wording import LEAST_WORDS, NEAR, Wordings, changed, edits, wording

WORDS = st.lists(st.sampled_from("abcd"), max_size=12)
TEXTS = st.lists(st.sampled_from(["one", "two", "three", "four", "five", "six", "800"]), max_size=14).map(" ".join)


def slow(words: Sequence[str], others: Sequence[str], anywhere: bool) -> int:
    """Wagner and Fischer's table, and with `anywhere` Sellers' one."""
    row = [0 if anywhere else place for place in range(len(others) + 1)]
    for number, word in enumerate(words, start=1):
        above, row = row, [number]
        for place, other in enumerate(others):
            row.append(min(above[place] + (word != other), above[place + 1] + 1, row[place] + 1))
    return min(row) if anywhere else row[-1]


@given(words=WORDS, others=WORDS, anywhere=st.booleans())
def test_edits_are_those_of_the_whole_table(words: list[str], others: list[str], anywhere: bool) -> None:
    assert edits(words, others, anywhere) == slow(words, others, anywhere)


@given(text=TEXTS, texts=st.lists(TEXTS, max_size=8), below=st.sampled_from([0.25, 0.5, 1.0]))
def test_the_nearest_text_is_that_of_a_look_at_all(text: str, texts: list[str], below: float) -> None:
    shares = [changed(wording(text), wording(other)) for other in texts if len(wording(other)) >= LEAST_WORDS]
    nearest = min(shares, default=1.0)
    assert Wordings(texts).nearest(text, below) == (nearest if nearest < below else 1.0)


@pytest.mark.parametrize(
    ("text", "other", "share"),
    [
        ("Call 0909 879 0351 now!", "call 09098790351 NOW", 0.0),
        ("Call 0909 879 0351 now and win", "Call 0909 879 0175 now and win", 1 / 5),
        ("I am at Wolverhampton station", "I am at Ely station", 1 / 5),
        ("so I am at Ely station as ever", "I am at Ely station", 0.0),
        ("see you at nine", "see you at ten", 1 / 4),
        ("see you at nine", "see you there at nine", 1 / 5),
        ("ok", "so I am at Ely", 1.0),
        ("", "so I am at Ely", 1.0),
    ],
)
def test_the_share_of_changed_words(text: str, other: str, share: float) -> None:
    assert changed(wording(text), wording(other)) == changed(wording(other), wording(text)) == share


def test_one_changed_word_of_the_shortest_text_that_counts_is_near_and_of_a_shorter_one_is_not() -> None:
    assert 1 / LEAST_WORDS < NEAR <= 1 / (LEAST_WORDS - 1)
    assert Wordings(["one two three four"]).nearest("one two three four") == 1.0


def test_a_repr_shows_no_text() -> None:
    assert repr(Wordings(["I am at Ely station"])) == "Wordings(1 texts)"
