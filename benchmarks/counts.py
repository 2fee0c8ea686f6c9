"""What the works that score ask for: how many tokens are fed pair by pair, how many of them are distinct, and the operations.

    .venv/bin/python -m benchmarks.counts

Nothing is timed here. The operations are those of the model's matrix products and attention (flops.py): for ours, each distinct
token once and logits where they are read; pair by pair, each token of each pair and logits everywhere.
"""

import json
from pathlib import Path
from typing import Annotated

import typer

from benchmarks import machine
from benchmarks.flops import Shape, distinct
from benchmarks.work import ScoreWork
from benchmarks.works import DEFAULT_SIZES, build
from social_learning.errors import UserError
from social_learning.files import write_file
from social_learning.models.local.loading import load_tokenizer
from social_learning.models.local.tokens import Tokenizer

RESULTS = Path(__file__).parent / "results"
SCORING = ("labels", "canaries", "lambada")


def counted(work: ScoreWork, tokenizer: Tokenizer, shape: Shape) -> dict[str, float]:
    """Return the counts of one work; operations in units of 10^12."""
    sequences = tokenizer.for_scoring(work.pairs)
    fed = [sequence.ids[:-1] for sequence in sequences]
    ours = distinct(fed)
    total = sum(map(len, fed))
    read = len({sequence.ids[:end] for sequence in sequences for end in range(sequence.start, len(sequence.ids))})
    attended = sum(len(ids) * (len(ids) + 1) // 2 for ids in fed)
    return {
        "tokens pair by pair": total,
        "distinct tokens": ours.tokens,
        "ratio": total / ours.tokens,
        "TFLOP pair by pair": (shape.products(total) + shape.attention(attended) + shape.head(total)) / 1e12,
        "TFLOP ours": (shape.products(ours.tokens) + shape.attention(ours.attended) + shape.head(read)) / 1e12,
    }


def main(
    model: Annotated[str, typer.Option()] = "smollm2-135m-instruct",
    device: Annotated[str, typer.Option(hidden=True)] = "cpu",  # noqa: ARG001  # every script is told
    out: Annotated[Path, typer.Option()] = RESULTS,
) -> None:
    """Count, print, write."""
    try:
        shape = Shape.of(json.loads((Path(machine.weights(model)[0]) / "config.json").read_text()))
        tokenizer = Tokenizer(load_tokenizer(model))
        works = {name: build(name, DEFAULT_SIZES[name]) for name in SCORING}
    except UserError as error:
        raise SystemExit(f"error: {error}") from None
    rows = [
        {"work": name, **counted(work, tokenizer, shape)} for name, work in works.items() if isinstance(work, ScoreWork)
    ]
    for row in rows:
        print(
            ", ".join(
                f"{name} {value:,.1f}" if isinstance(value, float) else f"{name} {value}" for name, value in row.items()
            )
        )
    write_file(out / "counts.json", json.dumps({"model": model, "counts": rows}, indent=2) + "\n")


if __name__ == "__main__":
    typer.run(main)
