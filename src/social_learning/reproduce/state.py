"""State: what of a plan is done already, as its run folders say."""

from collections.abc import Sequence

from social_learning.audit_plan import Plan, arms_of, controls_of
from social_learning.config import Arm
from social_learning.records import read_cell, read_failure
from social_learning.reproduce.plan import Part
from social_learning.results import CellKey


def cells_left(part: Part) -> list[CellKey]:
    """Return the cells of a part that neither are finished nor ended without a lesson."""
    return [key for key in part.cells if not (read_cell(part.folder, key) or read_failure(part.folder, key))]


def audited(part: Part) -> Sequence[Arm]:
    """Return the arms of a part's audits, the control first."""
    arms = arms_of(part.experiment, part.audited)
    return [*controls_of(part.experiment, arms), *arms]


def arms_left(part: Part, plan: Plan) -> list[Arm]:
    """Return the arms of an audit, the control among them, that have trials left to do."""
    return [arm for arm in audited(part) if plan.left(part.folder, arm)]
