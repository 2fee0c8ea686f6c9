"""Runs that are done in parts, that lack a lesson, or that do not get beyond their start."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from social_learning.config import Experiment, cells_of, parse_experiment
from social_learning.errors import ConfigError, IncompleteError, ModelError, RunFolderError
from social_learning.experiment import run
from social_learning.models.base import Completion, LanguageModel, Prompt, Sampling
from social_learning.models.fakes import MixerModel
from social_learning.progress import Unwatched
from social_learning.report import load_result
from social_learning.results import CellKey
from tests.processes import at_once

FAKE = {"model": "fake:mixer"}


def experiment(**changes: Any) -> Experiment:
    settings: dict[str, Any] = {
        "name": "parts",
        "task": "phone_messages",
        "repeats": 3,
        "shots": [4],
        "arms": ["zero-shot", "original", "generated"],
        "data": {"test_rows": 20},
        "teachers": {**FAKE, "count": 3},
        "student": FAKE,
        "generation": {"lessons": 2, "questions": 2},
    }
    return parse_experiment({**settings, **changes})


def keys_of(settings: Experiment, *arms: str) -> list[CellKey]:
    return [key for _, key in cells_of(settings) if key.arm in arms]


def told(folder: Path) -> dict[str, str]:
    """What a run folder says of results, and of which cells."""
    names = ("results.json", "results.csv", "closeness.json", "closeness.csv", "parts.json")
    return {name: (folder / name).read_text() for name in names if (folder / name).exists()}


# A part takes nothing from a whole


def test_a_part_of_a_finished_run_leaves_it_whole(tmp_path: Path) -> None:
    settings = experiment()
    whole = run(settings, tmp_path / "run")
    before = told(tmp_path / "run")
    assert run(settings, tmp_path / "run", cells=keys_of(settings, "zero-shot")) == whole
    assert told(tmp_path / "run") == before
    assert "parts.json" not in before
    assert load_result(tmp_path / "run") == whole


def test_parts_add_up_to_a_whole_whatever_their_order(tmp_path: Path) -> None:
    settings = experiment()
    run(settings, tmp_path / "run", cells=keys_of(settings, "zero-shot", "original"))
    run(settings, tmp_path / "run", cells=keys_of(settings, "zero-shot"))
    part = load_result(tmp_path / "run")
    assert [arm.name for arm in part.arms] == ["zero-shot", "original"]
    # The arm compared with is finished, and need not be asked for again.
    result = run(settings, tmp_path / "run", cells=keys_of(settings, "generated"))
    assert [arm.name for arm in result.arms] == ["zero-shot", "original", "generated"]
    assert not (tmp_path / "run" / "parts.json").exists()
    whole = run(settings, tmp_path / "other")
    assert [(arm.accuracies, arm.p_value) for arm in result.arms] == [(a.accuracies, a.p_value) for a in whole.arms]


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        ([CellKey("generated", 4, 0)], "cells: none is of arm 'zero-shot', which all others are compared with"),
        ([], "cells: none is of arm 'zero-shot'"),
        ([CellKey("zero-shot", 0, 0), CellKey("generated", 5, 0)], "cells: 'generated-n5-r0' is no cell of experiment"),
    ],
)
def test_parts_that_cannot_be_are_refused_before_any_model_is_loaded(
    tmp_path: Path, cells: list[CellKey], told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        run(experiment(), tmp_path / "run", load=no_model, cells=cells)
    assert not (tmp_path / "run").exists()


def no_model(name: str, **_: Any) -> LanguageModel:
    raise AssertionError(f"{name} was loaded")


# Cells without a lesson


class Moody(MixerModel, Unwatched):
    """A model that, told by a watch where the run is, writes nothing in some cells."""

    def __init__(self, *silent_in: str) -> None:
        super().__init__("fake:moody")
        self.silent_in, self.silent = silent_in, False

    def step(self, what: str, done: int, total: int) -> None:
        self.silent = what.startswith(self.silent_in) if self.silent_in else False

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling, samples: int = 1) -> list[list[Completion]]:
        rows = super().generate(prompts, sampling, samples)
        return [[Completion("", (), "stop", 1)] * samples for _ in rows] if self.silent else rows


def messages_of(folder: Path, cell: str) -> list[str]:
    return (folder / "cells" / cell / "messages.jsonl").read_text().splitlines()


def run_with(moody: Moody, settings: Experiment, folder: Path) -> Any:
    return run(settings, folder, load=lambda name, **_: moody, watch=moody)


def test_a_repeat_without_a_lesson_fails_alone_and_hides_nothing_of_the_others(tmp_path: Path) -> None:
    settings, folder = experiment(arms=["zero-shot", "generated", "original"]), tmp_path / "run"
    with pytest.raises(
        IncompleteError, match=r"^1 of 7 cells have no lesson: repeat 1 of generated, 4 shots: no "
    ) as caught:
        run_with(Moody("generated-n4-r0"), settings, folder)
    result = caught.value.result
    assert [(arm.name, arm.repeats) for arm in result.arms] == [("zero-shot", 1), ("generated", 2), ("original", 3)]
    assert load_result(folder) == result
    assert json.loads((folder / "results.json").read_text())["arms"][1]["repeats"] == 2

    left = [json.loads(line) for n in (1, 2) for line in messages_of(folder, f"generated-n4-r{n}")]
    items = sum(len(line["reply"].get("examples", [])) for line in left)
    rows = json.loads((folder / "closeness.json").read_text())
    (row,) = [r for r in rows if (r["name"], r["group"], r["teacher"]) == ("generated", "left", "all")]
    assert row["items"] == items

    page = (folder / "report.html").read_text()
    assert "repeat 1 of generated, 4 shots: no lesson (" in page
    assert [f"generated-n4-r{repeat}" in page for repeat in range(4)] == [True, True, True, False]
    assert "cells/generated-n4-r0/lesson.json is missing" not in page
    assert not (folder / "parts.json").exists()


def test_what_left_in_a_cell_without_a_lesson_is_measured_all_the_same(tmp_path: Path) -> None:
    class Tiring(Moody):
        """Writes in the first round of a cell, and nothing after it."""

        def step(self, what: str, done: int, total: int) -> None:
            if what.startswith(self.silent_in):
                self.silent = self.silent or done == total
            else:
                self.silent = False

    settings = experiment(repeats=1, shots=[16], generation={"samples": 4, "keep": 1}, arms=["zero-shot", "generated"])
    with pytest.raises(IncompleteError):
        run_with(Tiring("generated-n16-r0"), settings, tmp_path / "run")
    rows = json.loads((tmp_path / "run" / "closeness.json").read_text())
    assert [r["items"] for r in rows if r["group"] == "left" and r["teacher"] == "all"] == [3]
    sent = len(messages_of(tmp_path / "run", "generated-n16-r0"))
    assert f"<strong>generated-n16-r0</strong> <span>{sent} messages" in (tmp_path / "run" / "report.html").read_text()
    owners = list((tmp_path / "cache").rglob("closest-*.json"))
    assert len(owners) == 3


def test_cells_without_a_lesson_are_tried_again(tmp_path: Path) -> None:
    settings, folder = experiment(), tmp_path / "run"
    with pytest.raises(IncompleteError):
        run_with(Moody("generated-n4-r0", "generated-n4-r1"), settings, folder)
    assert len(list(folder.rglob("failed.json"))) == 2
    for cache in (tmp_path / "cache").rglob("calls.sqlite*"):
        cache.unlink()  # else the same calls have the same answers
    result = run_with(Moody(), settings, folder)
    assert [arm.repeats for arm in result.arms] == [1, 3, 3]
    assert not list(folder.rglob("failed.json"))
    assert "no lesson (" not in (folder / "report.html").read_text()


def test_an_arm_compared_with_that_has_no_lesson_leaves_nothing_to_compare_with(tmp_path: Path) -> None:
    settings, folder = experiment(compare_with="generated"), tmp_path / "run"
    with pytest.raises(IncompleteError, match=r"^3 of 7 cells") as caught:
        run_with(Moody("generated"), settings, folder)
    arms = caught.value.result.arms
    assert [(arm.name, arm.p_value) for arm in arms] == [("zero-shot", None), ("original", None)]
    assert load_result(folder) == caught.value.result
    assert '<tr class="compared"' not in (folder / "report.html").read_text().split('id="lesson"')[0]


def test_a_run_without_any_lesson_says_so(tmp_path: Path) -> None:
    settings = experiment(arms=["generated"], compare_with="generated", repeats=7)
    with pytest.raises(IncompleteError, match=r"^no cell has a lesson: repeat 1 of .*; and 2 more$") as caught:
        run_with(Moody("generated"), settings, tmp_path / "run")
    assert caught.value.result is None
    with pytest.raises(RunFolderError, match="holds no result: no cell has a lesson; the first reason: "):
        load_result(tmp_path / "run")


BARREN = """
name = "barren"
task = "phone_messages"
repeats = 1
shots = [4]
data = { test_rows = 20 }
[arms.zero-shot]
[arms.generated]
[arms.strict]
method = "generated"
teachers = { min_distance = 0.99 }
[teachers]
model = "fake:mixer"
count = 3
[student]
model = "fake:mixer"
[generation]
lessons = 1
"""


def test_the_command_line_shows_what_there_is_and_exits_with_three(tmp_path: Path) -> None:
    (tmp_path / "barren.toml").write_text(BARREN)
    command = [sys.executable, "-m", "social_learning.cli", "run", "barren.toml", "--out", "run", "--json"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 3
    assert [arm["name"] for arm in json.loads(ended.stdout)["arms"]] == ["zero-shot", "generated"]
    (error,) = [line for line in ended.stderr.splitlines() if line.startswith("error")]
    assert error.startswith("error: 1 of 3 cells have no lesson: repeat 1 of strict, 4 shots: no lesson (")
    again = [sys.executable, "-m", "social_learning.cli", "report", "run"]
    shown = subprocess.run(again, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "repeat 1 of strict, 4 shots: no lesson (" in shown.stderr


# Starts that fail, and kills


def broken(name: str, **_: Any) -> LanguageModel:
    raise ModelError("no weights here")


def test_a_start_that_fails_leaves_no_folder_behind(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no weights here"):
        run(experiment(), tmp_path / "runs" / "deep" / "run", load=broken)
    assert not (tmp_path / "runs").exists()


def test_a_start_that_fails_leaves_a_folder_that_was_there_as_it_was(tmp_path: Path) -> None:
    for name in ("empty", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("precious")
    with pytest.raises(ModelError):
        run(experiment(), tmp_path / "empty", load=broken)
    with pytest.raises(RunFolderError, match="not empty and holds no run"):
        run(experiment(), tmp_path / "other", load=broken)
    assert [path.name for path in tmp_path.glob("[eo]*/*")] == ["thesis.txt"]
    assert (tmp_path / "empty").is_dir()


def test_a_start_that_fails_takes_nothing_from_a_run_that_was_begun(tmp_path: Path) -> None:
    settings, folder = experiment(), tmp_path / "run"
    run(settings, folder, cells=keys_of(settings, "zero-shot"))
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(ModelError):
        run(settings, folder, load=broken)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_work_that_was_begun_stays(tmp_path: Path) -> None:
    class Dying(MixerModel):
        calls = 0

        def score(self, pairs: Any) -> Any:
            self.calls += 1
            if self.calls > 1:
                raise ModelError("gone")
            return super().score(pairs)

    with pytest.raises(ModelError, match="gone"):
        run(experiment(), tmp_path / "run", load=lambda name, **_: Dying("fake:dying"))
    assert (tmp_path / "run" / "run.json").exists()
    assert list(tmp_path.rglob("cell.json"))


def test_a_kill_in_the_first_write_is_no_obstacle(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    program = """
        import os, sys
        from pathlib import Path
        from social_learning.claim import Claim
        claim = Claim(Path(sys.argv[1]), "run.json")
        claim.take()
        (Path(sys.argv[1]) / f".run.json.{os.getpid()}-0123abcd.partial").write_text("{")
        os._exit(0)
    """
    at_once(program, [(folder,)])
    (folder / ".run.json.partial").write_text("{")  # as earlier versions left it
    assert not (folder / "run.json").exists()
    result = run(experiment(arms=["zero-shot"]), folder)
    assert result.arms
    assert not list(folder.rglob("*.partial"))


def test_runs_at_once_of_the_same_experiment_in_folders_of_their_own_come_to_the_same(tmp_path: Path) -> None:
    program = """
        import sys
        from pathlib import Path
        from social_learning.experiment import run
        from tests.test_run_parts import experiment
        run(experiment(privacy={"silos": sys.argv[1]}), Path(sys.argv[2]))
    """
    folders = [tmp_path / f"run-{number}" for number in range(3)]
    at_once(program, [(tmp_path / "silos", folder) for folder in folders])
    first, *others = [told(folder) for folder in folders]
    for folder, other in zip(folders[1:], others, strict=True):
        assert {n: t.replace(str(folder), str(folders[0])) for n, t in other.items()} == first
