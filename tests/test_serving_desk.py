"""The desk, its policy and its outbox: what leaves a teacher of its own, and what does not."""

import errno
import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from social_learning.chain import START, line_of
from social_learning.errors import ConfigError, DataError, ServingError
from social_learning.messages import (
    ENQUIRY_BYTES,
    Enquiry,
    Reply,
    ReplyExamples,
    ReplyGrades,
    ReplyInstruction,
    ReplyVote,
    Request,
    RequestExamples,
    RequestGrades,
    RequestInstruction,
    RequestOriginals,
    RequestVote,
    Response,
    response_from_json,
    to_json,
)
from social_learning.models.fakes import MixerModel
from social_learning.serving import outbox as outbox_module
from social_learning.serving.desk import Answers, Desk
from social_learning.serving.entries import REQUEST_BYTES
from social_learning.serving.outbox import Outbox, read_outbox, verify
from social_learning.serving.policy import Caps, EverCaps, Policy, RequestCaps
from social_learning.serving.silo_file import load_policy, load_silo, load_silo_file, teachers_of
from social_learning.task import Example
from tests.silos import cli, silo_files

PRIVATE = "the private word is quince"


def made(text: str) -> Example:
    return Example(fields={"text": text}, answer="spam")


class Scripted:
    """Answers with what was asked for, counts how often it was asked, and can fail."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, Request]] = []
        self.fails: Exception | None = None
        self.text = "made up"

    def of(self, repeat: int) -> "Repeat":
        return Repeat(self, repeat)


class Repeat:
    def __init__(self, scripted: Scripted, repeat: int) -> None:
        self.scripted, self.repeat = scripted, repeat

    def answer(self, request: Request) -> Reply:
        self.scripted.asked.append((self.repeat, request))
        if self.scripted.fails:
            raise self.scripted.fails
        if isinstance(request, RequestVote):
            return ReplyVote(teacher="t", round=request.round, choice=0)
        if isinstance(request, RequestGrades):
            return ReplyGrades(teacher="t", round=request.round, grades=tuple(0.5 for _ in request.lessons))
        if isinstance(request, RequestInstruction):
            return ReplyInstruction(teacher="t", round=request.round, instruction=self.scripted.text)
        examples = tuple(made(f"{self.scripted.text} {n}") for n in range(request.count))
        return ReplyExamples(teacher="t", round=request.round, examples=examples)


def grades(
    candidates: int = 1, lessons: int = 1, questions: int = 8, round: int = 0, places: int = 1, text: str = "candidate"
) -> RequestGrades:
    return RequestGrades(
        round=round,
        candidates=tuple(made(f"{text} {n}") for n in range(candidates)),
        lessons=((0,) * places,) * lessons,
        questions=questions,
    )


@pytest.fixture
def scripted() -> Scripted:
    return Scripted()


@pytest.fixture
def open_desk(tmp_path: Path, scripted: Scripted) -> Iterator[Callable[..., Desk]]:
    opened: list[Outbox] = []

    def open_it(
        policy: Policy | None = None,
        note: Callable[[str], None] = lambda _: None,
        teacher_for: Callable[[int], Answers] = scripted.of,
    ) -> Desk:
        while opened:
            opened.pop().__exit__()
        box = Outbox(tmp_path / "outbox.jsonl").__enter__()
        opened.append(box)
        return Desk(teacher_for, policy or Policy(), box, lambda: 1.5, note)

    yield open_it
    while opened:
        opened.pop().__exit__()


def examples(round: int = 0, count: int = 2, samples: int = 8, shots: int = 8) -> RequestExamples:
    return RequestExamples(round=round, count=count, shots=shots, samples=samples)


def ask(desk: Desk, request: Request, run: str = "r", id: str | None = None, repeat: int = 0) -> Response:
    name = id or f"{request.kind}-{request.round}"
    return response_from_json(desk.respond(to_json(Enquiry(run=run, id=name, repeat=repeat, request=request)).encode()))


@pytest.mark.usefixtures("open_umask")
def test_a_request_gets_its_reply_and_the_outbox_has_it_word_for_word(
    open_desk: Callable[..., Desk], tmp_path: Path
) -> None:
    response = ask(open_desk(), examples(), repeat=3)
    assert isinstance(response.reply, ReplyExamples)
    (entry,) = read_outbox(tmp_path / "outbox.jsonl")
    assert (entry.run, entry.id, entry.repeat, entry.time) == ("r", "examples-0", 3, 1.5)
    assert entry.reply == to_json(response.reply)
    assert (tmp_path / "outbox.jsonl").stat().st_mode & 0o777 == 0o600


def test_a_request_that_was_answered_gets_the_same_reply_without_asking_again_even_after_a_restart(
    open_desk: Callable[..., Desk], scripted: Scripted
) -> None:
    first = ask(open_desk(), examples())
    scripted.text = "something else"
    desk = open_desk()
    assert ask(desk, examples()) == first
    assert ask(desk, examples()) == first
    assert len(scripted.asked) == 1
    other = ask(desk, examples(count=1), id="examples-0")
    assert other.refused == "other_request"
    assert ask(desk, examples(), id="examples-0", repeat=1).refused == "other_request"
    assert len(scripted.asked) == 1


def test_private_examples_word_for_word_are_never_sent(open_desk: Callable[..., Desk], scripted: Scripted) -> None:
    assert ask(open_desk(), RequestOriginals(round=0, count=1)).refused == "not_allowed"
    assert not scripted.asked


@pytest.mark.parametrize(
    "request_",
    [
        examples(count=9),
        examples(samples=65),
        examples(shots=1),
        examples(shots=65),
        RequestInstruction(round=0, shots=3, samples=1),
        RequestVote(round=0, candidates=tuple(made(f"candidate {n}") for n in range(5))),
        grades(candidates=5),
        grades(lessons=65),
        grades(questions=7),
        grades(questions=9),
        grades(places=65),
        grades(text="x" * 8001),
        RequestVote(round=0, candidates=(made("x" * 8001),)),
        RequestVote(round=0, candidates=(Example(fields={"text": "x" * 5000}, answer="y" * 3001),)),
    ],
)
def test_a_request_beyond_the_caps_is_refused_whatever_its_kind(
    open_desk: Callable[..., Desk], scripted: Scripted, request_: Request
) -> None:
    desk = open_desk(Policy(per_request=RequestCaps(candidates=4)))
    assert ask(desk, request_).refused == "over_request_cap"
    assert not scripted.asked


def test_kinds_that_the_policy_leaves_out_are_refused(open_desk: Callable[..., Desk]) -> None:
    desk = open_desk(Policy(allow=("vote",)))
    assert ask(desk, examples()).refused == "not_allowed"
    assert ask(desk, RequestInstruction(round=0, shots=8, samples=1)).refused == "not_allowed"
    assert ask(desk, RequestVote(round=0, candidates=(made("x"),))).reply


def test_caps_per_run_and_ever_count_what_left_before_a_restart_too(open_desk: Callable[..., Desk]) -> None:
    policy = Policy(per_run=Caps(requests=9, texts=4, votes=1), ever=EverCaps(requests=9, texts=7, votes=1))
    desk = open_desk(policy)
    assert ask(desk, examples(0)).reply
    assert ask(desk, examples(1)).reply
    assert ask(desk, examples(2)).refused == "over_run_cap"
    desk = open_desk(policy)
    assert ask(desk, examples(2)).refused == "over_run_cap"
    assert ask(desk, examples(0), run="other").reply
    assert ask(desk, examples(1), run="other").refused == "over_ever_cap"
    assert ask(desk, examples(1, count=1), run="other").reply
    vote = RequestVote(round=0, candidates=(made("x"),))
    assert ask(desk, vote, run="other").reply
    assert ask(desk, vote, run="third").refused == "over_ever_cap"


def test_each_grade_counts_as_a_vote(open_desk: Callable[..., Desk]) -> None:
    desk = open_desk(Policy(per_run=Caps(requests=9, texts=9, votes=5)))
    assert ask(desk, grades(lessons=3), id="grades-0").reply
    assert ask(desk, grades(lessons=3, round=1), id="grades-1").refused == "over_run_cap"
    assert ask(desk, grades(lessons=2, round=1), id="grades-1").reply


def test_the_number_of_requests_is_capped(open_desk: Callable[..., Desk]) -> None:
    desk = open_desk(Policy(per_run=Caps(requests=1, texts=9, votes=9)))
    assert ask(desk, RequestInstruction(round=0, shots=8, samples=1)).reply
    assert ask(desk, RequestInstruction(round=1, shots=8, samples=1)).refused == "over_run_cap"


def test_a_reply_that_is_too_long_stays_here_and_counts_as_a_request_only(
    open_desk: Callable[..., Desk], scripted: Scripted
) -> None:
    desk = open_desk(Policy(per_request=RequestCaps(bytes=200), per_run=Caps(requests=9, texts=2)))
    scripted.text = "x" * 500
    assert ask(desk, examples()).refused == "too_large"
    scripted.text = "x"
    assert ask(desk, examples(1, count=1)).reply


@pytest.mark.parametrize(
    ("fails", "code"), [(DataError("too small"), "cannot"), (KeyError(PRIVATE), "failed"), (None, "too_large")]
)
def test_what_is_tried_in_vain_counts_as_a_request_even_after_a_restart(
    open_desk: Callable[..., Desk], scripted: Scripted, fails: Exception | None, code: str
) -> None:
    policy = Policy(per_request=RequestCaps(bytes=200), per_run=Caps(requests=2), ever=EverCaps(requests=3))
    scripted.fails, scripted.text = fails, "x" * 500
    desk = open_desk(policy)
    assert [ask(desk, examples()).refused for _ in range(3)] == [code, code, "over_run_cap"]
    desk = open_desk(policy)
    assert [ask(desk, examples(), run=run).refused for run in "rst"] == ["over_run_cap", code, "over_ever_cap"]
    assert len(scripted.asked) == 3


def test_a_cap_that_is_left_out_of_the_policy_file_has_its_default() -> None:
    policy = Policy.model_validate({"per_run": {"requests": 1}, "ever": {"votes": 2}})
    assert policy.per_run == Caps(requests=1, texts=500, votes=500)
    assert policy.ever == EverCaps(requests=5000, texts=5000, votes=2)


@pytest.mark.parametrize("raw", [b"", b"{}", b"\xff\xfe", b"[" * 100_000, b"x" * (ENQUIRY_BYTES + 1), b"null"])
def test_what_is_no_enquiry_is_refused_in_one_fixed_word(open_desk: Callable[..., Desk], raw: bytes) -> None:
    assert json.loads(open_desk().respond(raw)) == {"run": "", "id": "", "reply": None, "refused": "unreadable"}


def test_a_failure_crosses_as_a_code_and_its_text_goes_nowhere(
    open_desk: Callable[..., Desk], scripted: Scripted, tmp_path: Path
) -> None:
    noted: list[str] = []
    desk = open_desk(note=noted.append)
    scripted.fails = KeyError(PRIVATE)
    raw = desk.respond(to_json(Enquiry(run="r", id="i", repeat=0, request=examples())).encode())
    assert json.loads(raw) == {"run": "r", "id": "i", "reply": None, "refused": "failed"}
    scripted.fails = DataError("silo 't' has 3 examples")
    raw = desk.respond(to_json(Enquiry(run="r", id="i", repeat=0, request=examples())).encode())
    assert json.loads(raw) == {"run": "r", "id": "i", "reply": None, "refused": "cannot"}
    assert noted == ["r/i: KeyError", "r/i: DataError: silo 't' has 3 examples"]
    assert PRIVATE not in (tmp_path / "outbox.jsonl").read_text()
    assert [entry.refused for entry in read_outbox(tmp_path / "outbox.jsonl")] == ["failed", "cannot"]
    scripted.fails = None
    assert ask(desk, examples(), id="i").reply


def test_refusals_are_written_down_but_a_flood_of_them_does_not_fill_the_disk(
    open_desk: Callable[..., Desk], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_module, "REFUSALS_KEPT", 3)
    desk = open_desk()
    for number in range(6):
        assert ask(desk, RequestOriginals(round=0, count=1), id=f"i{number}").refused
    assert [entry.refused for entry in read_outbox(tmp_path / "outbox.jsonl")] == ["not_allowed"] * 3
    assert ask(desk, examples()).reply


def test_what_is_tried_is_written_down_however_many_were_refused_before(
    open_desk: Callable[..., Desk], scripted: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_module, "REFUSALS_KEPT", 0)
    scripted.fails = KeyError(PRIVATE)
    assert ask(open_desk(), examples()).refused == "failed"
    assert [entry.refused for entry in read_outbox(tmp_path / "outbox.jsonl")] == ["failed"]


@pytest.mark.parametrize(
    "request_",
    [
        grades(candidates=2000, places=500_000),
        grades(lessons=100_000),
        RequestVote(round=0, candidates=(made("x" * 3_000_000),)),
        examples(round=10**4000, count=10**4000),
    ],
    ids=["places", "lessons", "text", "numbers"],
)
def test_a_large_request_that_is_refused_takes_little_room(
    open_desk: Callable[..., Desk], tmp_path: Path, request_: Request
) -> None:
    assert ask(open_desk(), request_, id="i").refused == "over_request_cap"
    assert (tmp_path / "outbox.jsonl").stat().st_size < REQUEST_BYTES + 1000
    (entry,) = read_outbox(tmp_path / "outbox.jsonl")
    assert entry.request["kind"] == request_.kind


FULL_DISK = """
import resource, sys
from pathlib import Path
from social_learning.messages import Enquiry, ReplyInstruction, RequestInstruction, response_from_json, to_json
from social_learning.serving.desk import Desk
from social_learning.serving.outbox import Outbox
from social_learning.serving.policy import Policy

