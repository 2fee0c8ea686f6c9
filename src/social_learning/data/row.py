"""Rows as they are read: where each came from, and its values."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import ModuleType

from social_learning.errors import DataError


@dataclass(frozen=True, slots=True)
class Row:
    """One row as read: where it came from, and its values by column.

    `number` counts from 1. In JSONL, CSV and TSV it is the line of the file that the row begins on (so a CSV file's
    first row is usually row 2), in Parquet and Hugging Face data sets the row's position. The repr shows no values.
    """

    file: str
    number: int
    values: Mapping[str, object] = field(repr=False)

    @property
    def where(self) -> str:
        """The row's place, as errors begin: `FILE, row N`."""
        return f"{self.file}, row {self.number}"


def extra(module: str, lead: str) -> ModuleType:
    """Import a module of the optional extra `hub`.

    Raises DataError, with `lead` and how to install it, where it is missing.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        package = module.partition(".")[0]
        raise DataError(f"{lead}needs {package}: pip install 'social-learning[hub]'") from None


def kind_of(value: object) -> str:
    """What a value is, in the words of JSON where it has any."""
    if isinstance(value, str):
        return "a text"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, dict):
        return "an object"
    if value is None or isinstance(value, bool):
        return "null" if value is None else "true or false"
    return "a number" if isinstance(value, int | float) else f"a value of type {type(value).__name__}"
