"""Scale: time, bytes and memory on the student's side as teachers of their own grow in number, with a fake model.

    python -m benchmarks.scale        # 10, 100 and 1,000 teachers, asked all at once and in cohorts of 50

Each number of teachers is measured in a process of its own, so that peak memory is its own; before it, ten teachers teach a
lesson, so that what every lesson needs is not counted. Teachers are made for each request and forgotten, and carried to in this
process: what is left in memory is the student's. The arm `generated` is run, rounds of examples and three of grades, through
enquiries, checks and the reply log, as over sockets or Flower.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import clock, machine
from benchmarks.compare import ROOT
from social_learning.files import write_file
from social_learning.messages import Response, enquiry_from_json, to_json
from social_learning.models.fakes import MixerModel
from social_learning.protocols.candidates import Generation
from social_learning.protocols.cohorts import cohort_examples
from social_learning.protocols.examples import random_examples
from social_learning.seeds import generator
from social_learning.silo import Silo
from social_learning.task import Example
from social_learning.tasks import built_in
from social_learning.teacher import Teacher
from social_learning.transports.carrier import Missing
from social_learning.transports.remote import Place, RemoteRounds
from social_learning.transports.reply_log import ReplyLog
from social_learning.transports.rounds import drive_rounds

RESULTS = Path(__file__).parent / "results"
TASK = built_in("phone_messages").task
WORDS = [f"word{number}" for number in range(2000)]
COHORT = 50
GENERATION = Generation(
    shots=8, samples=8, count=4, temperature=0.8, top_p=0.95, way="label-first", self_check=False, balanced=True,
    lessons=16, questions=8,
)  # fmt: skip
HELD_OUT = 8


class Simulated:
    """Carries to teachers that are made anew for each request, and counts bytes both ways."""

    def __init__(self) -> None:
        self.sent = self.received = 0
        self.teaching = 0.0

    def carry(self, letters: Mapping[str, bytes]) -> Iterator[tuple[str, bytes | Missing]]:
        """Answer one round."""
        for name, letter in letters.items():
            started = time.perf_counter()
            answer = self._answer(name, letter)
            self.teaching += time.perf_counter() - started
            self.sent += len(letter)
            self.received += len(answer)
            yield name, answer

    @staticmethod
    def _answer(name: str, letter: bytes) -> bytes:
        enquiry = enquiry_from_json(letter)
        words = generator(1, name).choice(WORDS, (16 + HELD_OUT, 12))
        rows = [Example(fields={"text": " ".join(text)}, answer=TASK.labels[n % 2]) for n, text in enumerate(words)]
        reply = Teacher(Silo(name, TASK, rows[HELD_OUT:], rows[:HELD_OUT]), MixerModel("fake:mixer"), seed=1).answer(
            enquiry.request
        )
        return to_json(Response(run=enquiry.run, id=enquiry.id, reply=reply)).encode()


def teach(count: int, cohort: int | None) -> tuple[Simulated, float]:
    """Teach one lesson with so many teachers; returns what was carried, and the seconds on the student's side."""
    names, carrier = [f"teacher-{number + 1}" for number in range(count)], Simulated()
    aggregate = random_examples if cohort is None else cohort_examples
    with tempfile.TemporaryDirectory() as folder:
        log = ReplyLog(Path(folder) / "replies.jsonl")
        started = time.perf_counter()
        rounds = RemoteRounds(Place("scale", "generated", 0), TASK, carrier, log, 0)
        asked = replace(GENERATION, cohort=cohort)
        lesson = drive_rounds(aggregate(TASK, names, 16, asked, generator(1, "student")), rounds)
        seconds = time.perf_counter() - started
        log.close()
    if len(lesson.examples) != 16:
        raise RuntimeError("no whole lesson")
    return carrier, seconds - carrier.teaching


def measure(count: int, cohort: int | None) -> dict[str, float | int | None]:
    """Measure one number of teachers in this process."""
    teach(10, cohort)
    before = clock.memory_from_now()
    carrier, seconds = teach(count, cohort)
    grown = clock.peak_bytes() - before
    return {
        "teachers": count,
        "cohort": cohort,
        "student_seconds": seconds,
        "student_ms_per_teacher": 1000 * seconds / count,
        "teachers_seconds": carrier.teaching,
        "bytes_out_per_teacher": round(carrier.sent / count),
        "bytes_in_per_teacher": round(carrier.received / count),
        "grown_kib": grown / 1024,
        "grown_kib_per_teacher": grown / 1024 / count,
    }


def main() -> None:
    """Measure each number of teachers in a process of its own, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teachers", type=int, nargs="*", default=[10, 100, 1000])
    parser.add_argument("--here", type=int, nargs=2, metavar=("TEACHERS", "COHORT"), help="measure in this process")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    if given.here:
        print(json.dumps(measure(given.here[0], given.here[1] or None)))
        return
    rows: list[dict[str, Any]] = []
    for cohort in (0, COHORT):
        for count in given.teachers:
            command = [sys.executable, "-m", "benchmarks.scale", "--here", str(count), str(cohort)]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
            rows.append(json.loads(done.stdout))
            print(json.dumps(rows[-1]), flush=True)
    write_file(given.out / "scale.json", json.dumps({"machine": machine.facts(), "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
