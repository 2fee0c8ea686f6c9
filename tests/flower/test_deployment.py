"""A whole federation on this machine, by the example's own commands: parity, faults, a hostile bundle, what crosses.

Real processes, ended by their own ids. It takes a few minutes; `-m "not deployment"` leaves it out.
"""

import html
import json
import os
import shutil
import signal
import subprocess
import zipfile
from collections import Counter
from pathlib import Path

import pytest

pytest.importorskip("flwr", reason="flwr is not installed: pip install 'social-learning[flower]'")
if not (shutil.which("openssl") and shutil.which("ssh-keygen")):
    pytest.skip("openssl and ssh-keygen are needed", allow_module_level=True)

from social_learning.config import load_experiment
from social_learning.corpus import load_corpus
from social_learning.experiment import run
from social_learning.flower import SWITCHED_OFF
from social_learning.serving.outbox import read_outbox
from tests.flower.federations import (
    BIN,
    EMBEDDED,
    EXAMPLE,
    FAKES,
    PATIENCE,
    command,
    ended,
    federation_of,
    free_port,
    in_one_process,
    module,
    running,
    start,
    state,
    wait_until,
)
from tests.silos import lessons

pytestmark = pytest.mark.deployment


def pin(federation: Path, arms: str = '["zero-shot", "generated", "voted"]') -> None:
    """Write the SuperNodes' ids into the experiment: then a run does not wait for the killed ones to say who they are."""
    nodes = "".join(f"{name} = {node}\n" for name, node in state(federation)["nodes"].items())
    text = FAKES.replace('["zero-shot", "generated", "voted"]', arms)
    (federation.parent / "experiment.toml").write_text(f"{text}[remote.nodes]\n{nodes}")


def texts_in(federation: Path, name: str = "*") -> list[str]:
    files = federation.glob(f"silos/*/{name}.jsonl")
    return [json.loads(line)["text"] for file in files for line in file.read_text().splitlines()]


def forms_of(text: str) -> set[bytes]:
    """A text as it is, in HTML, in JSON, and in JSON that stands in JSON."""
    forms = {text, html.escape(text)}
    for _ in range(2):
        forms |= {json.dumps(form, ensure_ascii=ascii)[1:-1] for form in forms for ascii in (True, False)}
    return {form.encode() for form in forms}


def private_texts(federation: Path) -> set[bytes]:
    """All texts of the silos, in every form that they could cross in."""
    return {form for text in texts_in(federation) for form in forms_of(text)}


def private_phrases(federation: Path) -> set[bytes]:
    """Four words in a row that only held-out rows have: no teacher's model is shown them to write from, so none may be anywhere
    else. Single words may stand in any program.
    """
    known = "\n".join(texts_in(federation, "examples"))
    test = load_corpus(load_experiment(federation.parent / "experiment.toml")).test
    known += "\n".join(text for example in test for text in example.fields.values())
    rows = [text.split() for text in texts_in(federation, "held_out")]
    phrases = {" ".join(row[place : place + 4]) for row in rows for place in range(len(row) - 3)}
    return {form for phrase in phrases if phrase not in known for form in forms_of(phrase)}


def nothing_private_is_shared(federation: Path) -> None:
    """Search every file that is not a silo's own for every private text."""
    texts, phrases = private_texts(federation), private_phrases(federation)
    assert len(phrases) >= 20
    shared = [
        path for path in federation.rglob("*") if path.is_file() and "silos" not in path.relative_to(federation).parts
    ]
    assert {"superlink.log", "superlink.db", "replies.jsonl", "report.html"} <= {path.name for path in shared}
    for path in shared:
        content = path.read_bytes()
        assert not [text for text in texts | phrases if text in content], path


