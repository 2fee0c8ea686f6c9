"""Teachers of their own: the same lesson as in one process, with faults, and resumed."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from social_learning.config import parse_experiment
from social_learning.corpus import load_test
from social_learning.errors import ConfigError, IncompleteError, ModelError, RunFolderError, TeachingError
from social_learning.experiment import run
from social_learning.lesson import Lesson
from social_learning.models.base import Capabilities
from social_learning.models.fakes import MixerModel
from social_learning.remote import learn, socket_carrier
from social_learning.report import load_result
from social_learning.report.attendance import attendance_lines
from social_learning.results import CellKey
from social_learning.serving.outbox import read_outbox
from social_learning.serving.policy import Policy
from social_learning.serving.silo_file import load_policy, load_silo_file
from social_learning.transports.carrier import Missing
from social_learning.transports.sockets import SocketCarrier, ask_socket
from tests.clocks import STEADY
from tests.silos import SHORT, DeskCarrier, cli, end, lessons, serve, short, silo_files

REMOTE: dict[str, Any] = {"remote": {"timeout": 20}}
ONE_MISSING: dict[str, Any] = {"remote": {"timeout": 20, "min_teachers": 2}}


@pytest.fixture
def silos(tmp_path: Path) -> list[Path]:
    return silo_files(tmp_path / "silos")


@pytest.fixture
def carrier(silos: list[Path]) -> Iterator[DeskCarrier]:
    with ExitStack() as stack:
        yield DeskCarrier(silos, stack)


def test_lessons_are_those_of_teachers_in_one_process_byte_for_byte(carrier: DeskCarrier, tmp_path: Path) -> None:
    here = run(short(), tmp_path / "here", origin=STEADY)
    there = learn(short(**REMOTE), carrier, tmp_path / "there", origin=STEADY)
    assert lessons(tmp_path / "here") == lessons(tmp_path / "there")
    assert len(lessons(tmp_path / "there")) == 4
    assert [arm.accuracy for arm in here.arms] == [arm.accuracy for arm in there.arms]
    log = (tmp_path / "here" / "cells" / "voted-n4-r0" / "messages.jsonl").read_bytes()
    assert log == (tmp_path / "there" / "cells" / "voted-n4-r0" / "messages.jsonl").read_bytes()


def test_a_remote_run_takes_a_manual_arms_own_instruction(carrier: DeskCarrier, tmp_path: Path) -> None:
    arms = {"zero-shot": {}, "noted": {"method": "manual", "instruction": {"text": "Say spam or not spam."}}}
    learn(short(**REMOTE, arms=arms), carrier, tmp_path / "run")
    assert Lesson.load(tmp_path / "run" / "cells" / "noted-r0").instruction == "Say spam or not spam."
    assert not carrier.carried


def test_development_rows_take_the_place_of_a_test_file_of_ones_own(tmp_path: Path) -> None:
    for name, count in (("train", 8), ("test", 3)):
        rows = [{"text": f"{name} {n}", "answer": "spam" if n % 2 else "not spam"} for n in range(count)]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = {"train": str(tmp_path / "train.jsonl"), "test": str(tmp_path / "test.jsonl")}
    assert [e.fields["text"].split()[0] for e in load_test(short(data=data)).test] == ["test"] * 3
    held = load_test(short(data={**data, "development": 2}))
    assert [e.fields["text"].split()[0] for e in held.test] == ["train"] * 2


class Mute(MixerModel):
    """A student's model behind an endpoint that cannot score."""

    capabilities = Capabilities(scoring=False)


def test_a_student_whose_endpoint_cannot_do_what_it_needs_is_refused_before_any_teacher_is_asked(
    carrier: DeskCarrier, tmp_path: Path
) -> None:
    name = "openai:some-model@http://127.0.0.1:1/v1"
    # The teachers' model of the file has no part in it: theirs are elsewhere.
    experiment = short(**REMOTE, student={"model": name}, teachers={"model": "openai:x@http://127.0.0.1:1", "count": 3})
    with pytest.raises(ModelError, match="has no scoring of given continuations"):
        learn(experiment, carrier, tmp_path / "run", load=lambda name, **options: Mute(name))
    assert not carrier.carried


