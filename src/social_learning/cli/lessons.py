"""Commands on finished lessons: ask, export."""

import json
from pathlib import Path
from typing import Annotated, get_args

import typer

from social_learning.cli.models import named_model
from social_learning.cli.options import ExperimentOption
from social_learning.errors import ConfigError, SocialLearningError
from social_learning.export import FORMS
from social_learning.export import export as export_lesson
from social_learning.files import write_file
from social_learning.lesson import Lesson
from social_learning.student import AnswerMode, Student
from social_learning.task import Task


def ask(
    lesson: Annotated[Path, typer.Argument(help="A lesson.json, or the folder of a finished cell of a run.")],
    question: Annotated[
        str,
        typer.Argument(
            metavar="INPUT", help="The question: its text, or a JSON object where a task has several fields."
        ),
    ],
    model: Annotated[str, typer.Option(help="The student's model.")] = "smollm2-135m-instruct",
    answer_by: Annotated[str, typer.Option(help="auto, free or labels.")] = "auto",
    calibrate: Annotated[bool, typer.Option(help="Correct the lesson's bias between labels.")] = True,
    experiment: ExperimentOption = None,
) -> None:
    """Answer one question with a finished lesson."""
    learned = Lesson.load(lesson)
    fields = _fields(learned.task, question)
    mode: AnswerMode | None = next((known for known in get_args(AnswerMode) if known == answer_by), None)
    if mode is None:
        raise ConfigError(f"--answer-by {answer_by}: use auto, free or labels")
    student = Student(named_model(model, experiment), learned, answer_by=mode, calibrate=calibrate)
    answer = student.answer(fields)
    if answer is None:
        raise SocialLearningError("the student's answer could not be read as an answer to this task")
    typer.echo(answer)


def export(
    lesson: Annotated[Path, typer.Argument(help="A lesson.json, or the folder of a finished cell of a run.")],
    form: Annotated[str, typer.Option("--format", "-f", help=f"One of: {', '.join(FORMS)}.")] = "text",
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write here instead of printing.")] = None,
) -> None:
    """Write a finished lesson in a form that other tools read."""
    chosen = next((known for known in FORMS if known == form), None)
    if chosen is None:
        raise ConfigError(f"--format {form}: use one of {', '.join(FORMS)}")
    text = export_lesson(Lesson.load(lesson), chosen)
    if out is None:
        typer.echo(text, nl=False)
    else:
        write_file(out, text)


def _fields(task: Task, question: str) -> dict[str, str]:
    """Read a question: plain text for a task of one field, else a JSON object."""
    if len(task.field_names) == 1:
        return {task.field_names[0]: question}
    expected = f"task {task.name!r} has several fields: give a JSON object with the keys {', '.join(task.field_names)}"
    try:
        table = json.loads(question)
    except ValueError:
        raise ConfigError(expected) from None
    if not isinstance(table, dict) or set(table) != set(task.field_names):
        raise ConfigError(expected)
    return {name: str(value) for name, value in table.items()}
