"""Preflight: the silos an experiment asks for, and what is refused before any model call."""

import math
from collections.abc import Collection, Iterator, Sequence

from social_learning.config import Arm, Experiment, cells_of
from social_learning.corpus import Corpus
from social_learning.errors import ConfigError, DataError, ModelError
from social_learning.models.base import Capabilities, LimitedModel
from social_learning.models.pool import ModelPool
from social_learning.recipes import generation, judges, private_examples_needed
from social_learning.results import CellKey
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
        check_silos(experiment, arm, corpus, range(experiment.repeats if arm.drawn else 1))


def check_silos(experiment: Experiment, arm: Arm, corpus: Corpus, repeats: range, planted: int = 0) -> None:
    """Refuse silos that, in any of these repeats, leave an arm's teachers too little to teach from or nothing to judge by.

    `planted` examples are added to each silo. Raises DataError or ConfigError that says what to change.
    """
    needed = max(1, private_examples_needed(arm, corpus.task) - planted)
    judging = judges(arm, corpus.task)
    for repeat, teaching, held_out in _smallest(experiment, arm, corpus, repeats):
        where = f" in repeat {repeat + 1}" if arm.teachers.split == "dirichlet" else ""
        if teaching < needed:
            raise DataError(
                f"arm {arm.name!r} needs {needed} examples per teacher to teach from; {len(corpus.train)} training examples "
                f"among {arm.teachers.count} teachers, with {arm.teachers.held_out:.0%} held out, leave {max(teaching, 0)}"
                f"{where}: use fewer teachers or shots, or more data"
            )
        if judging and held_out < 1 and not (where and arm.teachers.held_out):
            raise ConfigError(
                f"arm {arm.name!r} judges by held-out examples: set teachers.held_out above 0"
                + ("" if arm.method == "voted" else ", or generation.lessons to 1")
            )
        if judging and held_out < 1:
            raise DataError(
                f"arm {arm.name!r} judges by held-out examples, and a silo holds none out{where}: raise teachers.alpha or "
                "teachers.held_out, or use fewer teachers"
            )


def _smallest(experiment: Experiment, arm: Arm, corpus: Corpus, repeats: range) -> Iterator[tuple[int, int, int]]:
    """Return repeats with the fewest examples that a silo teaches from in them, and the fewest that one holds out."""
    if arm.teachers.split == "uniform":
        per_silo = len(corpus.train) // arm.teachers.count
        held_out = max(0, min(round(arm.teachers.held_out * per_silo), per_silo - 1))
        yield 0, per_silo - held_out, held_out
        return
    for repeat in repeats:
        silos = silos_for(experiment, arm, corpus, repeat)
        yield repeat, min(len(silo.examples) for silo in silos), min(len(silo.held_out) for silo in silos)


def chosen_cells(
    experiment: Experiment, chosen: Collection[CellKey] | None, finished: Collection[CellKey]
) -> list[tuple[Arm, CellKey]]:
    """Return the cells that are asked for, in order: those chosen, or all. Raises ConfigError where one is none of the
    experiment, or none of the arm compared with is chosen or finished.
    """
    plan = list(cells_of(experiment))
    if chosen is None:
        return plan
    unknown = sorted(key.name for key in set(chosen) - {key for _, key in plan})
    if unknown:
        raise ConfigError(f"cells: {unknown[0]!r} is no cell of experiment {experiment.name!r}")
    if experiment.compare_with not in {key.arm for key in (*chosen, *finished)}:
        raise ConfigError(
            f"cells: none is of arm {experiment.compare_with!r}, which all others are compared with: add one of its cells"
        )
    return [(arm, key) for arm, key in plan if key in chosen]