def test_only_what_the_outboxes_hold_crosses(carrier: DeskCarrier, silos: list[Path], tmp_path: Path) -> None:
    learn(short(**REMOTE), carrier, tmp_path / "run")
    crossed = {
        name: [json.loads(raw)["reply"] for who, _, raw in carrier.carried if who == name] for name in carrier.desks
    }
    for path in silos:
        entries = list(read_outbox(path.parent / "state" / "outbox.jsonl"))
        assert [json.loads(entry.reply or "") for entry in entries] == crossed[path.parent.name]
    # Policies, paths and whole private texts are nowhere among it.
    everything = b"\n".join(letter + raw for _, letter, raw in carrier.carried)
    texts = [
        json.loads(line)["text"] for path in silos for line in (path.parent / "examples.jsonl").read_text().splitlines()
    ]
    assert not [text for text in texts if text.encode() in everything]
    assert str(tmp_path).encode() not in everything


def test_a_finished_run_asks_nobody_again_and_a_stopped_one_only_for_the_rest(
    carrier: DeskCarrier, tmp_path: Path
) -> None:
    whole = learn(short(**REMOTE), carrier, tmp_path / "whole")
    asked = len(carrier.carried)
    learn(short(**REMOTE), carrier, tmp_path / "whole")
    assert len(carrier.carried) == asked

    carrier.faults["teacher-2"] = lambda raw: Missing("hung_up") if b'"kind":"vote"' in raw else raw
    with pytest.raises(
        TeachingError, match=r"2 of 3 teachers answered round 1 of voted-n4-r0; missing: teacher-2 \(hung_up\)"
    ):
        learn(short(**REMOTE), carrier, tmp_path / "stopped")
    carrier.faults.clear()
    before = carrier.carried[asked:]
    learn(short(**REMOTE), carrier, tmp_path / "stopped")
    after = carrier.carried[asked + len(before) :]
    got = {(name, letter) for name, letter, _ in before if not (name == "teacher-2" and b'"kind":"vote"' in letter)}
    assert not got & {(name, letter) for name, letter, _ in after}
    assert lessons(tmp_path / "stopped") == lessons(tmp_path / "whole")
    assert Path(whole.run).name == "whole"


def test_a_run_goes_on_with_the_teachers_that_answered_and_says_who_was_missing(
    carrier: DeskCarrier, tmp_path: Path
) -> None:
    carrier.faults["teacher-3"] = lambda _: b"garbage"
    learn(short(**ONE_MISSING, arms=["zero-shot", "generated"]), carrier, tmp_path / "run")
    key = CellKey("generated", 4, 0)
    assert attendance_lines(tmp_path / "run", [key]) == ["teacher-3 was missing in 5 rounds: garbage"]
    sources = json.loads(lessons(tmp_path / "run")[key.name])["sources"]
    assert {source["teacher"] for source in sources} <= {"teacher-1", "teacher-2"}


def test_too_few_teachers_end_a_cell_and_the_next_try_asks_them_again(carrier: DeskCarrier, tmp_path: Path) -> None:
    experiment = short(**ONE_MISSING, arms=["zero-shot", "generated"])
    carrier.faults |= {name: lambda _: Missing("unreachable") for name in ("teacher-1", "teacher-3")}
    with pytest.raises(TeachingError, match="1 of 3 teachers answered round 0"):
        learn(experiment, carrier, tmp_path / "run")
    carrier.faults.clear()
    learn(experiment, carrier, tmp_path / "run")
    asked = [name for name, letter, _ in carrier.carried if b'"round":0,"count"' in letter]
    assert sorted(asked) == ["teacher-1", "teacher-1", "teacher-2", "teacher-3", "teacher-3"]


def test_a_cell_without_a_lesson_fails_alone_and_the_next_try_does_only_it(
    carrier: DeskCarrier, tmp_path: Path
) -> None:
    carrier.faults["teacher-2"] = lambda raw: Missing("hung_up") if b'"kind":"vote"' in raw else raw
    with pytest.raises(IncompleteError, match=r"^1 of 4 cells have no lesson: repeat 1 of voted, 4 shots: ") as caught:
        learn(short(**REMOTE), carrier, tmp_path / "run")
    assert [arm.name for arm in caught.value.result.arms] == ["zero-shot", "generated", "instruction"]
    assert load_result(tmp_path / "run") == caught.value.result
    assert "repeat 1 of voted, 4 shots: no lesson (2 of 3 teachers" in (tmp_path / "run" / "report.html").read_text()
    carrier.faults.clear()
    before = len(carrier.carried)
    result = learn(short(**REMOTE), carrier, tmp_path / "run")
    assert [arm.name for arm in result.arms] == ["zero-shot", "generated", "voted", "instruction"]
    name, letter, _ = carrier.carried[before]
    assert (name, b'"kind":"vote"' in letter) == ("teacher-2", True)


