"""Failures: everything that can go wrong and that a caller can act on, as one small tree.

No error of this package carries private text. Messages name files, row numbers, field names, teachers and counts.
"""

from typing import Any


class SocialLearningError(Exception):
    """Root of every failure this package raises on purpose."""


class UserError(SocialLearningError):
    """The caller asked for something that cannot be done; the message says what to change. The CLI exits with 2."""


class ConfigError(UserError):
    """The experiment file, an override or a command line is wrong."""


class DataError(UserError):
    """A data file is missing, broken, or too small for what was asked of it."""


class TaskError(UserError):
    """A task is defined inconsistently, or a text does not fit its task."""


class ModelError(UserError):
    """A model cannot be loaded, or cannot do what was asked of it."""


class ContextLengthError(ModelError):
    """A prompt, with the tokens asked for, does not fit the model's context."""


class RunFolderError(UserError):
    """A run folder belongs to other settings, is in use, or cannot be written."""


class TeachingError(SocialLearningError):
    """Teaching ended without a lesson: no teacher had anything left to send after its guards."""


class IncompleteError(TeachingError):
    """A run went through, and cells of it ended without a lesson, which the message names. `result` is of the others,
    None where there are none; everything is written down. The CLI exits with 3.
    """

    def __init__(self, message: str, result: Any = None) -> None:
        super().__init__(message)
        self.result = result


class ServingError(UserError):
    """A teacher cannot be served: its socket, its outbox or its account is not as it must be."""


class MessageError(SocialLearningError):
    """Something that came in is no message of ours. The text never repeats what came in."""


class EndpointError(SocialLearningError):
    """An endpoint gave no usable answer, however often it was asked. What it sent never counts as an answer."""


class BudgetError(SocialLearningError):
    """A run's budget is spent. Finished calls are kept; with a larger budget the same command goes on. The CLI exits with 3."""


class AuditError(SocialLearningError):
    """An audit has no power, or nothing could be measured: what it would say means nothing."""


class EvaluationError(SocialLearningError):
    """Nothing could be measured. Never reported as a score of zero."""
