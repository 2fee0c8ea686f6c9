"""Keeps what a run or a reproduce command measured: copies its numbers into a folder here, and no text.

    .venv/bin/python -m results.keep ROOT results/reproduced/NAME

ROOT is a run folder, or the root of a `reproduce` command. Tables, results, closeness, audits, and how each test row came
out are copied; lessons, messages and reports are not, since they hold texts. Each run gets its settings as
experiment.toml. What lay in the folder before goes, but for its README.md, whose command has to be the one that was
given: a test compares them.
"""

import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from social_learning.experiment_file import as_toml

TABLES = ("table*.json", "table*.csv")
RUN = (
    "run.json",
    "results.json",
    "results.csv",
    "closeness.csv",
    "cells/*/cell.json",
    "audits/*/audit.json",
    "audits/*/trials.csv",
)
HEAD = "# The settings of the run beside this file, every one of them, as run.json has them.\n"


def keep(root: Path, folder: Path) -> None:
    """Copy the numbers of `root` into `folder`. Raises FileNotFoundError where `root` holds no run, before anything is changed."""
    runs = [file.parent for file in sorted([*root.glob("run.json"), *root.glob("*/run.json")])]
    if not runs:
        raise FileNotFoundError(f"{root} holds no run: give a run folder, or the root of a reproduce command")
    for old in [*folder.iterdir()] if folder.exists() else []:
        if old.is_dir():
            shutil.rmtree(old)
        elif old.name != "README.md":
            old.unlink()
    _copy(root, folder, TABLES)
    for run in runs:
        target = folder / run.relative_to(root)
        _copy(run, target, RUN)
        _name_only(target / "results.json")
        settings = json.loads((run / "run.json").read_text())["experiment"]
        (target / "experiment.toml").write_text(HEAD + as_toml(_tidy(settings)))


def _copy(source: Path, target: Path, patterns: tuple[str, ...]) -> None:
    for pattern in patterns:
        for file in sorted(source.glob(pattern)):
            to = target / file.relative_to(source)
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, to)


def _name_only(results: Path) -> None:
    """Where the run lay on the machine that made it is nobody's business: its folder's name stays."""
    if results.is_file():
        table = json.loads(results.read_text())
        results.write_text(json.dumps({**table, "run": Path(table["run"]).name}, indent=2) + "\n")


def _tidy(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings without what TOML has no value for, and without arms' tables that change nothing."""
    tidy: dict[str, Any] = {
        name: _tidy(value) if isinstance(value, Mapping) else value
        for name, value in settings.items()
        if value is not None
    }
    if isinstance(tidy.get("arms"), dict):
        tidy["arms"] = {name: {k: v for k, v in arm.items() if v != {}} for name, arm in tidy["arms"].items()}
    return {name: value for name, value in tidy.items() if value != {} or name not in ("budget", "models", "data")}


if __name__ == "__main__":
    keep(Path(sys.argv[1]), Path(sys.argv[2]))
