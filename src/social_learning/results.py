"""Results: what a run measured, cell by cell and arm by arm. Plain values; they hold no private text."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from social_learning.evaluation import FAILURES, Evaluation, Outcome
from social_learning.models.base import Usage
from social_learning.privacy.evidence import GROUPS, Closeness, by_teacher
from social_learning.statistics import SIGNIFICANT, Paired, holm, mean, paired, permutation_p_value, standard_error

_CODES: dict[Outcome, str] = {
    "correct": "c",
    "wrong": "w",
    "unparsed": "u",
    "refused": "r",
    "missing": "m",
    "over_budget": "b",
}
_OUTCOMES = {code: outcome for outcome, code in _CODES.items()}


@dataclass(frozen=True, slots=True)
class CellKey:
    """One cell of an experiment: an arm at a number of shots (0 where it has no shots), in one repeat."""

    arm: str
    shots: int
    repeat: int

    @property
    def name(self) -> str:
        """The cell's folder name, such as `generated-n16-r2`."""
        return f"{self.arm}-n{self.shots}-r{self.repeat}" if self.shots else f"{self.arm}-r{self.repeat}"


@dataclass(frozen=True, slots=True)
class Cell:
    """A finished cell: how each test row came out, what it took, in model calls and tokens and seconds of wall time."""

    key: CellKey
    evaluation: Evaluation
    teaching: Usage
    answering: Usage
    teaching_seconds: float
    answering_seconds: float

    def to_table(self) -> dict[str, Any]:
        """Return the cell as plain values for JSON; outcomes are one letter per row: c(orrect), w(rong), u(nparsed),
        r(efused), m(issing), over b(udget).
        """
        table = asdict(self)
        table["outcomes"] = "".join(_CODES[outcome] for outcome in self.evaluation.outcomes)
        del table["evaluation"]
        return table

    @classmethod
    def from_table(cls, table: dict[str, Any]) -> "Cell":
        """Read what `to_table` made."""
        return cls(
            key=CellKey(**table["key"]),
            evaluation=Evaluation(tuple(_OUTCOMES[code] for code in table["outcomes"])),
            teaching=Usage(**table["teaching"]),
            answering=Usage(**table["answering"]),
            teaching_seconds=table["teaching_seconds"],
            answering_seconds=table["answering_seconds"],
        )


@dataclass(frozen=True, slots=True)
class ArmResult:
    """One arm at one number of shots, over its repeats.

    `accuracy` is the mean over repeats, a share in [0, 1], over all test rows: rows without an answer that could be read count as
    not correct, and `failures` says how many there were of each kind, in all repeats together. `readable_accuracy` is over the
    answers that could be read; None where there is none. `stderr` is the standard error over repeats, None for a single one;
    `accuracies` are those of each repeat.

    `paired` is the difference to the arm compared with, repeat by repeat and row by row; None for that arm itself, where no repeat
    is common to both, and for stand-ins. `p_holm` is its p-value corrected for all lines of the table. `permutation_p` is the paper's
    test over all graded answers. Arms without chance in them have one repeat.
    """

    name: str
    task: str
    shots: int
    accuracy: float
    stderr: float | None
    repeats: int
    test_rows: int
    failures: Mapping[str, int]
    readable_accuracy: float | None
    paired: Paired | None
    p_holm: float | None
    permutation_p: float | None
    accuracies: tuple[float, ...]
    teaching: Usage
    answering: Usage
    teaching_seconds: float
    answering_seconds: float

    @property
    def failed(self) -> int:
        """How many rows, in all repeats, ended without an answer that could be read."""
        return sum(self.failures.values())

    @property
    def p_value(self) -> float | None:
        """The p-value of the paired difference, not corrected; None where there is none."""
        return self.paired.p_value if self.paired else None

    @property
    def significant(self) -> bool:
        """Whether the corrected p-value is below 0.05."""
        return self.p_holm is not None and self.p_holm < SIGNIFICANT

    def to_table(self) -> dict[str, Any]:
        """Return plain values, flat, for JSON; shares are in [0, 1], what is not known is None."""
        pair = self.paired
        return {
            "name": self.name,
            "task": self.task,
            "shots": self.shots,
            "accuracy": self.accuracy,
            "stderr": self.stderr,
            "accuracies": list(self.accuracies),
            "readable_accuracy": self.readable_accuracy,
            "repeats": self.repeats,
            "test_rows": self.test_rows,
            **{kind: self.failures[kind] for kind in FAILURES},
            "difference": pair.difference if pair else None,
            "low": pair.low if pair else None,
            "high": pair.high if pair else None,
            "p_value": self.p_value,
            "p_holm": self.p_holm,
            "permutation_p": self.permutation_p,
        }


