"""The command `outbox evidence`: what an owner may hand over about the closeness of what left."""

from pathlib import Path
from typing import Annotated

import typer

from social_learning.files import write_file
from social_learning.serving.evidence import evidence_of
from social_learning.serving.silo_file import load_silo_file


def evidence(
    file: Annotated[Path, typer.Argument(metavar="SILO", help="Silo file (TOML).")],
    run: Annotated[
        str | None, typer.Option("--run", metavar="RUN", help="The run, as `outbox show` names it.", show_default=False)
    ] = None,
    public: Annotated[
        Path | None,
        typer.Option(
            "--public", metavar="FILE", help="Rows that are not private, to compare with.", show_default=False
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Where to write. [default: NAME.json]", show_default=False),
    ] = None,
) -> None:
    """Hold what left a silo against it, and write numbers that its owner may hand over: counts and distances, no text."""
    handed = evidence_of(load_silo_file(file), run, public)
    path = out or Path(f"{handed.teacher}.json")
    write_file(path, handed.model_dump_json(indent=1) + "\n", 0o600)
    left = handed.left
    typer.echo(
        f"{path}: {len(left)} texts of run {handed.run}, the nearest at distance {min(i.distance for i in left):.2f}"
    )
    typer.echo(
        f"Nothing was sent. Read it before you hand it over: the student puts it into RUN/owners/{handed.teacher}.json"
    )
