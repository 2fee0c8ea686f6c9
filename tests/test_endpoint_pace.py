"""Pace and patience: how many calls are in flight, and how long is waited. Time is the test's own."""

import asyncio
import random
from collections.abc import Coroutine

import pytest

from social_learning.errors import ContextLengthError, EndpointError, ModelError
from social_learning.models.endpoint.caller import Caller, SenselessError
from social_learning.models.endpoint.faults import Broken, Fault, Overloaded, Refused
from social_learning.models.endpoint.pace import FIRST_LIMIT, Pace, Patience
from tests.conftest import Hours


def run(work: Coroutine[object, object, object]) -> None:
    asyncio.run(work)


def test_the_limit_doubles_with_every_round_until_the_first_trouble(hours: Hours) -> None:
    pace = Pace(100, hours.around())
    for _ in range(FIRST_LIMIT):
        pace.good()
    assert pace.limit == 2 * FIRST_LIMIT


def test_after_trouble_the_limit_is_halved_and_then_grows_by_one_with_every_round(hours: Hours) -> None:
    pace = Pace(100, hours.around())
    pace.bad(started=hours.now, wait=0)
    assert pace.limit == FIRST_LIMIT / 2
    for _ in range(FIRST_LIMIT // 2):
        pace.good()
    assert FIRST_LIMIT / 2 < pace.limit <= FIRST_LIMIT / 2 + 1


def test_calls_that_were_in_flight_together_halve_the_limit_once(hours: Hours) -> None:
    pace = Pace(100, hours.around())
    hours.now = 5.0
    pace.bad(started=1.0, wait=0)
    pace.bad(started=2.0, wait=0)
    assert pace.limit == FIRST_LIMIT / 2
    hours.now = 6.0
    pace.bad(started=5.5, wait=0)
    assert pace.limit == FIRST_LIMIT / 4


def test_the_limit_stays_between_one_and_what_was_allowed(hours: Hours) -> None:
    pace = Pace(10, hours.around())
    for _ in range(100):
        pace.good()
    assert pace.limit == 10
    for second in range(20):
        hours.now = float(second)
        pace.bad(started=hours.now, wait=0)
    assert pace.limit == 1


def test_no_more_calls_are_in_flight_than_the_limit(hours: Hours) -> None:
    pace = Pace(3, hours.around())
    most = 0

    async def one() -> None:
        nonlocal most
        await pace.enter()
        most = max(most, pace.in_flight)
        await asyncio.sleep(0)
        pace.leave()

    async def many() -> None:
        await asyncio.gather(*(one() for _ in range(50)))

    run(many())
    assert most == 3
    assert pace.in_flight == 0


def test_a_pause_that_was_asked_for_holds_for_all_calls(hours: Hours) -> None:
    pace = Pace(8, hours.around())
    pace.bad(started=0.0, wait=30.0)

    async def enter() -> None:
        await pace.enter()

    run(enter())
    assert hours.now == 30.0


def test_a_pause_is_what_was_asked_for_and_a_share_of_a_limit_that_doubles() -> None:
    patience = Patience(deadline=100, first=0.5, longest=30)
    pauses = [[patience.pause(attempt, 2.0, random.Random(seed)) for seed in range(200)] for attempt in range(12)]
    for attempt, values in enumerate(pauses):
        limit = min(30, 0.5 * 2**attempt)
        assert all(2.0 <= value <= 2.0 + limit for value in values)
        assert max(values) > 2.0 + 0.8 * limit
        assert min(values) < 2.0 + 0.2 * limit


class Script:
    """Raises what it is told to, one attempt after the other, and then answers."""

    def __init__(self, *faults: Fault) -> None:
        self.faults = list(faults)
        self.attempts = 0

    async def __call__(self) -> str:
        self.attempts += 1
        if self.faults:
            raise self.faults.pop(0)
        return "answer"


def call(script: Script, hours: Hours, deadline: float = 100.0) -> str:
    around = hours.around()
    caller = Caller("served", Pace(4, around), Patience(deadline), around)
    return asyncio.run(caller.call(script, str))


def test_a_call_is_tried_again_until_it_is_answered(hours: Hours) -> None:
    script = Script(Overloaded("busy"), Broken("half"), Overloaded("busy", wait=7.0))
    assert call(script, hours) == "answer"
    assert script.attempts == 4
    assert hours.now >= 7.0


def test_a_call_ends_at_its_deadline_with_the_last_reason(hours: Hours) -> None:
    with pytest.raises(
        EndpointError, match=r"^served gave no usable answer in \d+ attempts over \d+ s; the last: busy$"
    ):
        call(Script(*[Overloaded("busy")] * 1000), hours, deadline=60)
    assert 0 < hours.now <= 60


def test_a_pause_beyond_the_deadline_is_not_waited_for(hours: Hours) -> None:
    with pytest.raises(EndpointError):
        call(Script(Overloaded("busy", wait=61.0)), hours, deadline=60)
    assert hours.now == 0


def test_answers_without_sense_end_a_call_before_its_deadline(hours: Hours) -> None:
    script = Script(*[Broken("half")] * 1000)
    with pytest.raises(SenselessError, match="in 5 attempts"):
        call(script, hours)
    assert script.attempts == 5


def test_what_is_refused_is_not_tried_again(hours: Hours) -> None:
    script = Script(Refused("HTTP 404", 404))
    with pytest.raises(ModelError, match=r"^served refused a call: HTTP 404$"):
        call(script, hours)
    with pytest.raises(ContextLengthError, match="does not fit the context of served"):
        call(Script(Refused("HTTP 400", 400, too_long=True)), hours)
    assert script.attempts == 1
