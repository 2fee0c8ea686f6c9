"""Lesson: what a student learned, and how it becomes a prompt."""

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from social_learning.errors import DataError, TaskError
from social_learning.prompts.shots import lesson_prompt, question_prompt
from social_learning.task import Example, Task

AnswerMode = Literal["auto", "free", "labels"]

FORMAT: Final = 1
"""The format of a lesson's file. Files of older versions name none; they do not say which student was tested either."""


class Source(BaseModel):
    """Where a part of a lesson came from: the teacher's name, and the round in which it was sent."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    teacher: str
    round: int


class TestedStudent(BaseModel):
    """The student that a run tested with a lesson: its model, and how it answered; see `Student` for the last three.

    `model` is the name that loaded it, or that of a `[models.NAME]` table of the run's experiment; `identity` tells its weights
    and number format.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
    __test__ = False  # no test class, whatever pytest makes of its name

    model: str
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    identity: str
    answer_by: AnswerMode
    calibrate: bool
    seed: int = Field(ge=0)


class Lesson(BaseModel):
    """An instruction, examples, or both, for one task; the empty lesson is the zero-shot student's.

    `sources` holds one Source per example, in order, or one for the instruction; it is empty where nobody taught.
    `student` is the one that a run tested with the lesson; None where no run did, or where an older version wrote the lesson.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    format: Literal[1] = FORMAT
    student: TestedStudent | None = None
    task: Task
    instruction: str = ""
    examples: tuple[Example, ...] = ()
    sources: tuple[Source, ...] = Field(default=())

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if any(set(example.fields) != set(self.task.field_names) for example in self.examples):
            raise TaskError(
                f"an example has not the fields of task {self.task.name!r}: {', '.join(self.task.field_names)}"
            )
        return self

    def prompt(self, fields: Mapping[str, str]) -> str:
        """Return what the student's model reads for a question: the lesson, then the question."""
        return question_prompt(self.task, self.text, fields)

    @cached_property
    def text(self) -> str:
        """What the student's model reads before the question; empty for the empty lesson."""
        return lesson_prompt(self.task, self.instruction, self.examples)

    def to_json(self) -> str:
        """Return the lesson as readable JSON."""
        return self.model_dump_json(indent=2) + "\n"

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a lesson's JSON file, or the lesson of a folder that holds one.

        Raises DataError where there is none, and where a newer version of this package wrote it in a format of its own.
        """
        file = lesson_file(path)
        try:
            content = file.read_bytes()
            _check_format(file, content)
            return cls.model_validate_json(content)
        except FileNotFoundError:
            raise DataError(
                f"no lesson at {path}: give a lesson.json, or the folder of a finished cell of a run "
                "(lessons of original arms are withheld)"
            ) from None
        except TaskError as error:
            raise DataError(f"{file} is not a lesson: {error}") from None
        except (OSError, ValidationError) as error:
            reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error.strerror
            raise DataError(f"{file} is not a lesson: {reason}") from None


def lesson_file(path: Path) -> Path:
    """Return the file of a lesson that is named by the file or by the folder that holds it."""
    return path / "lesson.json" if path.is_dir() else path


def _check_format(file: Path, content: bytes) -> None:
    """Refuse another format before its unknown keys are taken for mistakes. What is no JSON object is refused elsewhere."""
    try:
        table: Any = json.loads(content)
    except (ValueError, RecursionError):
        return
    if not isinstance(table, dict) or "format" not in table:
        return
    found = table["format"]
    if isinstance(found, int) and not isinstance(found, bool) and found > FORMAT:
        raise DataError(
            f"{file} is a lesson of format {found}, and this version reads format {FORMAT} and older ones: install a newer "
            "social-learning"
        )
    if found != FORMAT or isinstance(found, bool):
        raise DataError(f"{file} is not a lesson: its format is no number that a version of social-learning writes")
