"""Handed over: what the owner of a served silo may give away about the closeness of what left it. Numbers and ids, no text.

The student cannot check these numbers: the silo is the owner's. It checks their form alone.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from social_learning.errors import RunFolderError
from social_learning.messages import Name
from social_learning.privacy.evidence import Closeness, Group

LARGEST = 4 * 2**20
"""The largest file that is read, in bytes: some 20,000 items."""

Count = Annotated[int, Field(ge=0, le=1_000_000)]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, hide_input_in_errors=True)


class HandedItem(_Table):
    """One item of a reply, or a control measured beside it, as `Closeness` has it. `id` is that of the enquiry it answered, and
    `item` its number in the reply as it left the silo, from 1.
    """

    id: Name
    item: Annotated[int, Field(ge=1, le=1_000_000)]
    group: Group
    copied: bool
    distance: Annotated[float, Field(ge=0, le=1)]
    run: Count
    names: Count
    numbers: Count
    emails: Count
    links: Count
    changed: Annotated[float, Field(ge=0, le=1)] | None = None

    @classmethod
    def of(cls, id: str, one: Closeness) -> Self:
        """Return what may be told of an item; its distance has four digits."""
        counts = {"names": one.names, "numbers": one.numbers, "emails": one.emails, "links": one.links}
        distance = round(one.distance, 4)
        return cls(
            id=id,
            item=one.item,
            group=one.group,
            copied=one.copy,
            distance=distance,
            run=one.run,
            changed=one.changed,
            **counts,
        )

    def placed(self, teacher: str, message: int, item: int) -> Closeness:
        """Return the item with its place in a cell's message log."""
        counts = {"names": self.names, "numbers": self.numbers, "emails": self.emails, "links": self.links}
        place = {"message": message, "item": item}
        return Closeness(
            teacher, self.group, self.copied, self.distance, self.run, **counts, **place, changed=self.changed
        )


class Handed(_Table):
    """A file of such numbers, about one run as the teacher knows it. They are held against all rows of the silo, since nobody
    keeps which of them the model was shown: `distance` is to the nearest row.
    """

    format: Literal[1] = 1
    teacher: Name
    run: Name
    held_against: Literal["nearest row of the silo"] = "nearest row of the silo"
    items: tuple[HandedItem, ...]

    @property
    def left(self) -> Sequence[HandedItem]:
        """The items that left, without controls."""
        return [item for item in self.items if item.group == "left"]


def read_handed(file: Path, teachers: Sequence[str], run: str) -> Handed:
    """Read a file of a run whose teachers are these, and which they know as `run`.

    Raises RunFolderError in one line, which repeats nothing of the file but a short key, for what is too large, has another
    form, or is of another teacher or run. The file has the teacher's name.
    """
    try:
        size = file.stat().st_size
        text = file.read_bytes() if size <= LARGEST else b""
    except OSError as error:
        raise RunFolderError(f"cannot read {file}: {error.strerror}") from None
    if size > LARGEST:
        raise _refused(file, f"it has {size:,} bytes, at most {LARGEST:,} are read")
    try:
        handed = Handed.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part)[:30] for part in first["loc"]) or "file"
        raise _refused(file, f"{where}: {first['msg'].splitlines()[0][:120]}") from None
    if handed.teacher not in teachers:
        raise _refused(file, f"this run has no teacher {handed.teacher!r}")
    if file.stem != handed.teacher:
        raise _refused(file, f"it is of {handed.teacher!r}, so its name has to be {handed.teacher}.json")
    if handed.run != run:
        raise _refused(file, f"it is about run {handed.run!r}, this is {run!r}")
    if len({(item.id, item.item) for item in handed.left}) < len(handed.left):
        raise _refused(file, "it tells of an item twice")
    return handed


def _refused(file: Path, problem: str) -> RunFolderError:
    return RunFolderError(f"{file} cannot be used: {problem}; take it away, or ask the owner for another one")
