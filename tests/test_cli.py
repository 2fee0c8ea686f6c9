"""The command line: what it prints, where, and with which exit code."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from social_learning.models.base import Prompt, Score
from social_learning.models.fakes import MixerModel
from social_learning.reproduce import Request, reproduce

EXPERIMENT = """
name = "tiny"
task = "phone_messages"
repeats = 2
shots = [4]
arms = ["zero-shot", "generated", "instruction"]
[data]
test_rows = 20
[teachers]
model = "fake:mixer"
[student]
model = "fake:mixer"
"""


def cli(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k != "SOCIAL_LEARNING_DATA"}
    environment |= {"XDG_CACHE_HOME": str(cwd / "cache"), "COLUMNS": "80", "TERM": "dumb"}
    command = [sys.executable, "-m", "social_learning.cli", *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tiny.toml").write_text(EXPERIMENT)
    return tmp_path


def test_run_show_ask_and_export(folder: Path) -> None:
    ran = cli("run", "tiny.toml", "--out", "out", "--json", cwd=folder)
    assert ran.returncode == 0, ran.stderr
    table = json.loads(ran.stdout)
    assert table["run"] == "out"
    assert [arm["name"] for arm in table["arms"]] == ["zero-shot", "generated", "instruction"]

    shown = cli("report", "out", cwd=folder)
    assert shown.returncode == 0, shown.stderr
    assert "generated" in shown.stdout
    assert max(map(len, shown.stdout.splitlines())) <= 80
    assert cli("report", "out", "--json", cwd=folder).stdout == ran.stdout
    assert table["changed"] == []
    assert f"manifest SHA-256: {table['manifest']}" in ran.stderr

    cell = folder / "out" / "cells" / "zero-shot-r0" / "cell.json"
    cell.write_text(json.dumps({**json.loads(cell.read_text()), "outcomes": "c" * 20}))
    edited = cli("report", "out", "--json", cwd=folder)
    assert edited.returncode == 0
    told = "cells/zero-shot-r0/cell.json was changed after it was written"
    assert [change["line"] for change in json.loads(edited.stdout)["changed"]] == [told]
    assert f"warning: {told}" in edited.stderr.splitlines()

    lesson = "out/cells/generated-n4-r0"
    asked = cli("ask", lesson, "win a prize now", cwd=folder)
    assert asked.stdout.strip() in ("spam", "not spam")
    assert "fake:mixer (answers by auto, calibrated) answers, as the run tested it" in asked.stderr.splitlines()
    (line,) = cli("export", lesson, "--format", "chat-jsonl", cwd=folder).stdout.splitlines()
    assert [turn["role"] for turn in json.loads(line)["messages"]] == ["user", "assistant"] * 4 + ["user"]
    cli("export", lesson, "-f", "dspy", "--out", "state.json", cwd=folder)
    assert len(json.loads((folder / "state.json").read_text())["demos"]) == 4


def test_help_says_what_stands_in_brackets(tmp_path: Path) -> None:
    told = " ".join(cli("reproduce", "--help", cwd=tmp_path).stdout.replace("│", " ").split())
    assert "TOML file with [models.NAME] tables and a [budget]." in told
    assert "[default: the paper's]" in told


def test_audit_shows_its_tables_at_80_columns(folder: Path) -> None:
    command = ("audit", "tiny.toml", "--trials", "2", "--references", "19", "--out", "out")
    told = cli(*command, "--json", cwd=folder)
    assert told.returncode == 0, told.stderr
    assert [arm["name"] for arm in json.loads(told.stdout)["arms"]] == ["verbatim", "generated", "instruction"]
    shown = cli(*command, cwd=folder)
    assert max(map(len, shown.stdout.splitlines())) <= 80
    for words in ("chance", "cannot tell with 2 trials", "the audit can see a leak", "Report: out/audit.html"):
        assert words in " ".join(shown.stdout.split())
    # The same folder then serves the run, whose report takes the audit in.
    assert cli("run", "tiny.toml", "--out", "out", cwd=folder).returncode == 0
    assert "Audit codes-20" in (folder / "out" / "report.html").read_text()


def test_dry_run_tells_calls_and_tokens_and_leaves_nothing(folder: Path) -> None:
    told = cli("run", "tiny.toml", "--dry-run", "--json", cwd=folder)
    assert told.returncode == 0, told.stderr
    arms = {arm["name"]: arm for arm in json.loads(told.stdout)["arms"]}
    assert arms["zero-shot"]["calls"] == 2 * (20 + 3)  # two labels; 20 test rows, 3 inputs that say nothing
    assert arms["generated"]["calls"] > 40
    assert all(arm["prompt_tokens"] > 0 for arm in arms.values())
    assert sorted(path.name for path in folder.iterdir()) == ["tiny.toml"]
    assert max(map(len, cli("run", "tiny.toml", "--dry-run", cwd=folder).stdout.splitlines())) <= 80


def test_reproduce_shows_its_tables_at_80_columns_and_tells_what_it_takes(folder: Path) -> None:
    command = ("reproduce", "table2", "table6", "--model", "fake:mixer", "--tasks", "phone_messages", "--repeats", "1")
    small = ("--test-rows", "6", "-s", "shots=[2]", "-s", "teachers.count=3", "--recipe", "default")
    foreseen = cli(*command, *small, "--dry-run", cwd=folder)
    assert foreseen.returncode == 0, foreseen.stderr
    assert max(map(len, foreseen.stdout.splitlines())) <= 80
    assert "phone_messages generated" in " ".join(foreseen.stdout.split())
    assert not (folder / "runs").exists()
    shown = cli(*command, *small, cwd=folder)
    assert shown.returncode == 0, shown.stderr
    assert max(map(len, shown.stdout.splitlines())) <= 80
    for words in ("Table 2: instructions", "Table 6: distance", "instruction", "Page: runs/reproduce-fake-mixer-"):
        assert words in shown.stdout
    (root,) = (folder / "runs").iterdir()
    assert {path.suffix for path in root.glob("table2.*")} == {".csv", ".json", ".md"}
    told = json.loads(cli(*command, *small, "--json", cwd=folder).stdout)
    assert [row["line"] for row in told["tables"]["table2"]] == ["zero-shot", "manual", "instruction"]
    assert json.loads(cli(*command, *small, "--dry-run", "--json", cwd=folder).stdout)["total"]["calls"] == 0


class Deaf(MixerModel):
    """Finds nothing likelier for standing in its prompt."""

    def score(self, pairs: Sequence[tuple[Prompt, str]]) -> list[Score]:
        return [Score(-1.0 - len(text) - sum(map(ord, text)) / 1e6, 1, False, 9) for _, text in pairs]


def test_reproduce_ends_with_exit_code_one_where_an_audit_failed(folder: Path) -> None:
    small = ("shots=[2]", "teachers.count=3", "generation.shots=3", "generation.samples=3")
    settings: dict[str, Any] = {"model": "fake:mixer", "tasks": ("phone_messages",), "recipes": ("default",)}
    few: dict[str, Any] = {"canaries": ("codes",), "trials": 2, "references": 19, "overrides": small}
    reproduce(Request(("table3",), **settings, **few), folder / "root", load=lambda name, **_: Deaf(name))
    command = ["reproduce", "table3", "--model", "fake:mixer", "--tasks", "phone_messages", "--recipe", "default"]
    command += ["--canaries", "codes", "--trials", "2", "--references", "19", *(o for s in small for o in ("-s", s))]
    ended = cli(*command, "--out", "root", cwd=folder)  # goes on from the trials that are there
    assert ended.returncode == 1
    assert "Table 3: Secret Sharer" in ended.stdout
    assert "Page: root/reproduce.html" in ended.stdout
    told = ended.stderr.splitlines()[-1]
    assert told.startswith("error: phone_messages, codes: the audit has no power")
    as_json = cli(*command, "--out", "root", "--json", cwd=folder)
    assert as_json.returncode == 1
    assert "no power" in json.loads(as_json.stdout)["remarks"][0]


def test_reproduce_takes_a_file_of_endpoints(folder: Path) -> None:
    table = '[models.big]\nmodel = "m"\nbase_url = "http://127.0.0.1:9/v1"\nprices = { input = 1.0, output = 2.0 }\n'
    (folder / "models.toml").write_text(table + "[budget]\nmax_cost = 0.5\n")
    command = (
        "reproduce",
        "table2",
        "--model",
        "big",
        "--tasks",
        "phone_messages",
        "--test-rows",
        "4",
        "-s",
        "shots=[2]",
    )
    told = cli(*command, "--models", "models.toml", "--dry-run", cwd=folder)
    assert told.returncode == 0, told.stderr
    assert "price" in told.stdout
    assert max(map(len, told.stdout.splitlines())) <= 80
    (folder / "models.toml").write_text(table + "[student]\nmodel = 'big'\n")
    refused = cli(*command, "--models", "models.toml", "--dry-run", cwd=folder)
    assert refused.returncode == 2
    assert refused.stderr.startswith("error: models.toml: unknown key 'student'")


def test_tasks_lists_every_task_with_an_example(folder: Path) -> None:
    shown = cli("tasks", cwd=folder).stdout
    for name in ("sms_spam", "sms_spam_classes", "lambada", "boolq", "gsm8k", "random_insertion", "phone_messages"):
        assert f"\n{name}  (" in "\n" + shown
    assert "    #### 16" in shown
    assert max(map(len, shown.splitlines())) <= 80


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("run", "absent.toml"), "no file absent.toml"),
        (("run", "tiny.toml", "-s", "teechers.count=3"), "unknown key 'teechers'; did you mean 'teachers'?"),
        (("run", "tiny.toml", "-s", "teachers.count=many"), "teachers.count"),
        (("run", "tiny.toml", "-s", "student.model=fake:genius"), "no fake named 'fake:genius'"),
        (("run", "tiny.toml", "-s", "task=sms_spam"), "SOCIAL_LEARNING_DATA"),
        (("ask", "nowhere", "hello"), "no lesson at nowhere"),
        (("audit", "tiny.toml", "--canaries", "cats"), "--canaries cats: use codes or names"),
        (("audit", "tiny.toml", "--canaries", "names"), "name canaries need a list of names"),
        (("reproduce", "table9"), "no table 'table9': there are table1"),
        (("reproduce", "table10"), "--teacher-model NAME"),
        (("reproduce", "table1", "--tasks", "cats"), "no task 'cats'"),
        (("reproduce", "table1", "--recipe", "mine"), "--recipe mine: use default, paper or both"),
        (("reproduce", "table2", "--tasks", "phone_messages", "--model", "fake:genius"), "no fake named 'fake:genius'"),
        (("reproduce", "table2"), "SOCIAL_LEARNING_DATA"),
        (("report", "nowhere"), "nowhere"),
        (("export", "nowhere", "-f", "pdf"), "use one of text"),
    ],
)
def test_mistakes_get_one_line_and_exit_code_two(folder: Path, arguments: tuple[str, ...], told: str) -> None:
    ended = cli(*arguments, cwd=folder)
    assert ended.returncode == 2
    assert ended.stdout == ""
    message = [line for line in ended.stderr.splitlines() if not line.startswith("[")]
    assert len(message) == 1
    assert message[0].startswith("error: ")
    assert told in message[0]
