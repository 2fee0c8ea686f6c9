"""The live view: plain lines where there is no terminal, bars with the time left where there is one."""

import io

from rich.console import Console

from social_learning.live import Live


def play(live: Live) -> None:
    live.cells(0, 2)
    live.model("loading smollm2-135m-instruct", 0, 1)
    live.model("loading smollm2-135m-instruct", 1, 1)
    for heard in range(4):
        live.step("generated-n4-r0: teachers", heard, 3)
        for step in range(3):
            live.model("generating", step, 8)
    live.cells(1, 2)


def test_without_a_terminal_there_are_plain_lines() -> None:
    out = io.StringIO()
    with Live(Console(file=out, width=80)) as live:
        play(live)
    lines = out.getvalue().splitlines()
    assert [line.partition("] ")[2] for line in lines] == [
        "0 of 2 parts of the run are done",
        "loading smollm2-135m-instruct (the first time: half a minute)",
        "1 of 2 parts of the run are done",
    ]


def test_on_a_terminal_there_are_bars_with_the_time_left() -> None:
    out = io.StringIO()
    with Live(Console(file=out, width=80, force_terminal=True)) as live:
        play(live)
    shown = out.getvalue()
    for told in ("whole run", "0/2", "generated-n4-r0: teachers", "3/3", "generating", "0/8", "left"):
        assert told in shown
    assert "parts of the run" not in shown
