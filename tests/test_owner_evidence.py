"""What the owner of a served silo hands over: the right numbers, no text, and files of another kind are refused."""

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from social_learning.errors import DataError, RunFolderError, ServingError
from social_learning.experiment import run
from social_learning.messages import ReplyExamples, ReplyInstruction
from social_learning.privacy.distance import normalized_distance
from social_learning.privacy.handed import LARGEST, read_handed
from social_learning.remote import learn
from social_learning.serving.evidence import evidence_of
from social_learning.serving.outbox import read_outbox
from social_learning.serving.silo_file import load_silo, load_silo_file
from social_learning.text import words_of
from tests.silos import DeskCarrier, cli, short, silo_files

REMOTE: dict[str, Any] = {"remote": {"timeout": 20}}


@pytest.fixture
def silos(tmp_path: Path) -> list[Path]:
    return silo_files(tmp_path / "silos")


@pytest.fixture
def there(silos: list[Path], tmp_path: Path) -> Path:
    """The folder of a run with served teachers."""
    with ExitStack() as stack:
        learn(short(**REMOTE), DeskCarrier(silos, stack), tmp_path / "there")
    return tmp_path / "there"


def test_an_owner_computes_what_a_run_in_one_process_measures_but_the_distance_is_to_all_rows(
    there: Path, silos: list[Path], tmp_path: Path
) -> None:
    run(short(arms=["zero-shot", "generated", "voted", "instruction"]), tmp_path / "here")
    measured: dict[tuple[str, Any], list[tuple[Any, ...]]] = {}
    for cell in ("generated-n4-r0", "voted-n4-r0", "instruction-r0"):
        folder = tmp_path / "here" / "cells" / cell
        texts = [json.loads(line)["reply"] for line in (folder / "messages.jsonl").read_text().splitlines()]
        for row in (line.split(",") for line in (folder / "closeness.csv").read_text().splitlines()[1:]):
            reply = texts[int(row[9]) - 1]
            item = reply["examples"][int(row[10]) - 1] if "examples" in reply else reply["instruction"]
            if row[1] == "left":
                measured[row[0], json.dumps(item)] = [tuple(row[2:3] + row[4:9])]
    checked = 0
    for path in silos:
        file = load_silo_file(path)
        silo = load_silo(file)
        handed = evidence_of(file, None, None)
        replies = {entry.id: entry.content for entry in read_outbox(file.outbox)}
        for item in handed.left:
            reply = replies[item.id]
            if isinstance(reply, ReplyExamples):
                example = reply.examples[item.item - 1]
                told, text = json.dumps(example.model_dump(mode="json")), silo.task.render(example)
            else:
                assert isinstance(reply, ReplyInstruction)
                text = str(reply.instruction)
                told = json.dumps(text)
            counts = (item.run, item.names, item.numbers, item.emails, item.links)
            assert measured[file.name, told] == [(str(int(item.copied)), *map(str, counts))]
            nearest = min(normalized_distance(text, silo.task.render(row)) for row in silo.everything)
            assert item.distance == pytest.approx(nearest, abs=1e-4)
            checked += 1
        sent = sum(
            len(getattr(r, "examples", ())) + (getattr(r, "instruction", None) is not None) for r in replies.values()
        )
        assert len(handed.left) == sent
    assert checked > 20


def test_it_holds_ids_and_numbers_alone(silos: list[Path], there: Path) -> None:
    file = load_silo_file(silos[0])
    handed = evidence_of(file, None, None)
    table = json.loads(handed.model_dump_json())
    assert set(table) == {"format", "teacher", "run", "held_against", "items"}
    assert table["run"] == (there / "run-name").read_text().strip()
    ids = {entry.id for entry in read_outbox(file.outbox)}
    for item in table["items"]:
        assert item.pop("id") in ids
        assert item.pop("group") in ("left", "verbatim", "near", "public")
        assert all(isinstance(value, int | float) for value in item.values())
    words = set(words_of(handed.model_dump_json()))
    silo = load_silo(file)
    private = {word for row in silo.everything for word in words_of(row.fields["text"]) if len(word) > 6}
    assert private
    assert not private & words


