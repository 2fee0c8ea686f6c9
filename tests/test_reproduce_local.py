"""Table 10 with two real engines: a student and its teachers run different local models, of random weights."""

import json
from pathlib import Path

import pytest

from social_learning.corpus import load_corpus
from social_learning.models.registry import load_model
from social_learning.preflight import silos_for
from social_learning.reproduce import Request, reproduce
from social_learning.reproduce.plan import experiment_for
from tests.test_local_model import save_tiny

SHORT = ("shots=[1]", "teachers.count=2", "generation.shots=1", "generation.samples=4", "generation.questions=2")


def test_table_10_ends_with_two_local_models_over_the_same_silos(tmp_path: Path) -> None:
    student, teacher = tmp_path / "tiny-student", tmp_path / "tiny-teacher"
    save_tiny("llama", student)
    save_tiny("qwen2", teacher)
    asked = Request(
        ("table10",),
        model=str(student),
        teacher_model=str(teacher),
        tasks=("phone_messages",),
        test_rows=3,
        repeats=1,
        recipes=("default",),
        overrides=SHORT,
    )
    view = reproduce(asked, tmp_path / "root").views[0]
    folders = {
        "original": tmp_path / "root" / "phone_messages",
        "other-teachers": tmp_path / "root" / "phone_messages-taught-by-tiny-teacher",
        "alone": tmp_path / "root" / "phone_messages-taught-by-tiny-teacher",
    }
    assert [row.line.arm for row in view.rows] == list(folders)
    for row, (line, folder) in zip(view.rows, folders.items(), strict=True):
        (cell,) = (folder / "cells").glob(f"{line}-*r0")
        if row.failed:  # random weights may end without a lesson, which is told, and is no score
            assert line == "other-teachers"
            assert (row.failed, row.ours) == (1, None)
            assert row.reason == json.loads((cell / "failed.json").read_text())["failed"]
        else:
            outcomes = json.loads((cell / "cell.json").read_text())["outcomes"]
            assert row.ours is not None
            assert (row.ours.rows, row.ours.repeats, len(outcomes)) == (3, 1, 3)
            assert row.ours.value == pytest.approx(100 * outcomes.count("c") / 3)

    own = json.loads((tmp_path / "root" / "phone_messages" / "run.json").read_text())
    other = json.loads((tmp_path / "root" / "phone_messages-taught-by-tiny-teacher" / "run.json").read_text())
    of_student, of_teacher = (load_model(str(folder)).identity for folder in (student, teacher))
    assert of_student != of_teacher
    assert other["models of other-teachers"] == {"teachers": of_teacher, "student": of_student}
    assert other["models of alone"]["student"] == of_teacher
    assert own["models of original"] == {"teachers": of_student, "student": of_student}
    assert own["data"] == other["data"]

    silos = []
    for others, name in ((False, "original"), (True, "other-teachers")):
        experiment = experiment_for(asked, "phone_messages", others)
        (arm,) = [arm for arm in experiment.resolved_arms() if arm.name == name]
        split = silos_for(experiment, arm, load_corpus(experiment), 0)
        silos.append([(silo.name, silo.examples, silo.held_out) for silo in split])
    assert silos[0] == silos[1]
