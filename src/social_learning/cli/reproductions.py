"""Commands on the paper's tables: reproduce."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console

from social_learning.cli.options import DataOption, JsonOption, MaxCostOption, SetOption, with_max_cost
from social_learning.cli.typed import origin
from social_learning.endpoints import load_models
from social_learning.errors import AuditError, ConfigError
from social_learning.live import Live
from social_learning.privacy.canaries import KINDS
from social_learning.reproduce import TABLES, Outcome, Request, forecast, show_forecast, show_outcome
from social_learning.reproduce import reproduce as run_reproduction
from social_learning.reproduce.tables import RECIPES
from social_learning.reproduce.write import record
from social_learning.settings import DEFAULT_MODEL

Known = TypeVar("Known", bound=str)


def reproduce(  # noqa: PLR0913  # one for each option
    tables: Annotated[list[str], typer.Argument(metavar="TABLE...", help=f"{', '.join(TABLES)}, or all.")],
    model: Annotated[str, typer.Option(help="The student's model, and the teachers'.")] = DEFAULT_MODEL,
    teacher_model: Annotated[
        str | None, typer.Option(help="The teachers' model in table10.", show_default=False)
    ] = None,
    test_rows: Annotated[
        int | None, typer.Option(min=1, help="At most so many test rows per task.", show_default=False)
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="How often split and sampling are redrawn.")] = 5,
    tasks: Annotated[
        list[str] | None,
        typer.Option(metavar="TASK,...", help="Only these tasks. [default: the paper's]", show_default=False),
    ] = None,
    recipe: Annotated[str, typer.Option(help="Recipe of generated and voted lines: default, paper or both.")] = "both",
    canaries: Annotated[str, typer.Option(help="Canaries of table3 and table4: codes, names or both.")] = "both",
    trials: Annotated[int, typer.Option(min=1, help="Trials of table3 and table4, per line.")] = 100,
    references: Annotated[int, typer.Option(min=1, help="Canaries never planted, per trial.")] = 999,
    models: Annotated[
        Path | None,
        typer.Option(
            "--models", metavar="FILE", help="TOML file with [models.NAME] tables and a [budget].", show_default=False
        ),
    ] = None,
    max_cost: MaxCostOption = None,
    override: SetOption = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="DIR", help="Root folder. [default: runs/reproduce-MODEL-FINGERPRINT]", show_default=False
        ),
    ] = None,
    data: DataOption = None,
    as_json: JsonOption = False,
    dry: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Only tell calls, tokens, time and price: the model answers a few short prompts."
        ),
    ] = False,
) -> None:
    """Run the paper's tables with a model, or finish them, and show them beside the paper's own figures."""
    options: dict[str, Any] = {
        "tables": tables,
        "model": model,
        "teacher_model": teacher_model,
        "test_rows": test_rows,
        "repeats": repeats,
        "tasks": tasks,
        "recipe": recipe,
        "canaries": canaries,
        "trials": trials,
        "references": references,
        "models": models,
        "max_cost": max_cost,
        "override": override,
    }
    if "all" in tables and teacher_model is None:
        typer.echo("table10 is left out: it needs --teacher-model", err=True)
    request = request_of(options)
    with Live(Console(stderr=True)) as live:
        if dry:
            expected = forecast(request, out, data=data, watch=live)
        else:
            outcome = run_reproduction(request, out, data=data, watch=live, origin=origin())
    if dry and as_json:
        typer.echo(json.dumps(expected.to_table()))
    elif dry:
        show_forecast(expected, Console())
    else:
        _tell(outcome, as_json)


def request_of(options: Mapping[str, Any]) -> Request:
    """Return what `reproduce` is asked for with these options, by the names of its parameters. Raises ConfigError."""
    tables: list[str] = options["tables"]
    wanted = list(TABLES) if "all" in tables else tables
    if "all" in tables and options["teacher_model"] is None:
        wanted.remove("table10")
    models, budget = load_models(options["models"]) if options["models"] else ({}, {})
    return Request(
        tables=tuple(dict.fromkeys(wanted)),
        model=options["model"],
        teacher_model=options["teacher_model"],
        tasks=tuple(dict.fromkeys(name for part in options["tasks"] or [] for name in part.split(",") if name)),
        test_rows=options["test_rows"],
        repeats=options["repeats"],
        recipes=_chosen("--recipe", options["recipe"], [name for _, name in RECIPES]),
        canaries=_chosen("--canaries", options["canaries"], KINDS),
        trials=options["trials"],
        references=options["references"],
        overrides=tuple(with_max_cost(options["override"], options["max_cost"])),
        models=models,
        budget=budget,
    )


def _tell(outcome: Outcome, as_json: bool) -> None:
    """Show what there is; raises AuditError where an audit failed, as `audit` does."""
    if as_json:
        told = {view.table.name: [record(row) for row in view.rows] for view in outcome.views}
        remarks, changed = list(outcome.remarks), list(outcome.changed)
        typer.echo(json.dumps({"root": str(outcome.root), "tables": told, "remarks": remarks, "changed": changed}))
    else:
        show_outcome(outcome, Console())
    for line in outcome.changed:
        typer.echo(f"warning: {line}", err=True)
    if outcome.remarks:
        raise AuditError("; ".join(outcome.remarks))


def _chosen(option: str, name: str, known: Sequence[Known]) -> tuple[Known, ...]:
    """The one that is named, or both."""
    chosen = tuple(one for one in known if name in (one, "both"))
    if not chosen:
        raise ConfigError(f"{option} {name}: use {', '.join(known)} or both")
    return chosen
