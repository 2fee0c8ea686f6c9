"""The carrier over Flower and the courier at a site, with a grid in this process: no SuperLink."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("flwr", reason="flwr is not installed: pip install 'social-learning[flower]'")

from flwr.app import ConfigRecord, Context, Error, Message, RecordDict
from flwr.serverapp import Grid
from flwr.supercore.task_identity import TaskIdentity
from google.protobuf.message import DecodeError

from social_learning.experiment import run
from social_learning.flower import SWITCHED_OFF, courier
from social_learning.flower.carrier import Clock, GridCarrier, find_teachers
from social_learning.flower.client import app as client_app
from social_learning.flower.letters import ASK, ENQUIRY, MISSING, RESPONSE, TEACHER, WHO, content, text_of
from social_learning.remote import learn
from social_learning.transports.carrier import Missing
from tests.silos import DeskCarrier, lessons, short, silo_files


class Time:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.time = 0.0

    def clock(self) -> Clock:
        return Clock(lambda: self.time, self._sleep, 1.0)

    def _sleep(self, seconds: float) -> None:
        self.time += seconds


class FakeGrid(Grid):  # type: ignore[misc]  # to mypy flwr's classes are Any
    """Nodes in this process: each is a function from a letter to the replies it sends, if any."""

    def __init__(self, nodes: dict[int, Callable[[Message], list[Message]]]) -> None:
        self.nodes = nodes
        self.sent: list[Message] = []
        self.waiting: list[Message] = []
        self.later: list[Message] = []
        self.unreadable: dict[str, Exception] = {}

    def set_run(self, run: Any) -> None: ...

    @property
    def run(self) -> Any:
        return 0

    def create_message(self, *args: Any, **kwargs: Any) -> Message: ...

    def get_node_ids(self) -> Iterable[int]:
        return list(self.nodes)

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        ids = []
        for message in messages:
            self.sent.append(message)
            message.metadata.__dict__["_message_id"] = f"m{len(self.sent)}"
            ids.append(f"m{len(self.sent)}")
            self.waiting += self.nodes[message.metadata.dst_node_id](message)
        return ids

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        # As Flower does it: what is handed out is gone, also where one reply of the batch cannot be read.
        asked = set(message_ids)
        came = [message for message in self.waiting if message.metadata.reply_to_message_id in asked]
        late = [message for message in self.later if message.metadata.reply_to_message_id in asked]
        self.waiting = [message for message in self.waiting if message not in came] + late
        self.later = [message for message in self.later if message not in late]
        for id in asked & set(self.unreadable):
            raise self.unreadable.pop(id)
        return came

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        raise NotImplementedError


@pytest.fixture(autouse=True)
def identity(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Flower sets in its own processes, and messages need."""
    for name in ("_run_id", "_node_id", "_task_id"):
        monkeypatch.setattr(TaskIdentity, name, 1)


def context(**node: Any) -> Context:
    return Context(run_id=1, node_id=7, node_config=node, state=RecordDict(), run_config={})


def says(key: str, text: str) -> Callable[[Message], list[Message]]:
    return lambda message: [Message(content(key, text), reply_to=message)]


def node_of(name: str, carrier: DeskCarrier) -> Callable[[Message], list[Message]]:
    """A site with an honest teacher."""

    def node(message: Message) -> list[Message]:
        if message.metadata.message_type == WHO:
            return says(TEACHER, name)(message)
        answer = dict(carrier.carry({name: (text_of(message, ENQUIRY) or "").encode()}))[name]
        return says(RESPONSE, "" if isinstance(answer, Missing) else answer.decode())(message)

    return node


def test_lessons_over_flower_are_those_of_one_process(tmp_path: Path) -> None:
    with ExitStack() as stack:
        desks = DeskCarrier(silo_files(tmp_path / "silos"), stack)
        grid = FakeGrid({10 + n: node_of(f"teacher-{n}", desks) for n in (3, 1, 2)})
        clock = Time().clock()
        experiment = short(remote={"timeout": 5})
        nodes = find_teachers(grid, experiment.teacher_names, {}, 10, clock)
        assert nodes == {"teacher-1": 11, "teacher-2": 12, "teacher-3": 13}
        learn(experiment, GridCarrier(grid, nodes, 5, clock), tmp_path / "there")
    run(short(), tmp_path / "here")
    assert lessons(tmp_path / "there") == lessons(tmp_path / "here")
    assert all(message.metadata.ttl == 5 for message in grid.sent if message.metadata.message_type == ASK)


