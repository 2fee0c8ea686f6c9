"""Lockstep: several callers of one model side by side, their calls put together into one batch.

Teachers that share a process share its processor: eight small batches one after the other cost about three times one
large one. Callers run in threads; whenever every caller that is still going waits for the model, their calls run
together. What is in a batch therefore depends on the callers alone, never on timing.
"""

import threading
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from social_learning.models.base import BatchingModel, Completion, GenerateCall, Prompt, Sampling, Score

Result = TypeVar("Result")

AT_ONCE = 32
"""How many callers run side by side at most."""


class _Left(BaseException):
    """Ends the callers when whoever started them was interrupted."""


@dataclass(slots=True)
class _Call:
    """One caller's call: what it wants of which model, and then its answer or failure."""

    model: "LockstepModel"
    request: GenerateCall | Sequence[tuple[Prompt, str]]
    answer: list[list[Completion]] | list[Score] | None = None
    failure: BaseException | None = None
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def settled(self) -> bool:
        return self.answer is not None or self.failure is not None


@dataclass
class Meeting:
    """Where callers wait for each other, and whoever started them runs their calls.

    Models compute in the starter's thread alone: a number of threads that each compute would each bring their own
    workers, and an interrupt would find nobody to stop. Each caller waits for its own call and only the starter for
    `turn`: were all of them woken whenever one comes in, waiting would cost more than everything else teachers do. Where
    there is a `baton`, only the caller that holds it goes on between two calls: threads that want Python at the same time
    take it from each other. Callers that wait for something else, such as a network, must not hold one.
    """

    going: int = 0
    left: bool = False
    waiting: dict[int, _Call] = field(default_factory=dict)
    turn: threading.Condition = field(default_factory=threading.Condition)
    baton: "threading.Lock | None" = None
    seat: threading.local = field(default_factory=threading.local)

    def ask(self, call: _Call) -> _Call:
        """Wait until the call is answered."""
        with self.turn:
            if self.left:
                raise _Left
            self.waiting[self.seat.number] = call
            self.stop_going()
        if self.baton:
            self.baton.release()
        call.over.wait()
        if self.baton:
            self.baton.acquire()
        if not call.settled:
            raise _Left
        if call.failure:
            raise call.failure
        return call

    def stop_going(self) -> None:
        """A caller waits, or is done; to be called with `turn` held."""
        self.going -= 1
        if not self.going:
            self.turn.notify()

    def serve(self) -> None:
        """Run the callers' calls, all that wait at a time, until every caller is done."""
        with self.turn:
            while True:
                self.turn.wait_for(lambda: not self.going)
                if not self.waiting:
                    return
                calls = [self.waiting[number] for number in sorted(self.waiting)]
                for model in {id(call.model): call.model for call in calls}.values():
                    model.answer_all([call for call in calls if call.model is model])
                self.going = len(calls)
                for call in calls:
                    call.over.set()
                self.waiting = {}

    def leave(self) -> None:
        """Send everybody home; what they wait for will not come."""
        with self.turn:
            self.left = True
            for call in self.waiting.values():
                call.over.set()


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

    def count_tokens(self, text: str) -> int:
        """Return how many tokens `text` has."""
        return self._model.count_tokens(text)

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling, samples: int = 1) -> list[list[Completion]]:
        """Return `samples` completions for each prompt; see LanguageModel."""
        if self.meeting is None:
            return self._model.generate(prompts, sampling, samples)
        call = _Call(self, GenerateCall(tuple(prompts), sampling, samples))
        return self.meeting.ask(call).answer  # type: ignore[return-value]  # a GenerateCall is answered with completions

    def score(self, pairs: Sequence[tuple[Prompt, str]]) -> list[Score]:
        """Return the log-likelihood of each continuation; see LanguageModel."""
        if self.meeting is None:
            return self._model.score(pairs)
        return self.meeting.ask(_Call(self, pairs)).answer  # type: ignore[return-value]  # pairs are answered with scores

    def answer_all(self, calls: Sequence[_Call]) -> None:
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

    def _generate_all(self, calls: Sequence[_Call]) -> None:
        requests = [call.request for call in calls if isinstance(call.request, GenerateCall)]
        for call, answer in zip(calls, self._model.generate_calls(requests), strict=True):
            call.answer = answer

    def _score_all(self, calls: Sequence[_Call]) -> None:
        requests = [call.request for call in calls if not isinstance(call.request, GenerateCall)]
        scores = iter(self._model.score([pair for pairs in requests for pair in pairs]))
        for call, pairs in zip(calls, requests, strict=True):
            call.answer = [next(scores) for _ in pairs]


class Together(Generic[Result]):
    """Runs jobs side by side, in lockstep on the given models, and returns their results in order.

    `give_up` is called when whoever waits for them is interrupted: it must end what keeps jobs busy besides those models.
    None says that there is nothing besides; then jobs take turns.
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
        meeting = Meeting(going=len(jobs), baton=None if self._give_up else threading.Lock())
        results: dict[int, Result] = {}
        failures: dict[int, BaseException] = {}

        def work(number: int) -> None:
            meeting.seat.number = number
            with meeting.baton or nullcontext():
                try:
                    results[number] = jobs[number]()
                except BaseException as failure:  # raised again below, in the jobs' order
                    failures[number] = failure
                finally:
                    with meeting.turn:
                        meeting.stop_going()

        threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(len(jobs))]
        for model in self._models:
            model.meeting = meeting
        try:
            for thread in threads:
                thread.start()
            meeting.serve()
        except BaseException:
            if self._give_up:
                self._give_up()
            raise
        finally:
            meeting.leave()
            for thread in threads:
                thread.join()
            for model in self._models:
                model.meeting = None
        if failures:
            raise failures[min(failures)]
        return [results[number] for number in range(len(jobs))]
