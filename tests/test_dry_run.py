"""Dry runs: how prompts share what they have in common, and a model's pace."""

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from social_learning.dry_run import StandIn
from social_learning.messages import ReplyExamples
from social_learning.models.fakes import MixerModel
from social_learning.recipes import generation
from social_learning.settings import GenerationTable
from social_learning.silo import Silo
from social_learning.tasks import BUILT_IN
from social_learning.teacher import Teacher
from social_learning.work import Pace, Work, calibrate, distinct_share


@given(st.lists(st.text("ab", max_size=6), max_size=8))
def test_distinct_share_is_that_of_a_trie(texts: list[str]) -> None:
    total = sum(map(len, texts))
    nodes = {text[:end] for text in texts for end in range(1, len(text) + 1)}
    assert (
        distinct_share(texts) * total == (len(nodes) if total else 0)
        or abs(distinct_share(texts) * total - len(nodes)) < 1e-9
    )


def test_the_pace_is_that_of_reading_and_of_writing() -> None:
    seconds = iter([0.0, 3.0, 10.0, 20.0])
    texts = [f"{number} one two three\n\nfour five six" for number in range(4)]
    pace = calibrate(MixerModel("fake:mixer"), texts, lambda: next(seconds))
    new = pace.tokens - 4 * (9 + 1)
    assert pace.prompt_token * 4 * 10 * distinct_share([text + " so" for text in texts]) < 3.2
    assert abs(pace.new_token * new - (10 - 3)) < 1e-9
    assert pace.measured == 13.0
    assert pace.seconds(Work(1, 100, 0, new)) == pace.new_token * new


def test_work_adds_up() -> None:
    work = Work(1, 20, 10, 5)
    assert work + work == work * 2
    assert work * 2 - work == work
    assert Pace(0.5, 2.0, 1, 1.0).seconds(work) == 0.5 * 10 + 2.0 * 5


@pytest.mark.parametrize("recipe", ["default", "paper"])
@pytest.mark.parametrize("name", list(BUILT_IN))
def test_the_stand_in_writes_examples_of_every_built_in_task(name: str, recipe: Literal["default", "paper"]) -> None:
    """Else a dry run would count no answers: teaching would end without a lesson."""
    known = BUILT_IN[name]
    words = ("amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heath", "inlet", "jetty", "knoll", "larch")
    examples = [
        known.invented.model_copy(
            update={"fields": {field: f"{word} {text} {other}" for field, text in known.invented.fields.items()}}
        )
        for word, other in zip(words, reversed(words), strict=True)
    ]
    model = StandIn("fake:mixer")
    teacher = Teacher(Silo("one", known.task, examples, []), model, seed=1)
    reply = teacher.answer(generation(GenerationTable(recipe=recipe), known.task).request(0))
    assert isinstance(reply, ReplyExamples)
    assert reply.examples
    assert model.work.calls >= 8
    assert model.work.new_tokens > 0
