"""The purse: no call is let through that does not fit, and a ledger that survives kills."""

import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from social_learning.errors import BudgetError, RunFolderError
from social_learning.models.endpoint.budget import Limits, Purse, Spent
from social_learning.models.endpoint.settings import Prices


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
    assert purse.spent == Spent(2, 90)


def test_a_call_that_fails_took_nothing() -> None:
    purse = Purse(Limits(calls=1))
    with pytest.raises(OSError, match="lost"), purse.book(Spent(1)):
        raise OSError("lost")
    with purse.book(Spent(1)) as booking:
        booking.settle(Spent(1))
    with pytest.raises(BudgetError, match="raise the limit and give the same command again"):
        purse.book(Spent(1)).__enter__()


def test_a_ledger_is_gone_on_with_and_a_line_that_a_kill_cut_off_does_not_count(tmp_path: Path) -> None:
    ledger = tmp_path / "private" / "spent.jsonl"
    with Purse(Limits(), ledger).book(Spent(1, 10, 0.5)):
        pass
    with ledger.open("a") as stream:
        stream.write("[1, 10")
    purse = Purse(Limits(cost=0.9), ledger)
    assert purse.spent == Spent(1, 10, 0.5)
    with pytest.raises(BudgetError, match=r"budget.max_cost = 0.9 \(0.5000 so far\)"):
        purse.book(Spent(1, 10, 0.5)).__enter__()
    with purse.book(Spent(1, 10, 0.25)):
        pass
    assert Purse(Limits(), ledger).spent == Spent(2, 20, 0.75)


def test_a_ledger_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "spent.jsonl").write_text("[1, 10, 0.5]\nnonsense\n[1, 10, 0.5]\n")
    with pytest.raises(RunFolderError, match="damaged"):
        Purse(Limits(), tmp_path / "spent.jsonl")


def test_threads_share_a_purse(tmp_path: Path) -> None:
    purse = Purse(Limits(calls=50), tmp_path / "spent.jsonl")

    def spend() -> None:
        for _ in range(10):
            try:
                with purse.book(Spent(1)):
                    pass
            except BudgetError:
                return

    threads = [threading.Thread(target=spend) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert purse.spent.calls == 50
    assert Purse(Limits(), tmp_path / "spent.jsonl").spent.calls == 50


def test_prices_are_of_a_million_tokens() -> None:
    assert Prices(0.15, 0.6).cost(2_000_000, 500_000) == pytest.approx(0.6)
