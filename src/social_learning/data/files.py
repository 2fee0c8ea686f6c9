"""Files: rows of JSONL, CSV, TSV and Parquet files, plain or compressed with gzip."""

import csv
import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

from social_learning.data.row import Row, extra, kind_of
from social_learning.errors import DataError


def known_suffix(name: str) -> str | None:
    """The known suffix that a file name ends in, without `.gz`; None where there is none."""
    plain = name.lower().removesuffix(".gz")
    return next((suffix for suffix in _FORMATS if plain.endswith(suffix)), None)


def file_rows(file: str, path: Path) -> Iterator[Row]:
    """Read the rows of a file that exists; `file` is its name in errors. Raises DataError, see `read_rows`."""
    suffix = known_suffix(path.name)
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


def line_rows(file: str, data: bytes, column: str | None) -> list[Row]:
    """Read every line that is not blank as `text_row` does. Raises DataError, naming `file` and the line."""
    lines = enumerate(_decode(file, data).split("\n"), start=1)
    return [text_row(file, number, line, column) for number, line in lines if line.strip()]


def text_row(file: str, number: int, text: str, column: str | None) -> Row:
    """Read a row of a JSON object or, where `column` is given and it is no such object, take it as the text of that column.

    Raises DataError, naming `file` and `number`, where it is neither.
    """
    if column is not None and not _is_object(text):
        return Row(file, number, {column: text})
    return Row(file, number, _json_object(f"{file}, row {number}", text))


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _json_object(where: str, line: str) -> dict[str, object]:
    try:
        value = json.loads(line, object_pairs_hook=partial(_unique, where))
    except json.JSONDecodeError as error:
        raise DataError(f"{where}: broken JSON at character {error.colno}; each line holds one JSON object") from None
    except (ValueError, RecursionError):
        raise DataError(f"{where}: a JSON number is too long, or lists and objects are nested too deep") from None
    if not isinstance(value, dict):
        raise DataError(
            f"{where}: {kind_of(value)}, not a JSON object; each line holds one object of columns and values"
        )
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
    arrow = extra("pyarrow", f"{file}: ")
    parquet = extra("pyarrow.parquet", f"{file}: ")
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
