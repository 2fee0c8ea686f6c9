"""Silos: one teacher's private examples, and the ways to split one data set into them."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from social_learning.errors import DataError
from social_learning.seeds import generator
from social_learning.silo import Partitioner, Silo, make_silos, split_dirichlet, split_uniform
from social_learning.task import Example
from social_learning.tasks import BUILT_IN

TASK = BUILT_IN["sms_spam"].task
LABELS = ("spam", "not spam")


def numbered(count: int, labels: Sequence[str] = LABELS) -> list[Example]:
    return [Example(fields={"text": f"message {i}"}, answer=labels[i % len(labels)]) for i in range(count)]


def texts(examples: Sequence[Example]) -> list[str]:
    return sorted(example.fields["text"] for example in examples)


def joined(parts: Sequence[Sequence[Example]]) -> list[Example]:
    return [example for part in parts for example in part]


def skew(parts: Sequence[Sequence[Example]]) -> float:
    """The mean share of a part's most frequent answer."""
    return float(
        np.mean([Counter(example.answer for example in part).most_common(1)[0][1] / len(part) for part in parts])
    )


# Splits


@given(count=st.integers(0, 60), parts=st.integers(1, 12), seed=st.integers(0, 2**32))
def test_a_uniform_split_is_a_partition_into_even_parts(count: int, parts: int, seed: int) -> None:
    examples = numbered(count)
    split = split_uniform(examples, parts, generator(seed))
    assert len(split) == parts
    assert texts(joined(split)) == texts(examples)
    assert max(map(len, split)) - min(map(len, split)) <= 1
    assert split_uniform(examples, parts, generator(seed)) == split


def test_a_uniform_split_is_random() -> None:
    examples = numbered(40)
    first, second = (split_uniform(examples, 4, generator(seed)) for seed in (1, 2))
    assert first != second
    assert skew(split_uniform(numbered(4000), 4, generator(1))) < 0.55


@settings(max_examples=40)
@given(
    count=st.integers(1, 80),
    parts=st.integers(1, 8),
    kinds=st.integers(1, 5),
    alpha=st.sampled_from([0.01, 0.1, 1.0, 100.0]),
    seed=st.integers(0, 2**32),
)
def test_a_dirichlet_split_is_a_partition(count: int, parts: int, kinds: int, alpha: float, seed: int) -> None:
    examples = numbered(count, [f"label {i}" for i in range(kinds)])
    split = split_dirichlet(alpha, at_least=0)(examples, parts, generator(seed))
    assert len(split) == parts
    assert texts(joined(split)) == texts(examples)
    assert split_dirichlet(alpha, at_least=0)(examples, parts, generator(seed)) == split


def test_alpha_says_how_unlike_teachers_are() -> None:
    examples = numbered(800)
    skewed, middling, even = (split_dirichlet(alpha)(examples, 4, generator(1)) for alpha in (0.1, 1.0, 10_000.0))
    assert skew(skewed) > 0.8
    assert skew(skewed) > skew(middling) > skew(even)
    assert skew(even) < 0.55
    assert all(190 <= len(part) <= 210 for part in even)


def test_a_large_alpha_shares_out_rare_answers_too() -> None:
    examples = numbered(200, [f"answer {i}" for i in range(200)])
    split = split_dirichlet(10_000.0)(examples, 4, generator(1))
    assert all(30 <= len(part) <= 70 for part in split)


def test_labels_do_not_stand_together_in_a_dirichlet_split() -> None:
    (part,) = split_dirichlet(1.0)(numbered(100), 1, generator(1))
    assert len({example.answer for example in part[:20]}) == 2


@given(at_least=st.integers(1, 5), seed=st.integers(0, 1000))
def test_a_dirichlet_split_leaves_every_part_enough(at_least: int, seed: int) -> None:
    split = split_dirichlet(1.0, at_least)(numbered(60), 3, generator(seed))
    assert min(map(len, split)) >= at_least


def test_a_dirichlet_split_that_cannot_be_had_is_refused() -> None:
    with pytest.raises(
        DataError, match=r"alpha 0\.01 left every one of 8 teachers at least 2 of 16 examples: raise alpha"
    ):
        split_dirichlet(0.01, at_least=2)(numbered(16), 8, generator(1))


# Silos


@given(count=st.integers(4, 60), parts=st.integers(1, 4), held_out=st.floats(0, 1, exclude_max=True))
def test_silos_hold_all_examples_and_a_held_out_share(count: int, parts: int, held_out: float) -> None:
    names = [f"teacher-{i}" for i in range(parts)]
    silos = make_silos(TASK, numbered(count), names, split_uniform, held_out, generator(1))
    assert [silo.name for silo in silos] == names
    assert texts(joined([silo.everything for silo in silos])) == texts(numbered(count))
    for silo in silos:
        assert silo.task is TASK
        assert silo.everything == silo.examples + silo.held_out
        assert silo.examples
        share = len(silo.held_out)
        assert abs(share - held_out * len(silo.everything)) <= 0.5 or len(silo.examples) == 1


@pytest.mark.parametrize(("held_out", "kept", "apart"), [(0.0, 10, 0), (0.25, 8, 2), (0.3, 7, 3), (0.99, 1, 9)])
def test_the_held_out_share_is_rounded_and_leaves_one_example(held_out: float, kept: int, apart: int) -> None:
    (silo,) = make_silos(TASK, numbered(10), ["ann"], split_uniform, held_out, generator(1))
    assert (len(silo.examples), len(silo.held_out)) == (kept, apart)


@pytest.mark.parametrize("partition", [split_uniform, split_dirichlet(10_000.0)])
def test_silos_depend_on_the_generator_alone(partition: Partitioner) -> None:
    def held(seed: int) -> list[tuple[Example, ...]]:
        silos = make_silos(TASK, numbered(40), ["ann", "bo"], partition, 0.25, generator(seed))
        return [silo.everything for silo in silos]

    assert held(1) == held(1)
    assert held(1) != held(2)


def test_too_few_examples_are_refused() -> None:
    with pytest.raises(DataError, match="3 examples are too few for 4 teachers"):
        make_silos(TASK, numbered(3), ["a", "b", "c", "d"], split_uniform, 0.0, generator(1))
    with pytest.raises(DataError, match="silo 'ann' has no examples"):
        Silo("ann", TASK, [])


def test_a_silos_repr_shows_counts_only() -> None:
    secret = Example(fields={"text": "my secret"}, answer="spam")
    silo = Silo("ann", TASK, [secret, secret], [secret])
    assert repr(silo) == str(silo) == "Silo('ann', task 'sms_spam', 2 examples, 1 held out)"
