"""The verdict on privacy: its words for each kind of run, and that its links lead to the text they are about."""

import json
import os
import re
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from social_learning.config import parse_experiment
from social_learning.errors import RunFolderError
from social_learning.experiment import run
from social_learning.privacy.evidence import Closeness, from_csv, to_csv
from social_learning.report import load_result, show_result, write_report
from social_learning.report.evidence import privacy_of
from social_learning.report.nearest import Nearest, nearest_of
from social_learning.report.traces import ArmTraces, Owners, Trace, Traces, places_of
from social_learning.results import CellKey
from social_learning.task import Example
from tests.silos import short
from tests.test_report import Document, words

GOLDEN = Path(__file__).parent / "golden" / "nearest.txt"
ARMS = {arm.name: arm for arm in parse_experiment({"task": "phone_messages", "name": "x"}).resolved_arms()}


def left(distance: float, **other: Any) -> Closeness:
    return Closeness(
        **{"teacher": "teacher-2", "group": "left", "copy": False, "distance": distance, "run": 3, **other}
    )


def public(distances: Sequence[float]) -> list[Closeness]:
    return [Closeness("teacher-2", "public", False, distance, 4) for distance in distances]


def traces(arm: str, items: Sequence[Closeness], others: Sequence[Closeness] = (), **of: Any) -> ArmTraces:
    found, key = ArmTraces(ARMS[arm], 16, others=list(others)), CellKey(arm, 16, 1)
    file = of.get("file", f"cells/{key.name}/closeness.csv")
    found.left += [Trace(item, key, file, f"line {number}") for number, item in enumerate(items, start=2)]
    return found


FLOOR = public([0.40 + 0.01 * n for n in range(40)])
CASES: dict[str, Traces] = {
    "a near copy": Traces(
        (
            traces(
                "generated",
                [
                    left(0.6),
                    left(0.04, run=9, links=1, numbers=5, message=7, item=2),
                    left(0.55, run=12, names=1, message=8, item=1),
                    *[left(0.5)] * 38,
                ],
                FLOOR,
            ),
            traces("original", [left(0, copy=True)] * 3),
        ),
        None,
        (),
    ),
    "a copy": Traces((traces("generated", [left(0.2, copy=True, message=3, item=1)], public([0.5])),), None, ()),
    "nearer than chance": Traces((traces("generated", [left(0.3, message=1, item=1)] * 40, FLOOR),), None, ()),
    "not nearer": Traces((traces("generated", [left(0.43, message=1, item=1), *[left(0.6)] * 39], FLOOR),), None, ()),
    "too few to tell": Traces((traces("instruction", [left(0.3, message=1, item=1)], public([0.5])),), None, ()),
    "only original": Traces((traces("original", [left(0, copy=True)] * 3),), None, ()),
    "nobody asked": Traces((), None, ()),
    "no text left": Traces((traces("generated", []),), None, ()),
    "nothing measured": Traces((traces("generated", []),), None, ("generated-n16-r1",)),
    "a part measured": Traces((traces("generated", [left(0.5)], public([0.5])),), None, ("voted-n16-r1",)),
    "served, no owner yet": Traces((traces("generated", []),), Owners((), ("a", "b")), ("generated-n16-r1",)),
    "served, one owner": Traces(
        (traces("generated", [left(0.45, message=1, item=0)] * 2, file="owners/a.json"),),
        Owners(("a",), ("b",), (("a", 2, 0.31),)),
        ("voted-n16-r1",),
    ),
}


def told(nearest: Nearest) -> str:
    lines = [("! " if nearest.alarm else "- ") + nearest.headline]
    lines += [
        f"  {text.told} [{text.cell}, message {text.message}, item {text.item}; {text.place}]" for text in nearest.texts
    ]
    lines += [nearest.scale, *nearest.arms, nearest.meaning, *nearest.notes]
    lines += [
        f"  {r.measure}: {r.best} | {r.public_median} | {r.public_best} | {r.beyond} | {r.verdict}"
        for r in nearest.rows
    ]
    return "\n".join(line for line in lines if line)


def test_the_words_for_each_kind_of_run() -> None:
    text = "\n\n".join(f"## {name}\n{told(nearest_of(case, fake=False))}" for name, case in CASES.items()) + "\n"
    text += "\n## fakes\n" + told(nearest_of(CASES["no text left"], fake=True)) + "\n"
    text = text.replace("\N{NO-BREAK SPACE}", "~")
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(text, encoding="utf-8")
    assert text == GOLDEN.read_text(encoding="utf-8")


