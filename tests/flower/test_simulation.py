"""Flower's simulation, with Ray: the shipped app and the same experiment file give the lessons of one process."""

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("flwr", reason="flwr is not installed: pip install 'social-learning[flower]'")
pytest.importorskip("ray", reason="Ray is not installed: pip install 'flwr[simulation]>=1.41,<1.42'")

from social_learning.experiment import run
from social_learning.flower import SWITCHED_OFF
from tests.flower.federations import (
    BIN,
    EMBEDDED,
    EXAMPLE,
    FAKES,
    PATIENCE,
    free_port,
    in_one_process,
    kill_marked,
    module,
    wait_until,
)
from tests.silos import lessons

pytestmark = pytest.mark.deployment

MARK = "SOCIAL_LEARNING_SIMULATION"


class Simulation:
    """A SuperLink for simulations, and the commands of one who submits runs to it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        home = folder / "home"
        home.mkdir()
        (home / "config.toml").write_text(
            f'[superlink]\ndefault = "here"\n[superlink.here]\naddress = "127.0.0.1:{self.port}"\ninsecure = true\n'
        )
        self.environment = {
            **os.environ, **SWITCHED_OFF, MARK: str(folder), "FLWR_HOME": str(home),
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "RAY_TMPDIR": str(folder),
        }  # fmt: skip
        here = ["--insecure", "--simulation", "--host", "127.0.0.1", "--port", str(self.port)]
        with (folder / "superlink.log").open("wb") as log:
            self.process = subprocess.Popen(
                [str(BIN / "flower-superlink"), *here],
                cwd=folder, env=self.environment, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def flwr(self, *arguments: str) -> str:
        """Run a command of flwr, and return what it prints."""
        return subprocess.run(
            [str(BIN / "flwr"), *arguments], cwd=self.folder, env=self.environment, capture_output=True, text=True,
            check=False, timeout=PATIENCE,
        ).stdout  # fmt: skip

    def told(self, *arguments: str) -> dict[str, Any]:
        """Run a command of flwr that answers in JSON."""
        told: dict[str, Any] = json.loads(self.flwr(*arguments, "--format", "json"))
        assert told.get("success", True), told
        return told

    def run(self, text: str, nodes: int) -> dict[str, bytes]:
        """Run an experiment file with so many virtual nodes, and return its lessons."""
        (self.folder / "experiment.toml").write_text(text)
        out = self.folder / "run"
        config = f"num-supernodes={nodes} client-resources-num-cpus=1 init-args-num-cpus=1"
        settings = f'experiment="{self.folder / "experiment.toml"}" out="{out}"'
        number = str(
            self.told("run", str(EXAMPLE / "app"), "--federation-config", config, "--run-config", settings)["run-id"]
        )
        entry: dict[str, str] = {}

        def ended() -> bool:
            entry.update(self.told("list", "--run-id", number)["runs"][0])
            return entry["status"].startswith("finished")

        wait_until(ended)
        assert entry["status"] == "finished:completed", entry["status-details"] + self.flwr("log", number, "--show")
        return lessons(out)


@pytest.fixture
def simulation() -> Iterator[Simulation]:
    # Not in pytest's own folder: the paths of Ray's sockets must be short.
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as name:
        started = Simulation(Path(name))
        try:
            listens = module()._listens
            wait_until(lambda: listens(started.port) or started.process.poll() is not None)
            yield started
        finally:
            started.process.terminate()
            kill_marked(f"{MARK}={name}")
            started.process.wait()


def test_a_simulation_gives_the_lessons_of_one_process(simulation: Simulation, here: dict[str, bytes]) -> None:
    assert simulation.run(FAKES, 3) == here


@pytest.mark.model
def test_the_embedded_model_gives_the_lessons_of_one_process_too(
    embedded_cache: None, simulation: Simulation, tmp_path: Path
) -> None:
    run(in_one_process(EMBEDDED, tmp_path / "silos"), tmp_path / "run")
    assert simulation.run(EMBEDDED, 2) == lessons(tmp_path / "run")
