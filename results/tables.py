"""Puts the measured results into the docs: what stands between `<!-- results/KIND ARGUMENT... -->` and `<!-- end -->` in README.md,
docs/results.md and each README.md here is made from the files that runs wrote.

    .venv/bin/python -m results.tables

Kinds, with paths from here:

    compared ROOT TABLE TASK    every line of a table of a reproduce root, with all that is known of its difference
    short ROOT TABLE TASK       the same in five columns
    arms FOLDER                 the arms of a run folder, compared as the run compares them
    summary TABLE ROOT...       one row for each task and number of shots
    methods ROOT...             which test the tables of each root have
    facts FOLDER                what made a folder: commits, versions, time, memory
    apart ROOT                  how far from the private text what left the silos is; farthest shots alone: apart_most ROOT...
    closeness FOLDER            how close what left the silos is to them, by shots; nearest FOLDER... the most shots alone
    audits FOLDER...            audits, beside the paper's Tables 3 and 4
    repeats TASK..., orders TASK..., gaps    what development/ holds
    simulated                   how often each test finds a difference in simulated answers (benchmarks/results/paired.json)
"""

import json
import re
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from results import diary, privacy
from results.legacy import Difference
from results.lines import Line, lines_of, lines_of_run, rows_kept, tasks_of
from results.text import RESULTS, markdown, p_value, points

ROOT = RESULTS.parent
PAGES = ("README.md", "docs/results.md", "docs/statistics.md")
MARKED = re.compile(r"(<!-- results/(\w+)((?: [^\s>]+)*) -->\n).*?(<!-- end -->)", re.DOTALL)


def pages() -> list[Path]:
    """Return the pages that tables are put into."""
    return [*(ROOT / page for page in PAGES), *sorted(RESULTS.rglob("README.md"))]


def filled(page: str) -> str:
    """Return a page with its tables as the results say."""
    return MARKED.sub(lambda match: match[1] + KINDS[match[2]](*match[3].split()) + match[4], page)


# Accuracy


def compared(root: str, table: str, task: str) -> str:
    """Return all lines of one task in a table."""
    return _compared(_lines(root, table, task))


def arms(folder: str) -> str:
    """Return the arms of a run folder."""
    return _compared(lines_of_run(RESULTS / folder))


def short(root: str, table: str, task: str) -> str:
    """Return all lines of one task in a table, in five columns."""
    lines = [
        (
            line.name,
            str(line.shots or ""),
            _accuracy(line),
            _difference(line.difference),
            p_value(line.p_holm) + line.star,
        )
        for line in _lines(root, table, task)
    ]
    return markdown(("arm", "shots", "accuracy, %", "difference (95 %)", "p"), lines)


def summary(table: str, *roots: str) -> str:
    """Return one row for each task and number of shots: the line compared with, and beside it those compared.

    Where lines have no shots, what is compared with nothing stands first.
    """
    groups = [
        (task, shots, {line.name: line for line in found})
        for root in roots
        for task in tasks_of(RESULTS / root, table)
        for shots, found in groupby(_lines(root, table, task), key=lambda line: line.shots)
    ]
    with_shots = any(shots for _, shots, _ in groups)
    groups = [group for group in groups if bool(group[1]) == with_shots]
    lines = [line for _, _, found in groups for line in found.values()]
    names = list(dict.fromkeys(line.name for line in lines if line.difference))
    base = next(line.against or "" for line in lines if line.difference)
    first = [] if with_shots else list(dict.fromkeys(line.name for line in lines if line.name not in (*names, base)))
    rows = []
    for task, shots, found in groups:
        row = [task, *([str(shots)] if with_shots else []), *(_accuracy(found.get(name)) for name in (*first, base))]
        for name in names:
            line = found.get(name)
            row += [_accuracy(line), _difference(line.difference) + line.star if line else ""]
        rows.append(row)
    told = [part for name in names for part in (name, "difference (95 %)")]
    return markdown(["task", *(["shots"] if with_shots else []), *first, base, *told], rows)


def methods(*roots: str) -> str:
    """Return which test the tables of each root have, by what was kept of its rows."""
    told = {True: "Paired, since outcomes of every row were kept", False: "Over repeats, since these were not kept"}
    groups: dict[bool, list[str]] = {True: [], False: []}
    for root in roots:
        groups[rows_kept(RESULTS / root)].append(f"[{root.split('/', 1)[-1]}](../results/{root}/README.md)")
    return "".join(f"- {told[kept]}: {', '.join(links)}.\n" for kept, links in groups.items() if links)


