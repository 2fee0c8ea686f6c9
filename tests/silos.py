"""Silos on disk for tests: teachers of their own with a fake model, and their processes."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from social_learning.config import Experiment, parse_experiment
from social_learning.models.registry import load_model
from social_learning.serving.desk import Desk
from social_learning.serving.outbox import Outbox
from social_learning.serving.silo_file import load_policy, load_silo, load_silo_file, teachers_of
from social_learning.serving.split import write_silos
from social_learning.transports.carrier import Missing

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


class DeskCarrier:
    """Carries to desks in this process, and counts; `faults` says what comes back from a teacher instead."""

    def __init__(self, files: Sequence[Path], stack: ExitStack) -> None:
        self.desks = {path.parent.name: _desk(path, stack) for path in files}
        self.carried: list[tuple[str, bytes, bytes]] = []
        self.faults: dict[str, Callable[[bytes], bytes | Missing]] = {}

    def carry(self, letters: Mapping[str, bytes]) -> Iterator[tuple[str, bytes | Missing]]:
        return ((name, self._one(name, letter)) for name, letter in letters.items())

    def _one(self, name: str, letter: bytes) -> bytes | Missing:
        response = self.desks[name].respond(letter)
        self.carried.append((name, letter, response))
        return self.faults[name](response) if name in self.faults else response


def _desk(path: Path, stack: ExitStack) -> Desk:
    file = load_silo_file(path)
    policy = load_policy(file)
    outbox = stack.enter_context(Outbox(file.outbox))
    return Desk(teachers_of(file, load_silo(file), policy, load_model(file.model.model)), policy, outbox, lambda: 0.0)


def lessons(folder: Path) -> dict[str, bytes]:
    """The lessons of a run folder, byte for byte, by cell."""
    return {file.parent.name: file.read_bytes() for file in sorted(folder.glob("cells/*/lesson.json"))}
