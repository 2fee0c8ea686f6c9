"""Commands on outboxes: `outbox show`, `outbox verify`."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from social_learning.cli.options import JsonOption
from social_learning.errors import ServingError
from social_learning.messages import ReplyExamples, ReplyGrades, ReplyInstruction, ReplyVote
from social_learning.serving.entries import Entry
from social_learning.serving.outbox import read_outbox
from social_learning.serving.outbox import verify as verify_outbox
from social_learning.serving.silo_file import load_silo_file
from social_learning.text import visible

outbox = typer.Typer(no_args_is_help=True, help="Read what left a silo, and check that the record is whole.")

PathArgument = Annotated[Path, typer.Argument(metavar="FILE", help="An outbox.jsonl, or the silo file it belongs to.")]


@outbox.command()
def show(file: PathArgument, as_json: JsonOption = False) -> None:
    """Show everything that left a silo, with the request, the run and what the guards did."""
    entries = list(read_outbox(_path(file)))
    if as_json:
        typer.echo(json.dumps({"entries": [entry.model_dump() for entry in entries]}))
        return
    table = Table(title=f"{len(entries)} entries")
    for name in ("No", "Time", "Run", "Request", "Guards", "What left"):
        table.add_column(name)
    for entry in entries:
        table.add_row(*_row(entry))
    Console(markup=False, highlight=False).print(table)


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


def _row(entry: Entry) -> tuple[str, ...]:
    reply = entry.content
    when = datetime.fromtimestamp(entry.time, UTC).strftime("%Y-%m-%d %H:%M:%S")
    asked = f"{entry.request.get('kind')}, round {entry.request.get('round')}, repeat {entry.repeat}"
    guards = "\n".join(f"{g.guard}: {g.passed}/{g.mended}/{g.dropped}" for g in reply.guards) if reply else ""
    if isinstance(reply, ReplyExamples):
        left = "\n".join(" | ".join((*example.fields.values(), example.answer)) for example in reply.examples)
    elif isinstance(reply, ReplyInstruction):
        left = reply.instruction or "no instruction"
    elif isinstance(reply, ReplyGrades):
        left = ", ".join(f"{grade:.4f}" for grade in reply.grades)
    else:
        left = f"candidate {reply.choice + 1}" if isinstance(reply, ReplyVote) else f"refused: {entry.refused}"
    return str(entry.number + 1), when, f"{entry.run}\n{entry.id}", asked, guards, visible(left)
