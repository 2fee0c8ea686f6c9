"""Recipes: from an arm of the experiment file to the protocol that teaches it."""

from collections.abc import Sequence

import numpy as np

from social_learning.config import Arm
from social_learning.protocols.base import Protocol
from social_learning.protocols.baselines import manual_instruction, nothing, original_examples
from social_learning.protocols.candidates import Generation
from social_learning.protocols.cohorts import cohort_examples
from social_learning.protocols.examples import random_examples, voted_examples
from social_learning.protocols.instruction import one_instruction
from social_learning.settings import GenerationTable
from social_learning.task import Task

LESSONS = 16
"""How many whole lessons teachers grade by the default recipe."""

SAMPLES, CLOZE_SAMPLES = 8, 16
"""How many drafts a teacher writes in a round. Only half of those of a cloze task have a place for a gap, and half of these are to
be left out.
"""


def protocol(arm: Arm, task: Task, shots: int, teachers: Sequence[str], rng: np.random.Generator) -> Protocol:
    """Return the protocol of one arm at one number of shots."""
    if arm.method == "zero-shot":
        return nothing(task)
    if arm.method == "manual":
        return manual_instruction(task, arm.instruction.text or task.instruction)
    if arm.method == "original":
        return original_examples(task, teachers, shots, rng)
    if arm.method == "instruction":
        return one_instruction(task, teachers, arm.instruction.shots, arm.instruction.samples, rng)
    at_once = random_examples if arm.generation.cohort is None else cohort_examples
    aggregate = at_once if arm.method == "generated" else voted_examples
    return aggregate(task, teachers, shots, generation(arm.generation, task), rng)


def generation(table: GenerationTable, task: Task) -> Generation:
    """Fill in what the experiment file leaves to the recipe.

    `paper`: plain continuation, no self-check, candidates picked without regard to labels. `default`: with
    labels, label first where the format allows it, and self-check; without, unanswered drafts are completed, or get their gap in
    a cloze task. With either, labels or answers are balanced, and teachers grade LESSONS lessons.
    """
    ours = table.recipe == "default"
    improve = ours and bool(task.labels)
    first = improve and task.can_label_first
    cloze = (ours and task.cloze) if table.cloze is None else table.cloze
    return Generation(
        shots=table.shots,
        samples=table.samples or (CLOZE_SAMPLES if cloze else SAMPLES),
        count=table.keep,
        temperature=table.temperature,
        top_p=table.top_p,
        way=table.way or ("label-first" if first else "plain"),
        self_check=improve if table.self_check is None else table.self_check,
        balanced=ours if table.balanced is None else table.balanced,
        complete=(ours and not task.labels and not task.cloze) if table.complete is None else table.complete,
        cloze=cloze,
        lessons=table.lessons or (LESSONS if ours else 1),
        questions=table.questions,
        share=table.share,
        vote_by=table.vote_by,
        cohort=table.cohort,
    )


def private_examples_needed(arm: Arm, task: Task) -> int:
    """Return how many examples a teacher must have to teach from, for this arm."""
    needs = {"original": max(arm.shots), "instruction": arm.instruction.shots}
    if arm.method in ("generated", "voted"):
        return generation(arm.generation, task).shots
    return needs.get(arm.method, 0)


def judges(arm: Arm, task: Task) -> bool:
    """Return whether an arm's teachers judge candidates or lessons by their held-out examples."""
    return arm.method == "voted" or (arm.method == "generated" and generation(arm.generation, task).lessons > 1)
