"""transformers serve, real, on loopback: the second implementation that the client is tested against."""

import contextlib
import importlib.util
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

STARTS_WITHIN = 300
"""Seconds that the server has for importing and loading."""


def installed() -> bool:
    """Whether the packages of the extra `transformers[serving]` are here."""
    return all(importlib.util.find_spec(name) for name in ("fastapi", "uvicorn", "openai", "transformers"))


@contextlib.contextmanager
def transformers_server(model: Path) -> Iterator[str]:
    """Serve a folder's model, and stop at the end; gives the base URL. The endpoint knows the model by its folder."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = "from transformers.cli.transformers import main; main()"
    command = [sys.executable, "-c", program, "serve", str(model), "--host", "127.0.0.1", "--port", str(port)]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            address = f"http://127.0.0.1:{port}"
            _wait(address, process)
            yield f"{address}/v1"
        finally:
            process.kill()


def _wait(address: str, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + STARTS_WITHIN
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"transformers serve ended with status {process.returncode} while loading")
        with (
            contextlib.suppress(urllib.error.URLError, OSError),
            urllib.request.urlopen(f"{address}/health", timeout=5),
        ):
            return
        time.sleep(0.2)
    raise RuntimeError(f"transformers serve was not ready after {STARTS_WITHIN} seconds")
