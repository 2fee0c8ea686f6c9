"""How time grows with shots, test rows, canaries and teachers, and memory with its limit.

    .venv/bin/python -m benchmarks.growth

Every time is that of the whole call, model loaded and warm. Memory is measured in a process of its own for each limit: what the
process holds at most (resident set), less what it held when the model was loaded and warm.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks import machine
from benchmarks.compare import ROOT, last_line
from benchmarks.ours import compute
from benchmarks.overhead import teach
from benchmarks.work import Work, write_work
from benchmarks.works import build, label_scores, published
from social_learning import LanguageModel, load_model
from social_learning.errors import UserError
from social_learning.files import write_file

RESULTS = Path(__file__).parent / "results"
SHOTS = (0, 1, 2, 4, 8, 16, 32)
ROWS = (25, 50, 100, 200, 400)
CANARIES = (10, 25, 50, 100)
TEACHERS = (1, 10, 100, 1000)
LIMITS = ("64 MiB", "128 MiB", "256 MiB", "512 MiB", "1 GiB")
ROWS_WHILE_SHOTS_GROW = 50
MS_PER_MESSAGE = 1.0

Row = dict[str, Any]


def timed(model: LanguageModel, work: Work) -> float:
    """Return the seconds that a work takes, after a small part of it to warm up."""
    compute(model, work.first(2))
    started = time.perf_counter()
    compute(model, work)
    return time.perf_counter() - started


def shots(model: LanguageModel, scale: float) -> Iterator[Row]:
    """Label scoring of the same rows with lessons of more and more examples."""
    corpus = published("sms_spam_classes")
    for count in SHOTS:
        work = label_scores(corpus, _part(ROWS_WHILE_SHOTS_GROW, scale), count)
        yield {"shots": count, "rows": work.size, "seconds": timed(model, work)}


def rows(model: LanguageModel, scale: float) -> Iterator[Row]:
    """Label scoring of more and more rows after the same 16 shots."""
    corpus = published("sms_spam_classes")
    for count in ROWS:
        work = label_scores(corpus, _part(count, scale))
        yield {"rows": work.size, "seconds": timed(model, work)}


def canaries(model: LanguageModel, scale: float) -> Iterator[Row]:
    """More and more canaries of each of the four patterns."""
    for count in CANARIES:
        work = build("canaries", _part(count, scale))
        yield {"canaries": work.size, "pairs": 4 * work.size, "seconds": timed(model, work)}


def teachers(scale: float) -> Iterator[Row]:
    """Our own overhead per message with more and more teachers, and a model that answers at once."""
    teach(1)
    for count in TEACHERS:
        told = teach(_part(count, scale)).to_table()
        yield {**told, "asked": MS_PER_MESSAGE, "within": told["ms_per_message"] < MS_PER_MESSAGE}


def memory(model: str, dtype: str, device: str, scale: float) -> Iterator[Row]:
    """The same label scoring and the same drafts under smaller and larger limits for a batch."""
    works = {"labels": build("labels", _part(100, scale)), "teachers": build("teachers", _part(8, scale))}
    for name, work in works.items():
        for limit in (*LIMITS, None):
            yield {"work": name, "limit": limit or "default", **limited(work, model, dtype, device, limit)}


def limited(work: Work, model: str, dtype: str, device: str, limit: str | None) -> Row:
    """Compute a work in a process of its own under a limit for a batch; a failure is told, never a number."""
    with tempfile.TemporaryDirectory() as folder:
        file, out = Path(folder) / "work.json", Path(folder) / "out.json"
        write_work(file, work)
        command = [sys.executable, "-m", "benchmarks.ours", str(file), str(out), "--model", model]
        command += ["--dtype", dtype, "--device", device, *(["--memory", limit] if limit else [])]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            return {"failed": last_line(done.stderr)}
        result = json.loads(out.read_text(encoding="utf-8"))
    grown = result["peak_bytes"] - result["loaded_bytes"]
    return {"seconds": result["seconds"], "loaded_mib": result["loaded_bytes"] / 2**20, "grown_mib": grown / 2**20}


def _part(count: int, scale: float) -> int:
    return max(1, round(count * scale))


def show(title: str, told: Sequence[Row]) -> None:
    """Print one table."""
    print(f"\n{title}")
    names = list(dict.fromkeys(name for row in told for name in row if name not in ("asked", "within")))
    print("  ".join(f"{name:>14}" for name in names))
    for row in told:
        print("  ".join(f"{_cell(row.get(name, '')):>14}" for name in names))


def _cell(value: object) -> str:
    return f"{value:,.2f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


def main(
    model: Annotated[str, typer.Option()] = "smollm2-135m-instruct",
    device: Annotated[str, typer.Option()] = "cpu",
    dtype: Annotated[str, typer.Option()] = "bfloat16",
    out: Annotated[Path, typer.Option()] = RESULTS,
    only: Annotated[
        str, typer.Option(help="shots, rows, canaries, teachers or memory, with commas; the others stay as they are")
    ] = "",
    scale: Annotated[float, typer.Option(help="a share of all sizes, for a quick look")] = 1.0,
) -> None:
    """Measure, print, write."""
    loaded: list[LanguageModel] = []

    def local() -> LanguageModel:
        if not loaded:
            loaded.append(load_model(model, dtype=dtype, device=device))
        return loaded[0]

    parts: dict[str, Callable[[], Iterator[Row]]] = {
        "shots": lambda: shots(local(), scale),
        "rows": lambda: rows(local(), scale),
        "canaries": lambda: canaries(local(), scale),
        "teachers": lambda: teachers(scale),
        "memory": lambda: memory(model, dtype, device, scale),
    }
    told: dict[str, Any] = {}
    try:
        for name in only.split(",") if only else parts:
            told[name] = list(parts[name]())
            show(name, told[name])
    except UserError as error:
        raise SystemExit(f"error: {error}") from None
    facts = {"machine": machine.facts(), "model": model, "dtype": dtype, "device": device, "scale": scale}
    file = out / "growth.json"
    before = json.loads(file.read_text(encoding="utf-8")) if only and file.is_file() else {}
    write_file(file, json.dumps({**before, **facts, **told}, indent=2) + "\n")


if __name__ == "__main__":
    typer.run(main)
