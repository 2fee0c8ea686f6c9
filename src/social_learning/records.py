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
    report.html                 the report

Private examples of the `original` arm are left out unless the experiment says otherwise, and test questions and
students' answers are never written: outcomes are one letter per row.
"""

import csv
import io
import json
import platform
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, Self

from social_learning.claim import Claim
from social_learning.config import Experiment, cells_of
from social_learning.errors import RunFolderError
from social_learning.files import read_json, write_file
from social_learning.lesson import Lesson
from social_learning.messages import Reply, ReplyExamples, Request, RequestOriginals
from social_learning.privacy import evidence
from social_learning.privacy.evidence import Closeness
from social_learning.privacy.trials import ArmAudit
from social_learning.provenance import Took, own_commit
from social_learning.results import Cell, CellKey, Result

PACKAGES = ("social-learning", "torch", "transformers", "tokenizers", "numpy", "scipy", "pydantic")
FORMAT = 1


class RunFolder:
    """A run's folder, held by one process at a time. Use as a context manager.

    A start that fails before anything came of it leaves no folder that was not there before.
    """

    def __init__(self, path: Path, experiment: Experiment) -> None:
        self.path = path
        self._experiment = experiment
        self._claim = Claim(path, "run.json")

    def __enter__(self) -> Self:
        self._claim.take()
        try:
            self._check()
        except BaseException:
            self._claim.release()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
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
            raise RunFolderError(
                f"{self.path} holds a run with other settings: give another folder with --out, or delete this one"
            )

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
                    "versions": versions(),
                }
            )

    def depends_on(self, name: str, value: Any) -> None:
        """Write down something this run depends on, such as its data or a model.

        Raises RunFolderError where the run that is resumed depended on something else.
        """
        table = self._manifest() or {}
        if name not in table:
            self._write_manifest({**table, name: value})
        elif table[name] != value:
            raise RunFolderError(
                f"{self.path} was begun with other {name} ({_short(table[name])}, now {_short(value)}): give another "
                "folder with --out, or delete this one"
            )

    def took(self, seconds: float) -> None:
        """Add a command that took so many seconds; a resumed run need not agree with it."""
        table = self._manifest() or {}
        took = Took(**table.get("took", {})).and_now(seconds)
        self._write_manifest({**table, "took": took.to_table()})

    def _write_manifest(self, table: Mapping[str, Any]) -> None:
        write_file(self.path / "run.json", json.dumps(table, indent=2) + "\n")

    def finished(self, key: CellKey) -> Cell | None:
        """Return a cell that an earlier run finished, or None."""
        return read_cell(self.path, key)

    def fail(self, key: CellKey, reason: str, closeness: Sequence[Closeness] = ()) -> None:
        """Write down that a cell's teaching ended without a lesson, why, in counts, and how close what left is to its silo."""
        folder = self.path / "cells" / key.name
        self._keep_closeness(folder, closeness)
        write_file(folder / "failed.json", json.dumps({"failed": reason}) + "\n")

    def keep_parts(self, names: Sequence[str] | None) -> None:
        """Write down which cells are finished, where only parts of the experiment were asked for; None for all of it."""
        file = self.path / "parts.json"
        if names is None:
            file.unlink(missing_ok=True)
        else:
            write_file(file, json.dumps(list(names), indent=1) + "\n")

    def messages(self, key: CellKey) -> "MessageLog":
        """Open the log of what leaves silos in one cell; what an earlier, killed run wrote there is replaced."""
        return MessageLog(self.path / "cells" / key.name / "messages.jsonl", self._experiment.privacy.record_originals)

    def finish(self, cell: Cell, lesson: Lesson, closeness: Sequence[Closeness], original: bool) -> None:
        """Write a cell's lesson, closeness and outcome. The lesson of an `original` cell is private, and left out by default."""
        folder = self.path / "cells" / cell.key.name
        if not original or self._experiment.privacy.record_originals:
            write_file(folder / "lesson.json", lesson.to_json())
        self._keep_closeness(folder, closeness)
        write_file(folder / "cell.json", json.dumps(cell.to_table()) + "\n")
        (folder / "failed.json").unlink(missing_ok=True)

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
        rows = io.StringIO()
        writer = csv.DictWriter(rows, fieldnames=list(result.to_table()["arms"][0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(result.to_table()["arms"])
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


class MessageLog:
    """The log of what left silos in one cell: one JSON line per reply, written before the student sees it."""

    def __init__(self, path: Path, record_originals: bool) -> None:
        self._path = path
        self._record_originals = record_originals
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.unlink(missing_ok=True)

    def __call__(self, request: Request, reply: Reply) -> None:
        """Append one reply and its request."""
        told = reply.model_dump(mode="json")
        if isinstance(request, RequestOriginals) and isinstance(reply, ReplyExamples) and not self._record_originals:
            told["examples"] = []
            told["withheld"] = len(reply.examples)
        line = {
            "bytes": len(reply.model_dump_json().encode()),
            "request": request.model_dump(mode="json"),
            "reply": told,
        }
        with self._path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line, ensure_ascii=False) + "\n")


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


def versions() -> dict[str, str]:
    """Return the versions of Python, of this package (with its commit, from a checkout) and of what it computes with."""
    found = {"python": sys.version.split()[0], "platform": platform.platform()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    commit = own_commit()
    return found if commit is None else {**found, "commit": commit}


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
