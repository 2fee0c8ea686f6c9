"""The purse: no call is let through that does not fit, and a ledger that survives kills."""

import contextlib
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.endpoints.loopback import Answer, Asked
from benchmarks.endpoints.pretender import Pretender
from social_learning.errors import BudgetError, RunFolderError
from social_learning.models.base import Sampling
from social_learning.models.endpoint.budget import Limits, Purse, Spent
from social_learning.models.endpoint.settings import Prices
from tests.conftest import Connect
from tests.processes import at_once


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(0, 50)), max_size=40), st.integers(1, 500))
def test_no_more_is_spent_than_the_limit_where_calls_take_no_more_than_was_booked(
    calls: list[tuple[int, int]], limit: int
) -> None:
    purse = Purse(Limits(tokens=limit))
    refused = 0
    for expected, less in calls:
        try:
            with purse.book(Spent(1, expected)) as booking:
                booking.settle(Spent(1, max(0, expected - less)))
        except BudgetError:
            refused += 1
    assert purse.spent.tokens <= limit
    assert purse.spent.calls == len(calls) - refused


def test_calls_in_flight_count_for_the_most_they_may_take() -> None:
    purse = Purse(Limits(tokens=100))
    with purse.book(Spent(1, 60)), pytest.raises(BudgetError, match=r"budget.max_tokens = 100 \(0 so far\)"):
        purse.book(Spent(1, 60)).__enter__()
    with purse.book(Spent(1, 30)) as booking:
        booking.settle(Spent(1, 30))
    assert purse.spent == Spent(1, 30)


def test_an_attempt_took_what_it_was_settled_with_however_it_ended() -> None:
    purse = Purse(Limits(calls=2))
    with pytest.raises(OSError, match="lost"), purse.book(Spent(1)):
        raise OSError("lost")
    with contextlib.suppress(OSError), purse.book(Spent(1)) as booking:
        booking.settle(Spent(1))
        raise OSError("half")
    assert purse.spent == Spent(1)
    with purse.book(Spent(1)) as booking:
        booking.settle(Spent(1))
    with pytest.raises(BudgetError, match="raise the limit and give the same command again"):
        purse.book(Spent(1)).__enter__()


def spend(purse: Purse, taken: Spent) -> None:
    with purse.book(taken) as booking:
        booking.settle(taken)


def test_a_ledger_is_gone_on_with_and_a_line_that_a_kill_cut_off_does_not_count(tmp_path: Path) -> None:
    ledger = tmp_path / "private" / "spent.jsonl"
    spend(Purse(Limits(), ledger), Spent(1, 10, 0.5))
    with ledger.open("a") as stream:
        stream.write("[1, 10")
    purse = Purse(Limits(cost=0.9), ledger)
    assert purse.spent == Spent(1, 10, 0.5)
    with pytest.raises(BudgetError, match=r"budget.max_cost = 0.9 \(0.5000 so far\)"):
        purse.book(Spent(1, 10, 0.5)).__enter__()
    spend(purse, Spent(1, 10, 0.25))
    assert Purse(Limits(), ledger).spent == Spent(2, 20, 0.75)


def test_a_ledger_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "spent.jsonl").write_text("[1, 10, 0.5]\nnonsense\n[1, 10, 0.5]\n")
    with pytest.raises(RunFolderError, match="damaged"):
        Purse(Limits(), tmp_path / "spent.jsonl")


def test_threads_share_a_purse(tmp_path: Path) -> None:
    purse = Purse(Limits(calls=50), tmp_path / "spent.jsonl")

    def spend_all() -> None:
        for _ in range(10):
            try:
                spend(purse, Spent(1))
            except BudgetError:
                return

    threads = [threading.Thread(target=spend_all) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert purse.spent.calls == 50
    assert Purse(Limits(), tmp_path / "spent.jsonl").spent.calls == 50


PRICES = Prices(1_000_000.0, 1_000_000.0)
ASKED, MOST = 2, 4
"""About so many tokens has the prompt, and so many may be written."""


def usage_only(answer: Answer) -> Answer:
    return Answer({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 1}})


TAKEN: dict[str, tuple[Callable[[Answer], Answer], Spent]] = {
    "truncated JSON": (lambda _: Answer(b'{"choices": ['), Spent(1, ASKED + MOST, ASKED + MOST)),
    "no choice, with usage": (usage_only, Spent(1, 4, 4.0)),
    "no choice, without usage": (lambda _: Answer({"choices": []}), Spent(1, ASKED + MOST, ASKED + MOST)),
    "usage that cannot be": (
        lambda _: Answer({"usage": {"prompt_tokens": 10**9, "completion_tokens": -1}}),
        Spent(1, ASKED + MOST, ASKED + MOST),
    ),
    "half a body": (lambda answer: replace(answer, cut=True), Spent(1, ASKED + MOST, ASKED + MOST)),
    "dropped": (lambda _: Answer(drop=True), Spent(1, ASKED + MOST, ASKED + MOST)),
    "429": (lambda _: Answer({}, 429), Spent()),
    "500": (lambda _: Answer({}, 500), Spent()),
}
"""A first answer that cannot be used, and what it took."""