def test_a_bundle_holds_code_only(tmp_path: Path) -> None:
    app = tmp_path / "app"
    shutil.copytree(EXAMPLE / "app", app)
    for name in ("private/records.jsonl", "social_learning_app/records.jsonl", "silo.toml", "notes.md", "x.py"):
        (app / name).parent.mkdir(exist_ok=True)
        (app / name).write_text("private")
    environment = {**os.environ, **SWITCHED_OFF, "FLWR_HOME": str(tmp_path / "home")}
    subprocess.run(
        [BIN / "flwr", "build", "--app", str(app)], cwd=tmp_path, env=environment, check=True, capture_output=True
    )
    (bundle,) = tmp_path.glob("*.fab")
    with zipfile.ZipFile(bundle) as opened:
        names = {name for name in opened.namelist() if not name.startswith(".info/")}
        text = b"".join(opened.read(name) for name in opened.namelist())
    code = {f"social_learning_app/{name}.py" for name in ("__init__", "client_app", "server_app")}
    assert names == {*code, "pyproject.toml"}
    assert b"private" not in text


def test_lessons_are_those_of_one_process_and_nothing_private_is_anywhere_else(
    federation: Path, here: dict[str, bytes]
) -> None:
    command("run", "--folder", str(federation))
    assert lessons(federation / "run") == here
    assert "3 of 3 teachers are there" in (federation / "logs" / "run.log").read_text()
    assert len(texts_in(federation)) == 300
    nothing_private_is_shared(federation)
    # The search can fail.
    texts, phrases = private_texts(federation), private_phrases(federation)
    silo = (federation / "silos" / "teacher-1" / "held_out.jsonl").read_bytes()
    assert [text for text in texts if text in silo]
    assert [phrase for phrase in phrases if phrase in silo]


@pytest.mark.model
@pytest.mark.usefixtures("embedded_cache")
def test_the_embedded_model_gives_the_lessons_of_one_process_too(courier: list[str], tmp_path: Path) -> None:
    run(in_one_process(EMBEDDED, tmp_path / "silos"), tmp_path / "run")
    with federation_of(EMBEDDED, courier) as federation:
        command("run", "--folder", str(federation))
        assert lessons(federation / "run") == lessons(tmp_path / "run")


def test_a_run_that_lost_its_superlink_goes_on_and_asks_nobody_twice(
    federation: Path, here: dict[str, bytes], courier: list[str]
) -> None:
    before = {path: len(list(read_outbox(path))) for path in outboxes(federation)}
    pin(federation)
    out = federation / "interrupted"
    with running("run", "--folder", str(federation), "--out", str(out)) as first:
        # Two rounds have ended.
        wait_until(lambda: content(out / "replies.jsonl").count(b'"round"') >= 2 or ended(first))
        assert not ended(first)
        os.kill(state(federation)["processes"]["superlink"], signal.SIGKILL)
        assert first.wait(PATIENCE) != 0
    start(federation.parent, courier)
    known = Counter(json.loads(line).get("teacher") for line in content(out / "replies.jsonl").splitlines())
    letters = {path: received(supernode_log(federation, path)) for path in before}
    command("run", "--folder", str(federation), "--out", str(out))
    assert lessons(out) == here
    run_name = (out / "run-name").read_text().strip()
    for path in outboxes(federation):
        mine = [entry for entry in list(read_outbox(path))[before[path] :] if entry.run == run_name]
        # The first request of the voted arm is that of the generated one; two votes and one more request follow.
        assert len(mine) == len({entry.id for entry in mine}) >= 4
        # Nor is a letter sent for what is known; one that was on its way may come again.
        more = received(supernode_log(federation, path)) - letters[path]
        assert known[path.parts[-3]] >= 2
        assert more <= len(mine) - known[path.parts[-3]] + 1


