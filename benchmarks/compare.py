"""Comparing: ours and a peer on the same work, each in a process of its own, and what is told of the two."""

import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.peers.environment import PYTHON as PEERS_PYTHON
from benchmarks.work import ScoreWork, Work, write_work

ROOT = Path(__file__).resolve().parent.parent
OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
FLOAT32_LIMIT = 1e-3


@dataclass(frozen=True, slots=True)
class Peer:
    """Another program that can do a work.

    `share`: of how many units it does only a part by default, 0 for all; `asked`: how many times faster ours must be.
    """

    name: str
    script: str
    asked: float
    share: int = 0
    gguf: bool = False


LM_EVAL = "lm-evaluation-harness"
PEERS: dict[str, tuple[Peer, ...]] = {
    "labels": (Peer(LM_EVAL, "lm_eval_score", 25, share=50),),
    # Two patterns have longer prompts than the other two; 12 of each fill batches of 8 without mixing, so none is padded.
    "canaries": (Peer(LM_EVAL, "lm_eval_score", 60, share=12),),
    "lambada": (Peer(LM_EVAL, "lm_eval_score", 1),),
    "answers": (Peer("transformers", "transformers_generate", 8, share=64),),
    "teachers": (
        Peer("transformers", "transformers_generate", 3),
        Peer("llama.cpp", "llama_cpp_generate", 1, gguf=True),
    ),
}


class RunnerError(Exception):
    """A runner that ended with an error; the text is its last line."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What ours and the peers have in common in one run."""

    model: str
    folder: str
    gguf: str
    dtype: str
    device: str
    timeout: float


class Bench:
    """Runs programs on one work; the work's file lies in a folder that goes at the end."""

    def __init__(self, work: Work, setting: Setting, folder: Path) -> None:
        self.work, self.setting = work, setting
        self._file = folder / "work.json"
        self._out = folder / "out.json"
        write_work(self._file, work)

    def ours(self, units: int = 0, dtype: str | None = None) -> dict[str, Any]:
        """Compute with our engine; raises RunnerError."""
        return self._run([sys.executable, "-m", "benchmarks.ours"], self.setting.model, units, dtype)

    def peer(self, peer: Peer, units: int = 0, dtype: str | None = None, batch_size: int = 0) -> dict[str, Any]:
        """Compute with a peer; raises RunnerError."""
        if not PEERS_PYTHON.is_file():
            raise RunnerError("the peers' environment is missing: python -m benchmarks.peers.environment")
        more = ["--batch-size", str(batch_size)] if batch_size else []
        program = [str(PEERS_PYTHON), "-m", f"benchmarks.peers.{peer.script}"]
        return self._run(program, self.setting.gguf if peer.gguf else self.setting.folder, units, dtype, more)

    def _run(
        self, program: list[str], model: str, units: int, dtype: str | None, more: list[str] | None = None
    ) -> dict[str, Any]:
        told = ["--model", model, "--dtype", dtype or self.setting.dtype, "--device", self.setting.device]
        command = [*program, str(self._file), str(self._out), *told, "--units", str(units), *(more or [])]
        self._out.unlink(missing_ok=True)
        try:
            run_group(command, self.setting.timeout)
            result: dict[str, Any] = json.loads(self._out.read_text(encoding="utf-8"))
        except subprocess.TimeoutExpired:
            raise RunnerError(f"not done after {self.setting.timeout:.0f} s") from None
        except subprocess.CalledProcessError as error:
            raise RunnerError(last_line(error.stderr) or f"ended with status {error.returncode}") from None
        except (OSError, ValueError) as error:
            raise RunnerError(f"wrote no result ({error})") from None
        return {**result, "command": shlex.join(_short(part) for part in command)}


def run_group(command: Sequence[str], timeout: float) -> None:
    """Run a program, and end it with all that it started where it takes too long or we are interrupted.

    Raises subprocess.TimeoutExpired, and CalledProcessError where it fails.
    """
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **OFFLINE},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as program:
        try:
            _, errors = program.communicate(timeout=timeout)
        except BaseException:
            os.killpg(program.pid, signal.SIGKILL)
            raise
    if program.returncode:
        raise subprocess.CalledProcessError(program.returncode, command, stderr=errors)


