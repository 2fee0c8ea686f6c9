"""Tables on privacy: distance from the private text, closeness of what left the silos, audits. Each is a kind of `tables`."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from results.lines import tasks_of
from results.text import RESULTS, markdown, p_value
from social_learning.privacy.paper import DISTANCE, FIRSTS, MEAN_RANK, REFERENCES, TRIALS


def apart(root: str) -> str:
    """Return the mean distance of what left the silos from the private text, with its standard error over repeats, beside the paper's
    Table 6; the nearest item; and the longest run of words that an item shares with its silo.
    """
    return markdown(_APART, [row for task in tasks_of(RESULTS / root, "table6") for row in _apart(root, task)])


def apart_most(*roots: str) -> str:
    """Return the same of the default recipe alone, at the most shots that each task was measured with."""
    rows = []
    for root in roots:
        for task in tasks_of(RESULTS / root, "table6"):
            found = _apart(root, task)
            rows += [row for row in found if row[1] == found[-1][1] and row[2] == "generated"]
    return markdown(_APART, rows)


_APART = ("task", "shots", "arm", "distance", "items", "nearest", "longest run", "paper")


def _apart(root: str, task: str) -> list[list[str]]:
    """The rows of one task, by shots: means of table6.json, without it those of the run; the rest of the run."""
    file = RESULTS / root / "table6.json"
    near = {
        (int(row["shots"]), row["name"]): row for row in _closeness(RESULTS / root / task) if row["group"] == "left"
    }
    means = {key: (f"{float(row['distance']):.2f}", row["items"]) for key, row in near.items()}
    if file.exists():
        means = {
            (row["shots"], row["line"]): (f"{row['value']:.2f} ({row['stderr']:.2f})", str(row["rows"]))
            for row in json.loads(file.read_text())["rows"]
            if row["task"] == task and row["value"] is not None
        }
    rows = []
    for (shots, name), told in sorted(means.items()):
        row, theirs = near.get((shots, name)), DISTANCE.get((task, shots))
        nearest = ("", "") if row is None else (f"{float(row['nearest']):.2f}", row["run"])
        rows.append([task, str(shots), name, *told, *nearest, "" if theirs is None else f"{theirs:.2f}"])
    return rows


def closeness(folder: str) -> str:
    """Return how close what left the silos is to them, beside the paper's Table 6."""
    return markdown(_NEAR, _near(folder, most=False))


def nearest(*folders: str) -> str:
    """Return how close what left the silos is to them, at the most shots alone, and without the control that copies."""
    return markdown(_NEAR, [row for folder in folders for row in _near(folder, most=True)])


_NEAR = ("task", "shots", "what", "items", "copies, %", "distance", "paper", "longest run")


def _near(folder: str, *, most: bool) -> list[list[str]]:
    task = json.loads((RESULTS / folder / "results.json").read_text())["arms"][0]["task"]
    rows = _closeness(RESULTS / folder)
    largest = max(int(row["shots"]) for row in rows)
    lines = []
    for row in rows:
        if most and (int(row["shots"]) < largest or row["group"] == "verbatim"):
            continue
        theirs = DISTANCE.get((task, int(row["shots"]))) if row["group"] == "left" else None
        told = "" if theirs is None else f"{theirs:.2f}"
        figures = (f"{100 * float(row['copies']):.1f}", f"{float(row['distance']):.2f}", told, row["run"])
        lines.append([task, row["shots"], row["group"], row["items"], *figures])
    return lines


def _closeness(folder: Path) -> list[dict[str, str]]:
    """The rows of all teachers together, if the run kept them; original examples are copies, as the verbatim control is."""
    if not (folder / "closeness.csv").exists():
        return []
    with (folder / "closeness.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["teacher"] == "all"]
    return [row for row in rows if row["name"].startswith("generated")]


def audits(*folders: str) -> str:
    """Return the audits of run folders, beside the paper's Tables 3 and 4, each with the mean rank of its control."""
    rows = []
    for folder in folders:
        for file in sorted((RESULTS / folder / "audits").glob("*/audit.json")):
            audit = json.loads(file.read_text())
            control = ", ".join(f"{arm['mean_rank']:.1f}" for arm in audit["arms"] if arm["control"])
            rows += [[*_audited(audit, arm), control] for arm in audit["arms"] if not arm["control"]]
    told = ("mean rank (95 %)", "paper", "rank 0", "paper", "p", "AUC", "shown")
    return markdown(("task", "canaries", "trials", *told, "control's mean rank"), rows)


def _audited(audit: dict[str, Any], arm: dict[str, Any]) -> list[str]:
    key, size = (audit["task"], audit["canaries"]), (audit["rows"], audit["references"], len(arm["ranks"]))
    theirs = arm["method"] == "generated" and key in MEAN_RANK and size == (None, REFERENCES, TRIALS)
    interval = " ({low:.0f} to {high:.0f})".format(**arm["interval"]) if arm["interval"] else ""
    return [
        *key,
        str(len(arm["ranks"])),
        f"{arm['mean_rank']:.1f}{interval}",
        str(MEAN_RANK[key]) if theirs else "",
        str(arm["firsts"]),
        str(FIRSTS[key]) if theirs else "",
        p_value(arm["p_value"]),
        f"{arm['membership']['auc']:.2f}",
        str(arm["shown"]),
    ]


KINDS: tuple[Callable[..., str], ...] = (apart, apart_most, closeness, nearest, audits)