def test_a_teacher_that_timed_out_is_not_waited_for_again_in_its_cell(carrier: DeskCarrier, tmp_path: Path) -> None:
    carrier.faults["teacher-1"] = lambda _: Missing("timed_out")
    learn(short(**ONE_MISSING, arms=["zero-shot", "voted"]), carrier, tmp_path / "run")
    assert sum(name == "teacher-1" for name, _, _ in carrier.carried) == 1
    assert sum(name == "teacher-2" for name, _, _ in carrier.carried) == 8


def test_a_round_that_ended_without_a_teacher_is_replayed_without_it(carrier: DeskCarrier, tmp_path: Path) -> None:
    experiment = short(**ONE_MISSING, arms=["zero-shot", "voted"])
    calls = 0

    def fails_first(raw: bytes) -> bytes | Missing:
        nonlocal calls
        calls += 1
        return Missing("hung_up") if calls == 1 else raw

    carrier.faults["teacher-1"] = fails_first
    learn(experiment, carrier, tmp_path / "run")
    before = lessons(tmp_path / "run")
    (tmp_path / "run" / "cells" / "voted-n4-r0" / "cell.json").unlink()
    asked = len(carrier.carried)
    learn(experiment, carrier, tmp_path / "run")
    assert lessons(tmp_path / "run") == before
    assert len(carrier.carried) == asked


def test_a_log_that_was_cut_off_goes_on_and_a_damaged_one_is_told(carrier: DeskCarrier, tmp_path: Path) -> None:
    experiment = short(**REMOTE, arms=["zero-shot", "generated"])
    learn(experiment, carrier, tmp_path / "run")
    before = lessons(tmp_path / "run")
    log = tmp_path / "run" / "replies.jsonl"
    log.write_bytes(log.read_bytes()[:-200])
    (tmp_path / "run" / "cells" / "generated-n4-r0" / "cell.json").unlink()
    learn(experiment, carrier, tmp_path / "run")
    assert lessons(tmp_path / "run") == before
    log.write_bytes(b"garbage\n" + log.read_bytes())
    with pytest.raises(RunFolderError, match="line 1, is damaged"):
        learn(experiment, carrier, tmp_path / "run")


class Broken(Exception):
    """The student's side broke."""


def test_what_came_before_a_crash_in_the_middle_of_a_round_is_not_asked_for_again(
    carrier: DeskCarrier, tmp_path: Path
) -> None:
    def breaks(_: bytes) -> bytes:
        raise Broken

    carrier.faults["teacher-2"] = breaks
    with pytest.raises(Broken):
        learn(short(**REMOTE), carrier, tmp_path / "run")
    carrier.faults.clear()
    learn(short(**REMOTE), carrier, tmp_path / "run")
    asked = [name for name, letter, _ in carrier.carried if letter == carrier.carried[0][1]]
    assert asked == ["teacher-1", "teacher-2", "teacher-2", "teacher-3"]
    learn(short(**REMOTE), carrier, tmp_path / "whole")
    assert lessons(tmp_path / "run") == lessons(tmp_path / "whole")


BY_ONE: dict[str, Any] = {**ONE_MISSING, "arms": ["zero-shot", "generated"], "generation": {"cohort": 1}}


def test_too_few_over_several_cohorts_end_the_run_and_the_next_try_asks_all_missing_again(
    carrier: DeskCarrier, tmp_path: Path
) -> None:
    carrier.faults |= {name: lambda _: Missing("unreachable") for name in ("teacher-1", "teacher-3")}
    for _ in range(2):
        with pytest.raises(
            TeachingError, match=r"1 of 3 .* round 2 .*: teacher-1 \(unreachable\), teacher-3 \(unreachable\);"
        ):
            learn(short(**BY_ONE), carrier, tmp_path / "run")
    carrier.faults.clear()
    learn(short(**BY_ONE), carrier, tmp_path / "run")
    asked = [name for name, letter, _ in carrier.carried if b'"kind":"examples"' in letter]
    assert sorted(asked) == ["teacher-1"] * 3 + ["teacher-2"] + ["teacher-3"] * 3
    learn(short(**BY_ONE), carrier, tmp_path / "whole")
    assert lessons(tmp_path / "run") == lessons(tmp_path / "whole")


