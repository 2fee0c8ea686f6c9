"""What a protocol is: a generator that yields one request, is sent the replies, and returns a lesson in the end.

This is the formal definition of the paper (arXiv 2312.11441, appendix A). It says nothing of where teachers live, so
the same generator is driven over objects in this process or over a network.
"""

from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass

from social_learning.errors import TeachingError
from social_learning.lesson import Lesson
from social_learning.messages import Reply, ReplyExamples, ReplyInstruction, Request
from social_learning.task import Task


@dataclass(frozen=True, slots=True)
class Ask:
    """One round: a request, and the names of the teachers it goes to."""

    request: Request
    teachers: tuple[str, ...]


Replies = Mapping[str, Reply]
"""The replies of one round by teacher; teachers that did not answer are absent."""

Protocol = Generator[Ask, Replies, Lesson]
"""A way of teaching, under way."""


def example_replies(replies: Replies, task: Task) -> list[ReplyExamples]:
    """Return the replies, in order, as replies with examples of a task; raises TeachingError for anything else."""
    checked = []
    for name, reply in replies.items():
        if not isinstance(reply, ReplyExamples):
            raise TeachingError(f"teacher {name!r} answered a request for examples with {reply.kind!r}")
        if any(set(example.fields) != set(task.field_names) for example in reply.examples):
            raise TeachingError(f"teacher {name!r} sent an example without the fields of task {task.name!r}")
        checked.append(reply)
    return checked


def why_nothing(replies: Sequence[ReplyExamples | ReplyInstruction]) -> str:
    """Say in words what was discarded and dropped on the teachers' side."""
    return in_words(reasons(replies))


def reasons(replies: Sequence[ReplyExamples | ReplyInstruction]) -> Counter[str]:
    """Count what was discarded and dropped on the teachers' side, by reason and by guard."""
    counts = Counter[str]()
    for reply in replies:
        counts.update(reply.discarded)
        for guard in reply.guards:
            counts[guard.guard] += guard.dropped
    return counts


def in_words(counts: Mapping[str, int]) -> str:
    """Say such counts in words."""
    told = ", ".join(f"{count} {reason}" for reason, count in sorted(counts.items()) if count)
    return f"discarded: {told}" if told else "nothing was discarded"
