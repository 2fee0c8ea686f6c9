"""Data from the Hugging Face Hub: `datasets` in its own process, and a server on this machine in the Hub's shape."""

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import social_learning
from social_learning.data import ColumnMap, Row, to_examples
from social_learning.task import Task

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("datasets") is None, reason="datasets is not installed (extra 'hub')"
)

SECRET = "meet Ana at nine"
COMMITS = {"main": "a" * 40, "v1": "a" * 40, "abc": "b" * 40}
"""Names of revisions, and the commits they stand for."""

CARD = """---
configs:
- config_name: default
  data_files: [{split: train, path: data/train.jsonl}, {split: test, path: data/test.jsonl}]
- config_name: short
  data_files: [{split: train, path: short/train.jsonl}]
dataset_info:
- config_name: default
  features:
  - {name: message, dtype: string}
  - name: kind
    dtype:
      class_label:
        names: {'0': ham, '1': spam}
---
"""
FILES = {
    "org/mail": {
        "README.md": CARD,
        "data/train.jsonl": '{"message": "hi there", "kind": 0}\n{"message": "you won", "kind": 1}\n',
        "data/test.jsonl": '{"message": "who knows", "kind": -1}\n',
        "short/train.jsonl": '{"message": "yo", "kind": "spam"}\n',
    },
    "org/broken": {"train.jsonl": f'{{"message": "{SECRET}"}}\n{{"message": "{SECRET}\n'},
    "org/nothing-in-it": {"notes.md": "empty"},
}


class Hub(BaseHTTPRequestHandler):
    """As much of the Hub as `datasets` asks for: repository info, file tree, and files with their commit and ETag."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = urlsplit(self.path).path.strip("/").removeprefix("api/")
        kind, name, (action, revision, *rest) = self._parts(path.split("/"))
        files = FILES.get(name)
        commit = COMMITS.get(revision, revision)
        if kind != "datasets" or files is None:
            self._send(401, b"", {"X-Error-Code": "RepoNotFound"})
        elif commit not in COMMITS.values():
            self._send(404, b"", {"X-Error-Code": "RevisionNotFound"})
        elif action == "revision":
            self._send_json({"id": name, "sha": commit, "siblings": [{"rfilename": path} for path in files]})
        elif action == "tree":
            under = "/".join(rest)
            self._send_json([_entry(path, text) for path, text in files.items() if path.startswith(under)])
        elif (text := files.get("/".join(rest))) is not None and action == "resolve":
            self._send(200, text.encode(), {"X-Repo-Commit": commit, "ETag": f'"{_digest(text)}"'})
        else:
            self._send(404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit})

    do_HEAD = do_GET

    def do_POST(self) -> None:
        asked = self.rfile.read(int(self.headers["Content-Length"])).decode()
        _, name, _ = self._parts(urlsplit(self.path).path.strip("/").removeprefix("api/").split("/"))
        self._send_json([_entry(path, text) for path, text in FILES[name].items() if path in asked])

    @staticmethod
    def _parts(parts: list[str]) -> tuple[str, str, list[str]]:
        kind, organisation, name, *rest = [*parts, "", "", ""]
        rest = [part for part in rest if part]
        return kind, f"{organisation}/{name}", rest if len(rest) > 1 else ["revision", "main"]

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for header, value in (headers | {"Content-Length": str(len(body))}).items():
            self.send_header(header, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _send_json(self, value: object) -> None:
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def log_message(self, format: str, *args: object) -> None:
        pass


def _digest(text: str) -> str:
    return hashlib.sha1(text.encode()).hexdigest()


def _entry(path: str, text: str) -> dict[str, object]:
    return {"type": "file", "path": path, "size": len(text.encode()), "oid": _digest(text)}


CLIENT = """
import json, sys
from social_learning.data import read_rows
from social_learning.errors import DataError

answers = []
for source, split in json.load(sys.stdin):
    try:
        answers.append([[row.file, row.number, row.values] for row in read_rows(source, split=split)])
    except DataError as error:
        answers.append(str(error))
