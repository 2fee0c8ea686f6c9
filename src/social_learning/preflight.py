"""Preflight: the silos an experiment asks for, and what is refused before any model call."""

import math

from social_learning.config import Arm, Experiment
from social_learning.corpus import Corpus
from social_learning.errors import ConfigError, DataError
from social_learning.recipes import private_examples_needed
from social_learning.seeds import generator
from social_learning.silo import Silo, make_silos, split_dirichlet, split_uniform
from social_learning.task import Task


def check(experiment: Experiment, corpus: Corpus) -> None:
    """Refuse, before any model call, data that is too small for what was asked, and settings that exclude each other.

    Raises DataError or ConfigError.
    """
    if experiment.remote is not None:
        raise ConfigError("[remote]: these teachers have silos of their own; only `run` works with them")
    for arm in experiment.resolved_arms():
        check_settings(arm, corpus.task)
        per_silo = len(corpus.train) // arm.teachers.count
        teaching = per_silo - round(arm.teachers.held_out * per_silo)
        needed = private_examples_needed(arm, corpus.task)
        if arm.drawn and teaching < needed:
            raise DataError(
                f"arm {arm.name!r} needs {needed} examples per teacher to teach from; {len(corpus.train)} training examples "
                f"among {arm.teachers.count} teachers, with {arm.teachers.held_out:.0%} held out, leave {max(teaching, 0)}: "
                "use fewer teachers or shots, or more data"
            )
        if arm.method == "voted" and round(arm.teachers.held_out * per_silo) < 1:
            raise ConfigError(f"arm {arm.name!r} votes with held-out examples: set teachers.held_out above 0")
        if arm.teachers.split == "dirichlet":
            silos_for(experiment, arm, corpus, 0)


def check_settings(arm: Arm, task: Task) -> None:
    """Refuse settings that a task has no use for; raises ConfigError."""
    problem = ""
    if arm.method == "manual" and not task.instruction:
        problem = "has no hand-written instruction; add task.instruction"
    if not task.labels:
        if arm.student.answer_by == "labels":
            problem = "has no labels to choose from; set student.answer_by to 'free'"
        elif arm.teachers.split == "dirichlet":
            problem = "has no labels to skew; set teachers.split to 'uniform'"
        elif arm.generation.self_check:
            problem = "has no labels to check; leave generation.self_check out"
    if arm.generation.way == "label-first" and not task.can_label_first:
        problem = "cannot be told label first: it needs labels, on a line of their own; set generation.way to 'plain'"
    if problem:
        raise ConfigError(f"arm {arm.name!r}: task {task.name!r} {problem}")


def silos_for(experiment: Experiment, arm: Arm, corpus: Corpus, repeat: int) -> list[Silo]:
    """Split the training examples of one repeat; all arms with the same teachers get the same silos."""
    teachers = arm.teachers
    names = [f"teacher-{number + 1}" for number in range(teachers.count)]
    needs = [
        private_examples_needed(other, corpus.task)
        for other in experiment.resolved_arms()
        if other.teachers == teachers
    ]
    at_least = math.ceil(max(1, *needs) / (1 - teachers.held_out)) + 1
    partition = split_uniform if teachers.split == "uniform" else split_dirichlet(teachers.alpha, at_least)
    rng = generator(experiment.seed, "split", repeat)
    return make_silos(corpus.task, corpus.train, names, partition, teachers.held_out, rng)
