"""Settings as they stand in an experiment file: a table back into TOML that gives the same experiment."""

import json
import re
from collections.abc import Mapping
from typing import Any

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def as_toml(table: Mapping[str, Any]) -> str:
    """Return a table of plain values as TOML; entries that are None are left out, since TOML has no such value."""
    return "\n".join(_lines(table, ())).strip() + "\n"


def _lines(table: Mapping[str, Any], path: tuple[str, ...]) -> list[str]:
    values = {name: value for name, value in table.items() if value is not None and not _is_section(value)}
    lines = [f"{_key(name)} = {_value(value)}" for name, value in values.items()]
    for name, section in table.items():
        if _is_section(section):
            inner = (*path, _key(name))
            lines += ["", f"[{'.'.join(inner)}]", *_lines(section, inner)]
    return lines


def _is_section(value: object) -> bool:
    return isinstance(value, Mapping) and bool(value)


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _value(name)


def _value(value: object) -> str:
    if isinstance(value, Mapping):
        return "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
