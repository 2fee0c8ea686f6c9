"""Departures: each item that left has its place in the message log, whoever was first and whatever was dropped."""

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from social_learning.config import cells_of
from social_learning.corpus import load_corpus
from social_learning.departures import Departures
from social_learning.errors import EvaluationError
from social_learning.experiment import run
from social_learning.guards import Origin, Private, private_texts
from social_learning.lesson import Lesson
from social_learning.messages import (
    Reply,
    ReplyExamples,
    ReplyInstruction,
    ReplyVote,
    Request,
    RequestExamples,
    RequestInstruction,
    RequestVote,
)
from social_learning.preflight import silos_for
from social_learning.privacy.closeness import longest_run
from social_learning.privacy.detectors import shared
from social_learning.privacy.evidence import Closeness, from_csv, to_csv
from social_learning.protocols.base import Ask, Protocol
from social_learning.records import read_closeness
from social_learning.task import Example
from social_learning.tasks import BUILT_IN
from social_learning.teacher import Departure
from social_learning.transports.local import Together, drive
from tests.silos import short

SMS = BUILT_IN["phone_messages"].task
ORIGIN = Origin(Private(SMS, []))


def message(text: str) -> Example:
    return Example(fields={"text": text}, answer="spam")


class Telling:
    """A teacher that tells of what departs as a real one does: two texts on request, of which some replies drop the first."""

    def __init__(self, name: str, departed: Callable[[Departure], None]) -> None:
        self.name, self.departed = name, departed

    def answer(self, request: Request) -> Reply:
        if isinstance(request, RequestVote):
            return ReplyVote(teacher=self.name, round=request.round, choice=0)
        texts = [f"{self.name} {request.kind} {request.round} {n}" for n in range(2)][request.round % 2 :]
        if isinstance(request, RequestInstruction):
            self.departed(Departure(self.name, texts[-1], ORIGIN))
            return ReplyInstruction(teacher=self.name, round=request.round, instruction=texts[-1])
        for text in texts:
            self.departed(Departure(self.name, message(text), ORIGIN))
        return ReplyExamples(teacher=self.name, round=request.round, examples=tuple(map(message, texts)))


def backwards(jobs: Sequence[Callable[[], Reply]]) -> list[Reply]:
    """The last teacher answers first."""
    return [job() for job in jobs[::-1]][::-1]


def at_once(jobs: Sequence[Callable[[], Reply]]) -> list[Reply]:
    with ThreadPoolExecutor(len(jobs)) as pool:
        return list(pool.map(lambda job: job(), jobs))


def teaching() -> Protocol:
    """Several messages of each teacher, of every kind, and two requests of one round."""
    names = ("c", "a", "b")
    for round in range(3):
        yield Ask(RequestExamples(round=round, count=2, shots=1, samples=2), names[round % 2 :])
        yield Ask(RequestVote(round=round, candidates=(message("x"),)), names)
        yield Ask(RequestInstruction(round=round, shots=1, samples=1), names[:2])
    return Lesson(task=SMS)


@pytest.mark.parametrize("together", [backwards, at_once])
def test_every_item_is_found_at_its_place_in_the_log(together: Together) -> None:
    log: list[Reply] = []
    departures = Departures(lambda _, reply: log.append(reply))
    teachers = {name: Telling(name, departures.departed) for name in "abc"}
    drive(teaching(), teachers, departures.sent, together=together)
    placed = departures.placed
    assert [departure.teacher for departure in placed] == sorted(departure.teacher for departure in placed)
    for departure in placed:
        reply = log[departure.message - 1]
        assert reply.teacher == departure.teacher
        items = reply.examples if isinstance(reply, ReplyExamples) else [reply.instruction]  # type: ignore[union-attr]
        assert items[departure.number - 1] == departure.item
    sent = sum(len(r.examples) if isinstance(r, ReplyExamples) else r.kind == "instruction" for r in log)
    assert len({(d.message, d.number) for d in placed}) == len(placed) == sent


def test_a_reply_that_is_not_what_departed_is_refused() -> None:
    departures = Departures(lambda *_: None)
    departures.departed(Departure("a", message("one"), ORIGIN))
    departures.departed(Departure("a", message("two"), ORIGIN))
    request = RequestExamples(round=0, count=1, shots=1, samples=1)
    with pytest.raises(EvaluationError, match="message 1 of 'a' does not hold what left"):
        departures.sent(request, ReplyExamples(teacher="a", round=0, examples=(message("two"),)))


def test_a_run_writes_down_the_place_of_every_item_that_left(tmp_path: Path) -> None:
    arms = ["zero-shot", "original", "generated", "voted", "instruction"]
    experiment = short(arms=arms, repeats=2, privacy={"record_originals": True})
    run(experiment, tmp_path / "run")
    corpus = load_corpus(experiment, None)
    for arm, key in cells_of(experiment):
        folder = tmp_path / "run" / "cells" / key.name
        items = read_closeness(tmp_path / "run", key)
        left = [item for item in items if item.group == "left"]
        # Controls have the place of what they are measured beside.
        places = [(item.message, item.item) for item in left]
        assert all([(i.message, i.item) for i in items if i.group == g] == places for g in ("verbatim", "public"))
        lines = [json.loads(line) for line in (folder / "messages.jsonl").read_text().splitlines()] if items else []
        texts = {
            (number, place): (line["reply"]["teacher"], item)
            for number, line in enumerate(lines, start=1)
            for place, item in enumerate(_items(line["reply"]), start=1)
        }
        assert sorted(places) == sorted(texts)
        silos = {silo.name: silo for silo in silos_for(experiment, arm, corpus, key.repeat)} if items else {}
        for item in left:
            teacher, text = texts[item.message, item.item]
            assert teacher == item.teacher
            private = Private(corpus.task, silos[teacher].everything)
            fields = [text] if isinstance(text, str) else list(private_texts(corpus.task, Example.model_validate(text)))
            assert item.run == max(longest_run(field, private) for field in fields)
            counts = shared(private.found, "\n".join(fields))
            assert (item.names, item.numbers) == (counts.get("names", 0), counts.get("numbers", 0))


def _items(reply: dict[str, object]) -> list[object]:
    found = reply.get("examples", [reply.get("instruction")])
    assert isinstance(found, list)
    return [item for item in found if item is not None]


def test_files_without_places_are_still_read() -> None:
    items = [Closeness("teacher-1", "left", False, 0.5, 3, names=2, message=7, item=2)]
    assert from_csv(to_csv(items)) == items
    head, row = to_csv(items).splitlines()
    old = "\n".join((head.removesuffix(",message,item,changed"), row.removesuffix(",7,2,"))) + "\n"
    assert [(item.names, item.message, item.item) for item in from_csv(old)] == [(2, 0, 0)]
