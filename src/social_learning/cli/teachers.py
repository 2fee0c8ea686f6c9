"""Commands on teachers of their own: `teacher serve`, `teacher split`."""

import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from social_learning.cli.options import DataOption, SetOption
from social_learning.config import load_experiment
from social_learning.serving.serve import served
from social_learning.serving.silo_file import load_silo_file
from social_learning.serving.split import write_silos

teacher = typer.Typer(no_args_is_help=True, help="Serve a silo from a process of its own.")


@teacher.command()
def serve(file: Annotated[Path, typer.Argument(help="Silo file (TOML).")]) -> None:
    """Answer requests on a local socket, behind the silo's guards and policy, until stopped."""
    name = load_silo_file(file).name
    with served(file, note=lambda text: typer.echo(f"{name}: {text}", err=True)) as server:
        signal.signal(signal.SIGTERM, lambda *_: server.stop())
        signal.signal(signal.SIGINT, lambda *_: server.stop())
        typer.echo(f"{name} is ready")
        sys.stdout.flush()
        server.serve()


@teacher.command()
def split(
    file: Annotated[Path, typer.Argument(help="Experiment file (TOML).")],
    folder: Annotated[Path, typer.Argument(help="Where the silos' folders are made.")],
    override: SetOption = None,
    data: DataOption = None,
) -> None:
    """Split an experiment's data into silo files, one folder for each teacher: to try serving on one machine."""
    for path in write_silos(load_experiment(file, override or []), folder, data):
        typer.echo(path)
