"""Data: rows from JSONL, CSV, TSV and Parquet files and from Hugging Face ids, and rows to examples of a task.

What stands in a row is private. Errors name the file, the row, the field and what to do, never the row's content.
"""

import os
from pathlib import Path

from social_learning.data.examples import (
    ColumnMap,
    conflicting,
    drop_duplicates,
    question_key,
    to_examples,
    to_questions,
)
from social_learning.data.files import file_rows, known_suffix, line_rows, text_row
from social_learning.data.hub import HUB_ID, HUB_PREFIX, hub_rows
from social_learning.data.row import Row
from social_learning.errors import DataError

__all__ = [
    "ColumnMap",
    "Row",
    "conflicting",
    "drop_duplicates",
    "line_rows",
    "question_key",
    "read_rows",
    "text_row",
    "to_examples",
    "to_questions",
]


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
    if name.startswith(HUB_PREFIX) and isinstance(source, str):
        return hub_rows(name, name.removeprefix(HUB_PREFIX), split)
    path = Path(source) if base is None else base / source
    if os.path.exists(path):  # noqa: PTH110  # Path.exists raises for names that are too long
        rows = list(file_rows(name, path))
        if not rows:
            raise DataError(f"{name}: has no rows")
        return rows
    if isinstance(source, str) and name.count("/") == 1 and not known_suffix(name) and HUB_ID.fullmatch(name):
        return hub_rows(name, name, split, "no such file, and as a Hugging Face data set: ")
    raise DataError(f"{name}: no such file" + (f" (looked for {path})" if path != Path(source) else ""))
