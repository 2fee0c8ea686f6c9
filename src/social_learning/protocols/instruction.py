"""Sharing an instruction: one teacher's model writes a task description, which alone is the lesson."""

from collections.abc import Sequence

import numpy as np

from social_learning.errors import TeachingError
from social_learning.lesson import Lesson, Source
from social_learning.messages import ReplyInstruction, RequestInstruction
from social_learning.protocols.base import Ask, Protocol, why_nothing
from social_learning.task import Task


def one_instruction(
    task: Task, teachers: Sequence[str], shots: int, samples: int, rng: np.random.Generator
) -> Protocol:
    """Ask one teacher, chosen at random, for an instruction; another one where nothing of the first passed its guards.

    Raises TeachingError where no teacher had one.
    """
    heard: list[ReplyInstruction] = []
    for name in map(str, rng.permutation(list(teachers))):
        request = RequestInstruction(round=len(heard), shots=shots, samples=samples)
        replies = yield Ask(request, (name,))
        for reply in replies.values():
            if not isinstance(reply, ReplyInstruction):
                raise TeachingError(f"teacher {name!r} answered a request for an instruction with {reply.kind!r}")
            heard.append(reply)
            if reply.instruction:
                source = Source(teacher=reply.teacher, round=reply.round)
                return Lesson(task=task, instruction=reply.instruction, sources=(source,))
    raise TeachingError(f"none of {len(teachers)} teachers had an instruction to send; {why_nothing(heard)}")
