"""Loading: a finished run folder back into what the reports show."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from social_learning.config import Experiment, by_arms, cells_of, parse_experiment
from social_learning.errors import ConfigError, RunFolderError
from social_learning.files import read_json
from social_learning.outcome import result_of
from social_learning.records import FORMAT, read_cell, read_failures, read_parts
from social_learning.results import Result


@dataclass(frozen=True, slots=True)
class Manifest:
    """A run's run.json: the experiment, its settings as they were written, and everything else as plain values."""

    experiment: Experiment
    settings: Mapping[str, Any]
    facts: Mapping[str, Any]


def load_manifest(folder: Path) -> Manifest:
    """Read run.json. Raises RunFolderError where there is none, or none that this version understands."""
    file = folder / "run.json"
    if not file.is_file():
        raise RunFolderError(f"{folder} holds no finished run: there is no run.json in it")
    table = read_json(file)
    if not isinstance(table, dict) or table.get("format") != FORMAT or not isinstance(table.get("experiment"), dict):
        raise RunFolderError(f"{file} was not written by this version of social-learning")
    try:
        experiment = parse_experiment(table["experiment"], str(file))
    except ConfigError as error:
        raise RunFolderError(str(error)) from None
    facts = {name: value for name, value in table.items() if name not in ("format", "experiment")}
    return Manifest(experiment, table["experiment"], facts)


def load_result(folder: Path) -> Result:
    """Rebuild the result of a finished run, or of its finished parts, from its cells, exactly as the run returned it.

    Cells without a lesson are left out. Raises RunFolderError where the folder holds no run, where another cell is missing,
    or where one is damaged.
    """
    experiment = load_manifest(folder).experiment
    parts, failures = read_parts(folder), read_failures(folder, experiment)
    keys = [key for _, key in cells_of(experiment) if parts is None or key.name in parts]
    found = {key: read_cell(folder, key) for key in keys}
    missing = [key.name for key, cell in found.items() if cell is None and key not in failures]
    if found and len(failures) == len(found):
        reason = next(iter(failures.values()))
        raise RunFolderError(f"{folder} holds no result: no cell has a lesson; the first reason: {reason}")
    if missing:
        raise RunFolderError(
            f"{folder} holds no finished run: {len(missing)} of {len(keys)} cells are missing, the first is "
            f"{missing[0]}; run the experiment again to finish it"
        )
    cells = [cell for key in by_arms(experiment, found) if (cell := found[key]) is not None]
    return result_of(str(folder), experiment, cells)
