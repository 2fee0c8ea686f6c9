"""The outcome of a run: its finished cells put together, by what its experiment says of them."""

from collections.abc import Sequence

from social_learning.config import Experiment
from social_learning.models.registry import is_fake
from social_learning.results import Cell, Result, summarise


def stand_in(experiment: Experiment) -> bool:
    """Whether a model of an experiment is a fake, which knows no language: then nothing is compared."""
    arms = experiment.resolved_arms()
    return any(is_fake(table.model) for arm in arms for table in (arm.teachers, arm.student))


def result_of(run: str, experiment: Experiment, cells: Sequence[Cell]) -> Result:
    """Return the result of some finished cells of an experiment, whose run folder is `run`."""
    arms = experiment.resolved_arms()
    task = experiment.task if isinstance(experiment.task, str) else experiment.task.name
    fake = stand_in(experiment)
    against = None if fake else experiment.compare_with
    drawn = {arm.name for arm in arms if arm.drawn}
    return Result(run, experiment.name, task, experiment.compare_with, summarise(cells, task, against, drawn), fake)
