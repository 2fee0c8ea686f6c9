"""Commands on models: doctor."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from social_learning.cli.options import ExperimentOption, JsonOption
from social_learning.config import load_experiment
from social_learning.errors import ConfigError
from social_learning.models.base import Capabilities, LanguageModel, LimitedModel
from social_learning.models.endpoint.settings import UNKNOWN_LENGTH, is_endpoint
from social_learning.models.registry import load_model
from social_learning.report.fit import NAME, TEXT, Column, Fitted
from social_learning.report.visible import visible

INSTEAD = {
    "text": "prompts are told in chat turns",
    "chat": "no arm of method instruction for teachers with this model",
    "choices": "nothing needed: each sample is a call of its own",
    "seed": "samples differ when they are made again; the call cache keeps those that were made",
    "logprobs": "generation.keep = generation.samples: drafts cannot be ranked",
    "chat_logprobs": "instruction.samples = 1: drafts cannot be ranked",
    "plain_sampling": "the server's own further samplers stay on, if it has any",
    "scoring": (
        "student.answer_by = 'free', generation.self_check = false, generation.vote_by = 'answers'; "
        "no audit with this model as the student's"
    ),
    "tokenize": "token counts before a call are estimates",
}
"""What to use instead of each capability that is missing."""


def doctor(
    model: Annotated[str, typer.Argument(help="openai:<model>@<base-url>, or the NAME of a [models.NAME] table.")],
    experiment: ExperimentOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find out by self-tests what a model's endpoint really offers, and say what to use instead of what is missing."""
    loaded = named_model(model, experiment, anew=True)
    rows = _rows(loaded)
    facts = {"model": loaded.name, "identity": loaded.identity, "context_length": _length(loaded)}
    if as_json:
        typer.echo(json.dumps({**facts, "capabilities": rows}))
        return
    _show_offers(loaded.name, rows, Console())
    Console().print(
        Text(visible(f"Context: {facts['context_length'] or 'not told'} tokens. Identity: {loaded.identity}"))
    )


def _show_offers(name: str, rows: Mapping[str, Mapping[str, str]], console: Console) -> None:
    console.print(Text(visible(f"What {name} offers"), style="bold"))
    console.print()
    table = [
        Column("capability", list(rows), NAME),
        Column("offered", [row["offered"] for row in rows.values()], NAME),
        Column("what was found", [row["found"] for row in rows.values()], TEXT),
        Column("to use instead", [row["instead"] for row in rows.values()], TEXT),
    ]
    console.print(Fitted(table))
    console.print()


def named_model(name: str, experiment: Path | None, **options: Any) -> LanguageModel:
    """Load a model by name; with an experiment file, its `[models.NAME]` tables are known. `options` are for endpoints."""
    tables = load_experiment(experiment).models if experiment else {}
    if name in tables:
        return load_model(name, endpoint=tables[name].endpoint(name), **options)
    if experiment and not is_endpoint(name):
        raise ConfigError(f"{experiment}: no table [models.{name}]")
    return load_model(name, **(options if is_endpoint(name) else {}))


def _rows(model: LanguageModel) -> dict[str, dict[str, str]]:
    """By capability: what is offered, what was found, what to use instead."""
    if not isinstance(model, LimitedModel):
        everything = ("text", "chat", "seed", "logprobs", "chat_logprobs", "scoring")
        return {name: {"offered": "yes", "found": "in this process", "instead": ""} for name in everything}
    can: Capabilities = model.capabilities
    offered = {name: _word(value) for name, value in can.details.items()}
    return {
        name: {
            "offered": word,
            "found": can.reasons.get(name, ""),
            "instead": INSTEAD.get(name, "") if word == "no" else "",
        }
        for name, word in offered.items()
    }


def _word(value: bool | str | None) -> str:
    return value if isinstance(value, str) else "yes" if value else "no"


def _length(model: LanguageModel) -> int | None:
    """The context length, or None where the endpoint does not tell it."""
    return None if model.context_length == UNKNOWN_LENGTH else model.context_length
