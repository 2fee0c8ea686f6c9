"""Social learning between language models: teachers with private data teach a student by text alone.

Start with `run` in `experiment.py`: it tells the whole story. Modules are imported when a name of theirs is first used, so that
`import social_learning` costs next to nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from social_learning.config import Experiment, load_experiment
    from social_learning.errors import SocialLearningError, UserError
    from social_learning.experiment import run
    from social_learning.lesson import Lesson
    from social_learning.messages import Reply, Request
    from social_learning.models.base import ChatTurn, Completion, LanguageModel, Sampling, Score
    from social_learning.models.registry import load_model
    from social_learning.results import ArmResult, Result
    from social_learning.silo import Silo
    from social_learning.student import Student
    from social_learning.task import Example, Task
    from social_learning.teacher import Teacher

__all__ = [
    "ArmResult",
    "ChatTurn",
    "Completion",
    "Example",
    "Experiment",
    "LanguageModel",
    "Lesson",
    "Reply",
    "Request",
    "Result",
    "Sampling",
    "Score",
    "Silo",
    "SocialLearningError",
    "Student",
    "Task",
    "Teacher",
    "UserError",
    "load_experiment",
    "load_model",
    "run",
]

_HOMES = {
    "ArmResult": "social_learning.results",
    "ChatTurn": "social_learning.models.base",
    "Completion": "social_learning.models.base",
    "Example": "social_learning.task",
    "Experiment": "social_learning.config",
    "LanguageModel": "social_learning.models.base",
    "Lesson": "social_learning.lesson",
    "Reply": "social_learning.messages",
    "Request": "social_learning.messages",
    "Result": "social_learning.results",
    "Sampling": "social_learning.models.base",
    "Score": "social_learning.models.base",
    "Silo": "social_learning.silo",
    "SocialLearningError": "social_learning.errors",
    "Student": "social_learning.student",
    "Task": "social_learning.task",
    "Teacher": "social_learning.teacher",
    "UserError": "social_learning.errors",
    "load_experiment": "social_learning.config",
    "load_model": "social_learning.models.registry",
    "run": "social_learning.experiment",
}
"""Where each public name lives."""


def __getattr__(name: str) -> Any:
    """Import a public name on first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'social_learning' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names, whether they were used or not."""
    return sorted({*globals(), *__all__})
