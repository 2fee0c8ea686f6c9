"""Attendance: who was missing in a run with teachers of their own, and what was taken out of replies or flagged, in words."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from social_learning.files import read_json
from social_learning.report.numbers import count
from social_learning.results import CellKey


def attendance_lines(folder: Path, keys: Sequence[CellKey]) -> list[str]:
    """Say in words who was missing in a run and why, and what was taken out or flagged; empty where all was well."""
    missing, flags = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for key in keys:
        file = folder / "cells" / key.name / "attendance.json"
        table = read_json(file) if file.exists() else {"missing": [], "flags": {}}
        missing.update((entry["teacher"], entry["reason"]) for entry in table["missing"])
        for teacher, counts in table["flags"].items():
            flags.update({(teacher, flag): number for flag, number in counts.items()})
    lines = [
        f"{teacher} was missing in {count(rounds, 'round')}: {reason}"
        for (teacher, reason), rounds in sorted(missing.items())
    ]
    return lines + [f"{teacher}: {count(texts, 'text')} {flag}" for (teacher, flag), texts in sorted(flags.items())]
