"""Evidence as the reports show it: closeness of what left, and audits with canaries. Read from the run folder; computes
nothing but the places of bars.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from social_learning.config import Arm, Experiment, cells_of
from social_learning.errors import RunFolderError
from social_learning.files import read_json
from social_learning.privacy.evidence import Closeness, Summary
from social_learning.privacy.paper import DISTANCE, FIRSTS, MEAN_RANK, REFERENCES, TRIALS
from social_learning.privacy.trials import ArmAudit
from social_learning.records import read_audit, read_closeness
from social_learning.report import numbers
from social_learning.report.verdict import audit_verdict
from social_learning.results import Result, by_arm

BINS = 20
HEIGHT = 90
"""The height of a histogram, in pixels."""


@dataclass(frozen=True, slots=True)
class ClosenessRow:
    """One line of the closeness table: an arm or one of its controls, all teachers together or one of them."""

    name: str
    shots: int
    group: str
    teacher: str
    summary: Summary
    paper: float | None

    @property
    def label(self) -> str:
        """The arm and its shots, or the control."""
        return numbers.label(self.name, self.shots)


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of a histogram: place and width in percent, height and top in pixels, and what it says in words."""

    left: float
    width: float
    top: float
    height: float
    told: str


@dataclass(frozen=True, slots=True)
class Histogram:
    """Bars over an axis. `line` is the height of the uniform line in pixels from the top; `marks` are a control's bins."""

    label: str
    bars: tuple[Bar, ...]
    marks: tuple[Bar, ...]
    line: float | None
    ticks: tuple[tuple[float, str], ...]
    description: str
    height: int = HEIGHT


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One arm of an audit, with its guards, its accuracy where a run measured it, and the paper's figures."""

    arm: ArmAudit
    guards: str
    accuracy: str
    paper_rank: int | None
    paper_firsts: int | None


@dataclass(frozen=True, slots=True)
class AuditView:
    """One audit: a line per arm, in words and as histograms. `chance` is the mean rank without a leak."""

    name: str
    canaries: str
    references: int
    rows_per_silo: int | None
    rows: tuple[AuditRow, ...]
    verdict: tuple[str, ...]
    histograms: tuple[Histogram, ...]

    @property
    def chance(self) -> float:
        """The mean rank without a leak."""
        return self.references / 2

    @property
    def has_paper(self) -> bool:
        """Whether the paper has figures for this task and kind of canary."""
        return any(row.paper_rank is not None for row in self.rows)


@dataclass(frozen=True, slots=True)
class PrivacyView:
    """The privacy page: closeness of what left, all teachers together and each one, distances, and audits."""

    closeness: tuple[ClosenessRow, ...]
    distances: tuple[Histogram, ...]
    audits: tuple[AuditView, ...]

    @property
    def together(self) -> list[ClosenessRow]:
        """The lines for all teachers together."""
        return [row for row in self.closeness if row.teacher == "all"]

    @property
    def by_teacher(self) -> dict[str, list[ClosenessRow]]:
        """The lines of each teacher by arm: what left it, then its controls."""
        arms: dict[str, dict[str, list[ClosenessRow]]] = {}
        for row in self.closeness:
            if row.teacher != "all":
                arms.setdefault(row.label, {}).setdefault(row.teacher, []).append(row)
        return {label: [row for rows in teachers.values() for row in rows] for label, teachers in arms.items()}

    @property
    def has_paper(self) -> bool:
        """Whether the paper has distances for any line."""
        return any(row.paper is not None for row in self.closeness)


def privacy_of(folder: Path, experiment: Experiment, task: str, result: Result | None) -> PrivacyView:
    """Collect the privacy evidence of a run folder; `result` is None where no run is finished in it."""
    arms = {arm.name: arm for arm in experiment.resolved_arms()}
    return PrivacyView(
        closeness=tuple(closeness_rows(folder, arms, task)) if result else (),
        distances=tuple(distances(folder, experiment)) if result else (),
        audits=tuple(audits(folder, arms, task, result)),
    )


def closeness_rows(folder: Path, arms: Mapping[str, Arm], task: str) -> list[ClosenessRow]:
    """Return the run's closeness table; empty where the run measured none. `arms` are the experiment's, by name.

    The paper's figures stand with generated examples alone. Raises RunFolderError where the file is damaged.
    """
    file = folder / "closeness.json"
    if not file.is_file():
        return []
    try:
        return [_closeness_row(row, arms.get(row["name"]), task) for row in read_json(file)]
    except (KeyError, TypeError):
        raise RunFolderError(f"{file} is damaged: run the experiment again to have it written anew") from None


