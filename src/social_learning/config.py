"""The experiment file: TOML as frozen, typed values. An unknown key is an error that suggests the nearest known one."""

import difflib
import hashlib
import json
import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from social_learning.errors import ConfigError, TaskError
from social_learning.models.endpoint.settings import Endpoint, Prices, is_endpoint, parse_name
from social_learning.results import CellKey
from social_learning.student import AnswerMode
from social_learning.task import Task

Method = Literal["zero-shot", "manual", "original", "generated", "voted", "instruction"]
METHODS: tuple[Method, ...] = get_args(Method)
WITH_SHOTS: tuple[Method, ...] = ("original", "generated", "voted")
"""Methods whose lesson is a number of examples; the others have one lesson whatever the shots."""

DRAWN: tuple[Method, ...] = (*WITH_SHOTS, "instruction")
"""Methods that chance has a hand in, by split or sampling. The others are measured once, not once per repeat."""

_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
"""Names of experiments and arms: they become folder names."""

REACHING = {"key_env", "key_header", "concurrency", "timeout", "deadline", "prices"}
"""Settings of an endpoint that cannot change what it answers."""

DEFAULT_MODEL = "smollm2-135m-instruct"
Share = Annotated[float, Field(ge=0, lt=1)]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Data(_Table):
    """`[data]`: where rows come from. Paths are relative to the experiment file; built-in tasks know their own files.

    `train` and `test` are files or Hugging Face ids; without `test`, test rows are taken out of `train`. `columns`
    maps a field of the task (or `answer`) to a column, `label_names` a value of the answer column to a label.
    `test_rows` limits the test set; `development` tests on so many training rows in its place, which no silo gets. `root` is
    the folder that built-in tasks find their files in (default: `SOCIAL_LEARNING_DATA`).
    """

    train: str | None = None
    test: str | None = None
    train_split: str = "train"
    test_split: str = "test"
    columns: dict[str, str] = Field(default_factory=dict)
    label_names: dict[str, str] = Field(default_factory=dict)
    test_rows: int | None = Field(default=None, ge=1)
    development: int | None = Field(default=None, ge=1)
    root: str | None = None


class ModelTable(_Table):
    """What loads a model: its name, number format, device, and memory for a batch; see `load_model`."""

    model: str = DEFAULT_MODEL
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    device: str = "auto"
    memory: int | str = "auto"

    def options(self) -> dict[str, int | str]:
        """Return what `load_model` takes besides the name."""
        return {"dtype": self.dtype, "device": self.device, "memory": self.memory}


class PricesTable(_Table):
    """Prices of a million tokens, in any currency: tokens in, tokens out."""

    input: float = Field(default=0.0, ge=0)
    output: float = Field(default=0.0, ge=0)


class EndpointTable(_Table):
    """`[models.NAME]`: a model behind an OpenAI-compatible endpoint; see `Endpoint` for what its keys mean."""

    # Somebody may have written a key where its variable's name belongs.
    model_config = ConfigDict(hide_input_in_errors=True)

    model: str
    base_url: str
    key_env: str = ""
    key_header: str = "Authorization"
    headers: dict[str, str] = Field(default_factory=dict)
    form: Literal["auto", "completion", "chat"] = "auto"
    scoring: Literal["auto", "none", "vllm", "sglang", "echo", "forced"] = "auto"
    concurrency: int = Field(default=32, ge=1, le=1024)
    context_length: int | None = Field(default=None, ge=1)
    timeout: float = Field(default=120.0, gt=0)
    deadline: float = Field(default=900.0, gt=0)
    prices: PricesTable | None = None
    body: dict[str, Any] = Field(default_factory=dict)

    def endpoint(self, name: str) -> Endpoint:
        """Return the endpoint under the name of its table. Raises ConfigError where a value cannot be used."""
        prices = Prices(self.prices.input, self.prices.output) if self.prices else None
        plain = self.model_dump(exclude={"prices", "headers"})
        return Endpoint(name=name, headers=tuple(self.headers.items()), prices=prices, **plain)


class BudgetTable(_Table):
    """`[budget]`: what a run may spend at endpoints in all, however often it is stopped and goes on."""

    max_cost: float | None = Field(default=None, gt=0)
    max_tokens: int | None = Field(default=None, ge=1)
    max_calls: int | None = Field(default=None, ge=1)


class Teachers(ModelTable):
    """`[teachers]`: how many, how the data is split among them, their model, and their guards.

    `split` is `uniform`, or `dirichlet` with skewed labels (`alpha` small: very unlike teachers). `held_out` is the
    share of each silo that only judges. `no_copies` drops verbatim copies; `min_distance` above 0 drops what is closer
    than that to the private text the teacher's model was shown; `no_shared_numbers` and `no_shared_names` drop what holds
    a number or a name of the silo.
    """

    count: int = Field(default=8, ge=1, le=10_000)
    split: Literal["uniform", "dirichlet"] = "uniform"
    alpha: float = Field(default=1.0, gt=0)
    held_out: Share = 0.25
    no_copies: bool = True
    min_distance: Share = 0.0
    no_shared_numbers: bool = False
    no_shared_names: bool = False


