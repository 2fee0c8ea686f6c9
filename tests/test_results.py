"""Every table in README, docs and results/ is made from files that lie beside the run that made them, with its settings and a command
that works; and what is left of runs without outcomes is tested as it can be.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import ttest_ind

from results import tables
from results.keep import keep
from results.legacy import Difference, Measured, compare
from results.lines import Line, lines_of, lines_of_run, with_tests
from social_learning.config import cells_of, load_experiment
from social_learning.evaluation import Evaluation, Outcome
from social_learning.files import write_file
from social_learning.models.base import Usage
from social_learning.provenance import Origin, Took
from social_learning.records import RunFolder
from social_learning.reproduce.compare import view_of
from social_learning.reproduce.plan import Request, experiment_for
from social_learning.reproduce.tables import TABLES
from social_learning.reproduce.write import write_table
from social_learning.results import Cell, graded
from social_learning.statistics import paired
from tests.results_folder import faults, typed_by_hand

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "results"
NOT_KEPT = frozenset({"reproduced/sms_spam_votes/sms_spam"})
"""Run folders whose run.json is lost; their README.md says so. None may be added."""

PAGES = [str(page.relative_to(ROOT)) for page in tables.pages()]


@pytest.mark.parametrize("page", PAGES)
def test_tables_are_those_of_the_results(page: str) -> None:
    text = (ROOT / page).read_text()
    assert tables.filled(text) == text


@pytest.mark.parametrize("page", PAGES)
def test_no_table_is_typed_by_hand(page: str) -> None:
    assert typed_by_hand((ROOT / page).read_text()) == []


def test_a_table_that_no_program_fills_is_found() -> None:
    page = "<!-- results/gaps -->\n| a |\n<!-- end -->\n\n- text\n\n  | order | accuracy |\n"
    assert typed_by_hand(page) == ["  | order | accuracy |"]


def test_every_result_lies_beside_its_run_and_its_command() -> None:
    assert faults(RESULTS, NOT_KEPT) == []


@pytest.mark.parametrize(
    "file", sorted([*ROOT.glob("results/**/experiment.toml"), *ROOT.glob("examples/*.toml")]), ids=str
)
def test_experiment_files_parse(file: Path) -> None:
    assert load_experiment(file).resolved_arms()


def _votes_beside_another_run(results: Path) -> None:
    shutil.move(results / "reproduced/sms_spam_votes/table12.json", results / "reproduced/sms_spam/table12.json")


def _run_lost(results: Path) -> None:
    (results / "distances/sms_spam/run.json").unlink()


def _no_experiment_file(results: Path) -> None:
    (results / "audits/lambada/experiment.toml").unlink()


def _other_settings(results: Path) -> None:
    _edit(results / "free_answers/experiment.toml", "samples = 8", "samples = 9")


def _no_such_option(results: Path) -> None:
    _edit(results / "reproduced/boolq/README.md", "--test-rows 200", "--rows 200")


def _other_request(results: Path) -> None:
    _edit(results / "reproduced/boolq/README.md", "--test-rows 200", "--test-rows 100")


def _other_audit(results: Path) -> None:
    _edit(results / "audits/gsm8k_codes/README.md", "--trials 48", "--trials 49")


def _other_run(results: Path) -> None:
    _edit(results / "distances/lambada/README.md", "--data DIR", "--data DIR -s 'shots=[8]'")


def _no_command(results: Path) -> None:
    (results / "reproduced/gsm8k/README.md").unlink()


def _figure_changed(results: Path) -> None:
    file = results / "reproduced/phone_messages/table1.json"
    table = json.loads(file.read_text())
    table["rows"][2]["value"] += 1
    file.write_text(json.dumps(table))


def _two_runs_in_one(results: Path) -> None:
    """As it was: the settings of one run beside a table that asked for the shots of two."""
    root = results / "reproduced/lambada/8_shots"
    table = json.loads((results / "reproduced/lambada/instructions/table2.json").read_text())
    table["request"] = {**table["request"], "test_rows": None}
    (root / "table2.json").write_text(json.dumps(table))


def _nothing_measured(results: Path) -> None:
    folder = results / "sms_spam_guards"
    folder.mkdir()
    shutil.copy(results / "free_answers/experiment.toml", folder)


def _edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (_votes_beside_another_run, "reproduced/sms_spam/table12.json: voted at 8 shots is not what sms_spam"),
        (_run_lost, "distances/sms_spam: no run.json beside"),
        (_no_experiment_file, "audits/lambada: no experiment.toml beside"),
        (_other_settings, "free_answers/experiment.toml: generation.samples is 9, of the run 8"),
        (_no_such_option, "reproduced/boolq: social-learning reproduce table1"),
        (_other_request, "reproduced/boolq: no command asks for what table1.json was made for"),
        (_other_audit, "audits/gsm8k_codes: no command asks for the audit codes-1000"),
        (_other_run, "distances/lambada: no command gives the settings of run.json"),
        (_no_command, "reproduced/gsm8k: no README.md gives the command"),
        (_figure_changed, "reproduced/phone_messages/table1.json: generated at 1 shots is not what phone_messages"),
        (_two_runs_in_one, "reproduced/lambada/8_shots/table2.json: asks for other shots than the run"),
        (_nothing_measured, "sms_spam_guards: an experiment file and no result"),
    ],
)
def test_what_is_wrong_with_results_is_found(harm: Callable[[Path], None], told: str, tmp_path: Path) -> None:
    results = tmp_path / "results"
    shutil.copytree(RESULTS, results)
    harm(results)
    assert told in "\n".join(faults(results, NOT_KEPT))


# Runs whose outcomes row by row were kept


def test_tables_of_kept_outcomes_are_computed_from_these(tmp_path: Path) -> None:
    root, request = tmp_path / "reproduced" / "kept", Request(("table1",), tasks=("phone_messages",), repeats=3)
    cells = _kept(root, request)
    found = {(line.name, line.shots): line for line in lines_of(root, "table1", "phone_messages")}
    line = found["generated", 8]
    ours, theirs = ([graded([cell]) for cell in cells if cell.key.arm == arm and cell.key.shots == 8] for arm in ARMS)
    pair = paired(ours, theirs)
    assert line.difference == Difference(pair.difference, pair.low, pair.high, pair.p_value)
    assert line.measured.accuracy == pytest.approx(sum(map(sum, ours)) / 60)
    assert line.p_holm is not None
    assert line.p_holm >= (pair.p_value or 0)
    assert not any("cells" in fault for fault in faults(tmp_path))
    cell = root / "phone_messages/cells/generated-n8-r0/cell.json"
    cell.write_text(json.dumps({**json.loads(cell.read_text()), "outcomes": 20 * "w"}))
    assert "reproduced/kept/table1.json: not what the cells of its runs say" in faults(tmp_path)


def test_what_is_kept_of_a_reproduce_root_has_no_text_and_no_fault(tmp_path: Path) -> None:
    root, request = tmp_path / "root", Request(("table1",), tasks=("phone_messages",), repeats=3)
    _kept(root, request)
    for private in ("lesson.json", "messages.jsonl"):
        write_file(root / "phone_messages/cells/generated-n8-r0" / private, '"SECRET"')
    write_file(root / "phone_messages/report.html", "SECRET")
    folder = tmp_path / "results" / "reproduced" / "kept"
    write_file(folder / "README.md", "social-learning reproduce table1 --tasks phone_messages --repeats 3\n")
    write_file(folder / "table12.json", "{}")
    keep(root, folder)
    assert faults(tmp_path / "results") == []
    kept = [file for file in folder.rglob("*") if file.is_file()]
    assert {file.name for file in kept} == {
        "README.md",
        "table1.json",
        "table1.csv",
        "run.json",
        "experiment.toml",
        "cell.json",
    }
    assert not any("SECRET" in file.read_text() for file in kept)


def test_a_folder_is_left_alone_where_there_is_nothing_to_keep(tmp_path: Path) -> None:
    write_file(tmp_path / "kept" / "table1.json", "{}")
    with pytest.raises(FileNotFoundError, match="holds no run"):
        keep(tmp_path / "nothing", tmp_path / "kept")
    assert (tmp_path / "kept" / "table1.json").exists()


def test_arms_of_a_run_that_kept_outcomes_have_the_paired_test(tmp_path: Path) -> None:
    cells = _kept(tmp_path, Request(("table1",), tasks=("phone_messages",), repeats=3))
    lines = lines_of_run(tmp_path / "phone_messages")
    line = next(line for line in lines if (line.name, line.shots) == ("original", 4))
    ours = [graded([cell]) for cell in cells if cell.key.arm == "original" and cell.key.shots == 4]
    floor = [graded([cell]) for cell in cells if cell.key.arm == "zero-shot"]
    pair = paired(ours, floor)
    assert line.difference == Difference(pair.difference, pair.low, pair.high, pair.p_value)
    assert next(line for line in lines if line.name == "zero-shot").difference is None


ARMS = ("generated", "original")


def _kept(root: Path, request: Request) -> list[Cell]:
    """Write a reproduce root with outcomes of 20 rows drawn at random, one folder for each cell, and its table."""
    experiment, rng = experiment_for(request, "phone_messages"), np.random.default_rng(7)
    folder, cells = root / "phone_messages", []
    origin = Origin("kept", versions={})
    with RunFolder(folder, experiment, origin) as run:
        run.begin()
    for arm, key in cells_of(experiment):
        share = {"zero-shot": 0.3, "generated": 0.8}.get(arm.name, 0.5)
        outcomes: list[Outcome] = ["correct" if draw < share else "wrong" for draw in rng.random(20)]
        cells.append(Cell(key, Evaluation(tuple(outcomes)), Usage(), Usage(), 0.0, 0.0))
        write_file(folder / "cells" / key.name / "cell.json", json.dumps(cells[-1].to_table()))
    write_table(root, view_of(request, root, TABLES["table1"]), Took(), origin.stamp(origin.now(), {}))
    return cells


# Runs whose outcomes row by row were not kept


def test_repeated_arms_have_welchs_test() -> None:
    ours, theirs = [0.70, 0.81, 0.66, 0.74, 0.78], [0.61, 0.64, 0.55, 0.70, 0.59]
    found = compare(_measured(ours), _measured(theirs))
    result = ttest_ind(ours, theirs, equal_var=False)
    interval = result.confidence_interval()
    assert found.difference == pytest.approx(0.12)
    assert found.p_value == pytest.approx(result.pvalue)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))


def test_an_arm_measured_once_is_tested_over_the_repeats_of_the_other() -> None:
    once = Measured(0.5, None, 1, 100)
    found = compare(Measured(0.6, 0.03, 5, 100), once)
    assert found.low is not None
    assert found.high is not None
    # Variance: 0.03 squared over repeats, 0.6 * 0.4 / 100 and 0.5 * 0.5 / 100 over rows; t with 4 degrees of freedom is 2.776.
    assert found.high - found.difference == pytest.approx(2.776 * (0.0009 + 0.0024 + 0.0025) ** 0.5, abs=1e-3)
    back = compare(once, Measured(0.6, 0.03, 5, 100))
    assert (back.difference, back.low, back.high, back.p_value) == pytest.approx(
        (-found.difference, -found.high, -found.low, found.p_value)
    )


def test_without_repeats_or_without_variation_there_is_no_test() -> None:
    assert compare(Measured(0.6, None, 1, 100), Measured(0.5, None, 1, 100)).p_value is None
    assert compare(Measured(0.6, 0.0, 5, 100), Measured(0.5, 0.0, 5, 100)).p_value is None
    assert compare(Measured(0.0, 0.0, 5, 100), Measured(0.0, None, 1, 100)).p_value is None


def test_lines_are_compared_at_the_same_shots_and_corrected_together() -> None:
    lines = [
        Line("task", "original", 8, _measured([0.50, 0.52, 0.48])),
        Line("task", "generated", 8, _measured([0.70, 0.72, 0.68]), against="original"),
        Line("task", "original", 16, _measured([0.60, 0.64, 0.56])),
        Line("task", "generated", 16, _measured([0.62, 0.66, 0.58]), against="original"),
    ]
    _, eight, _, sixteen = with_tests(lines)
    assert eight.difference is not None
    assert sixteen.difference is not None
    assert (eight.difference.difference, sixteen.difference.difference) == pytest.approx((0.2, 0.02))
    assert eight.p_holm == pytest.approx(2 * (eight.difference.p_value or 0))
    assert (eight.star, sixteen.star) == ("*", "")


def _measured(shares: list[float]) -> Measured:
    mean = sum(shares) / len(shares)
    variance = sum((share - mean) ** 2 for share in shares) / (len(shares) - 1)
    return Measured(mean, (variance / len(shares)) ** 0.5, len(shares), 100)
