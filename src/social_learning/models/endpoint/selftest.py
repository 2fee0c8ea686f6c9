"""The test of a scorer: what scores must satisfy whatever the model is. It catches servers that accept a flag and ignore it,
that are off by one token, or that send any numbers at all.
"""

from collections.abc import Awaitable, Callable

from social_learning.errors import ModelError
from social_learning.models.base import Completion
from social_learning.models.endpoint.caller import SenselessError
from social_learning.models.endpoint.scoring import Scorer

COUNTING = "One, two, three, four,"
CAPITAL = "The capital of France is"

CLOSE = 0.25
"""How much two computations of the same log-probability may differ per token: batches change the order of sums."""


class SelfTestError(Exception):
    """An endpoint answers, but not as it must if it did what it was asked."""


async def check_scorer(scorer: Scorer, written: Callable[[], Awaitable[Completion | None]]) -> bool:
    """Raise SelfTestError where scores cannot be log-likelihoods of the continuations asked for.

    `written` returns a greedy continuation of `COUNTING` with its log-probabilities, where the endpoint tells those.
    """
    right = await scorer.score(COUNTING, " five")
    wrong = await scorer.score(COUNTING, " purple")
    longer = await scorer.score(COUNTING, " five, six")
    elsewhere = await scorer.score(CAPITAL, " five")
    if right.logprob == wrong.logprob:
        raise SelfTestError("two continuations score the same")
    if right.logprob < wrong.logprob:
        raise SelfTestError("it finds that 'purple' follows 'three, four' rather than 'five'")
    if right.logprob == elsewhere.logprob:
        raise SelfTestError("scores do not depend on the prompt")
    if longer.tokens <= right.tokens or longer.logprob > right.logprob + CLOSE:
        raise SelfTestError("a longer continuation scores higher than its own beginning")
    try:
        own = await written()
    except (ModelError, SenselessError):
        own = None
    if own is not None and own.text and own.logprobs:
        again = await scorer.score(COUNTING, own.text)
        same_tokens = again.tokens == len(own.logprobs)
        if same_tokens and abs(again.logprob - sum(own.logprobs)) > CLOSE * again.tokens:
            raise SelfTestError("it scores what it wrote itself with other log-probabilities than it wrote it with")
    return True
