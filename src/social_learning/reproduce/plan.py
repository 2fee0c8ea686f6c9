"""The plan: from the tables that are asked for to experiments, the cells of them that are needed, and audits.

One experiment per task holds the arms of all tables, so that the run folder of a task serves every table; only Table 10,
whose teachers have another model, has an experiment of its own. Which tables are asked for decides what is done of them.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from social_learning.audit_plan import Plan
from social_learning.config import Experiment, cells_of, digits_of, parse_experiment
from social_learning.errors import ConfigError
from social_learning.privacy.canaries import CanaryKind
from social_learning.reproduce.paper import AUDITED, SHOTS, TASKS
from social_learning.reproduce.tables import TABLES, Line, Recipe, Table
from social_learning.results import CellKey
from social_learning.settings import DEFAULT_MODEL
from social_learning.tasks import BUILT_IN
from social_learning.tasks.gsm8k import FORMAT_NOTE
from social_learning.toml_files import apply_override, nearest

ALONE = 8
"""At how many shots the teachers' model is tested alone, as in the paper's appendix G."""

FLOOR = "zero-shot"
"""The arm that run folders compare with; it is part of every table's run."""

_OVERRIDABLE = ("seed", "shots", "teachers", "student", "generation", "instruction", "privacy", "canary", "budget")


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for: tables by name, the student's model, and what else decides the outcome.

    `teacher_model` is the other teachers' model of Table 10. `tasks` is empty for the paper's. `recipes` limits generated
    and voted lines. `overrides` are settings of all experiments, as in `-s KEY=VALUE`. `trials` and `references` are those
    of the audits, `canaries` their kinds. `models` and `budget` are the tables of these names in an experiment file: endpoints
    by name, and what all tables together may spend at them.
    """

    tables: tuple[str, ...]
    model: str = DEFAULT_MODEL
    teacher_model: str | None = None
    tasks: tuple[str, ...] = ()
    test_rows: int | None = None
    repeats: int = 5
    recipes: tuple[Recipe, ...] = ("default", "paper")
    canaries: tuple[CanaryKind, ...] = ("codes", "names")
    trials: int = 100
    references: int = 999
    overrides: tuple[str, ...] = ()
    models: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    budget: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> "Request":
        """Read what `dataclasses.asdict` made, also by way of JSON; raises TypeError for anything else."""
        values: dict[str, Any] = {k: tuple(value) if isinstance(value, list) else value for k, value in table.items()}
        return cls(**values)


@dataclass(frozen=True, slots=True)
class Part:
    """One experiment, its run folder, and what is wanted of it: cells, and audits of some arms."""

    task: str
    experiment: Experiment
    folder: Path
    cells: tuple[CellKey, ...]
    audits: tuple[Plan, ...] = ()
    audited: tuple[str, ...] = ()


def check_request(request: Request) -> None:
    """Refuse what cannot be reproduced; raises ConfigError in one line."""
    for name in request.tables:
        if name not in TABLES:
            raise ConfigError(f"no table {name!r}: there are {', '.join(TABLES)} and all{nearest(name, TABLES)}")
    for task in request.tasks:
        if task not in BUILT_IN:
            raise ConfigError(f"--tasks: no task {task!r}: there are {', '.join(BUILT_IN)}{nearest(task, BUILT_IN)}")
    if "table10" in request.tables and request.teacher_model in (None, request.model):
        raise ConfigError(
            "table10 is about teachers of another model than the student's: give it with --teacher-model NAME"
        )
    if request.teacher_model and "table10" not in request.tables:
        raise ConfigError(
            "--teacher-model is for table10 alone: in the other tables teachers and student have one model"
        )


def tables_of(request: Request) -> list[Table]:
    """Return the tables that are asked for, in the paper's order."""
    return [table for table in TABLES.values() if table.name in request.tables]


def tasks_of(request: Request, table: Table) -> tuple[str, ...]:
    """Return the tasks of a table: those asked for, else the paper's."""
    return request.tasks or (AUDITED if table.measure in ("rank", "firsts") else TASKS)


def lines_of(request: Request, table: Table) -> list[Line]:
    """Return the lines of a table, with the recipes asked for."""
    return [line for line in table.lines if line.recipe is None or line.recipe in request.recipes]


def default_root(request: Request) -> Path:
    """Return the folder of all run folders where none is named: `runs/reproduce-MODEL-FINGERPRINT`.

    The fingerprint is of everything that its run folders have in common: neither tables nor tasks, nor the model of
    Table 10's teachers.
    """
    return Path("runs") / f"reproduce-{_slug(request.model)}-{fingerprint_of(request)}"


def fingerprint_of(request: Request) -> str:
    """Return eight hex digits over what all run folders of a request have in common, and decides an outcome."""
    settings = experiment_for(request, TASKS[0]).deciding
    return digits_of({name: value for name, value in settings.items() if name != "task"})


