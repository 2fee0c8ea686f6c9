"""lm-evaluation-harness, its `hf` model: the log-likelihood of each continuation, one pair after the other.

python -m benchmarks.peers.lm_eval_score WORK.json OUT.json --model FOLDER
"""

from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM

from benchmarks.clock import Outcome, arguments, finish, score_work, selected, timed
from benchmarks.work import Work

BATCH_SIZE = 8


def main() -> None:
    """Load, score, write."""
    asked = arguments("Score a work with lm-evaluation-harness.", BATCH_SIZE).parse_args()
    model = HFLM(
        pretrained=asked.model,
        dtype=asked.dtype,
        device=asked.device,
        batch_size=asked.batch_size,
        max_batch_size=asked.batch_size,
    )

    def compute(work: Work) -> Outcome:
        requests = [
            Instance(request_type="loglikelihood", doc={}, arguments=pair, idx=number)
            for number, pair in enumerate(score_work(work).pairs)
        ]
        return Outcome(scores=model.loglikelihood(requests, disable_tqdm=True))

    result = timed(selected(asked.work, asked.units), compute)
    settings = {"batch_size": asked.batch_size, "dtype": asked.dtype}
    finish(asked.out, result, ("lm_eval", "torch", "transformers", "tokenizers"), settings)


if __name__ == "__main__":
    main()
