"""Reproduce: the paper's tables as a plan of experiments with any model, and what came out beside the paper's figures.

Nothing here teaches or measures: `experiment.run` and `audit.audit` do, one run folder per task. A table is a view of
cells in these folders, so that tables which need the same cell share it.
"""

from social_learning.reproduce.estimate import Forecast, forecast
from social_learning.reproduce.plan import Request
from social_learning.reproduce.runner import Outcome, reproduce
from social_learning.reproduce.tables import TABLES
from social_learning.reproduce.terminal import show_forecast, show_outcome

__all__ = ["TABLES", "Forecast", "Outcome", "Request", "forecast", "reproduce", "show_forecast", "show_outcome"]
