"""Owner: what a silo's owner alone may see, kept in the silo's private folder and never in the run folder.

TEACHER/closest-FINGERPRINT.json   for each cell, the shared text nearest to the silo, and the private one it is near to
TEACHER/owner-FINGERPRINT.html     the same to read
"""

import json
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from social_learning.files import OWNER_ONLY, locked, make_folder, read_json, sweep, write_file
from social_learning.privacy.closeness import Pair
from social_learning.report import owner_page


class OwnerReports:
    """The reports of one run to the owners of its silos. `silos` holds one private folder per silo.

    Runs of the same experiment in different run folders share them: what one adds, another does not take away.
    """

    def __init__(self, silos: Path, fingerprint: str) -> None:
        self._silos = silos
        self._fingerprint = fingerprint

    def keep(self, cell: str, pairs: Mapping[str, Pair | None]) -> None:
        """Keep the closest pair of each silo in one cell; None where nothing left the silo."""
        for teacher, pair in pairs.items():
            if pair is not None:
                told = {"distance": pair.distance, "shared": pair.shared, "private": pair.private}
                file = self._file(teacher)
                make_folder(file.parent, 0o700)
                with self._turn(file):
                    table = {**self._read(file), cell: told}
                    write_file(file, json.dumps(table, ensure_ascii=False, indent=2) + "\n", OWNER_ONLY)

    def write(self, experiment: str) -> list[Path]:
        """Write the readable reports and return their paths."""
        written = []
        for file in sorted(self._silos.glob(f"*/closest-{self._fingerprint}.json")):
            path = file.with_name(f"owner-{self._fingerprint}.html")
            # The page is of what stands in the file when it is written: else an older one could come last.
            with self._turn(file):
                sweep(file.parent)
                pairs = sorted(self._read(file).items(), key=lambda entry: entry[1]["distance"])
                write_file(path, owner_page(experiment, file.parent.name, pairs), OWNER_ONLY)
            written.append(path)
        return written

    def _file(self, teacher: str) -> Path:
        return self._silos / teacher / f"closest-{self._fingerprint}.json"

    @staticmethod
    def _turn(file: Path) -> AbstractContextManager[None]:
        return locked(file.with_name(".owner.lock"))

    @staticmethod
    def _read(file: Path) -> dict[str, Any]:
        found = read_json(file) if file.exists() else {}
        return found if isinstance(found, dict) else {}
