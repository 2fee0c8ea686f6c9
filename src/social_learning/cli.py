"""The command line: parses and calls, nothing else."""

import importlib.resources
import json
import sys
from pathlib import Path
from typing import Annotated, Literal, get_args

import typer
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from social_learning.audit import Plan
from social_learning.audit import audit as run_audit
from social_learning.config import Experiment, load_experiment
from social_learning.dry_run import Estimate, dry_run
from social_learning.errors import AuditError, ConfigError, SocialLearningError, UserError
from social_learning.experiment import default_folder
from social_learning.experiment import run as run_experiment
from social_learning.export import FORMS, export
from social_learning.lesson import Lesson
from social_learning.live import Live
from social_learning.models.base import Usage
from social_learning.models.registry import load_model
from social_learning.privacy.canaries import KINDS, CanaryKind
from social_learning.records import write_file
from social_learning.report import load_result, show_audit, show_result, write_report
from social_learning.results import Result
from social_learning.student import AnswerMode, Student
from social_learning.task import Task
from social_learning.tasks import BUILT_IN

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Social learning between language models: teachers with private data teach a student by text alone.",
)

DataOption = Annotated[
    Path | None, typer.Option("--data", metavar="DIR", help="Folder with the built-in tasks' data.", show_default=False)
]
OutOption = Annotated[
    Path | None,
    typer.Option("--out", metavar="DIR", help="Run folder. [default: runs/NAME-FINGERPRINT]", show_default=False),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set", "-s", metavar="KEY=VALUE", help="Override a setting, e.g. -s teachers.count=4.", show_default=False
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")]


@app.command()
def demo(out: OutOption = None, override: SetOption = None, as_json: JsonOption = False) -> None:
    """Eight teachers teach a student to spot spam: bundled data, embedded model, a few minutes on two cores."""
    with importlib.resources.as_file(importlib.resources.files("social_learning") / "bundled" / "demo.toml") as path:
        experiment = load_experiment(path, override or [])
    result = _run(experiment, out, None, as_json)
    if not as_json:
        lesson = Path(result.run) / "cells" / "generated-n16-r0"
        program = sys.argv[0] if Path(sys.argv[0]).name == "social-learning" else "social-learning"
        typer.echo(f'\nAsk the student:\n  {program} ask {lesson} "You have won a prize, call now"')
        typer.echo(f"Your own task (docs/experiment-file.md):\n  {program} run examples/reviews.toml")


@app.command()
def run(
    file: Annotated[Path, typer.Argument(help="Experiment file (TOML).")],
    override: SetOption = None,
    out: OutOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
    dry: Annotated[
        bool, typer.Option("--dry-run", help="Only tell what model calls and tokens it would take.")
    ] = False,
) -> None:
    """Run an experiment, or finish one that was stopped: the same command goes on where it was."""
    experiment = load_experiment(file, override or [])
    if dry:
        _show_estimates(dry_run(experiment, data=data), as_json)
    else:
        _run(experiment, out, data, as_json)


@app.command()
def audit(  # noqa: PLR0913  # one for each option
    file: Annotated[Path, typer.Argument(help="Experiment file (TOML).")],
    trials: Annotated[
        int, typer.Option(min=1, help="How often a canary is planted, taught and ranked, per arm.")
    ] = 100,
    references: Annotated[int, typer.Option(min=1, help="Canaries drawn alike and never planted, per trial.")] = 999,
    canaries: Annotated[str, typer.Option(help="What canaries hold: codes or names.")] = "codes",
    rows: Annotated[
        int | None, typer.Option(min=1, help="Cut each silo to so many examples, canary included.", show_default=False)
    ] = None,
    override: SetOption = None,
    out: OutOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Plant canaries in all silos and see whether lessons give them away (Secret Sharer); goes on where it was."""
    experiment = load_experiment(file, override or [])
    kind: CanaryKind | None = next((known for known in KINDS if known == canaries), None)
    if kind is None:
        raise ConfigError(f"--canaries {canaries}: use {' or '.join(KINDS)}")
    plan = Plan(trials, references, kind, rows)
    folder = out or default_folder(experiment)
    try:
        with Live(Console(stderr=True)) as live:
            result = run_audit(experiment, plan, folder, data=data, watch=live)
    except AuditError:
        # What there is to see says why.
        if not as_json:
            show_audit(folder, plan.name, Console())
        raise
    if as_json:
        typer.echo(json.dumps(result.to_table()))
    else:
        show_audit(folder, plan.name, Console())


@app.command()
def tasks() -> None:
    """List the built-in tasks, each with an invented example as a model reads it."""
    console = Console(highlight=False, markup=False)
    for known in BUILT_IN.values():
        task = known.task
        graded = f"labels {', '.join(task.labels)}" if task.labels else f"metric {task.metric}"
        console.print(f"{task.name}  ({graded})", style="bold")
        console.print(known.source, style="dim")
        console.print(Padding(Text(task.render(known.invented)), (1, 0, 1, 4)))


@app.command()
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
) -> None:
    """Answer one question with a finished lesson."""
    learned = Lesson.load(lesson)
    fields = _fields(learned.task, question)
    mode: AnswerMode | None = next((known for known in get_args(AnswerMode) if known == answer_by), None)
    if mode is None:
        raise ConfigError(f"--answer-by {answer_by}: use auto, free or labels")
    student = Student(load_model(model), learned, answer_by=mode, calibrate=calibrate)
    answer = student.answer(fields)
    if answer is None:
        raise SocialLearningError("the student's answer could not be read as an answer to this task")
    typer.echo(answer)


@app.command(name="export")
def export_lesson(
    lesson: Annotated[Path, typer.Argument(help="A lesson.json, or the folder of a finished cell of a run.")],
    form: Annotated[str, typer.Option("--format", "-f", help=f"One of: {', '.join(FORMS)}.")] = "text",
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write here instead of printing.")] = None,
) -> None:
    """Write a finished lesson in a form that other tools read."""
    chosen = next((known for known in FORMS if known == form), None)
    if chosen is None:
        raise ConfigError(f"--format {form}: use one of {', '.join(FORMS)}")
    text = export(Lesson.load(lesson), chosen)
    if out is None:
        typer.echo(text, nl=False)
    else:
        write_file(out, text)


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a finished run.")],
    as_json: JsonOption = False,
) -> None:
    """Show a finished run's table again, and write its report anew."""
    result = load_result(folder)
    write_report(folder, result)
    _show(result, as_json)


def _run(experiment: Experiment, out: Path | None, data: Path | None, as_json: bool) -> Result:
    with Live(Console(stderr=True)) as live:
        result = run_experiment(experiment, out, data=data, watch=live)
    _show(result, as_json)
    return result


def _show(result: Result, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(result.to_table()))
    else:
        show_result(result, Console())


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


def _show_estimates(estimates: list[Estimate], as_json: bool) -> None:
    rows = [(e.arm, e.shots, e.repeats, e.teaching + e.answering) for e in estimates]
    if as_json:
        keys = ("name", "shots", "repeats", "calls", "prompt_tokens", "completion_tokens")
        arms = [dict(zip(keys, (*row[:3], *_counts(row[3])), strict=True)) for row in rows]
        typer.echo(json.dumps({"arms": arms}))
        return
    table = Table(title="What this run would take (estimate; nothing was computed)")
    for name in ("Arm", "Shots", "Repeats", "Model calls", "Prompt tokens", "New tokens"):
        table.add_column(name, justify="left" if name == "Arm" else "right")
    for arm, shots, repeats, usage in rows:
        table.add_row(arm, str(shots or ""), str(repeats), *(f"{count:,}" for count in _counts(usage)))
    table.add_section()
    total = sum((row[3] for row in rows), Usage())
    table.add_row("all", "", "", *(f"{count:,}" for count in _counts(total)))
    Console().print(table)


def _counts(usage: Usage) -> tuple[int, int, int]:
    """Calls that would be computed (not answered from the cache), prompt tokens, new tokens."""
    return usage.calls - usage.cached, usage.prompt_tokens, usage.completion_tokens


def main() -> None:
    """Run the command line. Exit code 2 for the user's mistakes, 1 for failures, 130 when interrupted."""
    code: Literal[1, 2, 130]
    try:
        app()
        return
    except SocialLearningError as error:
        code = 2 if isinstance(error, UserError) else 1
        typer.echo(f"error: {error}", err=True)
    except KeyboardInterrupt:
        code = 130
        typer.echo("stopped: the same command goes on from here", err=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
