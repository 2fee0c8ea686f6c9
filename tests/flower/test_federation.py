"""Parts of the example's federation that need no Flower: what couriers get, what counts as ready, what is ended."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.flower.federations import module

SLEEP = [sys.executable, "-c", "import time; print(flush=True); time.sleep(600)"]

pytestmark = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="the example needs Linux")


def test_couriers_get_nothing_of_the_environment_that_a_bundle_should_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AN_API_KEY", "SOCIAL_LEARNING_DATA", "FLWR_SOMETHING"):
        monkeypatch.setenv(name, "not for couriers")
    monkeypatch.setenv("HOME", "/home/of-the-owner")
    federation = module().Federation(tmp_path)
    federation.state = {"mark": "m"}
    given = federation.couriers_environment("ann")
    assert "not for couriers" not in given.values()
    assert given["HOME"] == given["FLWR_HOME"] == str(tmp_path / "ann")
    assert given["FLWR_TELEMETRY_ENABLED"] == given["RAY_USAGE_STATS_ENABLED"] == "0"
    assert "SOCIAL_LEARNING_DATA" in federation.environment("ann")


def test_the_socket_of_a_teacher_that_was_killed_is_not_taken_for_a_teacher(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        assert module()._answers(path)
    assert path.exists()
    assert not module()._answers(path)


def test_serverapps_that_a_killed_superlink_left_are_ended_and_nothing_else(tmp_path: Path) -> None:
    example = module()
    federation = example.Federation(tmp_path)
    federation.state = {"mark": tmp_path.name}
    marked = {**os.environ, example.MARK: tmp_path.name}
    started = [
        subprocess.Popen([*SLEEP, program], env=environment, stdout=subprocess.PIPE)
        for program, environment in (
            ("flwr-serverapp", marked),
            ("flower-supernode", marked),
            ("flwr-serverapp", {**marked, example.MARK: "another"}),
        )
    ]
    try:
        for process in started:
            assert process.stdout
            process.stdout.readline()
        example._end_orphans(federation)
        assert started[0].wait(60) == -signal.SIGKILL
        assert [process.poll() for process in started[1:]] == [None, None]
    finally:
        for process in started:
            process.kill()
            process.communicate()
