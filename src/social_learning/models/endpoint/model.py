"""EndpointModel: the LanguageModel behind an OpenAI-compatible endpoint."""

import asyncio
import contextlib
import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from social_learning.errors import ConfigError, ModelError
from social_learning.models.base import (
    Capabilities,
    ChatTurn,
    Completion,
    Prompt,
    SampleCall,
    Sampling,
    Score,
    ScoreCall,
    SingleCall,
)
from social_learning.models.endpoint.background import Background
from social_learning.models.endpoint.budget import Limits, Purse, Spent
from social_learning.models.endpoint.caller import Caller, EmptyError, FilteredError
from social_learning.models.endpoint.client import Client
from social_learning.models.endpoint.faults import Fault
from social_learning.models.endpoint.forms import Dialect, body_of, read_completion, told_usage
from social_learning.models.endpoint.offer import Offer, keep_offer, kept_offer
from social_learning.models.endpoint.pace import Pace, Patience, Surroundings
from social_learning.models.endpoint.probes import Description, Prober, describe
from social_learning.models.endpoint.scoring import Scorer, read_ids
from social_learning.models.endpoint.settings import UNKNOWN_LENGTH, Endpoint, Prices, estimated_tokens
from social_learning.seeds import child_seed

CONNECTS_WITHIN = 20.0
"""Seconds in which an endpoint must answer the first request: whoever mistyped an address should not wait for retries."""

PROBED_WITHIN = 60.0
PROBE_ATTEMPTS = 4
"""Seconds and attempts that one probe may take. Some servers break at what they do not know, and always will."""

MISSING_IN_A_ROW = 8
"""So many calls in a row may end without an answer; then the endpoint is broken, and not what it was asked."""

Found = TypeVar("Found")


def _nobody(what: str, done: int, total: int) -> None:
    """Nobody wants to know how far a call is."""


