"""Commands on experiments: demo, run, report."""

import importlib.resources
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from social_learning.cli.options import DataOption, JsonOption, MaxCostOption, OutOption, SetOption, with_max_cost
from social_learning.cli.typed import origin
from social_learning.config import Experiment, cells_of, load_experiment
from social_learning.data_key import KEYLESS
from social_learning.dry_run import Estimate, dry_run
from social_learning.endpoints import is_remote, models_of, price_remarks
from social_learning.errors import IncompleteError
from social_learning.experiment import run as run_experiment
from social_learning.live import Live
from social_learning.manifest import Change, changed_files, manifest_hash
from social_learning.models.base import Usage
from social_learning.records import read_failures
from social_learning.remote import learn, socket_carrier
from social_learning.report import failure_lines, load_result, show_result, write_report
from social_learning.report.attendance import attendance_lines
from social_learning.report.fit import figures
from social_learning.report.load import load_manifest
from social_learning.report.made import mixed_line
from social_learning.report.numbers import price
from social_learning.report.visible import visible
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
    changed = changed_files(folder)
    write_report(folder, result)
    _show(result, as_json, changed)
    _tell_made(folder, load_manifest(folder).experiment, changed)
    for line in failure_lines(read_failures(folder, load_manifest(folder).experiment)):
        typer.echo(line, err=True)


def _run(experiment: Experiment, out: Path | None, data: Path | None, as_json: bool) -> Result:
    made, incomplete = origin(), None
    try:
        with Live(Console(stderr=True)) as live:
            if experiment.remote is None:
                result = run_experiment(experiment, out, data=data, watch=live, origin=made)
            else:
                result = learn(experiment, socket_carrier(experiment), out, data=data, watch=live, origin=made)
    except IncompleteError as error:
        if error.result is None:
            raise
        result, incomplete = error.result, error
    changed = changed_files(Path(result.run))
    _show(result, as_json, changed)
    _tell_made(Path(result.run), experiment, changed)
    for line in attendance_lines(Path(result.run), [key for _, key in cells_of(experiment)]):
        typer.echo(line, err=True)
    if incomplete:
        raise incomplete
    return result


def _tell_made(folder: Path, experiment: Experiment, changed: Sequence[Change]) -> None:
    """Say on stderr what was edited, which cells other code made, and the manifest's own hash."""
    mixed, keyless = mixed_line(folder, experiment), load_manifest(folder).facts.get(KEYLESS)
    told = [*([mixed] if mixed else []), *([f"data was compared {keyless}"] if keyless else [])]
    for line in (*(change.line for change in changed), *told):
        typer.echo(f"warning: {line}", err=True)
    hash = manifest_hash(folder)
    if hash:
        typer.echo(f"manifest SHA-256: {hash}", err=True)


def _show(result: Result, as_json: bool, changed: Sequence[Change]) -> None:
    if as_json:
        made = {"manifest": manifest_hash(Path(result.run)), "changed": [change.to_table() for change in changed]}
        typer.echo(json.dumps({**result.to_table(), **made}))
    else:
        show_result(result, Console())


def _show_estimates(experiment: Experiment, estimates: list[Estimate], as_json: bool) -> None:
    if as_json:
        keys = ("name", "shots", "repeats", "calls", "prompt_tokens", "completion_tokens", "cost")
        rows = [(e.arm, e.shots, e.repeats, *_counts(e.teaching + e.answering), e.cost) for e in estimates]
        arms = [dict(zip(keys, row, strict=True)) for row in rows]
        typer.echo(json.dumps({"arms": arms}))
        return
    usages = [e.teaching + e.answering for e in estimates]
    counts = [[f"{count:,}" for count in _counts(usage)] for usage in (*usages, sum(usages, Usage()))]
    columns = {
        "shots": [*(str(e.shots or "") for e in estimates), ""],
        "repeats": [*(str(e.repeats) for e in estimates), ""],
        "model calls": [count[0] for count in counts],
        "prompt tokens": [count[1] for count in counts],
        "new tokens": [count[2] for count in counts],
    }
    priced = any(is_remote(experiment, name) for name in models_of(experiment))
    if priced:
        columns["price"] = [
            price(cost) for cost in (*(e.cost for e in estimates), known_sum(e.cost for e in estimates))
        ]
    console = Console()
    console.print(Text("What this run would take (estimate; nothing was computed)", style="bold"))
    console.print()
    console.print(replace(figures("arm", [*(e.arm for e in estimates), "all"], columns), total=True))
    for remark in price_remarks(experiment) if priced else ():
        console.print(Text(visible(remark)))


def _counts(usage: Usage) -> tuple[int, int, int]:
    """Calls that would be computed (not answered from the cache), prompt tokens, new tokens."""
    return usage.calls - usage.cached, usage.prompt_tokens, usage.completion_tokens
