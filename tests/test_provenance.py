"""Provenance: the commit of a checkout, time added up over commands, and memory."""

import importlib.util
import shutil
import subprocess
from pathlib import Path

import pytest

from social_learning.provenance import Took, commit_of, peak_memory


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=Mira", "-c", "user.email=mira@example.org", "-c", "commit.gpgsign=false")
    return subprocess.run(
        ["git", *who, *arguments], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_the_commit_is_that_of_the_files_own_checkout_and_says_whether_it_was_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, other = tmp_path / "module.py", tmp_path / "installed.py"
    file.write_text("x = 1\n")
    other.write_text("y = 1\n")
    assert commit_of(file) is None
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "module.py")
    git(tmp_path, "commit", "--quiet", "-m", "first")
    commit = git(tmp_path, "rev-parse", "HEAD")
    assert commit_of(file) == commit
    assert commit_of(other) is None  # in the folder of a checkout, and no part of it
    file.write_text("x = 2\n")
    assert commit_of(file) == f"{commit}, changed"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert commit_of(file) is None


def test_time_adds_up_and_memory_is_the_most_of_any_command() -> None:
    peak = peak_memory()
    once = Took().and_now(2.5)
    assert once == Took(2.5, peak_memory(), 1)
    assert (peak is None) == (importlib.util.find_spec("resource") is None)
    assert peak is None or 2**20 < peak < 2**50
    assert Took(**once.to_table()) == once
    assert Took(4.0, 2**60, 3).and_now(1.0) == Took(5.0, 2**60, 4)