def test_a_cohort_of_which_nobody_grades_ends_the_run_and_is_asked_again(carrier: DeskCarrier, tmp_path: Path) -> None:
    def no_grades(raw: bytes) -> bytes | Missing:
        return Missing("hung_up") if b'"kind":"grades"' in raw else raw

    carrier.faults |= dict.fromkeys(carrier.desks, no_grades)
    with pytest.raises(TeachingError, match=r"0 of 1 teachers answered round 3 .*missing: teacher-\d \(hung_up\)"):
        learn(short(**BY_ONE), carrier, tmp_path / "run")
    carrier.faults.clear()
    learn(short(**BY_ONE), carrier, tmp_path / "run")
    graders = {name for name, letter, _ in carrier.carried if b'"kind":"grades"' in letter}
    assert (len(graders), len(carrier.carried)) == (1, 7)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"remote": {"nodes": {"teacher-4": 7}}}, "remote.nodes: no teacher 'teacher-4'; did you mean 'teacher-"),
        ({"remote": {"nodes": {"teacher-1": 7, "teacher-2": 7}}}, "two teachers have the same node"),
        ({"remote": {"min_teachers": 4}}, "only 3 teachers"),
        ({"remote": {"teachers": ["a", "a"]}}, "names must differ"),
        ({"remote": {"teachers": ["../a"]}}, "names must differ"),
        ({**REMOTE, "arms": ["zero-shot", "original"]}, "never send private examples"),
        ({**REMOTE, "arms": {"zero-shot": {}, "generated": {"teachers": {"no_copies": False}}}}, "owners decide"),
    ],
)
def test_settings_that_do_not_fit_are_refused(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        parse_experiment({**SHORT, **changes})


def test_patience_may_change_but_teachers_may_not() -> None:
    assert short(**REMOTE).fingerprint == short(**ONE_MISSING).fingerprint
    assert short(**REMOTE).fingerprint != short().fingerprint
    assert short(**REMOTE).fingerprint != short(remote={"teachers": ["a", "b", "c"]}).fingerprint


def test_run_in_one_process_refuses_teachers_of_their_own(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="only `run` works"):
        run(short(**REMOTE), tmp_path / "run")


# Real processes, ended by their own ids


def write_experiment(folder: Path, least: int, timeout: int = 600) -> Path:
    text = (
        'task = "phone_messages"\nrepeats = 1\nshots = [4]\narms = ["zero-shot", "generated", "voted"]\n'
        'data = { test_rows = 20 }\nteachers = { model = "fake:mixer", count = 3 }\nstudent = { model = "fake:mixer" }\n'
        f'[remote]\nsockets = "silos/{{name}}/teacher.sock"\nmin_teachers = {least}\ntimeout = {timeout}\n'
    )
    (folder / "short.toml").write_text(text)
    return folder / "short.toml"


@pytest.fixture
def started(silos: list[Path]) -> Iterator[dict[str, Any]]:
    processes = {path.parent.name: serve(path) for path in silos}
    yield processes
    for process in processes.values():
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            end(process)
        for stream in (process.stdout, process.stderr):
            if stream:
                stream.close()


def test_the_command_line_over_processes_gives_the_lesson_of_one_process(
    started: dict[str, Any], tmp_path: Path, silos: list[Path]
) -> None:
    out = tmp_path / "out"
    ran = cli("run", str(write_experiment(tmp_path, 3)), "--out", str(out), "--json")
    assert ran.returncode == 0, ran.stderr
    run(short(arms=["zero-shot", "generated", "voted"]), tmp_path / "here")
    assert lessons(out) == lessons(tmp_path / "here")
    assert json.loads(ran.stdout)["run"] == str(out)
    assert "3 teachers of their own" in (out / "report.html").read_text()


def test_a_killed_and_a_hanging_teacher(started: dict[str, Any], tmp_path: Path) -> None:
    end(started["teacher-1"], kill=True)
    os.kill(started["teacher-3"].pid, signal.SIGSTOP)
    file = write_experiment(tmp_path, 2, timeout=10)
    failed = cli("run", str(file), "--out", str(tmp_path / "out"))
    assert failed.returncode == 3
    assert "1 of 3 teachers answered" in failed.stderr
    assert "teacher-1 (unreachable), teacher-3 (timed_out)" in failed.stderr
    os.kill(started["teacher-3"].pid, signal.SIGCONT)
    ran = cli("run", str(file), "--out", str(tmp_path / "out"))
    assert ran.returncode == 0, ran.stderr
    assert "teacher-1 was missing in" in ran.stderr


GARBAGE = """
import socket, sys
listening = socket.socket(socket.AF_UNIX)
listening.bind(sys.argv[1])
listening.listen()
print("is ready", flush=True)
while True:
    connection, _ = listening.accept()
    with connection:
        connection.makefile().readline()
        connection.sendall(b"a private row, not a reply\\n")
"""


def test_a_teacher_that_answers_garbage_and_one_whose_silo_is_broken(silos: list[Path], tmp_path: Path) -> None:
    broken = silos[2].parent / "examples.jsonl"
    broken.write_text(broken.read_text() + '{"text": "quince jelly"}\n')
    with pytest.raises(RuntimeError, match="row"):
        serve(silos[2])
    socket_path = silos[1].parent / "teacher.sock"
    with subprocess.Popen(
        [sys.executable, "-c", GARBAGE, str(socket_path)], stdout=subprocess.PIPE, text=True
    ) as garbage:
        teacher = serve(silos[0])
        try:
            assert garbage.stdout
            assert "is ready" in garbage.stdout.readline()
            ran = cli("run", str(write_experiment(tmp_path, 1, timeout=60)), "--out", str(tmp_path / "out"))
        finally:
            end(teacher)
            garbage.kill()
    assert ran.returncode == 0, ran.stderr
    assert "teacher-2 was missing in" in ran.stderr
    assert ": garbage" in ran.stderr
    assert "teacher-3 was missing in" in ran.stderr
    assert ": unreachable" in ran.stderr
    written = [file.read_bytes() for file in (tmp_path / "out").rglob("*") if file.is_file()]
    assert not [words for words in (b"quince jelly", b"a private row") for content in written if words in content]


def test_sockets_that_answer_garbage_or_nothing(tmp_path: Path) -> None:
    answers = {"loud": b"x" * 400_000, "mute": b"", "garbage": b"{}\n"}

    def speak(listening: socket.socket, answer: bytes) -> None:
        connection, _ = listening.accept()
        with connection:
            connection.recv(100)
            try:
                connection.sendall(answer)
            except OSError:
                return

    sockets, threads = {}, []
    for name, answer in answers.items():
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(str(tmp_path / name))
        listening.listen()
        threads.append((threading.Thread(target=speak, args=(listening, answer)), listening))
        threads[-1][0].start()
        sockets[name] = tmp_path / name
    carrier = SocketCarrier({**sockets, "gone": tmp_path / "gone"}, 20)
    came = dict(carrier.carry(dict.fromkeys([*answers, "gone", "unknown"], b"{}")))
    for thread, listening in threads:
        thread.join()
        listening.close()
    assert came == {
        "loud": Missing("too_long"),
        "mute": Missing("hung_up"),
        "garbage": b"{}",
        "gone": Missing("unreachable"),
        "unknown": Missing("unreachable"),
    }


def test_a_teacher_with_a_full_queue_is_tried_again(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening, ExitStack() as stack:
        listening.bind(str(tmp_path / "busy"))
        listening.listen(0)
        crowd: list[socket.socket] = []
        with suppress(BlockingIOError):  # the queue is full
            while len(crowd) < 100:
                crowd.append(stack.enter_context(socket.socket(socket.AF_UNIX)))
                crowd[-1].setblocking(False)
                crowd[-1].connect(str(tmp_path / "busy"))
        assert ask_socket(tmp_path / "busy", b"{}", 0.2) == Missing("timed_out")

        def answer() -> None:
            for _ in crowd:
                connection, _ = listening.accept()
                with connection:
                    if connection.recv(10):
                        connection.sendall(b"late\n")

        thread = threading.Thread(target=answer)
        asking = threading.Timer(0.2, thread.start)
        asking.start()
        for waiting in crowd:
            waiting.close()
        assert ask_socket(tmp_path / "busy", b"{}", 20) == b"late"
        asking.join()
        thread.join()


def test_sockets_are_found_from_the_experiment_file(tmp_path: Path, carrier: DeskCarrier) -> None:
    with pytest.raises(ConfigError, match=r"no \[remote\] table"):
        socket_carrier(short())
    with pytest.raises(ConfigError, match=r"no \[remote\] table"):
        learn(short(), carrier, tmp_path / "run")


def test_silos_that_are_split_get_a_policy_that_allows_what_the_experiment_asks(tmp_path: Path) -> None:
    asked = {"keep": 20, "samples": 100, "shots": 3, "questions": 5}
    (file, *_) = silo_files(tmp_path / "asked", generation=asked, instruction={"shots": 70})
    caps = load_policy(load_silo_file(file)).per_request
    assert (caps.examples, caps.samples, caps.least_shots, caps.shots, caps.questions) == (20, 100, 3, 70, (5,))
    (file, *_) = silo_files(tmp_path / "default")
    assert load_policy(load_silo_file(file)) == Policy()