def test_a_further_group_of_items_changes_no_verdict() -> None:
    """Controls are measured to see what the measures can see; only the public one says what chance brings."""
    arm = traces("generated", [left(0.3)] * 20, public([0.5] * 20))
    before = nearest_of(Traces((arm,), None, ()), fake=False)
    arm.others += [Closeness("teacher-2", "verbatim", True, 0.0, 30)] * 20
    assert nearest_of(Traces((arm,), None, ()), fake=False) == before


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run on fakes in which one private message left with only a word changed, as the numbers of its item say."""
    experiment = short(arms=["zero-shot", "generated", "voted", "instruction"], repeats=2)
    run(experiment, tmp_path / "run")
    file = tmp_path / "run" / "cells" / "generated-n4-r1" / "closeness.csv"
    items = from_csv(file.read_text())
    lefts = [number for number, item in enumerate(items) if item.group == "left" and item.item > 1]
    at = lefts[-1]
    items[at] = Closeness(**{**{n: getattr(items[at], n) for n in Closeness.__slots__}, "distance": 0.04, "links": 1})
    file.write_text(to_csv(items))
    return tmp_path / "run"


def test_the_top_of_the_page_leads_to_the_text_that_came_nearest(folder: Path) -> None:
    document = Document(write_report(folder, load_result(folder)).read_text())
    line, item = next(
        (number, item)
        for number, item in enumerate(from_csv((folder / "cells/generated-n4-r1/closeness.csv").read_text()), start=2)
        if item.distance == 0.04
    )
    log = (folder / "cells/generated-n4-r1/messages.jsonl").read_text().splitlines()
    text = json.loads(log[item.message - 1])["reply"]["examples"][item.item - 1]["fields"]["text"]
    top = document.text[: document.text.index("Taught nothing")]
    assert "is a near copy of a private one. Read this one first:" in top
    assert words(text) in words(top)
    assert f"item {item.item} of message {item.message} of cells/generated-n4-r1/messages.jsonl" in top
    assert f"line {line} of cells/generated-n4-r1/closeness.csv" in top
    anchor = f"m-generated-n4-r1-{item.message}-{item.item}"
    assert next(a["href"] for a in document.all("a")) == f"#{anchor}"
    page = (folder / "report.html").read_text()
    target = re.search(f'<pre id="{re.escape(anchor)}">(.*?)</pre>', page, re.DOTALL)
    assert target
    assert words(text) in words(Document(f"<pre>{target[1]}</pre>").text)
    # The page unfolds where it leads to.
    before = page[: target.start()]
    unfolded = re.findall(r"<(/?)details[^>]*?( open)?>", before)
    stack: list[str] = []
    for end, is_open in unfolded:
        stack.pop() if end else stack.append(is_open)
    assert stack == [" open", " open"]


def test_every_link_leads_somewhere_however_long_the_log(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = folder / "cells" / "generated-n4-r0" / "messages.jsonl"
    log.write_text(log.read_text() * 60)  # the messages of r1 are beyond those shown
    document = Document(write_report(folder, load_result(folder)).read_text())
    ids = {attributes.get("id") for _, attributes in document.elements}
    links = [a["href"][1:] for a in document.all("a")]
    assert any(link.startswith("m-generated-n4-r1-") for link in links)
    assert set(links) <= ids


def test_older_evidence_without_places_is_told_without_a_link(folder: Path) -> None:
    for file in folder.glob("cells/*/closeness.csv"):
        rows = file.read_text().replace(",message,item", "").splitlines()
        file.write_text("\n".join([rows[0], *(row.rsplit(",", 2)[0] for row in rows[1:])]) + "\n")
    document = Document(write_report(folder, load_result(folder)).read_text())
    assert "a message that this older file does not name" in document.text
    assert not [a for a in document.all("a") if a["href"].startswith("#m-")]


def test_the_terminal_says_first_what_came_nearest_and_shows_no_text(folder: Path) -> None:
    stream = StringIO()
    show_result(load_result(folder), Console(width=80, file=stream, color_system=None))
    told = words(stream.getvalue())
    assert "is a near copy of a private one. Read this one first:" in told
    assert "distance 0.04" in told
    assert told.index("near copy") < told.index("What left the silos, held against them")
    assert max(map(len, stream.getvalue().splitlines()[:-1])) <= 80


def test_numbers_of_owners_are_refused_for_a_run_that_measured_itself(folder: Path) -> None:
    (folder / "owners").mkdir()
    (folder / "owners" / "teacher-1.json").write_text("{}")
    with pytest.raises(RunFolderError, match="this run measured closeness itself"):
        privacy_of(folder, short(arms=["zero-shot", "generated", "voted", "instruction"], repeats=2), "x", None)


@pytest.mark.parametrize(
    ("came", "kept", "places"),
    [
        ("abc", "abc", {1: 1, 2: 2, 3: 3}),
        ("abc", "ac", {1: 1, 3: 2}),
        ("aab", "ab", {1: 1, 3: 2}),
        ("abc", "", {}),
        ("", "", {}),
    ],
)
def test_items_are_found_again_among_those_that_were_kept(came: str, kept: str, places: dict[int, int]) -> None:
    def examples(texts: str) -> list[Example]:
        return [Example(fields={"text": text}, answer="spam") for text in texts]

    assert places_of(examples(came), examples(kept)) == places
