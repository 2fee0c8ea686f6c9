"""Commands on experiments: demo, run, report."""

import importlib.resources
import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from social_learning.cli.options import DataOption, JsonOption, MaxCostOption, OutOption, SetOption, with_max_cost
from social_learning.config import Experiment, cells_of, load_experiment
from social_learning.dry_run import Estimate, dry_run
from social_learning.endpoints import is_remote, models_of, price_remarks
from social_learning.errors import IncompleteError
from social_learning.experiment import run as run_experiment
from social_learning.live import Live
from social_learning.models.base import Usage
from social_learning.records import read_failures
from social_learning.remote import learn, socket_carrier
from social_learning.report import failure_lines, load_result, show_result, write_report
from social_learning.report.attendance import attendance_lines
from social_learning.report.load import load_manifest
from social_learning.report.numbers import price
from social_learning.results import Result
from social_learning.work import known_sum


def demo(out: OutOption = None, override: SetOption = None, as_json: JsonOption = False) -> None:
    """Eight teachers teach a student to spot spam: bundled data, embedded model, a few minutes on two cores."""
    with importlib.resources.as_file(importlib.resources.files("social_learning") / "bundled" / "demo.toml") as path:
        experiment = load_experiment(path, override or [])
    result = _run(experiment, out, None, as_json)
    if not as_json:
        lesson = Path(result.run) / "cells" / "generated-n16-r0"
        program = sys.argv[0] if Path(sys.argv[0]).name == "social-learning" else "social-learning"
        typer.echo(
            f'\nAsk the student:\n  {program} ask {lesson} "WINNER! You have won a 500 pound prize. Call 0909 879 0123 to claim"'
        )
        typer.echo(f"Your own task (docs/experiment-file.md):\n  {program} run examples/reviews.toml")


def run(
    file: Annotated[Path, typer.Argument(help="Experiment file (TOML).")],
    override: SetOption = None,
    out: OutOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
    dry: Annotated[
        bool, typer.Option("--dry-run", help="Only tell what model calls, tokens and money it would take.")
    ] = False,
    max_cost: MaxCostOption = None,
) -> None:
    """Run an experiment, or finish one that was stopped: the same command goes on where it was."""
    experiment = load_experiment(file, with_max_cost(override, max_cost))
    if dry:
        _show_estimates(experiment, dry_run(experiment, data=data), as_json)
    else:
        _run(experiment, out, data, as_json)


def report(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a finished run.")],
    as_json: JsonOption = False,
) -> None:
    """Show a finished run's table again, and write its report anew."""
    result = load_result(folder)
    write_report(folder, result)
    _show(result, as_json)
    for line in failure_lines(read_failures(folder, load_manifest(folder).experiment)):
        typer.echo(line, err=True)


def _run(experiment: Experiment, out: Path | None, data: Path | None, as_json: bool) -> Result:
    incomplete: IncompleteError | None = None
    try:
        with Live(Console(stderr=True)) as live:
            if experiment.remote is None:
                result = run_experiment(experiment, out, data=data, watch=live)
            else:
                result = learn(experiment, socket_carrier(experiment), out, data=data, watch=live)
    except IncompleteError as error:
        if error.result is None:
            raise
        result, incomplete = error.result, error
    _show(result, as_json)
    for line in attendance_lines(Path(result.run), [key for _, key in cells_of(experiment)]):
        typer.echo(line, err=True)
    if incomplete:
        raise incomplete
    return result


def _show(result: Result, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(result.to_table()))
    else:
        show_result(result, Console())


def _show_estimates(experiment: Experiment, estimates: list[Estimate], as_json: bool) -> None:
    rows = [(e.arm, e.shots, e.repeats, e.teaching + e.answering, e.cost) for e in estimates]
    if as_json:
        keys = ("name", "shots", "repeats", "calls", "prompt_tokens", "completion_tokens", "cost")
        arms = [dict(zip(keys, (*row[:3], *_counts(row[3]), row[4]), strict=True)) for row in rows]
        typer.echo(json.dumps({"arms": arms}))
        return
    priced = any(is_remote(experiment, name) for name in models_of(experiment))
    table = Table(title="What this run would take (estimate; nothing was computed)")
    for name in (
        "Arm",
        "Shots",
        "Repeats",
        "Model calls",
        "Prompt tokens",
        "New tokens",
        *(["Price"] if priced else []),
    ):
        table.add_column(name, justify="left" if name == "Arm" else "right")
    for arm, shots, repeats, usage, cost in rows:
        figures = (f"{count:,}" for count in _counts(usage))
        table.add_row(arm, str(shots or ""), str(repeats), *figures, *([price(cost)] if priced else []))
    table.add_section()
    total = sum((row[3] for row in rows), Usage())
    whole = [price(known_sum(row[4] for row in rows))] if priced else []
    table.add_row("all", "", "", *(f"{count:,}" for count in _counts(total)), *whole)
    console = Console()
    console.print(table)
    for remark in price_remarks(experiment) if priced else ():
        console.print(remark, markup=False, highlight=False)


def _counts(usage: Usage) -> tuple[int, int, int]:
    """Calls that would be computed (not answered from the cache), prompt tokens, new tokens."""
    return usage.calls - usage.cached, usage.prompt_tokens, usage.completion_tokens