@pytest.mark.parametrize("fault", TAKEN)
def test_an_attempt_without_a_usable_answer_takes_what_a_host_may_bill(connect: Connect, fault: str) -> None:
    spoil, taken = TAKEN[fault]
    pretender, first = Pretender(), []

    def handler(asked: Asked) -> Answer:
        answer = pretender(asked)
        if asked.path == "/v1/completions" and asked.body["prompt"] == "the cat":
            first.append(asked)
            return spoil(answer) if len(first) == 1 else answer
        return answer

    purse = Purse(Limits())
    made = connect(handler, purse, prices=PRICES).generate(["the cat"], Sampling(max_tokens=MOST))[0][0]
    good = Spent(1, made.prompt_tokens + made.tokens, float(made.prompt_tokens + made.tokens))
    assert len(first) == 2
    assert purse.spent == taken + good


def test_retries_cannot_overrun_a_budget(connect: Connect) -> None:
    pretender = Pretender()
    calls = 0

    def handler(asked: Asked) -> Answer:
        nonlocal calls
        if isinstance(asked.body, dict) and asked.body.get("prompt") == "the cat":
            calls += 1
            return Answer(b"{")
        return pretender(asked)

    model = connect(handler, Purse(Limits(calls=3)))
    with pytest.raises(BudgetError, match=r"budget.max_calls = 3 "):
        model.generate(["the cat"], Sampling(max_tokens=2))
    assert calls == 3


def test_scores_are_paid_for_with_every_attempt_and_tokens_are_not(connect: Connect) -> None:
    pretender, bad = Pretender(), [Answer(b"{")]

    def handler(asked: Asked) -> Answer:
        scores = asked.path == "/v1/completions" and isinstance(asked.body["prompt"], list)
        return bad.pop() if scores and bad and len(asked.body["prompt"]) == 3 else pretender(asked)

    purse = Purse(Limits())
    connect(handler, purse).score([("the cat", " is")])
    assert purse.spent == Spent(2, 2 * (3 + 1))


def test_prices_are_of_a_million_tokens() -> None:
    assert Prices(0.15, 0.6).cost(2_000_000, 500_000) == pytest.approx(0.6)


# Several processes


def test_processes_that_share_a_ledger_spend_no_more_than_the_limit_together(tmp_path: Path) -> None:
    program = """
        import sys
        from pathlib import Path
        from social_learning.errors import BudgetError
        from social_learning.models.endpoint.budget import Limits, Purse, Spent
        purse, done = Purse(Limits(calls=300, tokens=10**6), Path(sys.argv[1])), 0
        try:
            while True:
                with purse.book(Spent(1, 100)) as booking:
                    booking.settle(Spent(1, 60))
                done += 1
        except BudgetError:
            Path(sys.argv[2]).write_text(str(done))
    """
    ledger, counts = tmp_path / "private" / "spent.jsonl", [tmp_path / f"done-{n}" for n in range(4)]
    at_once(program, [(ledger, count) for count in counts])
    assert sum(int(count.read_text()) for count in counts) == 300
    assert Purse(Limits(), ledger).spent == Spent(300, 300 * 60)


def test_what_another_process_has_in_flight_counts_for_the_most_it_may_take(tmp_path: Path) -> None:
    ledger = tmp_path / "spent.jsonl"
    one, other = Purse(Limits(tokens=100), ledger), Purse(Limits(tokens=100), ledger)
    with one.book(Spent(1, 60)) as booking:
        with pytest.raises(BudgetError, match=r"budget.max_tokens = 100"):
            other.book(Spent(1, 60)).__enter__()
        booking.settle(Spent(1, 30))
    spend(other, Spent(1, 60))
    assert other.spent == Spent(2, 90)


def test_what_was_in_flight_in_a_process_that_was_killed_counts_for_the_most_it_may_take(tmp_path: Path) -> None:
    ledger = tmp_path / "spent.jsonl"
    program = """
        import os, sys
        from pathlib import Path
        from social_learning.models.endpoint.budget import Limits, Purse, Spent
        with Purse(Limits(), Path(sys.argv[1])).book(Spent(1, 60)):
            os._exit(0)
    """
    at_once(program, [(ledger,)])
    with ledger.open("a") as stream:
        stream.write('{"id": "0-0", "to')
    after = Purse(Limits(tokens=100), ledger)
    with pytest.raises(BudgetError):
        spend(after, Spent(1, 60))
    spend(after, Spent(1, 40))


def test_a_ledger_of_an_earlier_version_is_gone_on_with_and_a_deleted_one_is_forgotten(tmp_path: Path) -> None:
    ledger = tmp_path / "spent.jsonl"
    ledger.write_text("[1, 10, 0.5]\n[2, 5, 0.25]\n")
    purse = Purse(Limits(), ledger)
    assert purse.spent == Spent(3, 15, 0.75)
    ledger.unlink()
    spend(purse, Spent(1, 1))
    assert purse.spent == Purse(Limits(), ledger).spent == Spent(1, 1)
