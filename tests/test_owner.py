"""Owners' reports: what runs that share silos tell an owner is all kept, and for the owner alone."""

import json
import stat
from pathlib import Path

from tests.processes import at_once


def test_runs_at_once_that_share_silos_lose_nothing_of_what_owners_are_told(tmp_path: Path) -> None:
    program = """
        import sys
        from pathlib import Path
        from social_learning.owner import OwnerReports
        from social_learning.privacy.closeness import Pair
        reports = OwnerReports(Path(sys.argv[1]), "0123abcd")
        for number in range(30):
            pair = Pair("private", "shared", number / 100)
            reports.keep(f"{sys.argv[2]}-r{number}", {"ann": pair, "bo": pair, "silent": None})
        reports.write("test")
    """
    at_once(program, [(tmp_path, letter) for letter in "abc"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ann", "bo"]
    for teacher in ("ann", "bo"):
        file, page = tmp_path / teacher / "closest-0123abcd.json", tmp_path / teacher / "owner-0123abcd.html"
        assert set(json.loads(file.read_text())) == {f"{letter}-r{number}" for letter in "abc" for number in range(30)}
        assert [stat.S_IMODE(path.stat().st_mode) for path in (file, page)] == [0o600, 0o600]
        assert stat.S_IMODE((tmp_path / teacher).stat().st_mode) == 0o700