def test_what_nodes_do_wrong_is_a_missing_teacher_and_late_or_doubled_replies_change_nothing() -> None:
    def doubled(message: Message) -> list[Message]:
        return [*says(RESPONSE, "first")(message), *says(RESPONSE, "second")(message)]

    def unasked(message: Message) -> list[Message]:
        reply = Message(content(RESPONSE, "unasked"), reply_to=message)
        reply.metadata.__dict__["_reply_to_message_id"] = "never sent"
        return [reply]

    def error(code: int) -> Callable[[Message], list[Message]]:
        return lambda message: [Message(Error(code, "private words"), reply_to=message)]

    def two(message: Message) -> list[Message]:
        both = RecordDict({RESPONSE: ConfigRecord({"text": "a"}), "more": ConfigRecord({"text": "b"})})
        return [Message(both, reply_to=message)]

    def unreadable(message: Message) -> list[Message]:
        grid.unreadable[message.metadata.message_id] = DecodeError("private words")
        return []

    grid = FakeGrid(
        {
            0: unreadable, 1: doubled, 2: unasked, 3: error(3), 4: error(5), 5: error(2), 6: lambda _: [],
            7: says(MISSING, "hung_up"), 8: says(MISSING, "a word of its own"), 9: two, 10: says("other", "x"),
            11: says(RESPONSE, "\ud800"),
        }
    )  # fmt: skip
    carrier = GridCarrier(grid, {f"t{node}": node for node in grid.nodes}, 3, Time().clock())
    came = list(carrier.carry({f"t{node}": b"{}" for node in [*grid.nodes, 99]}))
    assert len(came) == len(dict(came))
    assert dict(came) == {
        "t0": Missing("garbage"),
        "t1": b"first",
        "t3": Missing("timed_out"),
        "t4": Missing("unreachable"),
        "t5": Missing("failed"),
        "t7": Missing("hung_up"),
        "t8": Missing("garbage"),
        "t9": Missing("garbage"),
        "t10": Missing("garbage"),
        "t11": b"?",
        "t99": Missing("unreachable"),
    }
    grid.nodes = {node: says(RESPONSE, "now") for node in grid.nodes}
    grid.waiting = doubled(grid.sent[0])
    assert list(carrier.carry({"t1": b"{}"})) == [("t1", b"now")]


