"""Traces: every measured item of a run with its place: the cell, the message, and the line of the file that its numbers are in.

The numbers are the run's own (closeness.csv of each cell), or such as owners of served silos handed over (owners/NAME.json).
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from social_learning.config import Arm, Experiment, cells_of
from social_learning.errors import MessageError, RunFolderError
from social_learning.messages import ReplyExamples, response_from_json
from social_learning.privacy.evidence import Closeness
from social_learning.privacy.handed import Handed, HandedItem, read_handed
from social_learning.records import read_closeness
from social_learning.report.leaving import log_lines, message_file
from social_learning.results import CellKey
from social_learning.task import Example
from social_learning.transports.remote import enquiry_id


@dataclass(frozen=True, slots=True)
class Trace:
    """One measured item. `file` is relative to the run folder; `place` says where in it the item's numbers are."""

    item: Closeness
    key: CellKey
    file: str
    place: str


@dataclass(slots=True)
class ArmTraces:
    """The items of an arm at one number of shots: what left, and the controls."""

    arm: Arm
    shots: int
    left: list[Trace] = field(default_factory=list)
    others: list[Closeness] = field(default_factory=list)

    @property
    def items(self) -> list[Closeness]:
        """What left, then the controls."""
        return [*(trace.item for trace in self.left), *self.others]

    @property
    def public(self) -> list[Closeness]:
        """The public control."""
        return [item for item in self.others if item.group == "public"]

    def add(self, trace: Trace) -> None:
        """Add one item to its group."""
        if trace.item.group == "left":
            self.left.append(trace)
        else:
            self.others.append(trace.item)


