"""Stamps of a run folder: how each of its cells, trials and audits was made, read back."""

from pathlib import Path

from social_learning.config import Experiment, cells_of
from social_learning.errors import RunFolderError
from social_learning.files import read_json
from social_learning.provenance import Batch, Stamp


def read_stamp(file: Path) -> Stamp | None:
    """Return how a cell or a trial was made; None where its version wrote no stamp. Raises RunFolderError where the file is
    damaged.
    """
    table = read_json(file)
    try:
        made = table.get("made")
        return None if made is None else Stamp.from_table(made)
    except (TypeError, ValueError, AttributeError):
        raise RunFolderError(f"{file} is damaged: delete it to have that part done again") from None


def read_stamps(folder: Path, experiment: Experiment) -> dict[str, Stamp | None]:
    """Return how each finished cell of a run was made, by the cell's name, in order."""
    names = [key.name for _, key in cells_of(experiment)]
    files = {name: folder / "cells" / name / "cell.json" for name in names}
    return {name: read_stamp(file) for name, file in files.items() if file.exists()}


def audit_batches(folder: Path) -> list[tuple[str, Batch]]:
    """Return how the trials of each audit of a run folder were made: the audit's name, and arms with counts of trials."""
    found = []
    for file in sorted(folder.glob("audits/*/audit.json")):
        try:
            for part in read_json(file).get("trials", []):
                names = tuple(f"{arm}: {int(trials)}" for arm, trials in part["arms"].items())
                found.append((file.parent.name, Batch(names, part["made"] and Stamp.from_table(part["made"]))))
        except (TypeError, ValueError, KeyError, AttributeError):
            raise RunFolderError(f"{file} is damaged: run the audit again to have it written anew") from None
    return found
