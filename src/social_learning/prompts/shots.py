"""Shots: examples as a prompt to continue, with no instruction. For the student's question and for a teacher's new
example.
"""

from collections.abc import Mapping, Sequence

from social_learning.task import SEPARATOR, Example, Task


def question_prompt(task: Task, lesson: str, fields: Mapping[str, str]) -> str:
    """Return what the student's model continues with an answer: the lesson as text (may be empty), the question."""
    return SEPARATOR.join(part for part in (lesson, task.question(fields)) if part)


def lesson_prompt(task: Task, instruction: str, shots: Sequence[Example]) -> str:
    """Return a lesson as the student's model reads it before a question: instruction and shots (either may be empty)."""
    parts = [instruction.strip(), *(task.render(shot) for shot in shots)]
    return SEPARATOR.join(part for part in parts if part)


def new_example_prompt(task: Task, shots: Sequence[Example]) -> str:
    """Return what a teacher's model continues with a new example: shots, and the text that opens every example."""
    return SEPARATOR.join([*(task.render(shot) for shot in shots), task.opening])


def label_first_prompt(task: Task, shots: Sequence[Example], label: str) -> str:
    """Return what a teacher's model continues with a new question of the class `label`.

    Shots are told backwards, the answer line above the question.
    """
    asked = f"{task.ask_for_label(label)}\n{task.opening}"
    return SEPARATOR.join([*(task.render_label_first(shot) for shot in shots), asked])
