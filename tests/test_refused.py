"""What cannot work is refused before any model is asked anything, and named."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from social_learning.audit import audit
from social_learning.audit_plan import Plan
from social_learning.config import Experiment, parse_experiment
from social_learning.corpus import load_corpus, place_of
from social_learning.dry_run import dry_run
from social_learning.errors import ConfigError, ContextLengthError, DataError, ModelError
from social_learning.experiment import run
from social_learning.models.base import Completion, Prompt, Sampling, Score
from social_learning.models.fakes import MixerModel
from social_learning.models.registry import load_context_length, load_model
from social_learning.preflight import check
from social_learning.reproduce import Request, reproduce
from tests.test_local_model import save_tiny

FAKE = {"model": "fake:mixer"}
LONG = "mine " * 3000


class Untouched(MixerModel):
    """A model that must not be asked anything."""

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling, samples: int = 1) -> list[list[Completion]]:
        raise AssertionError("it was asked to write")

    def score(self, pairs: Sequence[tuple[Prompt, str]]) -> list[Score]:
        raise AssertionError("it was asked to score")


def untouched(name: str, **_: Any) -> Untouched:
    return Untouched(name, context_length=1000)


def experiment(**changes: Any) -> Experiment:
    settings: dict[str, Any] = {
        "name": "refused",
        "task": "phone_messages",
        "repeats": 2,
        "shots": [4],
        "arms": ["zero-shot", "generated"],
        "data": {"test_rows": 20},
        "teachers": {**FAKE, "count": 4},
        "student": FAKE,
    }
    return parse_experiment({**settings, **changes})


# Audits' controls


def test_a_silo_too_small_for_an_audits_control_is_refused(tmp_path: Path) -> None:
    # Teachers are shown 8 of their 56 examples; the control's lesson holds 60 of one.
    settings = experiment(shots=[60])
    check(settings, load_corpus(settings))
    with pytest.raises(DataError, match=r"arm 'verbatim' needs 59 examples per teacher to teach from; .* leave 56"):
        audit(settings, Plan(trials=2, references=9), tmp_path / "run", load=untouched)
    assert list(tmp_path.iterdir()) == []


def test_a_reproduction_whose_audits_control_has_too_few_examples_is_refused(tmp_path: Path) -> None:
    asked = Request(
        tables=("table3",),
        model="fake:mixer",
        tasks=("phone_messages",),
        test_rows=10,
        trials=2,
        references=9,
        canaries=("codes",),
        overrides=("shots=[60]", "teachers.count=4"),
    )
    with pytest.raises(DataError, match=r"arm '(original|verbatim)' needs"):
        reproduce(asked, tmp_path / "root", load=untouched)
    assert not (tmp_path / "root").exists()


# Skewed silos


def skewed(**changes: Any) -> Experiment:
    """Silos of which some have so few rows that a share of them rounds to nothing."""
    teachers = {**FAKE, "count": 4, "split": "dirichlet", "alpha": 0.3, "held_out": 0.02}
    return experiment(teachers=teachers, generation={"shots": 2, "lessons": 2}, **changes)


def test_every_repeats_silos_are_looked_at_for_rows_to_judge_by(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"judges by held-out examples, and a silo holds none out in repeat \d+: raise"):
        run(skewed(repeats=10), tmp_path / "run", load=untouched)
    assert list(tmp_path.iterdir()) == []


def test_a_later_repeat_that_cannot_be_is_found_before_the_first_is_run() -> None:
    refused: list[str] = []
    for seed in range(8):
        settings = skewed(repeats=10, seed=seed)
        try:
            check(settings, load_corpus(settings))
        except DataError as error:
            refused.append(str(error).partition("in repeat ")[2].partition(":")[0])
    assert len(set(refused)) > 1  # not the first repeat alone


# Rows beyond a model's context


def own(folder: Path, train: dict[int, str], test: dict[int, str], **changes: Any) -> Experiment:
    """An experiment on files of 40 and 10 short rows, some of which are replaced."""
    for name, count, others in (("train", 40, train), ("test", 10, test)):
        rows = [
            {"text": others.get(n, f"{name} message number {n}"), "answer": ("spam", "not spam")[n % 2]}
            for n in range(count)
        ]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = {"train": str(folder / "train.jsonl"), "test": str(folder / "test.jsonl")}
    teachers = {**FAKE, "count": 2}
    return experiment(data=data, generation={"shots": 2}, teachers=teachers, **changes)


@pytest.mark.parametrize(
    ("arm", "train", "test", "told"),
    [
        (
            "zero-shot",
            {},
            {3: LONG},
            r"test.jsonl, row 4: this test row makes a prompt of 3,0\d\d tokens or more, and model",
        ),
        (
            "manual",
            {},
            {3: LONG, 5: "x" + LONG},
            r"'manual' has a context of 1,000 \(2 test rows are too long; this is",
        ),
        ("generated", {7: LONG}, {}, r"train.jsonl, row 8: this training row makes a prompt of 3,"),
        ("voted", {7: LONG}, {}, r"train.jsonl, row 8: this training row"),
        ("original", {7: LONG}, {}, r"train.jsonl, row 8: this training row"),
        ("instruction", {7: LONG}, {}, r"train.jsonl, row 8: this training row"),
    ],
)
def test_a_row_beyond_the_context_is_named_and_not_repeated(
    tmp_path: Path, arm: str, train: dict[int, str], test: dict[int, str], told: str
) -> None:
    settings = own(tmp_path, train, test, arms=[arm], compare_with=arm)
    with pytest.raises(ContextLengthError, match=told) as caught:
        run(settings, tmp_path / "run", load=untouched)
    assert "mine" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_rows_that_no_arm_reads_may_be_long(tmp_path: Path) -> None:
    settings = own(tmp_path, {7: LONG}, {}, arms=["zero-shot", "manual"])
    assert run(settings, tmp_path / "run", load=lambda name, **_: MixerModel(name, context_length=1000)).arms


def test_an_audit_refuses_training_rows_beyond_the_context(tmp_path: Path) -> None:
    settings = own(tmp_path, {7: LONG}, {3: "x" + LONG})
    with pytest.raises(ContextLengthError, match=r"train.jsonl, row 8: this training row .* of arm 'verbatim'"):
        audit(settings, Plan(trials=2, references=9), tmp_path / "run", load=untouched)
    assert not (tmp_path / "run").exists()


def test_a_dry_run_refuses_what_the_run_would(tmp_path: Path) -> None:
    settings = own(tmp_path, {}, {3: "mine " * 9000})
    assert load_context_length("fake:mixer") == 8192
    with pytest.raises(ContextLengthError, match=r"test.jsonl, row 4"):
        dry_run(settings)


def test_rows_of_the_bundled_data_are_found_too() -> None:
    settings = experiment()
    corpus = load_corpus(settings)
    assert {place_of(settings, None, row).partition(", row ")[0][-6:] for row in corpus.test} == {".jsonl"}


# Models without a chat template


@pytest.mark.parametrize(
    ("template", "told"),
    [
        (
            None,
            r"has no chat \(has no chat template: give it plain prompts\): instructions are asked for in a chat turn",
        ),
        (
            "{{ raise_exception('A system message must come first') }}",
            r"has no chat \(chat template refuses a single user turn: A system message must come first\)",
        ),
    ],
)
def test_an_instruction_of_a_model_that_takes_no_chat_turn_is_refused(
    tmp_path: Path, template: str | None, told: str
) -> None:
    (tmp_path / "model").mkdir()
    save_tiny("qwen2", tmp_path / "model")
    tokenizer: Any = AutoTokenizer.from_pretrained(tmp_path / "model")
    tokenizer.chat_template = template
    tokenizer.save_pretrained(tmp_path / "model")
    (tmp_path / "model" / "chat_template.jinja").unlink(missing_ok=True)
    if template:
        (tmp_path / "model" / "chat_template.jinja").write_text(template)
    teachers = {"model": str(tmp_path / "model"), "count": 4, "dtype": "float32", "device": "cpu"}
    settings = experiment(arms=["zero-shot", "instruction"], teachers=teachers)

    def load(name: str, **options: Any) -> Any:
        return untouched(name) if name.startswith("fake:") else load_model(name, **options)

    with pytest.raises(ModelError, match=told):
        run(settings, tmp_path / "run", load=load)
    assert not (tmp_path / "run").exists()
    run(experiment(arms=["zero-shot"], teachers=teachers), tmp_path / "other")


def test_settings_are_refused_as_before(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"judges by held-out examples: set teachers\.held_out above 0"):
        run(experiment(teachers={**FAKE, "held_out": 0}), tmp_path / "run", load=untouched)
    with pytest.raises(DataError, match="leave 0"):
        run(experiment(arms=["zero-shot"], teachers={**FAKE, "count": 500}), tmp_path / "run", load=untouched)
    assert list(tmp_path.iterdir()) == []
