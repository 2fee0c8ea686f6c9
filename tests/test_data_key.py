"""The data key: digests of private rows that nobody can check a guess against, and that still tell when rows change."""

import hashlib
import hmac
import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from social_learning.audit import audit
from social_learning.audit_plan import Plan
from social_learning.config import Experiment, parse_experiment
from social_learning.corpus import load_corpus
from social_learning.data_key import NAME, data_key, keyed_digest
from social_learning.errors import RunFolderError
from social_learning.experiment import run
from social_learning.remote import learn
from tests.silos import DeskCarrier, short, silo_files

FAKE = {"model": "fake:mixer"}
ROWS = [f"message number {i},{'spam' if i % 2 else 'not spam'}" for i in range(60)]


def experiment(base: Path) -> Experiment:
    (base / "rows.csv").write_text("\n".join(["text,answer", *ROWS]) + "\n")
    data = {"train": "rows.csv", "columns": {"text": "text"}}
    settings = {
        "name": "own",
        "task": "sms_spam",
        "data": data,
        "shots": [2],
        "repeats": 1,
        "arms": ["zero-shot", "generated"],
    }
    return parse_experiment(
        {**settings, "student": FAKE, "teachers": {**FAKE, "count": 2}, "privacy": {"silos": "private"}}, base=base
    )


def test_nothing_in_a_run_folder_confirms_a_guess_of_the_private_rows(tmp_path: Path) -> None:
    settings = experiment(tmp_path)
    run(settings, tmp_path / "run")
    audit(settings, Plan(trials=2, references=9, rows=12), tmp_path / "run")
    corpus = load_corpus(settings)
    rows = [corpus.task.render(example) for example in (*corpus.train, *corpus.test)]
    joined = [sign.join(rows) + end for sign in ("\0", "\n", "") for end in ("", sign)]
    guesses = [text.encode() for text in (*rows, *joined, (tmp_path / "rows.csv").read_text())]
    digests = {hash(guess).hexdigest() for guess in guesses for hash in (hashlib.sha256, hashlib.sha1, hashlib.md5)}
    digests |= {hmac.new(b"", guess, hashlib.sha256).hexdigest() for guess in guesses}
    for file in (tmp_path / "run").rglob("*"):
        if file.is_file():
            text = file.read_text()
            assert not any(digest[:12] in text for digest in digests), file.name
            assert data_key(tmp_path / "private").hex() not in text
    facts = json.loads((tmp_path / "run" / "run.json").read_text())["data"]
    counts = {"train_duplicates", "test_duplicates", "conflicting_questions", "train_in_test"}
    assert set(facts) == {"source", "train_examples", "test_examples", "key", "hmac_sha256"} | counts
    assert facts["hmac_sha256"] == keyed_digest(data_key(tmp_path / "private"), rows)["hmac_sha256"]


def test_the_key_is_its_owners_alone_and_another_one_gives_another_digest(tmp_path: Path) -> None:
    one, other = data_key(tmp_path / "one"), data_key(tmp_path / "other")
    assert one == data_key(tmp_path / "one") != other
    assert (tmp_path / "one" / NAME).stat().st_mode & 0o077 == 0
    told = [keyed_digest(key, ["a", "b"]) for key in (one, other)]
    assert told[0]["hmac_sha256"] != told[1]["hmac_sha256"]
    assert told[0]["key"] != told[1]["key"]
    # Rows do not run into one another.
    assert keyed_digest(one, ["ab", ""]) != keyed_digest(one, ["a", "b"]) != keyed_digest(one, ["b", "a"])


def test_two_that_ask_for_the_key_at_once_get_the_same(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: data_key(tmp_path / "private"), range(32)))) == 1


def test_a_resumed_run_notices_changed_rows_and_a_lost_key(tmp_path: Path) -> None:
    settings = experiment(tmp_path)
    run(settings, tmp_path / "run")
    (tmp_path / "rows.csv").write_text("\n".join(["text,answer", *ROWS[:-1], "another one,spam"]) + "\n")
    with pytest.raises(RunFolderError, match="begun with other data"):
        run(settings, tmp_path / "run")
    settings = experiment(tmp_path)
    run(settings, tmp_path / "run")
    shutil.rmtree(tmp_path / "private")
    (tmp_path / "run" / "cells" / "zero-shot-r0" / "cell.json").unlink()
    run(settings, tmp_path / "run")  # what was paid for is not lost with the key
    told = json.loads((tmp_path / "run" / "run.json").read_text())
    assert told["data compared"].startswith("by counts alone: the key of its digest")
    assert "nobody can tell whether rows changed" in (tmp_path / "run" / "report.html").read_text()
    shutil.rmtree(tmp_path / "private")
    (tmp_path / "rows.csv").write_text("\n".join(["text,answer", *ROWS[:-2]]) + "\n")
    with pytest.raises(RunFolderError, match="begun with other data"):
        run(settings, tmp_path / "run")
    (tmp_path / "private" / NAME).write_text("zz\n")
    with pytest.raises(RunFolderError, match=r"data\.key is damaged: delete it"):
        run(settings, tmp_path / "run")


def test_with_teachers_of_their_own_only_the_students_rows_are_digested(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"arms": ["zero-shot", "generated"], "remote": {"timeout": 20}}
    with ExitStack() as stack:
        carrier = DeskCarrier(silo_files(tmp_path / "silos"), stack)
        learn(short(**settings), carrier, tmp_path / "run")
    facts = json.loads((tmp_path / "run" / "run.json").read_text())["data"]
    assert set(facts) == {"source", "test_examples", "test_duplicates", "key", "hmac_sha256"}
