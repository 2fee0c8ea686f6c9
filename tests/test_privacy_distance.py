"""Distance: insertions and deletions to the closest passage, against a slow and plain count."""

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from social_learning.privacy.distance import indel_to_substring, normalized_distance

# Few letters, so that passages are alike; some of them outside the basic plane.
letters = st.sampled_from("aabbc é😀\n")
short = st.text(letters, max_size=7)


def common(left: str, right: str) -> int:
    """The length of the longest common subsequence, by its definition."""

    @cache
    def of(i: int, j: int) -> int:
        if not i or not j:
            return 0
        if left[i - 1] == right[j - 1]:
            return of(i - 1, j - 1) + 1
        return max(of(i - 1, j), of(i, j - 1))

    return of(len(left), len(right))


def slow_distance(text: str, prompt: str) -> int:
    """The least over every passage: what is deleted of the text, and what is inserted of the passage."""
    passages = {prompt[i:j] for i in range(len(prompt) + 1) for j in range(i, len(prompt) + 1)}
    return min(len(text) + len(passage) - 2 * common(text, passage) for passage in passages)


@given(text=short, prompt=short)
def test_distance_is_the_least_over_all_passages(text: str, prompt: str) -> None:
    assert indel_to_substring(text, prompt) == slow_distance(text, prompt)


@given(text=st.text(max_size=20), prompt=st.text(max_size=40))
def test_distance_stays_within_its_bounds(text: str, prompt: str) -> None:
    assert 0 <= indel_to_substring(text, prompt) <= len(text)
    assert 0.0 <= normalized_distance(text, prompt) <= 1.0
    assert (indel_to_substring(text, prompt) == 0) == (text in prompt)


@given(before=st.text(max_size=9), text=st.text(max_size=9), after=st.text(max_size=9))
def test_a_copy_is_at_no_distance_wherever_it_stands(before: str, text: str, after: str) -> None:
    assert normalized_distance(text, before + text + after) == 0.0


@given(text=short, prompt=short, more=short)
def test_more_to_copy_from_never_adds_distance(text: str, prompt: str, more: str) -> None:
    assert indel_to_substring(text, prompt + more) <= indel_to_substring(text, prompt)
    assert indel_to_substring(text, more + prompt) <= indel_to_substring(text, prompt)


@pytest.mark.parametrize(
    ("text", "prompt", "distance"),
    [
        ("", "abc", 0.0),
        ("abc", "", 1.0),
        ("abc", "xyz", 1.0),
        ("abcd", "xxabXcdxx", 0.25),  # X is inserted
        ("abXcd", "xxabcdxx", 0.2),  # X is deleted
        ("abXd", "xxabYdxx", 0.5),  # a substitution counts twice
        ("né😀", "on né😀 !", 0.0),
        ("n😀", "né😀", 0.5),
        ("É", "é", 1.0),
    ],
)
def test_known_distances(text: str, prompt: str, distance: float) -> None:
    assert normalized_distance(text, prompt) == distance


def test_long_texts_are_measured_too() -> None:
    prompt = "the quick brown fox jumps over the lazy dog. " * 40
    text = prompt[100:500]
    assert indel_to_substring(text[:200] + "#" + text[201:], prompt) == 2
