"""Keys: wherever an endpoint's key might show, it does not."""

import logging
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.endpoints.loopback import Answer, Asked, Handler, Loopback
from social_learning.config import load_experiment
from social_learning.errors import ConfigError, ModelError, SocialLearningError
from social_learning.experiment import run
from social_learning.models.endpoint.model import EndpointModel
from social_learning.models.endpoint.settings import Endpoint, parse_name
from tests.endpoint_mixer import MixingPretender

Serve = Callable[[Handler], Loopback]
KEY = "sk-Zx81-very-secret"
TABLE = """
name = "keys"
task = "phone_messages"
repeats = 1
shots = [2]
arms = ["zero-shot", "generated", "instruction"]
data = { test_rows = 4 }
teachers = { model = "served", count = 2 }
student = { model = "served", calibrate = false }
budget = { max_cost = 1.5 }
[models.served]
model = "pretender"
base_url = "URL"
key_env = "SERVED_KEY"
prices = { input = 1.0, output = 2.0 }
"""


class Guarded(MixingPretender):
    """Wants the key, answers 401 without, and tells it to everybody who gets an error."""

    header, prefix = "authorization", "Bearer "

    def __call__(self, asked: Asked) -> Answer:
        if asked.headers.get(self.header) != self.prefix + KEY:
            return Answer({"error": {"message": f"not {asked.headers.get(self.header)} but {KEY}"}}, 401)
        if asked.path == "/props":
            return Answer({"error": {"code": "no", "message": f"no props for {KEY}"}}, 500)
        return super().__call__(asked)


def found_in(folder: Path) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file() and KEY.encode() in file.read_bytes()]


def test_a_key_reaches_the_endpoint_and_nothing_else(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("SERVED_KEY", KEY)
    server = serve(Guarded())
    file = tmp_path / "keys.toml"
    file.write_text(TABLE.replace("URL", server.url))
    run(load_experiment(file), tmp_path / "logged")
    said = []
    for command in (
        ["run", str(file), "--out", str(tmp_path / "run")],
        ["run", str(file), "--out", str(tmp_path / "short"), "-s", "seed=9", "--max-cost", "0.00001"],
        ["doctor", "served", "--experiment", str(file)],
    ):
        program = [sys.executable, "-m", "social_learning.cli", *command]
        result = subprocess.run(program, capture_output=True, text=True, check=False)
        said += [result.stdout, result.stderr, f"exit {result.returncode}"]
    assert any(asked.headers.get("authorization") == f"Bearer {KEY}" for asked in server.asked)
    assert (tmp_path / "run" / "report.html").exists()
    assert not found_in(tmp_path)
    assert KEY not in "".join(said)
    assert [text for text in said if text.startswith("exit")] == ["exit 0", "exit 3", "exit 0"]
    assert KEY not in caplog.text


def test_a_key_stays_out_of_errors_and_reprs(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server = serve(Guarded())
    endpoint = Endpoint("served", "pretender", server.url, key_env="SERVED_KEY")
    monkeypatch.setenv("SERVED_KEY", KEY)
    model = EndpointModel(endpoint)
    shown = [repr(model), repr(endpoint), repr(model.offer), model.identity, repr(vars(model))]
    model.close()
    for wrong in (KEY + "\n" + KEY, KEY + "é", KEY + "x"):
        monkeypatch.setenv("SERVED_KEY", wrong)
        with pytest.raises((ModelError, ConfigError)) as caught:
            EndpointModel(endpoint)
        shown += ["".join(traceback.format_exception(caught.value))]
    assert KEY not in "".join(shown)
    assert KEY not in caplog.text


def test_a_key_can_go_into_another_header(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    guarded = Guarded()
    guarded.header, guarded.prefix = "api-key", ""
    monkeypatch.setenv("SERVED_KEY", KEY)
    endpoint = Endpoint("served", "pretender", serve(guarded).url, key_env="SERVED_KEY", key_header="Api-Key")
    model = EndpointModel(endpoint)
    assert model.offer.text
    model.close()


def test_a_key_that_is_not_there_is_asked_for_by_its_variable(serve: Serve) -> None:
    with pytest.raises(ConfigError, match="set the environment variable SERVED_KEY"):
        EndpointModel(Endpoint("served", "pretender", serve(Guarded()).url, key_env="SERVED_KEY"))


@pytest.mark.parametrize(
    "name",
    [f"openai:m@http://{KEY}@host/v1", f"openai:m@https://host/v1?key={KEY}", f"openai:m@https://u:{KEY}@host/v1"],
)
def test_a_key_in_an_address_is_refused_and_not_repeated(name: str) -> None:
    with pytest.raises(SocialLearningError) as caught:
        parse_name(name)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("address", [f"https://host/v1?api_key={KEY}", f"https://user:{KEY}@host/v1"])
@pytest.mark.parametrize("command", ["run", "dry", "reproduce", "doctor", "table"])
def test_a_key_in_an_address_is_refused_before_anything_is_written(tmp_path: Path, address: str, command: str) -> None:
    name = f"openai:m@{address}"
    (tmp_path / "keys.toml").write_text('name = "keys"\ntask = "phone_messages"\n')
    arguments = {
        "run": ["run", "keys.toml", "-s", f"student.model={name}"],
        "dry": ["run", "keys.toml", "--dry-run", "-s", f"teachers.model={name}"],
        "reproduce": ["reproduce", "table2", "--tasks", "phone_messages", "--model", name],
        "doctor": ["doctor", name],
        "table": ["run", "keys.toml", "-s", f'models.x={{model="m",base_url="{address}"}}', "-s", "student.model=x"],
    }[command]
    told = subprocess.run(
        [sys.executable, "-m", "social_learning.cli", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 2
    assert "must hold no user, password, query or fragment" in told.stderr
    assert len(told.stderr.splitlines()) == 1
    assert KEY not in told.stderr + told.stdout
    assert not found_in(tmp_path)
    assert not [path for path in tmp_path.rglob("*") if KEY in path.name]
