"""TOML files as checked settings: what is wrong in one is told in one line that names the file and the key."""

import difflib
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from social_learning.errors import ConfigError, TaskError

Settings = TypeVar("Settings", bound=BaseModel)


def read_toml(path: Path, what: str = "file") -> dict[str, Any]:
    """Read a TOML file; raises ConfigError in one line that names it. `what` says what it is, where there is none."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"no {what} {path}") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: not a readable TOML file: {error}") from None


def load_table(path: Path, model: type[Settings], what: str) -> Settings:
    """Read a TOML file of settings, such as a policy; `what` names it in errors.

    Raises ConfigError in one line that names the file and the key.
    """
    table = read_toml(path, what)
    try:
        return model.model_validate(table)
    except ValidationError as error:
        raise ConfigError(explain(error, model, str(path))) from None
    except (ConfigError, TaskError) as error:
        raise ConfigError(f"{path}: {error}") from None


def apply_override(table: dict[str, Any], override: str) -> None:
    """Change one setting of a table: `key=value`, dotted keys and TOML values; bare words are strings. Raises ConfigError."""
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


def explain(error: ValidationError, model: type[BaseModel], where: str) -> str:
    """Put the first of pydantic's complaints about a table of `model` into one line, which begins with `where`."""
    problems = error.errors(include_url=False, include_context=False)
    # Where a key takes a name or a table, both are tried and complain; the one that got further is meant.
    first = max(problems, key=lambda problem: len(problem["loc"]))
    parts = [str(part) for part in first["loc"] if not (isinstance(part, str) and ("[" in part or part in _UNION_TAGS))]
    path = ".".join(parts) or "file"
    if first["type"] == "extra_forbidden":
        known = _known_keys(model, parts[:-1])
        meant = nearest(parts[-1], known) or f"; known keys: {', '.join(known)}"
        return f"{where}: unknown key {path!r}{meant}"
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


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the end of an error about an unknown name: the known one that was meant; empty where none is near."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""
