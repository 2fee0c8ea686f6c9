"""Rows to examples of a task."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, time
from decimal import Decimal

from social_learning.data.row import Row, kind_of
from social_learning.errors import DataError, TaskError
from social_learning.labels import composed, folded
from social_learning.task import ANSWER, Example, Task

_SURROGATE = re.compile("[\ud800-\udfff]")
_PLAIN_NAME = re.compile(r"\S{1,32}")
_NAMES_SHOWN = 20


@dataclass(frozen=True, slots=True)
class ColumnMap:
    """How columns become a task's fields.

    `columns` gives the column of a field (or of `answer`); a field that is not in it has a column of its own name.
    `label_names` gives the label for a value of the answer's column, as in `{"ham": "not spam", "1": "good"}`; blanks
    at the value's ends and the form of accents do not count, nor does case where only one label is meant. A value that is not
    in it stays as it is.

    Raises DataError where two of its values are the same by that but for case, and name different labels.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    label_names: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for value, label in self.label_names.items():
            if self._exact[composed(value.strip())] != label:
                raise DataError(
                    f"label_names: {value!r} stands there twice, but for blanks or accents, with two labels"
                )

    @property
    def _exact(self) -> dict[str, str]:
        return {composed(value.strip()): label for value, label in self.label_names.items()}

    def label(self, value: str) -> str:
        """Return the label that a value of the answer's column stands for; the value itself where it is not named."""
        exact = self._exact.get(composed(value.strip()))
        alike = {label for other, label in self.label_names.items() if folded(other) == folded(value)}
        return exact or (alike.pop() if len(alike) == 1 else value)

    def column(self, name: str) -> str:
        """Return the column that holds the field `name`."""
        return self.columns.get(name, name)

    def place(self, name: str) -> str:
        """Return what errors call the field `name`, with its column where that has another name."""
        column = self.column(name)
        return f"field {name!r}" + (f" (column {column!r})" if column != name else "")


AS_NAMED = ColumnMap()
"""Columns that are named as the task's fields are."""


def to_examples(rows: Iterable[Row], task: Task, columns: ColumnMap = AS_NAMED) -> list[Example]:
    """Make an example of `task` of every row, in order.

    Numbers and dates become text as `str` writes them, true and false `true` and `false`; null and NaN are missing.
    Columns that the task does not use may hold anything.

    Raises DataError at the first row that is no example of the task, naming its file, number and field; and where
    `columns` names a field that the task has not.
    """
    names = (*task.field_names, ANSWER)
    unknown = [name for name in columns.columns if name not in names]
    if unknown:
        raise DataError(
            f"columns are named for unknown fields {', '.join(map(repr, unknown))}; task {task.name!r} has the fields "
            f"{', '.join(map(repr, names))}"
        )
    return [_example(row, task, columns, names) for row in rows]


def to_questions(rows: Iterable[Row], task: Task) -> list[dict[str, str]]:
    """Make the fields of a question of `task` of every row, in order; values become text as in `to_examples`, and other columns may
    hold anything. Raises DataError at the first row that is no question of the task, naming its file, number and field.
    """
    return [_question(row, task) for row in rows]


def _question(row: Row, task: Task) -> dict[str, str]:
    values = {name: _text(row, name, AS_NAMED) for name in task.field_names}
    try:
        return task.question_fields(values)
    except TaskError as error:
        raise DataError(f"{row.where}, {error}") from None


def _example(row: Row, task: Task, columns: ColumnMap, names: Sequence[str]) -> Example:
    values = {name: _text(row, name, columns) for name in names}
    answer = values[ANSWER]
    if answer is not None and columns.label_names:
        values[ANSWER] = columns.label(answer)
    if (
        answer is not None
        and task.decimal == "comma"
        and isinstance(row.values[columns.column(ANSWER)], float | Decimal)
    ):
        # A number has no decimal mark until it is written; 1.234 would read as 1234.
        values[ANSWER] = answer.replace(".", ",")
    try:
        return task.example(values)
    except TaskError as error:
        problem = str(error)
    for name in names:
        opening = f"field {name!r}:"
        if problem.startswith(opening):
            problem = f"{columns.place(name)}:{problem.removeprefix(opening)}"
    raise DataError(f"{row.where}, {problem}")


def _text(row: Row, name: str, columns: ColumnMap) -> str | None:
    """The row's value for a field as text; None where it is null."""
    place = f"{row.where}, {columns.place(name)}"
    column = columns.column(name)
    if column not in row.values:
        raise DataError(f"{place}: no such column; columns: {_shown(row.values)}")
    value = row.values[column]
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float | Decimal | date | time):
        return str(value)
    if not isinstance(value, str):
        raise DataError(f"{place}: {kind_of(value)}, not text")
    if "\0" in value:
        raise DataError(f"{place}: holds a NUL character")
    if _SURROGATE.search(value):
        raise DataError(f"{place}: holds half of a surrogate pair (\\uD800 to \\uDFFF), which is no character")
    return value


def _shown(names: Iterable[str]) -> str:
    """Column names for an error.

    Where a header or a key is missing, what stands in its place is content, so long names and those of several words
    are only counted.
    """
    names = list(names)
    plain = [repr(name) for name in names if _PLAIN_NAME.fullmatch(name)][:_NAMES_SHOWN]
    others = len(names) - len(plain)
    if others:
        plain.append(f"{others} more" if plain else f"{others} with long names or names of several words")
    return ", ".join(plain) or "none"


def drop_duplicates(examples: Iterable[Example], task: Task) -> list[Example]:
    """Keep the first of those examples whose questions are the same by `question_key`. Answers do not count."""
    first: dict[str, Example] = {}
    for example in examples:
        first.setdefault(question_key(task, example), example)
    return list(first.values())


def question_key(task: Task, example: Example) -> str:
    """Return what two examples share that ask the same: the question's text but for case, blanks and the form of accents."""
    return " ".join(folded(task.question(example.fields)).split())


def conflicting(examples: Iterable[Example], task: Task) -> int:
    """Return how many questions stand there with answers that differ in the task's own sense: at most one is right."""
    answers: dict[str, list[Example]] = {}
    for example in examples:
        answers.setdefault(question_key(task, example), []).append(example)
    return sum(
        any(not task.correct(task.parse_answer(other.answer) or "", first) for other in others)
        for first, *others in answers.values()
    )
