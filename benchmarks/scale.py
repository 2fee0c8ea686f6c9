"""Scale: time, bytes and memory on the student's side as teachers of their own grow in number, with a fake model.

    python -m benchmarks.scale                # 10, 100 and 1,000 teachers; one line of JSON each

Each number of teachers is measured in a process of its own, so that peak memory is its own. Teachers are made for each
request and forgotten, and carried to in this process: what is left in memory is the student's. One round of the arm
`generated` is run, through enquiries, checks and the reply log, as over sockets or Flower.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from social_learning.messages import Response, enquiry_from_json, to_json
from social_learning.models.fakes import MixerModel
from social_learning.protocols.examples import Generation, random_examples
from social_learning.seeds import generator
from social_learning.silo import Silo
from social_learning.task import Example
from social_learning.tasks import built_in
from social_learning.teacher import Teacher
from social_learning.transports.carrier import Missing
from social_learning.transports.remote import Place, RemoteRounds
from social_learning.transports.reply_log import ReplyLog
from social_learning.transports.rounds import drive_rounds

TASK = built_in("phone_messages").task
WORDS = [f"word{number}" for number in range(2000)]
GENERATION = Generation(
    shots=8, samples=8, count=4, temperature=0.8, top_p=0.95, way="label-first", self_check=False, balanced=True
)


class Simulated:
    """Carries to teachers that are made anew for each request, and counts bytes both ways."""

    def __init__(self) -> None:
        self.sent = self.received = 0
        self.teaching = 0.0

    def carry(self, letters: Mapping[str, bytes]) -> Mapping[str, bytes | Missing]:
        """Answer one round."""
        started = time.perf_counter()
        answers = {name: self._answer(name, letter) for name, letter in letters.items()}
        self.teaching += time.perf_counter() - started
        self.sent += sum(map(len, letters.values()))
        self.received += sum(map(len, answers.values()))
        return answers

    @staticmethod
    def _answer(name: str, letter: bytes) -> bytes:
        enquiry = enquiry_from_json(letter)
        rng = generator(1, name)
        rows = [
            Example(fields={"text": " ".join(rng.choice(WORDS, 12))}, answer=TASK.labels[row % 2]) for row in range(16)
        ]
        reply = Teacher(Silo(name, TASK, rows), MixerModel("fake:mixer"), seed=1).answer(enquiry.request)
        return to_json(Response(run=enquiry.run, id=enquiry.id, reply=reply)).encode()


def measure(count: int) -> dict[str, float]:
    """Teach one lesson with so many teachers; memory is this process's peak, in MiB, and what it was before."""
    before = _peak()
    names = [f"teacher-{number + 1}" for number in range(count)]
    carrier = Simulated()
    with tempfile.TemporaryDirectory() as folder:
        log = ReplyLog(Path(folder) / "replies.jsonl")
        started = time.perf_counter()
        rounds = RemoteRounds(Place("scale", "generated", 0), TASK, carrier, log, 0)
        lesson = drive_rounds(random_examples(TASK, names, 16, GENERATION, generator(1, "student")), rounds)
        seconds = time.perf_counter() - started
        log.close()
    if len(lesson.examples) != 16:
        raise RuntimeError("no whole lesson")
    return {
        "teachers": count,
        "student_seconds": round(seconds - carrier.teaching, 4),
        "student_ms_per_teacher": round(1000 * (seconds - carrier.teaching) / count, 3),
        "teachers_seconds": round(carrier.teaching, 3),
        "bytes_out_per_teacher": round(carrier.sent / count),
        "bytes_in_per_teacher": round(carrier.received / count),
        "peak_mib_before": round(before, 1),
        "peak_mib": round(_peak(), 1),
    }


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Measure each number of teachers in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teachers", type=int, nargs="*", default=[10, 100, 1000])
    parser.add_argument("--here", action="store_true", help="measure in this process")
    given = parser.parse_args()
    for count in given.teachers:
        if given.here:
            print(json.dumps(measure(count)))
        else:
            command = [sys.executable, "-m", "benchmarks.scale", "--here", "--teachers", str(count)]
            subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
