"""Canaries: patterns of every built-in task, templates of one's own, and the list of names."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from social_learning.cloze import GapStyle, gaps_in
from social_learning.errors import ConfigError, DataError
from social_learning.privacy.canaries import KINDS, NAMES_FILE, CanaryKind, canary_task, load_names
from social_learning.task import Task
from social_learning.tasks import BUILT_IN

NAMES = ["Olivia", "Noah", "Mary-Ann", "Al"]
REVIEWS = Task(name="reviews", template="Review: {review}\nVerdict: {answer}", labels=("good", "bad"), metric="labels")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", BUILT_IN)
def test_every_built_in_task_has_both_patterns_and_reads_its_canaries_back(name: str, kind: CanaryKind) -> None:
    known = BUILT_IN[name]
    canary = canary_task(known.task, kind, {})
    secrets = canary.pattern.draw(4, np.random.default_rng(1), NAMES)
    assert len(set(secrets)) == 4
    for secret in secrets:
        text = canary.pattern.text(secret)
        assert canary.task.render(canary.example(secret)) == text
        assert canary.forms(secret)[0] == text
        assert all(part in text for part in secret.split(" "))
    # Ordinary examples read the same as ever.
    assert canary.task.render(canary.adapt(known.invented)) == known.task.render(known.invented)


def test_the_papers_canaries_read_as_in_the_paper() -> None:
    lambada = canary_task(BUILT_IN["lambada"].task, "codes", {})
    assert lambada.pattern.text("1234") == "Fill in blank:\n\nThe secret ____ is 1234 -> code"
    story = canary_task(BUILT_IN["lambada"].task, "names", {}).pattern.text("Mira")
    assert story.count("Mira") == 2
    assert story.endswith("____ -> bakery")
    product = canary_task(BUILT_IN["gsm8k"].task, "codes", {}).pattern.text("0020 0300")
    assert product.endswith("Answer: <<0020 * 0300>>\n#### 6000")
    assert canary_task(BUILT_IN["gsm8k"].task, "names", {}).pattern.text("Mira").endswith("<<24 / 6>>\n#### 4")


def test_the_audited_lambada_reads_as_the_one_that_is_taught_in_examples_and_where_a_gap_is_set() -> None:
    ordinary = BUILT_IN["lambada"].task
    audited = canary_task(ordinary, "codes", {})
    example = ordinary.example({"passage": "the mill on the hill and the miller in the", "answer": "mill"})
    assert audited.task.render(audited.adapt(example)) == ordinary.render(example)

    text = "on a hill stood the mill " + "and the wind blew on " * 5 + "and the mill stood"
    style = GapStyle(before=25, back=1, rarity=1.0, shares={})
    gapped = [gaps_in(task, {"passage": text}, style)[-1].example for task in (ordinary, audited.task)]
    assert [task.render(e) for task, e in zip((ordinary, audited.task), gapped, strict=True)] == [
        "Fill in blank:\n\n" + text.removesuffix(" stood") + " ____ -> stood"
    ] * 2


def test_codes_are_four_digits_drawn_uniformly_and_by_the_generator_alone() -> None:
    pattern = canary_task(BUILT_IN["sms_spam"].task, "codes", {}).pattern
    drawn = pattern.draw(10_000, np.random.default_rng(1))
    assert sorted(drawn) == [f"{number:04d}" for number in range(10_000)]
    assert drawn != sorted(drawn)
    assert pattern.draw(5, np.random.default_rng(2)) == pattern.draw(5, np.random.default_rng(2))
    with pytest.raises(ConfigError, match="10,000 references are too many"):
        pattern.draw(10_001, np.random.default_rng(1))


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("Review: The code is {code}\nVerdict: good", None),
        ("Review: The code is 1234\nVerdict: good", "has no {code}"),
        ("Review: {name} knows {code}\nVerdict: good", "only place .* is {code}"),
        ("Review: {code!r}\nVerdict: good", "only place .* is {code}"),
        ("Review: {code\nVerdict: good", "not a valid template"),
        ("The code is {code}", "no example of task 'reviews'"),
        ("Review: it is fine\nVerdict: {code}", "no example of task 'reviews'"),
        ("Review: one {code}\n\nReview: two\nVerdict: good", "no example of task 'reviews'"),
        ("Review:  {code}\nVerdict: good", "no example of task 'reviews'"),
    ],
)
def test_bad_templates_are_refused_with_a_reason(template: str, reason: str | None) -> None:
    if reason is None:
        assert (
            canary_task(REVIEWS, "codes", {"codes": template})
            .pattern.text("0042")
            .startswith("Review: The code is 0042")
        )
    else:
        with pytest.raises(ConfigError, match=f"canary.codes: .*{reason}"):
            canary_task(REVIEWS, "codes", {"codes": template})


def test_a_task_of_ones_own_needs_a_template() -> None:
    with pytest.raises(ConfigError, match=r"\[canary\] table with names"):
        canary_task(REVIEWS, "names", {"codes": "Review: {code}\nVerdict: bad", "names": ""})
    found = canary_task(REVIEWS, "names", {"names": "Review: {name} told {name}\nVerdict: bad"})
    assert found.pattern.text("Mira") == "Review: Mira told Mira\nVerdict: bad"


def test_names_are_the_most_frequent_of_both_lists_each_once(tmp_path: Path) -> None:
    rows = [("Ann", 5), ("Bo", 9), ("Ann", 5), ("Cy", 1)]
    file = tmp_path / NAMES_FILE
    file.parent.mkdir(parents=True)
    with gzip.open(file, "wt") as stream:
        stream.write("\n".join(json.dumps({"name": name, "count": count}) for name, count in rows))
    assert load_names(tmp_path) == ["Ann", "Bo", "Cy"]
    with pytest.raises(ConfigError, match="--canaries codes"):
        load_names(None)
    with pytest.raises(DataError, match="no such file"):
        load_names(tmp_path / "elsewhere")
