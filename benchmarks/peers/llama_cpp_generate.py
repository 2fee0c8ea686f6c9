"""llama.cpp: its server, all candidates of a prompt as one request, so that the prompt is read once and its cache shared.

python -m benchmarks.peers.llama_cpp_generate WORK.json OUT.json --model FILE.gguf

The server is the llama-server that was compiled for this processor (benchmarks/peers/environment.py); where that could not be
done, the one inside the prebuilt wheel xllamacpp, which leaves out what only newer processors can.
"""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.clock import Outcome, arguments, finish, generate_work, selected, timed
from benchmarks.work import GenerateWork, Work

PARALLEL = 32
"""How many texts the server writes at once (its slots)."""

STARTS_WITHIN = 120
"""Seconds that the server has for loading."""

COMPILED = Path(sys.prefix) / "bin" / "llama-server"


@contextmanager
def compiled_server(model: str, slots: int, context: int) -> Iterator[str]:
    """Run the compiled server as a process of its own, and stop it at the end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    threads = str(os.cpu_count())
    command = [str(COMPILED), "-m", model, "--host", "127.0.0.1", "--port", str(port), "--offline", "-t", threads]
    command += ["-np", str(slots), "-c", str(context), "--kv-unified", "--no-webui"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            address = f"http://127.0.0.1:{port}"
            _wait(address, process)
            yield address
        finally:
            process.terminate()


@contextmanager
def packaged_server(model: str, slots: int, context: int) -> Iterator[str]:
    """Run the server of the wheel in this process."""
    import xllamacpp

    settings = xllamacpp.CommonParams()
    settings.model.path = model
    settings.n_parallel, settings.n_ctx, settings.kv_unified, settings.cont_batching = slots, context, True, True
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = os.cpu_count()
    settings.verbosity = 0
    server = xllamacpp.Server(settings)
    yield server.listening_address


def _wait(address: str, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + STARTS_WITHIN
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SystemExit(f"error: llama-server ended with status {process.returncode} while loading")
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise SystemExit(f"error: llama-server was not ready after {STARTS_WITHIN} seconds")


def ask(address: str, path: str, body: dict[str, Any]) -> Any:
    """Send one request and return its answer."""
    data, headers = json.dumps(body).encode(), {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{address}/{path}", data=data, headers=headers)
    with urllib.request.urlopen(request, timeout=3600) as answer:
        return json.load(answer)


def compute(address: str, work: GenerateWork) -> Outcome:
    """Send every prompt at once, each with all its samples."""

    def one(number: int) -> list[dict[str, Any]]:
        body = {
            "prompt": work.prompts[number],
            "n_cmpl": work.samples,
            "n_predict": work.max_tokens,
            # The same distribution as the others sample from: temperature, then top-p, and nothing else.
            "samplers": ["temperature", "top_p"] if work.temperature else ["top_k"],
            "temperature": work.temperature,
            "top_p": work.top_p,
            "top_k": 1,
            "seed": work.seed + number,
            "stop": list(work.stop),
            "cache_prompt": True,
        }
        answer = ask(address, "completion", body)
        return answer if isinstance(answer, list) else [answer]

    with ThreadPoolExecutor(len(work.prompts)) as pool:
        answers = list(pool.map(one, range(len(work.prompts))))
    texts = [[sample["content"] for sample in samples] for samples in answers]
    return Outcome(texts=texts, new_tokens=sum(sample["tokens_predicted"] for samples in answers for sample in samples))


def main() -> None:
    """Start the server, generate, write."""
    asked = arguments("Continue a work's prompts with llama.cpp.", PARALLEL).parse_args()
    work = generate_work(selected(asked.work, asked.units))
    slots = max(asked.batch_size, work.samples)
    # A token of English has at least one character, so no prompt is longer than this.
    context = slots * (max(map(len, work.prompts)) // 2 + work.max_tokens)
    compiled = COMPILED.is_file()
    serve = compiled_server if compiled else packaged_server
    with serve(asked.model, slots, context) as address:

        def run(part: Work) -> Outcome:
            return compute(address, generate_work(part))

        result = timed(work, run)
        build = ask_build(address)
    settings = {
        "slots": slots,
        "weights": Path(asked.model).name,
        "server": "compiled here" if compiled else "prebuilt wheel",
    }
    finish(asked.out, result, ("xllamacpp",), {**settings, "build": build})


def ask_build(address: str) -> str:
    """Return the build that the server names."""
    with urllib.request.urlopen(f"{address}/props", timeout=60) as answer:
        return str(json.load(answer).get("build_info", "unknown"))


if __name__ == "__main__":
    main()
