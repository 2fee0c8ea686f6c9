"""Files: written whole or not at all, and read back. Knows nothing of what is in them."""

import json
import os
from pathlib import Path
from typing import Any

from social_learning.errors import RunFolderError


def write_file(path: Path, text: str, mode: int = 0o666) -> None:
    """Write a file whole or not at all; `mode` is cut down by the umask, as ever."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(path)


def read_json(path: Path) -> Any:
    """Read a JSON file of a run folder; raises RunFolderError where it is damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise RunFolderError(f"{path} is damaged: delete it to have that part done again") from None
