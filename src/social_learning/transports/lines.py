"""Lines: one line of bytes from a socket, with a limit and a deadline. Both sides of a local socket read with it."""

import socket
import time


def read_line(connection: socket.socket, longest: int, patience: float) -> bytes | None:
    """Read one line, without its end, within `patience` seconds; None where the other side hung up before its end.

    A line longer than `longest` bytes is returned cut off one byte later. Raises TimeoutError, and other OSErrors.
    """
    deadline = time.monotonic() + patience
    line = bytearray()
    while len(line) <= longest:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        connection.settimeout(left)
        part = connection.recv(65536)
        if not part:
            return None
        line += part
        if b"\n" in part:
            return bytes(line[: line.index(b"\n")])[: longest + 1]
    return bytes(line[: longest + 1])
