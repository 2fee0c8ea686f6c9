"""The storm of the benchmark, in small: with faults by chance, nothing is lost and nothing doubled."""

import random
from pathlib import Path

from benchmarks.endpoints.loopback import Loopback
from benchmarks.endpoints.storm import Faulty, run_storm


def test_calls_with_faults_are_all_answered_and_each_only_once(tmp_path: Path) -> None:
    faulty = Faulty(0.05, random.Random(3))
    with Loopback(faulty) as server:
        found = run_storm(server.url, 400, 32, tmp_path)
    assert (found["right"], found["kept"]) == (400, 400)
    assert sum(faulty.bad.values()) > 5
    assert len(faulty.good) == 400
    assert set(faulty.good.values()) == {1}
