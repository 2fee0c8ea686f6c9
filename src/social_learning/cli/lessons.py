"""Commands on finished lessons: ask, export."""

import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, get_args

import typer

from social_learning import asking
from social_learning.cli.options import ExperimentOption
from social_learning.config import load_experiment
from social_learning.errors import ConfigError, SocialLearningError
from social_learning.export import FORMS
from social_learning.export import export as export_lesson
from social_learning.files import write_file
from social_learning.lesson import AnswerMode, Lesson
from social_learning.models.registry import load_model
from social_learning.report.visible import visible
from social_learning.task import Task

LessonArgument = Annotated[Path, typer.Argument(help="A lesson.json, or the folder of a finished cell of a run.")]


def ask(
    lesson: LessonArgument,
    question: Annotated[
        str | None,
        typer.Argument(
            metavar="[INPUT]",
            help="The question: its text, or a JSON object where a task has several fields. `-`: one on each line of standard input.",
            show_default=False,
        ),
    ] = None,
    file: Annotated[
        str | None,
        typer.Option(
            "--file",
            metavar="FILE",
            help="Questions: JSONL, CSV, TSV or Parquet with the task's fields, or .txt with one on each line.",
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Another model than the one that was tested.", show_default=False)
    ] = None,
    answer_by: Annotated[
        str | None, typer.Option(help="auto, free or labels, instead of what was tested.", show_default=False)
    ] = None,
    calibrate: Annotated[
        bool | None,
        typer.Option(help="Correct the lesson's bias between labels, or do not; else as tested.", show_default=False),
    ] = None,
    experiment: ExperimentOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per question.")] = False,
) -> None:
    """Ask the student that the run tested, with its lesson."""
    wishes = asking.Wishes(model, _mode(answer_by), calibrate)
    learned = Lesson.load(lesson)
    _say_if_edited(lesson)
    questions = _questions(learned.task, question, file)
    student = asking.chosen(learned, wishes)
    settings = load_experiment(experiment) if experiment else None
    loaded = asking.student_model(learned, student, model is not None, settings, load_model)
    _say(asking.said(learned, student, loaded))
    if warning := asking.differs(student, loaded):
        _say(f"warning: {warning}")
    _print(asking.asked(learned, student, loaded, questions), as_json)


def export(
    lesson: LessonArgument,
    form: Annotated[str, typer.Option("--format", "-f", help=f"One of: {', '.join(FORMS)}.")] = "text",
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write here instead of printing.")] = None,
) -> None:
    """Write a finished lesson in a form that other tools read."""
    chosen = next((known for known in FORMS if known == form), None)
    if chosen is None:
        raise ConfigError(f"--format {form}: use one of {', '.join(FORMS)}")
    if out is not None and out.is_dir():
        raise ConfigError(f"--out {out} is a folder: name a file in it")
    text = export_lesson(Lesson.load(lesson), chosen)
    _say_if_edited(lesson)
    if out is not None:
        try:
            write_file(out, text)
        except OSError as error:
            raise ConfigError(f"--out {out} cannot be written: {error.strerror}; name another file") from None
    elif sys.stdout.isatty():
        typer.echo(visible(text).removesuffix("\n"))
    else:
        typer.echo(text.encode(), nl=False)


def _mode(name: str | None) -> AnswerMode | None:
    mode: AnswerMode | None = next((known for known in get_args(AnswerMode) if known == name), None)
    if name is not None and mode is None:
        raise ConfigError(f"--answer-by {name}: use auto, free or labels")
    return mode


def _questions(task: Task, question: str | None, file: str | None) -> list[asking.Question]:
    if (question is None) == (file is None):
        raise ConfigError("give one of a question, - for questions on standard input, and --file FILE")
    if "-" in (question, file):
        return asking.questions_of_lines(task, sys.stdin.buffer.read())
    return asking.questions_of_file(task, file) if file is not None else asking.one_question(task, question or "")


def _say_if_edited(lesson: Path) -> None:
    if change := asking.edited(lesson):
        _say(f"warning: {change}")


def _say(line: str) -> None:
    """Say one line on standard error; a lesson's names may be a stranger's, so nothing in them steers the terminal."""
    typer.echo(visible(line.replace("\n", " ")), err=True)


def _print(replies: Sequence[asking.Reply], as_json: bool) -> None:
    """Print a line per question. Answers are a model's text: what steers a terminal is shown, and escaped in JSON."""
    if as_json:
        for reply in replies:
            typer.echo(_as_json(reply))
        _say(asking.counted(replies))
        return
    failed = [reply for reply in replies if reply.answer is None]
    if len(replies) == 1 and failed:
        raise SocialLearningError(f"no answer to the question: {failed[0].failure}")
    for reply in replies:
        answer = visible(reply.answer or "")
        typer.echo(answer if len(replies) == 1 else answer.replace("\n", " "))
    if failed:
        rows = ", ".join(f"{reply.row} ({reply.failure})" for reply in failed)
        raise SocialLearningError(
            f"no answer to {len(failed)} of {len(replies)} questions, an empty line each; rows: {rows}"
        )


def _as_json(reply: asking.Reply) -> str:
    """Return a reply as one line of JSON, which knows no infinity: a log-probability below all numbers is null."""
    labels = {label: logprob if math.isfinite(logprob) else None for label, logprob in reply.logprobs.items()}
    line = {"row": reply.row, "answer": reply.answer, "failure": reply.failure}
    return json.dumps(line | {"logprobs": labels} if labels else line)
