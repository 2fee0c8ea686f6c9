"""Forms: a prompt as the body of a completion or of a chat request, and the answer as a Completion.

Whatever comes back is checked before it counts: an answer that contradicts itself is Broken, never a Completion.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from social_learning.models.base import ChatTurn, Completion, Finish, Prompt, Sampling
from social_learning.models.endpoint.faults import Broken, Empty
from social_learning.models.endpoint.settings import estimated_tokens
from social_learning.prompts.continuation import continuation_of, continuation_request

IMPOSSIBLE = -9990.0
"""Servers write about -9999 for log-probabilities that they do not know or could not compute."""

ROUNDED = 0.01
"""How far above 0 a log-probability may lie by rounding."""

TEMPLATE_TOKENS = 2_000
"""How many tokens an endpoint may put around a prompt: its chat template, and instructions of its own."""

FINISHES: Mapping[str, Finish] = {
    **dict.fromkeys(("stop", "eos", "eos_token", "stop_sequence", "end_turn"), "stop"),
    **dict.fromkeys(("length", "max_tokens", "model_length"), "length"),
    **dict.fromkeys(
        ("content_filter", "refusal", "safety", "recitation", "prohibited_content", "blocklist"), "refused"
    ),
}
"""What servers call the ends of an answer, in small letters. Any other, and none at all, leaves it open whether the answer is whole,
so it is no answer.
"""

PLAIN_SAMPLING = {"top_k": -1, "min_p": 0, "repetition_penalty": 1.0}
"""Turns off what some servers do besides temperature and top-p unless told otherwise. vLLM and SGLang take over what a model's
`generation_config.json` says, a penalty among it, which changes greedy answers too.
"""

Tokens = list[tuple[str, float]]
"""Generated tokens: text, natural log-probability."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one endpoint wants to be asked: in chat or not, with log-probabilities or not, under which keys, and with which
    further ones.
    """

    model: str
    chat: bool
    logprobs: bool = True
    limit_key: str = "max_tokens"
    plain_sampling: bool = False
    further: Mapping[str, Any] = field(default_factory=dict)


def body_of(dialect: Dialect, prompt: Prompt, sampling: Sampling, seed: int) -> dict[str, Any]:
    """Return the body of a request for one sample."""
    body: dict[str, Any] = {**dialect.further, "model": dialect.model, dialect.limit_key: sampling.max_tokens}
    if dialect.chat:
        turn = isinstance(prompt, ChatTurn)
        content = prompt.content if isinstance(prompt, ChatTurn) else continuation_request(prompt, sampling.stop)
        body["messages"] = [{"role": "user", "content": content}]
        # A model that chats may begin with a line break, or repeat a line: what ends a continuation must not end that.
        stop = sampling.stop if turn else ()
    else:
        body["prompt"] = prompt
        stop = sampling.stop
    if stop:
        body["stop"] = list(stop)
    body["temperature"] = sampling.temperature
    if dialect.plain_sampling:
        body.update(PLAIN_SAMPLING)
    if sampling.temperature:
        body.update(top_p=sampling.top_p, seed=seed)
    if dialect.logprobs:
        body["logprobs"] = True if dialect.chat else 1
    return body


def read_completion(dialect: Dialect, answer: Any, prompt: Prompt, sampling: Sampling) -> Completion:
    """Read the answer to `body_of` the same prompt. Raises Broken where it is not one answer in itself consistent."""
    choice = only_choice(answer)
    finish = finish_of(choice)
    if finish == "refused":  # what a filter left of a text is no answer of the model's
        about = estimated_tokens(prompt.content if isinstance(prompt, ChatTurn) else prompt)
        read, wrote = told_usage(answer, about, sampling.max_tokens) or (about, 0)
        return Completion("", (), finish, read, wrote or None)
    text = text_of(choice)
    # Some servers (llama-server) leave a stop text's tokens out of the log-probabilities, and send null where none is left.
    unseen = max(map(len, sampling.stop), default=0) if finish == "stop" else 0
    none_left = choice.get("logprobs") is None and (not text.strip() or len(text) < unseen)
    tokens = tokens_of(choice) if dialect.logprobs and not none_left else []
    if dialect.logprobs and text.strip() and not tokens and not none_left:
        raise Broken("a text without log-probabilities")
    prompt_tokens, written = _counts(answer, prompt, sampling, text, len(tokens))
    if dialect.logprobs and not (len(tokens) - 1 <= written.said <= len(tokens) + 1 + unseen or none_left):
        raise Broken("log-probabilities of another number than the tokens")
    skipped, lead = 0, 0
    if dialect.chat and isinstance(prompt, str):
        told, skipped = continuation_of(prompt, text)
        lead = len(told) - (len(text) - skipped)
        text = told
    cuts = [(place, stop) for stop in sampling.stop if (place := text.find(stop)) >= 0]
    if cuts:
        place, stop = min(cuts)
        text, finish = text[:place], "stop"
        tokens = _up_to(tokens, skipped - lead + place + len(stop))
    logprobs = tuple(logprob for _, logprob in tokens)
    total = written.total
    return Completion(text, logprobs, finish, prompt_tokens, None if total == len(logprobs) else total)


def only_choice(answer: Any) -> dict[str, Any]:
    """Return the one choice of an answer; raises Broken where there is not exactly one."""
    choices = answer.get("choices") if isinstance(answer, dict) else None
    if choices == []:
        raise Empty("an answer without a choice")
    if not isinstance(choices, list) or len(choices) != 1 or not isinstance(choices[0], dict):
        raise Broken("an answer without exactly one choice")
    return choices[0]


def finish_of(choice: Mapping[str, Any]) -> Finish:
    """Return how a choice ended; raises Empty where it does not say so in a word that we know."""
    message, said = choice.get("message"), choice.get("finish_reason")
    if isinstance(message, dict) and message.get("refusal"):
        return "refused"
    finish = FINISHES.get(said.lower()) if isinstance(said, str) else None
    if finish is None:
        raise Empty("an answer without a finish that we know")
    return finish


def text_of(choice: Mapping[str, Any]) -> str:
    """Return a choice's text; raises Broken where there is none."""
    message = choice.get("message")
    text = message.get("content") if isinstance(message, dict) else choice.get("text")
    if text is None and isinstance(message, dict):
        return ""  # a model that only thought, up to the limit
    if text is None:
        raise Empty("an answer without text")
    if not isinstance(text, str):
        raise Broken("an answer without text")
    return text