@pytest.mark.parametrize("taken", ["none", "all but one"])
def test_what_the_superlink_does_not_take_is_unreachable_at_once(taken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    grid = FakeGrid({1: says(RESPONSE, "now"), 2: says(RESPONSE, "now")})
    push = grid.push_messages
    monkeypatch.setattr(
        grid, "push_messages", lambda messages: [] if taken == "none" else [*push(messages[:1]), *[None]]
    )
    time = Time()
    came = dict(GridCarrier(grid, {"t1": 1, "t2": 2}, 3, time.clock()).carry({"t1": b"{}", "t2": b"{}"}))
    first = Missing("unreachable") if taken == "none" else b"now"
    assert came == {"t1": first, "t2": Missing("unreachable")}


def test_a_node_that_sends_bytes_that_cannot_be_read_is_nobody() -> None:
    grid = FakeGrid({})

    def unreadable(message: Message) -> list[Message]:
        grid.unreadable[message.metadata.message_id] = UnicodeDecodeError("utf-8", b"", 0, 1, "")
        return []

    grid.nodes = {1: unreadable, 2: says(TEACHER, "ann")}
    assert find_teachers(grid, ("ann", "bo"), {}, 2, Time().clock()) == {"ann": 2}


def test_a_name_that_two_nodes_claim_belongs_to_neither_unless_it_is_pinned() -> None:
    nodes = {
        1: says(TEACHER, "ann"),
        2: says(TEACHER, "bo"),
        3: says(TEACHER, "bo"),
        4: says(TEACHER, "cy"),
        5: lambda _: [],
    }
    names = ("ann", "bo", "dan")
    assert find_teachers(FakeGrid(nodes), names, {}, 3, Time().clock()) == {"ann": 1}
    assert find_teachers(FakeGrid(nodes), names, {"bo": 3}, 3, Time().clock()) == {"ann": 1, "bo": 3}
    everyone = dict(zip(names, (1, 2, 3), strict=True))
    grid = FakeGrid(nodes)
    assert find_teachers(grid, names, everyone, 3, Time().clock()) == everyone
    assert not grid.sent


def test_a_name_is_not_given_to_the_quicker_of_two_nodes() -> None:
    grid = FakeGrid({})

    def slow(message: Message) -> list[Message]:
        grid.later = says(TEACHER, "ann")(message)
        return []

    grid.nodes = {1: says(TEACHER, "ann"), 2: slow, 3: says(TEACHER, "bo")}
    assert find_teachers(grid, ("ann", "bo"), {}, 10, Time().clock()) == {"bo": 3}


def letter(text: str, kind: str = ASK, key: str = ENQUIRY) -> Message:
    message = Message(content(key, text), 7, kind, ttl=1.0)
    message.metadata.__dict__["_message_id"] = "m"
    return message


@pytest.mark.parametrize(
    ("text", "node", "reason"),
    [
        ("{}", {}, "failed"),
        ("{}", {"socket": 7}, "failed"),
        ("{}", {"socket": "/nowhere/teacher.sock"}, "unreachable"),
        ("{}\n{}", {"socket": "/nowhere/teacher.sock"}, "failed"),
        ("{}", {"socket": "\ud800"}, "failed"),
        ("{}", {"partition-id": 0, "num-partitions": 3}, "failed"),
    ],
)
def test_a_courier_tells_only_fixed_words(text: str, node: dict[str, Any], reason: str) -> None:
    assert text_of(client_app(letter(text), context(**node)), MISSING) == reason


def test_a_courier_forwards_enquiries_only() -> None:
    reply = client_app(letter("{}", key="other"), context(socket="/nowhere/teacher.sock"))
    assert text_of(reply, MISSING) == "failed"


def test_a_courier_says_for_whom_it_carries() -> None:
    assert text_of(client_app(letter("?", WHO, TEACHER), context(teacher="ann")), TEACHER) == "ann"
    for node in ({}, {"teacher": "../x"}, {"teacher": 7}):
        assert text_of(courier.say_who(letter("?", WHO, TEACHER), context(**node)), TEACHER) == ""


def test_telemetry_updates_and_installs_are_off_where_nobody_asked_for_them() -> None:
    code = "import json, os, social_learning.flower as f; from flwr.supercore.telemetry import FLWR_TELEMETRY_ENABLED as on"
    code += "; print(json.dumps([on, {name: os.environ[name] for name in f.SWITCHED_OFF}]))"
    environment = {name: value for name, value in os.environ.items() if name not in SWITCHED_OFF}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == ["0", SWITCHED_OFF]


def test_simulated_teachers_are_those_of_one_process(tmp_path: Path) -> None:
    file = tmp_path / "short.toml"
    file.write_text(
        'task = "phone_messages"\nrepeats = 1\nshots = [4]\narms = ["zero-shot", "generated", "voted", "instruction"]\n'
        'name = "short"\ndata = { test_rows = 20 }\nteachers = { model = "fake:mixer", count = 3 }\n'
        'student = { model = "fake:mixer" }\n[remote]\n'
    )

    def node(number: int) -> Callable[[Message], list[Message]]:
        told = context(**{"partition-id": number, "num-partitions": 3})
        told.run_config = {"experiment": str(file), "data": ""}
        return lambda message: [client_app(message, told)]

    grid = FakeGrid({10 + n: node(n) for n in range(3)})
    experiment = short(remote={})
    clock = Time().clock()
    nodes = find_teachers(grid, experiment.teacher_names, {}, 10, clock)
    learn(experiment, GridCarrier(grid, nodes, 60, clock), tmp_path / "there")
    run(short(), tmp_path / "here")
    assert lessons(tmp_path / "there") == lessons(tmp_path / "here")
    replies = [json.loads(line) for line in (tmp_path / "there" / "replies.jsonl").read_text().splitlines()]
    assert {reply["teacher"] for reply in replies if "teacher" in reply} == set(nodes)
