"""Chain: lines of JSON of which each one's hash covers its bytes and the hash before it.

A line that is changed, taken out or put in breaks the chain, unless all hashes after it are made anew.
"""

import hashlib
import json
from collections.abc import Iterable
from typing import Any

START = "0" * 64
"""What the first line's hash is chained to."""


def line_of(table: dict[str, Any], ascii: bool = True) -> tuple[bytes, str]:
    """Return the one line that may stand for these values, and its hash; `table` holds the hash before it as `previous`."""
    hash = hashlib.sha256(json.dumps(table, ensure_ascii=ascii).encode()).hexdigest()
    return json.dumps({**table, "hash": hash}, ensure_ascii=ascii).encode() + b"\n", hash


def first_wrong(lines: Iterable[bytes], ascii: bool = True) -> int | None:
    """Return the number, from 1, of the first line that is not as it was written or does not follow the one before it.

    None where the chain is whole. Lines without any hash are of versions that made none: they make a whole chain too, but
    only where no line has one.
    """
    previous, chained = START, None
    for number, line in enumerate(lines, start=1):
        try:
            table = json.loads(line)
            hash = table.pop("hash", None)
            has_one = hash is not None
            if chained is None:
                chained = has_one
            if has_one != chained or (
                has_one and (table["previous"] != previous or line_of(table, ascii) != (line, hash))
            ):
                return number
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return number
        previous = hash
    return None
