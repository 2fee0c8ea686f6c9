"""Simulated teachers: in Flower's simulation each virtual node answers for one silo of the experiment's own split.

There is nothing private from one another in a simulation: every node reads the experiment's data.
"""

from functools import lru_cache
from pathlib import Path

from flwr.app import Context, Message

from social_learning.config import Experiment, load_experiment
from social_learning.flower.letters import ENQUIRY, RESPONSE, TEACHER, content, text_of
from social_learning.guards import guards_for
from social_learning.messages import Response, enquiry_from_json, to_json
from social_learning.models.base import LanguageModel
from social_learning.models.registry import load_model
from social_learning.privacy.detectors import detector
from social_learning.seeds import child_seed
from social_learning.serving.split import split_silos
from social_learning.silo import Silo
from social_learning.teacher import Teacher


def carry(message: Message, context: Context) -> Message:
    """Answer an enquiry from the node's silo."""
    enquiry = enquiry_from_json(text_of(message, ENQUIRY) or "")
    teacher = _teacher(_experiment_of(context), _data_of(context), _number_of(context), enquiry.repeat)
    reply = teacher.answer(enquiry.request)
    response = to_json(Response(run=enquiry.run, id=enquiry.id, reply=reply))
    return Message(content(RESPONSE, response), reply_to=message)


def say_who(message: Message, context: Context) -> Message:
    """Say which teacher this node plays; nothing where there are more nodes than teachers."""
    names = _loaded(_experiment_of(context)).teacher_names
    number = _number_of(context)
    return Message(content(TEACHER, names[number] if number < len(names) else ""), reply_to=message)


def _experiment_of(context: Context) -> str:
    return str(context.run_config["experiment"])


def _data_of(context: Context) -> str:
    return str(context.run_config.get("data", ""))


def _number_of(context: Context) -> int:
    return int(context.node_config["partition-id"])


@lru_cache(maxsize=2)
def _loaded(experiment: str) -> Experiment:
    return load_experiment(Path(experiment))


@lru_cache(maxsize=2)
def _silos(experiment: str, data: str) -> list[Silo]:
    """The silos of the first repeat: on machines of their own they do not change from repeat to repeat either."""
    return split_silos(_loaded(experiment), Path(data) if data else None)


@lru_cache(maxsize=64)
def _teacher(experiment: str, data: str, number: int, repeat: int) -> Teacher:
    settings, silo = _loaded(experiment), _silos(experiment, data)[number]
    return Teacher(
        silo,
        _model(settings.teachers.model, tuple(settings.teachers.options().items())),
        guards=guards_for(settings.teachers, silo.task),
        seed=child_seed(settings.seed, "teacher", silo.name, repeat),
        detector=detector(settings.privacy.detector),
        whole_grades=True,  # as served teachers grade
    )


@lru_cache(maxsize=1)
def _model(name: str, options: tuple[tuple[str, int | str], ...]) -> LanguageModel:
    return load_model(name, **dict(options))