def tokens_of(choice: Mapping[str, Any]) -> Tokens:
    """Return a choice's tokens with their log-probabilities, in either of the two shapes that servers send.

    Raises Broken where there are none, or where one is no log-probability.
    """
    found = choice.get("logprobs")
    if not isinstance(found, dict):
        raise Broken("an answer without the log-probabilities that were asked for")
    if isinstance(found.get("content"), list):
        pairs = [(entry.get("token"), entry.get("logprob")) for entry in found["content"] if isinstance(entry, dict)]
    else:
        texts, values = found.get("tokens"), found.get("token_logprobs")
        if not isinstance(texts, list) or not isinstance(values, list) or len(texts) != len(values):
            raise Broken("an answer whose tokens and log-probabilities do not match")
        pairs = list(zip(texts, values, strict=True))
    return [(text if isinstance(text, str) else "", checked_logprob(value)) for text, value in pairs]


def checked_logprob(value: Any) -> float:
    """Return a natural log-probability; raises Broken where it cannot be one (NaN, infinite, above 0, about -9999)."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise Broken("a log-probability that is no number")
    if not IMPOSSIBLE < value <= ROUNDED:
        raise Broken("a log-probability that none can be")
    return min(float(value), 0.0)


@dataclass(frozen=True, slots=True)
class _Written:
    """Tokens that were generated: all that count, and those of them that make up the text."""

    total: int
    said: int


def _counts(answer: Any, prompt: Prompt, sampling: Sampling, text: str, tokens: int) -> tuple[int, _Written]:
    """Return tokens in and out as the endpoint counted them; raises Broken where the counts cannot be."""
    told = prompt.content if isinstance(prompt, ChatTurn) else prompt
    usage = answer.get("usage")
    if not isinstance(usage, dict):
        return estimated_tokens(told), _Written(tokens or estimated_tokens(text), tokens)
    read, written = _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens", 0))
    details = usage.get("completion_tokens_details")
    thought = (details.get("reasoning_tokens") or 0) if isinstance(details, dict) else 0
    said = written - _count(thought)
    most = sampling.max_tokens + 1  # the end of text may count
    if read > len(told.encode()) + TEMPLATE_TOKENS or not (said <= written <= most) or (text and said < 1):
        raise Broken("token counts that cannot be right")
    return read, _Written(written, said)


def told_usage(answer: Any, estimated: int, most: int) -> tuple[int, int] | None:
    """Return tokens in and out as an answer tells them, whether or not it can be used; None where it tells none that can be.

    `estimated` is about how many the prompt has, `most` how many were asked for.
    """
    usage = answer.get("usage") if isinstance(answer, dict) else None
    if not isinstance(usage, dict):
        return None
    try:
        read, written = _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))
    except Broken:
        return None
    return (read, written) if read <= 4 * estimated + TEMPLATE_TOKENS and written <= most + 1 else None


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise Broken("token counts that are no counts")
    return value


def _up_to(tokens: Tokens, length: int) -> Tokens:
    """The first tokens, until their texts have `length` characters."""
    kept, size = [], 0
    for token in tokens:
        if size >= length:
            break
        kept.append(token)
        size += len(token[0])
    return kept
