"""Whole runs on an endpoint: the same story as with a model in this process, kills and spent budgets included."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.endpoints.loopback import Answer, Asked, Handler, Loopback
from social_learning.audit import audit
from social_learning.audit_plan import Plan
from social_learning.config import Experiment, parse_experiment
from social_learning.dry_run import dry_run
from social_learning.errors import BudgetError, ConfigError, ModelError
from social_learning.experiment import run
from social_learning.models.endpoint.budget import Limits, Purse
from tests.endpoint_mixer import MixingPretender

Serve = Callable[[Handler], Loopback]

WITHOUT_LIKELIHOODS: dict[str, Any] = {
    "student": {"model": "served", "answer_by": "free"},
    "generation": {"self_check": False, "vote_by": "answers", "samples": 4, "keep": 4},
    "instruction": {"samples": 1},
}


def experiment(server: Loopback, endpoint: dict[str, Any] | None = None, **changes: Any) -> Experiment:
    table = {"model": "pretender", "base_url": server.url, **(endpoint or {})}
    settings: dict[str, Any] = {
        "name": "test",
        "task": "phone_messages",
        "repeats": 1,
        "shots": [2],
        "arms": ["zero-shot", "generated"],
        "data": {"test_rows": 6},
        "teachers": {"model": "served", "count": 2},
        "student": {"model": "served", "calibrate": False},
        "models": {"served": table},
    }
    return parse_experiment({**settings, **changes})


def bodies(server: Loopback) -> Counter[str]:
    return Counter(json.dumps(asked.body, sort_keys=True) for asked in server.asked if asked.method == "POST")


def outcomes(folder: Path) -> str:
    return "".join(json.loads(file.read_text())["outcomes"] for file in sorted(folder.glob("cells/*/cell.json")))


def test_an_experiment_runs_on_an_endpoint_and_its_report_says_what_it_cost(serve: Serve, tmp_path: Path) -> None:
    server = serve(MixingPretender())
    prices = {"prices": {"input": 1_000.0, "output": 3_000.0}}
    result = run(experiment(server, prices), tmp_path / "run")
    assert len(outcomes(tmp_path / "run")) == 12
    for arm in result.arms:
        used = arm.teaching + arm.answering
        assert used.cost == pytest.approx((used.prompt_tokens * 1_000 + used.completion_tokens * 3_000) / 1e6)
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Price" in page
    assert f"{result.arms[0].answering.cost:,.4f}" in page


def test_a_chat_only_model_without_likelihoods_plays_every_arm(serve: Serve, tmp_path: Path) -> None:
    server = serve(MixingPretender(offers=frozenset({"chat", "seed"})))
    arms = ["zero-shot", "manual", "original", "generated", "voted", "instruction"]
    result = run(experiment(server, arms=arms, **WITHOUT_LIKELIHOODS), tmp_path / "run")
    assert [arm.name for arm in result.arms] == arms
    assert not any(asked.path == "/v1/completions" for asked in server.asked[40:])
    accuracy = {arm.name: arm.accuracy for arm in result.arms}
    assert accuracy["generated"] > 0


REFUSALS: list[tuple[frozenset[str], dict[str, Any], str]] = [
    (
        frozenset({"text", "chat", "logprobs"}),
        {},
        r"arm 'zero-shot': model 'served' has no scoring of given continuations \(no way .*\): set student.answer_by to 'free'",
    ),
    (
        frozenset({"text", "chat", "logprobs"}),
        {"student": {"model": "served", "answer_by": "free"}},
        "arm 'generated': .*: set generation.self_check to false",
    ),
    (
        frozenset({"text", "chat"}),
        {"student": {"model": "fake:mixer"}, "generation": {"self_check": False}},
        "arm 'generated': model 'served' has no log-probabilities .*: set generation.keep to generation.samples",
    ),
    (
        frozenset({"text", "logprobs"}),
        {"student": {"model": "fake:mixer"}, "arms": ["zero-shot", "instruction"]},
        "arm 'instruction': model 'served' has no chat .*: use another model for the teachers",
    ),
    (
        frozenset({"text", "chat", "logprobs"}),
        {"student": {"model": "fake:mixer"}, "arms": ["zero-shot", "voted"], "generation": {"self_check": False}},
        "arm 'voted': .*: set generation.vote_by to 'answers'",
    ),
]


@pytest.mark.parametrize(("offers", "changes", "says"), REFUSALS)
def test_what_a_backend_lacks_is_refused_before_the_run_starts(
    serve: Serve, tmp_path: Path, offers: frozenset[str], changes: dict[str, Any], says: str
) -> None:
    server = serve(MixingPretender(offers=offers))
    with pytest.raises(ModelError, match=says):
        run(experiment(server, **changes), tmp_path / "run")
    assert not list(tmp_path.glob("run/cells/*"))


def test_a_teacher_that_cannot_score_is_told_how_to_go_without_gaps(serve: Serve, tmp_path: Path) -> None:
    for part in ("train", "test"):
        rows = [{"passage": f"{part} {n}: by the mill, in the", "answer": "mill"} for n in range(40)]
        (tmp_path / f"{part}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    server = serve(MixingPretender(offers=frozenset({"text", "chat", "logprobs"})))
    data = {part: str(tmp_path / f"{part}.jsonl") for part in ("train", "test")}
    judged = {"generation": {"vote_by": "answers"}}
    with pytest.raises(ModelError, match=r"arm 'generated': .*scoring.*: set generation.cloze to false"):
        run(experiment(server, task="lambada", data=data, **judged), tmp_path / "run")


def test_an_audit_needs_a_student_that_scores(serve: Serve, tmp_path: Path) -> None:
    server = serve(MixingPretender(offers=frozenset({"text", "chat", "logprobs", "seed"})))
    with pytest.raises(ModelError, match="canaries are ranked by their log-likelihood"):
        audit(experiment(server, **WITHOUT_LIKELIHOODS), Plan(trials=1, references=3), tmp_path / "run")


def test_a_budget_stops_a_run_cleanly_and_more_of_it_finishes_the_same_run(serve: Serve, tmp_path: Path) -> None:
    whole = serve(MixingPretender())
    expected = run(experiment(whole), tmp_path / "whole")
    server = serve(MixingPretender())
    for limit in (20, 60):
        with pytest.raises(BudgetError, match=f"budget.max_calls = {limit} "):
            run(experiment(server, budget={"max_calls": limit}), tmp_path / "run")
    result = run(experiment(server, budget={"max_calls": 10_000}), tmp_path / "run")
    assert outcomes(tmp_path / "run") == outcomes(tmp_path / "whole")
    assert [arm.accuracy for arm in result.arms] == [arm.accuracy for arm in expected.arms]
    generated = {body: count for body, count in bodies(server).items() if '"seed"' in body}
    assert max(generated.values()) <= 2  # probes ask for the same seed twice


def test_a_run_may_finish_a_cell_with_what_the_budget_gave_and_does_it_again_with_more(
    serve: Serve, tmp_path: Path
) -> None:
    def go(limit: int, name: str = "run") -> str:
        settings = experiment(
            server, arms=["zero-shot"], repeats=1, budget={"max_calls": limit, "when_spent": "finish"}
        )
        run(settings, tmp_path / name)
        table = json.loads((tmp_path / name / "cells" / "zero-shot-r0" / "cell.json").read_text())
        return str(table["outcomes"])

    server = serve(MixingPretender())
    partial = go(7)
    assert 0 < partial.count("b") < len(partial)
    assert go(7) == partial
    whole = go(10_000)
    assert "b" not in whole
    assert all(some in (full, "b") for some, full in zip(partial, whole, strict=True))


def test_a_budget_of_money_is_kept_over_all_goes(serve: Serve, tmp_path: Path) -> None:
    server = serve(MixingPretender())
    table = {"prices": {"input": 10.0, "output": 10.0}}
    for _ in range(2):
        with pytest.raises(BudgetError, match=r"budget.max_cost = 0.01 \(0.00"):
            run(experiment(server, table, budget={"max_cost": 0.01}), tmp_path / "run")
    ledger = next((tmp_path / "cache").rglob("spent-*.jsonl"))
    assert 0.005 < Purse(Limits(), ledger).spent.cost <= 0.01
    assert run(experiment(server, table), tmp_path / "run").arms


def test_a_budget_and_how_an_endpoint_is_reached_leave_a_run_what_it_is(serve: Serve) -> None:
    server = serve(MixingPretender())
    plain = experiment(server)
    assert experiment(server, budget={"max_cost": 5}).fingerprint == plain.fingerprint
    assert experiment(server, {"concurrency": 2, "key_env": "KEY"}).fingerprint == plain.fingerprint
    assert experiment(server, {"form": "chat"}).fingerprint != plain.fingerprint
    assert experiment(server, {"model": "other"}).fingerprint != plain.fingerprint


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"base_url": "ftp://x"}, "base_url must look like"),
        ({"base_url": "http://user:word@host/v1"}, "must hold no user, password"),
        ({"key_env": "sk-123"}, "name of an environment variable"),
        ({"headers": {"X-Api-Key": "abc"}}, "looks secret"),
        ({"headers": {"X-Org": "a\nb"}}, "plain ASCII"),
        ({"concurency": 3}, "did you mean 'concurrency'"),
        ({"timeout": -1}, "timeout"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_with_its_key(serve: Serve, table: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        experiment(serve(MixingPretender()), table)
    assert not {"word", "sk-123", "abc"} & set(str(caught.value).replace("'", " ").split())


def test_settings_of_local_models_are_refused_for_endpoints(serve: Serve, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="dtype has no effect"):
        run(experiment(serve(MixingPretender()), student={"model": "served", "dtype": "float32"}), tmp_path / "run")


def test_a_killed_run_asks_again_for_no_more_than_the_calls_in_flight(serve: Serve, tmp_path: Path) -> None:
    flight = 4
    waiting = 0

    class Dying(MixingPretender):
        def __call__(self, asked: Asked) -> Answer:
            nonlocal waiting
            answer = super().__call__(asked)
            if asked.number > 110 and not revived:
                waiting += 1
                return Answer(delay=60.0)
            return answer

    revived: list[bool] = []
    server = serve(Dying())
    file = tmp_path / "killed.toml"
    file.write_text(
        'task = "phone_messages"\nrepeats = 1\nshots = [2]\narms = ["zero-shot", "generated"]\n'
        'data = { test_rows = 6 }\nteachers = { model = "served", count = 2 }\ngeneration = { lessons = 1 }\n'
        'student = { model = "served", calibrate = false }\n'
        f'[models.served]\nmodel = "pretender"\nbase_url = "{server.url}"\nconcurrency = {flight}\n'
    )
    source = Path(__file__).resolve().parent.parent / "src"
    command = [sys.executable, "-m", "social_learning.cli", "run", str(file), "--json", "--out", str(tmp_path / "run")]
    environment = {**os.environ, "PYTHONPATH": str(source)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while waiting < flight and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    answered = bodies(server)
    revived.append(True)
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    again = sum((bodies(server) - answered).values()) and sum(
        count - 1 for body, count in bodies(server).items() if count > 1 and '"content": null' not in body
    )
    probes = sum(count - 1 for count in bodies_of_probes(server).values())
    tokenised = sum(count - 1 for body, count in bodies(server).items() if "add_special_tokens" in body)
    assert again - probes - tokenised <= 2 * flight


def bodies_of_probes(server: Loopback) -> Counter[str]:
    """What a connection asks before any call of the run."""
    probes = [body for body in bodies(server) if "Once upon a time" in body or "One, two" in body or "word yes" in body]
    return Counter({body: bodies(server)[body] for body in probes})


def test_a_dry_run_asks_an_endpoint_nothing(serve: Serve) -> None:
    server = serve(MixingPretender())
    estimates = dry_run(experiment(server))
    assert [estimate.arm for estimate in estimates] == ["zero-shot", "generated"]
    assert all(estimate.answering.prompt_tokens for estimate in estimates)
    assert [estimate.cost for estimate in estimates] == [None, None]
    assert not server.asked


def test_a_dry_run_foresees_the_price_of_what_has_to_be_asked(serve: Serve) -> None:
    server = serve(MixingPretender())
    arms = {"zero-shot": {}, "first": {"method": "generated"}, "second": {"method": "generated"}}
    priced = experiment(server, {"prices": {"input": 2_000_000.0, "output": 0.0}}, arms=arms)
    zero, first, second = dry_run(priced)
    used = zero.teaching + zero.answering
    assert zero.cost == pytest.approx(2.0 * used.prompt_tokens)
    assert first.cost
    # The same lesson again: nothing has to be asked that was not asked before.
    assert second.cost == 0
    assert not server.asked


def test_a_model_in_this_process_costs_nothing(serve: Serve) -> None:
    server = serve(MixingPretender())
    local = experiment(server, student={"model": "fake:mixer", "calibrate": False})
    assert [estimate.cost for estimate in dry_run(local)] == [0.0, None]


def test_an_interrupted_run_ends_at_once_and_keeps_what_was_answered(serve: Serve, tmp_path: Path) -> None:
    class Hanging(MixingPretender):
        def __call__(self, asked: Asked) -> Answer:
            if asked.number > 60:
                hanging.set()
                return Answer(delay=600.0)
            return super().__call__(asked)

    def interrupt() -> None:
        hanging.wait()
        signal.pthread_kill(main, signal.SIGINT)

    hanging, main = threading.Event(), threading.get_ident()
    server = serve(Hanging())
    interrupting = threading.Thread(target=interrupt)
    # Whoever starts the tests in the background may have them ignore it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    interrupting.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            run(experiment(server), tmp_path / "run")
    finally:
        signal.signal(signal.SIGINT, before)
    interrupting.join()
    assert len(server.asked) < 200
