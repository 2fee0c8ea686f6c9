"""The local transport with many protocols side by side."""

from collections.abc import Callable, Sequence

from social_learning.errors import TeachingError
from social_learning.lesson import Lesson
from social_learning.messages import Reply, ReplyInstruction, Request, RequestInstruction
from social_learning.protocols.base import Ask, Protocol
from social_learning.tasks import BUILT_IN
from social_learning.transports.local import drive_all

TASK = BUILT_IN["sms_spam"].task


class Echo:
    def __init__(self, name: str) -> None:
        self.name, self.heard = name, 0

    def answer(self, request: Request) -> Reply:
        self.heard += 1
        return ReplyInstruction(teacher=self.name, round=request.round, instruction=f"{self.name} {request.round}")


def rounds(count: int) -> Protocol:
    """Ask one teacher some times over, and then fail or return what it said last."""
    told: list[str] = []
    for round in range(count):
        replies = yield Ask(RequestInstruction(round=round, shots=1, samples=1), ("t",))
        told += [reply.instruction or "" for reply in replies.values() if isinstance(reply, ReplyInstruction)]
    if count == 2:
        raise TeachingError("two is too few")
    return Lesson(task=TASK, instruction=" ".join(told[-1:]))


def test_protocols_of_any_length_run_together_and_one_failure_stops_no_other() -> None:
    batches: list[int] = []
    told: list[tuple[int, int]] = []

    def together(jobs: Sequence[Callable[[], Reply]]) -> list[Reply]:
        batches.append(len(jobs))
        return [job() for job in jobs]

    teachers = [{"t": Echo(f"teacher {number}")} for number in range(4)]
    teachings = [(rounds(count), teacher) for count, teacher in zip((3, 0, 2, 1), teachers, strict=True)]
    lessons = drive_all(teachings, lambda done, of: told.append((done, of)), together)
    assert [lesson.instruction if isinstance(lesson, Lesson) else str(lesson) for lesson in lessons] == [
        "teacher 0 2", "", "two is too few", "teacher 3 0",
    ]  # fmt: skip
    assert batches == [3, 2, 1]
    assert told == [(1, 4), (2, 4), (3, 4)]
    assert [teacher["t"].heard for teacher in teachers] == [3, 0, 2, 1]
