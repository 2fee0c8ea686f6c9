"""Measures ours against its peers, prints one table, and writes one JSON file for each work.

    .venv/bin/python -m benchmarks.run                    # everything, in the sizes that the docs report
    .venv/bin/python -m benchmarks.run labels lambada     # some works only

docs/performance.md says what is measured and how to read it.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks import machine
from benchmarks.compare import PEERS, Setting, measure
from benchmarks.table import lines, told
from benchmarks.works import DEFAULT_SIZES, build
from social_learning.errors import UserError
from social_learning.files import write_file

RESULTS = Path(__file__).parent / "results"
SCRIPTS = ("counts", "peak", "growth")
"""What counts or measures our own engine alone, each a program of its own."""

app = typer.Typer(add_completion=False)


@app.command()
def run(
    works: Annotated[list[str] | None, typer.Argument(help=f"{', '.join((*PEERS, *SCRIPTS))}; default: all")] = None,
    dtype: Annotated[str, typer.Option(help="bfloat16 or float32")] = "bfloat16",
    device: Annotated[str, typer.Option(help="cpu or cuda; llama.cpp always runs on the processor")] = "cpu",
    model: Annotated[str, typer.Option(help="the model")] = "smollm2-135m-instruct",
    size: Annotated[
        int, typer.Option(help="rows, passages, canaries of each pattern or teachers; 0: as documented")
    ] = 0,
    full: Annotated[bool, typer.Option("--full", help="peers do all of the work, not a part")] = False,
    float32: Annotated[int, typer.Option(help="units whose scores are compared in float32; 0: none")] = 10,
    batch_size: Annotated[int, typer.Option(help="the peers' batch size; 0: what served them best here")] = 0,
    timeout: Annotated[float, typer.Option(help="seconds that one program may take")] = 3600,
    out: Annotated[Path, typer.Option(help="folder for the JSON files")] = RESULTS,
) -> None:
    """Measure, print, write."""
    chosen = works or [*PEERS, *SCRIPTS]
    unknown = set(chosen) - {*PEERS, *SCRIPTS}
    if unknown:
        raise SystemExit(f"error: unknown work {min(unknown)!r}: there are {', '.join((*PEERS, *SCRIPTS))}")
    try:
        folder, gguf = machine.weights(model)
        setting = Setting(model, folder, gguf, dtype, device, timeout)
        tables = []
        for name in [work for work in chosen if work in PEERS]:
            print(f"{name} ...", file=sys.stderr, flush=True)
            work = build(name, size or DEFAULT_SIZES[name])
            table = measure(work, setting, full, float32 if name == "labels" else 0, batch_size)
            tables.append(table)
            write(out, name, table)
    except UserError as error:
        raise SystemExit(f"error: {error}") from None
    if tables:
        print("\n".join(lines(tables)))
    failed = any("failed" in row for table in tables for row in (table["ours"], *table["peers"]))
    for name in [work for work in chosen if work in SCRIPTS]:
        print(f"{name} ...", file=sys.stderr, flush=True)
        command = [sys.executable, "-m", f"benchmarks.{name}", "--model", model, "--device", device]
        failed |= subprocess.run([*command, "--out", str(out)], check=False).returncode != 0
    raise SystemExit(1 if failed else 0)


def write(out: Path, name: str, table: dict[str, Any]) -> None:
    """Write one result whole or not at all."""
    whole = {"machine": machine.facts(), **told(table)}
    write_file(out / f"{name}.json", json.dumps(whole, indent=2) + "\n")


if __name__ == "__main__":
    app()
