"""Lines: what a run or a reproduced table measured, line by line, each with its test.

A reproduce root holds tableN.json, and below it a run folder for each task. Where that has the
outcomes row by row (cells/*/cell.json), lines are computed from these, with the paired test. Where
it has not, means and standard errors are those of tableN.json, and the test is that of `legacy`. A
run folder alone has results.json instead of a table.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from results.legacy import Difference, Measured, compare
from social_learning.report.load import load_result
from social_learning.reproduce.compare import Figure, Row, view_of
from social_learning.reproduce.paper import ACCURACY
from social_learning.reproduce.plan import Request
from social_learning.reproduce.tables import TABLES
from social_learning.results import ArmResult
from social_learning.statistics import SIGNIFICANT, Paired, holm, permutation_p_value


@dataclass(frozen=True, slots=True)
class Line:
    """One line. Shares are in [0, 1].

    `unread` counts answers that could not be read, in all repeats. `against` names the line that it
    is compared with, None for none; `difference` is that to it. `p_holm` is p corrected for all lines
    of the table. `permutation` is the p of the paper's test over all graded answers, which takes
    them for independent. `paper` is the paper's accuracy.
    """

    task: str
    name: str
    shots: int
    measured: Measured
    unread: int = 0
    against: str | None = None
    paper: float | None = None
    difference: Difference | None = None
    p_holm: float | None = None
    permutation: float | None = None

    @property
    def star(self) -> str:
        """A star where the corrected p is below 0.05."""
        return "*" if self.p_holm is not None and self.p_holm < SIGNIFICANT else ""


def lines_of(root: Path, table: str, task: str) -> list[Line]:
    """Return the lines of one task in a table that a reproduce root holds."""
    if rows_kept(root / task):
        request = Request.from_table(_table(root, table)["request"])
        rows_anew = view_of(request, root, TABLES[table]).rows
        return [_paired_line(row, row.ours) for row in rows_anew if row.task == task and row.ours]
    rows = [row for row in _table(root, table)["rows"] if row["task"] == task and row["value"] is not None]
    against = {line.label: line.against for line in TABLES[table].lines}
    return with_tests(
        [
            Line(
                task=task,
                name=row["line"],
                shots=row["shots"],
                measured=Measured(row["value"] / 100, _share(row["stderr"]), row["repeats"], row["rows"]),
                unread=row["unparsed"],
                against=against[row["line"]],
                paper=_share(row["paper"]),
            )
            for row in rows
        ]
    )


def lines_of_run(folder: Path, against: Mapping[str, str] | None = None, table: str = "table1") -> list[Line]:
    """Return the lines of a run folder's results.json.

    `against` says which arm each arm is compared with, by default all others with the one that the run compares with; `table` is
    where the paper's figures come from.
    """
    if rows_kept(folder) and against is None:
        run = load_result(folder)
        return [_paired_arm(arm, run.compared_with) for arm in run.arms]
    result = json.loads((folder / "results.json").read_text())
    base = result["compared_with"]
    against = against or {arm["name"]: base for arm in result["arms"] if arm["name"] != base}
    return with_tests(
        [
            Line(
                task=arm["task"],
                name=arm["name"],
                shots=arm["shots"],
                measured=Measured(arm["accuracy"], arm["stderr"], arm["repeats"], arm["test_rows"]),
                unread=arm["unparsed"],
                against=against.get(arm["name"]),
                paper=_paper(table, arm),
            )
            for arm in result["arms"]
        ]
    )


def tasks_of(root: Path, table: str) -> list[str]:
    """Return the tasks of a table of a reproduce root; where it has no such table, those of its runs."""
    if (root / f"{table}.json").exists():
        return list(dict.fromkeys(row["task"] for row in _table(root, table)["rows"]))
    return [run.parent.name for run in sorted(root.glob("*/run.json"))]


def rows_kept(root: Path) -> bool:
    """Return whether the runs below a folder kept their outcomes row by row."""
    return any(root.glob("**/cells/*/cell.json"))


def with_tests(lines: Sequence[Line]) -> list[Line]:
    """Return the lines with their differences, and with p corrected for all of them."""
    pairs = [(line, _base(lines, line)) for line in lines]
    compared = [
        line
        if base is None
        else replace(
            line,
            difference=compare(line.measured, base.measured),
            permutation=permutation_p_value(_graded(line.measured), _graded(base.measured)),
        )
        for line, base in pairs
    ]
    corrected = holm([line.difference.p_value if line.difference else None for line in compared])
    return [replace(line, p_holm=p) for line, p in zip(compared, corrected, strict=True)]


def _paired_line(row: Row, ours: Figure) -> Line:
    """A line of a table whose cells are there."""
    return Line(
        task=row.task,
        name=row.line.label,
        shots=row.shots,
        measured=Measured(ours.value / 100, _share(ours.stderr), ours.repeats, ours.rows),
        unread=sum(ours.failures.values()),
        against=row.line.against,
        paper=_share(row.paper.value) if row.paper else None,
        difference=_difference(ours.paired),
        p_holm=ours.p_holm,
        permutation=ours.permutation_p,
    )


def _paired_arm(arm: ArmResult, base: str) -> Line:
    """An arm of a run whose cells are there."""
    return Line(
        task=arm.task,
        name=arm.name,
        shots=arm.shots,
        measured=Measured(arm.accuracy, arm.stderr, arm.repeats, arm.test_rows),
        unread=arm.failed,
        against=None if arm.name == base else base,
        difference=_difference(arm.paired),
        p_holm=arm.p_holm,
        permutation=arm.permutation_p,
    )


def _difference(pair: Paired | None) -> Difference | None:
    return None if pair is None else Difference(pair.difference, pair.low, pair.high, pair.p_value)


def _base(lines: Sequence[Line], line: Line) -> Line | None:
    """The line that a line is compared with: at the same number of shots, else the only one there is."""
    named = [other for other in lines if other.name == line.against]
    return next((other for other in named if other.shots == line.shots), named[0] if len(named) == 1 else None)


def _graded(measured: Measured) -> list[int]:
    """All answers, 1 for a right one: of them the permutation test needs the numbers alone."""
    answers = measured.repeats * measured.rows
    right = round(measured.accuracy * answers)
    return [1] * right + [0] * (answers - right)


def _table(root: Path, table: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((root / f"{table}.json").read_text())
    return found


def _share(percent: float | None) -> float | None:
    return None if percent is None else percent / 100


def _paper(table: str, arm: Mapping[str, Any]) -> float | None:
    labels = {line.arm: line.paper for line in TABLES[table].lines}
    figure = ACCURACY[table].get((labels.get(arm["name"]) or "", arm["shots"]), {}).get(arm["task"])
    return figure.value / 100 if figure else None
