"""The manifest: edits of a run folder are told, file by file, and nothing that commands do by themselves is."""

import json
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from social_learning.audit import audit
from social_learning.audit_plan import Plan
from social_learning.chain import first_wrong
from social_learning.config import Experiment, parse_experiment
from social_learning.experiment import run
from social_learning.manifest import NAME, Seal, changed_files, manifest_hash
from social_learning.models.fakes import MixerModel
from social_learning.remote import learn
from social_learning.report import load_result, write_audit_report, write_report
from social_learning.reproduce import Request, reproduce
from tests.clocks import STEADY, made_by
from tests.silos import DeskCarrier, short, silo_files

FAKE = {"model": "fake:mixer"}
SMALL = Plan(trials=2, references=9, rows=12)


def experiment(**changes: Any) -> Experiment:
    settings = {
        "name": "kept",
        "task": "phone_messages",
        "repeats": 2,
        "shots": [2],
        "arms": ["zero-shot", "generated"],
    }
    return parse_experiment(
        {**settings, "data": {"test_rows": 6}, "teachers": {**FAKE, "count": 3}, "student": FAKE, **changes}
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    run(experiment(), tmp_path / "run")
    return tmp_path / "run"


def lines(folder: Path) -> list[str]:
    return [change.line for change in changed_files(folder)]


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def test_every_file_but_locks_and_the_manifest_itself_is_in_it(folder: Path) -> None:
    table = json.loads((folder / NAME).read_text())
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert set(table["files"]) == there - {NAME, ".lock"}
    assert {"run.json", "experiment.toml", "report.html", "cells/generated-n2-r1/messages.jsonl"} <= set(table["files"])
    assert not table["open"]
    assert lines(folder) == []


def test_outcomes_edited_to_all_right_are_told_by_every_way_to_read_them(folder: Path) -> None:
    cell = folder / "cells" / "zero-shot-r0" / "cell.json"
    table = json.loads(cell.read_text())
    cell.write_text(json.dumps({**table, "outcomes": "c" * 6}))
    told = "cells/zero-shot-r0/cell.json was changed after it was written"
    assert lines(folder) == [told]
    result = load_result(folder)
    assert result.arms[0].accuracy == 1.0  # readable all the same
    for _ in range(2):  # a report that is written anew does not make it right
        page = write_report(folder, result).read_text()
        assert told in page
        assert "may not be as its commands left it" in page
        assert lines(folder) == [told]
    run(experiment(), folder)  # nor does the same command
    audit(experiment(), SMALL, folder)
    assert lines(folder) == [told]
    assert told in (folder / "audit.html").read_text()


LESSON, LOG = "cells/generated-n2-r0/lesson.json", "cells/generated-n2-r0/messages.jsonl"
UNTOLD = "whether other files were changed cannot be told"


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda f: (f / LESSON).unlink(), f"{LESSON} is missing"),
        (lambda f: (f / f"{LESSON}.txt").write_text("x"), f"{LESSON}.txt was added: no command wrote it"),
        (lambda f: (f / "cells" / "x").write_text(""), "cells/x was added: no command wrote it"),
        (lambda f: edit(f / "results.csv", "0.", "1."), "results.csv was changed after it was written"),
        (lambda f: edit(f / "report.html", "<h1>", "<h1>A "), "report.html was changed after it was written"),
        (
            lambda f: edit(f / LOG, '"teacher": "teacher-2"', '"teacher": "teacher-3"'),
            f"{LOG} was changed after it was written: line 2 does not fit the chain",
        ),
        (lambda f: (f / NAME).unlink(), f"{NAME} is missing: {UNTOLD} (older versions wrote none)"),
        (lambda f: (f / NAME).write_text("{"), f"{NAME} was changed after it was written: {UNTOLD}"),
    ],
)
def test_what_was_changed_missing_or_added_is_one_line(folder: Path, damage: Callable[[Path], Any], told: str) -> None:
    damage(folder)
    assert lines(folder) == [told]
    load_result(folder)


def test_what_an_owner_hands_in_after_the_run_raises_no_alarm(folder: Path) -> None:
    (folder / "owners").mkdir()
    (folder / "owners" / "teacher-1.json").write_text("{}")
    assert lines(folder) == []


def test_without_a_manifest_the_chains_of_messages_are_still_checked(folder: Path) -> None:
    (folder / NAME).unlink()
    edit(folder / "cells" / "generated-n2-r1" / "messages.jsonl", '"bytes": ', '"bytes":  ')
    assert lines(folder)[1:] == [
        "cells/generated-n2-r1/messages.jsonl was changed after it was written: line 1 does not fit the chain"
    ]


def test_a_manifest_that_was_gone_when_a_command_went_on_stays_told(folder: Path) -> None:
    (folder / NAME).unlink()
    (folder / "cells" / "generated-n2-r1" / "cell.json").unlink()
    run(experiment(), folder)
    (line,) = lines(folder)
    assert line.startswith("manifest.json is missing: so it was when a command went on; ")


def test_reports_audits_moves_and_more_of_the_same_raise_no_alarm(folder: Path, tmp_path: Path) -> None:
    before = manifest_hash(folder)
    write_report(folder, load_result(folder))
    assert manifest_hash(folder) == before  # the same page: who kept the hash finds it again
    edit(folder / "report.html", "<h1>", "<h1>Best ")
    write_report(folder, load_result(folder))
    assert manifest_hash(folder) == before
    run(experiment(), folder)
    audit(experiment(), SMALL, folder)
    assert manifest_hash(folder) != before
    write_audit_report(folder)
    audit(experiment(), Plan(trials=3, references=9, rows=12), folder)
    (folder / ".lock").touch()
    shutil.move(folder, tmp_path / "moved")
    assert lines(tmp_path / "moved") == []
    (tmp_path / "moved" / "audits" / SMALL.name / "generated" / "0001.json").unlink()
    assert lines(tmp_path / "moved") == [f"audits/{SMALL.name}/generated/0001.json is missing"]


