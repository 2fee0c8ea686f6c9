"""A teacher as a process of its own: its socket, and what it survives."""

import errno
import json
import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from social_learning.messages import (
    Enquiry,
    RequestExamples,
    RequestInstruction,
    RequestOriginals,
    Response,
    response_from_json,
    to_json,
)
from social_learning.serving.outbox import read_outbox, verify
from social_learning.serving.server import CONNECTIONS
from social_learning.serving.silo_file import load_silo, load_silo_file
from tests.silos import end, serve, silo_files


@pytest.fixture
def silo(tmp_path: Path) -> Path:
    return silo_files(tmp_path)[0]


@pytest.fixture
def start(silo: Path) -> Iterator[Callable[[], "subprocess.Popen[str]"]]:
    started: list[subprocess.Popen[str]] = []

    def go() -> "subprocess.Popen[str]":
        started.append(serve(silo))
        return started[-1]

    yield go
    for process in started:
        if process.poll() is None:
            end(process)
        for stream in (process.stdout, process.stderr):
            if stream:
                stream.close()


def examples(round: int = 0, count: int = 2) -> RequestExamples:
    return RequestExamples(round=round, count=count, shots=8, samples=8, way="label-first", self_check=True)


def send(silo: Path, raw: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(str(silo.parent / "teacher.sock"))
        connection.sendall(raw)
        connection.shutdown(socket.SHUT_WR)
        return connection.makefile("rb").read()


def ask(silo: Path, id: str = "i", request: RequestExamples | RequestInstruction | None = None) -> Response:
    enquiry = Enquiry(run="r", id=id, repeat=0, request=request or examples())
    return response_from_json(send(silo, to_json(enquiry).encode() + b"\n"))


@pytest.mark.usefixtures("open_umask")
def test_it_answers_on_a_socket_that_is_its_owners_alone(silo: Path, start: Callable[[], object]) -> None:
    start()
    mode = (silo.parent / "teacher.sock").stat().st_mode
    assert mode & 0o777 == 0o600
    assert (silo.parent / "state").stat().st_mode & 0o077 == 0
    response = ask(silo)
    assert response.reply
    assert response.reply.teacher == "teacher-1"


def test_what_it_answered_survives_a_kill(silo: Path, start: Callable[[], "subprocess.Popen[str]"]) -> None:
    first = start()
    (silo.parent / "policy.toml").write_text("[per_run]\nrequests = 2\ntexts = 100\nvotes = 1\n")
    before = ask(silo)
    end(first, kill=True)
    assert (silo.parent / "teacher.sock").exists()
    start()
    assert ask(silo) == before
    assert ask(silo, "j", examples(1)).reply
    assert ask(silo, "k", examples(2)).refused == "over_run_cap"
    entries = list(read_outbox(silo.parent / "state" / "outbox.jsonl"))
    assert [entry.refused for entry in entries] == [None, None, "over_run_cap"]


def test_a_live_socket_whose_queue_is_full_is_not_taken_for_a_dead_one(silo: Path, start: Callable[[], object]) -> None:
    path = silo.parent / "teacher.sock"
    with socket.socket(socket.AF_UNIX) as busy, ExitStack() as stack:
        busy.bind(str(path))
        busy.listen(0)
        waiting = [stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(8)]
        for one in waiting:
            one.setblocking(False)
        assert errno.EAGAIN in [one.connect_ex(str(path)) for one in waiting]
        with pytest.raises(RuntimeError, match="in use: another teacher listens there"):
            start()
        assert path.exists()


def test_it_stops_when_told_to_and_leaves_no_socket(silo: Path, start: Callable[[], "subprocess.Popen[str]"]) -> None:
    process = start()
    end(process)
    assert process.returncode == 0
    assert not (silo.parent / "teacher.sock").exists()


def test_one_silo_is_served_once(silo: Path, start: Callable[[], object]) -> None:
    start()
    with pytest.raises(RuntimeError, match="already being served"):
        serve(silo)


def test_a_broken_silo_is_told_in_one_line_and_without_its_words(silo: Path) -> None:
    rows = silo.parent / "examples.jsonl"
    rows.write_text(rows.read_text() + json.dumps({"text": "quince jelly", "answer": "neither"}) + "\n")
    with pytest.raises(RuntimeError, match=r"error: .*row \d+, field 'answer'") as caught:
        serve(silo)
    assert "quince" not in str(caught.value)
    assert not (silo.parent / "teacher.sock").exists()


def test_hostile_couriers_get_refusals_and_others_are_still_served(silo: Path, start: Callable[[], object]) -> None:
    start()
    path = str(silo.parent / "teacher.sock")
    answered = [send(silo, raw) for raw in (b"GET / HTTP/1.1\n", b"{}\n", b"\0" * 1000 + b"\n")]
    assert {response_from_json(raw).refused for raw in answered} == {"unreadable"}
    originals = Enquiry(run="r", id="o", repeat=0, request=RequestOriginals(round=0, count=1))
    assert response_from_json(send(silo, to_json(originals).encode() + b"\n")).refused == "not_allowed"
    assert send(silo, b"no end of line") == b""
    idle = [socket.socket(socket.AF_UNIX) for _ in range(CONNECTIONS)]
    try:
        for connection in idle:
            connection.connect(path)
            connection.sendall(b"x")
    finally:
        for connection in idle:
            connection.close()
    silo_words = {word for row in load_silo(load_silo_file(silo)).everything for word in row.fields["text"].split()}
    assert not [word for word in silo_words if len(word) > 12 and any(word.encode() in raw for raw in answered)]
    assert ask(silo).reply
    assert verify(silo.parent / "state" / "outbox.jsonl").entries == 2


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to become another user")
def test_another_user_cannot_connect_nor_read(silo: Path, start: Callable[[], object], tmp_path: Path) -> None:
    start()
    for folder in (*tmp_path.parents, tmp_path, silo.parent):
        if folder.stat().st_uid == os.getuid() and folder != Path("/"):
            folder.chmod(0o755)  # only the socket's and the files' own permissions are left to hold
    code = (
        "import socket, sys\n"
        "for path in sys.argv[1:]:\n"
        "    try:\n"
        "        socket.socket(socket.AF_UNIX).connect(path) if path.endswith('sock') else open(path).read()\n"
        "        print('open', path)\n"
        "    except PermissionError:\n"
        "        print('refused')\n"
    )
    paths = [
        silo.parent / name
        for name in ("teacher.sock", "examples.jsonl", "held_out.jsonl", "state/outbox.jsonl", "state/calls.sqlite")
    ]
    told = subprocess.run(
        ["/usr/bin/env", "python3", "-c", code, *map(str, paths)],
        user=65534, group=65534, extra_groups=[], capture_output=True, text=True, check=False, env={"PATH": os.environ["PATH"]},
    )  # fmt: skip
    assert told.stdout.split("\n")[:-1] == ["refused"] * len(paths), told.stderr
