"""Pretender: an OpenAI-compatible server without a model. It knows word tokens, and for every text which ones may follow.

It answers as a real server would, in every form that the client speaks, so that a client can be tested on loopback; and it can
be told to lack anything, or to pretend to have it.
"""

import functools
import hashlib
import math
import random
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.endpoints.loopback import Answer, Asked

WORDS = ("the", "of", "a", "to", "and", "in", "is", "it", "you", "that", "he", "was", "for", "on", "are")
SHARES = (0.5, 0.2, 0.1, 0.08, 0.05, 0.03)
"""Probabilities of the words that may follow; each other token has a millionth or less."""

Written = list[tuple[str, float, float]]
"""Tokens with their natural log-probability, and that of the likeliest one in their place."""

NOT_FOUND = Answer({"error": {"code": "not_found", "message": "no such path"}}, 404)
REFUSED = Answer({"error": {"type": "invalid_request_error", "message": "cannot"}}, 400)


@functools.lru_cache(maxsize=100_000)
def _following(text: str) -> tuple[tuple[str, float], ...]:
    chance = random.Random(hashlib.sha256(text.encode()).digest())  # noqa: S311  # a fixed choice for each text
    words = [" " + word for word in chance.sample(WORDS, len(SHARES))]
    if text.endswith("four,"):
        words[0] = " five"
    return tuple((word, math.log(share)) for word, share in zip(words, SHARES, strict=True))


