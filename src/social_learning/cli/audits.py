"""Commands on privacy: audit."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from social_learning.audit import audit as run_audit
from social_learning.audit_plan import Plan
from social_learning.cli.options import DataOption, JsonOption, MaxCostOption, OutOption, SetOption, with_max_cost
from social_learning.cli.typed import origin
from social_learning.config import load_experiment
from social_learning.errors import AuditError, ConfigError
from social_learning.experiment import default_folder
from social_learning.live import Live
from social_learning.manifest import changed_files, manifest_hash
from social_learning.privacy.canaries import KINDS, CanaryKind
from social_learning.report import show_audit


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
    max_cost: MaxCostOption = None,
) -> None:
    """Plant canaries in all silos and see whether lessons give them away (Secret Sharer); goes on where it was."""
    experiment = load_experiment(file, with_max_cost(override, max_cost))
    kind: CanaryKind | None = next((known for known in KINDS if known == canaries), None)
    if kind is None:
        raise ConfigError(f"--canaries {canaries}: use {' or '.join(KINDS)}")
    plan = Plan(trials, references, kind, rows)
    folder = out or default_folder(experiment)
    try:
        with Live(Console(stderr=True)) as live:
            result = run_audit(experiment, plan, folder, data=data, watch=live, origin=origin())
    except AuditError:
        # What there is to see says why.
        if not as_json:
            show_audit(folder, plan.name, Console())
        raise
    changed = changed_files(folder)
    if as_json:
        made = {"manifest": manifest_hash(folder), "changed": [change.to_table() for change in changed]}
        typer.echo(json.dumps({**result.to_table(), **made}))
    else:
        show_audit(folder, plan.name, Console())
    for change in changed:
        typer.echo(f"warning: {change.line}", err=True)
    typer.echo(f"manifest SHA-256: {manifest_hash(folder)}", err=True)
