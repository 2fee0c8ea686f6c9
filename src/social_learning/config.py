"""The experiment file: TOML as frozen, typed values, with its arms and cells. An unknown key is an error that suggests the nearest
known one.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BaseModel, Field, ValidationError, model_validator

from social_learning.errors import ConfigError, TaskError
from social_learning.fingerprint import decided_by, differences
from social_learning.models.endpoint.settings import is_endpoint, parse_name
from social_learning.results import CellKey
from social_learning.settings import (
    BudgetTable,
    Canary,
    Data,
    EndpointTable,
    GenerationTable,
    InstructionTable,
    Privacy,
    Remote,
    StudentTable,
    Table,
    Teachers,
)
from social_learning.task import Task
from social_learning.toml_files import apply_override, explain, nearest, read_toml

Method = Literal["zero-shot", "manual", "original", "generated", "voted", "instruction"]
METHODS: tuple[Method, ...] = get_args(Method)
WITH_SHOTS: tuple[Method, ...] = ("original", "generated", "voted")
"""Methods whose lesson is a number of examples; the others have one lesson whatever the shots."""

DRAWN: tuple[Method, ...] = (*WITH_SHOTS, "instruction")
"""Methods that chance has a hand in, by split or sampling. The others are measured once, not once per repeat."""

_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
"""Names of experiments and arms: they become folder names."""


_OVERRIDES = ("teachers", "student", "generation", "instruction")
"""The tables that an arm may override."""


class ArmTable(Table):
    """`[arms.NAME]`: one arm. `method` defaults to the arm's name; the other keys override the experiment's own for
    this arm.
    """

    method: Method | None = None
    shots: tuple[Annotated[int, Field(ge=1)], ...] | None = None
    teachers: dict[str, Any] = Field(default_factory=dict)
    student: dict[str, Any] = Field(default_factory=dict)
    generation: dict[str, Any] = Field(default_factory=dict)
    instruction: dict[str, Any] = Field(default_factory=dict)


class Arm(Table):
    """One arm, with everything that decides its outcome."""

    name: str
    method: Method
    shots: tuple[int, ...]
    teachers: Teachers
    student: StudentTable
    generation: GenerationTable
    instruction: InstructionTable

    @property
    def drawn(self) -> bool:
        """Whether repeats differ."""
        return self.method in DRAWN


class Experiment(Table):
    """A whole experiment file. `base` is the folder that relative paths start from."""

    name: str = Field(pattern=_NAME.pattern)
    task: str | Task
    seed: int = Field(default=1, ge=0)
    repeats: int = Field(default=5, ge=1)
    shots: tuple[Annotated[int, Field(ge=1)], ...] = Field(default=(16,), min_length=1)
    arms: tuple[str, ...] | dict[str, ArmTable] = ("zero-shot", "manual", "original", "generated", "instruction")
    compare_with: str = "zero-shot"
    data: Data = Data()
    teachers: Teachers = Teachers()
    student: StudentTable = StudentTable()
    generation: GenerationTable = GenerationTable()
    instruction: InstructionTable = InstructionTable()
    privacy: Privacy = Privacy()
    canary: Canary = Canary()
    models: dict[str, EndpointTable] = Field(default_factory=dict)
    budget: BudgetTable = BudgetTable()
    remote: Remote | None = None
    base: str = Field(default=".", exclude=True)

    @model_validator(mode="after")
    def _arms_exist(self) -> Self:
        self._none_is_left_out()
        names = [arm.name for arm in self.resolved_arms()]
        if not names:
            raise ConfigError("arms: name at least one arm")
        if len(set(names)) < len(self.arms):
            raise ConfigError("arms: an arm is named twice")
        folders = Counter(key.name for _, key in cells_of(self))
        if max(folders.values()) > 1:
            raise ConfigError(f"arms: two arms would share the folder {folders.most_common(1)[0][0]!r}: rename one")
        self._models_fit()
        if self.remote is not None:
            self._remote_fits()
        if self.compare_with not in names:
            raise ConfigError(f"compare_with: no arm {self.compare_with!r}; arms are {', '.join(names)}")
        return self

    def _none_is_left_out(self) -> None:
        """An experiment file cannot say None; where tables are free, it would say something else than no key at all."""
        arms = self.arms if isinstance(self.arms, dict) else {}
        free = {f"arms.{name}": arm.model_dump(include=set(_OVERRIDES)) for name, arm in arms.items()}
        free |= {f"models.{name}.body": table.body for name, table in self.models.items()}
        for where, table in free.items():
            if (key := _none_in(table)) is not None:
                raise ConfigError(f"{where}{key}: leave the key out: no experiment file can say None")

    def _models_fit(self) -> None:
        for name, table in self.models.items():
            table.endpoint(name)
            if not _NAME.fullmatch(name):
                raise ConfigError(f"models: {name!r} must be made of letters, digits, '.', '_' and '-'")
        for arm in self.resolved_arms():
            for model in (arm.teachers.model, arm.student.model):
                if model not in self.models and is_endpoint(model):
                    parse_name(model)  # a key in an address must be refused before anything is written down

    def _remote_fits(self) -> None:
        names = self.teacher_names
        if len(set(names)) < len(names) or not all(_NAME.fullmatch(name) for name in names):
            raise ConfigError("remote.teachers: names must differ and be made of letters, digits, '.', '_' and '-'")
        if ((self.remote and self.remote.min_teachers) or 1) > len(names):
            raise ConfigError(f"remote.min_teachers: there are only {len(names)} teachers")
        nodes = self.remote.nodes if self.remote else {}
        for name in nodes:
            if name not in names:
                meant = nearest(name, names) or f"; teachers are {', '.join(names)}"
                raise ConfigError(f"remote.nodes: no teacher {name!r}{meant}")
        if len(set(nodes.values())) < len(nodes):
            raise ConfigError("remote.nodes: two teachers have the same node")
        if any(arm.method == "original" for arm in self.resolved_arms()):
            raise ConfigError("arms: teachers of their own never send private examples: leave the original arm out")
        if any(arm.teachers != self.teachers for arm in self.resolved_arms()):
            raise ConfigError("arms: with [remote] no arm can override teachers: their owners decide")

    def resolved_arms(self) -> list[Arm]:
        """Return the arms in order, each with the experiment's settings and its own overrides put together."""
        tables = self.arms if isinstance(self.arms, dict) else {name: ArmTable() for name in self.arms}
        return [self._arm(name, table) for name, table in tables.items()]

    def _arm(self, name: str, table: ArmTable) -> Arm:
        if not _NAME.fullmatch(name):
            raise ConfigError(
                f"arms: {name!r} must be made of letters, digits, '.', '_' and '-', and start with a letter or digit"
            )
        method = table.method or name
        if method not in METHODS:
            raise ConfigError(f"arms: {name!r} is no method; methods are {', '.join(METHODS)}{nearest(name, METHODS)}")
        shots = (table.shots or self.shots) if method in WITH_SHOTS else (0,)
        parts = {key: _override(getattr(self, key), getattr(table, key), f"arms.{name}.{key}") for key in _OVERRIDES}
        return Arm(name=name, method=method, shots=tuple(sorted(set(shots))), **parts)

    @property
    def teacher_names(self) -> tuple[str, ...]:
        """Names of the teachers, in order."""
        named = self.remote.teachers if self.remote else ()
        return named or tuple(f"teacher-{number + 1}" for number in range(self.teachers.count))

    @property
    def deciding(self) -> dict[str, Any]:
        """All settings that decide an outcome, as plain values; `fingerprint.py` says which do, and why others do not."""
        arms = self.resolved_arms()
        asked = {table.model for arm in arms for table in (arm.teachers, arm.student)}
        models = {name: decided_by(table) for name, table in self.models.items() if name in asked}
        teachers = list(self.teacher_names) if self.remote else None
        return {**decided_by(self), "arms": [decided_by(arm) for arm in arms], "models": models, "remote": teachers}

    @property
    def fingerprint(self) -> str:
        """Eight hex digits over all settings that decide an outcome."""
        return digits_of(self.deciding)


