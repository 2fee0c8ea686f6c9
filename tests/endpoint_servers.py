"""Scripted servers that answer in the forms of real ones, as their documentation and sources tell them. Each is a pretender
that deviates from its parent where the real one does; none of them was compared with the real one here.
"""

from collections.abc import Mapping
from typing import Any

from benchmarks.endpoints.loopback import Answer, Asked
from benchmarks.endpoints.pretender import Pretender

CHAT = {"model", "messages", "stop", "temperature", "top_p", "seed", "logprobs", "top_logprobs", "n"}
"""What the hosted chat API takes besides the limit on tokens."""


def only(answer: Answer, **changes: Any) -> Answer:
    """The answer with its one choice changed; None takes a key out."""
    choice = {**answer.body["choices"][0], **changes}
    return Answer({**answer.body, "choices": [{key: value for key, value in choice.items() if value is not None}]})


class Vllm(Pretender):
    """vLLM: every field of the schema, most of them null; `prompt_logprobs` with ranks; texts of errors in its words."""

    def __call__(self, asked: Asked) -> Answer:
        if asked.path == "/version":
            return Answer({"version": "0.21.0"})
        if asked.path == "/tokenize" and "prompt" not in asked.body:
            return Answer({"error": {"message": "Field required", "type": "BadRequestError", "code": 400}}, 400)
        if asked.path.startswith("/v1/") and asked.body and asked.body["model"] != self.model:
            return Answer(
                {"error": {"message": "The model does not exist.", "type": "NotFoundError", "code": 404}}, 404
            )
        return super().__call__(asked)

    def _prompt_logprobs(self, ids: list[int]) -> Answer:
        answer = super()._prompt_logprobs(ids)
        entries = answer.body["choices"][0]["prompt_logprobs"]
        full = [
            entry and {i: {**found, "decoded_token": self.known[int(i)]} for i, found in entry.items()}
            for entry in entries
        ]
        # The likeliest token comes along where it is another one.
        full[-1] = {**full[-1], "7": {"logprob": -0.1, "rank": 1, "decoded_token": "x"}} if full[-1] else None
        nothing = {"stop_reason": "", "prompt_token_ids": None, "token_ids": None}
        return only(answer, prompt_logprobs=full, **nothing)


class Sglang(Pretender):
    """SGLang: `/generate` beside `/v1`; echoes whose tokens have no place (-1); a seed that counts only where it is started so."""

    def __init__(self) -> None:
        super().__init__(offers=frozenset({"text", "chat", "choices", "logprobs", "plain", "sglang", "echo"}))

    def _tokenize(self, body: Mapping[str, Any]) -> dict[str, Any]:
        return {**super()._tokenize(body), "max_model_len": 4096}

    def _echo(self, prompt: str, body: Mapping[str, Any]) -> Answer:
        answer = super()._echo(prompt, body)
        found = answer.body["choices"][0]["logprobs"]
        return only(answer, logprobs={**found, "text_offset": [-1] * len(found["tokens"])})


class Ollama(Pretender):
    """Ollama: a template around every prompt, one choice always, log-probabilities in chat alone (from 0.12.11), and unknown
    keys accepted and ignored, `max_completion_tokens`, `top_k` and `min_p` among them.
    """

    def __init__(self) -> None:
        super().__init__(offers=frozenset({"text", "chat", "seed", "logprobs", "plain"}))
        self.lies = frozenset({"template", "one_choice", "no_plain"})

    def __call__(self, asked: Asked) -> Answer:
        if asked.path == "/v1/models":
            return Answer({"object": "list", "data": [{"id": f"{self.model}:latest", "owned_by": "library"}]})
        if asked.path not in ("/v1/completions", "/v1/chat/completions"):
            return Answer(b"404 page not found", 404, {"Content-Type": "text/plain"})
        if asked.body["model"] != self.model:
            error = {"message": f"model '{asked.body['model']}' not found", "type": "not_found_error", "code": None}
            return Answer({"error": error}, 404)
        answer = super().__call__(asked)
        return only(answer, logprobs=None) if asked.path == "/v1/completions" else answer


class LmStudio(Pretender):
    """LM Studio: HTTP 200 with an error for every path that it does not know, and null where log-probabilities were asked for."""

    def __init__(self) -> None:
        super().__init__(offers=frozenset({"text", "chat", "seed", "plain"}), context_length=None)

    def __call__(self, asked: Asked) -> Answer:
        if asked.path not in ("/v1/models", "/v1/completions", "/v1/chat/completions"):
            return Answer({"error": f"Unexpected endpoint or method. ({asked.method} {asked.path})"})
        answer = super().__call__(asked)
        if "choices" in answer.body:
            answer.body["choices"][0]["logprobs"] = None
        return answer


class Hosted(Pretender):
    """A hosted chat API: unknown keys are errors that name them, and newer models want `max_completion_tokens`."""

    limit_key = "max_completion_tokens"

    def __init__(self) -> None:
        super().__init__(offers=frozenset({"chat", "choices", "seed", "logprobs", "plain"}), context_length=None)

    def __call__(self, asked: Asked) -> Answer:
        if asked.path == "/v1/chat/completions":
            unknown = set(asked.body) - CHAT - {self.limit_key}
            if unknown:
                error = {
                    "message": "no",
                    "type": "invalid_request_error",
                    "param": min(unknown),
                    "code": "unsupported_parameter",
                }
                return Answer({"error": error}, 400)
        return super().__call__(asked)


class HostedThinker(Hosted):
    """A hosted model that thinks: it takes no temperature but 1."""

    def __call__(self, asked: Asked) -> Answer:
        if asked.path == "/v1/chat/completions" and asked.body.get("temperature") not in (None, 1):
            error = {
                "message": "no",
                "type": "invalid_request_error",
                "param": "temperature",
                "code": "unsupported_value",
            }
            return Answer({"error": error}, 400)
        return super().__call__(asked)


class LocalThinker(Pretender):
    """A chat-only server whose model thinks until it is told not to."""

    def __init__(self) -> None:
        super().__init__(offers=frozenset({"chat", "seed", "logprobs"}))

    def __call__(self, asked: Asked) -> Answer:
        answer = super().__call__(asked)
        thinks = asked.path == "/v1/chat/completions" and asked.body.get("reasoning_effort") != "none"
        if not thinks or "choices" not in answer.body:
            return answer
        return only(answer, message={"role": "assistant", "content": "", "reasoning": "Let me see"}, logprobs=None)
