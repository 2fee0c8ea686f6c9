"""Comparison: a table as a view of what its run folders hold, beside the paper's figures. Computes; writes nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from social_learning.audit_plan import Plan
from social_learning.config import Experiment, cells_of
from social_learning.outcome import stand_in
from social_learning.privacy.evidence import summarise
from social_learning.privacy.paper import DISTANCE, FIRSTS, MEAN_RANK, REFERENCES
from social_learning.privacy.trials import ArmAudit
from social_learning.records import read_audit, read_cell, read_closeness, read_failure
from social_learning.reproduce.paper import ACCURACY, PaperFigure
from social_learning.reproduce.plan import Request, experiment_for, folder_of, lines_of, tasks_of
from social_learning.reproduce.tables import Line, Measure, Table
from social_learning.results import Cell, CellKey, arm_result, compared, permutation
from social_learning.statistics import SIGNIFICANT, Paired, holm, standard_error


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of ours: accuracy or a share in percent, a distance, or a rank.

    `stderr` is over repeats, None for one of them; `each` has the accuracies of single repeats, in percent. `paired` is the
    difference to the line that it is tested against, in shares, where accuracies are compared. `p_value` is that of the table's test,
    and `p_holm` the same corrected for all lines of one task; None where there is none. `permutation_p` is the paper's test.
    `repeats` counts repeats or trials, `rows` test rows, items or references, `failures` rows without an answer that could be
    read, by kind; `readable` is the accuracy over all others, in percent.
    """

    value: float
    stderr: float | None = None
    p_value: float | None = None
    p_holm: float | None = None
    permutation_p: float | None = None
    paired: Paired | None = None
    each: tuple[float, ...] = ()
    repeats: int = 1
    rows: int = 0
    failures: Mapping[str, int] = field(default_factory=dict)
    readable: float | None = None

    @property
    def significant(self) -> bool:
        """Whether the corrected p is below 0.05."""
        return self.p_holm is not None and self.p_holm < SIGNIFICANT


@dataclass(frozen=True, slots=True)
class Row:
    """One row: ours beside the paper's; either may be missing. `best` and `paper_best`: the best of its group, set in bold.

    `group` is what rows are compared within: the shots, or the kind of canary. `failed` counts repeats or trials that
    ended without a lesson, and `reason` says why the first one did.
    """

    task: str
    group: str
    line: Line
    shots: int
    ours: Figure | None
    paper: PaperFigure | None
    failed: int = 0
    reason: str = ""
    best: bool = False
    paper_best: bool = False


@dataclass(frozen=True, slots=True)
class View:
    """A table: its rows, task by task, and what they were measured with."""

    table: Table
    request: Request
    rows: tuple[Row, ...]
    facts: Mapping[str, Any]

    @property
    def tasks(self) -> dict[str, list[Row]]:
        """The rows by task."""
        groups: dict[str, list[Row]] = {}
        for row in self.rows:
            groups.setdefault(row.task, []).append(row)
        return groups


def view_of(request: Request, root: Path, table: Table) -> View:
    """Return a table as the run folders below `root` have it; what is not measured, or not by all repeats, is left empty.

    Tasks are those asked for, and others of which something is there.
    """
    asked = tasks_of(request, table)
    others = sorted({folder.parent.name for folder in root.glob("*/run.json")} - set(asked))
    rows = [row for task in asked for row in _rows(request, root, table, task)]
    for task in others:
        found = [] if "-taught-by-" in task else _rows(request, root, table, task)
        rows += found if any(row.ours for row in found) else []
    experiment = experiment_for(request, asked[0])
    facts = {"model": request.model, "seed": experiment.seed, "folder": root.name}
    return View(table, request, tuple(rows), facts)


def _rows(request: Request, root: Path, table: Table, task: str) -> list[Row]:
    if table.measure in ("rank", "firsts"):
        rows = [row for kind in request.canaries for row in _audit_rows(request, root, table, task, kind)]
    else:
        rows = [row for line in lines_of(request, table) for row in _line_rows(request, root, table, task, line)]
        rows.sort(key=lambda row: row.shots)
    rows = _corrected(rows)
    return _with_best(rows) if table.measure == "accuracy" else rows


def _corrected(rows: Sequence[Row]) -> list[Row]:
    """Rows of one task whose p-values are corrected for their number."""
    p_values = holm([row.ours.p_value if row.ours else None for row in rows])
    return [
        replace(row, ours=replace(row.ours, p_holm=p)) if row.ours else row
        for row, p in zip(rows, p_values, strict=True)
    ]


# Accuracy and distance: cells


