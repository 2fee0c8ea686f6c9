"""Social learning between language models: teachers with private data teach a student by text alone.

Start with `run` in `experiment.py`: it tells the whole story.
"""

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