print(json.dumps(answers))
"""

ONLINE = [
    ("org/mail@abc", "train"),
    ("hf:org/mail", "test"),
    ("hf:org/mail:short@v1", "train"),
    ("hf:org/mail", "train[1:]"),
    ("hf:org/mail@abc", "dev"),
    ("hf:org/mail:long", "train"),
    ("hf:org/mail@v9", "train"),
    ("org/unknown", "train"),
    ("hf:org/unknown@v1", "train"),
    ("hf:org/broken", "train"),
    ("hf:org/nothing-in-it", "train"),
    ("hf:org/mail", "train[:0]"),
]
OFFLINE = [
    ("hf:org/mail:default@" + COMMITS["main"], "test"),
    ("hf:org/mail:default@" + COMMITS["abc"], "train"),
    ("hf:org/mail:default@" + "c" * 40, "train"),
    ("hf:org/mail@v1", "train"),
    ("hf:org/unknown", "train"),
]


@dataclass
class Answers:
    """What the client got: rows or the text of a DataError by source and split, and all that it printed beside."""

    got: dict[tuple[str, str], list[Row] | str]
    printed: str


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client's home and working folder; it holds a folder of a data set's name, which must not be read."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "work" / "org" / "mail").mkdir(parents=True)
    (folder / "work" / "org" / "mail" / "train.jsonl").write_text('{"message": "not this one"}\n', encoding="utf-8")
    return folder


def ask(home: Path, folder: Path, questions: list[tuple[str, str]], **settings: str) -> Answers:
    environment = {
        "PATH": os.environ.get("PATH", ""),
        "PYTHONPATH": str(Path(social_learning.__file__).parents[1]),
        "HOME": str(home),
        "HF_HOME": str(home / "hf"),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_XET": "1",
        **settings,
    }
    done = subprocess.run(
        [sys.executable, "-c", CLIENT],
        input=json.dumps(questions),
        env=environment,
        cwd=folder,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers = [one if isinstance(one, str) else [Row(*row) for row in one] for one in json.loads(done.stdout)]
    return Answers(dict(zip(questions, answers, strict=True)), done.stderr)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def online(home: Path, endpoint: str) -> Answers:
    return ask(home, home, ONLINE, HF_ENDPOINT=endpoint)


@pytest.fixture(scope="module")
def offline(home: Path, endpoint: str, online: Answers) -> Answers:
    """The client in the same home, after the Hub has gone; it then works in a folder that has another `org/mail`."""
    return ask(home, home / "work", OFFLINE, HF_ENDPOINT=endpoint, HF_HUB_OFFLINE="1")


def test_rows_arrive_with_names_of_labels(online: Answers) -> None:
    values = [{"message": "hi there", "kind": "ham"}, {"message": "you won", "kind": "spam"}]
    file = "org/mail@abc, split 'train'"
    assert online.got["org/mail@abc", "train"] == [Row(file, 1, values[0]), Row(file, 2, values[1])]


def test_splits_and_configs(online: Answers) -> None:
    test = Row("hf:org/mail, split 'test'", 1, {"message": "who knows", "kind": None})
    assert online.got["hf:org/mail", "test"] == [test]
    short = Row("hf:org/mail:short@v1, split 'train'", 1, {"message": "yo", "kind": "spam"})
    assert online.got["hf:org/mail:short@v1", "train"] == [short]
    part = Row("hf:org/mail, split 'train[1:]'", 1, {"message": "you won", "kind": "spam"})
    assert online.got["hf:org/mail", "train[1:]"] == [part]


def test_rows_become_examples(online: Answers) -> None:
    task = Task(name="mail", template="Text: {text}\nClass: {answer}", labels=("spam", "not spam"), metric="labels")
    columns = ColumnMap({"text": "message", "answer": "kind"}, {"ham": "not spam"})
    rows = online.got["org/mail@abc", "train"]
    assert isinstance(rows, list)
    examples = to_examples(rows, task, columns)
    assert [(example.fields["text"], example.answer) for example in examples] == [
        ("hi there", "not spam"),
        ("you won", "spam"),
    ]


@pytest.mark.parametrize(
    ("source", "split", "message"),
    [
        ("hf:org/mail@abc", "dev", "Unknown split \"dev\". Should be one of ['train', 'test']."),
        ("hf:org/mail:long", "train", "BuilderConfig 'long' not found. Available: ['default', 'short']"),
        ("hf:org/mail@v9", "train", "no such revision"),
        ("hf:org/mail", "train[:0]", 'Instruction "train[:0]" corresponds to no data!'),
        (
            "org/unknown",
            "train",
            "no such file, and as a Hugging Face data set: Dataset 'org/unknown' doesn't exist on the Hub or cannot be "
            "accessed.",
        ),
        (
            "hf:org/unknown@v1",
            "train",
            "no such data set on the Hub, or a private one that needs a login (hf auth login)",
        ),
        (
            "hf:org/broken",
            "train",
            "cannot be loaded (DatasetGenerationError); datasets.load_dataset tells more",
        ),
    ],
)
def test_says_what_is_wrong(online: Answers, source: str, split: str, message: str) -> None:
    assert online.got[source, split] == f"{source}: {message}"


def test_a_data_set_without_files(online: Answers) -> None:
    text = online.got["hf:org/nothing-in-it", "train"]
    assert isinstance(text, str)
    assert text.startswith("hf:org/nothing-in-it: ")
    assert "\n" not in text


def test_nothing_of_a_broken_row_is_printed(online: Answers) -> None:
    assert "Ana" not in online.printed


def test_without_a_network_a_full_commit_is_read_again(offline: Answers, online: Answers) -> None:
    rows = offline.got["hf:org/mail:default@" + COMMITS["main"], "test"]
    before = online.got["hf:org/mail", "test"]
    assert isinstance(rows, list)
    assert isinstance(before, list)
    assert [row.values for row in rows] == [row.values for row in before]


def test_without_a_network_no_other_revision_is_taken(offline: Answers) -> None:
    other = "the Hub did not give this revision, and the newest local copy is of another one; try again later"
    for commit in (COMMITS["abc"], "c" * 40):
        source = f"hf:org/mail:default@{commit}"
        assert offline.got[source, "train"] == f"{source}: {other}"
    lost = "the Hub cannot be reached; check the network and HF_ENDPOINT, or read from a file"
    for source in ("hf:org/mail@v1", "hf:org/unknown"):
        assert offline.got[source, "train"] == f"{source}: {lost}"