def _closeness_row(row: Mapping[str, Any], arm: Arm | None, task: str) -> ClosenessRow:
    names = Summary.__dataclass_fields__
    comparable = arm is not None and arm.method == "generated" and row["group"] == "left" and row["teacher"] == "all"
    paper = DISTANCE.get((task, row["shots"])) if comparable else None
    summary = Summary(**{name: row[name] for name in names})
    return ClosenessRow(row["name"], row["shots"], row["group"], row["teacher"], summary, paper)


def distances(folder: Path, experiment: Experiment) -> list[Histogram]:
    """Return the distribution of distances of each arm that let something out, beside its public control."""
    found = []
    for (name, shots), keys in by_arm(key for _, key in cells_of(experiment)).items():
        items = [item for key in keys for item in read_closeness(folder, key)]
        if items:
            found.append(_distances(numbers.label(name, shots), items))
    return found


def _distances(label: str, items: Sequence[Closeness]) -> Histogram:
    left, public = (_counts([i.distance for i in items if i.group == group], 1.0) for group in ("left", "public"))
    top = max((*left, *public))
    ticks = tuple((100 * place, f"{place:g}") for place in (0, 0.25, 0.5, 0.75, 1))
    told = "; ".join(f"{n / BINS:.2f} to {(n + 1) / BINS:.2f}: {share:.0%}" for n, share in enumerate(left) if share)
    return Histogram(label, _bars(left, top, "of what left"), _bars(public, top, "of public texts"), None, ticks, told)


def audits(folder: Path, arms: Mapping[str, Arm], task: str, result: Result | None) -> list[AuditView]:
    """Return the audits of a run folder, by name. Raises RunFolderError where one is damaged."""
    return [_audit(file, arms, task, result) for file in sorted(folder.glob("audits/*/audit.json"))]


def _audit(file: Path, arms: Mapping[str, Arm], task: str, result: Result | None) -> AuditView:
    table, found = read_audit(file)
    kind, references, rows = table["canaries"], table["references"], table["rows"]
    lines = [_audit_row(arm, arms.get(arm.name), (task, kind), rows, result) for arm in found]
    told = tuple(audit_verdict(arm, kind) for arm in found)
    return AuditView(file.parent.name, kind, references, rows, tuple(lines), told, tuple(map(_ranks, found)))


def _audit_row(
    audit: ArmAudit, arm: Arm | None, key: tuple[str, str], rows: int | None, result: Result | None
) -> AuditRow:
    comparable = audit.method == "generated" and audit.references == REFERENCES and rows is None
    measured = [a for a in result.arms if a.name == audit.name and a.shots == audit.shots] if result else []
    return AuditRow(
        arm=audit,
        guards=guards_of(arm) if arm and not audit.control else "none: private rows word for word",
        accuracy=numbers.accuracy(measured[0]) if measured else "",
        paper_rank=MEAN_RANK.get(key) if comparable else None,
        paper_firsts=FIRSTS.get(key) if comparable and audit.trials == TRIALS else None,
    )


def guards_of(arm: Arm) -> str:
    """Name the guards of an arm that privacy rests on."""
    teachers = arm.teachers
    on = [name for name in ("no_copies", "no_shared_numbers", "no_shared_names") if getattr(teachers, name)]
    if teachers.min_distance:
        on.append(f"min_distance {teachers.min_distance:g}")
    return ", ".join(on) or "none"


def _ranks(arm: ArmAudit) -> Histogram:
    shares = _counts(arm.ranks, arm.references + 1)
    top = max((*shares, 2 / BINS))
    ticks = tuple((100 * place, f"{round(place * arm.references):,}") for place in (0, 0.25, 0.5, 0.75, 1))
    told = "; ".join(f"bin {n + 1} of {BINS}: {share:.0%}" for n, share in enumerate(shares) if share)
    label = numbers.label(arm.name, arm.shots) + (" (control)" if arm.control else "")
    return Histogram(label, _bars(shares, top, "of trials"), (), HEIGHT * (1 - 1 / BINS / top), ticks, told)


def _counts(values: Sequence[float], end: float) -> list[float]:
    """Shares of values in BINS equal bins from 0 to `end`."""
    counts = [0] * BINS
    for value in values:
        counts[min(BINS - 1, int(BINS * value / end))] += 1
    return [count / max(1, len(values)) for count in counts]


def _bars(shares: Sequence[float], top: float, what: str) -> tuple[Bar, ...]:
    width = 100 / len(shares)
    return tuple(
        Bar(width * number, width, HEIGHT * (1 - share / top), HEIGHT * share / top, f"{share:.1%} {what}")
        for number, share in enumerate(shares)
        if share
    )
