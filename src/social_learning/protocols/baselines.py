"""Baselines, through the same loop as methods: no lesson, a hand-written instruction, and private examples word for
word.
"""

from collections.abc import Sequence

import numpy as np

from social_learning.lesson import Lesson, Source
from social_learning.messages import RequestOriginals
from social_learning.protocols.base import Ask, Protocol, example_replies
from social_learning.task import Task


def nothing(task: Task) -> Protocol:
    """Teach nothing: the zero-shot floor."""
    yield from ()
    return Lesson(task=task)


def manual_instruction(task: Task, instruction: str) -> Protocol:
    """Give a hand-written instruction."""
    yield from ()
    return Lesson(task=task, instruction=instruction)


def original_examples(task: Task, teachers: Sequence[str], count: int, rng: np.random.Generator) -> Protocol:
    """Take `count` private examples of one teacher, chosen at random: the ceiling for accuracy, with no privacy at all."""
    teacher = teachers[int(rng.integers(len(teachers)))]
    replies = yield Ask(RequestOriginals(round=0, count=count), (teacher,))
    examples = [example for reply in example_replies(replies, task) for example in reply.examples]
    return Lesson(task=task, examples=tuple(examples), sources=(Source(teacher=teacher, round=0),) * len(examples))
