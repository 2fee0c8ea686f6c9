"""The page as plain values: what the template shows, in its order."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from social_learning.config import DRAWN, Arm, Experiment, Method, cells_of
from social_learning.errors import ConfigError, DataError
from social_learning.experiment_file import settings_as_toml
from social_learning.lesson import Lesson
from social_learning.models.base import Usage
from social_learning.records import finished_keys, read_failures
from social_learning.report import numbers
from social_learning.report.attendance import attendance_lines
from social_learning.report.evidence import PrivacyView, privacy_of
from social_learning.report.failures import failure_lines
from social_learning.report.leaving import ArmLog, arm_log, shortened, sources_of, text_at
from social_learning.report.load import Manifest, load_manifest
from social_learning.report.made import MadeView, made_view
from social_learning.report.nearest import NearText
from social_learning.report.plot import Plot, plot_of
from social_learning.report.traces import asked_cells
from social_learning.report.verdict import LESSONS, verdict_of
from social_learning.results import ArmResult, CellKey, Result, by_arm
from social_learning.task import Task
from social_learning.tasks import built_in

LONGEST_LESSON = 60_000
"""How many characters of a lesson are shown."""

SPLITS = {"uniform": "at random", "dirichlet": "with skewed labels"}


@dataclass(frozen=True, slots=True)
class ArmRow:
    """One row of the results: texts, empty where there is nothing to say."""

    name: str
    taught: str
    shots: str
    accuracy: str
    stderr: str
    points: str
    interval: str
    p: str
    star: str
    permutation: str
    failures: str
    readable: str
    test_rows: str
    repeats: str
    compared: bool


@dataclass(frozen=True, slots=True)
class LessonView:
    """One lesson as a prompt, or a note that says why there is none to show; `warning` where its text is private."""

    label: str
    file: str
    prompt: str
    sources: tuple[str, ...]
    note: str
    warning: str
    open: bool


@dataclass(frozen=True, slots=True)
class CostRow:
    """What an arm took, over all its repeats."""

    label: str
    teaching: Usage
    teaching_seconds: float
    answering: Usage
    answering_seconds: float


@dataclass(frozen=True, slots=True)
class Page:
    """Everything the report says, from top to bottom."""

    name: str
    task: str
    format: str
    facts: Mapping[str, str]
    verdict: tuple[str, ...]
    compared_with: str
    stand_in: bool
    plot: Plot
    rows: tuple[ArmRow, ...]
    lessons: tuple[LessonView, ...]
    logs: tuple[ArmLog, ...]
    privacy: PrivacyView
    first: tuple[tuple[NearText, str | None], ...]
    unfinished: tuple[str, ...]
    silent: tuple[str, ...]
    attendance: tuple[str, ...]
    costs: tuple[CostRow, ...]
    settings: str
    fingerprint: str
    data: Mapping[str, Any]
    versions: Mapping[str, Any]
    others: Mapping[str, Any]
    made: MadeView

    @property
    def priced(self) -> bool:
        """Whether any call cost money."""
        return any(row.teaching.cost or row.answering.cost for row in self.costs)

    @property
    def unread(self) -> bool:
        """Whether any row ended without an answer that could be read."""
        return any(row.failures for row in self.rows)

    @property
    def tested(self) -> int:
        """How many lines are compared with another by a test."""
        return sum(bool(row.p) for row in self.rows)


def page_of(folder: Path, result: Result) -> Page:
    """Collect what the report of a run folder says. Raises RunFolderError where run.json is missing or damaged."""
    manifest = load_manifest(folder)
    arms = {arm.name: arm for arm in manifest.experiment.resolved_arms()}
    task = task_of(manifest.experiment)
    facts = dict(manifest.facts)
    finished, failures = finished_keys(folder, manifest.experiment), read_failures(folder, manifest.experiment)
    names = list(dict.fromkeys([*(arm.name for arm in result.arms), *(key.arm for key in failures)]))
    asked = [name for name in names if _asks(arms.get(name))]
    privacy = privacy_of(folder, manifest.experiment, result.task, result)
    texts, rows = (privacy.nearest.texts, privacy.nearest.rows) if privacy.nearest else ((), ())
    linked = {(text.cell, text.message) for text in (*texts, *(row.text for row in rows))}
    cells = [key for _, key in asked_cells(folder, manifest.experiment)]
    return Page(
        name=result.experiment,
        task=result.task,
        format=task.template if task else "",
        facts=_facts(manifest, result, list(arms.values())),
        verdict=verdict_of(result, arms),
        compared_with=result.compared_with,
        stand_in=result.stand_in,
        plot=plot_of(result),
        rows=tuple(_row(result, arm, arms) for arm in result.arms),
        lessons=tuple(_lessons(folder, result, arms, manifest.experiment, finished)),
        logs=tuple(arm_log(folder, name, _keys(cells, name), task, linked) for name in asked),
        privacy=privacy,
        first=tuple((text, _text_of(folder, text, task)) for text in texts),
        unfinished=tuple(_unfinished(manifest.experiment, finished, failures)),
        silent=tuple(name for name in names if name not in asked),
        attendance=tuple(attendance_lines(folder, [key for _, key in cells_of(manifest.experiment)])),
        costs=tuple(_cost(arm) for arm in result.arms),
        settings=settings_as_toml(manifest.settings),
        fingerprint=str(facts.pop("fingerprint", "")),
        data=_table(facts.pop("data", {})),
        versions=_table(facts.pop("versions", {})),
        others=_table({name: fact for name, fact in facts.items() if name not in ("commands", "made_by")}),
        made=made_view(folder, manifest.experiment),
    )


def task_of(experiment: Experiment) -> Task | None:
    """Return the task of an experiment; None for a built-in one that this version does not know."""
    try:
        return built_in(experiment.task).task if isinstance(experiment.task, str) else experiment.task
    except ConfigError:
        return None


def _table(value: object) -> dict[str, Any]:
    """A table of facts; values that are tables or lists themselves become JSON."""
    facts = value if isinstance(value, Mapping) else {}
    return {
        name: fact if isinstance(fact, str | int) else json.dumps(fact, ensure_ascii=False)
        for name, fact in facts.items()
    }


def _asks(arm: Arm | None) -> bool:
    """Whether an arm asks teachers at all."""
    return arm is None or arm.method in DRAWN


def _keys(cells: Sequence[CellKey], name: str) -> list[CellKey]:
    """The cells of an arm: repeat by repeat, so that the first one is shown whole."""
    return sorted([key for key in cells if key.arm == name], key=lambda key: (key.repeat, key.shots))


def _text_of(folder: Path, text: NearText, task: Task | None) -> str | None:
    return text_at(folder / "cells" / text.cell / "messages.jsonl", text.message, text.item, task)


def _unfinished(experiment: Experiment, finished: Sequence[CellKey], failures: Mapping[CellKey, str]) -> list[str]:
    """Say which parts of the experiment this report is not of; the first repeat is repeat 1."""
    told, every = failure_lines(failures), len(list(cells_of(experiment)))
    if len(finished) + len(failures) < every:
        told.append(f"This is a part of the experiment: {len(finished)} of its {every} cells are finished.")
    return told


def _facts(manifest: Manifest, result: Result, arms: Sequence[Arm]) -> dict[str, str]:
    """Who taught whom on what, over all arms."""
    data = _table(manifest.facts.get("data"))
    asking = [arm for arm in arms if arm.method in DRAWN]
    counts = " or ".join(dict.fromkeys(f"{arm.teachers.count:,}" for arm in asking))
    splits = " or ".join(dict.fromkeys(SPLITS[arm.teachers.split] for arm in asking))
    models = ", ".join(dict.fromkeys(arm.teachers.model for arm in asking))
    examples = f"{data['train_examples']:,} examples " if isinstance(data.get("train_examples"), int) else ""
    teachers = f"{counts} silos; {examples}split {splits}; model {models}"
    if manifest.experiment.remote is not None:
        teachers = f"{numbers.count(len(manifest.experiment.teacher_names), 'teacher')} of their own"
    rows, repeats = result.arms[0].test_rows, max(arm.repeats for arm in result.arms)
    return {
        "Teachers": teachers if asking else "none asked",
        "Student": f"model {', '.join(dict.fromkeys(arm.student.model for arm in arms))}",
        "Test": f"{numbers.count(rows, 'row')}, {numbers.count(repeats, 'repeat')}",
    }


def _row(result: Result, arm: ArmResult, arms: Mapping[str, Arm]) -> ArmRow:
    return ArmRow(
        name=arm.name,
        taught=LESSONS[arms[arm.name].method] if arm.name in arms else "",
        shots=str(arm.shots or ""),
        accuracy=numbers.percent(arm.accuracy),
        stderr="" if arm.stderr is None else f"({numbers.percent(arm.stderr)})",
        points=numbers.points(arm.paired).replace("-", "\N{MINUS SIGN}"),
        interval=numbers.interval(arm.paired).replace("-", "\N{MINUS SIGN}"),
        p=numbers.p_value(arm.p_holm),
        star="*" if arm.significant else "",
        permutation=numbers.p_value(arm.permutation_p),
        failures=numbers.failures(arm.failures),
        readable="" if arm.readable_accuracy is None else numbers.percent(arm.readable_accuracy),
        test_rows=f"{arm.test_rows:,}",
        repeats=f"{arm.repeats:,}",
        compared=arm.name == result.compared_with,
    )


def _lessons(
    folder: Path, result: Result, arms: Mapping[str, Arm], experiment: Experiment, finished: Sequence[CellKey]
) -> list[LessonView]:
    methods = {name: arm.method for name, arm in arms.items()}
    others = [arm for arm in result.arms if arm.name != result.compared_with]
    taught = [arm for arm in others if methods.get(arm.name) in ("generated", "voted", "instruction")]
    first = next(iter(taught or others), None)
    keys = {group: cells[0] for group, cells in by_arm(finished).items()}
    return [
        _lesson(
            folder,
            keys.get((arm.name, arm.shots), CellKey(arm.name, arm.shots, 0)),
            methods.get(arm.name),
            experiment,
            arm is first,
        )
        for arm in result.arms
    ]


def _lesson(folder: Path, key: CellKey, method: Method | None, experiment: Experiment, shown_first: bool) -> LessonView:
    """The lesson of an arm's first finished repeat."""
    name = f"cells/{key.name}/lesson.json"
    prompt, sources, note, warning = "", [], "", ""
    if (folder / name).is_file():
        try:
            lesson = Lesson.load(folder / name)
            prompt = shortened(lesson.prompt(dict.fromkeys(lesson.task.field_names, "…")), LONGEST_LESSON)
            sources = sources_of(lesson)
        except DataError as error:
            note = f"cannot be shown: {error}"
        if method == "original":
            warning = "These are private examples, word for word. Do not pass this report on."
    elif method == "original" and not experiment.privacy.record_originals:
        note = "withheld: private examples word for word (set privacy.record_originals to see them)"
    else:
        note = f"{name} is missing"
    return LessonView(numbers.label(key.arm, key.shots), name, prompt, tuple(sources), note, warning, shown_first)


def _cost(arm: ArmResult) -> CostRow:
    label = numbers.label(arm.name, arm.shots)
    return CostRow(label, arm.teaching, arm.teaching_seconds, arm.answering, arm.answering_seconds)
