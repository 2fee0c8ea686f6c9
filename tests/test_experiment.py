"""The run: arms, run folder, resume after a kill, one run per folder, and nothing private where it does not belong."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from social_learning.config import Experiment, parse_experiment
from social_learning.corpus import load_corpus
from social_learning.errors import ConfigError, DataError, ModelError, RunFolderError
from social_learning.evaluation import evaluate
from social_learning.experiment import run
from social_learning.lesson import Lesson, TestedStudent
from social_learning.models.base import Completion, LanguageModel, Prompt, Sampling, Score
from social_learning.models.fakes import MixerModel
from social_learning.models.registry import load_model
from social_learning.preflight import check_settings, silos_for
from social_learning.provenance import peak_memory
from social_learning.records import read_cell
from social_learning.results import CellKey
from social_learning.seeds import child_seed
from social_learning.statistics import holm, paired
from social_learning.student import Student
from social_learning.tasks import BUILT_IN
from tests.clocks import STEADY

ALL_ARMS = ["zero-shot", "manual", "original", "generated", "voted", "instruction"]
FAKE = {"model": "fake:mixer"}


def experiment(**changes: Any) -> Experiment:
    settings: dict[str, Any] = {
        "name": "test",
        "task": "phone_messages",
        "repeats": 2,
        "shots": [4],
        "arms": ALL_ARMS,
        "data": {"test_rows": 40},
        "teachers": FAKE,
        "student": FAKE,
    }
    return parse_experiment({**settings, **changes})


class Killed(BaseException):
    """What a kill looks like from inside: nothing catches it."""


class Counting:
    """A model that counts the prompts and pairs that really reach it, and can be killed at the n-th call."""

    def __init__(self, inner: LanguageModel, die_at: int | None = None) -> None:
        self.inner, self.die_at, self.calls = inner, die_at, 0
        self.asked: list[object] = []

    @property
    def name(self) -> str:
        return self.inner.name

    @property
    def identity(self) -> str:
        return self.inner.identity

    @property
    def context_length(self) -> int:
        return self.inner.context_length

    def count_tokens(self, text: str) -> int:
        return self.inner.count_tokens(text)

    def _call(self, asked: Sequence[object]) -> None:
        self.calls += 1
        if self.calls == self.die_at:
            raise Killed
        self.asked.extend(asked)

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling, samples: int = 1) -> list[list[Completion]]:
        self._call([(prompt, sampling) for prompt in prompts])
        return self.inner.generate(prompts, sampling, samples)

    def score(self, pairs: Sequence[tuple[Prompt, str]]) -> list[Score]:
        self._call(list(pairs))
        return self.inner.score(pairs)


def files_of(folder: Path) -> dict[str, str]:
    """Everything in a run folder that must not depend on timing."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name in ("results.json", "results.csv", "lesson.json", "messages.jsonl"):
            found[str(path.relative_to(folder))] = path.read_text().replace(str(folder), "RUN")
        if path.name == "cell.json":
            found[str(path.relative_to(folder))] = json.loads(path.read_text())["outcomes"]
    return found


def test_every_arm_is_measured_and_written_down(tmp_path: Path) -> None:
    result = run(experiment(), tmp_path / "run")
    assert [(arm.name, arm.shots, arm.repeats) for arm in result.arms] == [
        ("zero-shot", 0, 1),
        ("manual", 0, 1),
        ("original", 4, 2),
        ("generated", 4, 2),
        ("voted", 4, 2),
        ("instruction", 0, 2),
    ]
    assert all(arm.test_rows == 40 and 0 <= arm.accuracy <= 1 for arm in result.arms)
    assert result.stand_in
    assert all(arm.paired is None and arm.permutation_p is None for arm in result.arms)
    rows = list(csv.DictReader((tmp_path / "run" / "results.csv").read_text().splitlines()))
    table = json.loads((tmp_path / "run" / "results.json").read_text())
    assert [row["name"] for row in rows] == [arm["name"] for arm in table["arms"]] == ALL_ARMS
    assert set(result.to_table()["arms"][0]) == {
        "name", "task", "shots", "accuracy", "stderr", "accuracies", "readable_accuracy", "repeats", "test_rows",
        "unparsed", "refused", "missing", "over_budget", "difference", "low", "high", "p_value", "p_holm", "permutation_p",
    }  # fmt: skip
    assert (tmp_path / "run" / "report.html").stat().st_size > 1000


