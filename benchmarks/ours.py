"""Ours: computes a work with this package's own engine, through the public `LanguageModel` calls.

python -m benchmarks.ours WORK.json OUT.json --model smollm2-135m-instruct
"""

from benchmarks.clock import Outcome, arguments, finish, selected, timed
from benchmarks.work import ScoreWork, Work
from social_learning import LanguageModel, Sampling, load_model


def compute(model: LanguageModel, work: Work) -> Outcome:
    """Compute a work in one call of the model."""
    if isinstance(work, ScoreWork):
        return Outcome(scores=[(score.logprob, score.greedy) for score in model.score(work.pairs)])
    sampling = Sampling(work.temperature, work.top_p, work.max_tokens, work.stop, work.seed)
    rows = model.generate(work.prompts, sampling, work.samples)
    return Outcome(texts=[[c.text for c in row] for row in rows], new_tokens=sum(c.tokens for row in rows for c in row))


def main() -> None:
    """Load, compute, write."""
    parser = arguments("Compute a work with social-learning.")
    parser.add_argument("--memory", help="limit for a batch, such as '512 MiB'")
    asked = parser.parse_args()
    options = {"memory": asked.memory} if asked.memory else {}
    model = load_model(asked.model, dtype=asked.dtype, device=asked.device, **options)
    result = timed(selected(asked.work, asked.units), lambda work: compute(model, work))
    finish(asked.out, result, ("social-learning", "torch", "transformers", "tokenizers"), {"identity": model.identity})


if __name__ == "__main__":
    main()
