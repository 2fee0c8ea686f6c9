"""Overhead: what this package itself costs per message, with a model that answers at once.

Real silos, teachers, guards, lockstep, transport and protocol; only the model is a stand-in, and its time is taken out.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from social_learning.models.base import Completion, GenerateCall, Prompt, Sampling, Score
from social_learning.models.lockstep import LockstepModel, Together
from social_learning.protocols.candidates import Generation
from social_learning.protocols.examples import random_examples
from social_learning.seeds import generator
from social_learning.silo import make_silos, split_uniform
from social_learning.task import Example, Task
from social_learning.tasks import built_in
from social_learning.teacher import Teacher
from social_learning.transports.local import drive

PER_TEACHER = 12
"""Private examples of each teacher."""

WORDS = (
    "call",
    "win",
    "now",
    "free",
    "text",
    "lunch",
    "later",
    "home",
    "bus",
    "prize",
    "ring",
    "soon",
    "game",
    "today",
    "quick",
    "reply",
    "late",
    "train",
    "meet",
    "cash",
)


class InstantModel:
    """A model that answers with invented messages at once, and counts the time that this takes."""

    name = identity = "instant"
    context_length = 8192

    def __init__(self) -> None:
        self.seconds = 0.0
        self._calls = 0

    def count_tokens(self, text: str) -> int:
        """Return a number that costs nothing to get."""
        return len(text)

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling, samples: int = 1) -> list[list[Completion]]:
        """Write an invented message for each sample."""
        return self.generate_calls([GenerateCall(tuple(prompts), sampling, samples)])[0]

    def generate_calls(self, calls: Sequence[GenerateCall]) -> list[list[list[Completion]]]:
        """Answer several calls."""
        started = time.perf_counter()
        answers = [[[self._write() for _ in range(call.samples)] for _ in call.prompts] for call in calls]
        self.seconds += time.perf_counter() - started
        return answers

    def _write(self) -> Completion:
        self._calls += 1
        text = " ".join(WORDS[(self._calls * k) % len(WORDS)] for k in (1, 3, 7, 9, 11)) + f" {self._calls}"
        return Completion(" " + text, (-1.0, -0.5), "stop", 100)

    def score(self, pairs: Sequence[tuple[Prompt, str]]) -> list[Score]:
        """Give every continuation nearly the same score."""
        started = time.perf_counter()
        answers = [Score(-1.0 - number % 5 / 10, 1, False, 100) for number in range(len(pairs))]
        self.seconds += time.perf_counter() - started
        return answers


@dataclass(frozen=True, slots=True)
class Round:
    """Teachers asked for examples, and what it took: `seconds` is without the model's own time."""

    teachers: int
    messages: int
    seconds: float

    def to_table(self) -> dict[str, Any]:
        """Return the numbers as they are written down; a message is a request with its reply."""
        return {
            "teachers": self.teachers,
            "messages": self.messages,
            "ms_per_message": 1000 * self.seconds / self.messages,
        }


def invented(task: Task, count: int, rng: np.random.Generator) -> list[Example]:
    """Return different invented text messages, both labels in turn."""
    return [
        Example(
            fields={"text": " ".join(rng.choice(WORDS, size=12)) + f" {number}"},
            answer=task.labels[number % len(task.labels)],
        )
        for number in range(count)
    ]


def teach(teachers: int) -> Round:
    """Have teachers send examples, with the default recipe, and pick a lesson of 16 (fewer where one round has fewer)."""
    task, model = built_in("sms_spam_classes").task, InstantModel()
    lockstep = LockstepModel(model)
    names = [f"teacher-{number}" for number in range(teachers)]
    examples = invented(task, PER_TEACHER * teachers, generator(0, "invented"))
    silos = make_silos(task, examples, names, split_uniform, 0.25, generator(0, "split"))
    people = {silo.name: Teacher(silo, lockstep, seed=number) for number, silo in enumerate(silos)}
    generation = Generation(8, 8, 4, 0.8, 0.95, "label-first", self_check=True, balanced=True)
    heard: list[object] = []
    protocol = random_examples(task, names, min(16, 2 * teachers), generation, generator(0, "student"))
    started = time.perf_counter()
    drive(protocol, people, lambda _, reply: heard.append(reply), together=Together([lockstep]))
    return Round(teachers, len(heard), time.perf_counter() - started - model.seconds)
