"""The commands on finished lessons: what they print, where, and with which exit code."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from social_learning.export import FORMS, export
from social_learning.lesson import Lesson, TestedStudent
from social_learning.models.fakes import MixerModel
from social_learning.student import Student
from social_learning.task import Example, Task
from social_learning.tasks import BUILT_IN

SMS = BUILT_IN["sms_spam"].task
SHOTS = (Example(fields={"text": "win a prize"}, answer="spam"), Example(fields={"text": "hello"}, answer="not spam"))
MIXER = TestedStudent(model="fake:mixer", identity="fake:mixer", answer_by="labels", calibrate=True, seed=5)
LESSON = Lesson(task=SMS, examples=SHOTS, student=MIXER)
SAID = "fake:mixer (answers by labels, calibrated) answers, as the run tested it"
COPIED = Task(name="echo", template="Say: {text}\nSaid: {answer}")
"""A task whose answers are free text, for a model that says what stands in its lesson."""


def cli(folder: Path, *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache"), "COLUMNS": "80", "TERM": "dumb"}
    command = [sys.executable, "-m", "social_learning.cli", *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment, input=typed, capture_output=True, text=True, check=False
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "lesson.json").write_text(LESSON.to_json())
    return tmp_path


def test_the_tested_student_answers_and_is_named(folder: Path) -> None:
    asked = cli(folder, "ask", "lesson.json", "win a prize")
    assert (asked.returncode, asked.stdout.strip() in SMS.labels, asked.stderr) == (0, True, f"{SAID}\n")
    other = cli(folder, "ask", "lesson.json", "win a prize", "--model", "fake:copycat", "--no-calibrate")
    assert (
        "fake:copycat (answers by labels, not calibrated) answers, not the student that the run tested" in other.stderr
    )
    moved = LESSON.model_copy(update={"student": MIXER.model_copy(update={"identity": "fake:older"})})
    (folder / "lesson.json").write_text(moved.to_json())
    assert "warning: the run tested fake:older, and this is fake:mixer" in cli(folder, "ask", "lesson.json", "a").stderr


def test_a_lesson_of_an_older_version_says_so_in_one_line(folder: Path) -> None:
    table = json.loads(LESSON.to_json())
    (folder / "lesson.json").write_text(json.dumps({key: table[key] for key in ("task", "instruction", "examples")}))
    asked = cli(folder, "ask", "lesson.json", "win a prize", "--model", "fake:mixer")
    assert asked.returncode == 0
    assert asked.stderr == (
        "the lesson does not say which student was tested: fake:mixer (answers by auto, calibrated) answers\n"
    )


def test_many_questions_get_a_line_each(folder: Path) -> None:
    (folder / "q.csv").write_text("text\nwin a prize\nhello\n")
    plain = cli(folder, "ask", "lesson.json", "--file", "q.csv")
    assert [line in SMS.labels for line in plain.stdout.splitlines()] == [True, True]
    counted = cli(folder, "ask", "lesson.json", "--file", "q.csv", "--json")
    assert counted.stderr.splitlines()[-1] == "2 questions: 2 answered"
    answers = Student.tested(LESSON, MixerModel("fake:mixer")).answers([{"text": "win a prize"}, {"text": "hello"}])
    measured = [dict(answer.logprobs) for answer in answers]
    assert [json.loads(line) for line in counted.stdout.splitlines()] == [
        {"row": row, "answer": answer, "failure": None, "logprobs": logprobs}
        for row, answer, logprobs in zip((2, 3), plain.stdout.splitlines(), measured, strict=True)
    ]
    for arguments in (("-",), ("--file", "-")):
        lines = cli(folder, "ask", "lesson.json", *arguments, typed='win a prize\n{"text": "hello"}\n')
        assert lines.stdout == plain.stdout


def test_an_answer_of_several_lines_keeps_a_line_for_each_question(folder: Path) -> None:
    task = Task(name="poem", template="Say: {text}\nSaid: {answer}", multiline=("answer",), answer_pattern=r"[^.]+")
    shots = (Example(fields={"text": "hello"}, answer="two\nlines"),)
    student = TestedStudent(model="fake:copycat", identity="fake:copycat", answer_by="free", calibrate=False, seed=0)
    (folder / "lesson.json").write_text(Lesson(task=task, examples=shots, student=student).to_json())
    assert cli(folder, "ask", "lesson.json", "hello").stdout == "two\nlines\n"
    assert cli(folder, "ask", "lesson.json", "-", typed="hello\nhello\n").stdout == "two lines\n" * 2


def test_failures_have_their_kind(folder: Path) -> None:
    """A stand-in that mixes messages finds none to mix here, so it says nothing."""
    student = MIXER.model_copy(update={"answer_by": "free"})
    lesson = Lesson(task=BUILT_IN["gsm8k"].task, instruction="Reckon.", student=student)
    (folder / "lesson.json").write_text(lesson.to_json())
    one = cli(folder, "ask", "lesson.json", "3*4?")
    assert (one.returncode, one.stdout) == (1, "")
    assert one.stderr.splitlines()[-1] == "error: no answer to the question: missing"
    many = cli(folder, "ask", "lesson.json", "-", typed="a\n\nb\n")
    assert (many.returncode, many.stdout) == (1, "\n\n")
    assert many.stderr.splitlines()[-1].endswith("2 of 2 questions, an empty line each; rows: 1 (missing), 3 (missing)")
    told = cli(folder, "ask", "lesson.json", "-", "--json", typed="a\n")
    assert told.stderr.splitlines()[-1] == "1 question: 0 answered, 1 missing"
    assert (told.returncode, json.loads(told.stdout)) == (0, {"row": 1, "answer": None, "failure": "missing"})


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("ask", "lesson.json"), "give one of a question, - for questions on standard input, and --file FILE"),
        (("ask", "lesson.json", "hello", "--file", "q.csv"), "give one of a question"),
        (("ask", "lesson.json", "hello", "--answer-by", "luck"), "--answer-by luck: use auto, free or labels"),
        (("ask", "lesson.json", "--file", "q.csv"), "q.csv, row 3, field 'text': empty"),
        (("ask", "lesson.json", "--file", "absent.csv"), "absent.csv: no such file"),
        (("ask", "lesson.json", "-"), "standard input: holds no question"),
        (("export", "lesson.json", "--out", "sub"), "--out sub is a folder: name a file in it"),
        (("export", "lesson.json", "--out", "q.csv/x"), "--out q.csv/x cannot be written: "),
        (("ask", "address.json", "hello"), "allow it with --model openai:big@http://127.0.0.1:9/v1"),
        (("export", "empty.json"), "the lesson is empty"),
        (("export", "newer.json"), "is a lesson of format 2"),
    ],
)
def test_mistakes_get_one_line_before_any_model_is_loaded(folder: Path, arguments: tuple[str, ...], told: str) -> None:
    (folder / "sub").mkdir()
    (folder / "q.csv").write_text('text,other\nfine,1\n" ",2\n')
    (folder / "empty.json").write_text(Lesson(task=SMS).to_json())
    elsewhere = MIXER.model_copy(update={"model": "openai:big@http://127.0.0.1:9/v1"})
    (folder / "address.json").write_text(LESSON.model_copy(update={"student": elsewhere}).to_json())
    (folder / "newer.json").write_text(json.dumps({**json.loads(LESSON.to_json()), "format": 2}))
    ended = cli(folder, *arguments)
    assert (ended.returncode, ended.stdout) == (2, "")
    (line,) = ended.stderr.splitlines()
    assert line.startswith("error: ")
    assert told in line


@pytest.mark.parametrize("form", FORMS)
def test_an_export_is_the_same_in_a_file_and_in_a_pipe(folder: Path, form: str) -> None:
    lesson = Lesson(task=SMS, examples=(Example(fields={"text": "caf\u00e9 \x1b[31m"}, answer="spam"),))
    (folder / "lesson.json").write_text(lesson.to_json())
    expected = export(lesson, next(known for known in FORMS if known == form))
    assert cli(folder, "export", "lesson.json", "-f", form).stdout == expected
    assert cli(folder, "export", "lesson.json", "-f", form, "--out", "out.txt").stdout == ""
    assert (folder / "out.txt").read_bytes() == expected.encode()


@pytest.mark.parametrize("form", FORMS)
def test_an_export_does_not_steer_a_terminal(folder: Path, form: str) -> None:
    lesson = Lesson(task=SMS, examples=(Example(fields={"text": "a\x1b[31m \x9b2J \u202e"}, answer="spam"),))
    (folder / "lesson.json").write_text(lesson.to_json())
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "social_learning.cli", "export", "lesson.json", "-f", form]
    subprocess.run(command, cwd=folder, stdout=theirs, check=True)
    os.close(theirs)
    shown = os.read(ours, 100_000).decode()
    os.close(ours)
    assert not {"\x1b", "\x9b", "\u202e"} & set(shown)
    assert "\u27e6U+009B\u27e7" in shown


def test_an_answer_and_a_name_do_not_steer_a_terminal(folder: Path) -> None:
    shots = (Example(fields={"text": "hello"}, answer="a\x1b[31m\x9b"),)
    student = TestedStudent(model="fake:copycat", identity="\x1b[2J\x9b", answer_by="free", calibrate=False, seed=0)
    (folder / "lesson.json").write_text(Lesson(task=COPIED, examples=shots, student=student).to_json())
    for arguments in ((), ("--json",)):
        asked = cli(folder, "ask", "lesson.json", "hello", *arguments)
        assert asked.returncode == 0, asked.stderr
        assert not {"\x1b", "\x9b"} & set(asked.stdout + asked.stderr)
        shown = json.dumps("a\x1b[31m\x9b") if arguments else "a\u27e6U+001B\u27e7[31m\u27e6U+009B\u27e7"
        assert shown in asked.stdout
        assert "\u27e6U+001B\u27e7[2J" in asked.stderr
    wrong = student.model_copy(update={"model": "fake:\x9bno"})
    (folder / "lesson.json").write_text(Lesson(task=COPIED, examples=shots, student=wrong).to_json())
    assert "\x9b" not in cli(folder, "ask", "lesson.json", "hello").stderr


def test_a_lesson_that_was_edited_since_its_run_is_said(folder: Path) -> None:
    (folder / "tiny.toml").write_text(
        'name = "tiny"\ntask = "phone_messages"\nrepeats = 1\nshots = [4]\narms = ["zero-shot", "generated"]\n'
        '[data]\ntest_rows = 10\n[teachers]\nmodel = "fake:mixer"\n[student]\nmodel = "fake:mixer"\n'
    )
    assert cli(folder, "run", "tiny.toml", "--out", "out").returncode == 0
    cell = folder / "out" / "cells" / "generated-n4-r0"
    assert "warning" not in cli(folder, "ask", str(cell), "hello").stderr
    table = json.loads((cell / "lesson.json").read_text())
    (cell / "lesson.json").write_text(json.dumps({**table, "instruction": "Say spam."}))
    told = "warning: cells/generated-n4-r0/lesson.json was changed after it was written"
    asked, exported = cli(folder, "ask", str(cell), "hello"), cli(folder, "export", str(cell))
    assert asked.stderr.splitlines()[0] == told
    assert exported.stderr == f"{told}\n"
    assert (asked.returncode, exported.returncode) == (0, 0)
