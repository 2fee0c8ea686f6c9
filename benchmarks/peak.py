"""Prefill and scoring against the machine: which share of its peak for matrix products our engine reaches.

    .venv/bin/python -m benchmarks.peak

The peak is the best rate of a matrix product measured here, in the model's number format: large square products, and the
shapes of the model's own layers. The engine's operations are counted in flops.py, on distinct tokens alone: work done twice,
padding, norms, softmax and Python all count against it.
"""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer

from benchmarks import machine
from benchmarks.flops import Distinct, Shape, distinct
from social_learning import LanguageModel, Sampling, load_model
from social_learning.config import parse_experiment
from social_learning.corpus import load_corpus
from social_learning.files import write_file
from social_learning.models.local.loading import load_tokenizer
from social_learning.models.local.tokens import Tokenizer
from social_learning.seeds import generator

RESULTS = Path(__file__).parent / "results"
SQUARES = (1024, 2048, 4096)
ROWS = 2048
"""How many tokens the products in the model's own shapes have."""

SECONDS = 1.0
"""For how long each product is repeated; its fastest run counts."""

REPEATS = 3
PRODUCTS = {"aten::mm", "aten::addmm", "aten::bmm", "aten::linear", "aten::baddbmm"}
"""What the profiler calls matrix products; of attention, only the kernel with that word in its name counts as such."""
ASKED = 0.6


def product_rates(shape: Shape, dtype: torch.dtype, device: str) -> dict[str, float]:
    """Return the best rate of each matrix product, in FLOP/s, by its sizes (rows x inner x columns)."""
    own = {
        (ROWS, shape.hidden, shape.inner),
        (ROWS, shape.inner, shape.hidden),
        (ROWS, shape.hidden, shape.heads * shape.head_size),
        (ROWS, shape.hidden, 2 * shape.inner),
    }
    sizes = [(n, n, n) for n in SQUARES] + sorted(own)
    return {"x".join(map(str, size)): _rate(size, dtype, device) for size in sizes}


def _rate(size: tuple[int, int, int], dtype: torch.dtype, device: str) -> float:
    rows, inner, columns = size
    random = torch.Generator(device=device).manual_seed(0)
    left = torch.randn(rows, inner, generator=random, device=device).to(dtype)
    # As in a layer of a model: the weights are (columns, inner).
    right = torch.randn(columns, inner, generator=random, device=device).to(dtype)
    best, until = float("inf"), time.perf_counter() + SECONDS
    with torch.inference_mode():
        torch.nn.functional.linear(left, right)
        while time.perf_counter() < until:
            best = min(best, _seconds(lambda: torch.nn.functional.linear(left, right), device))
    return 2 * rows * inner * columns / best


def _seconds(work: Callable[[], object], device: str) -> float:
    """Return how long a piece of work takes; on CUDA until it is really done."""
    on_cuda = device.startswith("cuda")
    if on_cuda:
        torch.cuda.synchronize()
    started = time.perf_counter()
    work()
    if on_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - started


@dataclass(frozen=True, slots=True)
class Case:
    """Something the engine computes: what it feeds (token ids), at how many positions logits are read, and the call."""

    name: str
    fed: tuple[tuple[int, ...], ...]
    read: int
    call: Callable[[], object]


def cases(model: LanguageModel, tokenizer: Tokenizer) -> Iterator[Case]:
    """Yield prefills and scorings of 2,000 distinct tokens and more, on texts of shuffled words."""
    one = [_text(2600, 0)]
    several = [_text(430, number) for number in range(1, 9)]
    for name, prompts in (("prefill, one prompt", one), ("prefill, 8 prompts", several)):
        fed = tuple(tokenizer.for_generation(prompts))

        def prefill(prompts: list[str] = prompts) -> object:
            return model.generate(prompts, Sampling(max_tokens=1))

        yield Case(name, fed, len(fed), prefill)
    shared = _text(800, 10)
    pairs = {
        "scoring, one word each": [(_text(70, 100 + number), " word") for number in range(48)],
        "scoring, whole texts": [("", _text(70, 200 + number)) for number in range(48)],
        "scoring after one prompt": [(shared, "\n\n" + _text(25, 300 + number)) for number in range(128)],
    }
    for name, some in pairs.items():
        sequences = tokenizer.for_scoring(some)
        fed = tuple(sequence.ids[:-1] for sequence in sequences)
        read = sum(len(sequence.ids) - sequence.start for sequence in sequences)

        def score(some: list[tuple[str, str]] = some) -> object:
            return model.score(some)

        yield Case(name, fed, read, score)


