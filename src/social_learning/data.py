"""Data: rows from JSONL, CSV, TSV and Parquet files and from Hugging Face ids, and rows to examples of a task.

What stands in a row is private. Errors name the file, the row, the field and what to do, never the row's content.
"""

import csv
import gzip
import importlib
import io
import json
import logging
import math
import os
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, time
from decimal import Decimal
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from social_learning.errors import DataError, TaskError
from social_learning.task import ANSWER, Example, Task

_HUB_PREFIX = "hf:"
_HUB_ID = re.compile(
    r"(?P<name>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?::(?P<config>[^\s:@/]+))?(?:@(?P<revision>[^\s@]+))?", re.ASCII
)
_HUB_SECONDS = 60.0
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SAYABLE = re.compile(
    r"(Unknown split|Unrecognized instruction|Instruction|BuilderConfig|Config name is missing|Dataset|Revision|"
    r"The directory at|Couldn't find cache|There are multiple)\b"
)
"""Openings of those errors of `datasets` that speak of names only; all others may quote rows."""

_SURROGATE = re.compile("[\ud800-\udfff]")
_PLAIN_NAME = re.compile(r"\S{1,32}")
_NAMES_SHOWN = 20


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


@dataclass(frozen=True, slots=True)
class ColumnMap:
    """How columns become a task's fields.

    `columns` gives the column of a field (or of `answer`); a field that is not in it has a column of its own name.
    `label_names` gives the label for a value of the answer's column, as in `{"ham": "not spam", "1": "good"}`; blanks
    at the value's ends do not count, and a value that is not in it stays as it is.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    label_names: Mapping[str, str] = field(default_factory=dict)

    def column(self, name: str) -> str:
        """Return the column that holds the field `name`."""
        return self.columns.get(name, name)

    def place(self, name: str) -> str:
        """Return what errors call the field `name`, with its column where that has another name."""
        column = self.column(name)
        return f"field {name!r}" + (f" (column {column!r})" if column != name else "")


AS_NAMED = ColumnMap()
"""Columns that are named as the task's fields are."""


# Rows


def read_rows(source: str | Path, *, split: str = "train", base: Path | None = None) -> list[Row]:
    """Read all rows of a file or of a Hugging Face data set, in order. There is at least one.

    A file is JSONL (`.jsonl`, `.ndjson`), CSV, TSV or Parquet, as its suffix says, and may be compressed with gzip
    (`.gz` after that). Text is UTF-8. CSV and TSV start with a header and quote as in RFC 4180. Blank lines are no
    rows. Values stay as the file has them: texts in CSV and TSV, what JSON and Parquet give in the others. A relative
    path is meant from `base`. Files are held in memory.

    A Hugging Face id is `hf:org/name`, then perhaps `:config`, then perhaps `@revision`. Without `hf:` it is one where
    no such file exists, it has one slash, and no suffix of a file above. `split` is for these only. Values of label
    columns arrive as the label's name. HF_ENDPOINT and the other settings of `datasets` hold. A data set read before
    can be read again without a network; under a revision only where that is the full commit id of the newest copy.

    Raises DataError where the source cannot be read, has no rows, or breaks its format: one line that says where.
    """
    name = str(source)
    if name.startswith(_HUB_PREFIX) and isinstance(source, str):
        return _hub_rows(name, name.removeprefix(_HUB_PREFIX), split)
    path = Path(source) if base is None else base / source
    if os.path.exists(path):  # noqa: PTH110  # Path.exists raises for names that are too long
        rows = list(_file_rows(name, path))
        if not rows:
            raise DataError(f"{name}: has no rows")
        return rows
    if isinstance(source, str) and name.count("/") == 1 and not _suffix(name) and _HUB_ID.fullmatch(name):
        return _hub_rows(name, name, split, "no such file, and as a Hugging Face data set: ")
    raise DataError(f"{name}: no such file" + (f" (looked for {path})" if path != Path(source) else ""))


