"""The Hugging Face Hub: rows of data sets, through the library `datasets`."""

import importlib
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from social_learning.data.row import Row, extra
from social_learning.errors import DataError

HUB_PREFIX = "hf:"
HUB_ID = re.compile(
    r"(?P<name>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?::(?P<config>[^\s:@/]+))?(?:@(?P<revision>[^\s@]+))?", re.ASCII
)
_SECONDS = 60.0
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SAYABLE = re.compile(
    r"(Unknown split|Unrecognized instruction|Instruction|BuilderConfig|Config name is missing|Dataset|Revision|"
    r"The directory at|Couldn't find cache|There are multiple)\b"
)
"""Openings of those errors of `datasets` that speak of names only; all others may quote rows."""


def hub_rows(source: str, hub_id: str, split: str, aside: str = "") -> list[Row]:
    """The rows of one split. `source` is the id as the caller wrote it; `aside` opens what errors say of it.

    A split without rows is an error already in `datasets`.
    """
    match = HUB_ID.fullmatch(hub_id)
    if match is None:
        raise DataError(
            f"{source}: not a Hugging Face id; write hf:org/name, hf:org/name:config or hf:org/name@revision"
        )
    lead = f"{source}: {aside}"
    datasets = extra("datasets", lead)
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
        revision = str(hub.dataset_info(name, revision=revision, timeout=_SECONDS).sha)
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
