"""The whole story with the real embedded model, small."""

import json
from pathlib import Path

import pytest

from social_learning import Lesson, Student, load_model, run
from social_learning.config import parse_experiment
from social_learning.corpus import load_corpus
from social_learning.seeds import child_seed


@pytest.mark.model
def test_three_teachers_teach_a_student_on_the_embedded_model(tmp_path: Path, embedded_cache: None) -> None:
    settings = parse_experiment(
        {
            "name": "end-to-end",
            "task": "phone_messages",
            "repeats": 1,
            "shots": [4],
            "arms": ["zero-shot", "original", "generated", "voted", "instruction"],
            "data": {"test_rows": 12},
            "teachers": {"count": 3},
            "student": {"dtype": "float32"},  # in bfloat16 an answer can turn with what else is in the batch
            "generation": {"shots": 4, "samples": 4},
            "instruction": {"shots": 2, "samples": 2},
            "privacy": {"silos": str(tmp_path / "silos")},
        }
    )
    result = run(settings, tmp_path / "run")
    assert [arm.name for arm in result.arms] == ["zero-shot", "original", "generated", "voted", "instruction"]
    assert all(arm.failed == 0 for arm in result.arms)

    corpus = load_corpus(settings)
    private = {example.fields["text"].casefold() for example in corpus.train}
    lesson = Lesson.load(tmp_path / "run" / "cells" / "generated-n4-r0")
    assert len(lesson.examples) == 4
    # How many of each class passed depends on what the model wrote, and that on how its processor rounds.
    assert {example.answer for example in lesson.examples} <= {"not spam", "spam"}
    assert not private & {example.fields["text"].casefold() for example in lesson.examples}
    assert len(Lesson.load(tmp_path / "run" / "cells" / "instruction-r0").instruction) > 20

    stated = json.loads((tmp_path / "run" / "cells" / "generated-n4-r0" / "cell.json").read_text())
    model = load_model("smollm2-135m-instruct", dtype="float32")
    student = Student(model, lesson, seed=child_seed(settings.seed, "student", 0))
    right = [
        answer.text is not None and corpus.task.correct(answer.text, example)
        for answer, example in zip(student.answers([e.fields for e in corpus.test]), corpus.test, strict=True)
    ]
    assert ["c" if correct else "w" for correct in right] == list(stated["outcomes"])