class EndpointModel:
    """One model of an endpoint. Each sample and each pair is a call of its own, several of them in flight at a time.

    May be used from any thread. Hold on to it while calls are made, and close it afterwards.
    """

    def __init__(
        self, endpoint: Endpoint, purse: Purse | None = None, around: Surroundings | None = None, *, anew: bool = False
    ) -> None:
        """Connect. The endpoint is probed where it has not been before, or is another one by now, or `anew` is set."""
        self._endpoint = endpoint
        self._purse = purse or Purse(Limits())
        self._prices = endpoint.prices or Prices()
        if self._purse.limits.cost is not None and endpoint.prices is None:
            raise ConfigError(
                f"model {endpoint.name!r}: budget.max_cost needs its prices: "
                "set prices = { input = ..., output = ... } in a [models.NAME] table"
            )
        self._around = around or Surroundings()
        self._client = Client(endpoint)
        self._pace = Pace(endpoint.concurrency, self._around)
        self._caller = self._patient(Patience(endpoint.deadline))
        self._progress: Callable[[str, int, int], None] = _nobody
        self._done = self._asked = self._missing = 0
        self._background = Background()
        try:
            self.offer = self._background.run(self._connect(anew))
        except BaseException:
            self.close()
            raise
        self._scorer = Scorer(endpoint, self.offer.scoring, self._send, self._compute) if self.offer.scoring else None

    async def _connect(self, anew: bool) -> Offer:
        description = await describe(self._endpoint, self._client, self._patient(Patience(CONNECTS_WITHIN)))
        kept = None if anew else kept_offer(self._endpoint, description.server)
        if kept is not None:
            return kept
        offer = await self._probe(description)
        keep_offer(self._endpoint, offer)
        return offer

    async def _probe(self, description: Description) -> Offer:
        patience = Patience(min(PROBED_WITHIN, self._endpoint.deadline), broken=2, attempts=PROBE_ATTEMPTS)
        return await Prober(self._endpoint, self._client, self._patient(patience)).probe(description)

    def _patient(self, patience: Patience) -> Caller:
        return Caller(self._endpoint.name, self._pace, patience, self._around)

    @property
    def name(self) -> str:
        """The name it was loaded by."""
        return self._endpoint.name

    @property
    def identity(self) -> str:
        """Model, address, a digest of what the endpoint says of itself, and how it is asked.

        An endpoint can change its weights without saying so; nothing here can tell that.
        """
        form = "chat" if self.offer.chats(self._endpoint) else "completion"
        where = f"{self._endpoint.model}@{self._endpoint.base_url} {self.offer.server}"
        further = f" body:{json.dumps(dict(self._endpoint.body), sort_keys=True)}" if self._endpoint.body else ""
        return f"{where} {form} scoring:{self.offer.scoring or 'none'}{further}"

    @property
    def context_length(self) -> int:
        """How many tokens a prompt and its continuation may have together; very many where the endpoint does not tell."""
        return self._endpoint.context_length or self.offer.context_length or UNKNOWN_LENGTH

    @property
    def capabilities(self) -> Capabilities:
        """What the endpoint was found to do."""
        return self.offer.capabilities(self._endpoint)

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float:
        """Return what so many tokens cost; 0 where no prices were given."""
        return self._prices.cost(prompt_tokens, completion_tokens)

    def count_tokens(self, text: str) -> int:
        """Return how many tokens `text` has; an estimate where the endpoint has no tokeniser to ask."""
        if self.offer.tokenize is None:
            return estimated_tokens(text)
        body = {"model": self._endpoint.model, self.offer.tokenize: text}
        return len(self._background.run(self._send(self._endpoint.root_url("tokenize"), body, read_ids)))

    def report_to(self, progress: Callable[[str, int, int], None]) -> None:
        """Have `progress` told how many of the calls asked for are done."""
        self._progress = progress

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling, samples: int = 1) -> list[list[Completion]]:
        """Return `samples` completions for each prompt; see LanguageModel."""
        if samples < 1:
            raise ModelError(f"samples must be 1 or more, not {samples}")
        calls = [SampleCall(prompt, sampling, number) for prompt in prompts for number in range(samples)]
        made = [answer for answer in self._answers(calls) if isinstance(answer, Completion)]
        return [made[first : first + samples] for first in range(0, len(made), samples)]

    def score(self, pairs: Sequence[tuple[Prompt, str]]) -> list[Score]:
        """Return the log-likelihood of each continuation; see LanguageModel."""
        return [score for score in self._answers([ScoreCall(*pair) for pair in pairs]) if isinstance(score, Score)]

    def _answers(self, calls: Sequence[SingleCall]) -> list[Completion | Score]:
        found: dict[int, Completion | Score] = {}
        self.answer_each(calls, found.__setitem__)
        return [found[place] for place in range(len(calls))]

    def answer_each(self, calls: Sequence[SingleCall], finished: Callable[[int, Completion | Score], None]) -> None:
        """Answer all calls; see OneByOneModel.

        Raises ModelError, EndpointError or BudgetError, once the calls in flight are done.
        """
        self._background.run(self._answer_all(calls, finished))

    def interrupt(self) -> None:
        """Give up the calls in flight."""
        self._background.interrupt()

    def close(self) -> None:
        """Give up the calls in flight, and close all connections."""
        with contextlib.suppress(RuntimeError):  # closed before
            self._background.run(self._client.close())
        self._background.close()

    async def _answer_all(
        self, calls: Sequence[SingleCall], finished: Callable[[int, Completion | Score], None]
    ) -> None:
        left, failures = iter(enumerate(calls)), list[Exception]()
        self._asked += len(calls)

        async def work() -> None:
            for place, call in left:
                try:
                    finished(place, await self._answer(call))
                except Exception as failure:  # raised below, when the others are done
                    failures.append(failure)
                self._done += 1
                self._progress(f"{self.name}: calls", self._done, self._asked)
                if failures:
                    return

        async with asyncio.TaskGroup() as group:
            for _ in range(min(self._endpoint.concurrency, len(calls))):
                group.create_task(work())
        if failures:
            raise failures[0]

    async def _answer(self, call: SingleCall) -> Completion | Score:
        if isinstance(call, SampleCall):
            return await self._sample(call)
        return await self._score(call)

    async def _sample(self, call: SampleCall) -> Completion:
        prompt, sampling = call.prompt, call.sampling
        dialect = self._dialect(prompt)
        body = body_of(dialect, prompt, sampling, child_seed(sampling.seed, call.number) % 2**31)
        url = self._endpoint.url("chat/completions" if dialect.chat else "completions")
        told = estimated_tokens(prompt.content if isinstance(prompt, ChatTurn) else prompt)

        def read(answer: Any) -> Completion:
            return read_completion(dialect, answer, prompt, sampling)

        try:
            made = await self._pay(
                url, body, read, told, sampling.max_tokens, lambda made: (made.prompt_tokens, made.tokens)
            )
        except FilteredError:
            made = Completion("", (), "refused", told)
        except EmptyError:
            self._missing += 1
            if self._missing > MISSING_IN_A_ROW:
                raise
            return Completion("", (), "missing", told)
        self._missing = 0
        return made

    async def _score(self, call: ScoreCall) -> Score:
        if self._scorer is None:
            reason = self.offer.notes.get("scoring", "it has no way to")
            raise ModelError(f"{self.name} cannot score a given continuation: {reason}")
        if isinstance(call.prompt, ChatTurn):
            raise ModelError(f"{self.name} scores continuations of plain text alone")
        return await self._scorer.score(call.prompt, call.continuation)

    def _dialect(self, prompt: Prompt) -> Dialect:
        chat = isinstance(prompt, ChatTurn) or self.offer.chats(self._endpoint)
        if not (self.offer.chat if chat else self.offer.text):
            what = "answer a chat turn" if chat else "continue plain text"
            raise ModelError(f"{self.name} does not {what}: {self.offer.notes.get('chat' if chat else 'text', '')}")
        logprobs = self.offer.chat_logprobs if chat else self.offer.text_logprobs
        key = self.offer.limit_key if chat else "max_tokens"
        return Dialect(self._endpoint.model, chat, logprobs, key, self.offer.plain_sampling, self._endpoint.body)

    def _spent(self, prompt_tokens: int, completion_tokens: int) -> Spent:
        return Spent(1, prompt_tokens + completion_tokens, self.cost(prompt_tokens, completion_tokens))

    async def _send(self, url: str, body: dict[str, Any], read: Callable[[Any], Found]) -> Found:
        return await self._caller.call(lambda: self._client.post(url, body), read)

    async def _compute(self, url: str, body: dict[str, Any], read: Callable[[Any], Found], tokens: int) -> Found:
        return await self._pay(url, body, read, tokens, 1, None)

    async def _pay(
        self,
        url: str,
        body: dict[str, Any],
        read: Callable[[Any], Found],
        reads: int,
        writes: int,
        took: Callable[[Found], tuple[int, int]] | None,
    ) -> Found:
        """Send a request whose every attempt has its place in the budget. It may take so many tokens in and out.

        A usable answer took what `took` says; one that cannot be used took what it tells, else all that it may take, and so
        did an attempt that was sent and never answered: a host may bill for them. A refused one took nothing.
        """
        most = self._spent(reads, writes)

        async def attempt() -> Found:
            with self._purse.book(most) as booking:
                try:
                    answer = await self._client.post(url, body)
                except Fault as fault:
                    if fault.worked:
                        booking.settle(most)
                    raise
                told = told_usage(answer, reads, writes)
                booking.settle(self._spent(*told) if told else most)
                found = read(answer)
                if took:
                    booking.settle(self._spent(*took(found)))
                return found

        return await self._caller.call(attempt, lambda found: found)