def _suffix(name: str) -> str | None:
    """The known suffix that a file name ends in, without `.gz`; None where there is none."""
    plain = name.lower().removesuffix(".gz")
    return next((suffix for suffix in _FORMATS if plain.endswith(suffix)), None)


def _file_rows(file: str, path: Path) -> Iterator[Row]:
    suffix = _suffix(path.name)
    if path.is_dir():
        raise DataError(f"{file}: is a folder; name a file in it")
    if suffix is None:
        raise DataError(f"{file}: unknown suffix; known ones: {', '.join(_FORMATS)}, and each with .gz")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror or type(error).__name__}") from None
    if path.name.lower().endswith(".gz"):
        data = _gunzip(file, data)
    if not data:
        raise DataError(f"{file}: is empty")
    return _FORMATS[suffix](file, data)


def _gunzip(file: str, data: bytes) -> bytes:
    try:
        return gzip.decompress(data)
    except EOFError:
        raise DataError(f"{file}: the gzip data is cut off; copy or download the file again") from None
    except (gzip.BadGzipFile, zlib.error):
        raise DataError(f"{file}: not gzip, or broken; name it without .gz, or copy or download it again") from None


def _decode(file: str, data: bytes) -> str:
    """Bytes as text, without a byte order mark.

    Raises DataError, naming the line, where they are not UTF-8 or hold NUL.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise DataError(f"{file}, row {line}: not UTF-8; save the file as UTF-8") from None
    nul = text.find("\0")
    if nul >= 0:
        line = text.count("\n", 0, nul) + 1
        raise DataError(f"{file}, row {line}: holds a NUL byte; save the file as text in UTF-8")
    return text


def _json_rows(file: str, data: bytes) -> Iterator[Row]:
    for number, line in enumerate(_decode(file, data).split("\n"), start=1):
        if line.strip():
            yield Row(file, number, _json_object(f"{file}, row {number}", line))


def _json_object(where: str, line: str) -> dict[str, object]:
    try:
        value = json.loads(line, object_pairs_hook=partial(_unique, where))
    except json.JSONDecodeError as error:
        raise DataError(f"{where}: broken JSON at character {error.colno}; each line holds one JSON object") from None
    except (ValueError, RecursionError):
        raise DataError(f"{where}: a JSON number is too long, or lists and objects are nested too deep") from None
    if not isinstance(value, dict):
        raise DataError(f"{where}: {_kind(value)}, not a JSON object; each line holds one object of columns and values")
    return value


def _unique(where: str, pairs: list[tuple[str, object]]) -> dict[str, object]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise DataError(f"{where}: a JSON object holds the same key twice")
    return values


def _separated_rows(delimiter: str, file: str, data: bytes) -> Iterator[Row]:
    records = _records(delimiter, file, _decode(file, data))
    number, header = next(records, (1, []))
    columns = [name.strip() for name in header]
    for position, name in enumerate(columns, start=1):
        if not name:
            raise DataError(f"{file}, row {number}: column {position} has no name in the header; give it one")
        first = columns.index(name) + 1
        if first < position:
            raise DataError(f"{file}, row {number}: columns {first} and {position} have the same name; rename one")
    for number, values in records:
        if len(values) != len(columns):
            raise DataError(
                f"{file}, row {number}: {len(values)} fields, but the header names {len(columns)}; quote fields that "
                f"hold the delimiter, a line break or a quote"
            )
        yield Row(file, number, dict(zip(columns, values, strict=True)))


def _records(delimiter: str, file: str, text: str) -> Iterator[tuple[int, list[str]]]:
    """The line that a record begins on, and its fields. Blank lines between records are none."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    while True:
        number = reader.line_num + 1
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:  # its texts quote the delimiter and numbers, nothing else
            raise DataError(
                f"{file}, row {number}: {error}; quote as in RFC 4180 (a quote inside quotes is doubled), or use JSONL"
            ) from None
        if values:
            yield number, values