class Teacher:
    def answer(self, request):
        return ReplyInstruction(teacher="t", round=request.round, instruction="made up")

path, (_, most), noted = Path(sys.argv[1]), resource.getrlimit(resource.RLIMIT_FSIZE), []
with Outbox(path) as outbox:
    desk = Desk(lambda repeat: Teacher(), Policy(), outbox, lambda: 1.5, noted.append)

    def ask(round):
        enquiry = Enquiry(run="r", id=f"i{round}", repeat=0, request=RequestInstruction(round=round, shots=8, samples=1))
        before = path.stat().st_size
        response = response_from_json(desk.respond(to_json(enquiry).encode()))
        print(response.refused or "reply", path.stat().st_size > before)

    ask(0)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 100, most))
    ask(1)
    ask(2)
    print(outbox.sent().requests, len(noted))
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    ask(1)
    ask(3)
"""


def test_a_disk_that_was_full_for_a_while_leaves_the_outbox_whole(tmp_path: Path) -> None:
    path = tmp_path / "outbox.jsonl"
    done = subprocess.run([sys.executable, "-c", FULL_DISK, str(path)], capture_output=True, text=True, check=False)
    told = ["reply True", "failed False", "failed False", "3 2", "reply True", "reply True"]
    assert done.stdout.splitlines() == told, done.stderr
    assert [entry.id for entry in read_outbox(path)] == ["i0", "i1", "i3"]


class Stuck:
    """A file that takes part of a line, and can neither take more nor give it back."""

    def __init__(self, stream: io.FileIO) -> None:
        self._stream = stream

    def tell(self) -> int:
        return self._stream.tell()

    def write(self, line: bytes) -> int:
        if len(line) < 300:
            raise OSError(errno.ENOSPC, "No space left on device")
        return self._stream.write(line[:-299])

    def truncate(self, size: int) -> None:
        raise OSError(errno.EIO, "Input/output error")


def test_an_outbox_that_cannot_take_back_half_a_line_sends_nothing_more(
    open_desk: Callable[..., Desk], scripted: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted: list[str] = []
    desk = open_desk(note=noted.append)
    assert ask(desk, examples()).reply
    monkeypatch.setattr(desk._outbox, "_stream", Stuck(desk._outbox._stream))
    assert [ask(desk, examples(n)).refused for n in (1, 2, 0)] == ["failed"] * 3
    assert len(scripted.asked) == 2
    assert "cannot be written: make room" in noted[-1]
    assert ask(open_desk(), examples(1)).reply
    assert verify(tmp_path / "outbox.jsonl").entries == 2


def filled(open_desk: Callable[..., Desk], tmp_path: Path) -> Path:
    desk = open_desk()
    for round in range(3):
        ask(desk, examples(round))
    return tmp_path / "outbox.jsonl"


def test_the_chain_tells_every_change_but_a_cut_off_end(open_desk: Callable[..., Desk], tmp_path: Path) -> None:
    path = filled(open_desk, tmp_path)
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    assert verify(path).entries == 3
    for changed, line in [
        (whole.replace(b"made up 0", b"made up 7", 1), 1),
        (lines[0] + lines[2], 2),
        (lines[1] + lines[2], 1),
        (lines[0] + lines[2] + lines[1], 2),
        (lines[0] + b"garbage\n" + lines[2], 2),
    ]:
        path.write_bytes(changed)
        with pytest.raises(ServingError, match=f"line {line}:"):
            verify(path)
    path.write_bytes(lines[0])
    assert verify(path).entries == 1
    path.write_bytes(b"")
    assert verify(path).last == START


def forge(path: Path, **changes: Any) -> None:
    """Leave the first line of an outbox alone, changed and with a right hash."""
    first = json.loads(path.read_bytes().splitlines()[0])
    del first["hash"]
    path.write_bytes(line_of({**first, **changes})[0])


def test_times_are_iso_in_utc_and_an_outbox_of_older_entries_goes_on(
    open_desk: Callable[..., Desk], tmp_path: Path
) -> None:
    path = filled(open_desk, tmp_path)
    tables = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert {table["time"] for table in tables} == {"1970-01-01T00:00:01.500Z"}
    older, last = b"", START
    for table in tables:
        del table["hash"]
        line, last = line_of({**table, "time": 1.5, "previous": last})
        older += line
    path.write_bytes(older)
    assert verify(path).last == last
    ask(open_desk(), examples(9))
    assert path.read_bytes().startswith(older)
    entries = list(read_outbox(path))
    assert len(entries) == len(tables) + 1
    assert {entry.time for entry in entries} == {1.5}
    assert {entry.model_dump()["time"] for entry in entries} == {"1970-01-01T00:00:01.500Z"}


@pytest.mark.parametrize("changed", [b'{"number": 0,  ', b'{ "number": 0, ', b'{"number": 9, "number": 0, '])
def test_a_line_in_another_spelling_is_not_the_line_that_was_written(
    open_desk: Callable[..., Desk], tmp_path: Path, changed: bytes
) -> None:
    path = filled(open_desk, tmp_path)
    path.write_bytes(path.read_bytes().replace(b'{"number": 0, ', changed, 1))
    with pytest.raises(ServingError, match="line 1: was changed or is damaged"):
        verify(path)


@pytest.mark.parametrize("changes", [{"reply": '{"kind":"poem"}'}, {"reply": "{}"}, {"time": 1e300}, {"request": []}])
def test_a_line_with_a_right_hash_that_says_nothing_is_one_clear_line(
    open_desk: Callable[..., Desk], tmp_path: Path, changes: dict[str, Any]
) -> None:
    path = filled(open_desk, tmp_path)
    forge(path, **changes)
    problem = "holds a reply that this version does not know" if "reply" in changes else "was changed or is damaged"
    with pytest.raises(ServingError, match=f"line 1: {problem}"):
        open_desk()
    with pytest.raises(ServingError, match=f"line 1: {problem}"):
        verify(path)


def test_a_chain_made_anew_shows_only_against_a_hash_kept_elsewhere(
    open_desk: Callable[..., Desk], tmp_path: Path
) -> None:
    path = filled(open_desk, tmp_path)
    first = next(read_outbox(path)).hash
    forge(path, time=2.5)
    assert verify(path).entries == 1
    assert "does not hold" in cli("outbox", "verify", str(path), "--last", first).stderr


def test_a_line_cut_off_in_writing_never_left_and_goes(open_desk: Callable[..., Desk], tmp_path: Path) -> None:
    path = filled(open_desk, tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-40])
    check = verify(path)
    assert (check.entries, check.cut_off) == (2, True)
    ask(open_desk(), examples(2))
    assert path.read_bytes() == whole


def test_a_broken_or_busy_outbox_is_not_served_from(open_desk: Callable[..., Desk], tmp_path: Path) -> None:
    path = filled(open_desk, tmp_path)
    with pytest.raises(ServingError, match="in use"), Outbox(path):
        pass
    path.write_bytes(path.read_bytes().replace(b"made up 0", b"made up 7", 1))
    with pytest.raises(ServingError, match="line 1: was changed"):
        open_desk()


def test_outbox_commands(open_desk: Callable[..., Desk], scripted: Scripted, tmp_path: Path) -> None:
    scripted.text = "made\x1b[31m up"
    path = filled(open_desk, tmp_path)
    shown = cli("outbox", "show", str(path))
    assert shown.returncode == 0, shown.stderr
    assert "3 entries" in shown.stdout
    assert "\x1b" not in shown.stdout
    last = json.loads(cli("outbox", "show", str(path), "--json").stdout)["entries"][-1]["hash"]
    assert last in cli("outbox", "verify", str(path), "--last", last).stdout
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))
    assert cli("outbox", "verify", str(path)).returncode == 0
    missing = cli("outbox", "verify", str(path), "--last", last)
    assert (missing.returncode, missing.stderr.count("does not hold")) == (2, 1)


# Silo files


@pytest.mark.usefixtures("open_umask")
def test_a_silo_file_is_read_with_its_policy_and_rows(tmp_path: Path) -> None:
    files = silo_files(tmp_path)
    assert [path.parent.name for path in files] == ["teacher-1", "teacher-2", "teacher-3"]
    file = load_silo_file(files[0])
    silo = load_silo(file)
    assert len(silo.held_out) == round(0.25 * len(silo.everything))
    assert load_policy(file).guards.no_copies
    rows = [path.parent / name for path in files for name in ("examples.jsonl", "held_out.jsonl")]
    assert {path.stat().st_mode & 0o777 for path in rows} == {0o600}


def test_a_share_is_held_out_at_random_but_always_the_same(tmp_path: Path) -> None:
    path = silo_files(tmp_path)[0]
    rows = load_silo(load_silo_file(path)).examples
    text = path.read_text().replace('held_out_file = "held_out.jsonl"\n', "")
    path.write_text(text.replace("held_out = 0.0", "held_out = 0.5"))
    silo = load_silo(load_silo_file(path))
    assert set(map(str, silo.everything)) == set(map(str, rows))
    assert silo.held_out != rows[: len(silo.held_out)]
    assert load_silo(load_silo_file(path)).held_out == silo.held_out


def test_split_policies_allow_the_grades_of_their_experiment(tmp_path: Path) -> None:
    files = silo_files(tmp_path, generation={"questions": 5})
    assert load_policy(load_silo_file(files[0])).per_request.questions == (5,)


def test_a_silo_that_holds_out_less_than_a_grade_is_by_gives_none(
    tmp_path: Path, open_desk: Callable[..., Desk]
) -> None:
    path = silo_files(tmp_path)[0]
    rows = (path.parent / "held_out.jsonl").read_text().splitlines(keepends=True)
    noted: list[str] = []
    for held_out, refused in ((7, "cannot"), (8, None)):
        (path.parent / "held_out.jsonl").write_text("".join(rows[:held_out]))
        file = load_silo_file(path)
        policy = load_policy(file)
        desk = open_desk(policy, noted.append, teachers_of(file, load_silo(file), policy, MixerModel("fake:mixer")))
        assert ask(desk, grades()).refused == refused
    (told,) = noted
    assert "silo 'teacher-1' holds out 7 examples, grades by 8 were asked for: hold out more" in told


def test_what_is_wrong_with_a_silo_is_told_without_its_words(tmp_path: Path) -> None:
    path = silo_files(tmp_path)[0]
    (path.parent / "policy.toml").unlink()
    with pytest.raises(ConfigError, match=r"no policy file"):
        load_policy(load_silo_file(path))
    (path.parent / "policy.toml").write_text("alow = []\n")
    with pytest.raises(ConfigError, match=r"unknown key 'alow'; did you mean 'allow'"):
        load_policy(load_silo_file(path))
    (path.parent / "examples.jsonl").write_text(json.dumps({"text": PRIVATE, "answer": PRIVATE}) + "\n")
    with pytest.raises(DataError, match="row 1") as caught:
        load_silo(load_silo_file(path))
    assert "quince" not in str(caught.value)
