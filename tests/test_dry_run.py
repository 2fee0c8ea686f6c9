"""Dry runs: how prompts share what they have in common, and a model's pace."""

import json
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from social_learning.config import parse_experiment
from social_learning.dry_run import UNGUARDED, StandIn, dry_run
from social_learning.guards import guards_for
from social_learning.messages import ReplyExamples
from social_learning.models.fakes import MixerModel
from social_learning.recipes import generation
from social_learning.settings import GenerationTable, Teachers
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
    guards = guards_for(Teachers.model_validate(UNGUARDED), known.task)  # those of a dry run
    teacher = Teacher(Silo("one", known.task, examples, []), model, guards=guards, seed=1)
    reply = teacher.answer(generation(GenerationTable(recipe=recipe), known.task).request(0))
    assert isinstance(reply, ReplyExamples)
    assert reply.examples
    assert model.work.calls >= 8
    assert model.work.new_tokens > 0


def test_a_dry_run_counts_answers_where_every_private_text_has_a_number(tmp_path: Path) -> None:
    """What a stand-in writes is made of the silo's words, which the guards that are on by default would drop."""
    rows = [{"text": f"call {700_000 + n} today for flat {n}", "answer": ("yes", "no")[n % 2]} for n in range(60)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = {"name": "calls", "template": "Text: {text}\nClass: {answer}", "labels": ["yes", "no"], "metric": "labels"}
    strict = {"method": "generated", "teachers": {"no_shared_numbers": True}}
    settings: dict[str, Any] = {
        "name": "calls", "task": task, "arms": {"zero-shot": {}, "strict": strict}, "student": {"model": "fake:mixer"},
        "data": {"train": str(tmp_path / "rows.jsonl"), "test_rows": 8}, "teachers": {"count": 3, "model": "fake:mixer"},
        "shots": [4], "repeats": 1, "generation": {"shots": 4, "lessons": 2},
    }  # fmt: skip
    zero, taught = dry_run(parse_experiment(settings))
    assert taught.answering.calls >= zero.answering.calls > 0
