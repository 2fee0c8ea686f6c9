"""Seeds: children of one root, by name."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from social_learning.seeds import child_seed, generator

names = st.lists(st.text(max_size=6) | st.integers(), max_size=4)


@given(root=st.integers(0), path=names)
def test_a_child_is_the_first_63_bits_of_a_hash_over_its_path(root: int, path: list[str | int]) -> None:
    text = str(root)
    for name in path:
        text += f"\x1fstr:{name}" if isinstance(name, str) else f"\x1fint:{name}"
    bits = bin(int(hashlib.sha256(text.encode()).hexdigest(), 16))[2:].zfill(256)
    assert child_seed(root, *path) == int(bits[:63], 2)


def test_children_stay_what_they_are() -> None:
    assert child_seed(1, "split", 0) == 542519146068966206
    assert child_seed(1, "teacher", "teacher-1", 2) == 2212505286368988972


def test_children_differ_by_root_name_order_and_type() -> None:
    seeds = [
        child_seed(*path)  # type: ignore[arg-type]
        for path in [(1,), (2,), (1, "a"), (1, "b"), (1, "a", "b"), (1, "b", "a"), (1, "ab"), (1, 3), (1, "3"), (13,)]
    ]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_generators_are_fresh_and_know_nothing_of_each_other() -> None:
    first = generator(7, "split")
    first.random(100)
    assert generator(7, "split").random() == generator(7, "split").random()
    assert generator(7, "split").random() != generator(7, "votes").random()