@dataclass(frozen=True, slots=True)
class Owners:
    """What owners handed over: of which teachers, who has not, and what left a silo but is in no message of this run, as
    (teacher, items, least distance).
    """

    handed: tuple[str, ...] = ()
    waited_for: tuple[str, ...] = ()
    elsewhere: tuple[tuple[str, int, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Traces:
    """All items of a run. `unmeasured` are cells in which a text left and none was measured."""

    arms: tuple[ArmTraces, ...]
    owners: Owners | None
    unmeasured: tuple[str, ...]


def asked_cells(folder: Path, experiment: Experiment) -> list[tuple[Arm, CellKey]]:
    """Return the cells for which teachers were asked, as far as the folder holds anything of them: finished ones, and such as
    ended without a lesson.
    """
    names = ("cell.json", "failed.json", "messages.jsonl")
    cells = [(arm, key) for arm, key in cells_of(experiment) if arm.drawn]
    return [(a, key) for a, key in cells if any((folder / "cells" / key.name / name).is_file() for name in names)]


def traces_of(folder: Path, experiment: Experiment) -> Traces:
    """Read all items of a run folder. Raises RunFolderError where a file is damaged, or owners handed over what is refused."""
    cells = asked_cells(folder, experiment)
    arms = {(key.arm, key.shots): ArmTraces(arm, key.shots) for arm, key in cells}
    owners = None
    if experiment.remote is None:
        _refuse_owners(folder)
        found: Iterable[Trace] = _measured_here(folder, cells)
    else:
        files = _handed(folder, experiment)
        found, owners = _by_owners(folder, [key for _, key in cells], files, experiment.teacher_names)
    measured = set[CellKey]()
    for trace in found:
        arms[trace.key.arm, trace.key.shots].add(trace)
        measured.add(trace.key)
    without = [key.name for _, key in cells if key not in measured and _has_text(message_file(folder, key))]
    return Traces(tuple(arms.values()), owners, tuple(without))


def _has_text(log: Path) -> bool:
    """Whether a log holds a text, or a line that cannot be read and may hold one."""
    return any(line is None or line.texts for _, line in log_lines(log))


def _measured_here(folder: Path, cells: Sequence[tuple[Arm, CellKey]]) -> Iterator[Trace]:
    for _, key in cells:
        file = f"cells/{key.name}/closeness.csv"
        for line, item in enumerate(read_closeness(folder, key), start=2):  # the first line has the columns' names
            yield Trace(item, key, file, f"line {line}")


def _refuse_owners(folder: Path) -> None:
    if any(folder.glob("owners/*.json")):
        raise RunFolderError(
            f"{folder / 'owners'}: this run measured closeness itself, no owner has numbers to hand over"
        )


def _handed(folder: Path, experiment: Experiment) -> list[Handed]:
    files = sorted(folder.glob("owners/*.json"))
    name = folder / "run-name"
    if files and not name.is_file():
        raise RunFolderError(f"{name} is missing: what owners handed over cannot be told to be of this run")
    run = name.read_text(encoding="utf-8").strip() if files else ""
    return [read_handed(file, experiment.teacher_names, run) for file in files]


def _by_owners(
    folder: Path, keys: Sequence[CellKey], files: Sequence[Handed], teachers: Sequence[str]
) -> tuple[list[Trace], Owners]:
    """Find the messages that owners' numbers are about: by the teacher and the id of the enquiry, which follows from its request.

    The same reply may serve several cells.
    """
    by_reply: dict[tuple[str, str], list[tuple[int, HandedItem]]] = defaultdict(list)
    for handed in files:
        for number, item in enumerate(handed.items, start=1):
            by_reply[handed.teacher, item.id].append((number, item))
    came = _kept_items(folder) if files else {}
    found, seen = list[Trace](), set[tuple[str, str]]()
    for key in keys:
        for message, line in log_lines(message_file(folder, key)):
            if line is None:
                continue
            teacher, id = line.reply.teacher, enquiry_id(key.repeat, line.request)
            seen.add((teacher, id))
            places = {1: 1}  # an instruction
            if isinstance(line.reply, ReplyExamples):
                places = places_of(came.get((teacher, id), ()), line.reply.examples)
            for number, item in by_reply.get((teacher, id), ()):
                placed = item.placed(teacher, message, places.get(item.item, 0))
                found.append(Trace(placed, key, f"owners/{teacher}.json", f"item {number}"))
    lost = {reply: [i for _, i in items if i.group == "left"] for reply, items in by_reply.items() if reply not in seen}
    elsewhere = tuple(
        (handed.teacher, len(items), min(item.distance for item in items))
        for handed in files
        if (items := [item for (teacher, _), some in lost.items() if teacher == handed.teacher for item in some])
    )
    handed_in = tuple(handed.teacher for handed in files)
    waited_for = tuple(name for name in teachers if name not in handed_in)
    return found, Owners(handed_in, waited_for, elsewhere)


def _kept_items(folder: Path) -> Mapping[tuple[str, str], Sequence[Example]]:
    """The examples of each reply as it came in, before any was taken out, by teacher and id."""
    file = folder / "replies.jsonl"
    if not file.is_file():
        return {}
    found: dict[tuple[str, str], Sequence[Example]] = {}
    with file.open(encoding="utf-8") as stream:
        for number, line in enumerate(stream, start=1):
            try:
                table: dict[str, Any] = json.loads(line)
                if "response" in table:
                    reply = response_from_json(table["response"]).reply
                    if isinstance(reply, ReplyExamples):
                        found.setdefault((table["teacher"], table["id"]), reply.examples)
            except (ValueError, KeyError, TypeError, MessageError):
                raise RunFolderError(f"{file}, line {number}, is damaged") from None
    return found


def places_of(came: Sequence[Example], kept: Sequence[Example]) -> dict[int, int]:
    """Return, for the number of each item as it came, its number among those kept, which are in the same order; without those
    taken out. Numbers count from 1.
    """
    places: dict[int, int] = {}
    for number, example in enumerate(came, start=1):
        if len(places) < len(kept) and example == kept[len(places)]:
            places[number] = len(places) + 1
    return places
