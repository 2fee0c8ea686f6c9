"""What a built-in task brings along: its format, its data files, and how a published row becomes one of its rows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from social_learning.task import Example, Task

Convert = Callable[[Mapping[str, object]], Mapping[str, object]]
"""From a row as published to a row with the task's field names and `answer`. Columns it does not find it leaves out."""


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """A task, where its published data lies below the data folder, and one invented example to show.

    `train` and `test` are file names relative to the data folder. `pooled`: both are joined, duplicates go, labels are
    balanced by undersampling, and `test_rows` of them, the same in every run, are the test set. Otherwise the test set
    is the test file, of which `test_rows` are drawn, the same in every run, where that is set and smaller. `source`
    says in words what the data is.
    """

    task: Task
    train: str
    test: str | None
    convert: Convert
    invented: Example
    source: str
    pooled: bool = False
    test_rows: int | None = None


def keep(row: Mapping[str, object]) -> Mapping[str, object]:
    """Rows that already have the task's field names stay as they are."""
    return row
