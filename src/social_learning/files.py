"""Files: written whole or not at all, read back, and locked where several processes share them. Knows nothing of what is
in them.
"""

import errno
import json
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from social_learning.errors import RunFolderError

OWNER_ONLY = 0o600
"""The mode of a file that its owner alone may read."""

PATIENCE = 60.0
"""Seconds to wait for a lock that is held for milliseconds; whoever holds it longer has been stopped."""

_POLL = 0.002
_PARTIAL = re.compile(r"\..+\.(?P<pid>\d+)-[0-9a-f]{8}\.partial|\..+\.partial", re.DOTALL)
_NO_FOLDER_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES)
"""What file systems answer that cannot sync a folder."""


def write_file(path: Path, text: str, mode: int = 0o666) -> None:
    """Write a file whole or not at all, durably; `mode` is cut down by the umask, as ever.

    The text goes into a temporary file of a name of its own, so that writers of the same file do not meet: the last one
    to end counts. A failure leaves nothing behind, a kill a temporary file that `sweep` takes away.
    """
    make_folder(path.parent)
    partial = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.partial")
    try:
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def make_folder(folder: Path, mode: int = 0o777) -> list[Path]:
    """Make a folder and the parents that it lacks, durably; return those that were made, the innermost first."""
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True, mode=mode)
    for path in made:
        sync_folder(path.parent)
    return made


def sync_folder(folder: Path) -> None:
    """Have what was just made or renamed in a folder found again after a loss of power, where its file system can."""
    try:
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise


def is_partial(path: Path) -> bool:
    """Whether a file is a temporary one of `write_file`, of a writer that is at work or was killed."""
    return _PARTIAL.fullmatch(path.name) is not None


def sweep(folder: Path) -> None:
    """Take away the temporary files, in a folder and below it, whose writers on this machine are no more."""
    for path in folder.rglob(".*.partial"):
        found = _PARTIAL.fullmatch(path.name)
        if found and not _alive(found["pid"]):
            path.unlink(missing_ok=True)


def _alive(pid: str | None) -> bool:
    if pid is None:
        return False  # of a version that named no writer
    if os.name != "posix":
        return True
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


@contextmanager
def locked(path: Path, timeout: float = PATIENCE) -> Iterator[None]:
    """Hold a lock among processes and threads for a moment; `path` is the lock's own file, which stays.

    A lock goes with the process that holds it, however that ends. Waits `timeout` seconds, or for ever where it is
    negative; raises RunFolderError after that, or where the file cannot be written.
    """
    lock = FileLock(path, mode=OWNER_ONLY)
    try:
        lock.acquire(timeout=timeout, poll_interval=_POLL)
    except Timeout:
        raise RunFolderError(
            f"{path} has been locked for {timeout:.0f} s: end the run that holds it, or wait"
        ) from None
    except OSError as error:
        raise RunFolderError(f"cannot lock {path}: {error.strerror}") from None
    try:
        yield
    finally:
        lock.release()


def read_json(path: Path) -> Any:
    """Read a JSON file of a run folder; raises RunFolderError where it is damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise RunFolderError(f"{path} is damaged: delete it to have that part done again") from None