def _compared(lines: Sequence[Line]) -> str:
    rows = [
        (
            line.name,
            str(line.shots or ""),
            _accuracy(line),
            _difference(line.difference),
            p_value(line.p_holm) + line.star,
            p_value(line.permutation),
            "" if line.paper is None else f"{100 * line.paper:.1f}",
            f"{line.measured.repeats} × {line.measured.rows}",
        )
        for line in lines
    ]
    head = (
        "arm",
        "shots",
        "accuracy, %",
        "difference (95 %)",
        "p",
        "p, permutation",
        "paper",
        "repeats × rows",
    )
    return markdown(head, rows)


def _lines(root: str, table: str, task: str) -> list[Line]:
    """The lines of a table; where the root has no tables, those of its run, generated lines against original ones."""
    if (RESULTS / root / f"{table}.json").exists():
        return lines_of(RESULTS / root, table, task)
    return lines_of_run(RESULTS / root / task, {"generated": "original", "generated-paper": "original"})


def _accuracy(line: Line | None) -> str:
    if line is None:
        return ""
    one = line.measured
    error = "" if one.stderr is None else f" ({100 * one.stderr:.1f})"
    return f"{100 * one.accuracy:.1f}{error}" + (f", {line.unread} unread" if line.unread else "")


def _difference(found: Difference | None) -> str:
    if found is None:
        return ""
    told = points(found.difference)
    return told if found.low is None or found.high is None else f"{told} ({points(found.low)} to {points(found.high)})"


# Where results come from


def facts(folder: str) -> str:
    """Return what made a folder: of each run and each table the commit and what it took, and the versions."""
    lines = []
    for file in sorted((RESULTS / folder).rglob("run.json")):
        run = json.loads(file.read_text())
        name = str(file.relative_to(RESULTS / folder))
        lines.append(f"- `{name}`: {_made_by(run['versions'])}{_took(run.get('took'))}")
    for file in sorted((RESULTS / folder).glob("table*.json")):
        table = json.loads(file.read_text())
        versions = table.get("versions") or table["made"]["versions"]
        lines.append(f"- `{file.name}`: {_commit(versions)}{_took(table['took'])} for all tables of this folder")
    for file in sorted((RESULTS / folder).rglob("audit.json")):
        audit = json.loads(file.read_text())
        lines.append(f"- `{file.relative_to(RESULTS / folder)}`: written by commit `{audit['commit'][:7]}`")
    if [*(RESULTS / folder).rglob("results.json"), *(RESULTS / folder).glob("table*.json")]:
        lines.append(f"- test of differences: {_TESTS[rows_kept(RESULTS / folder)]}")
    return "\n".join(lines) + "\n"


_TESTS = {
    True: "paired, by row and repeat (cells/)",
    False: "over repeats (Welch's t-test, or Student's where one side was measured once): outcomes row by row were not kept",
}


def _made_by(versions: dict[str, str]) -> str:
    packages = ", ".join(f"{name} {versions[name]}" for name in ("python", "torch", "transformers") if name in versions)
    return f"{_commit(versions)}, {packages}"


def _commit(versions: dict[str, str]) -> str:
    return f"commit `{versions['commit'][:7]}`" if "commit" in versions else "commit not written down"


def _took(took: dict[str, Any] | None) -> str:
    if not took or not took["commands"]:
        return ""
    peak = f", at most {took['peak_memory'] / 2**30:.1f} GiB" if took["peak_memory"] else ""
    return f"; {took['seconds']:,.0f} s in {took['commands']} command{'s' if took['commands'] > 1 else ''}{peak}"


def simulated() -> str:
    """Return how often each test finds a difference at 5 %, in answers that were simulated; docs/statistics.md says how."""
    found = json.loads((ROOT / "benchmarks" / "results" / "paired.json").read_text())["settings"]
    tests = list(found[0]["significant"])
    names = ("lessons", "rows_unlike", "gain", "rows", "repeats")
    head = ("lessons", "rows unlike", "gain", "rows", "repeats", *(f"{test}, %" for test in tests))
    return markdown(
        head,
        [
            (*(f"{line[name]:g}" for name in names), *(f"{100 * line['significant'][test]:.1f}" for test in tests))
            for line in found
        ],
    )


_KINDS: tuple[Callable[..., str], ...] = (compared, short, arms, summary, methods, facts, simulated)
KINDS = {kind.__name__: kind for kind in (*_KINDS, *privacy.KINDS, *diary.KINDS)}


def main() -> None:
    """Rewrite the pages."""
    for page in pages():
        page.write_text(filled(page.read_text()))


if __name__ == "__main__":
    main()
