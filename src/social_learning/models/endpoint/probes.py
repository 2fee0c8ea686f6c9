"""Probes: find out by small self-tests what an endpoint really does. What it claims, or accepts and ignores, does not count."""

import asyncio
import dataclasses
import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar

from social_learning.errors import EndpointError, ModelError
from social_learning.models.base import ChatTurn, Completion, Prompt, Sampling
from social_learning.models.endpoint.caller import Caller, SenselessError
from social_learning.models.endpoint.client import Client
from social_learning.models.endpoint.faults import Broken, Overloaded, Refused
from social_learning.models.endpoint.forms import Dialect, body_of, read_completion, tokens_of
from social_learning.models.endpoint.offer import Offer
from social_learning.models.endpoint.scoring import Scorer, read_ids
from social_learning.models.endpoint.selftest import SelfTestError, check_scorer
from social_learning.models.endpoint.settings import SCORING_FORMS, Endpoint, ScoringForm

COUNTING = "One, two, three, four,"
STORY = "Once upon a time there was a"
TURN = ChatTurn("Say the word yes.")

ONE_LETTER = 4
"""The most tokens that one letter may have, begin of text included; more, and a chat template was put around it."""

STRICTEST = {"top_k": 1, "min_p": 1.0}
"""What leaves the likeliest token alone."""

ANSWERED_WITHIN = 60.0
"""Seconds for one attempt at a probe. Some servers never answer what they do not know."""

SHOWN = 5
"""So many of an endpoint's models are named in an error."""

SAME = 0.05
"""How much a log-probability may differ between two calls that compute the same."""

Found = TypeVar("Found")


@dataclasses.dataclass(frozen=True, slots=True)
class Description:
    """What an endpoint says of itself: a digest of it, the context length, in tokens, where it tells, and its models' names."""

    server: str
    context_length: int | None
    models: tuple[str, ...] = ()


async def describe(endpoint: Endpoint, client: Client, caller: Caller) -> Description:
    """Ask an endpoint what it is. Raises ModelError where it does not let us in, EndpointError where it cannot be reached."""

    async def seen(url: str) -> Any:
        try:
            return await client.get(url)
        except Refused as fault:
            if fault.status in (401, 403):
                raise
            return None
        except Overloaded as fault:
            if fault.status != 500:  # some servers break at what they do not know
                raise
            return None
        except Broken:
            return None

    listed = await caller.call(lambda: seen(endpoint.url("models")), _table)
    entries = listed.get("data") if isinstance(listed.get("data"), list) else []
    entry = next((e for e in entries or [] if isinstance(e, dict) and e.get("id") == endpoint.model), {})
    props, version = {}, {}
    try:
        props = await caller.call(lambda: seen(endpoint.root_url("props")), _table)
        version = await caller.call(lambda: seen(endpoint.root_url("version")), _table)
    except (EndpointError, ModelError):  # a server's own paths; many have neither, and some forbid them
        pass
    defaults = _table(props.get("default_generation_settings"))
    lengths = [entry.get(key) for key in ("max_model_len", "context_length", "context_window", "max_context_length")]
    lengths.append(defaults.get("n_ctx"))
    context = next((n for n in lengths if isinstance(n, int) and n > 0), None)
    told = {key: entry.get(key) for key in ("id", "root", "meta")}
    told.update({key: props.get(key) for key in ("model_path", "build_info")}, version=version.get("version"))
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:12]
    names = tuple(e["id"] for e in entries or [] if isinstance(e, dict) and isinstance(e.get("id"), str))
    return Description(digest, endpoint.context_length or context, names)


def _others(model: str, models: Sequence[str]) -> str:
    """What to do where an endpoint does nothing, by the models that it lists."""
    if not models:
        return ": check base_url, which usually ends in /v1, and model"
    if model in models:
        return ""
    shown = ", ".join([*models[:SHOWN], *(["..."] if len(models) > SHOWN else [])])
    return f": it lists no model {model!r}, but {shown}: put one of those names into model"


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


