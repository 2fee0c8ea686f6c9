"""The doctor: what an endpoint offers, in words and as JSON, with what to use instead of what is missing."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.endpoints.loopback import Handler, Loopback
from benchmarks.endpoints.pretender import Pretender

Serve = Callable[[Handler], Loopback]


def doctor(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "social_learning.cli", "doctor", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_doctor_says_what_is_there_and_what_to_use_instead(serve: Serve) -> None:
    server = serve(Pretender(offers=frozenset({"chat", "seed"}), context_length=None))
    told = json.loads(doctor(f"openai:pretender@{server.url}", "--json").stdout)
    assert told["model"] == f"openai:pretender@{server.url}"
    assert told["context_length"] is None
    rows = told["capabilities"]
    assert {name: row["offered"] for name, row in rows.items()} == {
        "text": "no",
        "chat": "yes",
        "choices": "no",
        "seed": "yes",
        "logprobs": "no",
        "chat_logprobs": "no",
        "plain_sampling": "no",
        "scoring": "no",
        "tokenize": "no",
    }
    assert "student.answer_by = 'free'" in rows["scoring"]["instead"]
    assert "HTTP 404" in rows["text"]["found"]
    assert "student.answer_by" in doctor(f"openai:pretender@{server.url}").stdout


def test_the_doctor_knows_the_tables_of_an_experiment(serve: Serve, tmp_path: Path) -> None:
    server = serve(Pretender())
    file = tmp_path / "x.toml"
    file.write_text(
        f'task = "phone_messages"\n[models.big]\nmodel = "pretender"\nbase_url = "{server.url}"\ncontext_length = 99\n'
    )
    told = json.loads(doctor("big", "--experiment", str(file), "--json").stdout)
    assert (told["model"], told["context_length"]) == ("big", 99)
    assert told["capabilities"]["scoring"]["offered"] == "vllm"
    refused = doctor("small", "--experiment", str(file))
    assert refused.returncode == 2
    assert "no table [models.small]" in refused.stderr


def test_an_endpoint_that_is_not_there_is_one_line_that_says_what_to_do() -> None:
    with Loopback(Pretender()) as server:
        url = server.url
    told = doctor(f"openai:m@{url}")
    assert told.returncode == 1
    assert len(told.stderr.splitlines()) == 1
    assert "no connection: see that the endpoint runs and base_url is right" in told.stderr


def test_an_address_without_its_version_is_told_as_such(serve: Serve) -> None:
    server = serve(Pretender())
    told = doctor(f"openai:pretender@{server.url.removesuffix('/v1')}")
    assert told.returncode == 2
    assert told.stderr.endswith(": check base_url, which usually ends in /v1, and model\n")


def test_a_model_in_this_process_can_do_everything() -> None:
    rows = json.loads(doctor("fake:mixer", "--json").stdout)["capabilities"]
    assert {row["offered"] for row in rows.values()} == {"yes"}