def check_settings(arm: Arm, task: Task) -> None:
    """Refuse settings that a task has no use for; raises ConfigError."""
    problem = ""
    if arm.method == "manual" and not (task.instruction or arm.instruction.text):
        problem = "has no hand-written instruction; add task.instruction or instruction.text"
    if not task.labels:
        if arm.student.answer_by == "labels":
            problem = "has no labels to choose from; set student.answer_by to 'free'"
        elif arm.teachers.split == "dirichlet":
            problem = "has no labels to skew; set teachers.split to 'uniform'"
        elif arm.generation.self_check:
            problem = "has no labels to check; leave generation.self_check out"
    if arm.generation.cloze and not task.cloze:
        problem = "is no cloze task, so no gap can be set; leave generation.cloze out"
    if arm.generation.way == "label-first" and not task.can_label_first:
        problem = "cannot be told label first: it needs labels, on a line of their own; set generation.way to 'plain'"
    if problem:
        raise ConfigError(f"arm {arm.name!r}: task {task.name!r} {problem}")


def check_models(experiment: Experiment, arms: Sequence[Arm], task: Task, models: ModelPool) -> None:
    """Refuse, before the first cell, arms that need what the model of their teachers or student cannot do.

    Models are loaded, endpoints connected to. Raises ModelError with the reason and what to use instead.
    """
    for arm in {arm.name: arm for arm in arms}.values():
        for table, needs in ((arm.teachers, _teachers_need), (arm.student, _student_needs)):
            unused = experiment.remote is not None or arm.method in ("zero-shot", "manual", "original")
            if unused and table is arm.teachers:
                continue
            model = models.load(table.model, table.options())
            if isinstance(model, LimitedModel):
                _refuse(arm, table.model, needs(arm, task), model.capabilities)


def check_audit_models(arms: Sequence[Arm], models: ModelPool) -> None:
    """Refuse an audit whose student cannot score canaries; raises ModelError."""
    for arm in arms:
        model = models.load(arm.student.model, arm.student.options())
        if isinstance(model, LimitedModel):
            instead = "canaries are ranked by their log-likelihood: audit with a student's model that can score"
            _refuse(arm, arm.student.model, {"scoring": instead}, model.capabilities)


def _refuse(arm: Arm, model: str, needs: dict[str, str], can: Capabilities) -> None:
    for capability, instead in needs.items():
        if not getattr(can, capability):
            reason = can.reasons.get(capability) or "it was not found to"
            raise ModelError(f"arm {arm.name!r}: model {model!r} has no {_WORDS[capability]} ({reason}): {instead}")


_WORDS = {
    "text": "way to continue a prompt",
    "chat": "chat",
    "logprobs": "log-probabilities of what it writes",
    "chat_logprobs": "log-probabilities of what it writes in chat",
    "scoring": "scoring of given continuations",
}


def _student_needs(arm: Arm, task: Task) -> dict[str, str]:
    """What a student needs, each with what to do without it."""
    by_labels = arm.student.answer_by == "labels" or (arm.student.answer_by == "auto" and bool(task.labels))
    return {"scoring": "set student.answer_by to 'free'"} if by_labels else {"text": "use another model"}


def _teachers_need(arm: Arm, task: Task) -> dict[str, str]:
    """What teachers need, each with what to do without it."""
    if arm.method == "instruction":
        needs = {"chat": "instructions are asked for in a chat turn: use another model for the teachers"}
        if arm.instruction.samples > 1:
            needs["chat_logprobs"] = "drafts are ranked by them: set instruction.samples to 1"
        return needs
    how = generation(arm.generation, task)
    needs = {"text": "use another model for the teachers"}
    if how.count < how.samples:
        needs["logprobs"] = (
            f"drafts are ranked by them: set generation.keep to generation.samples ({how.samples}), send all"
        )
    if how.self_check:
        needs["scoring"] = "the self-check compares labels by it: set generation.self_check to false"
    elif how.complete and task.labels:
        needs["scoring"] = "drafts are completed with the likeliest label: set generation.complete to false"
    elif how.cloze:
        needs["scoring"] = "it tells where a draft's gap is best: set generation.cloze to false"
    if judges(arm, task) and arm.generation.vote_by == "likelihood":
        needs["scoring"] = (
            needs.get("scoring", "") or "teachers judge by likelihood: set generation.vote_by to 'answers'"
        )
    return needs


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