def test_public_rows_are_a_control_without_those_that_the_silo_holds(
    silos: list[Path], there: Path, tmp_path: Path
) -> None:
    rows = (silos[0].parent / "examples.jsonl").read_text().splitlines()
    public = tmp_path / "public.jsonl"
    key = next(name for name in json.loads(rows[0]) if name != "text")
    public.write_text("\n".join([*rows, json.dumps({"text": "Quite another thing.", key: "not spam"})]) + "\n")
    file = load_silo_file(silos[0])
    handed = evidence_of(file, None, public)
    floor = [item for item in handed.items if item.group == "public"]
    assert len(floor) == len(handed.left)
    examples = [item for item in floor if item.distance > 0.2 and not item.copied]
    assert len(examples) == len(floor)  # a row of the silo would be a copy
    assert evidence_of(file, None, public) == handed
    public.write_text("\n".join(rows) + "\n")
    with pytest.raises(DataError, match="none of them is public"):
        evidence_of(file, None, public)


def test_one_of_several_runs_has_to_be_named(silos: list[Path], there: Path, tmp_path: Path) -> None:
    with ExitStack() as stack:
        learn(short(**REMOTE), DeskCarrier(silos, stack), tmp_path / "again")
    file = load_silo_file(silos[0])
    with pytest.raises(ServingError, match=r"holds several runs .*--run"):
        evidence_of(file, None, None)
    with pytest.raises(ServingError, match="holds no text of run 'none'"):
        evidence_of(file, "none", None)
    name = (tmp_path / "again" / "run-name").read_text().strip()
    assert evidence_of(file, name, None).run == name


def test_an_outbox_without_texts_is_told(silos: list[Path]) -> None:
    file = load_silo_file(silos[0])
    file.outbox.parent.mkdir(exist_ok=True)
    file.outbox.touch()
    with pytest.raises(ServingError, match="no text left this silo"):
        evidence_of(file, None, None)


def test_the_command_writes_a_file_for_its_owner_that_the_student_reads(
    silos: list[Path], there: Path, tmp_path: Path
) -> None:
    out = tmp_path / "teacher-1.json"
    done = cli("outbox", "evidence", str(silos[0]), "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert "Nothing was sent." in done.stdout
    assert out.stat().st_mode & 0o777 == 0o600
    name = (there / "run-name").read_text().strip()
    assert read_handed(out, ["teacher-1"], name) == evidence_of(load_silo_file(silos[0]), None, None)
    bad = cli("outbox", "evidence", str(silos[0]), "--run", "other")
    assert bad.returncode == 2
    assert len(bad.stderr.splitlines()) == 1


ITEM = {
    "id": "0-ab", "item": 1, "group": "left", "copied": False, "distance": 0.5,
    "run": 3, "names": 0, "numbers": 0, "emails": 0, "links": 0,
}  # fmt: skip
FILE = {"format": 1, "teacher": "a", "run": "r", "held_against": "nearest row of the silo", "items": [ITEM]}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"text": "private words"}, "text: Extra inputs"),
        ({"format": 2}, "format"),
        ({"teacher": "b"}, "no teacher 'b'"),
        ({"teacher": "c"}, r"has to be c\.json"),
        ({"run": "other"}, "about run 'other', this is 'r'"),
        ({"items": [{**ITEM, "distance": 2}]}, "items.0.distance"),
        ({"items": [{**ITEM, "distance": "private words"}]}, "items.0.distance"),
        ({"items": [{**ITEM, "run": -1}]}, "items.0.run"),
        ({"items": [{**ITEM, "note": "private words"}]}, "items.0.note: Extra inputs"),
        ({"items": [{**ITEM, "group": "private words"}]}, "items.0.group"),
        ({"items": [{**ITEM, "id": "private words"}]}, "items.0.id"),
        ({"items": [ITEM, ITEM]}, "an item twice"),
    ],
)
def test_what_is_no_file_of_numbers_is_refused_in_one_line(
    change: dict[str, Any], problem: str, tmp_path: Path
) -> None:
    file = tmp_path / "a.json"
    file.write_text(json.dumps(FILE))
    assert read_handed(file, ["a", "c"], "r").items[0].distance == 0.5
    file.write_text(json.dumps({**FILE, **change}))
    with pytest.raises(RunFolderError, match=r"a\.json cannot be used: .*" + problem) as caught:
        read_handed(file, ["a", "c"], "r")
    assert "private words" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_too_large_or_no_json_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text(" " * (LARGEST + 1))
    with pytest.raises(RunFolderError, match="at most 4,194,304 are read"):
        read_handed(file, ["a"], "r")
    file.write_text("{")
    with pytest.raises(RunFolderError, match="cannot be used"):
        read_handed(file, ["a"], "r")
