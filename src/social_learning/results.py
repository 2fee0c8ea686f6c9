"""Results: what a run measured, cell by cell and arm by arm. Plain values; they hold no private text."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from social_learning.evaluation import Evaluation, Outcome
from social_learning.models.base import Usage
from social_learning.privacy.evidence import GROUPS, Closeness, by_teacher
from social_learning.seeds import child_seed
from social_learning.statistics import mean, permutation_p_value, standard_error

SIGNIFICANT = 0.05
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

    `accuracy` is the mean over repeats, a share in [0, 1], over all test rows: answers that cannot be read count as
    not correct, and `unparsed` says how many there were in all repeats together. `stderr` is the standard error over
    repeats, None for a single one. `p_value` compares all graded outputs with those of the arm compared with
    (permutation test); None for that arm itself. Arms without chance in them have one repeat.
    """

    name: str
    task: str
    shots: int
    accuracy: float
    stderr: float | None
    repeats: int
    test_rows: int
    unparsed: int
    p_value: float | None
    accuracies: tuple[float, ...]
    teaching: Usage
    answering: Usage
    teaching_seconds: float
    answering_seconds: float

    @property
    def significant(self) -> bool:
        """Whether p is below 0.05."""
        return self.p_value is not None and self.p_value < SIGNIFICANT


@dataclass(frozen=True, slots=True)
class Result:
    """A whole run: its folder, its experiment's name and task, the arm all others are compared with, and the arms in
    order.
    """

    run: str
    experiment: str
    task: str
    compared_with: str
    arms: tuple[ArmResult, ...]

    def to_table(self) -> dict[str, Any]:
        """Return the object that `run --json` prints."""
        columns = ("name", "task", "shots", "accuracy", "stderr", "repeats", "test_rows", "unparsed", "p_value")
        return {"run": self.run, "arms": [{column: getattr(arm, column) for column in columns} for arm in self.arms]}


def summarise(cells: Sequence[Cell], task: str, compare_with: str, seed: int) -> tuple[ArmResult, ...]:
    """Put finished cells together into arms, in the order in which arms first appear.

    An arm with shots is compared with the same shots of `compare_with` where that arm has them, else with its first
    shots, and with nothing where that arm has no finished cell.
    """
    groups: dict[tuple[str, int], list[Cell]] = {}
    for cell in cells:
        groups.setdefault((cell.key.arm, cell.key.shots), []).append(cell)
    base = {shots: group for (arm, shots), group in groups.items() if arm == compare_with}
    arms = []
    for (arm, shots), group in groups.items():
        against = base.get(shots) or next(iter(base.values()), None)
        accuracies = [cell.evaluation.accuracy for cell in group]
        p_value = None
        if arm != compare_with and against:
            p_value = permutation_p_value(graded(group), graded(against), child_seed(seed, "permutation", arm, shots))
        arms.append(
            ArmResult(
                name=arm,
                task=task,
                shots=shots,
                accuracy=mean(accuracies),
                stderr=standard_error(accuracies),
                repeats=len(group),
                test_rows=len(group[0].evaluation.outcomes),
                unparsed=sum(cell.evaluation.unparsed for cell in group),
                p_value=p_value,
                accuracies=tuple(accuracies),
                teaching=sum((cell.teaching for cell in group), Usage()),
                answering=sum((cell.answering for cell in group), Usage()),
                teaching_seconds=sum(cell.teaching_seconds for cell in group),
                answering_seconds=sum(cell.answering_seconds for cell in group),
            )
        )
    return tuple(arms)


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
