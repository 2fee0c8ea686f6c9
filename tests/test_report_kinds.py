"""The report is true for every kind of run: teachers in this process, served ones, none, and runs that are not whole."""

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from social_learning.errors import RunFolderError
from social_learning.experiment import run
from social_learning.files import write_file
from social_learning.privacy.handed import Handed
from social_learning.remote import learn
from social_learning.report import load_result, write_report
from social_learning.report.evidence import AuditView, privacy_of
from social_learning.report.html import write_page
from social_learning.serving.evidence import evidence_of
from social_learning.serving.silo_file import load_silo_file
from tests.silos import DeskCarrier, short, silo_files
from tests.test_report import Document, words

REMOTE: dict[str, Any] = {"remote": {"timeout": 20}}
ADVICE = "social-learning audit FILE"


def text_of(folder: Path) -> str:
    return words(Document(write_report(folder, load_result(folder)).read_text()).text)


def test_where_nobody_was_asked_nothing_is_said_of_guards_audits_or_silos(tmp_path: Path) -> None:
    run(short(arms=["zero-shot", "manual"]), tmp_path / "run")
    text = text_of(tmp_path / "run")
    assert "No teacher was asked, so nothing left a silo." in text
    assert "Every reply" not in text
    assert "Guards stop" not in text
    assert "planted" not in text
    assert ADVICE not in text


def test_the_original_arm_is_called_what_it_is(tmp_path: Path) -> None:
    run(short(arms=["zero-shot", "original"]), tmp_path / "run")
    text = text_of(tmp_path / "run")
    assert "Private examples left the silos word for word, as the original arm has it." in text
    assert "original, 4 shots: 4 private examples, word for word, on purpose." in text
    assert "of which the arm original has none" in text


def test_a_finished_run_with_an_audit_is_not_called_unfinished(tmp_path: Path) -> None:
    experiment = short(arms=["zero-shot", "manual"])
    result = run(experiment, tmp_path / "run")
    privacy = privacy_of(tmp_path / "run", experiment, "phone_messages", result)
    audit = AuditView("codes", "codes", 10, None, (), (), ())
    page = tmp_path / "audit.html"
    write_page(page, "audit.html.j2", name="x", task="y", privacy=replace(privacy, audits=(audit,)), changed=())
    assert "No run is finished" not in page.read_text()
    assert "No teacher was asked, so nothing left a silo." in page.read_text()
    write_page(
        page, "audit.html.j2", name="x", task="y", privacy=replace(privacy, audits=(audit,), nearest=None), changed=()
    )
    assert "No run is finished in this folder" in page.read_text()


def test_a_cell_that_ended_without_a_lesson_is_named_with_what_had_left(tmp_path: Path) -> None:
    experiment = short(arms=["zero-shot", "generated", "voted"], repeats=2)
    run(experiment, tmp_path / "run")
    folder = tmp_path / "run"
    names = sorted(path.name for path in (folder / "cells").iterdir())
    for lost in ("generated-n4-r0", "voted-n4-r0", "voted-n4-r1"):
        names.remove(lost)
        for file in ("cell.json", "closeness.csv", "lesson.json"):
            (folder / "cells" / lost / file).unlink()
        write_file(folder / "cells" / lost / "failed.json", json.dumps({"failed": "too few examples"}))
    write_file(folder / "parts.json", json.dumps(names))
    (folder / "manifest.json").unlink()  # else it names each file that was taken away
    text = text_of(folder)
    assert "repeat 1 of generated, 4 shots: no lesson (too few examples)" in text
    assert "This cell ended without a lesson: too few examples. What had left by then:" in text
    assert "Not measured, though teachers sent replies: generated-n4-r0, voted-n4-r0, voted-n4-r1." in text
    assert "texts that could be measured" in text
    # What left is told of an arm without any lesson, too; and the lesson of the first repeat that has one.
    assert re.search(r"voted \d+ messages", text)
    assert "File: cells/generated-n4-r1/lesson.json" in text
    assert text.count("is missing") == text.count("manifest.json is missing") == 1


def test_a_part_of_a_run_says_so(tmp_path: Path) -> None:
    experiment = short(arms=["zero-shot", "generated"], repeats=2)
    run(experiment, tmp_path / "run")
    folder = tmp_path / "run"
    assert "This is a part" not in text_of(folder)
    for file in (folder / "cells" / "generated-n4-r1").iterdir():
        file.unlink()
    write_file(folder / "parts.json", json.dumps(["zero-shot-r0", "generated-n4-r0"]))
    assert "This is a part of the experiment: 2 of its 3 cells are finished." in text_of(folder)


# Served teachers


@pytest.fixture
def silos(tmp_path: Path) -> list[Path]:
    return silo_files(tmp_path / "silos")