class Killed(BaseException):
    """What a kill looks like from inside."""


def killed_copy(folder: Path, at: int) -> Path:
    """A run folder as a kill at the n-th call of a model leaves it: copied then, with all that was written so far."""
    copy = folder.with_name("killed")

    class Dying(MixerModel):
        left = at

        def score(self, pairs: Any) -> Any:
            Dying.left -= 1
            if Dying.left == 0:
                shutil.copytree(folder, copy)
                raise Killed
            return super().score(pairs)

    with pytest.raises(Killed):
        run(experiment(), folder, load=lambda name, **_: Dying(name))
    return copy


@pytest.mark.parametrize("at", [1, 3, 8])
def test_a_run_that_was_killed_goes_on_without_an_alarm_and_finished_cells_are_held_to_it(
    tmp_path: Path, at: int
) -> None:
    copy = killed_copy(tmp_path / "run", at)
    assert json.loads((copy / NAME).read_text())["open"]
    assert lines(copy) == []
    finished = sorted(copy.glob("cells/*/cell.json"))
    if finished:
        edit(finished[0], '"outcomes": "', '"outcomes":  "')
    told = [f"{file.relative_to(copy).as_posix()} was changed after it was written" for file in finished[:1]]
    assert lines(copy) == told
    run(experiment(), copy)
    assert lines(copy) == told
    assert load_result(copy)
    assert at == 1 or finished


def test_a_kill_between_any_two_writes_raises_no_alarm(tmp_path: Path) -> None:
    seal = Seal(tmp_path)
    (tmp_path / "run.json").write_text("1")
    seal.open()
    cell = tmp_path / "cells" / "a"
    cell.mkdir(parents=True)
    for name in ("messages.jsonl", "lesson.json", "cell.json"):
        (cell / name).write_text("")
        (tmp_path / "run.json").write_text(name)
        assert lines(tmp_path) == []
    seal.note([cell])
    (tmp_path / "results.json").write_text("{}")
    assert lines(tmp_path) == []
    later = Seal(tmp_path)
    later.open()
    later.close()
    assert lines(tmp_path) == []
    assert set(json.loads((tmp_path / NAME).read_text())["files"]) == {
        "run.json", "results.json", *(f"cells/a/{name}" for name in ("messages.jsonl", "lesson.json", "cell.json")),
    }  # fmt: skip


def test_runs_with_teachers_of_their_own_have_one_too(tmp_path: Path) -> None:
    with ExitStack() as stack:
        carrier = DeskCarrier(silo_files(tmp_path / "silos"), stack)
        learn(short(arms=["zero-shot", "generated"], remote={"timeout": 20}), carrier, tmp_path / "run", origin=STEADY)
    assert lines(tmp_path / "run") == []
    replies = (tmp_path / "run" / "replies.jsonl").read_text().splitlines()
    assert {json.loads(line)["time"] for line in replies} == {"2026-01-31T12:00:00.000Z"}
    edit(tmp_path / "run" / "replies.jsonl", "teacher-1", "teacher-9")
    assert lines(tmp_path / "run") == ["replies.jsonl was changed after it was written"]


def test_reproduced_tables_say_what_was_edited_in_the_runs_they_are_of(tmp_path: Path) -> None:
    small: dict[str, Any] = {"model": "fake:mixer", "tasks": ("phone_messages",), "test_rows": 4, "repeats": 1}
    request = Request(("table2",), **small, overrides=("shots=[2]", "teachers.count=3"))
    assert reproduce(request, tmp_path, origin=made_by("first", "a" * 40)).changed == ()
    cell = tmp_path / "phone_messages" / "cells" / "manual-r0" / "cell.json"
    cell.write_text(json.dumps({**json.loads(cell.read_text()), "outcomes": "cccc"}))
    told = "phone_messages/cells/manual-r0/cell.json was changed after it was written"
    assert reproduce(request, tmp_path).changed == (told,)
    assert told in (tmp_path / "reproduce.html").read_text()
    runs = json.loads((tmp_path / "table2.json").read_text())["runs"]
    assert runs["phone_messages"]["manifest"] == manifest_hash(tmp_path / "phone_messages")


def test_the_chain_tells_each_kind_of_edit(folder: Path) -> None:
    log = folder / "cells" / "generated-n2-r0" / "messages.jsonl"
    whole = log.read_bytes().splitlines(keepends=True)

    def wrong(changed: list[bytes]) -> int | None:
        return first_wrong(changed, ascii=False)

    assert wrong(whole) is None
    assert wrong([whole[0], *whole[2:]]) == 2
    assert wrong([whole[1], whole[0], *whole[2:]]) == 1
    assert wrong([whole[0], whole[0], *whole[1:]]) == 2
    assert wrong([*whole[:-1], whole[-1][:-9]]) == len(whole)
    assert wrong([*whole, b"3\n"]) == len(whole) + 1

    def plain(line: bytes) -> bytes:
        return json.dumps({k: v for k, v in json.loads(line).items() if k not in ("hash", "previous")}).encode() + b"\n"

    old = [plain(line) for line in whole]
    assert wrong(old) is None  # of a version that made no chain
    assert wrong([whole[0], *old[1:]]) == 2