def measure(
    work: Work, setting: Setting, full: bool = False, float32_units: int = 0, batch_size: int = 0
) -> dict[str, Any]:
    """Run ours and every peer of a work, and return the table that is written down.

    A peer does its share, or all with `full`. `float32_units`: on how many units scores are compared in float32.
    """
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(work, setting, Path(folder))
        table: dict[str, Any] = {"work": work.name, "what": work.what, "units": work.units, "size": work.size}
        table |= {"dtype": setting.dtype, "device": setting.device, "model": setting.model}
        try:
            ours = bench.ours()
        except RunnerError as failure:
            return {**table, "ours": {"failed": str(failure)}, "peers": []}
        table |= {"ours": without_content(ours), "peers": []}
        for peer in PEERS[work.name]:
            units = 0 if full or not peer.share else min(peer.share, work.size)
            row: dict[str, Any] = {"peer": peer.name, "asked": peer.asked}
            try:
                theirs = bench.peer(peer, units, batch_size=batch_size)
                row |= compared(work, ours, theirs, peer)
                if float32_units and isinstance(work, ScoreWork):
                    row["float32"] = in_float32(bench, peer, min(float32_units, work.size))
            except RunnerError as failure:
                row["failed"] = str(failure)
            table["peers"].append(row)
        return table


def compared(work: Work, ours: dict[str, Any], theirs: dict[str, Any], peer: Peer) -> dict[str, Any]:
    """Return what is told of a peer: its time for the whole work, the ratio, and how far the results agree."""
    whole = scaled(theirs["seconds"], theirs["units"], work.size)
    row = {**without_content(theirs), "seconds_for_all": whole, "ratio": whole / ours["seconds"]}
    if theirs["units"] < work.size:
        row["note"] = f"timed on {theirs['units']:,} of {work.size:,} {work.units}, time per unit scaled"
    if ours["new_tokens"] and not work_is_greedy(work):
        # Sampled texts may end early; engines are compared by the time a new token takes.
        per_token = theirs["seconds"] / theirs["new_tokens"]
        row["ratio"] = per_token * ours["new_tokens"] / ours["seconds"]
        row["tokens"] = f"{theirs['new_tokens']:,} new tokens, ours {ours['new_tokens']:,}; the ratio is per new token"
    row["agreement"] = agreement(work, ours, theirs)
    if ours["versions"].get("torch") != theirs["versions"].get("torch") and not peer.gguf:
        row["warning"] = f"torch {ours['versions'].get('torch')} against {theirs['versions'].get('torch')}"
    return row


def scaled(seconds: float, units: int, size: int) -> float:
    """Return the time for `size` units at the same time per unit."""
    return seconds * size / units


def work_is_greedy(work: Work) -> bool:
    """Tell whether a work's results should be the same for all engines."""
    return isinstance(work, ScoreWork) or work.temperature == 0


def agreement(work: Work, ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, Any]:
    """Return how far results agree on what both computed; nothing for sampled texts."""
    if not work_is_greedy(work):
        return {}
    if not isinstance(work, ScoreWork):
        pairs = list(zip(ours["texts"], theirs["texts"], strict=False))
        return {"same_texts": sum(a == b for a, b in pairs), "of": len(pairs)}
    differences = [abs(a[0] - b[0]) for a, b in zip(ours["scores"], theirs["scores"], strict=False)]
    told: dict[str, Any] = {"largest_difference": max(differences), "pairs": len(differences)}
    if work.per_unit > 1 and work.name == "labels":
        chosen = [_likeliest(result["scores"], work.per_unit) for result in (ours, theirs)]
        told |= {"same_label": sum(a == b for a, b in zip(*chosen, strict=False)), "of": len(chosen[1])}
    return told


def in_float32(bench: Bench, peer: Peer, units: int) -> dict[str, Any]:
    """Return the largest difference of log-likelihoods in float32; raises RunnerError."""
    ours, theirs = bench.ours(units, "float32"), bench.peer(peer, units, "float32")
    told = agreement(bench.work, ours, theirs)
    within = told["largest_difference"] < FLOAT32_LIMIT
    seconds = {"ours_seconds": ours["seconds"], "peer_seconds": theirs["seconds"]}
    return {**told, **seconds, "limit": FLOAT32_LIMIT, "within": within}


def without_content(result: dict[str, Any]) -> dict[str, Any]:
    """Return a result without texts and scores: numbers are kept, content is not."""
    return {key: value for key, value in result.items() if key not in ("scores", "texts")}


def _likeliest(scores: list[list[float]], labels: int) -> list[int]:
    rows = [scores[first : first + labels] for first in range(0, len(scores), labels)]
    return [max(range(labels), key=lambda label: row[label][0]) for row in rows]


def last_line(text: str) -> str:
    """Return the last line of what a program said, which is where Python names the error; at most 200 characters."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:200] if lines else ""


def _short(part: str) -> str:
    """A path as it can be told to others: relative to the repository, with the user's home as `~`, a passing file's name."""
    home = str(Path.home())
    if part.startswith(tempfile.gettempdir()):
        return Path(part).name
    if part.startswith(str(ROOT)):
        return str(Path(part).relative_to(ROOT))
    return part.replace(home, "~", 1) if part.startswith(home) else part
