"""Endpoints of an experiment: its `[models.NAME]` tables and its budget, put together into what loads its models."""

from pathlib import Path
from typing import Any

from social_learning.config import Experiment
from social_learning.models.base import LanguageModel
from social_learning.models.endpoint.budget import Limits, Purse
from social_learning.models.endpoint.settings import is_endpoint
from social_learning.models.pool import Load


def purse_of(experiment: Experiment, ledger: Path) -> Purse:
    """Return the budget of a run; `ledger` is the file in which spending is written down."""
    budget = experiment.budget
    return Purse(Limits(budget.max_calls, budget.max_tokens, budget.max_cost), ledger)


def is_remote(experiment: Experiment, model: str) -> bool:
    """Whether a model of an experiment is behind an endpoint."""
    return model in experiment.models or is_endpoint(model)


def loader(experiment: Experiment, load: Load, ledger: Path) -> Load:
    """Return `load` with the experiment's endpoints known to it by name, all of them paid from one purse."""
    endpoints = {name: table.endpoint(name) for name, table in experiment.models.items()}
    purse = purse_of(experiment, ledger)

    def load_one(name: str, **options: Any) -> LanguageModel:
        if name in endpoints:
            return load(name, endpoint=endpoints[name], purse=purse, **options)
        return load(name, purse=purse, **options) if is_endpoint(name) else load(name, **options)

    return load_one
