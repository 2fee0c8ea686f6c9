"""The live view: plain lines where there is no terminal, bars with the time left where there is one."""

import io

from rich.console import Console

from social_learning.live import Left, Live, Pace


class Clock:
    """Seconds that pass when told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def play(live: Live, clock: Clock) -> None:
    live.cells(0, 2)
    live.model("loading smollm2-135m-instruct", 0, 1)
    live.model("loading smollm2-135m-instruct", 1, 1)
    for heard in range(4):
        live.step("generated-n4-r0: teachers", heard, 3)
        for step in range(3):
            live.model("generating", step, 8)
    clock.now = 20.0
    live.tokens(300)
    live.tokens(500)
    live.cells(1, 2)
    live.model("generating", 0, 8)
    live.cells(2, 2)


def test_without_a_terminal_there_are_plain_lines() -> None:
    out = io.StringIO()
    clock = Clock()
    with Live(Console(file=out, width=80), clock) as live:
        play(live, clock)
    lines = out.getvalue().splitlines()
    assert [line.partition("] ")[2] for line in lines] == [
        "0 of 2 parts of the run are done",
        "loading smollm2-135m-instruct (the first time: half a minute)",
        "generated-n4-r0: teachers, 0 of 3",
        "1 of 2 parts of the run are done, 40 tokens/s, about 20 s left",
        "2 of 2 parts of the run are done, 40 tokens/s",
    ]


def test_on_a_terminal_there_are_bars_with_the_time_left() -> None:
    out = io.StringIO()
    clock = Clock()
    with Live(Console(file=out, width=80, force_terminal=True), clock) as live:
        play(live, clock)
    shown = out.getvalue()
    for told in (
        "whole run",
        "0/2",
        "generated-n4-r0: teachers",
        "3/3",
        "generating",
        "0/8",
        "about 20 s left",
        "generating, 40 tokens/s",
    ):
        assert told in shown
    assert "parts of the run" not in shown


def test_the_pace_is_that_of_the_last_minute() -> None:
    pace = Pace(started=0.0)
    assert pace.told(5.0) == ""
    pace.add(10.0, 1000)
    assert pace.told(10.0) == ", 100 tokens/s"
    pace.add(100.0, 9000)
    pace.add(110.0, 2000)
    assert pace.told(170.0) == ", 29 tokens/s"  # 2,000 tokens in the 70 seconds since the last count before the minute


def test_the_time_left_is_reckoned_from_what_is_done_now_not_from_what_was_there() -> None:
    left = Left()
    left.move(0.0, 50, 60)
    assert left.told() == ""
    left.move(30.0, 51, 60)
    assert left.told() == "about 4 min left"
    left.move(300.0, 60, 60)
    assert left.told() == ""


def test_a_step_that_is_come_back_to_keeps_its_pace() -> None:
    out = io.StringIO()
    clock = Clock()
    with Live(Console(file=out, width=80, force_terminal=True), clock) as live:
        for block in range(3):  # of an audit: ten trials are taught together, then ranked one by one
            live.step(f"teaching block {block}", 0, 1)
            clock.now += 540.0
            live.step(f"teaching block {block}", 1, 1)
            for trial in range(10):
                clock.now += 6.0
                live.step("trials", 10 * block + trial + 1, 100)
    # 29 trials in 21 minutes since the first, with the teaching of two blocks; 70 to go.
    assert "about 50 min left" in out.getvalue()


def test_without_a_terminal_steps_are_told_when_they_change_and_at_most_once_a_minute() -> None:
    out = io.StringIO()
    clock = Clock()
    with Live(Console(file=out, width=80), clock) as live:
        for seconds in range(0, 200, 10):
            clock.now = float(seconds)
            live.step(f"arm-r{seconds // 50}: test rows", seconds % 50, 50)
    assert out.getvalue().splitlines() == [
        "[0 s] arm-r0: test rows, 0 of 50",
        "[60 s] arm-r1: test rows, 10 of 50",
        "[120 s] arm-r2: test rows, 20 of 50",
        "[180 s] arm-r3: test rows, 30 of 50",
    ]


def test_without_a_terminal_a_long_step_gives_a_sign_of_life_once_a_minute() -> None:
    out = io.StringIO()
    clock = Clock()
    with Live(Console(file=out, width=80), clock) as live:
        live.step("generated-n4-r0: teachers, grades", 0, 8)
        for seconds in range(0, 150, 10):
            clock.now = float(seconds)
            live.tokens(400)
            live.model("scoring", seconds, 150)
    assert out.getvalue().splitlines() == [
        "[0 s] generated-n4-r0: teachers, grades, 0 of 8",
        "[60 s] generated-n4-r0: teachers, grades: scoring, 47 tokens/s",
        "[120 s] generated-n4-r0: teachers, grades: scoring, 40 tokens/s",
    ]