class Prober:
    """Probes one endpoint. Probes are few, short and cheap: about two dozen calls of a few tokens."""

    def __init__(self, endpoint: Endpoint, client: Client, caller: Caller) -> None:
        self._endpoint, self._client, self._caller = endpoint, client, caller
        self._notes: dict[str, str] = {}
        self._certain = True

    async def probe(self, description: Description) -> Offer:
        """Return what the endpoint does. Raises ModelError where it does neither of the two things all else builds on."""
        text = bool(await self._try("text", self._text()))
        limit_key = await self._try("chat", self._chat())
        if not text and not limit_key:
            raise ModelError(
                f"{self._endpoint.name} neither continues text ({self._notes['text']}) nor chats ({self._notes['chat']})"
                f"{_others(self._endpoint.model, description.models)}"
            )
        chat_dialect = self._dialect(chat=True, limit_key=limit_key or "max_tokens")
        text_dialect = self._dialect(chat=False)
        plain = text_dialect if text else chat_dialect
        return Offer(
            server=description.server,
            text=text,
            chat=bool(limit_key),
            choices=bool(await self._try("choices", self._choices(plain))),
            seed=bool(await self._try("seed", self._seed(plain))),
            text_logprobs=text and bool(await self._try("text_logprobs", self._logprobs(text_dialect, COUNTING))),
            chat_logprobs=bool(limit_key)
            and bool(await self._try("chat_logprobs", self._logprobs(chat_dialect, TURN))),
            plain_sampling=bool(await self._try("plain_sampling", self._plain(plain))),
            scoring=await self._scoring(text_dialect if text else None),
            tokenize=await self._tokenize(),
            limit_key=chat_dialect.limit_key,
            context_length=description.context_length,
            notes=self._notes,
            certain=self._certain,
        )

    async def _try(self, capability: str, probe: Awaitable[Found]) -> Found | None:
        """Run a probe; one that fails means that the endpoint lacks the capability, and is noted with its reason."""
        try:
            return await probe
        except (ModelError, SenselessError, SelfTestError) as error:
            reason = str(error)
        except EndpointError as error:
            self._certain = False
            reason = str(error)
        self._notes[capability] = reason.removeprefix(self._endpoint.name).strip()
        return None

    async def _send(self, url: str, body: Mapping[str, Any], read: Callable[[Any], Found]) -> Found:
        async def attempt() -> Any:
            try:
                async with asyncio.timeout(ANSWERED_WITHIN):
                    return await self._client.post(url, dict(body))
            except TimeoutError:
                raise Overloaded(f"no answer within {ANSWERED_WITHIN:g} s") from None

        return await self._caller.call(attempt, read)

    def _dialect(self, chat: bool, limit_key: str = "max_tokens") -> Dialect:
        return Dialect(self._endpoint.model, chat, limit_key=limit_key, further=self._endpoint.body)

    async def _ask(
        self,
        dialect: Dialect,
        prompt: Prompt,
        sampling: Sampling,
        seed: int = 0,
        strict: dict[str, float] | None = None,
    ) -> Completion:
        body = body_of(dialect, prompt, sampling, seed) | (strict or {})
        url = self._endpoint.url("chat/completions" if dialect.chat else "completions")
        return await self._send(url, body, lambda answer: read_completion(dialect, answer, prompt, sampling))

    async def _text(self) -> bool:
        dialect = dataclasses.replace(self._dialect(chat=False), logprobs=False)
        if not (await self._ask(dialect, COUNTING, Sampling(max_tokens=4))).text.strip():
            raise SelfTestError("it continues a text with nothing")
        letter = await self._ask(dialect, "a", Sampling(max_tokens=1))
        if letter.prompt_tokens > ONE_LETTER:
            raise SelfTestError(
                f"it reads {letter.prompt_tokens} tokens for one letter: a chat template is put around it"
            )
        return True

    async def _chat(self) -> str:
        """Return the key for the most tokens; newer models refuse the older key."""
        sampling, dialect = Sampling(max_tokens=16), dataclasses.replace(self._dialect(chat=True), logprobs=False)
        try:
            told = await self._ask(dialect, TURN, sampling)
        except ModelError:
            dialect = dataclasses.replace(dialect, limit_key="max_completion_tokens")
            told = await self._ask(dialect, TURN, sampling)
        if not told.text.strip() or told.text.lstrip().startswith("<think>"):
            raise SelfTestError(
                "it spends a short answer on thinking: turn that off at the server or by body, such as "
                "body = { reasoning_effort = 'none' } or body = { chat_template_kwargs = { enable_thinking = false } }"
            )
        return dialect.limit_key

    async def _choices(self, dialect: Dialect) -> bool:
        dialect = dataclasses.replace(dialect, logprobs=False)
        body = body_of(dialect, STORY, Sampling(temperature=1.0, max_tokens=8), 1) | {"n": 2}
        url = self._endpoint.url("chat/completions" if dialect.chat else "completions")
        answer = await self._send(url, body, _table)
        choices = answer.get("choices")
        if not isinstance(choices, list) or len(choices) != 2:
            raise SelfTestError("it was asked for two samples in one call and sent another number")
        return True

    async def _seed(self, dialect: Dialect) -> bool:
        dialect = dataclasses.replace(dialect, logprobs=False)
        sampling = Sampling(temperature=1.0, max_tokens=16)
        texts = [(await self._ask(dialect, STORY, sampling, seed)).text for seed in (11, 11, 12, 13, 14)]
        if len(set(texts)) == 1:
            raise SelfTestError("it writes the same text whatever the seed: samples cannot differ")
        if texts[0] != texts[1]:
            raise SelfTestError("it writes another text for the same seed")
        return True

    async def _logprobs(self, dialect: Dialect, prompt: Prompt) -> bool:
        """They must be there for every token, and be the model's own: the same at any temperature."""
        await self._ask(dialect, prompt, Sampling(max_tokens=3))
        tops = []
        for temperature in (0.0, 1.9):
            body = body_of(dialect, prompt, Sampling(temperature=temperature, max_tokens=1), 5)
            body |= {"top_logprobs": 1} if dialect.chat else {}
            url = self._endpoint.url("chat/completions" if dialect.chat else "completions")
            tops.append(await self._send(url, body, _first_top))
        if None not in tops and abs((tops[0] or 0.0) - (tops[1] or 0.0)) > SAME:
            raise SelfTestError("its log-probabilities change with the temperature: they are not the model's own")
        return True

    async def _plain(self, dialect: Dialect) -> bool:
        """It must take what turns its own samplers off, and not ignore it: at their strictest they leave the likeliest token
        alone, at any temperature.
        """
        dialect = dataclasses.replace(dialect, logprobs=False)
        sampling = Sampling(temperature=1.5, max_tokens=12)
        await self._ask(dataclasses.replace(dialect, plain_sampling=True), STORY, Sampling(1.0, max_tokens=4), 1)
        for key, strictest in STRICTEST.items():
            texts = {(await self._ask(dialect, STORY, sampling, seed, {key: strictest})).text for seed in (21, 22, 23)}
            if len(texts) > 1:
                raise SelfTestError(f"it accepts {key} and ignores it")
        return True

    async def _scoring(self, dialect: Dialect | None) -> ScoringForm | None:
        """Return the first way to score that passes its test."""
        wanted = self._endpoint.scoring
        forms = SCORING_FORMS if wanted == "auto" else () if wanted == "none" else (wanted,)
        if not forms:
            self._notes["scoring"] = "turned off by scoring = 'none'"
        for form in forms:
            scorer = Scorer(self._endpoint, form, self._send, lambda url, body, read, _: self._send(url, body, read))

            async def written(dialect: Dialect | None = dialect) -> Completion | None:
                return await self._ask(dialect, COUNTING, Sampling(max_tokens=4)) if dialect else None

            if await self._try(f"scoring {form}", check_scorer(scorer, written)):
                return form
        if forms:
            reasons = "; ".join(f"{form}: {self._notes.get(f'scoring {form}', '')}" for form in forms)
            self._notes["scoring"] = f"no way to score a given continuation ({reasons})"
        return None

    async def _tokenize(self) -> Literal["prompt", "content"] | None:
        keys: tuple[Literal["prompt"], Literal["content"]] = ("prompt", "content")
        for key in keys:
            body = {"model": self._endpoint.model, key: COUNTING}
            ids = await self._try("tokenize", self._send(self._endpoint.root_url("tokenize"), body, read_ids))
            if ids:
                self._notes.pop("tokenize", None)
                return key
        self._notes.setdefault("tokenize", "it sends no tokens")
        return None


def _first_top(answer: Any) -> float | None:
    """The log-probability of the likeliest first token, where an answer tells it."""
    choice = _table((_table(answer).get("choices") or [None])[0])
    found = _table(choice.get("logprobs"))
    tokens_of(choice)
    tops = found.get("top_logprobs")
    if isinstance(tops, list) and tops and isinstance(tops[0], dict):
        return max(tops[0].values(), default=None)
    content = found.get("content")
    tops = content[0].get("top_logprobs") if isinstance(content, list) and content else None
    return max((top["logprob"] for top in tops), default=None) if tops else None
