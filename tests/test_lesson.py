"""Lessons: what a student learned, as a prompt and as a file."""

import json
from pathlib import Path

import pytest

from social_learning.errors import DataError
from social_learning.lesson import Lesson, Source, TestedStudent
from social_learning.task import Example
from social_learning.tasks import BUILT_IN

TASK = BUILT_IN["sms_spam"].task
SHOTS = (
    Example(fields={"text": "win a prize"}, answer="spam"),
    Example(fields={"text": "see you {soon}"}, answer="not spam"),
)
SOURCES = (Source(teacher="ann", round=0), Source(teacher="bo", round=1))
QUESTION = {"text": "call now"}


@pytest.mark.parametrize(
    ("instruction", "shots", "prompt"),
    [
        ("", (), "Text: call now\nClass:"),
        (" Decide.\n", (), "Decide.\n\nText: call now\nClass:"),
        (
            "",
            SHOTS,
            "Text: win a prize\nClass: spam\n\nText: see you {soon}\nClass: not spam\n\nText: call now\nClass:",
        ),
        ("Decide.", SHOTS[:1], "Decide.\n\nText: win a prize\nClass: spam\n\nText: call now\nClass:"),
    ],
)
def test_a_lesson_is_read_before_the_question(instruction: str, shots: tuple[Example, ...], prompt: str) -> None:
    assert Lesson(task=TASK, instruction=instruction, examples=shots).prompt(QUESTION) == prompt


def test_a_lesson_survives_its_file(tmp_path: Path) -> None:
    lesson = Lesson(task=TASK, instruction="Decide, é.", examples=SHOTS, sources=SOURCES)
    (tmp_path / "lesson.json").write_text(lesson.to_json(), encoding="utf-8")
    assert Lesson.load(tmp_path) == Lesson.load(tmp_path / "lesson.json") == lesson
    assert lesson.to_json().endswith("}\n")
    assert len(lesson.to_json().splitlines()) > 10


def test_a_loaded_lesson_reads_and_writes_its_own_format(tmp_path: Path) -> None:
    file = tmp_path / "l.json"
    file.write_text(Lesson(task=BUILT_IN["boolq"].task).to_json(), encoding="utf-8")
    known = BUILT_IN["boolq"]
    assert Lesson.load(file).task.parse(known.task.render(known.invented)) == known.invented


def test_no_lesson_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "lesson.json"):
        with pytest.raises(DataError, match=r"no lesson at .*: give a lesson\.json, or the folder"):
            Lesson.load(path)


@pytest.mark.parametrize(
    "content",
    [
        b"my secret",
        b'{"task": "my secret"}',
        b'{"task": {"name": "my secret"}}',
        b"\xff\xfe",
        b'{"task": {"name": "t", "template": "my secret {answer}"}}',
        b'{"task": {"name": "t", "template": "{q} {answer}"}, "examples": [{"fields": {"q": ["my secret"]}}]}',
    ],
)
def test_a_file_that_is_no_lesson_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "lesson.json"
    file.write_bytes(content)
    with pytest.raises(DataError, match="is not a lesson: ") as caught:
        Lesson.load(file)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_lessons_repr_shows_no_example() -> None:
    assert "win a" not in repr(Lesson(task=TASK, examples=SHOTS, sources=SOURCES))


STUDENT = TestedStudent(
    model="fake:mixer", identity="fake:mixer", answer_by="labels", calibrate=False, seed=2**63 - 1, dtype="float16"
)


def test_the_tested_student_survives_the_file(tmp_path: Path) -> None:
    lesson = Lesson(task=TASK, student=STUDENT)
    (tmp_path / "lesson.json").write_text(lesson.to_json(), encoding="utf-8")
    assert json.loads(lesson.to_json())["format"] == 1
    assert Lesson.load(tmp_path).student == STUDENT


def test_a_lesson_of_an_older_version_is_read(tmp_path: Path) -> None:
    file = tmp_path / "lesson.json"
    table = json.loads(Lesson(task=TASK, examples=SHOTS).to_json())
    file.write_text(json.dumps({key: value for key, value in table.items() if key not in ("format", "student")}))
    assert Lesson.load(file) == Lesson(task=TASK, examples=SHOTS)
    assert Lesson.load(file).student is None


@pytest.mark.parametrize(
    ("format", "told"),
    [
        (
            2,
            r"lesson\.json is a lesson of format 2, and this version reads format 1 .*: install a newer social-learning$",
        ),
        (0, "its format is no number that"),
        ("1", "its format is no number that"),
        (True, "its format is no number that"),
        (None, "its format is no number that"),
    ],
)
def test_another_format_is_refused(tmp_path: Path, format: object, told: str) -> None:
    file = tmp_path / "lesson.json"
    table = json.loads(Lesson(task=TASK).to_json())
    file.write_text(json.dumps({**table, "format": format, "new": "my secret"}))
    with pytest.raises(DataError, match=told) as caught:
        Lesson.load(file)
    assert "secret" not in str(caught.value)
