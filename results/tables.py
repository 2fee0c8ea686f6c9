"""Puts the measured results into the docs: between `<!-- results/NAME -->` and `<!-- end -->`, the table of results/NAME;
`audits/NAME` is the table of its audits, `closeness/NAME` of how close what left the silos is to them, `reproduced/TABLE/TASK`
the table that `reproduce` wrote for one task, whose results are in results/reproduced/TASK.

    .venv/bin/python results/tables.py

Each folder here holds the experiment file, with the command that runs it, and what the run wrote: results.json, results.csv and
run.json (settings, versions, data, models), closeness.csv, and for each audit its audit.json and trials.csv, with their run.json.
"""

import csv
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from social_learning.privacy.paper import DISTANCE, FIRSTS, MEAN_RANK, REFERENCES, TRIALS

ROOT = Path(__file__).resolve().parent.parent
PAGES = ("README.md", "docs/results.md")
MARKED = re.compile(r"(<!-- (results|audits|closeness|reproduced)/([\w/-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def accuracy(folder: Path) -> str:
    """Return the Markdown table of one run."""
    result = json.loads((folder / "results.json").read_text())
    lines = []
    for arm in result["arms"]:
        error = "" if arm["stderr"] is None else f" ({100 * arm['stderr']:.1f})"
        p = arm["p_value"]
        told = "" if p is None else ("<0.001" if p < 0.001 else f"{p:.3f}") + ("*" if p < 0.05 else "")
        unparsed = f", {arm['unparsed']} unparsed" if arm["unparsed"] else ""
        cells = (
            arm["name"],
            str(arm["shots"] or ""),
            f"{100 * arm['accuracy']:.1f}{error}{unparsed}",
            told,
            f"{arm['repeats']} × {arm['test_rows']}",
        )
        lines.append(cells)
    return markdown(("arm", "shots", "accuracy, %", "p", "repeats × rows"), lines)


def audits(folder: Path) -> str:
    """Return the Markdown table of a run's audits, beside the paper's Tables 3 and 4."""
    lines = []
    for file in sorted((folder / "audits").glob("*/audit.json")):
        audit = json.loads(file.read_text())
        key = audit["task"], audit["canaries"]
        for arm in audit["arms"]:
            theirs = (
                arm["method"] == "generated"
                and key in MEAN_RANK
                and (audit["rows"], audit["references"], len(arm["ranks"])) == (None, REFERENCES, TRIALS)
            )
            low_high = "{low:.0f} to {high:.0f}".format(**arm["interval"]) if arm["interval"] else ""
            lines.append(
                (
                    audit["canaries"] + (f", {audit['rows']} rows" if audit["rows"] else ""),
                    arm["name"],
                    str(len(arm["ranks"])),
                    f"{arm['mean_rank']:.1f} ({low_high})",
                    str(MEAN_RANK[key]) if theirs else "",
                    str(arm["firsts"]),
                    str(FIRSTS[key]) if theirs else "",
                    "<0.001" if arm["p_value"] < 0.001 else f"{arm['p_value']:.3f}",
                    f"{arm['interpolated']:.1f}",
                    f"{arm['membership']['auc']:.2f}",
                    str(arm["shown"]),
                )
            )
    return markdown(
        (
            "canaries",
            "arm",
            "trials",
            "mean rank (95 %)",
            "paper",
            "rank 0",
            "paper",
            "p",
            "exposure",
            "AUC",
            "shown",
        ),
        lines,
    )


def closeness(folder: Path) -> str:
    """Return the Markdown table of how close what left the silos is to them, beside the paper's Table 6."""
    task = json.loads((folder / "results.json").read_text())["arms"][0]["task"]
    with (folder / "closeness.csv").open(newline="") as file:
        # Original examples are copies: the verbatim control already shows what those look like.
        rows = [row for row in csv.DictReader(file) if row["teacher"] == "all" and row["name"] != "original"]
    lines = []
    for row in rows:
        theirs = DISTANCE.get((task, int(row["shots"]))) if row["group"] == "left" else None
        lines.append(
            (
                row["name"],
                row["shots"],
                row["group"],
                row["items"],
                f"{100 * float(row['copies']):.1f}",
                f"{float(row['distance']):.2f}",
                "" if theirs is None else f"{theirs:.2f}",
                row["run"],
            )
        )
    return markdown(("arm", "shots", "what", "items", "copies, %", "distance", "paper", "longest run"), lines)


def reproduced(folder: Path) -> str:
    """Return the Markdown table of one task in a reproduced table, beside the paper's figures."""
    table = json.loads((ROOT / "results" / "reproduced" / folder.name / f"{folder.parent.name}.json").read_text())
    distances = table["measure"] == "distance"
    places, name, last = (2, "distance", "items") if distances else (1, "accuracy, %", "repeats × rows")
    lines = []
    for row in table["rows"]:
        if row["task"] != folder.name or row["value"] is None:
            continue
        p = row["p_value"]
        unparsed = f", {row['unparsed']} unparsed" if row["unparsed"] else ""
        lines.append(
            (
                row["line"],
                str(row["shots"] or ""),
                f"{row['value']:.{places}f}"
                + ("" if row["stderr"] is None else f" ({row['stderr']:.{places}f})")
                + unparsed,
                "" if p is None else ("<0.001" if p < 0.001 else f"{p:.3f}") + ("*" if p < 0.05 else ""),
                "" if row["paper"] is None else f"{row['paper']:.{places}f}",
                str(row["rows"]) if distances else f"{row['repeats']} × {row['rows']}",
            )
        )
    return markdown(("arm", "shots", name, "p", "paper", last), lines)


def markdown(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    return "".join("| " + " | ".join(cells) + " |\n" for cells in (head, ["---"] * len(head), *lines))


TABLES: dict[str, Callable[[Path], str]] = {
    "results": accuracy,
    "audits": audits,
    "closeness": closeness,
    "reproduced": reproduced,
}


def filled(page: str) -> str:
    """Return a page with its tables as the results say."""
    return MARKED.sub(lambda match: match[1] + TABLES[match[2]](ROOT / "results" / match[3]) + match[4], page)


def main() -> None:
    """Rewrite the pages."""
    for page in PAGES:
        path = ROOT / page
        path.write_text(filled(path.read_text()))


if __name__ == "__main__":
    main()
