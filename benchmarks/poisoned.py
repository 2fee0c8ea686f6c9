"""One poisoned teacher among eight: how far it pulls the student below the seven honest ones, by attack and by aggregator.

    SOCIAL_LEARNING_DATA=DIR python -m benchmarks.poisoned                       # SMS Spam, embedded model, 5 repeats
    SOCIAL_LEARNING_DATA=DIR python -m benchmarks.poisoned --rows 20 --repeats 1   # a quick look

The attacks, each made where the reply leaves the teacher, after its own checks, so that nothing on its side helps:

    flipped   its examples with the other label, and its votes for its own examples
    junk      random letters with labels in turn, as many as were asked for, and its votes for them

Either grades the lessons that hold most of its own examples with 1, and all others with 0.

What comes in goes through the same checks as replies of teachers of their own. Aggregators: `default` and `paper` are the method
`generated` with these recipes (`paper` picks at random), `voted` is the vote. Honest teachers' calls are made once and cached
for the run, so conditions differ in nothing but the eighth teacher. `8 honest` shows how far one more teacher moves lessons by
chance. Writes benchmarks/results/poisoned.json.
"""

import argparse
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import machine
from social_learning.config import Arm, Experiment, parse_experiment
from social_learning.corpus import Corpus, load_corpus
from social_learning.errors import UserError
from social_learning.evaluation import evaluate
from social_learning.experiment import pool_for, teacher_for
from social_learning.files import write_file
from social_learning.messages import (
    Enquiry,
    Reply,
    ReplyExamples,
    ReplyGrades,
    ReplyVote,
    Request,
    RequestExamples,
    RequestGrades,
    RequestVote,
    Response,
    to_json,
)
from social_learning.models.pool import ModelPool
from social_learning.models.registry import load_model
from social_learning.preflight import silos_for
from social_learning.progress import Unwatched
from social_learning.recipes import protocol
from social_learning.seeds import child_seed, generator
from social_learning.statistics import mean, standard_error
from social_learning.student import Student
from social_learning.task import Example, Task
from social_learning.transports.carrier import Missing
from social_learning.transports.intake import accept
from social_learning.transports.local import Answers, drive

RESULTS = Path(__file__).parent / "results"
TEACHERS = 8
LIMIT = 3.0
"""Points of accuracy that a poisoned teacher may take, with the default aggregator."""

AGGREGATORS: Mapping[str, dict[str, Any]] = {
    "default": {"method": "generated"},
    "paper": {"method": "generated", "generation": {"recipe": "paper"}},
    "voted": {"method": "voted"},
}

Attack = Callable[[ReplyExamples, RequestExamples, Task, np.random.Generator], list[Example]]


def flipped(honest: ReplyExamples, _request: RequestExamples, task: Task, rng: np.random.Generator) -> list[Example]:
    """The examples of a reply, each with another label."""
    others = {label: [other for other in task.labels if other != label] for label in task.labels}
    return [
        Example(fields=example.fields, answer=str(rng.choice(others[example.answer]))) for example in honest.examples
    ]


def junk(_honest: ReplyExamples, request: RequestExamples, task: Task, rng: np.random.Generator) -> list[Example]:
    """As many examples as were asked for, of random letters, labels in turn."""

    def text() -> str:
        return " ".join("".join(rng.choice(list("bcdfghjklmnpqrstvwxz"), rng.integers(2, 9))) for _ in range(12))

    return [
        task.example({**{name: text() for name in task.field_names}, "answer": task.labels[number % len(task.labels)]})
        for number in range(request.count)
    ]


ATTACKS: Mapping[str, Attack] = {"flipped": flipped, "junk": junk}


class Poisoned:
    """A teacher whose replies are exchanged for those of an attack, and that speaks for what it sent, where it can."""

    def __init__(self, name: str, teacher: Answers, attack: Attack, task: Task, rng: np.random.Generator) -> None:
        self._name, self._teacher, self._attack, self._task, self._rng = name, teacher, attack, task, rng
        self._sent: list[Example] = []

    def answer(self, request: Request) -> Reply:
        """Answer as the attack does."""
        if isinstance(request, RequestVote):
            own = [number for number, example in enumerate(request.candidates) if example in self._sent]
            choice = own[0] if own else int(self._rng.integers(len(request.candidates)))
            return ReplyVote(teacher=self._name, round=request.round, choice=choice)
        if isinstance(request, RequestGrades):
            own = [sum(request.candidates[place] in self._sent for place in lesson) for lesson in request.lessons]
            grades = tuple(float(count == max(own)) for count in own)
            return ReplyGrades(teacher=self._name, round=request.round, grades=grades)
        reply = self._teacher.answer(request)
        if not isinstance(reply, ReplyExamples) or not isinstance(request, RequestExamples):
            raise TypeError(f"no attack on requests of kind {request.kind!r}")
        sent = self._attack(reply, request, self._task, self._rng)
        self._sent += sent
        return reply.model_copy(update={"examples": tuple(sent)})


class Checked:
    """A teacher whose replies go through the checks that replies of teachers of their own go through."""

    def __init__(self, name: str, teacher: Answers, task: Task) -> None:
        self._name, self._teacher, self._task = name, teacher, task

    def answer(self, request: Request) -> Reply:
        """Answer; raises RuntimeError where the reply would be refused whole."""
        enquiry = Enquiry(run="run", id="id", repeat=0, request=request)
        response = Response(run="run", id="id", reply=self._teacher.answer(request))
        accepted = accept(self._name, enquiry, to_json(response).encode(), self._task)
        if isinstance(accepted, Missing):
            raise RuntimeError(f"a reply was refused: {accepted.reason}")
        return accepted.reply