def test_arms_are_compared_on_the_same_rows_repeat_by_repeat(tmp_path: Path) -> None:
    model = MixerModel("org/model")
    settings = experiment(teachers={"model": "org/model"}, student={"model": "org/model"})
    result = run(settings, tmp_path / "run", load=lambda name, **_: model)
    assert not result.stand_in
    zero, manual, *drawn = result.arms
    assert (zero.paired, zero.permutation_p, manual.paired and manual.paired.repeats) == (None, None, 1)
    assert all(arm.paired and arm.paired.repeats == 2 and arm.permutation_p for arm in drawn)
    for arm in result.arms[1:]:
        cells = [read_cell(tmp_path / "run", CellKey(arm.name, arm.shots, repeat)) for repeat in range(arm.repeats)]
        base = read_cell(tmp_path / "run", CellKey("zero-shot", 0, 0))
        assert base is not None
        graded = [cell.evaluation.graded for cell in cells if cell is not None]
        assert arm.paired == paired(graded, [base.evaluation.graded], chance=arm is not manual)
    assert [arm.p_holm for arm in result.arms] == holm([arm.p_value for arm in result.arms])
    row = list(csv.DictReader((tmp_path / "run" / "results.csv").read_text().splitlines()))[2]
    assert tuple(map(float, row["accuracies"].split())) == drawn[0].accuracies
    assert float(row["low"]) <= float(row["difference"]) <= float(row["high"])


def test_messages_lessons_and_sources_agree(tmp_path: Path) -> None:
    run(experiment(arms=["zero-shot", "generated"], repeats=1), tmp_path / "run")
    cell = tmp_path / "run" / "cells" / "generated-n4-r0"
    lesson = Lesson.load(cell)
    messages = [json.loads(line) for line in (cell / "messages.jsonl").read_text().splitlines()]
    sent = [
        (m["reply"]["teacher"], m["reply"]["round"], example)
        for m in messages
        for example in m["reply"].get("examples", [])
    ]
    assert [m["request"]["kind"] for m in messages] == ["examples"] * 8 + ["grades"] * 24
    for example, source in zip(lesson.examples, lesson.sources, strict=True):
        assert (source.teacher, source.round, example.model_dump()) in sent


def test_a_lesson_says_which_student_was_tested_with_it(tmp_path: Path) -> None:
    settings = experiment(
        seed=3, arms=["zero-shot", "generated"], repeats=2, student={"model": "fake:mixer", "calibrate": False}
    )
    run(settings, tmp_path / "run")
    tested = [Lesson.load(tmp_path / "run" / "cells" / f"generated-n4-r{repeat}").student for repeat in range(2)]
    assert tested == [
        TestedStudent(
            model="fake:mixer",
            identity="fake:mixer",
            answer_by="auto",
            calibrate=False,
            seed=child_seed(3, "student", repeat),
        )
        for repeat in range(2)
    ]


def test_the_tested_student_built_from_its_lesson_answers_as_it_was_tested(tmp_path: Path) -> None:
    """The words that calibrate are drawn by the cell's seed: another one gives other outcomes."""
    run(experiment(arms=["zero-shot", "generated"], repeats=2), tmp_path / "run")
    test = load_corpus(experiment()).test
    for key in (CellKey("generated", 4, 0), CellKey("generated", 4, 1)):
        lesson = Lesson.load(tmp_path / "run" / "cells" / key.name)
        again = evaluate(Student.tested(lesson, MixerModel("fake:mixer")), lesson.task, test)
        cell = read_cell(tmp_path / "run", key)
        assert cell is not None
        assert cell.evaluation == again


