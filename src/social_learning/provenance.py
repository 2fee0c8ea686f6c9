"""Provenance: which command made something, by which code, with which models and when; and what it took in time and memory."""

import functools
import platform
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Self

PACKAGES = ("social-learning", "torch", "transformers", "tokenizers", "numpy", "scipy", "pydantic")

Clock = Callable[[], datetime]
"""Returns the time now, with its time zone."""


def utc_now() -> datetime:
    """Return the time now, in UTC."""
    return datetime.now(UTC)


def iso(moment: datetime) -> str:
    """Return a moment in UTC as ISO 8601, to the millisecond: `2026-01-31T12:00:00.000Z`.

    Raises ValueError for one without a time zone: nobody could say when that was.
    """
    if moment.tzinfo is None:
        raise ValueError("a clock must tell its time zone")
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class Stamp:
    """How one part was made: the command, the versions of the code, the models' identities, start and end (ISO 8601, UTC).

    `command` is the command line as it was typed, without keys, or the name of a Python function. `versions` holds `commit`
    where the code was a checkout.
    """

    command: str
    versions: Mapping[str, str]
    models: Mapping[str, str]
    started: str
    ended: str

    @property
    def code(self) -> str:
        """The package's version, and its commit where it is known."""
        commit = self.versions.get("commit")
        told = f"version {self.versions.get('social-learning', 'unknown')}"
        return told if commit is None else f"{told}, commit {short_commit(commit)}"

    def to_table(self) -> dict[str, Any]:
        """Return plain values; `from_table` reads them."""
        return {**asdict(self), "versions": dict(self.versions), "models": dict(self.models)}

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> Self:
        """Read what `to_table` made; raises TypeError or ValueError for anything else."""
        stamp = cls(**table)
        texts = (stamp.command, stamp.started, stamp.ended, *stamp.versions.values(), *stamp.models.values())
        if not all(isinstance(text, str) for text in texts):
            raise TypeError("a stamp holds texts")
        _ = datetime.fromisoformat(stamp.started), datetime.fromisoformat(stamp.ended)
        return stamp


def versions() -> dict[str, str]:
    """Return the versions of Python, of this package (with its commit, from a checkout) and of what it computes with."""
    found = {"python": sys.version.split()[0], "platform": platform.platform()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    commit = own_commit()
    return found if commit is None else {**found, "commit": commit}


@dataclass(frozen=True, slots=True)
class Origin:
    """Where things come from that one command makes: the command, the clock it reads, and the versions of the code."""

    command: str
    clock: Clock = utc_now
    versions: Mapping[str, str] = field(default_factory=versions)

    def now(self) -> str:
        """Return the time now, as ISO 8601 in UTC."""
        return iso(self.clock())

    def stamp(self, started: str, models: Mapping[str, str]) -> Stamp:
        """Return the stamp of a part that was begun at `started` and is finished now."""
        return Stamp(self.command, self.versions, models, started, self.now())


@dataclass(frozen=True, slots=True)
class Batch:
    """Parts that the same command made with the same code and models: their names, and a stamp from first start to last end.

    `stamp` is None for parts of versions that wrote none.
    """

    names: tuple[str, ...]
    stamp: Stamp | None


def batches(stamps: Iterable[tuple[str, Stamp | None]]) -> list[Batch]:
    """Put parts together that differ in nothing but their times, in the order in which they come."""
    found: dict[str, list[tuple[str, Stamp | None]]] = {}
    for name, stamp in stamps:
        told = (
            "" if stamp is None else repr((stamp.command, sorted(stamp.versions.items()), sorted(stamp.models.items())))
        )
        found.setdefault(told, []).append((name, stamp))
    return [
        Batch(tuple(name for name, _ in group), _spanning([stamp for _, stamp in group])) for group in found.values()
    ]


def _spanning(stamps: Sequence[Stamp | None]) -> Stamp | None:
    known = [stamp for stamp in stamps if stamp is not None]
    if not known:
        return None
    first = known[0]
    started, ended = min(stamp.started for stamp in known), max(stamp.ended for stamp in known)
    return Stamp(first.command, first.versions, first.models, started, ended)


def mixed(stamps: Iterable[tuple[str, Stamp | None]], what: str = "cells") -> str | None:
    """Return one line that says which parts were made by which code, where that was not the same for all; else None."""
    groups: dict[tuple[tuple[str, str], ...] | None, list[str]] = {}
    for name, stamp in stamps:
        groups.setdefault(None if stamp is None else tuple(sorted(stamp.versions.items())), []).append(name)
    if len(groups) < 2:
        return None
    known = [dict(group) for group in groups if group is not None]
    differ = [key for key in dict.fromkeys(k for one in known for k in one) if len({one.get(key) for one in known}) > 1]
    told = [
        (names, "a version that did not write down its own" if group is None else _code(dict(group), differ))
        for group, names in groups.items()
    ]
    first = [f"{what} {_listed(names)} were made by {code}" for names, code in told[:-1]]
    return f"{', '.join(first)}, the rest by {told[-1][1]}"


def _code(versions: Mapping[str, str], differ: Sequence[str]) -> str:
    """Name code by what tells it from the other: its commit before all."""
    if "commit" in differ:
        return f"commit {short_commit(versions['commit'])}" if "commit" in versions else "no commit that is known"
    return ", ".join(f"{key} {versions.get(key, 'none')}" for key in differ or ["social-learning"])


def short_commit(commit: str) -> str:
    """Return the first 12 digits of a commit, with what stands behind it."""
    digits, comma, rest = commit.partition(",")
    return digits[:12] + comma + rest


def _listed(names: Sequence[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


_SECRET = re.compile(r"key|token|secret|passw|credential", re.IGNORECASE)
"""Environment variables whose values are left out: a shell puts them in place of `$NAME`."""

_SHORTEST = 8
"""Shorter values are not looked for: they would be found inside other words."""

_KEY = re.compile(r"\b(?:sk|hf|gsk|xai|ghp|gho|glpat|github_pat|AIza)[-_]?[A-Za-z0-9_-]{16,}")
"""Keys that are known by how they begin."""

_LOGIN = re.compile(r"//[^/@\s]+@")


def as_typed(argv: Sequence[str], environment: Mapping[str, str]) -> str:
    """Return a command line as one text, quoted for a shell; keys and log-ins in it become `[left out]`.

    `argv` begins with the program, of whose path only the name is kept.
    """
    program = Path(argv[0]).name
    words = ["python", "-m", "social_learning.cli"] if program == "__main__.py" else [program]
    secrets = [v for name, v in environment.items() if _SECRET.search(name) and len(v) >= _SHORTEST]
    return " ".join([*words, *(shlex.quote(_without(secrets, word)) for word in argv[1:])])


def _without(secrets: Sequence[str], word: str) -> str:
    for secret in sorted(secrets, key=len, reverse=True):
        word = word.replace(secret, "[left out]")
    return _LOGIN.sub("//[left out]@", _KEY.sub("[left out]", word))


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