def _line_rows(request: Request, root: Path, table: Table, task: str, line: Line) -> list[Row]:
    if line.arm is None:
        return [
            Row(task, str(shots), line, shots, None, row.get(task))
            for (name, shots), row in ACCURACY[table.name].items()
            if name == line.paper and task in row
        ]
    experiment = experiment_for(request, task, line.other_teachers)
    folder = folder_of(request, root, task, line.other_teachers)
    groups: dict[int, list[CellKey]] = {}
    for _, key in cells_of(experiment):
        if key.arm == line.arm:
            groups.setdefault(key.shots, []).append(key)
    against = None
    if line.against is not None and not stand_in(experiment):
        chance = any(arm.drawn for arm in experiment.resolved_arms() if arm.name in (line.arm, line.against))
        against = folder_of(request, root, task), line.against, chance
    rows = []
    for shots, keys in groups.items():
        done = [key for key in keys if read_cell(folder, key)]
        reasons = [reason for key in keys if key not in done and (reason := read_failure(folder, key))]
        ours = None
        if done and len(done) + len(reasons) == len(keys):
            ours = _distance(folder, done) if table.measure == "distance" else _accuracy(folder, done, against)
        paper = _paper(table, line, task, shots)
        rows.append(Row(task, str(shots), line, shots, ours, paper, len(reasons), reasons[0] if reasons else ""))
    return rows


def _accuracy(folder: Path, keys: Sequence[CellKey], against: tuple[Path, str, bool] | None) -> Figure:
    """The accuracy of some cells; `against`: a folder, an arm in it, and whether chance has a hand in either arm."""
    cells = _cells(folder, keys)
    arm = arm_result(cells, folder.name)
    pair = permutation_p = None
    if against is not None:
        base = _cells(against[0], [replace(key, arm=against[1]) for key in keys])
        pair = compared(cells, base, chance=against[2]) if base else None
        permutation_p = permutation(cells, base) if base else None
    return Figure(
        value=100 * arm.accuracy,
        stderr=None if arm.stderr is None else 100 * arm.stderr,
        p_value=pair.p_value if pair else None,
        permutation_p=permutation_p,
        paired=pair,
        each=tuple(100 * share for share in arm.accuracies),
        repeats=arm.repeats,
        rows=arm.test_rows,
        failures=arm.failures,
        readable=None if arm.readable_accuracy is None else 100 * arm.readable_accuracy,
    )


def _cells(folder: Path, keys: Sequence[CellKey]) -> list[Cell]:
    return [cell for key in keys if (cell := read_cell(folder, key))]


def _distance(folder: Path, keys: Sequence[CellKey]) -> Figure | None:
    repeats = [[item for item in read_closeness(folder, key) if item.group == "left"] for key in keys]
    items = [item for repeat in repeats for item in repeat]
    if not items:
        return None
    means = [summarise(repeat).distance for repeat in repeats if repeat]
    return Figure(summarise(items).distance, standard_error(means), repeats=len(means), rows=len(items))


def _paper(table: Table, line: Line, task: str, shots: int) -> PaperFigure | None:
    if table.measure == "distance":
        value = DISTANCE.get((task, shots))
        return None if value is None else PaperFigure(value)
    return ACCURACY[table.name].get((line.paper or "", shots), {}).get(task)


# Ranks: audits


def _audit_rows(request: Request, root: Path, table: Table, task: str, kind: Any) -> list[Row]:
    plan = Plan(request.trials, request.references, kind)
    experiment, folder = experiment_for(request, task), folder_of(request, root, task)
    arms = _audits(plan.folder(folder) / "audit.json")
    control = Line("control: verbatim", "verbatim", rated=False)
    figures = MEAN_RANK if table.measure == "rank" else FIRSTS
    rows = []
    for line in (*lines_of(request, table), control):
        audit = arms.get(str(line.arm))
        paper = figures.get((task, kind)) if line.paper and plan.references == REFERENCES else None
        shots = audit.shots if audit else _most_shots(experiment, line)
        figure = None if audit is None else _rank(table.measure, audit, tested=not stand_in(experiment))
        told = None if paper is None else PaperFigure(paper)
        rows.append(Row(task, kind, line, shots, figure, told, audit.failed if audit else 0))
    return rows


def _rank(measure: Measure, audit: ArmAudit, *, tested: bool) -> Figure:
    p_value = audit.p_value if tested and not audit.control else None
    value = audit.mean_rank if measure == "rank" else 100 * audit.firsts / audit.trials
    return Figure(value, None, p_value, repeats=audit.trials, rows=audit.references)


def _audits(file: Path) -> dict[str, ArmAudit]:
    return {arm.name: arm for arm in read_audit(file)[1]} if file.exists() else {}


def _most_shots(experiment: Experiment, line: Line) -> int:
    return max((max(arm.shots) for arm in experiment.resolved_arms() if arm.name == line.arm), default=0)


# Bold


def _with_best(rows: Sequence[Row]) -> list[Row]:
    """Mark the best of each group of two or more, ours and the paper's apart; what prints alike is equally good."""
    marked = []
    for row in rows:
        group = [other for other in rows if other.group == row.group and other.line.rated]
        ours = {other.line.label: round(other.ours.value, 1) for other in group if other.ours}
        paper = {other.line.paper: other.paper.value for other in group if other.paper}
        best = row.line.rated and len(ours) > 1 and ours.get(row.line.label) == max(ours.values())
        paper_best = row.line.rated and len(paper) > 1 and paper.get(row.line.paper) == max(paper.values())
        marked.append(replace(row, best=best, paper_best=paper_best))
    return marked
