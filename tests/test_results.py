"""The tables in README and docs are those of the committed results, and every result's experiment file still parses."""

import importlib.util
from pathlib import Path

import pytest

from social_learning.config import load_experiment

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("page", ["README.md", "docs/results.md"])
def test_tables_are_those_of_the_results(page: str) -> None:
    spec = importlib.util.spec_from_file_location("tables", ROOT / "results" / "tables.py")
    assert spec is not None
    assert spec.loader is not None
    tables = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tables)
    text = (ROOT / page).read_text()
    assert tables.filled(text) == text


@pytest.mark.parametrize(
    "file", sorted([*ROOT.glob("results/*/experiment.toml"), *ROOT.glob("examples/*.toml")]), ids=str
)
def test_experiment_files_parse(file: Path) -> None:
    assert load_experiment(file).resolved_arms()
