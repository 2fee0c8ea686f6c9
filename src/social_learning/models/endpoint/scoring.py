"""Scoring: the log-likelihood of a given continuation, in the four ways in which servers can tell it.

    vllm     /v1/completions with the prompt as token ids and `prompt_logprobs`
    sglang   /generate with `input_ids`, `return_logprob` and `logprob_start_len`
    echo     /v1/completions with `echo` and `logprobs`, text in and text out
    forced   llama-server: /completion with a grammar that admits the continuation's token ids alone, one after the other

Prompt and continuation are tokenised as one text, and the tokens that reach into the continuation are scored. What comes
back must have one finite log-probability for each token, under the ids that were sent; anything else is Broken.
"""

import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from social_learning.errors import ModelError
from social_learning.models.base import Score
from social_learning.models.endpoint.faults import Broken
from social_learning.models.endpoint.forms import checked_logprob, only_choice, text_of
from social_learning.models.endpoint.settings import Endpoint, ScoringForm, estimated_tokens

Send = Callable[[str, dict[str, Any], Callable[[Any], Any]], Awaitable[Any]]
"""Sends a body to an address, and has the answer read."""

Pay = Callable[[str, dict[str, Any], Callable[[Any], Any], int], Awaitable[Any]]
"""Like Send, for a request that costs something; also told how many tokens there are to read."""

KEPT_PROMPTS = 256
"""Of how many prompts the token ids are kept: more than there are calls in flight with different ones."""

Scored = tuple[float, bool]
"""One token: its natural log-probability, and whether it is the model's most likely one."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """Token ids of prompt and continuation as one text; those from `start` on reach into the continuation."""

    ids: tuple[int, ...]
    start: int


class Scorer:
    """Scores continuations in one of the ways. `send` tokenises, `pay` has the model compute."""

    def __init__(self, endpoint: Endpoint, form: ScoringForm, send: Send, pay: Pay) -> None:
        self._endpoint = endpoint
        self._form = form
        self._send = send
        self._pay = pay
        self._prompts: dict[str, tuple[int, ...]] = {}

    async def score(self, prompt: str, continuation: str) -> Score:
        """Return the score of a continuation. Raises ModelError for an empty prompt or continuation."""
        if not prompt or not continuation:
            raise ModelError(f"{self._endpoint.name} cannot score an empty prompt or continuation")
        if self._form == "echo":
            scored, before = await self._echo(prompt, continuation)
        else:
            tokens = await self._tokens(prompt, continuation)
            url, body = self._request(tokens)
            read = {"vllm": _read_vllm, "sglang": _read_sglang, "forced": _read_forced}[self._form]
            scored = await self._pay(url, body, lambda answer: read(answer, tokens), len(tokens.ids))
            before = tokens.start
        return Score(
            math.fsum(logprob for logprob, _ in scored), len(scored), all(greedy for _, greedy in scored), before
        )

    def _request(self, tokens: Tokens) -> tuple[str, dict[str, Any]]:
        ids, start = list(tokens.ids), tokens.start
        if self._form == "vllm":
            asked = {"model": self._endpoint.model, "prompt": ids, "max_tokens": 1, "temperature": 0}
            return self._endpoint.url("completions"), {**asked, "prompt_logprobs": 0}
        if self._form == "sglang":
            asked = {"input_ids": ids, "sampling_params": {"max_new_tokens": 1, "temperature": 0}}
            told = {"return_logprob": True, "logprob_start_len": start - 1, "top_logprobs_num": 1}
            return self._endpoint.root_url("generate"), {**asked, **told}
        grammar = "root ::= " + " ".join(f"<[{i}]>" for i in ids[start:])
        asked = {"prompt": ids[:start], "n_predict": len(ids) - start, "temperature": 0, "grammar": grammar}
        told = {"n_probs": 1, "post_sampling_probs": False, "cache_prompt": True}
        return self._endpoint.root_url("completion"), {"model": self._endpoint.model, **asked, **told}

    async def _echo(self, prompt: str, continuation: str) -> tuple[list[Scored], int]:
        asked = {"model": self._endpoint.model, "prompt": prompt + continuation, "max_tokens": 1, "temperature": 0}
        body = {**asked, "echo": True, "logprobs": 1}
        url = self._endpoint.url("completions")
        found: tuple[list[Scored], int] = await self._pay(
            url, body, lambda answer: _read_echo(answer, prompt, continuation), estimated_tokens(prompt + continuation)
        )
        return found

    async def _tokens(self, prompt: str, continuation: str) -> Tokens:
        """Tokenise prompt and continuation as one text."""
        url, text = self._endpoint.root_url("tokenize"), prompt + continuation
        if self._form == "forced":
            body = {"content": text, "add_special": True, "with_pieces": True}
            tokens: Tokens = await self._send(url, body, lambda answer: _read_pieces(answer, prompt, text))
        else:
            alone, ids = await self._prompt_ids(prompt), await self._ids(text)
            shared = (i for i, (a, b) in enumerate(zip(ids, alone, strict=False)) if a != b)
            tokens = Tokens(ids, next(shared, min(len(ids), len(alone))))
        if not 0 < tokens.start < len(tokens.ids):
            raise ModelError(f"{self._endpoint.name} cannot tell where a continuation starts")
        return tokens

    async def _prompt_ids(self, prompt: str) -> tuple[int, ...]:
        """A prompt's ids. They are kept for a while: every label of a question stands after the same prompt."""
        ids = self._prompts.get(prompt) or await self._ids(prompt)
        self._prompts[prompt] = ids
        if len(self._prompts) > KEPT_PROMPTS:
            del self._prompts[next(iter(self._prompts))]
        return ids

    async def _ids(self, text: str) -> tuple[int, ...]:
        body = {"model": self._endpoint.model, "prompt": text, "add_special_tokens": True}
        ids: tuple[int, ...] = await self._send(self._endpoint.root_url("tokenize"), body, read_ids)
        return ids


