"""Evidence: how close what left the silos is to them, as numbers. No text is in it."""

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from social_learning.errors import EvaluationError
from social_learning.privacy.detectors import KINDS
from social_learning.statistics import mean

Group = Literal["left", "verbatim", "near", "public"]
GROUPS: tuple[Group, ...] = get_args(Group)
"""What an item is: one that left the silo, or of a control: a private row word for word, such a row with one word, number or
name changed, a text that no silo holds.
"""


@dataclass(frozen=True, slots=True)
class Closeness:
    """One item against the silo of one teacher.

    `copy`: a verbatim copy as the guard `no_copies` defines it. `distance` in [0, 1]: from the private text that the
    item was written after (arXiv 2312.11441, appendix D), the least of both forms where that is label first. `run`:
    the longest run of words that some private text holds too. `names` to `links`: how many of the silo's such items are
    in it. `message` and `item` say where it is: the line of the cell's message log, and which item of that message, both from
    1; a control has the place of the item that it is measured beside. Both are 0 where that was not written down. `changed` in
    [0, 1]: the share of words changed from the nearest private text of the silo; None where an older version measured.
    """

    teacher: str
    group: Group
    copy: bool
    distance: float
    run: int
    names: int = 0
    numbers: int = 0
    emails: int = 0
    links: int = 0
    message: int = 0
    item: int = 0
    changed: float | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """Many items together.

    `copies`: the share of verbatim copies, in [0, 1]. `distance` is the mean and `nearest` the least distance, `run` the
    longest run of words. `names` to `links`: the shares of items that hold such an item of the silo. `changed`: the least
    share of words changed; None where an older version measured.
    """

    items: int
    copies: float
    distance: float
    nearest: float
    run: int
    names: float
    numbers: float
    emails: float
    links: float
    changed: float | None = None

    def to_table(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def summarise(items: Sequence[Closeness]) -> Summary:
    """Put items together; raises EvaluationError for none."""
    if not items:
        raise EvaluationError("nothing left a silo, so there is nothing to measure")
    shares = {kind: mean([getattr(item, kind) > 0 for item in items]) for kind in KINDS}
    known = [item.changed for item in items if item.changed is not None]
    return Summary(
        items=len(items),
        copies=mean([item.copy for item in items]),
        distance=mean([item.distance for item in items]),
        nearest=min(item.distance for item in items),
        run=max(item.run for item in items),
        **shares,
        changed=min(known) if len(known) == len(items) else None,
    )


def by_teacher(items: Sequence[Closeness], group: Group) -> dict[str, Summary]:
    """Return the summaries of one group: `all` together first, then each teacher in order; empty where it has none."""
    chosen = [item for item in items if item.group == group]
    names = sorted({item.teacher for item in chosen}, key=_natural)
    together = {"all": summarise(chosen)} if chosen else {}
    return {**together, **{name: summarise([item for item in chosen if item.teacher == name]) for name in names}}


def to_csv(items: Sequence[Closeness]) -> str:
    """Return items as CSV with a header; distances and shares have four digits."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [column.name for column in fields(Closeness)], lineterminator="\n")
    writer.writeheader()
    for item in items:
        changed = "" if item.changed is None else f"{item.changed:.4f}"
        row = {**asdict(item), "copy": int(item.copy), "distance": f"{item.distance:.4f}", "changed": changed}
        writer.writerow(row)
    return text.getvalue()


def from_csv(text: str) -> list[Closeness]:
    """Read what `to_csv` made, or an older version's without `changed` and without near copies; raises ValueError, KeyError or
    TypeError for anything else.
    """
    return [_item(row) for row in csv.DictReader(io.StringIO(text))]


def _natural(name: str) -> list[tuple[int, str]]:
    """Sorts `teacher-10` behind `teacher-9`."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", name)]


def _item(row: dict[str, str]) -> Closeness:
    group: Group = GROUPS[GROUPS.index(row["group"])]  # an unknown group raises ValueError
    counts = {kind: int(row[kind]) for kind in KINDS}
    counts |= {name: int(row.get(name) or 0) for name in ("message", "item")}  # older files have no places
    changed = float(row["changed"]) if row.get("changed") else None
    return Closeness(
        row["teacher"], group, row["copy"] == "1", float(row["distance"]), int(row["run"]), **counts, changed=changed
    )
