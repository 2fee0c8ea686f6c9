"""What every runner does alike: read the work, warm up, take the time of the work alone, write what came out.

Standard library only: ours and the peers' scripts run it, each in an environment of its own.
"""

import argparse
import contextlib
import json
import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks.work import GenerateWork, ScoreWork, Work, read_work

WARM_UP_UNITS = 2


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a runner computed: per pair (log-likelihood, greedy), or per prompt its texts; and how many tokens it wrote."""

    scores: Sequence[tuple[float, bool]] = ()
    texts: Sequence[Sequence[str]] = ()
    new_tokens: int = 0


def arguments(purpose: str, batch_size: int = 0) -> argparse.ArgumentParser:
    """Return the arguments that every runner takes; `batch_size` is its default, 0 for runners that have none."""
    parser = argparse.ArgumentParser(description=purpose)
    parser.add_argument("work", type=Path, help="JSON file of the work")
    parser.add_argument("out", type=Path, help="JSON file for what comes out")
    parser.add_argument("--model", required=True, help="folder or file of the weights, or a model's name")
    parser.add_argument("--units", type=int, default=0, help="only the first units of the work; 0 for all")
    parser.add_argument("--dtype", default="bfloat16", choices=["bfloat16", "float32"])
    parser.add_argument("--device", default="cpu")
    if batch_size:
        parser.add_argument("--batch-size", type=int, default=batch_size)
    return parser


def selected(work: Path, units: int) -> Work:
    """Read a work, or its first units."""
    whole = read_work(work)
    return whole.first(units) if units else whole


def timed(work: Work, compute: Callable[[Work], Outcome]) -> dict[str, Any]:
    """Compute a small part to warm up, then all of it, timed. Results are plain numbers and texts, so the device is done."""
    compute(work.first(WARM_UP_UNITS))
    loaded = memory_from_now()
    started = time.perf_counter()
    outcome = compute(work)
    seconds = time.perf_counter() - started
    return {
        "seconds": seconds,
        "units": work.size,
        "new_tokens": outcome.new_tokens,
        "scores": [[logprob, bool(greedy)] for logprob, greedy in outcome.scores],
        "texts": [list(texts) for texts in outcome.texts],
        "loaded_bytes": loaded,
        "peak_bytes": peak_bytes(),
    }


def finish(out: Path, result: dict[str, Any], packages: Sequence[str], settings: dict[str, Any]) -> None:
    """Write a result with versions and the runner's own settings."""
    versions = {"python": sys.version.split()[0], **{name: metadata.version(name) for name in packages}}
    out.write_text(json.dumps({**result, "versions": versions, "settings": settings}), encoding="utf-8")


def memory_from_now() -> int:
    """Return how much memory this process holds, in bytes (resident set), and begin its peak anew where that can be done."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS") or peak_bytes()


def peak_bytes() -> int:
    """Return the most memory this process has held since then, in bytes.

    Linux counts in `ru_maxrss` what the process that started this one held, so its own file is asked first.
    """
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return _status("VmHWM") or (peak if sys.platform == "darwin" else peak * 1024)


def _status(key: str) -> int:
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith(f"{key}:")), 0)


def score_work(work: Work) -> ScoreWork:
    """Tell that a runner only scores."""
    if not isinstance(work, ScoreWork):
        raise SystemExit(f"error: {work.name} is not a work of scoring")
    return work


def generate_work(work: Work) -> GenerateWork:
    """Tell that a runner only generates."""
    if not isinstance(work, GenerateWork):
        raise SystemExit(f"error: {work.name} is not a work of generating")
    return work