def read_ids(answer: Any) -> tuple[int, ...]:
    """Read the token ids of a text from either server's answer."""
    tokens = answer.get("tokens") if isinstance(answer, dict) else None
    if not isinstance(tokens, list):
        raise Broken("tokens that are none")
    ids: list[Any] = [token.get("id") if isinstance(token, dict) else token for token in tokens]
    if not all(isinstance(i, int) and not isinstance(i, bool) for i in ids):
        raise Broken("tokens that are none")
    return tuple(ids)


def _read_pieces(answer: Any, prompt: str, text: str) -> Tokens:
    """Read llama-server's tokens with their texts, which say where each of them ends."""
    ids = read_ids(answer)
    pieces = [_bytes(token.get("piece")) if isinstance(token, dict) else b"" for token in answer["tokens"]]
    whole, said = text.encode(), b"".join(pieces)
    if not said.endswith(whole):
        raise Broken("tokens that are not those of the text")
    # Begin-of-text, or a blank that some tokenisers put in front, comes before the text.
    place, end = len(whole) - len(said), len(prompt.encode())
    for number, piece in enumerate(pieces):
        place += len(piece)
        if place > end:
            return Tokens(ids, number)
    return Tokens(ids, len(ids))


def _bytes(piece: Any) -> bytes:
    """A token's text; llama-server sends a list of bytes where a token ends inside a character."""
    return bytes(piece) if isinstance(piece, list) else str(piece).encode()


def _read_vllm(answer: Any, tokens: Tokens) -> list[Scored]:
    entries = only_choice(answer).get("prompt_logprobs")
    if not isinstance(entries, list) or len(entries) != len(tokens.ids):
        raise Broken("not one log-probability for each token of the prompt")
    scored = []
    for i, entry in list(zip(tokens.ids, entries, strict=True))[tokens.start :]:
        found = entry.get(str(i)) if isinstance(entry, dict) else None
        if not isinstance(found, dict):
            raise Broken("token ids that do not match")
        scored.append((checked_logprob(found.get("logprob")), found.get("rank") == 1))
    return scored


def _read_sglang(answer: Any, tokens: Tokens) -> list[Scored]:
    meta = answer.get("meta_info") if isinstance(answer, dict) else None
    entries = meta.get("input_token_logprobs") if isinstance(meta, dict) else None
    tops = meta.get("input_top_logprobs") if isinstance(meta, dict) else None
    wanted = tokens.ids[tokens.start :]
    if not isinstance(entries, list) or not isinstance(tops, list) or len(entries) < len(wanted):
        raise Broken("not one log-probability for each token of the continuation")
    scored = []
    for i, entry, top in zip(wanted, entries[-len(wanted) :], tops[-len(wanted) :], strict=True):
        if not isinstance(entry, list) or len(entry) < 2 or entry[1] != i:
            raise Broken("token ids that do not match")
        scored.append((checked_logprob(entry[0]), bool(top) and top[0][1] == i))
    return scored


def _read_echo(answer: Any, prompt: str, continuation: str) -> tuple[list[Scored], int]:
    choice, text = only_choice(answer), prompt + continuation
    if not text_of(choice).startswith(text):
        raise Broken("no echo of the prompt")
    found = choice.get("logprobs")
    names = ("token_logprobs", "text_offset", "top_logprobs")
    columns: list[Any] = [found.get(name) if isinstance(found, dict) else None for name in names]
    if not all(isinstance(column, list) and len(column) == len(columns[0]) for column in columns):
        raise Broken("an echo without one log-probability for each token")
    values, offsets, tops = columns
    if not all(isinstance(place, int) and place >= 0 for place in offsets) or sorted(offsets) != offsets:
        raise Broken("an echo whose tokens have no order")
    first = offsets[0] if offsets else 0  # some servers count from the start of all that they were sent
    ends = [*(place - first for place in offsets[1:]), len(text_of(choice))]
    starts = [place - first for place in offsets]
    places = [n for n, end in enumerate(ends) if end > len(prompt) and starts[n] < len(text)]
    if not places or places[0] == 0:
        raise Broken("an echo without the continuation's tokens")
    scored = []
    for n in places:
        value = checked_logprob(values[n])
        likeliest = max(tops[n].values(), default=-math.inf) if isinstance(tops[n], dict) else -math.inf
        scored.append((value, value >= likeliest - 1e-9))
    return scored, places[0]


def _read_forced(answer: Any, tokens: Tokens) -> list[Scored]:
    entries = answer.get("completion_probabilities") if isinstance(answer, dict) else None
    wanted: Sequence[int] = tokens.ids[tokens.start :]
    if not isinstance(entries, list) or len(entries) != len(wanted):
        raise Broken("not one log-probability for each token of the continuation")
    scored = []
    for i, entry in zip(wanted, entries, strict=True):
        if not isinstance(entry, dict) or entry.get("id") != i:
            raise Broken("token ids that do not match")
        tops: list[Any] = entry.get("top_logprobs") or [{}]
        scored.append((checked_logprob(entry.get("logprob")), tops[0].get("id") == i))
    return scored
