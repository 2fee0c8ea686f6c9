"""Records: the run folder. What was asked, what left each silo, what came out; and what a run that was killed goes on
from.

    run.json                    settings as run, versions, models, data; what a resumed run must agree with; time, memory
    cells/NAME/messages.jsonl   every reply that left a silo, with its request, in order
    cells/NAME/lesson.json      what the student learned
    cells/NAME/closeness.csv    how close each item that left is to its silo, and the controls; numbers only
    cells/NAME/cell.json        outcome per test row, usage, seconds; written last: a cell that has it is finished
    results.json, results.csv   one entry per arm
    closeness.json, closeness.csv   the same evidence, put together by arm and by teacher
    cells/NAME/failed.json      instead, where a cell's teaching ended without a lesson: why; it is tried again
    parts.json                  the finished cells, where only parts of the experiment were asked for
    audits/KIND-N/              what audits with canaries found; see audit.py
    experiment.toml             the settings as an experiment file that runs from here
    report.html                 the report
    manifest.json               a hash of every file, so that edits are noticed; see manifest.py

Private examples of the `original` arm are left out unless the experiment says otherwise, and test questions and
students' answers are never written: outcomes are one letter per row.
"""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from social_learning.claim import Claim
from social_learning.config import Experiment, cells_of, unlike
from social_learning.data_key import KEY_GONE, KEYLESS
from social_learning.errors import RunFolderError
from social_learning.experiment_file import experiment_toml
from social_learning.files import read_json, write_file
from social_learning.lesson import Lesson
from social_learning.manifest import Seal
from social_learning.message_log import MessageLog
from social_learning.privacy import evidence
from social_learning.privacy.evidence import Closeness
from social_learning.privacy.trials import ArmAudit
from social_learning.provenance import Origin, Stamp, Took, mixed
from social_learning.results import Cell, CellKey, Result
from social_learning.stamps import read_stamps

FORMAT = 1