def test_same_experiment_same_run_whatever_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(experiment(), tmp_path / "one", origin=STEADY)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other-cache"))
    run(experiment(), tmp_path / "two", origin=STEADY)
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")
    run(experiment(seed=2), tmp_path / "three", origin=STEADY)
    assert files_of(tmp_path / "one") != files_of(tmp_path / "three")


@pytest.mark.parametrize("die_at", [1, 2, 5, 11, 21])
def test_a_run_killed_at_any_call_goes_on_to_the_same_result_without_repeating_a_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, die_at: int
) -> None:
    settings = experiment(repeats=1, data={"test_rows": 10}, teachers={**FAKE, "count": 4})
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "whole-cache"))
    whole = Counting(MixerModel("fake:mixer"))
    run(settings, tmp_path / "whole", load=lambda name, **_: whole, origin=STEADY)

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "killed-cache"))
    first = Counting(MixerModel("fake:mixer"), die_at)
    with pytest.raises(Killed):
        run(settings, tmp_path / "killed", load=lambda name, **_: first, origin=STEADY)
    second = Counting(MixerModel("fake:mixer"))
    run(settings, tmp_path / "killed", load=lambda name, **_: second, origin=STEADY)

    assert files_of(tmp_path / "killed") == files_of(tmp_path / "whole")
    # Every user has a cache of its own, so the same call may be made for two users; none is made twice for one.
    assert Counter(first.asked) + Counter(second.asked) == Counter(whole.asked)


def test_kill_nine_and_the_same_command_finishes(tmp_path: Path) -> None:
    file = tmp_path / "experiment.toml"
    file.write_text(
        'name = "killed"\ntask = "phone_messages"\nrepeats = 4\nshots = [4, 8, 16]\narms = ["zero-shot", "original", "generated"]\n'
        '[teachers]\nmodel = "fake:mixer"\n[student]\nmodel = "fake:mixer"\n'
    )
    command = [sys.executable, "-m", "social_learning.cli", "run", str(file), "--out", str(tmp_path / "run"), "--json"]
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        while not list((tmp_path / "run").glob("cells/*/cell.json")) and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    done = set((tmp_path / "run").glob("cells/*/cell.json"))
    assert done
    assert not (tmp_path / "run" / "results.json").exists()
    stamps = {path: path.stat().st_mtime_ns for path in done}
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert len(json.loads(finished.stdout)["arms"]) == 7
    assert {path: path.stat().st_mtime_ns for path in done} == stamps


def test_a_finished_run_loads_no_model(tmp_path: Path) -> None:
    first = run(experiment(), tmp_path / "run")

    def no_model(name: str, **_: Any) -> LanguageModel:
        raise AssertionError(f"{name} was loaded")

    assert run(experiment(), tmp_path / "run", load=no_model) == first


@pytest.mark.usefixtures("open_umask")
def test_private_text_is_nowhere_in_the_run_folder(tmp_path: Path) -> None:
    settings = experiment(data={"test_rows": 40})
    run(settings, tmp_path / "run")
    corpus = load_corpus(settings)
    written = "\n".join(path.read_text() for path in (tmp_path / "run").rglob("*") if path.is_file())
    plain = written.replace("&#39;", "'").replace("&amp;", "&").replace("\\u00a3", "£")
    for example in (*corpus.train, *corpus.test):
        assert example.fields["text"] not in plain
        assert json.dumps(example.fields["text"])[1:-1] not in written
    caches = list((tmp_path / "cache").rglob("calls.sqlite"))
    assert len(caches) == 9
    folders = {folder for cache in caches for folder in (cache.parent, cache.parent.parent)}
    assert {path.stat().st_mode & 0o777 for path in folders} == {0o700}
    assert {cache.stat().st_mode & 0o777 for cache in caches} == {0o600}