@dataclass(frozen=True, slots=True)
class Result:
    """A whole run: its folder, its experiment's name and task, the arm all others are compared with, and the arms in
    order. `stand_in`: a model of it is a fake, which knows no language, so nothing is compared.
    """

    run: str
    experiment: str
    task: str
    compared_with: str
    arms: tuple[ArmResult, ...]
    stand_in: bool = False

    def to_table(self) -> dict[str, Any]:
        """Return the object that `run --json` prints."""
        return {"run": self.run, "stand_in": self.stand_in, "arms": [arm.to_table() for arm in self.arms]}


def summarise(
    cells: Sequence[Cell], task: str, compare_with: str | None, drawn: Collection[str]
) -> tuple[ArmResult, ...]:
    """Put finished cells together into arms, in the order in which arms first appear.

    An arm with shots is compared with the same shots of `compare_with` where that arm has them, else with its first
    shots, and with nothing where that arm has no finished cell; None compares nothing. `drawn` names the arms that chance
    has a hand in.
    """
    groups: dict[tuple[str, int], list[Cell]] = {}
    for cell in cells:
        groups.setdefault((cell.key.arm, cell.key.shots), []).append(cell)
    base = {shots: group for (arm, shots), group in groups.items() if arm == compare_with}
    arms = []
    for (arm, shots), group in groups.items():
        against = None if arm == compare_with else base.get(shots) or next(iter(base.values()), None)
        chance = arm in drawn or compare_with in drawn
        pair = compared(group, against, chance=chance) if against else None
        permutation_p = permutation(group, against) if against else None
        arms.append(replace(arm_result(group, task), paired=pair, permutation_p=permutation_p))
    corrected = holm([arm.p_value for arm in arms])
    return tuple(replace(arm, p_holm=p) for arm, p in zip(arms, corrected, strict=True))


def arm_result(group: Sequence[Cell], task: str) -> ArmResult:
    """Put the cells of one arm at one number of shots together, compared with nothing."""
    accuracies = [cell.evaluation.accuracy for cell in group]
    failures: dict[str, int] = {kind: sum(cell.evaluation.failures[kind] for cell in group) for kind in FAILURES}
    readable = sum(cell.evaluation.readable for cell in group)
    return ArmResult(
        name=group[0].key.arm,
        task=task,
        shots=group[0].key.shots,
        accuracy=mean(accuracies),
        stderr=standard_error(accuracies),
        repeats=len(group),
        test_rows=len(group[0].evaluation.outcomes),
        failures=failures,
        readable_accuracy=sum(graded(group)) / readable if readable else None,
        paired=None,
        p_holm=None,
        permutation_p=None,
        accuracies=tuple(accuracies),
        teaching=sum((cell.teaching for cell in group), Usage()),
        answering=sum((cell.answering for cell in group), Usage()),
        teaching_seconds=sum(cell.teaching_seconds for cell in group),
        answering_seconds=sum(cell.answering_seconds for cell in group),
    )


def compared(cells: Sequence[Cell], base: Sequence[Cell], *, chance: bool) -> Paired | None:
    """Compare the cells of one arm with those of another: repeats that both have, or all of them with its only one.

    `chance` says whether chance has a hand in either. None where they have no repeat in common, or other test rows.
    """
    theirs = {cell.key.repeat: cell.evaluation.graded for cell in base}
    single = len(base) == 1
    ours = [cell for cell in cells if single or cell.key.repeat in theirs]
    if not ours:
        return None
    right = [base[0].evaluation.graded] if single else [theirs[cell.key.repeat] for cell in ours]
    left = [cell.evaluation.graded for cell in ours]
    if len({len(rows) for rows in (*left, *right)}) > 1:
        return None
    return paired(left, right, chance=chance)


def permutation(cells: Sequence[Cell], base: Sequence[Cell]) -> float:
    """Return the p-value of the paper's permutation test over all graded answers of two arms."""
    return permutation_p_value(graded(cells), graded(base))


def by_arm(keys: Iterable[CellKey]) -> dict[tuple[str, int], list[CellKey]]:
    """Return the cells of each arm at each number of shots, in the order in which they first appear."""
    groups: dict[tuple[str, int], list[CellKey]] = {}
    for key in keys:
        groups.setdefault((key.arm, key.shots), []).append(key)
    return groups


def closeness_rows(keys: Iterable[CellKey], read: Callable[[CellKey], Sequence[Closeness]]) -> list[dict[str, Any]]:
    """Return how close what left the silos is to them: one row per arm, shots, group and teacher, `all` first.

    `keys` are the cells that something may have left in, `read` gives the items of one. Arms that asked no teacher have
    no row.
    """
    rows = []
    for (name, shots), cells in by_arm(keys).items():
        items = [item for key in cells for item in read(key)]
        rows += [
            {"name": name, "shots": shots, "group": group, "teacher": teacher, **summary.to_table()}
            for group in GROUPS
            for teacher, summary in by_teacher(items, group).items()
        ]
    return rows


def graded(cells: Sequence[Cell]) -> list[int]:
    """Return 1 for each right answer and 0 for each other one, of all cells in order."""
    return [value for cell in cells for value in cell.evaluation.graded]
