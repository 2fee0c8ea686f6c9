"""Files: several writers at once, kills, full disks, and locks."""

import os
import stat
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from social_learning.errors import RunFolderError
from social_learning.files import is_partial, locked, make_folder, sweep, write_file
from tests.processes import at_once


def test_processes_that_write_the_same_files_do_not_meet(tmp_path: Path) -> None:
    program = """
        import sys
        from pathlib import Path
        from social_learning.files import write_file
        folder, letter = Path(sys.argv[1]), sys.argv[2]
        for number in range(100):
            write_file(folder / f"{number % 2}.json", letter * 50_000)
    """
    at_once(program, [(tmp_path, letter) for letter in "abcd"])
    for file in (tmp_path / "0.json", tmp_path / "1.json"):
        text = file.read_text()
        assert text == text[0] * 50_000
    assert len(list(tmp_path.iterdir())) == 2


def test_threads_that_write_the_same_file_do_not_meet(tmp_path: Path) -> None:
    failures: list[Exception] = []

    def work(letter: str) -> None:
        try:
            for _ in range(50):
                write_file(tmp_path / "file", letter * 1000)
        except Exception as failure:
            failures.append(failure)

    threads = [threading.Thread(target=work, args=(letter,)) for letter in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    write_file(tmp_path / "file", "old")
    with pytest.raises(UnicodeEncodeError):
        write_file(tmp_path / "file", "x" * 100_000 + "\ud800")
    assert (tmp_path / "file").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_the_mode_is_the_one_asked_for(tmp_path: Path) -> None:
    write_file(tmp_path / "file", "text", 0o600)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o600


def test_what_a_killed_writer_left_is_swept_and_what_a_living_one_writes_is_not(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    make_folder(tmp_path / "below")
    (tmp_path / "below" / f".run.json.{gone.pid}-0123abcd.partial").write_text("half")
    older = tmp_path / ".run.json.partial"  # as versions left it that named no writer
    living = tmp_path / f".run.json.{os.getpid()}-0123abcd.partial"
    other = tmp_path / "notes.partial"
    for file in (older, living, other):
        file.write_text("text")
    assert [is_partial(file) for file in (older, living, other)] == [True, True, False]
    sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == sorted([living.name, other.name])


def test_made_folders_are_told_innermost_first(tmp_path: Path) -> None:
    assert make_folder(tmp_path / "a" / "b") == [tmp_path / "a" / "b", tmp_path / "a"]
    assert make_folder(tmp_path / "a" / "b") == []


def test_a_lock_is_held_by_one_at_a_time_and_goes_with_its_process(tmp_path: Path) -> None:
    program = """
        import sys, time
        from pathlib import Path
        from social_learning.files import locked
        with locked(Path(sys.argv[1])):
            print("held", flush=True)
            time.sleep(600)
    """
    lock = tmp_path / "lock"
    command = [sys.executable, "-c", textwrap.dedent(program), str(lock)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        with (
            pytest.raises(RunFolderError, match=r"lock has been locked for 0 s: end the run"),
            locked(lock, timeout=0.1),
        ):
            pass
        process.kill()
    with locked(lock, timeout=5):
        assert stat.S_IMODE(lock.stat().st_mode) == 0o600


def test_counting_under_a_lock_loses_nothing(tmp_path: Path) -> None:
    program = """
        import sys
        from pathlib import Path
        from social_learning.files import locked, write_file
        count = Path(sys.argv[1]) / "count"
        for _ in range(60):
            with locked(Path(sys.argv[1]) / "lock"):
                write_file(count, str(int(count.read_text()) + 1))
    """
    (tmp_path / "count").write_text("0")
    at_once(program, [(tmp_path,)] * 3)
    assert (tmp_path / "count").read_text() == "180"
