"""Lockstep: several callers of one model side by side, their calls put together into one batch.

Teachers that share a process share its processor: eight small batches one after the other cost about three times one
large one.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Generic, TypeVar

from social_learning.models.base import (
    BatchingModel,
    Capabilities,
    Completion,
    GenerateCall,
    LimitedModel,
    Prompt,
    Sampling,
    Score,
)
from social_learning.models.meeting import Call, Meeting, SideBySide, Turns

Result = TypeVar("Result")

AT_ONCE = 32
"""How many callers run side by side at most."""


class LockstepModel:
    """A LanguageModel whose calls are put together with those of other callers, while a meeting is on; else passed on."""

    def __init__(self, model: BatchingModel) -> None:
        self._model = model
        self.meeting: Meeting | None = None

    @property
    def name(self) -> str:
        """The wrapped model's name."""
        return self._model.name

    @property
    def identity(self) -> str:
        """The wrapped model's identity."""
        return self._model.identity

    @property
    def context_length(self) -> int:
        """The wrapped model's context length."""
        return self._model.context_length

    @property
    def capabilities(self) -> Capabilities:
        """What the wrapped model can do."""
        return self._model.capabilities if isinstance(self._model, LimitedModel) else Capabilities()

    def count_tokens(self, text: str) -> int:
        """Return how many tokens `text` has."""
        return self._model.count_tokens(text)

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling, samples: int = 1) -> list[list[Completion]]:
        """Return `samples` completions for each prompt; see LanguageModel."""
        if self.meeting is None:
            return self._model.generate(prompts, sampling, samples)
        call = Call(self, GenerateCall(tuple(prompts), sampling, samples))
        self.meeting.ask(call)
        return call.result()  # type: ignore[return-value]  # a GenerateCall is answered with completions

    def score(self, pairs: Sequence[tuple[Prompt, str]]) -> list[Score]:
        """Return the log-likelihood of each continuation; see LanguageModel."""
        if self.meeting is None:
            return self._model.score(pairs)
        call = Call(self, pairs)
        self.meeting.ask(call)
        return call.result()  # type: ignore[return-value]  # pairs are answered with scores

    def answer_all(self, calls: Sequence[Call]) -> None:
        """Answer calls, those of one kind together. A failure fails every call of its kind."""
        generating = [call for call in calls if isinstance(call.request, GenerateCall)]
        scoring = [call for call in calls if not isinstance(call.request, GenerateCall)]
        for kind, answer in ((generating, self._generate_all), (scoring, self._score_all)):
            try:
                if kind:
                    answer(kind)
            except Exception as failure:  # handed over to the callers, who raise it
                for call in kind:
                    call.failure = failure

    def _generate_all(self, calls: Sequence[Call]) -> None:
        requests = [call.request for call in calls if isinstance(call.request, GenerateCall)]
        for call, answer in zip(calls, self._model.generate_calls(requests), strict=True):
            call.answer = answer

    def _score_all(self, calls: Sequence[Call]) -> None:
        requests = [call.request for call in calls if not isinstance(call.request, GenerateCall)]
        scores = iter(self._model.score([pair for pairs in requests for pair in pairs]))
        for call, pairs in zip(calls, requests, strict=True):
            call.answer = [next(scores) for _ in pairs]


class Together(Generic[Result]):
    """Runs jobs side by side, in lockstep on the given models, and returns their results in order.

    `give_up` is for jobs that wait for something else as well, such as a network: they get a thread each, and it is called
    when whoever waits for them is interrupted, to end what keeps them busy. Without it jobs take turns.
    """

    def __init__(self, models: Sequence[LockstepModel], give_up: Callable[[], None] | None = None) -> None:
        self._models = models
        self._give_up = give_up

    def __call__(self, jobs: Sequence[Callable[[], Result]]) -> list[Result]:
        """Run all jobs; raises the first failure, in the jobs' order."""
        results: list[Result] = []
        for first in range(0, len(jobs), AT_ONCE):
            results.extend(self._meet(jobs[first : first + AT_ONCE]))
        return results

    def _meet(self, jobs: Sequence[Callable[[], Result]]) -> list[Result]:
        meeting: Meeting = SideBySide(self._give_up) if self._give_up else Turns()
        results: dict[int, Result] = {}
        failures: dict[int, Exception] = {}

        def work(number: int) -> None:
            try:
                results[number] = jobs[number]()
            except Exception as failure:  # raised again below, in the jobs' order
                failures[number] = failure

        for model in self._models:
            model.meeting = meeting
        try:
            meeting.run([partial(work, number) for number in range(len(jobs))])
        finally:
            for model in self._models:
                model.meeting = None
        if failures:
            raise failures[min(failures)]
        return [results[number] for number in range(len(jobs))]
