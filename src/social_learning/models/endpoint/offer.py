"""Offer: what an endpoint was found to do, and the file in the user's cache folder in which that is kept."""

import contextlib
import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from social_learning.files import write_file
from social_learning.folders import cache_folder
from social_learning.models.base import Capabilities
from social_learning.models.endpoint.settings import Endpoint, ScoringForm

PROBES_VERSION = 2
"""Raise when probes change, so that endpoints are probed anew."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What one model of one endpoint does, as its own answers showed.

    `text`: continues plain text. `chat`: answers chat turns. `choices`: writes several samples in one call. `seed`: the
    same seed gives the same text, another one another. `text_logprobs`, `chat_logprobs`: tells log-probabilities of what
    it wrote. `plain_sampling`: can be told to sample by temperature and top-p alone. `scoring`: the way to score, or None.
    `tokenize`: the key under which it takes a text to be tokenised, or None. `limit_key`: the key for the most tokens in
    chat. `server` is a digest of what the endpoint says of itself. `notes`: by capability, what was found. `certain`:
    whether every probe was answered, rather than cut short by a server that was busy.
    """

    server: str
    text: bool = False
    chat: bool = False
    choices: bool = False
    seed: bool = False
    text_logprobs: bool = False
    chat_logprobs: bool = False
    plain_sampling: bool = False
    scoring: ScoringForm | None = None
    tokenize: Literal["prompt", "content"] | None = None
    limit_key: str = "max_tokens"
    context_length: int | None = None
    notes: dict[str, str] = field(default_factory=dict)
    certain: bool = True

    def chats(self, endpoint: Endpoint) -> bool:
        """Whether plain prompts are told in chat turns."""
        return endpoint.form == "chat" or (endpoint.form == "auto" and not self.text)

    def capabilities(self, endpoint: Endpoint) -> Capabilities:
        """Return what the rest of the package needs to know."""
        chats = self.chats(endpoint)
        reasons = {**self.notes, "logprobs": self.notes.get("chat_logprobs" if chats else "text_logprobs", "")}
        return Capabilities(
            text=self.chat if chats else self.text,
            chat=self.chat,
            logprobs=self.chat_logprobs if chats else self.text_logprobs,
            chat_logprobs=self.chat_logprobs,
            scoring=self.scoring is not None,
            seed=self.seed,
            reasons=reasons,
            details={
                "text": self.text,
                "chat": self.chat,
                "choices": self.choices,
                "seed": self.seed,
                "logprobs": self.text_logprobs,
                "chat_logprobs": self.chat_logprobs,
                "plain_sampling": self.plain_sampling,
                "scoring": self.scoring,
                "tokenize": self.tokenize,
            },
        )


def kept_offer(endpoint: Endpoint, server: str) -> Offer | None:
    """Return what was found before; None where nothing was, or where the server says other things of itself by now."""
    try:
        table = json.loads(_file(endpoint).read_text(encoding="utf-8"))
        offer = Offer(**table["offer"])
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return offer if table.get("version") == PROBES_VERSION and offer.server == server else None


def keep_offer(endpoint: Endpoint, offer: Offer) -> None:
    """Keep what was found for later runs. A folder that cannot be written costs them a new probing, and nothing else."""
    if not offer.certain:
        return
    table = {"version": PROBES_VERSION, "model": endpoint.model, "base_url": endpoint.base_url}
    text = json.dumps({**table, "offer": dataclasses.asdict(offer)}, indent=2) + "\n"
    with contextlib.suppress(OSError):
        write_file(_file(endpoint), text)


def _file(endpoint: Endpoint) -> Path:
    """Two settings share a file exactly where they are probed alike."""
    settings = [endpoint.model, endpoint.base_url, endpoint.form, endpoint.scoring, endpoint.headers]
    text = json.dumps([*settings, dict(endpoint.body)], sort_keys=True)
    return cache_folder() / "endpoints" / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"
