"""Splitting: an experiment's data as silo files, to try on one machine what is meant for many."""

import json
from pathlib import Path
from typing import Any

from social_learning.config import Experiment
from social_learning.corpus import load_corpus
from social_learning.errors import ConfigError
from social_learning.experiment_file import as_toml
from social_learning.files import OWNER_ONLY, write_file
from social_learning.preflight import silos_for
from social_learning.recipes import generation
from social_learning.serving.policy import Policy, RequestCaps
from social_learning.silo import Silo
from social_learning.task import ANSWER, Task


def write_silos(experiment: Experiment, folder: Path, data: Path | None = None) -> list[Path]:
    """Write one folder per teacher with its rows, its silo file and the default policy, as far as that allows what the experiment
    asks in one request, else with caps that do; return the silo files.

    Seeds are the experiment's: teachers of their own send what they would send in one process.
    """
    return [_write(experiment, silo, folder / silo.name) for silo in split_silos(experiment, data)]


def split_silos(experiment: Experiment, data: Path | None = None) -> list[Silo]:
    """Return the silos of an experiment's first repeat, under its teachers' names. What an arm overrides under `teachers`
    does not count. Raises ConfigError where no arm asks teachers.
    """
    corpus = load_corpus(experiment, data)
    arm = next((arm for arm in experiment.resolved_arms() if arm.drawn), None)
    if arm is None:
        raise ConfigError("no arm of this experiment asks teachers: there is nothing to split")
    silos = silos_for(experiment, arm.model_copy(update={"teachers": experiment.teachers}), corpus, 0)
    names = experiment.teacher_names
    if len(names) != len(silos):
        raise ConfigError(f"teachers.count is {len(silos)}, and remote.teachers names {len(names)}: make them the same")
    return [Silo(name, s.task, s.examples, s.held_out) for name, s in zip(names, silos, strict=True)]


def _write(experiment: Experiment, silo: Silo, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    teachers = experiment.teachers
    table: dict[str, Any] = {
        "name": silo.name,
        "task": experiment.task if isinstance(experiment.task, str) else experiment.task.model_dump(mode="json"),
        "seed": experiment.seed,
        "data": {
            "file": "examples.jsonl",
            "held_out_file": "held_out.jsonl" if silo.held_out else None,
            "held_out": 0.0,
            "columns": {name: name for name in (*silo.task.field_names, ANSWER)},
        },
        "model": {"model": teachers.model, **teachers.options()},
    }
    guards = ("no_copies", "min_distance", "no_shared_numbers", "no_shared_names")
    policy = Policy().model_dump(mode="json")
    policy["per_request"] |= _asked(experiment, silo.task, Policy().per_request)
    policy["guards"] = {
        **{name: getattr(teachers, name) for name in guards},
        "detector": experiment.privacy.detector,
    }
    for name, rows in (("examples.jsonl", silo.examples), ("held_out.jsonl", silo.held_out)):
        lines = (json.dumps({**row.fields, ANSWER: row.answer}, ensure_ascii=False) for row in rows)
        write_file(folder / name, "".join(line + "\n" for line in lines), OWNER_ONLY)
    write_file(folder / "policy.toml", as_toml(policy))
    write_file(folder / "silo.toml", as_toml(table))
    return folder / "silo.toml"


def _asked(experiment: Experiment, task: Task, caps: RequestCaps) -> dict[str, Any]:
    """The caps of one request that an experiment's own requests keep to."""
    examples, instruction = generation(experiment.generation, task), experiment.instruction
    return {
        "examples": max(caps.examples, examples.count),
        "samples": max(caps.samples, examples.samples, instruction.samples),
        "least_shots": min(caps.least_shots, examples.shots, instruction.shots),
        "shots": max(caps.shots, examples.shots, instruction.shots),
        "questions": [examples.questions],
    }