def accuracy(
    experiment: Experiment, arm: Arm, corpus: Corpus, models: ModelPool, repeat: int, count: int, attack: Attack | None
) -> tuple[float, int]:
    """Return the accuracy in points of a student taught by the first `count` teachers, of whom the last makes the attack; and how
    many of the lesson's examples are from that one.
    """
    silos = silos_for(experiment, arm, corpus, repeat)[:count]
    last = silos[-1].name
    teachers: dict[str, Answers] = {}
    for silo in silos:
        teacher: Answers = teacher_for(experiment, arm, silo, models, repeat)
        if attack and silo.name == last:
            teacher = Poisoned(last, teacher, attack, corpus.task, generator(repeat, "poison"))
        teachers[silo.name] = Checked(silo.name, teacher, corpus.task)
    shots = max(arm.shots)
    teaching = protocol(arm, corpus.task, shots, list(teachers), generator(experiment.seed, "student", repeat))
    lesson = drive(teaching, teachers, together=models.together)
    student = Student(
        models.get(arm.student.model, "student", arm.student.options()),
        lesson,
        answer_by=arm.student.answer_by,
        calibrate=arm.student.calibrate,
        seed=child_seed(experiment.seed, "student", repeat),
    )
    poisoned = sum(source.teacher == last for source in lesson.sources) if attack else 0
    return 100 * evaluate(student, corpus.task, corpus.test).accuracy, poisoned


def measure(experiment: Experiment, corpus: Corpus, aggregators: Sequence[str]) -> list[dict[str, Any]]:
    """Return one row for each aggregator and condition, printing each."""
    conditions: dict[str, tuple[int, Attack | None]] = {
        "7 honest": (TEACHERS - 1, None),
        **{name: (TEACHERS, attack) for name, attack in ATTACKS.items()},
        "8 honest": (TEACHERS, None),
    }
    arms = {arm.name: arm for arm in experiment.resolved_arms()}
    rows: list[dict[str, Any]] = []
    with closing(pool_for(experiment, load_model, Unwatched())) as models:
        for name in aggregators:
            honest: list[float] = []
            for condition, (count, attack) in conditions.items():
                repeats = range(experiment.repeats)
                told = [accuracy(experiment, arms[name], corpus, models, repeat, count, attack) for repeat in repeats]
                points = [value for value, _ in told]
                honest = honest or points
                below = [before - now for before, now in zip(honest, points, strict=True)]
                rows.append(
                    {
                        "aggregator": name,
                        "condition": condition,
                        "accuracy": mean(points),
                        "standard_error": standard_error(points),
                        "below_honest": mean(below),
                        "below_honest_standard_error": standard_error(below),
                        "poisoned_examples": mean([poisoned for _, poisoned in told]),
                        "repeats": points,
                    }
                )
                print(_line(rows[-1]), flush=True)
    return rows


def _line(row: Mapping[str, Any]) -> str:
    error = row["below_honest_standard_error"]
    spread = "" if error is None else f" (standard error {error:.1f})"
    return (
        f"{row['aggregator']:>8} {row['condition']:>9}: {row['accuracy']:5.1f} %, {row['below_honest']:+.1f} points below{spread}, "
        f"{row['poisoned_examples']:.1f} poisoned examples in a lesson"
    )


def experiment_of(given: argparse.Namespace, chosen: Sequence[str], silos: str) -> Experiment:
    """Return the experiment whose arms are the aggregators; call caches lie in `silos`."""
    return parse_experiment(
        {
            "name": "poisoned",
            "task": given.task,
            "repeats": given.repeats,
            "shots": [given.shots],
            "arms": {name: AGGREGATORS[name] for name in chosen},
            "compare_with": chosen[0],
            "data": {"test_rows": given.rows},
            "teachers": {"model": given.model, "count": TEACHERS},
            "student": {"model": given.model},
            "privacy": {"silos": silos},
        }
    )


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=500, help="test rows")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--shots", type=int, default=16)
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--task", default="sms_spam")
    parser.add_argument("--aggregators", nargs="+", choices=list(AGGREGATORS), default=list(AGGREGATORS))
    parser.add_argument("--silos", type=Path, help="keep the call caches here, so that a stopped benchmark can go on")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    with nullcontext(str(given.silos)) if given.silos else tempfile.TemporaryDirectory() as silos:
        try:
            experiment = experiment_of(given, given.aggregators, silos)
            measured = measure(experiment, load_corpus(experiment), given.aggregators)
        except UserError as error:
            raise SystemExit(f"error: {error}") from None
    first = given.aggregators[0]
    worst = max(row["below_honest"] for row in measured if row["aggregator"] == first and row["condition"] in ATTACKS)
    settings = {name: getattr(given, name) for name in ("task", "model", "rows", "repeats", "shots")}
    table = {"machine": machine.facts(), **settings, "limit": LIMIT, "within": worst <= LIMIT, "conditions": measured}
    write_file(given.out / "poisoned.json", json.dumps(table, indent=2) + "\n")
    print(f"{first}: at most {worst:.1f} points below the honest ones; the limit is {LIMIT:.0f}")


if __name__ == "__main__":
    main()
