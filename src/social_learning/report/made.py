"""How a run was made, as the report shows it: commands, code, models and times, and what was changed since."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from social_learning.config import Experiment
from social_learning.manifest import PAGES, changed_files
from social_learning.provenance import Batch, batches, mixed
from social_learning.stamps import audit_batches, read_stamps

NAMED = 6
"""How many cells of one batch are named."""


@dataclass(frozen=True, slots=True)
class MadeRow:
    """Cells, or an audit's trials, that were made by the same command, code and models; times in UTC."""

    what: str
    command: str
    code: str
    versions: str
    models: str
    started: str
    ended: str


@dataclass(frozen=True, slots=True)
class MadeView:
    """What made the parts of a run; `mixed` says in one line which parts other code made, `changed` what was edited since."""

    rows: tuple[MadeRow, ...]
    mixed: str | None
    changed: tuple[str, ...]


def made_view(folder: Path, experiment: Experiment) -> MadeView:
    """Read how a run was made. Raises RunFolderError where a cell or an audit is damaged."""
    stamps = read_stamps(folder, experiment)
    rows = [_row(_named("cell", batch.names), batch) for batch in batches(stamps.items())]
    rows += [_row(f"audit {name}: trials of {', '.join(batch.names)}", batch) for name, batch in audit_batches(folder)]
    return MadeView(tuple(rows), mixed(stamps.items()), tuple(changed_lines(folder)))


def changed_lines(folder: Path) -> list[str]:
    """Return what was changed in a run folder, in one line per file; pages are left out, since they are written anew."""
    return [change.line for change in changed_files(folder) if change.file not in PAGES]


def mixed_line(folder: Path, experiment: Experiment) -> str | None:
    """Return the line about cells that were made by different code; None where all were made by the same."""
    return mixed(read_stamps(folder, experiment).items())


def _named(what: str, names: Sequence[str]) -> str:
    count = f"{len(names):,} {what}{'' if len(names) == 1 else 's'}"
    return f"{count}: {', '.join(names[:NAMED])}{' …' if len(names) > NAMED else ''}"


def _row(what: str, batch: Batch) -> MadeRow:
    stamp = batch.stamp
    if stamp is None:
        return MadeRow(what, "not written down by the version that made them", "", "", "", "", "")
    others = {name: version for name, version in stamp.versions.items() if name not in ("social-learning", "commit")}
    return MadeRow(
        what=what,
        command=stamp.command,
        code=stamp.code,
        versions=", ".join(f"{name} {version}" for name, version in others.items()),
        models=", ".join(f"{who}: {identity}" for who, identity in stamp.models.items()),
        started=stamp.started,
        ended=stamp.ended,
    )
