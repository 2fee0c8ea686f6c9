"""Lockstep: callers side by side give the same answers as one after the other, in fewer, larger calls."""

import threading
from collections.abc import Callable, Sequence
from functools import partial

import pytest

from social_learning.errors import ModelError
from social_learning.models.base import Completion, GenerateCall, Prompt, Sampling, Score
from social_learning.models.fakes import MixerModel
from social_learning.models.lockstep import AT_ONCE, LockstepModel, Together

PROMPT = "Text: a b c\nClass: spam\n\nText: d e f\nClass: not spam\n\nText:"


class Batching(MixerModel):
    """Notes the size of every call that reaches it."""

    def __init__(self) -> None:
        super().__init__("batching")
        self.sizes: list[int] = []

    def generate_calls(self, calls: Sequence[GenerateCall]) -> list[list[list[Completion]]]:
        self.sizes.append(len(calls))
        return [self.generate(call.prompts, call.sampling, call.samples) for call in calls]

    def score(self, pairs: Sequence[tuple[Prompt, str]]) -> list[Score]:
        self.sizes.append(len(pairs))
        return super().score(pairs)


def talk(model: LockstepModel, number: int) -> tuple[list[str], list[float]]:
    texts = []
    for turn in range(number % 3 + 1):
        row = model.generate([PROMPT], Sampling(temperature=1.0, seed=10 * number + turn), 2)[0]
        texts += [completion.text for completion in row]
    return texts, [score.logprob for score in model.score([(PROMPT, text) for text in texts])]


def talk_together(model: LockstepModel, callers: int) -> list[tuple[list[str], list[float]]]:
    jobs = [partial(talk, model, number) for number in range(callers)]
    return Together[tuple[list[str], list[float]]]([model])(jobs)


@pytest.mark.parametrize("callers", [1, 2, 7, AT_ONCE + 3])
def test_side_by_side_equals_one_after_the_other(callers: int) -> None:
    inner = Batching()
    model = LockstepModel(inner)
    side_by_side = talk_together(model, callers)
    sizes = inner.sizes.copy()
    assert side_by_side == [talk(model, number) for number in range(callers)]
    assert sizes[0] == min(callers, AT_ONCE)


def test_batches_do_not_depend_on_timing() -> None:
    seen = []
    for _ in range(10):
        inner = Batching()
        model = LockstepModel(inner)
        talk_together(model, 6)
        seen.append(inner.sizes)
    assert all(sizes == seen[0] for sizes in seen)


def test_a_failing_caller_does_not_hang_the_others() -> None:
    model = LockstepModel(Batching())

    def fail() -> tuple[list[str], list[float]]:
        raise ModelError("the third caller")

    jobs = [lambda: talk(model, 0), lambda: talk(model, 2), fail, lambda: talk(model, 1)]
    with pytest.raises(ModelError, match="the third caller"):
        Together[tuple[list[str], list[float]]]([model])(jobs)
    assert model.generate([PROMPT], Sampling())[0][0].text


def test_a_failing_model_fails_every_caller_with_its_own_words() -> None:
    class Broken(Batching):
        def score(self, pairs: Sequence[tuple[Prompt, str]]) -> list[Score]:
            raise ModelError("out of order")

    model = LockstepModel(Broken())
    with pytest.raises(ModelError, match="out of order"):
        Together[list[Score]]([model])([lambda: model.score([("a", " b")]), lambda: model.score([("c", " d")])])


def test_callers_that_wait_for_something_else_do_so_side_by_side() -> None:
    model, all_here = LockstepModel(Batching()), threading.Barrier(3)

    def job(number: int) -> int:
        all_here.wait(timeout=20)  # as a call over a network would: in turns, nobody would ever come through
        return len(talk(model, number)[0])

    together = Together[int]([model], lambda: None)
    assert together([partial(job, number) for number in range(3)]) == [2, 4, 6]


@pytest.mark.parametrize("give_up", [None, lambda: None], ids=["turns", "threads"])
def test_an_interrupt_in_the_model_ends_every_caller(give_up: Callable[[], None] | None) -> None:
    class Interrupted(Batching):
        def score(self, pairs: Sequence[tuple[Prompt, str]]) -> list[Score]:
            raise KeyboardInterrupt

    model, went_home = LockstepModel(Interrupted()), list[int]()

    def job(number: int) -> list[Score]:
        try:
            return model.score([("a", " b")])
        finally:
            went_home.append(number)

    with pytest.raises(KeyboardInterrupt):
        Together[list[Score]]([model], give_up)([partial(job, number) for number in range(3)])
    assert sorted(went_home) == [0, 1, 2]
    assert model.meeting is None


def test_an_interrupt_in_a_caller_ends_the_others_without_another_call() -> None:
    inner = Batching()
    model = LockstepModel(inner)

    def interrupted() -> tuple[list[str], list[float]]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Together[tuple[list[str], list[float]]]([model])([lambda: talk(model, 0), interrupted])
    assert inner.sizes == []
