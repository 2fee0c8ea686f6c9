"""Instruction: what a teacher's model is asked, to write a task description for a student who sees no examples."""

from collections.abc import Sequence

from social_learning.task import SEPARATOR, Example, Task

_REQUEST = (
    "Below are solved examples of one task. Write clear instructions for a new participant who will see none of these "
    "examples.\n\n{examples}\n\n"
    "In your instructions, say what the participant is given and what to answer, describe the exact format of the answer and "
    "any special markings, name the general patterns that decide the answer, and add notes that help. Do not repeat or quote "
    "any of the examples, and mention no names, numbers or addresses from them. Write only the instructions."
)


def instruction_request(task: Task, shots: Sequence[Example]) -> str:
    """Return the one chat turn that asks for an instruction from private examples."""
    return _REQUEST.format(examples=SEPARATOR.join(task.render(shot) for shot in shots))
