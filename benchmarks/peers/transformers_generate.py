"""transformers `generate`: prompts of similar length together, padded on the left.

python -m benchmarks.peers.transformers_generate WORK.json OUT.json --model FOLDER
"""

from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, set_seed

from benchmarks.clock import Outcome, arguments, finish, generate_work, selected, timed
from benchmarks.work import GenerateWork, Work

BATCH_SIZE = 32
"""How many sequences are generated at once: prompts times samples."""


class Peer:
    """A model of transformers with its tokenizer."""

    def __init__(self, folder: str, dtype: str, device: str, batch_size: int) -> None:
        self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, padding_side="left")
        if self._tokenizer.pad_token is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token
        self._model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype)).to(device).eval()
        self._batch_size = batch_size
        self._known_ends: dict[tuple[str, ...], list[int]] = {}

    def compute(self, work: Work) -> Outcome:
        """Generate, longest prompts first, and put the texts back into the prompts' order."""
        work = generate_work(work)
        set_seed(work.seed)
        lengths = [len(ids) for ids in self._tokenizer(list(work.prompts)).input_ids]
        order = sorted(range(len(lengths)), key=lambda number: -lengths[number])
        texts: list[list[str]] = [[] for _ in order]
        written, step = 0, max(1, self._batch_size // work.samples)
        for first in range(0, len(order), step):
            batch = order[first : first + step]
            rows = self._generate(work, [work.prompts[number] for number in batch])
            for place, ids in enumerate(rows):
                text, tokens = self._text(ids, work.stop)
                texts[batch[place // work.samples]].append(text)
                written += tokens
        return Outcome(texts=texts, new_tokens=written)

    @torch.inference_mode()
    def _generate(self, work: GenerateWork, prompts: list[str]) -> list[list[int]]:
        inputs = self._tokenizer(prompts, return_tensors="pt", padding=True).to(self._model.device)
        sampled = {"do_sample": True, "temperature": work.temperature, "top_p": work.top_p, "top_k": 0}
        output = self._model.generate(
            **inputs,
            max_new_tokens=work.max_tokens,
            num_return_sequences=work.samples,
            eos_token_id=self._ends(work.stop),
            pad_token_id=self._tokenizer.pad_token_id,
            **(sampled if work.temperature else {"do_sample": False}),
        )
        rows: list[list[int]] = output[:, inputs.input_ids.shape[1] :].tolist()
        return rows

    def _ends(self, stop: tuple[str, ...]) -> list[int]:
        """Tokens that end a text: the model's own, and every one that holds a stop text (which costs nothing per step).

        They are looked up once, while warming up.
        """
        if stop not in self._known_ends:
            every = range(len(self._tokenizer)) if stop else ()
            holding = [i for i in every if any(text in self._tokenizer.decode([i]) for text in stop)]
            self._known_ends[stop] = [self._tokenizer.eos_token_id, *holding]
        return self._known_ends[stop]

    def _text(self, ids: list[int], stop: tuple[str, ...]) -> tuple[str, int]:
        """The text before the stop, and how many tokens were generated up to the end."""
        ends = self._ends(stop)
        count = next((place + 1 for place, token in enumerate(ids) if token in ends), len(ids))
        text: str = self._tokenizer.decode(ids[:count], skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text[: min((text.index(s) for s in stop if s in text), default=len(text))], count


def main() -> None:
    """Load, generate, write."""
    asked = arguments("Continue a work's prompts with transformers.", BATCH_SIZE).parse_args()
    peer = Peer(asked.model, asked.dtype, asked.device, asked.batch_size)
    result = timed(selected(asked.work, asked.units), peer.compute)
    settings = {"batch_size": asked.batch_size, "dtype": asked.dtype}
    finish(asked.out, result, ("torch", "transformers", "tokenizers"), settings)


if __name__ == "__main__":
    main()
