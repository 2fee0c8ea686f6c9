"""Asking: which student answers with a finished lesson, and what it is asked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from social_learning.answer import FAILURES, Failure
from social_learning.config import Experiment
from social_learning.data import Row, line_rows, read_rows, text_row, to_questions
from social_learning.endpoints import is_remote, models_of
from social_learning.errors import ConfigError, DataError, ModelError
from social_learning.lesson import AnswerMode, Lesson, TestedStudent, lesson_file
from social_learning.manifest import NAME as MANIFEST
from social_learning.manifest import changed_files
from social_learning.models.base import LanguageModel
from social_learning.models.endpoint.settings import is_endpoint
from social_learning.models.pool import Load
from social_learning.settings import DEFAULT_MODEL
from social_learning.student import Student
from social_learning.task import Task

STANDARD_INPUT = "standard input"

UNTOLD = TestedStudent(model=DEFAULT_MODEL, identity="", answer_by="auto", calibrate=True, seed=0)
"""Who is asked where a lesson does not say which student was tested."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What to take instead of what the lesson says; None where the lesson holds."""

    model: str | None = None
    answer_by: AnswerMode | None = None
    calibrate: bool | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """A question's fields, and the number of the row they stood in. The repr shows no field: questions are private."""

    row: int
    fields: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to the question of a row, or the kind of failure: one of the two is None. `logprobs` as in Answer."""

    row: int
    answer: str | None = field(repr=False)
    failure: Failure | None
    logprobs: Mapping[str, float] = field(default_factory=dict, repr=False, compare=False)


def chosen(lesson: Lesson, wishes: Wishes) -> TestedStudent:
    """Return the student to ask: the tested one, but for what is wished. `identity` is empty where another model is."""
    told = lesson.student or UNTOLD
    changes: dict[str, object] = {}
    if wishes.model is not None and wishes.model != told.model:
        changes |= {"model": wishes.model, "identity": "", "dtype": "auto"}
    if wishes.answer_by is not None:
        changes["answer_by"] = wishes.answer_by
    if wishes.calibrate is not None:
        changes["calibrate"] = wishes.calibrate
    return told.model_copy(update=changes)


def said(lesson: Lesson, student: TestedStudent, model: LanguageModel) -> str:
    """Return one line that says which student answers, and whether it is the one that was tested."""
    if lesson.student is None:
        return f"the lesson does not say which student was tested: {_told(student)} answers"
    if student == lesson.student:
        but = ", but for its weights or number format" if differs(student, model) else ""
        return f"{_told(student)} answers, as the run tested it{but}"
    return f"{_told(student)} answers, not the student that the run tested: {_told(lesson.student)}"


def _told(student: TestedStudent) -> str:
    form = "" if student.dtype == "auto" else f", {student.dtype}"
    return f"{student.model}{form} (answers by {student.answer_by}, {'' if student.calibrate else 'not '}calibrated)"


def student_model(
    lesson: Lesson, student: TestedStudent, wished: bool, experiment: Experiment | None, load: Load
) -> LanguageModel:
    """Load the model of the student to ask; `[models.NAME]` tables are those of `experiment`.

    An address is asked only where the caller named it, by `wished` or in the experiment: questions are private, and a lesson may
    come from a stranger. Raises ModelError, saying what to do.
    """
    name = student.model
    named = wished or (experiment is not None and name in models_of(experiment))
    if is_endpoint(name) and not named:
        raise ModelError(
            f"the lesson's student is behind the endpoint {name}, and the questions would be sent there: allow it with --model {name}"
        )
    if experiment is not None and is_remote(experiment, name):
        endpoints = {name: table.endpoint(name) for name, table in experiment.models.items()}
        return load(name, endpoint=endpoints[name]) if name in endpoints else load(name)
    try:
        return load(name) if is_endpoint(name) else load(name, dtype=student.dtype)
    except ModelError as error:
        if named or lesson.student is None:
            raise
        raise ModelError(
            f"{error} (the lesson names this model: give --experiment FILE if it is a [models.NAME] table, or another with --model)"
        ) from None


def differs(student: TestedStudent, model: LanguageModel) -> str | None:
    """Return one line where a model is not what it was when the run tested it; None where it is, or is another on purpose."""
    if not student.identity or student.identity == model.identity:
        return None
    return f"the run tested {student.identity}, and this is {model.identity}: answers may differ from those that were measured"


def edited(path: Path) -> str | None:
    """Return one line where a lesson's file in a run folder is not as the run wrote it, or where that cannot be told."""
    file = lesson_file(path).resolve()
    if len(file.parents) < 3 or file.parents[1].name != "cells":
        return None
    run = file.parents[2]
    if not any((run / name).is_file() for name in ("run.json", MANIFEST)):
        return None
    changes = {change.file: change.line for change in changed_files(run)}
    return changes.get(file.relative_to(run).as_posix()) or changes.get(MANIFEST)


def one_question(task: Task, text: str) -> list[Question]:
    """Read a question that was typed: a JSON object with the task's fields, or its text where the task has one field.

    Raises ConfigError or DataError where it is neither.
    """
    try:
        row = text_row("the question", 1, text, _only_field(task))
    except DataError:
        raise ConfigError(
            f"task {task.name!r} has several fields: give a JSON object with the keys {', '.join(task.field_names)}"
        ) from None
    return _questions(task, [row])


def questions_of_file(task: Task, source: str) -> list[Question]:
    """Read a file with the task's fields, in any format that `data` knows, or a text file (`.txt`) with a question on each line, as
    on standard input. Raises DataError, naming file, row and field.
    """
    if not source.lower().endswith(".txt"):
        return _questions(task, read_rows(source))
    try:
        return _of_lines(task, source, Path(source).read_bytes())
    except OSError as error:
        raise DataError(f"{source}: cannot be read: {error.strerror}") from None


def questions_of_lines(task: Task, content: bytes) -> list[Question]:
    """Read standard input: one question per line, as its text where the task has one field, or as a JSON object. Raises DataError."""
    return _of_lines(task, STANDARD_INPUT, content)


def _of_lines(task: Task, source: str, content: bytes) -> list[Question]:
    rows = line_rows(source, content, _only_field(task))
    if not rows:
        raise DataError(f"{source}: holds no question; give one on each line")
    return _questions(task, rows)


def _only_field(task: Task) -> str | None:
    return task.field_names[0] if len(task.field_names) == 1 else None


def _questions(task: Task, rows: Sequence[Row]) -> list[Question]:
    return [Question(row.number, fields) for row, fields in zip(rows, to_questions(rows, task), strict=True)]


def asked(lesson: Lesson, student: TestedStudent, model: LanguageModel, questions: Sequence[Question]) -> list[Reply]:
    """Ask all questions at once; the replies are in their order."""
    one = Student.tested(lesson.model_copy(update={"student": student}), model)
    answers = one.answers([question.fields for question in questions])
    return [
        Reply(question.row, answer.text, answer.failure, answer.logprobs)
        for question, answer in zip(questions, answers, strict=True)
    ]


def counted(replies: Sequence[Reply]) -> str:
    """Return how many questions were answered, and how many failed by kind, in one line."""
    kinds = {kind: sum(reply.failure == kind for reply in replies) for kind in FAILURES}
    answered = len(replies) - sum(kinds.values())
    parts = [f"{answered} answered", *(f"{number} {kind}" for kind, number in kinds.items() if number)]
    return f"{len(replies)} question{'s' if len(replies) != 1 else ''}: {', '.join(parts)}"