def test_time_and_memory_of_the_commands_that_worked_on_a_run_are_written_down(tmp_path: Path) -> None:
    small = experiment(arms=["zero-shot", "manual"], repeats=1)
    loading = 0.3

    def slow(name: str, **_: Any) -> LanguageModel:
        time.sleep(loading)
        return load_model(name)

    def took() -> dict[str, Any]:
        run(small, tmp_path / "run", load=slow)
        told: dict[str, Any] = json.loads((tmp_path / "run" / "run.json").read_text())["took"]
        return told

    began = time.perf_counter()
    first = took()
    assert first["commands"] == 1
    assert loading <= first["seconds"] <= time.perf_counter() - began + 0.05  # tenths of a second are written down
    peak = peak_memory()
    assert first["peak_memory"] is None if peak is None else 2**20 < first["peak_memory"] <= peak
    assert took() == first  # nothing was left to do
    (tmp_path / "run" / "cells" / "manual-r0" / "cell.json").unlink()
    again = took()
    assert again["commands"] == 2
    assert again["seconds"] >= round(first["seconds"] + loading, 1)


def test_a_manual_arm_can_have_an_instruction_of_its_own(tmp_path: Path) -> None:
    noted = {"method": "manual", "instruction": {"text": "Say spam or not spam."}}
    run(experiment(arms={"zero-shot": {}, "manual": {}, "noted": noted}, repeats=1), tmp_path / "run")
    manual, own = (Lesson.load(tmp_path / "run" / "cells" / f"{name}-r0").instruction for name in ("manual", "noted"))
    assert own == "Say spam or not spam."
    assert manual != own


def test_originals_are_written_only_when_asked_for(tmp_path: Path) -> None:
    arms = {"arms": ["zero-shot", "original"], "repeats": 1}
    run(experiment(**arms), tmp_path / "without")
    run(experiment(**arms, privacy={"record_originals": True}), tmp_path / "with")
    assert not (tmp_path / "without" / "cells" / "original-n4-r0" / "lesson.json").exists()
    lesson = Lesson.load(tmp_path / "with" / "cells" / "original-n4-r0")
    assert (
        lesson.examples[0].fields["text"]
        in (tmp_path / "with" / "cells" / "original-n4-r0" / "messages.jsonl").read_text()
    )


def test_a_folder_serves_one_experiment_and_one_process(tmp_path: Path) -> None:
    small = {"arms": ["zero-shot"], "repeats": 1}
    run(experiment(**small), tmp_path / "run")
    with pytest.raises(RunFolderError, match="other settings"):
        run(experiment(**small, seed=9), tmp_path / "run")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("precious")
    with pytest.raises(RunFolderError, match="not empty and holds no run"):
        run(experiment(**small), tmp_path / "other")
    assert [path.name for path in (tmp_path / "other").iterdir() if path.name != ".lock"] == ["thesis.txt"]

    def second(name: str, **_: Any) -> LanguageModel:
        with pytest.raises(RunFolderError, match="in use by another run"):
            run(experiment(**small), tmp_path / "busy")
        return load_model(name)

    run(experiment(**small), tmp_path / "busy", load=second)


def test_damaged_and_changed_inputs_of_a_resumed_run_are_named(tmp_path: Path) -> None:
    data = tmp_path / "rows.csv"
    rows = [f"message number {i},{'spam' if i % 2 else 'not spam'}" for i in range(60)]
    data.write_text("\n".join(["text,answer", *rows]) + "\n")
    settings = parse_experiment(
        {
            "name": "own",
            "task": "sms_spam",
            "arms": ["zero-shot"],
            "data": {"train": "rows.csv", "columns": {"text": "text"}},
            "student": FAKE,
            "teachers": {**FAKE, "count": 2},
        },
        base=tmp_path,
    )
    run(settings, tmp_path / "run")
    data.write_text("\n".join(["text,answer", *rows[:-1], "another one,spam"]) + "\n")
    with pytest.raises(RunFolderError, match="begun with other data"):
        run(settings, tmp_path / "run")
    (tmp_path / "run" / "run.json").write_text("{")
    with pytest.raises(RunFolderError, match=r"run\.json is damaged"):
        run(settings, tmp_path / "run")