def test_a_supernode_killed_in_the_middle_of_a_round_and_a_killed_teacher(federation: Path, courier: list[str]) -> None:
    start(federation.parent, courier)
    processes, out = state(federation)["processes"], federation / "without-3"
    before = {path: len(list(read_outbox(path))) for path in outboxes(federation)}
    pin(federation, '["zero-shot", "generated"]')
    log = federation / "logs" / "supernode-teacher-3.log"
    letters = received(log)
    # Teacher 3 is stopped, so that its SuperNode has the letter and no answer when it is killed.
    os.kill(processes["teacher-teacher-3"], signal.SIGSTOP)
    with running("run", "--folder", str(federation), "--out", str(out)) as under_way:
        answered = [path for path in before if "teacher-3" not in path.parts]
        wait_until(lambda: all(len(list(read_outbox(path))) > before[path] for path in answered) or ended(under_way))
        wait_until(lambda: received(log) > letters or ended(under_way))
        assert not ended(under_way)
        os.kill(processes["supernode-teacher-3"], signal.SIGKILL)
        os.kill(processes["teacher-teacher-3"], signal.SIGKILL)
        assert under_way.wait(PATIENCE) == 0
    attendance = json.loads((out / "cells" / "generated-n2-r0" / "attendance.json").read_text())
    assert {entry["teacher"] for entry in attendance["missing"]} == {"teacher-3"}
    assert {entry["reason"] for entry in attendance["missing"]} <= {"timed_out", "unreachable", "silent"}
    assert "teacher-3 was missing" in (federation / "logs" / "run.log").read_text()

    os.kill(processes["teacher-teacher-2"], signal.SIGKILL)
    failed = command("run", "--folder", str(federation), "--out", str(federation / "too-few"), least=1)
    assert failed.returncode == 1
    assert "1 of 3 teachers answered" in failed.stdout + (federation / "logs" / "run.log").read_text()
    nothing_private_is_shared(federation)  # nor after faults


HOSTILE = """
import json, os, socket
from flwr.app import ConfigRecord, Message, RecordDict
from flwr.clientapp import ClientApp

def attack(message, context):
    node, got = context.node_config, []
    files = [os.path.join(path, name) for path, _, names in os.walk(SILOS) for name in names]
    files += [f"{SILOS}/{node['teacher']}/{name}" for name in ("examples.jsonl", "held_out.jsonl", "state/outbox.jsonl")]
    for file in files:
        try:
            got.append(open(file, errors="replace").read())
        except OSError:
            pass
    examples = dict(kind="examples", round=0, count=8, shots=4, samples=8)
    requests = [dict(kind="originals", round=0, count=5), {**examples, "count": 999}, {**examples, "shots": 1}, "nonsense"]
    for number in range(40):
        requests.append({**examples, "round": 1000 + number})
    for number, request in enumerate(requests):
        s = socket.socket(socket.AF_UNIX)
        s.connect(node["socket"])
        s.sendall(json.dumps(dict(run="hostile", id=f"h{number}", repeat=0, request=request)).encode() + b"\\n")
        got.append(s.makefile().read())
        s.close()
    text = json.dumps(dict(teacher=node["teacher"], uid=os.getuid(), got=got, environment=dict(os.environ)))
    open(LOOT + "/" + node["teacher"], "w").write(text)
    return Message(RecordDict({"response": ConfigRecord({"text": text[:200000]})}), reply_to=message)

app = ClientApp()
app.query("ask")(attack)
app.query("who")(lambda message, context: Message(
    RecordDict({"teacher": ConfigRecord({"text": context.node_config["teacher"]})}), reply_to=message))
"""


