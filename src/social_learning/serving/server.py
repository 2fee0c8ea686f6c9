"""The server: a teacher on a local Unix socket. One connection carries one enquiry and its response, a line each."""

import contextlib
import os
import shutil
import socket
import stat
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Self

from social_learning.errors import ServingError
from social_learning.messages import ENQUIRY_BYTES
from social_learning.serving.desk import Desk
from social_learning.transports.lines import read_line

CONNECTIONS = 8
"""Connections served at a time; further ones wait."""

WAKES = 0.2
"""How often, in seconds, a server that waits looks whether it should stop."""

PATIENCE = 10.0
"""Seconds that a connection has to send its enquiry, and to take its response."""

LONGEST_PATH = 100
"""Bytes of a socket's path; the system allows 107."""


class Server:
    """A desk behind a socket that only its owner, and perhaps one group, may connect to. Use as a context manager.

    Raises ServingError where the socket cannot be made, or another process listens there.
    """

    def __init__(self, desk: Desk, path: Path, group: str | None = None, patience: float = PATIENCE) -> None:
        self._desk = desk
        self._path = path
        self._group = group
        self._patience = patience
        self._free = threading.BoundedSemaphore(CONNECTIONS)
        self._stopped = threading.Event()

    def __enter__(self) -> Self:
        self._socket = _listen(self._path, self._group)
        self._socket.settimeout(WAKES)
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        self._path.unlink(missing_ok=True)

    def stop(self) -> None:
        """Have `serve` return soon; may be called from any thread, and from a signal handler."""
        self._stopped.set()

    def serve(self) -> None:
        """Answer enquiries until stopped."""
        while not self._stopped.is_set():
            if not self._free.acquire(timeout=WAKES):
                continue
            try:
                connection, _ = self._socket.accept()
            except OSError as error:  # whoever hung up before, or no file is free just now
                self._free.release()
                if not isinstance(error, TimeoutError):
                    self._stopped.wait(WAKES)
                continue
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        try:
            # Whoever hangs up or dawdles gets nothing; what was answered by then is in the outbox.
            with connection, contextlib.suppress(OSError):
                raw = read_line(connection, ENQUIRY_BYTES, self._patience)
                if raw is not None:
                    response = self._desk.respond(raw)
                    connection.settimeout(self._patience)
                    connection.sendall(response + b"\n")
        finally:
            self._free.release()


def _listen(path: Path, group: str | None) -> socket.socket:
    if len(os.fsencode(path)) > LONGEST_PATH:
        raise ServingError(f"the socket's path {path} is longer than {LONGEST_PATH} bytes: name a shorter one")
    with ExitStack() as stack:
        listening = stack.enter_context(closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)))
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            _remove_stale(path)
            with _closed_to_others():
                listening.bind(os.fspath(path))
            if group is not None:
                shutil.chown(path, group=group)
                path.chmod(0o660)
            listening.listen(CONNECTIONS)
        except LookupError:
            raise ServingError(f"courier_group: there is no group {group!r} on this machine") from None
        except OSError as error:
            raise ServingError(f"cannot listen on {path}: {error.strerror}") from None
        stack.pop_all()
        return listening


def _remove_stale(path: Path) -> None:
    """Take away the socket of a server that was killed; refuse where one is alive, or where something else lies."""
    if not path.exists():
        return
    if not stat.S_ISSOCK(path.lstat().st_mode):
        raise ServingError(f"{path} is no socket: name another path, or move the file away")
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:  # any other error may come from a live one that is busy
            path.unlink(missing_ok=True)
            return
        except BlockingIOError:
            pass  # its queue is full
    raise ServingError(f"{path} is in use: another teacher listens there")


@contextmanager
def _closed_to_others() -> Iterator[None]:
    """What is made here is its owner's alone from its first moment."""
    before = os.umask(0o177)
    try:
        yield
    finally:
        os.umask(before)