@dataclass
class Pretender:
    """A handler for `Loopback`. `offers` names what it does; `lies` names what it accepts and does not do.

    Offers: text, chat, choices, seed, logprobs, plain, vllm, sglang, echo, forced. Lies: `template` puts a chat template
    around plain text; `same` scores everything alike; `shifted` is off by one token; `hot` lets log-probabilities depend on
    the temperature; `one_choice` ignores `n`; `no_logprobs` leaves them out; `no_plain` ignores `top_k` and `min_p`.
    """

    model: str = "pretender"
    offers: frozenset[str] = frozenset({"text", "chat", "choices", "seed", "logprobs", "plain", "vllm"})
    lies: frozenset[str] = frozenset()
    context_length: int | None = 4096
    known: dict[int, str] = field(default_factory=dict)

    def __call__(self, asked: Asked) -> Answer:
        """Answer one request."""
        path, body = asked.path, asked.body
        if path == "/v1/models":
            return Answer({"data": [{"id": self.model, "max_model_len": self.context_length}]})
        wanted = {
            "/v1/completions": ("text", self._completions),
            "/v1/chat/completions": ("chat", self._chat),
            "/generate": ("sglang", self._generate),
            "/completion": ("forced", self._forced),
        }.get(path)
        if path == "/tokenize" and self.offers & {"vllm", "sglang", "forced"}:
            return Answer(self._tokenize(body))
        if wanted is None or wanted[0] not in self.offers:
            return NOT_FOUND
        return wanted[1](body)

    # The model

    def tokens(self, text: str) -> list[str]:
        """Return a text's tokens: words with the blanks before them."""
        return re.findall(r"\s*\S+|\s+", text)

    def ids(self, text: str) -> list[int]:
        """Return the ids of a text's tokens."""
        found = []
        for token in self.tokens(text):
            i = zlib.crc32(token.encode())
            self.known[i] = token
            found.append(i)
        return found

    def following(self, context: Sequence[str]) -> Sequence[tuple[str, float]]:
        """Return what may follow, likeliest first, with natural log-probabilities."""
        return _following("".join(context[-3:]).strip())

    def logprob(self, context: Sequence[str], token: str) -> float:
        """Return a token's natural log-probability after a context."""
        rare = -14.0 - (zlib.crc32("".join((*context[-2:], token)).encode()) % 1000) / 500
        return dict(self.following(context)).get(token, rare)

    def write(self, text: str, body: Mapping[str, Any], number: int = 0) -> Written:
        """Write after a text: tokens with their log-probability and that of the likeliest one."""
        seed = body.get("seed") if "seed" in self.offers else None
        chance = random.Random(f"{seed}-{number}" if seed is not None else None)  # noqa: S311
        context, written = self.tokens(text), Written()
        temperature = body.get("temperature") or 0.0
        obeys = "plain" in self.offers and "no_plain" not in self.lies
        if obeys and (body.get("top_k") == 1 or body.get("min_p") == 1.0):
            temperature = 0.0
        for _ in range(body.get("max_tokens") or body.get("max_completion_tokens") or 16):
            options = self.following(context)
            weights = [math.exp(logprob / temperature) if temperature else 0.0 for _, logprob in options]
            token, logprob = chance.choices(options, weights)[0] if temperature else options[0]
            scale = (temperature or 1.0) if "hot" in self.lies else 1.0
            written.append((token, logprob / scale, options[0][1] / scale))
            context.append(token)
        return written

    # The forms

    def _completions(self, body: Mapping[str, Any]) -> Answer:
        prompt = body["prompt"]
        if isinstance(prompt, list):
            return self._prompt_logprobs(prompt) if "vllm" in self.offers else REFUSED
        if "top_k" in body and "plain" not in self.offers:
            return REFUSED
        if body.get("echo") and "echo" in self.offers:
            return self._echo(prompt, body)
        drafts = [self.write(prompt, body, number) for number in range(self._count(body))]
        choices = [self._choice(draft, body, number) for number, draft in enumerate(drafts)]
        return Answer({"choices": choices, "usage": self._usage(self._around(prompt), drafts)})

    def _around(self, prompt: str) -> str:
        return f"< user > You are kind . {prompt} < assistant >" if "template" in self.lies else prompt

    def _count(self, body: Mapping[str, Any]) -> int:
        return body.get("n", 1) if "choices" in self.offers and "one_choice" not in self.lies else 1

    def _usage(self, prompt: str, drafts: Sequence[Written]) -> dict[str, int]:
        return {"prompt_tokens": len(self.tokens(prompt)), "completion_tokens": sum(map(len, drafts))}

    def _finish(self, written: Written, body: Mapping[str, Any]) -> str:
        return "length" if len(written) == (body.get("max_tokens") or body.get("max_completion_tokens")) else "stop"

    def _choice(self, written: Written, body: Mapping[str, Any], number: int) -> dict[str, Any]:
        text = "".join(token for token, _, _ in written)
        choice: dict[str, Any] = {"text": text, "finish_reason": self._finish(written, body), "index": number}
        if "logprobs" in body and "logprobs" in self.offers and "no_logprobs" not in self.lies:
            choice["logprobs"] = {
                "tokens": [token for token, _, _ in written],
                "token_logprobs": [logprob for _, logprob, _ in written],
                "top_logprobs": [{"x": top} for _, _, top in written],
            }
        return choice

    def _chat(self, body: Mapping[str, Any]) -> Answer:
        if "top_k" in body and "plain" not in self.offers:
            return REFUSED
        prompt = body["messages"][0]["content"]
        written = self.write(prompt, body)
        message = {"role": "assistant", "content": "".join(token for token, _, _ in written).strip()}
        choice: dict[str, Any] = {"message": message, "finish_reason": self._finish(written, body)}
        if body.get("logprobs") and "logprobs" in self.offers:
            choice["logprobs"] = {
                "content": [
                    {"token": token, "logprob": logprob, "top_logprobs": [{"logprob": top}]}
                    for token, logprob, top in written
                ]
            }
        count = self._count(body)
        return Answer({"choices": [choice] * count, "usage": self._usage(f"< user > {prompt}", [written] * count)})

    # The ways to score

    def _tokenize(self, body: Mapping[str, Any]) -> dict[str, Any]:
        text = body.get("content") or body.get("prompt") or ""
        ids = self.ids(text)
        if body.get("with_pieces"):
            return {"tokens": [{"id": i, "piece": self.known[i]} for i in ids]}
        return {"tokens": ids, "count": len(ids)}

    def _scores(self, ids: list[int]) -> list[float]:
        tokens = [self.known[i] for i in ids]
        if "same" in self.lies:
            return [-1.5] * len(ids)
        scores = [self.logprob(tokens[max(0, n - 3) : n], token) for n, token in enumerate(tokens)]
        return [-3.0, *scores[:-1]] if "shifted" in self.lies else scores

    def _likeliest(self, tokens: list[str]) -> int:
        return zlib.crc32(self.following(tokens)[0][0].encode())

    def _prompt_logprobs(self, ids: list[int]) -> Answer:
        tokens = [self.known[i] for i in ids]
        entries: list[Any] = [
            {str(i): {"logprob": score, "rank": 1 if self._likeliest(tokens[max(0, n - 3) : n]) == i else 2}}
            for n, (i, score) in enumerate(zip(ids, self._scores(ids), strict=True))
        ]
        choice = {"text": " x", "finish_reason": "length", "prompt_logprobs": [None, *entries[1:]]}
        return Answer({"choices": [choice], "usage": {"prompt_tokens": len(ids), "completion_tokens": 1}})

    def _echo(self, prompt: str, body: Mapping[str, Any]) -> Answer:
        ids = self.ids(prompt)
        written = [token for token, _, _ in self.write(prompt, {**body, "max_tokens": 1})]
        tokens = [*self.tokens(prompt), *written]
        offsets = [sum(map(len, tokens[:n])) for n in range(len(tokens))]
        values: list[float | None] = [*self._scores(ids), -0.7]
        tops = [{"x": self.following(tokens[max(0, n - 3) : n])[0][1]} for n in range(len(tokens))]
        logprobs = {"tokens": tokens, "token_logprobs": values, "text_offset": offsets, "top_logprobs": tops}
        choice = {"text": "".join(tokens), "finish_reason": "length", "logprobs": logprobs}
        return Answer({"choices": [choice], "usage": {"prompt_tokens": len(ids), "completion_tokens": 1}})

    def _generate(self, body: Mapping[str, Any]) -> Answer:
        ids, first = body["input_ids"], body["logprob_start_len"]
        tokens = [self.known[i] for i in ids]
        entries: list[Any] = [[s, i, None] for s, i in zip(self._scores(ids), ids, strict=True)][first:]
        tops: list[Any] = [[[0.0, self._likeliest(tokens[max(0, n - 3) : n]), None]] for n in range(first, len(ids))]
        entries[0], tops[0] = [None, ids[first], None], None
        meta = {"input_token_logprobs": entries, "input_top_logprobs": tops, "prompt_tokens": len(ids)}
        return Answer({"text": " x", "meta_info": meta})

    def _forced(self, body: Mapping[str, Any]) -> Answer:
        wanted = [int(i) for i in re.findall(r"<\[(\d+)\]>", body["grammar"])]
        ids = [*body["prompt"], *wanted]
        tokens, start = [self.known[i] for i in ids], len(body["prompt"])
        scores = self._scores(ids)
        entries = [
            {"id": ids[n], "logprob": scores[n], "top_logprobs": [{"id": self._likeliest(tokens[max(0, n - 3) : n])}]}
            for n in range(start, len(ids))
        ]
        return Answer({"content": "".join(tokens[start:]), "completion_probabilities": entries})