def _parquet_rows(file: str, data: bytes) -> Iterator[Row]:
    arrow = _extra("pyarrow", f"{file}: ")
    parquet = _extra("pyarrow.parquet", f"{file}: ")
    try:
        table = parquet.ParquetFile(arrow.BufferReader(data)).read()
        columns = table.column_names
        records = [column.to_pylist() for column in table.columns]
    except Exception as error:  # pyarrow raises many kinds, and their texts may quote values
        raise DataError(f"{file}: broken Parquet ({type(error).__name__}); write the file again") from None
    if len(set(columns)) != len(columns):
        raise DataError(f"{file}: two columns have the same name; rename one")
    for number in range(table.num_rows):
        values = (record[number] for record in records)
        yield Row(file, number + 1, dict(zip(columns, values, strict=True)))


_FORMATS: Mapping[str, Callable[[str, bytes], Iterator[Row]]] = {
    ".jsonl": _json_rows,
    ".ndjson": _json_rows,
    ".csv": partial(_separated_rows, ","),
    ".tsv": partial(_separated_rows, "\t"),
    ".parquet": _parquet_rows,
}


def _extra(module: str, lead: str) -> ModuleType:
    """Import a module of the optional extra `hub`.

    Raises DataError, with `lead` and how to install it, where it is missing.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        package = module.partition(".")[0]
        raise DataError(f"{lead}needs {package}: pip install 'social-learning[hub]'") from None


# Hugging Face


def _hub_rows(source: str, hub_id: str, split: str, aside: str = "") -> list[Row]:
    """The rows of one split. `source` is the id as the caller wrote it; `aside` opens what errors say of it.

    A split without rows is an error already in `datasets`.
    """
    match = _HUB_ID.fullmatch(hub_id)
    if match is None:
        raise DataError(
            f"{source}: not a Hugging Face id; write hf:org/name, hf:org/name:config or hf:org/name@revision"
        )
    lead = f"{source}: {aside}"
    datasets = _extra("datasets", lead)
    try:
        with _rows_not_logged():
            dataset = _load(datasets, match["name"], match["config"], split, match["revision"])
        records = [_named_labels(datasets, dataset.features, record) for record in dataset.to_list()]
    except DataError as error:
        raise DataError(f"{lead}{error}") from None
    except Exception as error:  # datasets lets through whatever its readers and its network client raise
        raise DataError(f"{lead}{_hub_problem(error)}") from None
    file = f"{source}, split {split!r}"
    return [Row(file, number, values) for number, values in enumerate(records, start=1)]


def _load(datasets: Any, name: str, config: str | None, split: str, revision: str | None) -> Any:
    """The data set, of the revision asked for.

    When the Hub fails, `datasets` takes the newest copy it has, of any revision. So a revision is made a commit first,
    and the copy must be of that commit. The long form of the name keeps it from reading a folder of the short one.
    """
    if revision is not None and not _COMMIT.fullmatch(revision):
        hub = importlib.import_module("huggingface_hub").HfApi()
        revision = str(hub.dataset_info(name, revision=revision, timeout=_HUB_SECONDS).sha)
    dataset = datasets.load_dataset(f"hf://datasets/{name}", config, split=split, revision=revision)
    for cached in dataset.cache_files:
        commit = Path(cached["filename"]).parent.name
        if revision is not None and _COMMIT.fullmatch(commit) and commit != revision:
            raise DataError(
                "the Hub did not give this revision, and the newest local copy is of another one; try again later"
            )
    return dataset


def _named_labels(datasets: Any, features: Mapping[str, object], record: dict[str, object]) -> dict[str, object]:
    """The record with each ClassLabel's number replaced by its name; a number below zero means no label."""
    for column, feature in features.items():
        number = record[column]
        if isinstance(feature, datasets.ClassLabel) and isinstance(number, int):
            record[column] = feature.names[number] if number >= 0 else None
    return record


