"""Silos on disk for tests: teachers of their own with a fake model, and their processes."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from social_learning.config import Experiment, parse_experiment
from social_learning.serving.split import write_silos

SHORT: dict[str, Any] = {
    "name": "short",
    "task": "phone_messages",
    "repeats": 1,
    "shots": [4],
    "arms": ["zero-shot", "generated", "voted", "instruction"],
    "data": {"test_rows": 20},
    "teachers": {"model": "fake:mixer", "count": 3},
    "student": {"model": "fake:mixer"},
}


def short(**changes: Any) -> Experiment:
    """A small experiment on fakes with three teachers."""
    return parse_experiment({**SHORT, **changes})


def silo_files(folder: Path, **changes: Any) -> list[Path]:
    """Write the silos of the small experiment."""
    return write_silos(short(**changes), folder)


def serve(silo: Path) -> "subprocess.Popen[str]":
    """Start a teacher's process and wait until it listens; whoever starts it ends it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "social_learning.cli", "teacher", "serve", str(silo)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    if "is ready" not in line:
        _, problem = end(process)
        raise RuntimeError(f"the teacher of {silo} did not start: {problem}")
    return process


def cli(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a command of ours."""
    return subprocess.run(
        [sys.executable, "-m", "social_learning.cli", *arguments], capture_output=True, text=True, check=False
    )


def end(process: "subprocess.Popen[str]", kill: bool = False) -> tuple[str, str]:
    """End one process by its own id, and return the rest of its output."""
    (process.kill if kill else process.terminate)()
    return process.communicate(timeout=20)