class StudentTable(ModelTable):
    """`[student]`: its model, and how it answers; see `Student`."""

    answer_by: AnswerMode = "auto"
    calibrate: bool = True


class GenerationTable(_Table):
    """`[generation]`: how teachers write examples and how the student picks.

    `recipe` is `default` or `paper`; every other key overrides one part of it. `shots` private examples are shown,
    `samples` continuations drawn per teacher and round, the `keep` likeliest sent. `way`, `self_check`, `balanced`, `complete`
    and `cloze` are described in the docs of the experiment file. Of `lessons` whole lessons the one is taken that teachers
    grade best by `questions` held-out examples each. `vote_by` says how teachers judge candidates and lessons.
    `cohort` is how many teachers are asked at a time (method `generated`); without it, all.
    """

    recipe: Literal["default", "paper"] = "default"
    shots: int = Field(default=8, ge=1)
    samples: int = Field(default=8, ge=1)
    keep: int = Field(default=4, ge=1)
    temperature: float = Field(default=0.8, gt=0)
    top_p: float = Field(default=0.95, gt=0, le=1)
    way: Literal["plain", "label-first"] | None = None
    self_check: bool | None = None
    balanced: bool | None = None
    complete: bool | None = None
    cloze: bool | None = None
    lessons: int | None = Field(default=None, ge=1, le=1024)
    questions: int = Field(default=8, ge=1)
    vote_by: Literal["likelihood", "answers"] = "likelihood"
    cohort: int | None = Field(default=None, ge=1)


class InstructionTable(_Table):
    """`[instruction]`: how many private examples the one teacher sees, and how many drafts it samples. `text` takes the place
    of the task's hand-written instruction in arms of method `manual`.
    """

    shots: int = Field(default=8, ge=1)
    samples: int = Field(default=4, ge=1)
    text: str = ""


class Privacy(_Table):
    """`[privacy]`: what may be written where.

    `record_originals` writes the private examples of the `original` arm into the run folder; without it they are left
    out there. `silos` is the folder in which each teacher keeps its private call cache and its owner's report (default: in the
    user's cache folder). `detector` finds names, numbers, e-mail addresses and links: `own` by their form, or `presidio`
    (an extra).
    """

    record_originals: bool = False
    silos: str | None = None
    detector: Literal["own", "presidio"] = "own"


class Remote(_Table):
    """`[remote]`: teachers on their own, in processes that `social-learning teacher serve` started; silos are theirs, not
    this file's.

    `teachers` are their names (default: `teacher-1`, `teacher-2` and so on, as many as `teachers.count`). `sockets` is where
    each listens on this machine, with `{name}` in place of its name; over Flower it has no use. `nodes` ties a name to the
    id of a SuperNode; `wait` is how many seconds the others have to show up. A round goes on with `min_teachers` (default:
    all) when `timeout` seconds have passed.
    """

    teachers: tuple[str, ...] = ()
    sockets: str = "{name}/teacher.sock"
    nodes: dict[str, int] = Field(default_factory=dict)
    min_teachers: int | None = Field(default=None, ge=1)
    timeout: float = Field(default=600.0, gt=0)
    wait: float = Field(default=120.0, ge=0)


class Canary(_Table):
    """`[canary]`: canaries of your own task for an audit: an example of it as text, with `{code}` or `{name}` in place of the
    secret.
    """

    codes: str = ""
    names: str = ""

    @property
    def templates(self) -> dict[Literal["codes", "names"], str]:
        """The templates by kind of canary; empty where there is none."""
        return {"codes": self.codes, "names": self.names}


class ArmTable(_Table):
    """`[arms.NAME]`: one arm. `method` defaults to the arm's name; the other keys override the experiment's own for
    this arm.
    """

    method: Method | None = None
    shots: tuple[Annotated[int, Field(ge=1)], ...] | None = None
    teachers: dict[str, Any] = Field(default_factory=dict)
    student: dict[str, Any] = Field(default_factory=dict)
    generation: dict[str, Any] = Field(default_factory=dict)
    instruction: dict[str, Any] = Field(default_factory=dict)


class Arm(_Table):
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