def _hub_problem(error: Exception) -> str:
    """What went wrong, in words that quote no row."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if "RevisionNotFoundError" in kinds:
        return "no such revision"
    if "GatedRepoError" in kinds:
        return "a gated data set; ask for access on its page, then log in (hf auth login)"
    if "RepositoryNotFoundError" in kinds:
        return "no such data set on the Hub, or a private one that needs a login (hf auth login)"
    if kinds & {"ConnectionError", "ConnectError", "TimeoutException", "OfflineModeIsEnabled"}:
        return "the Hub cannot be reached; check the network and HF_ENDPOINT, or read from a file"
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status is not None:
        return f"the Hub answered with HTTP status {status}; log in (hf auth login) or try again later"
    text = " ".join(str(error).split())
    if _SAYABLE.match(text):
        return text
    return f"cannot be loaded ({type(error).__name__}); datasets.load_dataset tells more"


@contextmanager
def _rows_not_logged() -> Iterator[None]:
    """Silence the readers of `datasets`, which log rows that they cannot read."""
    logger = logging.getLogger("datasets.packaged_modules")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)


# Examples


def to_examples(rows: Iterable[Row], task: Task, columns: ColumnMap = AS_NAMED) -> list[Example]:
    """Make an example of `task` of every row, in order.

    Numbers and dates become text as `str` writes them, true and false `true` and `false`; null and NaN are missing.
    Columns that the task does not use may hold anything.

    Raises DataError at the first row that is no example of the task, naming its file, number and field; and where
    `columns` names a field that the task has not.
    """
    names = (*task.field_names, ANSWER)
    unknown = [name for name in columns.columns if name not in names]
    if unknown:
        raise DataError(
            f"columns are named for unknown fields {', '.join(map(repr, unknown))}; task {task.name!r} has the fields "
            f"{', '.join(map(repr, names))}"
        )
    return [_example(row, task, columns, names) for row in rows]


def _example(row: Row, task: Task, columns: ColumnMap, names: Sequence[str]) -> Example:
    values = {name: _text(row, name, columns) for name in names}
    answer = values[ANSWER]
    if answer is not None:
        values[ANSWER] = columns.label_names.get(answer.strip(), answer)
    try:
        return task.example(values)
    except TaskError as error:
        problem = str(error)
    for name in names:
        opening = f"field {name!r}:"
        if problem.startswith(opening):
            problem = f"{columns.place(name)}:{problem.removeprefix(opening)}"
    raise DataError(f"{row.where}, {problem}")


def _text(row: Row, name: str, columns: ColumnMap) -> str | None:
    """The row's value for a field as text; None where it is null."""
    place = f"{row.where}, {columns.place(name)}"
    column = columns.column(name)
    if column not in row.values:
        raise DataError(f"{place}: no such column; columns: {_shown(row.values)}")
    value = row.values[column]
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float | Decimal | date | time):
        return str(value)
    if not isinstance(value, str):
        raise DataError(f"{place}: {_kind(value)}, not text")
    if "\0" in value:
        raise DataError(f"{place}: holds a NUL character")
    if _SURROGATE.search(value):
        raise DataError(f"{place}: holds half of a surrogate pair (\\uD800 to \\uDFFF), which is no character")
    return value


def _shown(names: Iterable[str]) -> str:
    """Column names for an error.

    Where a header or a key is missing, what stands in its place is content, so long names and those of several words
    are only counted.
    """
    names = list(names)
    plain = [repr(name) for name in names if _PLAIN_NAME.fullmatch(name)][:_NAMES_SHOWN]
    others = len(names) - len(plain)
    if others:
        plain.append(f"{others} more" if plain else f"{others} with long names or names of several words")
    return ", ".join(plain) or "none"


def _kind(value: object) -> str:
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


def drop_duplicates(examples: Iterable[Example], task: Task) -> list[Example]:
    """Keep the first of those examples whose question's text is the same but for case and blanks.

    Answers do not count.
    """
    first: dict[str, Example] = {}
    for example in examples:
        first.setdefault(" ".join(task.question(example.fields).casefold().split()), example)
    return list(first.values())
