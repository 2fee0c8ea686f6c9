"""Storm: many calls through the client and its cache, against a server that answers at once, with faults or without.

Nothing may be lost and nothing doubled: every call has its own answer in the cache, and the server answered each of them well
exactly once.
"""

import random
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.endpoints.loopback import Answer, Asked, Loopback
from social_learning.models.base import Sampling
from social_learning.models.cache import CachedModel, CallCache
from social_learning.models.endpoint.model import EndpointModel
from social_learning.models.endpoint.settings import Endpoint

SAMPLING = Sampling(max_tokens=4)


def echo(asked: Asked) -> Answer:
    """Answer a completion with the last word of its prompt: an answer of its own for each call."""
    if asked.method == "GET":
        return Answer({"data": [{"id": "echo"}]})
    if asked.path != "/v1/completions" or not isinstance(asked.body.get("prompt"), str):
        return Answer({}, 404)
    word = " " + asked.body["prompt"].split()[-1]
    logprobs = {"tokens": [word], "token_logprobs": [-1.0], "top_logprobs": [{word: -1.0}]}
    choice = {"text": word, "finish_reason": "stop", **({"logprobs": logprobs} if "logprobs" in asked.body else {})}
    return Answer({"choices": [choice], "usage": {"prompt_tokens": 2, "completion_tokens": 1}})


@dataclass
class Faulty:
    """Answers like `echo`, but a share of the calls gets a fault, chosen by chance; counts the good answers by prompt."""

    share: float
    rng: random.Random
    good: Counter[str] = field(default_factory=Counter)
    bad: Counter[str] = field(default_factory=Counter)

    def __call__(self, asked: Asked) -> Answer:
        """Answer one request."""
        answer = echo(asked)
        prompt = asked.body.get("prompt", "") if isinstance(asked.body, dict) else ""
        if not (isinstance(prompt, str) and prompt.startswith("call ")):
            return answer
        if self.rng.random() >= self.share:
            self.good[prompt] += 1
            return answer
        faults = {
            "429": Answer({}, 429),
            "500": Answer({}, 500),
            "503": Answer({}, 503, {"Retry-After": "0.05"}),
            "cut": Answer(answer.body, cut=True),
            "dropped": Answer(drop=True),
            "truncated": Answer(b'{"choices": ['),
            "NaN": Answer(b'{"choices": [{"text": " x", "finish_reason": "stop", "logprobs": {"tokens": [" x"], '
                          b'"token_logprobs": [NaN]}}], "usage": {"prompt_tokens": 2, "completion_tokens": 1}}'),
        }  # fmt: skip
        kind = self.rng.choice(list(faults))
        self.bad[kind] += 1
        return faults[kind]


def run_storm(url: str, calls: int, concurrency: int, folder: Path) -> dict[str, Any]:
    """Send so many different calls, and return seconds of wall and processor time in this process, and what was kept."""
    model = EndpointModel(Endpoint("storm", "echo", url, concurrency=concurrency))
    cache = CallCache(folder / "calls.sqlite")
    cached = CachedModel(model, cache)
    prompts = [f"call {number}" for number in range(calls)]
    try:
        cached.generate([f"warm {number}" for number in range(4 * concurrency)], SAMPLING)
        wall, processor = time.perf_counter(), time.process_time()
        rows = cached.generate(prompts, SAMPLING)
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
    finally:
        model.close()
        cached.close()
    with sqlite3.connect(folder / "calls.sqlite") as kept:
        found = kept.execute("SELECT count(*) FROM calls").fetchone()[0]
    kept.close()
    right = sum(row[0].text == f" {number}" for number, row in enumerate(rows))
    return {"calls": calls, "wall": wall, "processor": processor, "right": right, "kept": found - 4 * concurrency}


@contextmanager
def instant_server() -> Iterator[str]:
    """Run a server that answers at once, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.endpoints.storm"]
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root) as process:
        try:
            yield process.stdout.readline().strip() if process.stdout else ""
        finally:
            process.terminate()


def main() -> None:
    """Serve until standard input ends."""
    with Loopback(echo, remember=False) as server:
        print(server.url, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