class Experiment(_Table):
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
                raise ConfigError(f"remote.nodes: no teacher {name!r}{_nearest(name, names)}")
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
            raise ConfigError(f"arms: {name!r} is no method; methods are {', '.join(METHODS)}{_nearest(name, METHODS)}")
        shots = (table.shots or self.shots) if method in WITH_SHOTS else (0,)
        parts = {
            key: _override(getattr(self, key), getattr(table, key), f"arms.{name}.{key}")
            for key in ("teachers", "student", "generation", "instruction")
        }
        return Arm(name=name, method=method, shots=tuple(sorted(set(shots))), **parts)

    @property
    def teacher_names(self) -> tuple[str, ...]:
        """Names of the teachers, in order."""
        named = self.remote.teachers if self.remote else ()
        return named or tuple(f"teacher-{number + 1}" for number in range(self.teachers.count))

    @property
    def fingerprint(self) -> str:
        """Eight hex digits over all settings that decide an outcome. Where the file lies, what the run may spend, and how an
        endpoint or a teacher of its own is reached do not count.
        """
        table = self.model_dump(mode="json", exclude={"budget": True, "remote": True, "models": {"__all__": REACHING}})
        if self.remote is not None:
            table["remote"] = list(self.teacher_names)
        # What came later must not change the fingerprints of files without it.
        for endpoint in table["models"].values():
            if not endpoint["body"]:
                del endpoint["body"]
        if not table["models"]:
            del table["models"]
        if table["generation"]["vote_by"] == "likelihood":
            del table["generation"]["vote_by"]
        if table["generation"]["cohort"] is None:
            del table["generation"]["cohort"]
        if not table["instruction"]["text"]:
            del table["instruction"]["text"]
        if table["data"]["development"] is None:
            del table["data"]["development"]
        text = json.dumps(table, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:8]


def _override(table: BaseModel, changes: Mapping[str, Any], where: str) -> Any:
    try:
        return type(table).model_validate({**table.model_dump(), **changes})
    except ValidationError as error:
        raise ConfigError(_explain(error, type(table), where)) from None


def cells_of(experiment: Experiment) -> Iterator[tuple[Arm, CellKey]]:
    """Every cell of an experiment: repeats outermost, so that a killed run leaves whole repeats behind."""
    for repeat in range(experiment.repeats):
        for arm in experiment.resolved_arms():
            for shots in arm.shots:
                if arm.drawn or repeat == 0:
                    yield arm, CellKey(arm.name, shots, repeat)


def load_experiment(path: Path, overrides: Sequence[str] = ()) -> Experiment:
    """Read an experiment file; `overrides` are `key=value` with dotted keys and TOML values (bare words are strings).

    Raises ConfigError in one line that names the file and the key.
    """
    table = read_toml(path)
    for override in overrides:
        apply_override(table, override)
    table.setdefault("name", path.stem)
    return parse_experiment(table, str(path), path.parent)


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file; raises ConfigError in one line that names it."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"no file {path}") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: not a readable TOML file: {error}") from None


def parse_experiment(table: Mapping[str, Any], where: str = "experiment", base: Path = Path()) -> Experiment:
    """Check a table of settings. Raises ConfigError in one line that names `where` and the key."""
    if "base" in table:
        raise ConfigError(f"{where}: unknown key 'base'")
    try:
        return Experiment.model_validate({**table, "base": str(base)})
    except ValidationError as error:
        raise ConfigError(_explain(error, Experiment, where)) from None
    except (ConfigError, TaskError) as error:
        raise ConfigError(f"{where}: {error}") from None


Settings = TypeVar("Settings", bound=BaseModel)


def load_table(path: Path, model: type[Settings], what: str) -> Settings:
    """Read a TOML file of settings, such as a policy; `what` names it in errors.

    Raises ConfigError in one line that names the file and the key.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        return model.model_validate(table)
    except FileNotFoundError:
        raise ConfigError(f"no {what} {path}") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: not a readable TOML file: {error}") from None
    except ValidationError as error:
        raise ConfigError(_explain(error, model, str(path))) from None
    except (ConfigError, TaskError) as error:
        raise ConfigError(f"{path}: {error}") from None


def apply_override(table: dict[str, Any], override: str) -> None:
    """Change one setting of a table: `key=value`, see `load_experiment`. Raises ConfigError."""
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"override {override!r} is not of the form key=value")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    *path, last = key.strip().split(".")
    for name in path:
        table = table.setdefault(name, {})
        if not isinstance(table, dict):
            raise ConfigError(f"override {override!r}: {name!r} is not a table")
    table[last] = value


def _explain(error: ValidationError, model: type[BaseModel], where: str) -> str:
    """Put the first of pydantic's complaints into one line."""
    problems = error.errors(include_url=False, include_context=False)
    # Where a key takes a name or a table, both are tried and complain; the one that got further is meant.
    first = max(problems, key=lambda problem: len(problem["loc"]))
    parts = [str(part) for part in first["loc"] if not (isinstance(part, str) and ("[" in part or part in _UNION_TAGS))]
    path = ".".join(parts) or "file"
    if first["type"] == "extra_forbidden":
        known = _known_keys(model, parts[:-1])
        return f"{where}: unknown key {path!r}{_nearest(parts[-1], known)}"
    return f"{where}: {path}: {first['msg'][0].lower()}{first['msg'][1:]}"


_UNION_TAGS = {"str", "Task", "tuple", "dict"}


def _known_keys(model: type[BaseModel], path: Sequence[str]) -> list[str]:
    for part in path:
        field = model.model_fields.get(part)
        candidates = [] if field is None else [field.annotation, *get_args(field.annotation)]
        candidates += [inner for candidate in candidates for inner in get_args(candidate)]
        tables = [c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)]
        if tables:
            model = tables[0]
    return [name for name in model.model_fields if name != "base"]


def _nearest(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; known keys: {', '.join(known)}"