def parts_of(request: Request, root: Path) -> list[Part]:
    """Return what has to be run, task by task, each cell once whichever tables need it. Raises ConfigError."""
    parts = []
    for task in dict.fromkeys(task for table in tables_of(request) for task in tasks_of(request, table)):
        tables = [table for table in tables_of(request) if task in tasks_of(request, table)]
        parts.append(_part(request, root, task, tables))
        if any(line.other_teachers for table in tables for line in table.lines):
            parts.append(_part(request, root, task, tables, other_teachers=True))
    return parts


def _part(request: Request, root: Path, task: str, tables: Sequence[Table], other_teachers: bool = False) -> Part:
    experiment = experiment_for(request, task, other_teachers)
    folder = folder_of(request, root, task, other_teachers)
    measured = [table for table in tables if table.measure in ("accuracy", "distance")]
    lines = [line for table in measured for line in lines_of(request, table) if line.other_teachers == other_teachers]
    arms = {line.arm for line in lines} | ({FLOOR} if lines else set())
    cells = tuple(key for _, key in cells_of(experiment) if key.arm in arms)
    audits = [table for table in tables if table not in measured and not other_teachers]
    plans = [Plan(request.trials, request.references, kind) for kind in request.canaries] if audits else []
    audited = dict.fromkeys(line.arm for table in audits for line in lines_of(request, table) if line.arm)
    return Part(task, experiment, folder, cells, tuple(plans), tuple(audited))


def folder_of(request: Request, root: Path, task: str, other_teachers: bool = False) -> Path:
    """Return the run folder of a task."""
    return root / (f"{task}-taught-by-{_slug(request.teacher_model or '')}" if other_teachers else task)


def experiment_for(request: Request, task: str, other_teachers: bool = False) -> Experiment:
    """Return the experiment of a task: every arm that any table needs. Raises ConfigError for overrides that do not fit."""
    teachers = (request.teacher_model if other_teachers else None) or request.model
    table: dict[str, Any] = {
        "name": f"reproduce-{task}",
        "task": task,
        "repeats": request.repeats,
        "shots": list(SHOTS),
        "data": {} if request.test_rows is None else {"test_rows": request.test_rows},
        "teachers": {"model": teachers},
        "student": {"model": request.model},
        # Endpoints that are not asked must not make it another experiment.
        "models": {name: dict(request.models[name]) for name in (request.model, teachers) if name in request.models},
        "budget": dict(request.budget),
    }
    for override in request.overrides:
        key = override.partition("=")[0].strip()
        if key.split(".")[0] not in _OVERRIDABLE or key.endswith(".model"):
            raise ConfigError(
                f"override {override!r}: what can be set here is {', '.join(_OVERRIDABLE)}; models, tasks, rows and repeats "
                "have options of their own"
            )
        apply_override(table, override)
    # What somebody sets for all teachers holds for the paper's, too.
    guards = {key: value for key, value in _PAPER_GUARDS.items() if key not in table["teachers"]}
    paper = {"generation": {"recipe": "paper"}, "teachers": guards}
    own = _ARMS_OF.get(task, {})
    table["arms"] = _other_arms(table, request, paper) if other_teachers else {**_arms(paper), **own}
    return parse_experiment(table, "reproduce")


_PAPER_GUARDS: Mapping[str, Any] = {"min_distance": 0.0, "no_shared_numbers": False}
"""The paper's teachers keep back copies and what is malformed, and nothing else."""


def _arms(paper: Mapping[str, Any]) -> Mapping[str, Any]:
    return {
        FLOOR: {},
        "manual": {},
        "original": {},
        "generated": {},
        "generated-paper": {"method": "generated", **paper},
        "voted": {},
        "voted-paper": {"method": "voted", **paper},
        "instruction": {},
    }


_ARMS_OF: Mapping[str, Any] = {"gsm8k": {"format-note": {"method": "manual", "instruction": {"text": FORMAT_NOTE}}}}
"""What a single task has besides: a zero-shot student of GSM8K is not told of `####`, without which no answer can be read."""


def _other_arms(table: Mapping[str, Any], request: Request, paper: Mapping[str, Any]) -> dict[str, Any]:
    shots = [n for n in table["shots"] if n <= ALONE]
    return {
        FLOOR: {},
        "other-teachers": {"method": "generated"},
        "other-teachers-paper": {"method": "generated", **paper},
        "alone": {
            "method": "original",
            "student": {"model": request.teacher_model},
            "shots": [max(shots)] if shots else None,
        },
    }


def _slug(model: str) -> str:
    """A model's name as part of a folder's name: what stands behind its last slash, in letters, digits, '.', '_', '-'."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", model.rstrip("/").rpartition("/")[2]).strip("-.") or "model"
