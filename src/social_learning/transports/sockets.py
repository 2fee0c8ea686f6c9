"""Sockets: the carrier to teachers on this machine, each behind its local socket."""

import os
import socket
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from social_learning.messages import RESPONSE_BYTES
from social_learning.transports.carrier import Missing
from social_learning.transports.lines import read_line

AT_ONCE = 32
"""Teachers asked at a time."""

RETRY = 0.05
"""Seconds until a teacher with a full queue is tried again."""


class SocketCarrier:
    """Carries rounds to the sockets of teachers, given by name. `timeout`: seconds that each has for its response."""

    def __init__(self, sockets: Mapping[str, Path], timeout: float) -> None:
        self._sockets = dict(sockets)
        self._timeout = timeout

    def carry(self, letters: Mapping[str, bytes]) -> Iterator[tuple[str, bytes | Missing]]:
        """Ask all teachers side by side."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            asked = {pool.submit(self._ask, name, letter): name for name, letter in letters.items()}
            try:
                for done in as_completed(asked):
                    yield asked[done], done.result()
            finally:
                for left in asked:
                    left.cancel()

    def _ask(self, name: str, letter: bytes) -> bytes | Missing:
        path = self._sockets.get(name)
        return Missing("unreachable") if path is None else ask_socket(path, letter, self._timeout)


def ask_socket(path: Path, letter: bytes, timeout: float) -> bytes | Missing:
    """Send one enquiry to a teacher's socket and return its response."""
    deadline = time.monotonic() + timeout
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            _connect(connection, path, deadline)
        except TimeoutError:
            return Missing("timed_out")
        except OSError:
            return Missing("unreachable")
        try:
            connection.sendall(letter + b"\n")
            answer = read_line(connection, RESPONSE_BYTES, deadline - time.monotonic())
        except TimeoutError:
            return Missing("timed_out")
        except OSError:
            return Missing("hung_up")
    if answer is None:
        return Missing("hung_up")
    return Missing("too_long") if len(answer) > RESPONSE_BYTES else answer


def _connect(connection: socket.socket, path: Path, deadline: float) -> None:
    """Connect, and set what time is left; raises OSError."""
    while True:
        connection.settimeout(max(0.001, deadline - time.monotonic()))
        try:
            return connection.connect(os.fspath(path))
        except BlockingIOError:
            # More are waiting there than the system lets wait: a local socket says so at once.
            if time.monotonic() >= deadline:
                raise TimeoutError from None
            time.sleep(RETRY)
