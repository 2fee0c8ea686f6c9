"""What a fingerprint covers: each setting that decides an outcome, and no other. The one place where that is said.

A setting decides an outcome where another value can lead to other lessons, answers, grades, evidence or comparisons from the
same data. A test walks all tables: a new setting must be put into one of the two lists.
"""

from collections.abc import Mapping
from datetime import date, time
from pathlib import PurePath
from typing import Any

from pydantic import BaseModel

from social_learning.data.files import known_suffix

DECIDES: Mapping[str, tuple[str, ...]] = {
    "Experiment": ("task", "seed", "repeats", "compare_with", "data", "privacy", "canary", "models", "remote"),
    "Arm": ("name", "method", "shots", "teachers", "student", "generation", "instruction"),
    "Task": (
        "template", "instruction", "labels", "cloze", "gap", "metric", "answer_marker", "answer_pattern", "multiline",
        "max_answer_tokens", "max_example_tokens", "decimal",
    ),
    "Data": ("train", "test", "train_split", "test_split", "columns", "label_names", "test_rows", "development"),
    "Teachers": (
        "model", "dtype", "count", "split", "alpha", "held_out", "no_copies", "min_distance", "no_shared_numbers",
        "no_shared_names",
    ),
    "StudentTable": ("model", "dtype", "answer_by", "calibrate"),
    "GenerationTable": (
        "recipe", "shots", "samples", "keep", "temperature", "top_p", "way", "self_check", "balanced", "complete", "cloze",
        "lessons", "questions", "share", "vote_by", "cohort",
    ),
    "InstructionTable": ("shots", "samples", "text"),
    "Privacy": ("detector",),
    "Canary": ("codes", "names"),
    "EndpointTable": ("model", "base_url", "headers", "form", "scoring", "context_length", "body"),
    "Remote": ("teachers",),
}  # fmt: skip
"""Settings that decide outcomes, by the name of their table's class."""

_ARMS = "counts as it stands in each arm, where arms' own settings are put together with it"
_REACHED = "how an endpoint is reached, not what it answers"
_FOUND = "how a teacher of its own is reached"

DOES_NOT: Mapping[str, Mapping[str, str]] = {
    "Experiment": {
        "name": "what the run is called",
        "base": "where the file lies",
        "budget": "what may be spent: a run whose budget is spent goes on with a larger one",
        **dict.fromkeys(("arms", "shots", "teachers", "student", "generation", "instruction"), _ARMS),
    },
    "Arm": {},
    "Task": {"name": "what the task is called"},
    "Data": {"root": "where a built-in task's files lie; a keyed digest tells whether their rows are the same"},
    "Teachers": {
        "device": "where a model computes; what comes out differently there, the number format, is in its identity",
        "memory": "how much is computed at a time",
    },
    "StudentTable": {"device": "as for teachers", "memory": "as for teachers"},
    "GenerationTable": {},
    "InstructionTable": {},
    "Privacy": {
        "record_originals": "what is written down of an outcome",
        "silos": "where private folders lie",
    },
    "Canary": {},
    "EndpointTable": {
        **dict.fromkeys(("key_env", "key_header", "concurrency", "timeout", "deadline"), _REACHED),
        "prices": "what an answer costs",
    },
    "Remote": {
        "sockets": _FOUND,
        "nodes": _FOUND,
        "wait": "how long teachers are waited for before the first request",
        "timeout": "how long a round waits; who was missing is written down cell by cell",
        "min_teachers": "when a round goes on; a stopped run may go on with fewer, and who was missing is written down",
    },
}
"""Settings that do not, and why."""


def decided_by(table: BaseModel) -> dict[str, Any]:
    """Return the settings of a table, and of the tables in it, that decide outcomes, as plain values.

    Of a data file its name counts, not its folder. Raises KeyError for a table that this module does not know.
    """
    left_out = DOES_NOT[type(table).__name__]
    found = {name: _plain(getattr(table, name)) for name in type(table).model_fields if name not in left_out}
    if type(table).__name__ == "Data":
        found |= {name: _file_name(found[name]) for name in ("train", "test")}
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return decided_by(value)
    if isinstance(value, Mapping):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value.isoformat() if isinstance(value, date | time) else value


def _file_name(source: str | None) -> str | None:
    """The name of a data file; anything else as it is, such as the id of a data set on the Hub."""
    return PurePath(source).name if source is not None and known_suffix(source) else source


def differences(one: Any, other: Any, path: str = "") -> list[str]:
    """Return the dotted names of the settings that differ, in order; arms go by their names."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        names = list(dict.fromkeys((*one, *other)))
        return [
            key for name in names for key in differences(one.get(name), other.get(name), f"{path}.{name}".lstrip("."))
        ]
    if path == "arms" and isinstance(one, list) and isinstance(other, list):
        ours, theirs = ({arm["name"]: arm for arm in arms} for arms in (one, other))
        return differences(ours, theirs, path) or ([] if one == other else [path])
    return [] if one == other else [path]
