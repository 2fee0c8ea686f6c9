"""Texts to tokens, with the seams right: what stands in a prompt is tokenised as it will stand in the joint text."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import TemplateError

from social_learning.errors import ModelError
from social_learning.models.base import ChatTurn, Prompt

MIN_SHARED = 256
"""Texts that share fewer first characters are tokenised one by one."""

_Encoded = tuple[list[int], list[int]]
"""A text's tokens, and the place in the text where each ends."""


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
        try:
            rendered: str = self._tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True)
        except TemplateError as error:
            raise ModelError(f"this model's chat template refuses a single user turn: {error.message}") from None
        return rendered

    @property
    def without_chat(self) -> str:
        """Why the model takes no chat turn; empty where it does."""
        try:
            self.text(ChatTurn("a"))
        except ModelError as error:
            return str(error).removeprefix("this model ").removeprefix("this model's ")
        return ""

    def for_generation(self, prompts: Sequence[Prompt]) -> list[tuple[int, ...]]:
        """Return each prompt's tokens to continue from.

        Blanks at the end are tokenised as they would be in front of a letter: two line breaks are one token at the end
        of a text and two inside it, for many models, and a model continues best from what it saw inside.
        """
        texts = [self.text(prompt) for prompt in prompts]
        joint = [text if text == text.rstrip() or text.endswith(" ") else text + "a" for text in texts]
        encoded = self._encode(joint, [isinstance(prompt, ChatTurn) for prompt in prompts])
        return [
            tuple(i for i, end in zip(ids, ends, strict=True) if end <= len(text)) or self._start()
            for text, (ids, ends) in zip(texts, encoded, strict=True)
        ]

    def for_scoring(self, pairs: Sequence[tuple[Prompt, str]]) -> list[ScoringTokens]:
        """Return, for each pair, the tokens of prompt and continuation together, and where the continuation starts.

        A token that straddles the seam counts as the continuation's. Raises ModelError for an empty continuation.
        """
        if not all(continuation for _, continuation in pairs):
            raise ModelError("cannot score an empty continuation")
        texts = [self.text(prompt) for prompt, _ in pairs]
        joint = [text + continuation for text, (_, continuation) in zip(texts, pairs, strict=True)]
        encoded = self._encode(joint, [isinstance(prompt, ChatTurn) for prompt, _ in pairs])
        result = []
        for text, (ids, ends) in zip(texts, encoded, strict=True):
            start = next(i for i, end in enumerate(ends) if end > len(text))
            # Something must stand before the first scored token, so that something predicts it.
            before = self._start() if start == 0 else ()
            result.append(ScoringTokens((*before, *ids), start or 1))
        return result

    def _encode(self, texts: Sequence[str], chats: Sequence[bool]) -> list[_Encoded]:
        """Tokenise texts, in their order; a long beginning that several of them share is tokenised once."""
        alike: dict[tuple[bool, str], list[int]] = {}
        for number, (text, chat) in enumerate(zip(texts, chats, strict=True)):
            alike.setdefault((chat, text[:MIN_SHARED]), []).append(number)
        result: list[_Encoded] = [([], [])] * len(texts)
        for (chat, _), numbers in alike.items():
            some = [texts[number] for number in numbers]
            ids, ends = self._shared_head(some, chat) if len(some) > 2 else ([], [])
            place = ends[-1] if ends else 0
            rests = self._plain([text[place:] for text in some], special=not chat and not ends)
            for number, (more, later) in zip(numbers, rests, strict=True):
                result[number] = (ids + more, ends + [place + end for end in later])
        return result

    def _plain(self, texts: list[str], special: bool) -> list[_Encoded]:
        encoded = self._tokenizer(texts, return_offsets_mapping=True, add_special_tokens=special)
        ends = [[end for _, end in offsets] for offsets in encoded.offset_mapping]
        return list(zip(encoded.input_ids, ends, strict=True))

    def _shared_head(self, texts: Sequence[str], chat: bool) -> _Encoded:
        """Return the tokens of a beginning of all texts after which the rest can be tokenised on its own, or none.

        It ends where a line ends that a letter or digit follows, well within what the texts share. Tokenisers split a text
        by what stands around a place, which is the same for all; that this one does is tried on two of the texts, whose
        tokens as a whole must come out.
        """
        low, high = min(texts), max(texts)
        shared = next((i for i, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), min(len(low), len(high)))
        place = shared - MIN_SHARED
        while place > 0 and not (low[place - 1] == "\n" and low[place].isalnum()):
            place -= 1
        if place < MIN_SHARED:
            return [], []
        ids, ends = self._plain([low], special=not chat)[0]
        head = [i for i, end in zip(ids, ends, strict=True) if end <= place]
        for text in (low, high):
            if self._plain([text], special=not chat)[0][0] != head + self._plain([text[place:]], special=False)[0][0]:
                return [], []
        return head, ends[: len(head)]

    def _start(self) -> tuple[int, ...]:
        """The token that stands for "nothing before": the model's begin (else end) of text."""
        if self._start_id is None:
            raise ModelError("this model has no begin or end token to stand for an empty prompt")
        return (self._start_id,)

    def decode(self, ids: list[int]) -> str:
        """Return the text of generated tokens, special tokens left out."""
        text: str = self._tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text
