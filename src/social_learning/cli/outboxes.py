"""Commands on outboxes: `outbox show`, `outbox verify`."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from social_learning.cli.options import JsonOption
from social_learning.errors import ServingError
from social_learning.serving import reading
from social_learning.serving.outbox import read_outbox
from social_learning.serving.outbox import verify as verify_outbox
from social_learning.serving.silo_file import load_silo_file

outbox = typer.Typer(no_args_is_help=True, help="Read what left a silo, and check that the record is whole.")

PathArgument = Annotated[Path, typer.Argument(metavar="FILE", help="An outbox.jsonl, or the silo file it belongs to.")]


@outbox.command()
def show(
    file: PathArgument,
    run: Annotated[
        str | None, typer.Option("--run", metavar="NAME", help="Only what left for this run.", show_default=False)
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            metavar="TIME|DURATION",
            help="Only what left from a time on (2026-07-01T12:00, in UTC), or in the last 90s, 30m, 2h, 7d or 1w.",
            show_default=False,
        ),
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Show whole texts, and every one.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what left a silo, with the request, the run and what the guards did. Long texts are cut short, which is told."""
    after = None if since is None else reading.since(since, datetime.now(UTC))
    chosen = reading.choose(read_outbox(_path(file)), run, after)
    if as_json:
        typer.echo(json.dumps({"entries": [entry.model_dump() for entry in chosen.entries]}))
    else:
        reading.show_entries(chosen, Console(), full)


@outbox.command()
def verify(
    file: PathArgument,
    last: Annotated[
        str | None, typer.Option("--last", metavar="HASH", help="A hash seen before: the outbox must still hold it.")
    ] = None,
) -> None:
    """Check the hash chain. Lines cut off at the end, or a chain that was made anew, show only against a hash kept elsewhere."""
    path = _path(file)
    check = verify_outbox(path)
    if last is not None and all(entry.hash != last for entry in read_outbox(path)):
        raise ServingError(
            f"outbox {path} does not hold the hash {last}: lines were taken out, or it is another outbox"
        )
    typer.echo(f"{check.entries} entries, chain whole, last hash {check.last}")
    if check.cut_off:
        typer.echo("a last line was cut off in writing: it did not leave, and goes when the teacher is served again")


def _path(file: Path) -> Path:
    return load_silo_file(file).outbox if file.suffix == ".toml" else file
