"""What tests of whole federations share: the experiment, the example's own commands, and patience."""

import importlib.util
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from social_learning.config import Experiment, parse_experiment

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "flower"
BIN = Path(sys.executable).parent
PATIENCE = 3600
"""Seconds that anything here has. Only a part that is broken takes so long; on a busy machine, where each message is a
process of its own that imports Flower, minutes are usual.
"""

FAKES = """
name = "short"
task = "phone_messages"
repeats = 1
shots = [2]
arms = ["zero-shot", "generated", "voted"]
data = { test_rows = 20 }
teachers = { model = "fake:mixer", count = 3 }
student = { model = "fake:mixer" }
[remote]
timeout = 900
wait = 900
min_teachers = 2
"""

EMBEDDED = """
name = "embedded"
task = "phone_messages"
repeats = 1
shots = [2]
arms = ["zero-shot", "generated", "instruction"]
data = { test_rows = 4 }
generation = { shots = 4, samples = 4, keep = 2 }
instruction = { shots = 4, samples = 2 }
# In bfloat16 a word can turn with what else is in the batch.
teachers = { dtype = "float32", count = 2 }
student = { dtype = "float32" }
[remote]
timeout = 1800
wait = 900
"""


def in_one_process(text: str, silos: Path) -> Experiment:
    """The same experiment with its teachers in this process, whose call caches lie in `silos`."""
    table = tomllib.loads(text)
    del table["remote"]
    return parse_experiment({**table, "privacy": {"silos": str(silos)}})


def command(*arguments: str, least: int = 0) -> "subprocess.CompletedProcess[str]":
    """Run one of the example's commands."""
    done = subprocess.run(
        [sys.executable, str(EXAMPLE / "federation.py"), *arguments],
        capture_output=True, text=True, check=False, timeout=PATIENCE,
    )  # fmt: skip
    assert done.returncode <= least, done.stdout + done.stderr
    return done


@contextmanager
def running(*arguments: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Start one of the example's commands, which is ended with the test if it is still there."""
    process = subprocess.Popen(
        [sys.executable, str(EXAMPLE / "federation.py"), *arguments],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def ended(process: "subprocess.Popen[bytes]") -> bool:
    return process.poll() is not None


@contextmanager
def federation_of(text: str, courier: list[str]) -> Iterator[Path]:
    """Start a federation for an experiment file; its processes are ended, and its folder goes, at the end."""
    # Not in pytest's own folder, which it closes to other accounts.
    with tempfile.TemporaryDirectory(prefix="federation-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "experiment.toml").write_text(text)
        try:
            start(folder, courier)
            yield folder / "federation"
        finally:
            command("stop", "--folder", str(folder / "federation"))


def start(folder: Path, courier: list[str]) -> None:
    """Start a federation, or what of it is not running."""
    command("start", "--folder", str(folder / "federation"), "--experiment", str(folder / "experiment.toml"), *courier)


def state(federation: Path) -> dict[str, Any]:
    table: dict[str, Any] = json.loads((federation / "federation.json").read_text())
    return table


def module() -> ModuleType:
    """The example as a module."""
    spec = importlib.util.spec_from_file_location("federation", EXAMPLE / "federation.py")
    assert spec
    assert spec.loader
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def kill_marked(variable: str) -> None:
    """End the processes that carry a variable, such as `NAME=VALUE`, by their ids."""
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and variable.encode() in (folder / "environ").read_bytes().split(b"\0"):
                os.kill(int(folder.name), 9)
        except OSError:
            continue
