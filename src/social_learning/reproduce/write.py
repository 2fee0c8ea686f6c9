"""Writers: a table as CSV and JSON, one record per row, and as Markdown to read."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from social_learning.errors import RunFolderError
from social_learning.evaluation import FAILURES
from social_learning.files import read_json, write_file
from social_learning.provenance import Stamp, Took
from social_learning.reproduce import words
from social_learning.reproduce.compare import Figure, Row, View
from social_learning.reproduce.made import runs_of
from social_learning.reproduce.plan import Request
from social_learning.reproduce.tables import Table

TESTED = ("points (95 %)", "p", "p, permutation")
"""Headings of how a line compares with the one that it is tested against."""


def write_table(root: Path, view: View, took: Took, made: Stamp) -> None:
    """Write `tableN.csv`, `tableN.json` and `tableN.md` below `root`, each whole or not at all; `made` says what put it together."""
    name, records = view.table.name, [record(row) for row in view.rows]
    table = {
        "table": name,
        "title": view.table.title,
        "measure": view.table.measure,
        **view.facts,
        "request": asdict(view.request),
        "made": made.to_table(),
        "runs": runs_of(root, view),
        "took": took.to_table(),
        "rows": records,
    }
    write_file(root / f"{name}.json", json.dumps(table, indent=2) + "\n")
    text = io.StringIO()
    writer = csv.DictWriter(text, list(records[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({**line, "each": " ".join(map(str, line["each"]))} for line in records)
    write_file(root / f"{name}.csv", text.getvalue())
    write_file(root / f"{name}.md", markdown(view, took))


def write_took(root: Path, took: Took) -> None:
    """Write down what all commands with this root folder took so far."""
    write_file(root / "took.json", json.dumps(took.to_table()) + "\n")


def read_took(root: Path) -> Took:
    """Return what `write_took` wrote; nothing where it wrote nothing yet."""
    file = root / "took.json"
    try:
        return Took(**read_json(file)) if file.exists() else Took()
    except TypeError:
        raise RunFolderError(f"{file} is damaged: delete it, and run the same command again") from None


def read_request(root: Path, table: Table) -> Request | None:
    """Return the request that a table below `root` was written for; None where there is no such table."""
    file = root / f"{table.name}.json"
    if not file.exists():
        return None
    try:
        return Request.from_table(read_json(file)["request"])
    except (KeyError, TypeError, AttributeError):
        raise RunFolderError(f"{file} is damaged: delete it, and run the same command again") from None


def record(row: Row) -> dict[str, Any]:
    """Return a row as plain values; what is not there is None.

    `value` and `stderr` are percentages, distances or ranks, as the table's `measure` says; `paper` alike. `each` has the accuracy of
    each repeat, in percent.
    """
    ours, paper = row.ours, row.paper
    return {
        "task": row.task,
        "group": row.group,
        "line": row.line.label,
        "recipe": row.line.recipe,
        "shots": row.shots,
        "value": ours.value if ours else None,
        "stderr": ours.stderr if ours else None,
        "each": list(ours.each) if ours else [],
        "readable": ours.readable if ours else None,
        **_compared(ours),
        "significant": ours.significant if ours else None,
        "best": row.best,
        "repeats": ours.repeats if ours else 0,
        "rows": ours.rows if ours else 0,
        **{kind: ours.failures.get(kind, 0) if ours else 0 for kind in FAILURES},
        "failed": row.failed,
        "paper": paper.value if paper else None,
        "paper_stderr": paper.stderr if paper else None,
        "paper_significant": paper.significant if paper else None,
        "paper_best": row.paper_best,
    }


def _compared(ours: Figure | None) -> dict[str, float | None]:
    """How a figure compares with the line that it is tested against; the difference and its interval are in points."""
    pair = ours.paired if ours else None
    points = {
        name: None if value is None else 100 * value
        for name, value in (
            ("difference", pair.difference if pair else None),
            ("low", pair.low if pair else None),
            ("high", pair.high if pair else None),
        )
    }
    tests = {name: getattr(ours, name) if ours else None for name in ("p_value", "p_holm", "permutation_p")}
    return {**points, **tests}


def markdown(view: View, took: Took) -> str:
    """Return a table as Markdown: one table per task, and what all commands with its root folder took."""
    measure = view.table.measure
    lines = [f"# {words.title(view)}", "", words.caption(view)]
    for task, rows in view.tasks.items():
        names = (words.heading(measure), "line", "ours", *TESTED, "the paper's", words.BASES[measure])
        lines += ["", f"## {task}", "", _cells(names), _cells(["---"] * len(names))]
        for row in rows:
            ours, paper = words.ours(measure, row), words.paper(measure, row.paper)
            tests = (words.difference(row.ours), words.p_value(row.ours), words.permutation(row.ours))
            figures = (_figure(ours, row.best), *tests, _figure(paper, row.paper_best))
            lines.append(
                _cells((words.group(measure, row), row.line.label, *figures, words.tested_on(measure, row.ours)))
            )
    remarks = [*words.remarks(view), *words.took(took)]
    lines += ["", *(f"- {remark}" for remark in remarks)] if remarks else []
    return "\n".join(lines) + "\n"


def _cells(texts: Sequence[str]) -> str:
    return f"| {' | '.join(texts)} |"


def _figure(text: str, best: bool) -> str:
    """A figure whose star is no mark-up; the best one bold."""
    escaped = text.replace("*", r"\*")
    return f"**{escaped}**" if best else escaped
