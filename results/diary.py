"""Tables of what was tried on development rows: the files of development/. Each is a kind of `tables`."""

import csv
from collections.abc import Callable
from itertools import groupby

from results.text import RESULTS, markdown

FOLDER = RESULTS / "development"
ORDER = "order: "


def repeats(*tasks: str) -> str:
    """Return each variant's accuracy by repeat, one column for each task."""
    rows = [row for row in _rows("development.csv") if row["task"] in tasks and not row["variant"].startswith(ORDER)]
    return _by_variant(rows, tasks)


def orders(*tasks: str) -> str:
    """Return the same lessons in other orders, by repeat, one column for each task."""
    rows = [row for row in _rows("development.csv") if row["task"] in tasks and row["variant"].startswith(ORDER)]
    return _by_variant(rows, tasks)


def gaps() -> str:
    """Return what gaps in several places are worth: means over lessons, by split, in percent."""
    lines = []
    for (split, name), group in groupby(_rows("gaps.csv"), key=lambda row: (row["split"], row["gaps"])):
        found = list(group)
        means = [100 * sum(float(row[key]) for row in found) / len(found) for key in ("probability", "right")]
        lines.append((name, split, found[0]["pool"], str(len(found)), *(f"{mean:.1f}" for mean in means)))
    return markdown(("gaps", "split", "pool", "lessons", "probability, %", "right, %"), lines)


def _by_variant(rows: list[dict[str, str]], tasks: tuple[str, ...]) -> str:
    lines = []
    for variant in dict.fromkeys(row["variant"] for row in rows):
        cells = []
        for task in tasks:
            found = [row["accuracy"] for row in rows if (row["task"], row["variant"]) == (task, variant)]
            cells.append(", ".join(found))
        lines.append((variant.removeprefix(ORDER), *cells))
    return markdown(("variant", *tasks), lines)


def _rows(name: str) -> list[dict[str, str]]:
    with (FOLDER / name).open(newline="") as file:
        return list(csv.DictReader(file))


KINDS: tuple[Callable[..., str], ...] = (repeats, orders, gaps)
