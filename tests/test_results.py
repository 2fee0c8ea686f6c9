"""Every table in README, docs and results/ is made from files that lie beside the run that made them, with its settings and a command
that works; and what is left of runs without outcomes is tested as it can be.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from scipy.stats import ttest_ind

from results import tables
from results.legacy import Measured, compare
from results.lines import Line, holm, with_tests
from social_learning.config import load_experiment
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


def test_holm() -> None:
    assert holm([0.01, None, 0.04, 0.03]) == pytest.approx([0.03, None, 0.06, 0.06])


def _measured(shares: list[float]) -> Measured:
    mean = sum(shares) / len(shares)
    variance = sum((share - mean) ** 2 for share in shares) / (len(shares) - 1)
    return Measured(mean, (variance / len(shares)) ** 0.5, len(shares), 100)
