"""Measure the client: its overhead per call, and calls with faults. Writes benchmarks/results/endpoint.json.

python -m benchmarks.endpoints.measure
"""

import argparse
import json
import random
import tempfile
from pathlib import Path

from benchmarks.endpoints.loopback import Loopback
from benchmarks.endpoints.storm import Faulty, instant_server, run_storm
from benchmarks.machine import facts

RESULT = Path(__file__).resolve().parents[1] / "results" / "endpoint.json"
IN_FLIGHT = 64
SHARE = 0.02
"""The share of calls that get a fault."""


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description="Measure the endpoint's client.")
    parser.add_argument("--calls", type=int, default=10_000)
    calls = parser.parse_args().calls
    with instant_server() as url, tempfile.TemporaryDirectory() as folder:
        plain = run_storm(url, calls, IN_FLIGHT, Path(folder))
    faulty = Faulty(SHARE, random.Random(1))  # noqa: S311  # chance for a benchmark
    with Loopback(faulty, remember=False) as server, tempfile.TemporaryDirectory() as folder:
        stormy = run_storm(server.url, calls, IN_FLIGHT, Path(folder))
    table = {
        "machine": facts(),
        "in_flight": IN_FLIGHT,
        "overhead": {
            **plain,
            "wall_ms_per_call": 1000 * plain["wall"] / calls,
            "processor_ms_per_call": 1000 * plain["processor"] / calls,
        },
        "faults": {
            **stormy,
            "share": SHARE,
            "injected": dict(sorted(faulty.bad.items())),
            "lost": calls - stormy["right"],
            "answered_twice": sum(count - 1 for count in faulty.good.values()),
        },
    }
    RESULT.write_text(json.dumps(table, indent=2) + "\n", encoding="utf-8")
    print(json.dumps({key: table[key] for key in ("overhead", "faults")}, indent=2))


if __name__ == "__main__":
    main()