def _text(words: int, number: int) -> str:
    """Words of the bundled messages in random order: real tokens, and no text twice."""
    corpus = load_corpus(parse_experiment({"name": "peak", "task": "phone_messages"}))
    pool = np.array([word for example in corpus.train for word in example.fields["text"].split()])
    return " ".join(generator(0, "peak", number).choice(pool, size=words))


def time_by_kind(work: Callable[[], object]) -> dict[str, float]:
    """Return the seconds that a piece of work spends in matrix products, in attention, and in everything else."""
    activities = [torch.profiler.ProfilerActivity.CPU]
    if torch.cuda.is_available():
        activities.append(torch.profiler.ProfilerActivity.CUDA)
    with torch.profiler.profile(activities=activities) as profile:
        work()
    seconds = dict.fromkeys(("products", "attention", "other"), 0.0)
    for event in profile.key_averages():
        name = event.key.lower()
        kind = "attention" if "attention" in name else "products" if name in PRODUCTS or "gemm" in name else "other"
        seconds[kind] += (event.self_cpu_time_total + event.self_device_time_total) / 1e6
    return seconds


def measured(case: Case, shape: Shape, peak: float, device: str) -> dict[str, Any]:
    """Return the counts, time and rates of one case; the fastest of a few runs after one to warm up."""
    count: Distinct = distinct(case.fed)
    case.call()
    seconds = min(_seconds(case.call, device) for _ in range(REPEATS))
    products = shape.products(count.tokens) + shape.head(case.read)
    attention = shape.attention(count.attended)
    return {
        "case": case.name,
        "distinct_tokens": count.tokens,
        "logits_read": case.read,
        "seconds": seconds,
        "tokens_per_second": count.tokens / seconds,
        "product_flops": products,
        "attention_flops": attention,
        "of_peak": (products + attention) / seconds / peak,
        "of_peak_without_attention": products / seconds / peak,
        "profile": time_by_kind(case.call),
    }


def main(
    model: Annotated[str, typer.Option()] = "smollm2-135m-instruct",
    device: Annotated[str, typer.Option()] = "cpu",
    out: Annotated[Path, typer.Option()] = RESULTS,
    dtypes: Annotated[str, typer.Option(help="number formats, with commas; float32 takes minutes")] = "bfloat16",
) -> None:
    """Measure, print, write."""
    shape = Shape.of(json.loads((Path(machine.weights(model)[0]) / "config.json").read_text()))
    tokenizer = Tokenizer(load_tokenizer(model))
    told: dict[str, Any] = {"asked": ASKED, "shape": asdict(shape), "device": device, "model": model, "formats": {}}
    for dtype in dtypes.split(","):
        rates = product_rates(shape, getattr(torch, dtype), device)
        best = max(rates, key=lambda size: rates[size])
        print(f"\n{dtype}: peak {rates[best] / 1e9:,.0f} GFLOP/s ({best})")
        print(f"{'':26}{'distinct tokens':>16}{'tokens/s':>10}{'of peak':>9}{'without attention':>19}")
        loaded = load_model(model, dtype=dtype, device=device)
        results = [measured(case, shape, rates[best], device) for case in cases(loaded, tokenizer)]
        for row in results:
            shares = f"{row['of_peak']:>9.0%}{row['of_peak_without_attention']:>19.0%}"
            print(f"{row['case']:<26}{row['distinct_tokens']:>16,}{row['tokens_per_second']:>10,.0f}{shares}")
        told["formats"][dtype] = {"peak_flops": rates[best], "peak_size": best, "products": rates, "cases": results}
    write_file(out / "peak.json", json.dumps({"machine": machine.facts(), **told}, indent=2) + "\n")


if __name__ == "__main__":
    typer.run(main)
