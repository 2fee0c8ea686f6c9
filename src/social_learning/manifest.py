"""The manifest: the SHA-256 of every file of a run folder, so that whoever reads it again hears what was changed since.

manifest.json   {"format", "open", "files": {path: SHA-256}, "as_found"}

It notices edits by whoever does not write the manifest anew as well; against that helps its own hash, kept elsewhere. While a
command works on the folder, and after one that was killed, the manifest is `open`: then only finished cells and trials are
held to it, and the next command takes the rest as it finds it. `as_found` counts the files that were there when a command went on
in a folder whose manifest was gone.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from social_learning.chain import first_wrong
from social_learning.files import write_file

NAME = "manifest.json"
FORMAT = 1
PAGES = ("report.html", "audit.html")
"""Files that are written anew from the others whenever somebody asks for a report."""

HANDED = "owners/"
"""Where owners of served silos hand in their evidence, after the run; each file is checked when it is read."""


@dataclass(frozen=True, slots=True)
class Change:
    """A file of a run folder that is not as it was written: its path in the folder, what is wrong, and more where it is known."""

    file: str
    what: Literal["changed", "missing", "added"]
    detail: str = ""

    @property
    def line(self) -> str:
        """The change as one line."""
        told = {
            "changed": "was changed after it was written",
            "missing": "is missing",
            "added": "was added: no command wrote it",
        }
        return f"{self.file} {told[self.what]}{f': {self.detail}' if self.detail else ''}"

    def to_table(self) -> dict[str, str]:
        """Return plain values for JSON."""
        return {"file": self.file, "what": self.what, "line": self.line}


@dataclass(slots=True)
class _State:
    files: dict[str, str] = field(default_factory=dict)
    open: bool = False
    as_found: int = 0


def changed_files(folder: Path) -> list[Change]:
    """Return what was changed, is missing or was added in a run folder since its last command, in the order of paths.

    A missing or damaged manifest is a change too; then only the chains of messages can be checked.
    """
    state, found = _read(folder), _hashes(folder)
    if state is None:
        damaged = (folder / NAME).exists()
        detail = "whether other files were changed cannot be told" + ("" if damaged else " (older versions wrote none)")
        broken = [_message_change(folder, name) for name in found if name.endswith("/messages.jsonl")]
        return [Change(NAME, "changed" if damaged else "missing", detail), *(change for change in broken if change)]
    changes = []
    if state.as_found:
        changes.append(
            Change(NAME, "missing", f"so it was when a command went on; {state.as_found} files count as found then")
        )
    for name in sorted({*state.files, *found}):
        if (state.open and _loose(name, state.files)) or state.files.get(name) == found.get(name):
            continue
        if name not in state.files:
            changes.append(Change(name, "added"))
        elif name not in found:
            changes.append(Change(name, "missing"))
        else:
            told = _message_change(folder, name) if name.endswith("/messages.jsonl") else None
            changes.append(told or Change(name, "changed"))
    return changes


def _message_change(folder: Path, name: str) -> Change | None:
    """Where the chain of a message log is broken; None where it is whole."""
    wrong = first_wrong((folder / name).read_bytes().splitlines(keepends=True), ascii=False)
    return None if wrong is None else Change(name, "changed", f"line {wrong} does not fit the chain")


def manifest_hash(folder: Path) -> str | None:
    """Return the SHA-256 of a run folder's manifest, to be kept elsewhere; None where there is none."""
    file = folder / NAME
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else None


def renew(folder: Path, page: str) -> None:
    """Note that a page was written anew, unless a command is at work, which will note it itself, or there is no manifest."""
    state = _read(folder)
    if state is not None and not state.open:
        state.files[page] = _hash(folder / page)
        _write(folder, state)


class Seal:
    """The manifest under the hands of one command, which holds the run folder.

    Only what the command itself writes is noted: what somebody changed before is still told afterwards.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._state: _State | None = None
        self._before: Mapping[str, str] = {}

    @property
    def exists(self) -> bool:
        """Whether the folder has a manifest."""
        return (self._folder / NAME).exists()

    def open(self) -> None:
        """Begin; nothing happens where it has begun."""
        if self._state is not None:
            return
        found, state = _hashes(self._folder), _read(self._folder)
        if state is None:
            unwatched = any("/" in name for name in found)
            state = _State(dict(found), as_found=len(found) if unwatched else 0)
        elif state.open:
            kept = {name: hash for name, hash in state.files.items() if not _loose(name, state.files)}
            state.files = {**{name: hash for name, hash in found.items() if _loose(name, state.files)}, **kept}
        state.open = True
        self._state, self._before = state, found
        _write(self._folder, state)

    def note(self, paths: Iterable[Path]) -> None:
        """Note files that were written, and those in folders; from now on they are held to it, even after a kill."""
        if self._state is None:
            return
        for path in paths:
            files = [inner for inner in path.rglob("*") if inner.is_file()] if path.is_dir() else [path]
            for file in files:
                name = file.relative_to(self._folder).as_posix()
                if _counts(name):
                    self._state.files[name] = _hash(file)
        _write(self._folder, self._state)

    def close(self) -> None:
        """Note everything that was written since `open`, and end."""
        if self._state is None:
            return
        found = _hashes(self._folder)
        self._state.files |= {name: hash for name, hash in found.items() if self._before.get(name) != hash}
        for name in self._before:
            if name not in found:
                self._state.files.pop(name, None)
        self._state.open = False
        _write(self._folder, self._state)
        self._state = None


def _loose(name: str, files: Mapping[str, str]) -> bool:
    """Whether a file may be in the middle of being written while the manifest is open."""
    parts = name.split("/")
    if parts[0] == "cells" and len(parts) > 2:
        return not any(f"cells/{parts[1]}/{last}" in files for last in ("cell.json", "failed.json"))
    return not (parts[0] == "audits" and len(parts) == 4 and name in files)


def _counts(name: str) -> bool:
    """Whether a file counts: not the manifest itself, no hidden one such as a lock, and nothing that owners hand in later."""
    if name.startswith(HANDED):
        return False
    return name != NAME and not name.endswith(".lock") and not any(part.startswith(".") for part in name.split("/"))


def _hashes(folder: Path) -> dict[str, str]:
    files = (Path(path) / name for path, _, names in os.walk(folder) for name in names)
    named = {file.relative_to(folder).as_posix(): file for file in files}
    return {name: _hash(file) for name, file in sorted(named.items()) if _counts(name) and file.is_file()}


def _hash(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _read(folder: Path) -> _State | None:
    """The manifest of a folder; None where there is none, or none that can be read."""
    try:
        table: Any = json.loads((folder / NAME).read_text(encoding="utf-8"))
        files = {str(name): str(hash) for name, hash in table["files"].items()}
        return _State(files, bool(table["open"]), int(table.get("as_found", 0))) if table["format"] == FORMAT else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _write(folder: Path, state: _State) -> None:
    table: dict[str, Any] = {"format": FORMAT, "open": state.open, "files": dict(sorted(state.files.items()))}
    if state.as_found:
        table["as_found"] = state.as_found
    write_file(folder / NAME, json.dumps(table, indent=1) + "\n")