def test_a_hostile_bundle_gets_nothing_but_refusals(federation: Path, courier: list[str], tmp_path: Path) -> None:
    if not courier:
        pytest.skip("needs root, and a checkout that others can read, to give couriers an account of their own")
    start(federation.parent, courier)
    app, loot = federation.parent / "app", federation.parent / "loot"
    shutil.copytree(EXAMPLE / "app", app)
    loot.mkdir()
    loot.chmod(0o777)
    places = f"SILOS = {str(federation / 'silos')!r}\nLOOT = {str(loot)!r}\n"
    (app / "social_learning_app" / "client_app.py").write_text(places + HOSTILE)
    for policy in federation.glob("silos/*/policy.toml"):
        policy.write_text('allow = ["examples", "vote"]\n[per_run]\nrequests = 6\ntexts = 30\nvotes = 10\n')
    for name, pid in state(federation)["processes"].items():
        if name.startswith("teacher-"):
            os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not list((federation / "sockets").iterdir()))
    start(federation.parent, courier)
    failed = command(
        "run", "--folder", str(federation), "--app", str(app), "--out", str(federation / "hostile"), least=1
    )
    assert failed.returncode == 1
    stolen = [json.loads(path.read_text()) for path in loot.iterdir()]
    assert len(stolen) == 3
    texts = private_texts(federation)
    for theft in stolen:
        assert theft["uid"] != 0
        assert "AN_API_KEY" not in theft["environment"]
        assert "not for couriers" not in theft["environment"].values()
        answers = [json.loads(line) for line in theft["got"]]
        refused = [answer["refused"] for answer in answers]
        assert refused[:4] == ["not_allowed", "over_request_cap", "over_request_cap", "unreadable"]
        assert set(refused[4:]) == {None, "over_run_cap"}
        assert sum(len(answer["reply"]["examples"]) for answer in answers if answer["reply"]) <= 30
        told = json.dumps(theft, ensure_ascii=False).encode()
        assert not [text for text in texts if text in told]


def test_strangers_and_plain_connections_are_turned_away(federation: Path, courier: list[str], tmp_path: Path) -> None:
    start(federation.parent, courier)
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ecdsa", "-b", "384", "-N", "", "-f", str(key)], check=True)
    tls = federation / "certificates"
    secure = ["--root-certificates", str(tls / "ca.crt"), "--ssl-ca-certfile", str(tls / "ca.crt")]
    secure += ["--ssl-certfile", str(tls / "teacher-1.crt"), "--ssl-keyfile", str(tls / "teacher-1.key")]
    known = state(federation)["nodes"]
    for name, options, reason in (
        ("unregistered", [*secure, "--auth-supernode-private-key", str(key)], "Failed to activate SuperNode"),
        ("no-key", secure, "must be registered via the CLI"),
        ("plain", ["--insecure"], "Server disconnected"),
    ):
        code, told = supernode(federation, tmp_path / name, options)
        assert (code, reason in told) == (1, True), told
    nodes = module().Federation(federation).flwr("supernode", "list")["nodes"]
    assert {int(node["node-id"]) for node in nodes} == set(map(int, known.values()))


def supernode(federation: Path, folder: Path, options: list[str]) -> tuple[int, str]:
    """Start a SuperNode that is to be refused; its exit code, and what it said."""
    folder.mkdir()
    here = ["--superlink", f"127.0.0.1:{state(federation)['port']}", "--port", str(free_port()), "--host", "127.0.0.1"]
    # A home of its own, Flower's programs on the path, and the federation's mark, so that it is ended with it.
    environment = {**module().Federation(federation).environment("stranger"), "FLWR_HOME": str(folder)}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [str(BIN / "flower-supernode"), *here, "--max-retries", "1", *options],
            env=environment, stdout=log, stderr=log,
        )  # fmt: skip
        try:
            code = process.wait(PATIENCE)
        finally:
            process.kill()
    return code, (folder / "log").read_text()


def outboxes(federation: Path) -> list[Path]:
    return sorted(federation.glob("silos/*/state/outbox.jsonl"))


def supernode_log(federation: Path, outbox: Path) -> Path:
    """The log of the SuperNode of the teacher whose outbox this is."""
    return federation / "logs" / f"supernode-{outbox.parts[-3]}.log"


def received(log: Path) -> int:
    """How many letters a SuperNode has received, by its log."""
    return content(log).count(b"Receiving: query.ask")


def content(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""
