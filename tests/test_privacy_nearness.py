"""Nearness: what left beside public texts, the chance of it, and which text is to be read first."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from social_learning.privacy.evidence import Closeness
from social_learning.privacy.nearness import CHANCE, Reach, chance_of, compare


def items(distances: Sequence[float], group: str = "left", run: int = 2) -> list[Closeness]:
    kind = {"left": "left", "public": "public"}[group]
    return [Closeness("a", kind, False, distance, run) for distance in distances]  # type: ignore[arg-type]


@pytest.mark.parametrize(("left", "public", "place"), [(3, 4, 1), (4, 4, 2), (1, 5, 1), (5, 2, 2)])
def test_the_chance_is_that_of_all_orders_counted_one_by_one(left: int, public: int, place: int) -> None:
    orders = list(combinations(range(left + public), public))  # where the public texts stand
    before = [order[place - 1] - (place - 1) for order in orders]
    for beyond in range(left + 1):
        counted = sum(number >= beyond for number in before) / len(orders)
        assert chance_of(beyond, left, public, place) == pytest.approx(counted)


def test_texts_that_are_like_public_ones_are_seldom_called_nearer() -> None:
    rng = np.random.default_rng(1)
    found = 0
    for _ in range(400):
        drawn = rng.random(80)
        found += compare(items(drawn[:40].tolist()), items(drawn[40:].tolist(), "public"))["distance"].nearer
    assert found <= 400 * CHANCE + 6


def test_texts_that_are_nearer_are_called_so_on_the_measure_that_shows_it() -> None:
    left = [Closeness("a", "left", False, 0.6, 9) for _ in range(20)]
    public = [Closeness("a", "public", False, 0.5 + 0.01 * n, 2 + n % 2) for n in range(20)]
    compared = compare(left, public)
    assert [compared[name].nearer for name in ("distance", "run", "shared")] == [False, True, False]
    assert (compared["run"].best, compared["run"].public_median, compared["run"].public_best) == (9, 2.5, 3)
    assert (compared["distance"].best, compared["distance"].public_best) == (0.6, 0.5)
    assert (compared["run"].beyond, compared["run"].items, compared["run"].public) == (20, 20, 20)


def test_what_is_as_near_as_public_texts_is_not_nearer() -> None:
    same = compare(items([0.5] * 30), items([0.5] * 30, "public"))
    assert not any(one.nearer for one in same.values())
    assert {one.beyond for one in same.values()} == {0}


def test_few_texts_cannot_tell() -> None:
    assert not compare(items([0.01]), items([0.9] * 20, "public"))["distance"].can_tell
    assert not compare(items([0.01] * 50), [])["distance"].can_tell
    assert compare(items([0.01] * 10), items([0.9] * 10, "public"))["distance"].nearer


def test_near_copies_come_first_and_likeness_that_public_texts_have_too_is_none() -> None:
    public = [Closeness("a", "public", False, 0.3, 4)]
    copy = Closeness("a", "left", True, 0.2, 7)
    changed = Closeness("a", "left", False, 0.04, 9)
    sentence = Closeness("a", "left", False, 0.4, 12)
    other = Closeness("a", "left", False, 0.35, 5)
    reach = Reach.of(public)
    assert sorted([other, sentence, changed, copy], key=reach.order) == [copy, changed, sentence, other]
    assert [reach.near_copy(item) for item in (copy, changed, sentence, other)] == [True, True, True, False]
    # Where public texts come as near, it is the format that makes texts near.
    alike = Reach.of([Closeness("a", "public", False, 0.04, 12)])
    assert [alike.near_copy(item) for item in (copy, changed, sentence, other)] == [True, False, False, False]
    assert Reach.of([]).near_copy(changed)


def test_a_text_with_few_of_its_words_changed_is_a_near_copy_where_no_public_text_is() -> None:
    item = Closeness("teacher-1", "left", False, 0.4, 3, changed=0.2)
    far = Closeness("teacher-1", "public", False, 0.4, 3, changed=0.6)
    assert Reach.of([far]).near_copy(item)
    assert not Reach.of([far, replace(far, changed=0.2)]).near_copy(item)
    assert not Reach.of([far]).near_copy(replace(item, changed=0.25))
    assert not Reach.of([far]).near_copy(replace(item, changed=None))
    assert compare([item], [far])["changed"].best == 0.2
    assert "changed" not in compare([item], [replace(far, changed=None)])
