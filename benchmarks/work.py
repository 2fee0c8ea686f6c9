"""Works: what is computed, as plain texts, in one file that ours and the peers read. Standard library only."""

import dataclasses
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class ScoreWork:
    """Pairs of a prompt and a continuation whose log-likelihood is asked for.

    `units` says in one word what is counted (rows, passages); each has `per_unit` pairs, one after the other.
    """

    name: str
    what: str
    units: str
    per_unit: int
    pairs: tuple[tuple[str, str], ...]

    @property
    def size(self) -> int:
        """How many units there are."""
        return len(self.pairs) // self.per_unit

    def first(self, count: int) -> Self:
        """Return the work on the first `count` units."""
        return replace(self, pairs=self.pairs[: count * self.per_unit])


@dataclass(frozen=True, slots=True)
class GenerateWork:
    """Prompts to continue: each prompt is a unit, with `samples` continuations of up to `max_tokens` tokens.

    `temperature` 0 is greedy. A continuation ends with a text of `stop`, or where the model ends it.
    """

    name: str
    what: str
    units: str
    prompts: tuple[str, ...]
    samples: int
    max_tokens: int
    temperature: float
    top_p: float
    stop: tuple[str, ...]
    seed: int

    @property
    def size(self) -> int:
        """How many units there are."""
        return len(self.prompts)

    def first(self, count: int) -> Self:
        """Return the work on the first `count` units."""
        return replace(self, prompts=self.prompts[:count])


Work = ScoreWork | GenerateWork
KINDS: dict[str, type[ScoreWork] | type[GenerateWork]] = {"score": ScoreWork, "generate": GenerateWork}


def write_work(path: Path, work: Work) -> None:
    """Write a work to a JSON file."""
    kind = "score" if isinstance(work, ScoreWork) else "generate"
    path.write_text(json.dumps({"kind": kind, **dataclasses.asdict(work)}), encoding="utf-8")


def read_work(path: Path) -> Work:
    """Read a work from its JSON file."""
    table: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    kind = KINDS[table.pop("kind")]
    if "pairs" in table:
        table["pairs"] = tuple((prompt, continuation) for prompt, continuation in table["pairs"])
    for name in ("prompts", "stop"):
        if name in table:
            table[name] = tuple(table[name])
    return kind(**table)
