"""Texts to tokens, with the seams right: what stands in a prompt is tokenised as it will stand in the joint text."""

from dataclasses import dataclass
from typing import Any

from social_learning.errors import ModelError
from social_learning.models.base import ChatTurn, Prompt


@dataclass(frozen=True, slots=True)
class ScoringTokens:
    """Tokens of a prompt and its continuation as one text. Tokens from place `start` on reach into the continuation."""

    ids: tuple[int, ...]
    start: int


class Tokenizer:
    """A transformers tokenizer behind the three questions the engine asks."""

    def __init__(self, tokenizer: Any) -> None:
        if not tokenizer.is_fast:
            raise ModelError("this model has no fast tokenizer, which is needed to tell where a continuation starts")
        self._tokenizer = tokenizer
        self.end_ids = frozenset(i for i in (tokenizer.eos_token_id,) if i is not None)
        start = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
        self._start_id: int | None = start

    def count(self, text: str) -> int:
        """Return the number of tokens of a plain text."""
        return len(self._tokenizer(text).input_ids)

    def text(self, prompt: Prompt) -> str:
        """Return the text the model reads for a prompt: itself, or the chat turn inside the model's template."""
        if isinstance(prompt, str):
            return prompt
        if not self._tokenizer.chat_template:
            raise ModelError("this model has no chat template: give it plain prompts")
        turn = [{"role": "user", "content": prompt.content}]
        rendered: str = self._tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True)
        return rendered

    def _encode(self, text: str, chat: bool) -> tuple[list[int], list[tuple[int, int]]]:
        encoded = self._tokenizer(text, return_offsets_mapping=True, add_special_tokens=not chat)
        return encoded.input_ids, encoded.offset_mapping

    def for_generation(self, prompt: Prompt) -> tuple[int, ...]:
        """Return a prompt's tokens to continue from.

        Blanks at the end are tokenised as they would be in front of a letter: two line breaks are one token at the end
        of a text and two inside it, for many models, and a model continues best from what it saw inside.
        """
        text, chat = self.text(prompt), isinstance(prompt, ChatTurn)
        if text == text.rstrip() or text.endswith(" "):
            ids = self._encode(text, chat)[0]
        else:
            joint, offsets = self._encode(text + "a", chat)
            ids = [i for i, (_, end) in zip(joint, offsets, strict=True) if end <= len(text)]
        return tuple(ids) or self._start()

    def for_scoring(self, prompt: Prompt, continuation: str) -> ScoringTokens:
        """Return the tokens of prompt and continuation together, and where the continuation starts among them.

        A token that straddles the seam counts as the continuation's. Raises ModelError for an empty continuation.
        """
        if not continuation:
            raise ModelError("cannot score an empty continuation")
        text = self.text(prompt)
        ids, offsets = self._encode(text + continuation, isinstance(prompt, ChatTurn))
        start = next(i for i, (_, end) in enumerate(offsets) if end > len(text))
        if start == 0:
            return ScoringTokens((*self._start(), *ids), 1)
        return ScoringTokens(tuple(ids), start)

    def _start(self) -> tuple[int, ...]:
        """The token that stands for "nothing before": the model's begin (else end) of text."""
        if self._start_id is None:
            raise ModelError("this model has no begin or end token to stand for an empty prompt")
        return (self._start_id,)

    def decode(self, ids: list[int]) -> str:
        """Return the text of generated tokens, special tokens left out."""
        text: str = self._tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text
