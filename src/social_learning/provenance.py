"""Provenance: the commit that a command ran from, and what it took in time and memory."""

import functools
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Took:
    """What commands took that came to an end: seconds of wall time in all, and how many they were.

    `peak_memory`: the most bytes that any of their processes had resident; None where the system does not tell.
    """

    seconds: float = 0.0
    peak_memory: int | None = None
    commands: int = 0

    def and_now(self, seconds: float) -> Self:
        """Add a command of this process that took so many seconds up to now."""
        peaks = [peak for peak in (self.peak_memory, peak_memory()) if peak is not None]
        return type(self)(round(self.seconds + seconds, 1), max(peaks, default=None), self.commands + 1)

    def to_table(self) -> dict[str, Any]:
        """Return plain values; `Took(**table)` reads them."""
        return asdict(self)


def peak_memory() -> int | None:
    """Return the most bytes that this process had resident so far; None where the system does not tell."""
    try:
        import resource  # not on Windows
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


@functools.cache
def own_commit() -> str | None:
    """Return the commit that this package runs from, as it is when first asked for; see `commit_of`."""
    return commit_of(Path(__file__))


def commit_of(file: Path) -> str | None:
    """Return the commit of the checkout that a file is part of, with `, changed` where a tracked file differs from it.

    None where git is missing, and where the file is in no checkout: an installed package may lie in somebody else's.
    """
    try:
        _git(file.parent, "ls-files", "--error-unmatch", file.name)
        commit = _git(file.parent, "rev-parse", "HEAD").strip()
        changed = _git(file.parent, "status", "--porcelain", "--untracked-files=no").strip()
    except (OSError, subprocess.SubprocessError):
        return None
    return commit + (", changed" if changed else "")


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)  # noqa: S603  # fixed words
    return done.stdout
