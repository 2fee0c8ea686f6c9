"""Lesson: what a student learned, and how it becomes a prompt."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from social_learning.errors import DataError, TaskError
from social_learning.prompts.shots import lesson_prompt, question_prompt
from social_learning.task import Example, Task


class Source(BaseModel):
    """Where a part of a lesson came from: the teacher's name, and the round in which it was sent."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    teacher: str
    round: int


class Lesson(BaseModel):
    """An instruction, examples, or both, for one task; the empty lesson is the zero-shot student's.

    `sources` holds one Source per example, in order, or one for the instruction; it is empty where nobody taught.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

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
        """Read a lesson's JSON file, or the lesson of a folder that holds one. Raises DataError where there is none."""
        file = path / "lesson.json" if path.is_dir() else path
        try:
            return cls.model_validate_json(file.read_bytes())
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