@pytest.mark.parametrize(
    ("changes", "error", "told"),
    [
        ({"teachers": {**FAKE, "count": 60}}, DataError, "needs 8 examples per teacher"),
        ({"shots": [40]}, DataError, "'original' needs 40 examples per teacher"),
        ({"teachers": {**FAKE, "held_out": 0}}, ConfigError, "judges by held-out examples"),
        ({"data": {"test_rows": 40, "train": "none.csv"}}, DataError, "none.csv"),
        ({"task": "sms_spam"}, ConfigError, "SOCIAL_LEARNING_DATA"),
        ({"task": "lambadda"}, ConfigError, "there are phone_messages"),
    ],
)
def test_what_cannot_work_is_refused_before_any_model_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], error: type[Exception], told: str
) -> None:
    monkeypatch.delenv("SOCIAL_LEARNING_DATA", raising=False)

    def no_model(name: str, **_: Any) -> LanguageModel:
        raise AssertionError(f"{name} was loaded")

    with pytest.raises(error, match=told):
        run(experiment(**changes), tmp_path / "run", load=no_model)
    assert not (tmp_path / "run").exists()


def test_a_failing_model_is_an_error_and_never_a_score(tmp_path: Path) -> None:
    def broken(name: str, **_: Any) -> LanguageModel:
        raise ModelError("no weights here")

    with pytest.raises(ModelError, match="no weights here"):
        run(experiment(), tmp_path / "run", load=broken)
    assert not list((tmp_path / "run").rglob("cell.json"))


def test_teachers_and_student_may_be_different_models(tmp_path: Path) -> None:
    loaded = []

    def load(name: str, **options: Any) -> LanguageModel:
        loaded.append((name, options))
        return load_model(name)

    settings = experiment(
        arms=["zero-shot", "generated"], repeats=1, student={"model": "fake:copycat", "dtype": "float32"}
    )
    run(settings, tmp_path / "run", load=load)
    assert sorted(loaded) == [
        ("fake:copycat", {"dtype": "float32", "device": "auto", "memory": "auto"}),
        ("fake:mixer", {"dtype": "auto", "device": "auto", "memory": "auto"}),
    ]


def test_arms_of_one_repeat_share_silos_and_repeats_redraw_them() -> None:
    settings = experiment()
    corpus = load_corpus(settings)

    def texts(repeat: int) -> list[list[str]]:
        silos = silos_for(settings, settings.resolved_arms()[0], corpus, repeat)
        return [[example.fields["text"] for example in silo.everything] for silo in silos]

    assert texts(0) == texts(0)
    assert texts(0) != texts(1)
    assert sorted(text for silo in texts(0) for text in silo) == sorted(e.fields["text"] for e in corpus.train)


@pytest.mark.parametrize(
    ("task", "generation", "refusal"),
    [
        ("sms_spam", {"cloze": True}, "is no cloze task, so no gap can be set; leave generation.cloze out"),
        ("lambada", {"way": "label-first"}, "cannot be told label first: it needs labels"),
        ("lambada", {"cloze": True, "recipe": "paper"}, None),
        ("gsm8k", {"self_check": True}, "has no labels to check"),
    ],
)
def test_ways_to_generate_that_a_task_has_no_use_for_are_refused(
    task: str, generation: dict[str, Any], refusal: str | None
) -> None:
    _, arm = experiment(task=task, arms=["zero-shot", "generated"], generation=generation).resolved_arms()
    if refusal is None:
        check_settings(arm, BUILT_IN[task].task)
    else:
        with pytest.raises(ConfigError, match=f"arm 'generated': task '{task}' {refusal}"):
            check_settings(arm, BUILT_IN[task].task)
