"""What an audit found, as plain values: its evidence arm by arm, and how it was made."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from social_learning.audit_plan import Plan
from social_learning.privacy.trials import ArmAudit
from social_learning.provenance import Batch, Stamp


@dataclass(frozen=True, slots=True)
class AuditResult:
    """An audit: its folder, the experiment's name and task, the plan, and each arm's evidence, the control first.

    `planted` says what was: the canaries' pattern, and for names a hash of the published list that they were drawn from. `made`
    says how the arms' trials were put together; `trials` which of them were made by what, by their arms' names.
    """

    folder: str
    experiment: str
    task: str
    plan: Plan
    planted: Mapping[str, str]
    arms: tuple[ArmAudit, ...]
    made: Stamp
    trials: tuple[Batch, ...] = ()

    def to_table(self) -> dict[str, Any]:
        """Return the object that `audit --json` prints."""
        return {
            "audit": self.folder,
            "experiment": self.experiment,
            "task": self.task,
            "canaries": self.plan.canaries,
            "references": self.plan.references,
            "rows": self.plan.rows,
            "planted": dict(self.planted),
            "made": self.made.to_table(),
            "trials": [
                {"arms": dict(Counter(batch.names)), "made": batch.stamp and batch.stamp.to_table()}
                for batch in self.trials
            ],
            "arms": [arm.to_table() for arm in self.arms],
        }