class RunFolder:
    """A run's folder, held by one process at a time. Use as a context manager. `origin` is of the command that holds it.

    A start that fails before anything came of it leaves no folder that was not there before.
    """

    def __init__(self, path: Path, experiment: Experiment, origin: Origin) -> None:
        self.path, self.origin = path, origin
        self._experiment = experiment
        self._entered, self._worked = origin.now(), False
        self.seal = Seal(path)
        self._claim = Claim(path, "run.json")

    def __enter__(self) -> Self:
        self._claim.take()
        try:
            self._check()
            if self.seal.exists:
                self.seal.open()
        except BaseException:
            self._claim.release()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if self._worked:
                self._note_command(self.origin.now())
            self.seal.close()
        finally:
            if kind is None:
                self._claim.release()
            else:
                self._claim.give_up()

    def _check(self) -> None:
        """Refuse the folder of another run."""
        found = self._manifest()
        if found is None:
            return
        if found.get("fingerprint") != self._experiment.fingerprint or found.get("format") != FORMAT:
            what = unlike(self._experiment, found.get("experiment"))
            raise RunFolderError(f"{self.path} holds {what}: give another folder with --out, or delete this one")

    def _manifest(self) -> dict[str, Any] | None:
        file = self.path / "run.json"
        if not file.exists():
            return None
        found = read_json(file)
        return found if isinstance(found, dict) else {}

    def begin(self) -> None:
        """Write down the settings and versions of a new run."""
        if self._manifest() is None:
            self._write_manifest(
                {
                    "format": FORMAT,
                    "fingerprint": self._experiment.fingerprint,
                    "experiment": self._experiment.model_dump(mode="json"),
                    "versions": dict(self.origin.versions),
                }
            )

    def depends_on(self, name: str, value: Any) -> None:
        """Write down something this run depends on, such as its data or a model.

        Data is compared by its digest; where the key of that is gone, by its counts alone, and that is written down: what was
        paid for must not be lost with a key.

        Raises RunFolderError where the run that is resumed depended on something else.
        """
        table = self._manifest() or {}
        if name not in table:
            self._write_manifest({**table, name: value})
            return
        keyless = name == "data" and table[name].get("key") != value.get("key")
        if _compared(name, table[name], keyless) != _compared(name, value, keyless):
            why = f"was begun with other {name} ({_short(table[name])}, now {_short(value)})"
            raise RunFolderError(f"{self.path} {why}: give another folder with --out, or delete this one")
        if keyless:
            self._write_manifest({**table, name: value, KEYLESS: KEY_GONE})

    def took(self, seconds: float) -> None:
        """Add a command that took so many seconds; a resumed run need not agree with it."""
        table = self._manifest() or {}
        took = Took(**table.get("took", {})).and_now(seconds)
        self._write_manifest({**table, "took": took.to_table()})

    def working(self) -> None:
        """Write down, once, that this command makes something here: before it does, so that a killed one is known too."""
        if not self._worked:
            self._worked = True
            self.seal.open()
            if not (self.path / "experiment.toml").exists():
                write_file(self.path / "experiment.toml", experiment_toml(self._experiment, self.path))
            self._note_command(None)

    def _note_command(self, ended: str | None) -> None:
        """Write down this command in run.json, and which cells were made by which code where that was not the same."""
        table = self._manifest() or {}
        earlier = table.get("commands", [])
        told = {"command": self.origin.command, "versions": dict(self.origin.versions)}
        # The last entry is this command's own from when it began to work.
        before = earlier if ended is None else earlier[:-1]
        table["commands"] = [*before, {**told, "started": self._entered, "ended": ended}]
        table["made_by"] = mixed(read_stamps(self.path, self._experiment).items())
        self._write_manifest({name: value for name, value in table.items() if value is not None})

    def _write_manifest(self, table: Mapping[str, Any]) -> None:
        write_file(self.path / "run.json", json.dumps(table, indent=2) + "\n")

    def finished(self, key: CellKey) -> Cell | None:
        """Return a cell that an earlier run finished, or None; one with rows that it had no budget for is not finished."""
        cell = read_cell(self.path, key)
        return None if cell and cell.evaluation.failures["over_budget"] else cell

    def fail(self, key: CellKey, reason: str, closeness: Sequence[Closeness] = ()) -> None:
        """Write down that a cell's teaching ended without a lesson, why, in counts, and how close what left is to its silo."""
        self.working()
        folder = self.path / "cells" / key.name
        self._keep_closeness(folder, closeness)
        write_file(folder / "failed.json", json.dumps({"failed": reason}) + "\n")
        self.seal.note([folder])

    def keep_parts(self, names: Sequence[str] | None) -> None:
        """Write down which cells are finished, where only parts of the experiment were asked for; None for all of it."""
        file = self.path / "parts.json"
        if names is None:
            file.unlink(missing_ok=True)
        else:
            write_file(file, json.dumps(list(names), indent=1) + "\n")

    def messages(self, key: CellKey) -> "MessageLog":
        """Open the log of what leaves silos in one cell; what an earlier, killed run wrote there is replaced."""
        self.working()
        file = self.path / "cells" / key.name / "messages.jsonl"
        return MessageLog(file, self._experiment.privacy.record_originals, self.origin.clock)

    def finish(self, cell: Cell, lesson: Lesson, closeness: Sequence[Closeness], original: bool, made: Stamp) -> None:
        """Write a cell's lesson, closeness and outcome. The lesson of an `original` cell is private, and left out by default."""
        folder = self.path / "cells" / cell.key.name
        if not original or self._experiment.privacy.record_originals:
            write_file(folder / "lesson.json", lesson.to_json())
        self._keep_closeness(folder, closeness)
        write_file(folder / "cell.json", json.dumps({**cell.to_table(), "made": made.to_table()}) + "\n")
        (folder / "failed.json").unlink(missing_ok=True)
        self.seal.note([folder])

    @staticmethod
    def _keep_closeness(folder: Path, closeness: Sequence[Closeness]) -> None:
        if closeness:
            write_file(folder / "closeness.csv", evidence.to_csv(closeness))
        else:
            (folder / "closeness.csv").unlink(missing_ok=True)

    def write_results(self, result: Result) -> None:
        """Write results.json and results.csv."""
        table = {**result.to_table(), "experiment": result.experiment, "compared_with": result.compared_with}
        write_file(self.path / "results.json", json.dumps(table, indent=2) + "\n")
        arms = [{**arm, "accuracies": " ".join(map(str, arm["accuracies"]))} for arm in result.to_table()["arms"]]
        rows = io.StringIO()
        writer = csv.DictWriter(rows, fieldnames=list(arms[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(arms)
        write_file(self.path / "results.csv", rows.getvalue())

    def write_closeness(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write closeness.json and closeness.csv: one row per arm, number of shots, teacher (or all) and group."""
        write_file(self.path / "closeness.json", json.dumps(list(rows), indent=2) + "\n")
        if rows:
            table = io.StringIO()
            writer = csv.DictWriter(table, fieldnames=list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
            write_file(self.path / "closeness.csv", table.getvalue())


def read_cell(folder: Path, key: CellKey) -> Cell | None:
    """Return a finished cell of a run folder, or None. Raises RunFolderError where it is damaged."""
    file = folder / "cells" / key.name / "cell.json"
    if not file.exists():
        return None
    try:
        return Cell.from_table(read_json(file))
    except (KeyError, TypeError, AttributeError):
        raise RunFolderError(f"{file} is damaged: delete it to have that part done again") from None


def read_failure(folder: Path, key: CellKey) -> str | None:
    """Return why a cell of a run folder has no lesson; None where it has one, or was not done yet."""
    file = folder / "cells" / key.name / "failed.json"
    if not file.exists() or file.with_name("cell.json").exists():
        return None
    table = read_json(file)
    return str(table.get("failed", "")) if isinstance(table, dict) else ""


def finished_keys(folder: Path, experiment: Experiment) -> list[CellKey]:
    """Return the cells of a run folder that are finished, in the experiment's order."""
    return [key for _, key in cells_of(experiment) if (folder / "cells" / key.name / "cell.json").exists()]


def read_failures(folder: Path, experiment: Experiment) -> dict[CellKey, str]:
    """Return the cells of a run folder whose teaching ended without a lesson, in the experiment's order, and why."""
    reasons = {key: read_failure(folder, key) for _, key in cells_of(experiment)}
    return {key: reason for key, reason in reasons.items() if reason is not None}


def read_parts(folder: Path) -> list[str] | None:
    """Return the names of the finished cells of a run of which only parts were asked for; None for any other run."""
    file = folder / "parts.json"
    return [str(name) for name in read_json(file)] if file.exists() else None


def read_closeness(folder: Path, key: CellKey) -> list[Closeness]:
    """Return the closeness of what left silos in one cell; empty where nothing did. Raises RunFolderError where the
    file is damaged.
    """
    file = folder / "cells" / key.name / "closeness.csv"
    try:
        return evidence.from_csv(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError):
        raise RunFolderError(f"{file} is damaged: delete its folder to have that part done again") from None


def read_audit(file: Path) -> tuple[dict[str, Any], list[ArmAudit]]:
    """Return an audit.json: the whole object, with `canaries`, `references` and `rows`, and its arms. Raises RunFolderError
    where it is damaged.
    """
    table = read_json(file)
    try:
        _ = table["canaries"], table["references"], table["rows"]
        return table, [ArmAudit.from_table(arm) for arm in table["arms"]]
    except (KeyError, TypeError):
        raise RunFolderError(f"{file} is damaged: run the audit again to have it written anew") from None


def _compared(name: str, value: Any, keyless: bool) -> Any:
    """What a resumed run must agree with: of data not where it was read from, since the file may have been moved, and not its
    digest where that was made with another key.
    """
    if name != "data" or not isinstance(value, dict):
        return value
    left_out = {"source", "key", "hmac_sha256"} if keyless else {"source"}
    return {k: v for k, v in value.items() if k not in left_out}


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
