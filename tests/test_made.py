"""How things were made: every cell, trial, table, message and entry knows its command, code, models and times."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from social_learning.audit import audit
from social_learning.audit_plan import Plan
from social_learning.chain import first_wrong
from social_learning.config import Experiment, parse_experiment
from social_learning.experiment import run
from social_learning.provenance import Origin, Stamp, as_typed, batches, iso, mixed, versions
from social_learning.reproduce import Request, reproduce
from tests.clocks import NOON, made_by, ticking

FAKE = {"model": "fake:mixer"}


def experiment(**changes: Any) -> Experiment:
    settings = {
        "name": "made",
        "task": "phone_messages",
        "repeats": 1,
        "shots": [2],
        "arms": ["zero-shot", "generated"],
    }
    return parse_experiment(
        {**settings, "data": {"test_rows": 6}, "teachers": {**FAKE, "count": 3}, "student": FAKE, **changes}
    )


def table_of(path: Path) -> dict[str, Any]:
    table: dict[str, Any] = json.loads(path.read_text())
    return table


def test_cells_and_messages_know_their_command_code_models_and_times(tmp_path: Path) -> None:
    run(experiment(), tmp_path / "run", origin=made_by("social-learning run mine.toml", "a" * 40))
    table = table_of(tmp_path / "run" / "run.json")
    (command,) = table["commands"]
    assert command["command"] == "social-learning run mine.toml"
    assert command["versions"] == table["versions"] == {"social-learning": "9.9", "commit": "a" * 40}
    assert "made_by" not in table
    for name in ("zero-shot-r0", "generated-n2-r0"):
        made = Stamp.from_table(table_of(tmp_path / "run" / "cells" / name / "cell.json")["made"])
        assert (made.command, made.versions["commit"]) == ("social-learning run mine.toml", "a" * 40)
        assert made.models == {"teachers": "fake:mixer", "student": "fake:mixer"}
        assert command["started"] < made.started < made.ended < command["ended"]
    log = tmp_path / "run" / "cells" / "generated-n2-r0" / "messages.jsonl"
    times = [json.loads(line)["time"] for line in log.read_bytes().splitlines()]
    assert made.started < times[0]
    assert times == sorted(set(times))
    assert times[-1] < made.ended
    assert first_wrong(log.read_bytes().splitlines(keepends=True), ascii=False) is None


def test_a_run_that_other_code_went_on_with_says_so(tmp_path: Path) -> None:
    settings = experiment(repeats=2)
    run(settings, tmp_path / "run", origin=made_by("first", "a" * 40))
    run(
        settings, tmp_path / "run", origin=made_by("second", "b" * 40)
    )  # nothing left to do: no part of it is this one's
    table = table_of(tmp_path / "run" / "run.json")
    assert [entry["command"] for entry in table["commands"]] == ["first"]
    assert "made_by" not in table
    (tmp_path / "run" / "cells" / "generated-n2-r1" / "cell.json").unlink()
    run(settings, tmp_path / "run", origin=made_by("third", "b" * 40))
    table = table_of(tmp_path / "run" / "run.json")
    assert [entry["command"] for entry in table["commands"]] == ["first", "third"]
    assert table["made_by"] == (
        "cells zero-shot-r0, generated-n2-r0 were made by commit aaaaaaaaaaaa, the rest by commit bbbbbbbbbbbb"
    )


class Killed(BaseException):
    """What a kill looks like from inside."""


def test_a_command_that_was_killed_is_known_before_it_makes_anything(tmp_path: Path) -> None:
    told: list[dict[str, Any]] = []

    def killed() -> Any:
        file = tmp_path / "run" / "run.json"
        if file.exists() and "commands" in (table := table_of(file)):
            told.append(table)
            raise Killed
        return NOON

    with pytest.raises(Killed):
        run(experiment(), tmp_path / "run", origin=Origin("killed", killed))
    assert told[0]["commands"][0]["ended"] is None
    assert not list((tmp_path / "run").rglob("cell.json"))


def test_trials_and_audits_know_how_they_were_made(tmp_path: Path) -> None:
    plan = Plan(trials=2, references=9, rows=12)
    audit(experiment(), plan, tmp_path / "run", origin=made_by("audit", "a" * 40))
    folder = plan.folder(tmp_path / "run")
    made = Stamp.from_table(table_of(folder / "generated" / "0001.json")["made"])
    assert made.models == {"teachers": "fake:mixer", "student": "fake:mixer"}
    (folder / "generated" / "0001.json").unlink()
    audit(experiment(), plan, tmp_path / "run", origin=made_by("again", "b" * 40))
    table = table_of(folder / "audit.json")
    assert table["made"]["command"] == "again"
    assert [(part["arms"], part["made"]["command"]) for part in table["trials"]] == [
        ({"verbatim": 2, "generated": 1}, "audit"),
        ({"generated": 1}, "again"),
    ]


def test_reproduced_tables_know_what_put_them_together_and_what_made_their_cells(tmp_path: Path) -> None:
    small: dict[str, Any] = {"model": "fake:mixer", "tasks": ("phone_messages",), "test_rows": 4, "repeats": 1}
    request = Request(("table2",), **small, overrides=("shots=[2]", "teachers.count=3"))
    reproduce(request, tmp_path, origin=made_by("first", "a" * 40))
    reproduce(request, tmp_path, origin=made_by("second", "b" * 40))
    table = table_of(tmp_path / "table2.json")
    assert (table["made"]["command"], table["made"]["versions"]["commit"]) == ("second", "b" * 40)
    (part,) = table["runs"]["phone_messages"]["cells"]
    assert part["cells"] == ["zero-shot-r0", "manual-r0", "instruction-r0"]
    assert (part["made"]["command"], part["made"]["models"]["student"]) == ("first", "fake:mixer")
    assert part["made"]["started"] < part["made"]["ended"]
    assert "second" in (tmp_path / "reproduce.html").read_text()


def test_a_command_line_is_written_down_as_typed_and_without_keys(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(
        'task = "phone_messages"\nrepeats = 1\narms = ["zero-shot"]\n[student]\nmodel = "fake:mixer"\n[data]\ntest_rows = 4\n'
    )
    key = "very-private-key-1234"
    command = ["run", "mine.toml", "--out", "run", "-s", f"instruction.text={key} and more", "--json"]
    environment = {**os.environ, "MY_API_KEY": key, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    subprocess.run(
        [sys.executable, "-m", "social_learning.cli", *command],
        cwd=tmp_path,
        env=environment,
        check=True,
        capture_output=True,
    )
    made = table_of(tmp_path / "run" / "cells" / "zero-shot-r0" / "cell.json")["made"]
    assert made["command"] == (
        "python -m social_learning.cli run mine.toml --out run -s 'instruction.text=[left out] and more' --json"
    )
    assert made["versions"] == versions()


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("openai:m@https://me:hunter22@host/v1", "'openai:m@https://[left out]@host/v1'"),
        ("sk-proj-abcdefghijklmnop1234", "'[left out]'"),
        ("hf_abcdefghijklmnopqrstuv", "'[left out]'"),
        ("teachers.count=4", "teachers.count=4"),
        ("two words", "'two words'"),
        ("/home/mira/risk-free-things-of-long-names.toml", "/home/mira/risk-free-things-of-long-names.toml"),
    ],
)
def test_keys_and_log_ins_are_left_out_of_a_command_line(word: str, told: str) -> None:
    assert as_typed(["/usr/bin/social-learning", "run", word], {}) == f"social-learning run {told}"


def test_times_are_in_utc_and_a_clock_without_a_time_zone_is_refused() -> None:
    assert iso(NOON) == "2026-01-31T12:00:00.000Z"
    with pytest.raises(ValueError, match="time zone"):
        iso(NOON.replace(tzinfo=None))
    stamp = Origin("x", ticking(), {"python": "3"}).stamp("2026-01-31T11:00:00.000Z", {"student": "m"})
    assert Stamp.from_table(json.loads(json.dumps(stamp.to_table()))) == stamp
    for damaged in ({**stamp.to_table(), "ended": "noon"}, {**stamp.to_table(), "command": 3}, {"command": "x"}):
        with pytest.raises((TypeError, ValueError)):
            Stamp.from_table(damaged)


def test_what_made_parts_is_told_by_what_differs() -> None:
    def stamp(**found: str) -> Stamp:
        return Stamp(
            "run", {"social-learning": "1", **found}, {}, "2026-01-31T12:00:00.000Z", "2026-01-31T13:00:00.000Z"
        )

    assert mixed([("a", stamp()), ("b", stamp())]) is None
    assert (
        mixed([("a", stamp(torch="2")), ("b", stamp(torch="3"))]) == "cells a were made by torch 2, the rest by torch 3"
    )
    assert mixed([("a", None), ("b", stamp())], "trials") == (
        "trials a were made by a version that did not write down its own, the rest by social-learning 1"
    )
    assert mixed([("a", stamp(commit="c" * 40 + ", changed")), ("b", stamp())]) == (
        "cells a were made by commit cccccccccccc, changed, the rest by no commit that is known"
    )
    (batch,) = batches([("a", stamp()), ("b", stamp())])
    assert batch.names == ("a", "b")
