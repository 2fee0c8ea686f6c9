"""The silo file: one teacher of its own as TOML: its private rows, its model, its policy, and where it listens."""

from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from social_learning.corpus import read_examples
from social_learning.data import ColumnMap, drop_duplicates
from social_learning.errors import DataError
from social_learning.guards import guards_for
from social_learning.messages import Name
from social_learning.models.base import LanguageModel
from social_learning.privacy.detectors import detector
from social_learning.seeds import child_seed, generator
from social_learning.serving.policy import Policy
from social_learning.settings import ModelTable, Share
from social_learning.silo import Silo
from social_learning.task import Example, Task
from social_learning.tasks import built_in
from social_learning.teacher import Teacher
from social_learning.toml_files import load_table


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class SiloData(_Table):
    """`[data]`: the private rows. `file` is taught from. `held_out` is the share of it, drawn by `seed`, that only judges;
    or `held_out_file` holds those rows, and then `file` is taught from whole. `columns` and `label_names` are those of an
    experiment file.
    """

    file: str
    held_out: Share = 0.25
    held_out_file: str | None = None
    columns: dict[str, str] = Field(default_factory=dict)
    label_names: dict[str, str] = Field(default_factory=dict)


class SiloFile(_Table):
    """A silo file. Paths are relative to it: `policy` is the policy file, `state` the folder for the outbox and the call
    cache, `socket` where the teacher listens. `courier_group` names the one group besides the owner that may connect.
    `seed` fixes every choice of the teacher.
    """

    name: Name
    task: str | Task
    data: SiloData
    seed: int = Field(default=1, ge=0)
    model: ModelTable = ModelTable()
    policy: str = "policy.toml"
    state: str = "state"
    socket: str = "teacher.sock"
    courier_group: str | None = None
    base: str = Field(default=".", exclude=True)

    @property
    def folder(self) -> Path:
        """The folder that paths are relative to."""
        return Path(self.base)

    @property
    def outbox(self) -> Path:
        """Where the outbox lies."""
        return self.folder / self.state / "outbox.jsonl"


def load_silo_file(path: Path) -> SiloFile:
    """Read a silo file; raises ConfigError that names the file and the key."""
    return load_table(path, SiloFile, "silo file").model_copy(update={"base": str(path.parent)})


def load_policy(file: SiloFile) -> Policy:
    """Read the policy of a silo; raises ConfigError where there is none: what may leave must be said."""
    return load_table(file.folder / file.policy, Policy, "policy file")


def load_silo(file: SiloFile) -> Silo:
    """Read the private rows. Raises DataError that names file, row and field, never what stands there."""
    known = built_in(file.task) if isinstance(file.task, str) else file.task
    task = known if isinstance(known, Task) else known.task
    columns = ColumnMap(file.data.columns, file.data.label_names)

    def rows(source: str) -> list[Example]:
        return drop_duplicates(read_examples(source, "train", file.folder, known, columns), task)

    examples = rows(file.data.file)
    if file.data.held_out_file is not None:
        return Silo(file.name, task, examples, rows(file.data.held_out_file))
    apart = round(file.data.held_out * len(examples))
    if not apart:
        return Silo(file.name, task, examples)
    order = generator(file.seed, "held_out").permutation(len(examples))
    if apart >= len(examples):
        raise DataError(
            f"{file.data.file}: {len(examples)} rows leave none to teach from with held_out {file.data.held_out}"
        )
    drawn = [examples[i] for i in order]
    return Silo(file.name, task, drawn[apart:], drawn[:apart])


def teachers_of(file: SiloFile, silo: Silo, policy: Policy, model: LanguageModel) -> Callable[[int], Teacher]:
    """Return what makes the teacher of a repeat: the same silo, model and guards, with other choices.

    Seeds are named as in an experiment in one process, so the same silo gives the same replies there and here.
    """
    found = detector(policy.guards.detector)

    def teacher(repeat: int) -> Teacher:
        seed = child_seed(file.seed, "teacher", file.name, repeat)
        guards = guards_for(policy.guards, silo.task)
        return Teacher(silo, model, guards=guards, seed=seed, detector=found, whole_grades=True)

    return teacher