@pytest.fixture
def carrier(silos: list[Path]) -> Iterator[DeskCarrier]:
    with ExitStack() as stack:
        yield DeskCarrier(silos, stack)


@pytest.fixture
def served(carrier: DeskCarrier, tmp_path: Path) -> Path:
    learn(short(**REMOTE), carrier, tmp_path / "run")
    return tmp_path / "run"


def hand_in(folder: Path, silos: list[Path], public: Path | None = None) -> list[Handed]:
    handed = [evidence_of(load_silo_file(path), None, public) for path in silos]
    for one in handed:
        write_file(folder / "owners" / f"{one.teacher}.json", one.model_dump_json())
    return handed


def test_served_teachers_have_sent_something_and_only_their_owners_know_how_near_it_is(served: Path) -> None:
    text = text_of(served)
    assert "Nothing left a silo." not in text
    assert "Teachers sent replies, and how near they are to the silos is not known here." in text
    assert "No numbers yet of teacher-1, teacher-2 and teacher-3" in text
    assert "Every reply that was accepted, after the guards of its silo and the checks on arrival" in text
    assert ADVICE not in text
    assert "teachers of their own cannot be audited from here" in text
    assert "What teachers' models computed (–) is known to their owners alone" in text
    assert "private folder" not in text


def test_numbers_of_owners_lead_to_the_messages_they_are_about(served: Path, silos: list[Path]) -> None:
    handed = hand_in(served, silos[:2])
    document = Document(write_report(served, load_result(served)).read_text())
    text = words(document.text)
    assert "Numbers computed by the owners of teacher-1 and teacher-2, and not checked here" in text
    assert "No numbers yet of teacher-3" in text
    assert "nearest row of the silo" in text
    nearest = min((item for one in handed for item in one.left), key=lambda item: (item.distance, -item.run))
    assert f"distance {nearest.distance:.2f}, {nearest.run} word" in text
    ids = {attributes.get("id") for _, attributes in document.elements}
    links = {a["href"][1:] for a in document.all("a") if a["href"].startswith("#m-")}
    assert links
    assert links <= ids


def test_an_item_that_was_taken_out_on_arrival_keeps_the_others_in_their_places(
    carrier: DeskCarrier, silos: list[Path], tmp_path: Path
) -> None:
    folder = tmp_path / "run"

    def spoil(response: bytes) -> bytes:
        """The first example of a longer reply comes with a label that the task does not know."""
        table = json.loads(response)
        examples = (table["reply"] or {}).get("examples", [])
        if len(examples) > 1:
            examples[0]["answer"] = "neither"
        return json.dumps(table).encode()

    carrier.faults["teacher-1"] = spoil
    learn(short(**REMOTE, arms=["zero-shot", "generated"]), carrier, folder)
    [handed] = hand_in(folder, silos[:1])
    # Have the last item of the first long reply come nearest.
    long = next(item.id for item in handed.left if item.item > 1)
    last = max(item.item for item in handed.left if item.id == long)
    items = [i.model_copy(update={"distance": 0.01}) if (i.id, i.item) == (long, last) else i for i in handed.items]
    changed = handed.model_copy(update={"items": tuple(items)})
    write_file(folder / "owners" / "teacher-1.json", changed.model_dump_json())
    document = Document(write_report(folder, load_result(folder)).read_text())
    top = words(document.text)
    place = re.search(r"It is item (\d+) of message (\d+) of cells/generated-n4-r0", top)
    assert place
    assert int(place[1]) == last - 1
    reply = json.loads((folder / "cells/generated-n4-r0/messages.jsonl").read_text().splitlines()[int(place[2]) - 1])[
        "reply"
    ]
    assert reply["teacher"] == "teacher-1"
    left = json.loads(
        next(
            json.loads(line)["reply"]
            for line in (silos[0].parent / "state" / "outbox.jsonl").read_text().splitlines()
            if json.loads(line)["id"] == long
        )
    )
    assert reply["examples"][last - 2] == left["examples"][last - 1]
    assert words(left["examples"][last - 1]["fields"]["text"]) in top[: top.index("Taught nothing")]


def test_numbers_of_another_run_or_teacher_are_refused(served: Path, silos: list[Path]) -> None:
    [handed] = hand_in(served, silos[:1])
    file = served / "owners" / "teacher-1.json"
    write_file(file, handed.model_copy(update={"run": "other"}).model_dump_json())
    with pytest.raises(RunFolderError, match=r"teacher-1\.json cannot be used: it is about run 'other'"):
        write_report(served, load_result(served))
    write_file(file, handed.model_dump_json())
    file.rename(served / "owners" / "teacher-2.json")
    with pytest.raises(RunFolderError, match=r"its name has to be teacher-1\.json"):
        write_report(served, load_result(served))
