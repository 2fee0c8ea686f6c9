"""Experiment files: settings back into TOML that gives the same experiment."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w

from social_learning.config import Experiment
from social_learning.data.files import known_suffix
from social_learning.settings import Data

HEAD = "# The settings of this run as an experiment file, made by social-learning. Relative paths start from this file's folder.\n\n"


def as_toml(table: Mapping[str, Any]) -> str:
    """Return a table of plain values as TOML; entries that are None are left out, since TOML has no such value."""
    return tomli_w.dumps(_known(table))


def _known(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _known(part) for name, part in value.items() if part is not None}
    return [_known(part) for part in value] if isinstance(value, list | tuple) else value


def settings_as_toml(settings: Mapping[str, Any]) -> str:
    """Return settings, as `Experiment.model_dump(mode="json")` gives them, as an experiment file.

    All settings are in it, so that defaults of another version change nothing; only `[data]` is without its defaults, since a
    built-in task takes none of them.
    """
    defaults = Data().model_dump(mode="json")
    data = {name: value for name, value in settings.get("data", {}).items() if value != defaults.get(name)}
    return as_toml({**settings, "data": data})


def experiment_toml(experiment: Experiment, folder: Path) -> str:
    """Return an experiment as a file to lie in `folder`: with the paths that lead from there to its data, silos and sockets."""
    settings = experiment.model_dump(mode="json")
    base = Path(experiment.base)
    data, privacy, remote = settings["data"], settings["privacy"], settings["remote"]
    for name in ("train", "test"):
        if data[name] and known_suffix(data[name]) and not data[name].startswith("hf:"):
            data[name] = _from(folder, base, data[name])
    for table, name in ((data, "root"), (privacy, "silos"), (remote, "sockets")):
        if table and table[name]:
            table[name] = _from(folder, base, table[name])
    return HEAD + settings_as_toml(settings)


def _from(folder: Path, base: Path, path: str) -> str:
    """A path that is relative to `base`, relative to `folder`; an absolute one as it is."""
    if Path(path).is_absolute():
        return path
    return Path(os.path.relpath((base / path).resolve(), folder.resolve())).as_posix()