def digits_of(deciding: Mapping[str, Any]) -> str:
    """Return eight hex digits over settings as plain values."""
    return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()[:8]


def _none_in(value: Any) -> str | None:
    """Where in a free table a None stands, with a dot before each key; None where there is none."""
    if value is None:
        return ""
    parts = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list | tuple) else ()
    return next((f".{key}{inner}" for key, part in parts if (inner := _none_in(part)) is not None), None)


def _override(table: BaseModel, changes: Mapping[str, Any], where: str) -> Any:
    try:
        return type(table).model_validate({**table.model_dump(), **changes})
    except ValidationError as error:
        raise ConfigError(explain(error, type(table), where)) from None


def cells_of(experiment: Experiment) -> Iterator[tuple[Arm, CellKey]]:
    """Every cell of an experiment: repeats outermost, so that a killed run leaves whole repeats behind."""
    for repeat in range(experiment.repeats):
        for arm in experiment.resolved_arms():
            for shots in arm.shots:
                if arm.drawn or repeat == 0:
                    yield arm, CellKey(arm.name, shots, repeat)


def by_arms(experiment: Experiment, keys: Iterable[CellKey]) -> list[CellKey]:
    """Return cells arm by arm in the experiment's order, then by shots, then by repeat, whichever of them there are."""
    order = {arm.name: number for number, arm in enumerate(experiment.resolved_arms())}
    return sorted(keys, key=lambda key: (order[key.arm], key.shots, key.repeat))


def load_experiment(path: Path, overrides: Sequence[str] = ()) -> Experiment:
    """Read an experiment file; `overrides` are `key=value` with dotted keys and TOML values (bare words are strings).

    Raises ConfigError in one line that names the file and the key.
    """
    table = read_toml(path)
    for override in overrides:
        apply_override(table, override)
    table.setdefault("name", path.stem)
    return parse_experiment(table, str(path), path.parent)


def parse_experiment(table: Mapping[str, Any], where: str = "experiment", base: Path = Path()) -> Experiment:
    """Check a table of settings. Raises ConfigError in one line that names `where` and the key."""
    if "base" in table:
        raise ConfigError(f"{where}: unknown key 'base'")
    try:
        return Experiment.model_validate({**table, "base": str(base)})
    except ValidationError as error:
        raise ConfigError(explain(error, Experiment, where)) from None
    except (ConfigError, TaskError) as error:
        raise ConfigError(f"{where}: {error}") from None


def unlike(experiment: Experiment, settings: Any) -> str:
    """Say, after "holds", how a run whose settings were written down is unlike an experiment."""
    try:
        differ = differences(parse_experiment(settings).deciding, experiment.deciding)
    except (ConfigError, TypeError):
        return "a run of another version, with other settings than this one knows"
    if not differ:
        return "a run of an older version, which reckoned fingerprints from other settings too"
    return f"a run with other settings ({', '.join(differ[:5])}{' and more' if differ[5:] else ''})"
