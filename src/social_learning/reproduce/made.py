"""What a table is made of: the run folders it was read from, and by which commands, code and models their parts were made."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from social_learning.config import Experiment, cells_of
from social_learning.files import read_json
from social_learning.manifest import manifest_hash
from social_learning.provenance import Stamp, batches, mixed
from social_learning.report.made import changed_lines
from social_learning.reproduce.compare import View
from social_learning.reproduce.plan import experiment_for, folder_of, lines_of
from social_learning.stamps import read_stamps


def runs_of(root: Path, view: View) -> dict[str, Any]:
    """Return, for each run folder that a table was read from, by its name: the batches of cells, or of audits' trials."""
    return {folder.name: _run(folder, experiment, view) for folder, experiment in _folders(root, view)}


def mixed_runs(root: Path, view: View) -> list[str]:
    """Return one line for each run folder of a table whose cells were not all made by the same code."""
    lines = [
        (folder.name, mixed(_stamps(folder, experiment, view).items())) for folder, experiment in _folders(root, view)
    ]
    return [f"{name}: {line}" for name, line in lines if line]


def changed_runs(root: Path, views: Iterable[View]) -> list[str]:
    """Return what was changed, since their commands, in the run folders that tables were read from: one line per file."""
    folders = dict.fromkeys(folder for view in views for folder, _ in _folders(root, view))
    return [f"{folder.name}/{line}" for folder in folders for line in changed_lines(folder)]


def _folders(root: Path, view: View) -> Iterator[tuple[Path, Experiment]]:
    for task in view.tasks:
        for other in sorted({line.other_teachers for line in lines_of(view.request, view.table)} | {False}):
            folder = folder_of(view.request, root, task, other)
            if (folder / "run.json").is_file():
                yield folder, experiment_for(view.request, task, other)


def _run(folder: Path, experiment: Experiment, view: View) -> dict[str, Any]:
    told = {"manifest": manifest_hash(folder)}
    if view.table.measure in ("rank", "firsts"):
        files = sorted(folder.glob("audits/*/audit.json"))
        return {**told, "audits": {file.parent.name: read_json(file).get("trials", []) for file in files}}
    made = batches(_stamps(folder, experiment, view).items())
    return {**told, "cells": [{"cells": list(b.names), "made": b.stamp and b.stamp.to_table()} for b in made]}


def _stamps(folder: Path, experiment: Experiment, view: View) -> dict[str, Stamp | None]:
    arms = {line.arm for line in lines_of(view.request, view.table)} | {experiment.compare_with}
    wanted = {key.name for _, key in cells_of(experiment) if key.arm in arms}
    return {name: stamp for name, stamp in read_stamps(folder, experiment).items() if name in wanted}
