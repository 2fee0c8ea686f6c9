"""Claim: a folder held by one process at a time, and taken away again where nothing came of it."""

import os
from pathlib import Path

from filelock import FileLock, Timeout

from social_learning.errors import RunFolderError
from social_learning.files import is_partial, make_folder, sweep

LOCK = ".lock"


class Claim:
    """A hold on a folder, which is made where it is not there. `first` is the file that is written first: a folder that
    has it goes on, and any other one must be empty but for what a kill left of the first write.
    """

    def __init__(self, path: Path, first: str) -> None:
        self._path, self._first = path, path / first
        self._lock = FileLock(path / LOCK)
        self._made: list[Path] = []
        self._fresh = self._locked_before = True

    def take(self) -> None:
        """Take hold. Raises RunFolderError where another process has it, or it holds something else, or cannot be written;
        then it is left as it was.
        """
        try:
            self._made = make_folder(self._path)
            self._locked_before = (self._path / LOCK).exists()
            self._lock.acquire(timeout=0)
        except Timeout:
            raise RunFolderError(
                f"{self._path} is in use by another run: wait for it, or give another folder with --out"
            ) from None
        except OSError as error:
            self._unmake()
            raise RunFolderError(
                f"cannot write to {self._path}: {error.strerror}; give another folder with --out"
            ) from None
        self._fresh = not self._first.exists()
        if self._fresh and any(entry.name != LOCK and not is_partial(entry) for entry in self._path.iterdir()):
            if not self._locked_before:
                (self._path / LOCK).unlink()
            self._lock.release()
            raise RunFolderError(f"{self._path} is not empty and holds no run: give another folder with --out")
        sweep(self._path)

    def release(self) -> None:
        """Let go."""
        self._lock.release()

    def give_up(self) -> None:
        """Let go after a failure. Where this start began the folder, and nothing but its first file came of it, it is taken
        away, or is empty again where it was there before.
        """
        left = [path for path in self._path.rglob("*") if path.is_file()] if self._fresh else []
        known = (self._first, self._path / LOCK)
        if self._fresh and all(path in known or path.stat().st_size == 0 for path in left):
            # The lock's file goes last, and held: whoever waits for it sees that it is gone.
            for path in sorted(left, key=lambda path: path.name == LOCK):
                path.unlink()
            for folder, _, _ in os.walk(self._path, topdown=False):
                if Path(folder) != self._path:
                    Path(folder).rmdir()
            self._unmake()
        self._lock.release()

    def _unmake(self) -> None:
        """Take away the folders that were made, as far as they are empty."""
        for folder in self._made:
            try:
                folder.rmdir()
            except OSError:
                return
