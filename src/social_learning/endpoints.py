"""Endpoints of an experiment: its `[models.NAME]` tables and its budget, put together into what loads its models."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from social_learning.config import Experiment, parse_experiment
from social_learning.errors import ConfigError
from social_learning.models.base import LanguageModel
from social_learning.models.endpoint.budget import Limits, Purse
from social_learning.models.endpoint.settings import Endpoint, Prices, is_endpoint
from social_learning.models.pool import Load
from social_learning.settings import BudgetTable
from social_learning.toml_files import read_toml


def load_models(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read a TOML file that holds `[models.NAME]` tables, and perhaps a `[budget]`, as in an experiment file; return both.

    Raises ConfigError in one line that names the file and the key.
    """
    table = read_toml(path)
    others = set(table) - {"models", "budget"}
    if others:
        raise ConfigError(f"{path}: unknown key {min(others)!r}: it may hold [models.NAME] tables and a [budget]")
    parse_experiment({**table, "name": "models", "task": "phone_messages"}, str(path))
    return table.get("models", {}), table.get("budget", {})


def is_remote(experiment: Experiment, model: str) -> bool:
    """Whether a model of an experiment is behind an endpoint."""
    return model in experiment.models or is_endpoint(model)


def prices_of(experiment: Experiment, model: str) -> Prices | None:
    """Return a model's prices: none at all for one in this process, None where those of an endpoint are not known."""
    if not is_remote(experiment, model):
        return Prices()
    table = experiment.models.get(model)
    return table.endpoint(model).prices if table else None


def models_of(experiment: Experiment) -> list[str]:
    """Return the names of the models that an experiment's teachers and students run, each once."""
    arms = experiment.resolved_arms()
    return list(dict.fromkeys(table.model for arm in arms for table in (arm.teachers, arm.student)))


def price_remarks(experiment: Experiment) -> list[str]:
    """Return what to know about an estimate of money, in sentences."""
    unknown = [name for name in models_of(experiment) if prices_of(experiment, name) is None]
    remarks = [
        "Price: of calls that have to be made, by the models' prices. What arms share is paid for by the first of them."
    ]
    if unknown:
        remarks.append(
            f"Not known: the prices of {', '.join(unknown)}. Set prices = {{ input = ..., output = ... }} in a [models.NAME] table."
        )
    return remarks


def loader(experiment: Experiment, load: Load, ledger: Path) -> Load:
    """Return `load` with the experiment's endpoints known to it by name, all of them paid from one purse."""
    return load_from(
        {name: table.endpoint(name) for name, table in experiment.models.items()}, experiment.budget, load, ledger
    )


def load_from(endpoints: Mapping[str, Endpoint], budget: BudgetTable, load: Load, ledger: Path) -> Load:
    """Return `load` with some endpoints known to it by name, all paid from one purse; `ledger` is the file in which spending is
    written down.
    """
    purse = Purse(Limits(budget.max_calls, budget.max_tokens, budget.max_cost), ledger)

    def load_one(name: str, **options: Any) -> LanguageModel:
        if name in endpoints:
            return load(name, endpoint=endpoints[name], purse=purse, **options)
        return load(name, purse=purse, **options) if is_endpoint(name) else load(name, **options)

    return load_one
