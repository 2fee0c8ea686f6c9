"""Settings: which endpoint, which of its models, and how to talk to it. No key is ever among them."""

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

from social_learning.errors import ConfigError

Form = Literal["auto", "completion", "chat"]
ScoringForm = Literal["vllm", "sglang", "echo", "forced"]
SCORING_FORMS: tuple[ScoringForm, ...] = get_args(ScoringForm)
"""How a given continuation is scored; see `scoring.py`."""

UNKNOWN_LENGTH = 1_000_000_000
"""The context length of an endpoint that does not tell it: it refuses what is too long by itself."""

PREFIX = "openai:"
_NAME = re.compile(r"openai:(?P<model>.+?)@(?P<url>https?://\S+)")
_SECRET_HEADER = re.compile(r"auth|key|token|secret|cookie|password|credential", re.IGNORECASE)
_SECRET_KEY = re.compile(r"auth|api_?key|secret|password|credential", re.IGNORECASE)
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_VALUE = re.compile(r"[\x20-\x7e]*")


@dataclass(frozen=True, slots=True)
class Prices:
    """What a million tokens cost, in any currency: tokens in, tokens out."""

    input: float = 0.0
    output: float = 0.0

    def cost(self, prompt_tokens: float, completion_tokens: float) -> float:
        """Return what so many tokens cost."""
        return (prompt_tokens * self.input + completion_tokens * self.output) / 1_000_000


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One model of one endpoint. `name` is what it is called in experiments and reports.

    `base_url` is what stands before `/completions` and `/chat/completions`, usually ending in `/v1`. The key is read from
    the environment variable `key_env` (empty: none is sent) and goes into the header `key_header`; `headers` are further
    ones, which may hold nothing secret. `form` is how plain prompts are told: as they are (`completion`), in a chat turn
    (`chat`), or as the endpoint can (`auto`). `scoring` is one way to score, `none`, or `auto`. At most `concurrency`
    calls are in flight. `body` holds further keys of every request to the model.
    `context_length`, in tokens, replaces what the endpoint says of itself. An attempt at a call may
    take `timeout` seconds, and a call with all its retries `deadline` seconds.

    Raises ConfigError, naming the key, where a value cannot be used.
    """

    name: str
    model: str
    base_url: str
    key_env: str = ""
    key_header: str = "Authorization"
    headers: tuple[tuple[str, str], ...] = ()
    form: Form = "auto"
    scoring: ScoringForm | Literal["auto", "none"] = "auto"
    concurrency: int = 32
    context_length: int | None = None
    timeout: float = 120.0
    deadline: float = 900.0
    prices: Prices | None = None
    body: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        problem = self._problem()
        if problem:
            raise ConfigError(f"model {self.name!r}: {problem}")

    def _problem(self) -> str:
        if not self.model:
            return "model must be given: the name that the endpoint knows it by"
        if self.concurrency < 1 or (self.context_length is not None and self.context_length < 1):
            return "concurrency and context_length must be 1 or more"
        if not all(math.isfinite(seconds) and seconds > 0 for seconds in (self.timeout, self.deadline)):
            return "timeout and deadline must be seconds above 0"
        secret = next((key for key in self.body if _SECRET_KEY.search(key)), None)
        if secret:
            return f"body.{secret} looks secret: a key is named in key_env"
        return _problem_of_url(self.base_url) or self._problem_of_headers()

    def _problem_of_headers(self) -> str:
        if self.key_env and not _VARIABLE.fullmatch(self.key_env):
            # Whoever wrote the key itself here must not read it again in an error.
            return "key_env must be the name of an environment variable in capitals, not a key"
        if not _HEADER.fullmatch(self.key_header):
            return "key_header must be the name of a header"
        for header, value in self.headers:
            if _SECRET_HEADER.search(header):
                return f"header {header!r} looks secret: set key_header = {header!r} and name its variable in key_env"
            if not _HEADER.fullmatch(header) or not _VALUE.fullmatch(value):
                return "headers must be names and values of plain ASCII"
        return ""

    def url(self, path: str) -> str:
        """Return the address of an OpenAI-compatible path, such as `completions`."""
        return f"{self.base_url.rstrip('/')}/{path}"

    def root_url(self, path: str) -> str:
        """Return the address of one of the server's own paths, which lie beside `/v1`."""
        return f"{self.base_url.rstrip('/').removesuffix('/v1')}/{path}"

    @property
    def local(self) -> bool:
        """Whether the endpoint is on this machine: then no proxy stands before it."""
        host = urlsplit(self.base_url).hostname or ""
        return host in ("localhost", "::1") or host.startswith("127.")


def _problem_of_url(address: str) -> str:
    try:
        url = urlsplit(address)
        _ = url.port
    except ValueError:
        return "base_url must look like https://host/v1"
    if url.scheme not in ("http", "https") or not url.hostname or any(sign.isspace() for sign in address):
        return "base_url must look like https://host/v1"
    if url.username or url.password or url.query or url.fragment:
        return "base_url must hold no user, password, query or fragment; name the key's variable in key_env"
    return ""


def is_endpoint(name: str) -> bool:
    """Whether a model's name is of the form `openai:<model>@<base-url>`."""
    return name.startswith(PREFIX)


def parse_name(name: str) -> Endpoint:
    """Read `openai:<model>@<base-url>`: an endpoint without a key. Raises ConfigError."""
    found = _NAME.fullmatch(name)
    if not found:
        raise ConfigError("an endpoint's model is named openai:<model>@<base-url>, such as openai:qwen@http://host/v1")
    problem = _problem_of_url(found["url"])
    if problem:
        # The name as a whole would repeat what should not stand in it.
        raise ConfigError(f"model {PREFIX}{found['model']}@...: {problem} (a key needs a [models.NAME] table)")
    return Endpoint(name, found["model"], found["url"])


def read_key(endpoint: Endpoint) -> str | None:
    """Return the endpoint's key from its environment variable; raises ConfigError where that is not set."""
    if not endpoint.key_env:
        return None
    key = os.environ.get(endpoint.key_env, "").strip()
    if not key:
        raise ConfigError(f"model {endpoint.name!r}: set the environment variable {endpoint.key_env} to its key")
    if not _VALUE.fullmatch(key):
        raise ConfigError(f"model {endpoint.name!r}: {endpoint.key_env} holds something that can be no key")
    return key


def estimated_tokens(text: str) -> int:
    """Return about how many tokens a text has where nobody counts them: one for four bytes of UTF-8."""
    return math.ceil(len(text.encode()) / 4)
