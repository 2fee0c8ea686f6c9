"""What an audit does: how many trials of which arms, and where each is kept."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from social_learning.config import Arm, Experiment
from social_learning.corpus import Corpus
from social_learning.errors import ConfigError, DataError
from social_learning.preflight import check_silos
from social_learning.privacy.canaries import CanaryKind
from social_learning.recipes import private_examples_needed

CONTROL = "verbatim"
_CONTROLS = re.compile(rf"{CONTROL}(-\d+)?")
CONTROL_TRIALS = 10
"""The most trials of the verbatim control: whether canaries come out near rank 0 shows in few."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What an audit does: trials per arm, references per trial, kind of canary.

    Trials that were done before count, also where fewer are asked for now. `rows` cuts each silo to so many examples to
    teach from, the canary among them: the paper leaves silos whole (None), and then a canary is shown to a teacher's model
    by chance alone. `only` names the arms to audit; None for all that can be.
    """

    trials: int = 100
    references: int = 999
    canaries: CanaryKind = "codes"
    rows: int | None = None
    only: Collection[str] | None = None

    @property
    def name(self) -> str:
        """The audit's folder name, such as `codes-1000`. The number of trials is not in it: more can follow."""
        return f"{self.canaries}-{self.references + 1}" + (f"-rows{self.rows}" if self.rows else "")

    def folder(self, run: Path) -> Path:
        """Return the audit's folder in a run folder."""
        return run / "audits" / self.name

    def trial_file(self, run: Path, arm: Arm, number: int) -> Path:
        """Return the file of one trial."""
        return self.folder(run) / arm.name / f"{number:04d}.json"

    def wanted(self, arm: Arm) -> int:
        """Return how many trials an arm gets; the control, whose method is `original`, gets few."""
        return min(self.trials, CONTROL_TRIALS) if arm.method == "original" else self.trials

    def done(self, run: Path, arm: Arm) -> list[int]:
        """Return the numbers of the trials of an arm that a run folder holds, in order, whatever this plan wants."""
        files = (self.folder(run) / arm.name).glob("*.json")
        return sorted(int(file.stem) for file in files if file.stem.isdigit())

    def left(self, run: Path, arm: Arm) -> int:
        """Return how many trials of an arm a run folder does not hold yet."""
        return sum(not self.trial_file(run, arm, number).exists() for number in range(self.wanted(arm)))


def arms_of(experiment: Experiment, only: Collection[str] | None = None) -> list[Arm]:
    """Return the arms that an audit looks at: those whose teachers send something they wrote; `only` names some of them.

    Raises ConfigError where there is none.
    """
    written = [arm for arm in experiment.resolved_arms() if arm.method in ("generated", "voted", "instruction")]
    arms = [arm for arm in written if only is None or arm.name in only]
    if not arms:
        raise ConfigError("nothing to audit: no arm of the experiment is generated, voted or instruction")
    taken = next((arm.name for arm in experiment.resolved_arms() if _CONTROLS.fullmatch(arm.name)), None)
    if taken:
        raise ConfigError(f"arms: {taken!r} is the name of an audit's control: rename that arm")
    return arms


def controls_of(experiment: Experiment, audited: Sequence[Arm]) -> list[Arm]:
    """Return one verbatim control for each different student of the audited arms: private examples word for word, the canary
    among them.

    All arms of the experiment count for its name and shots, so that these do not depend on which arms are audited.
    """
    arms, controls = arms_of(experiment), dict[tuple[int | str, ...], Arm]()
    for arm in arms:
        name = CONTROL if not controls else f"{CONTROL}-{len(controls) + 1}"
        shots = max(s for other in arms for s in other.shots) or arm.instruction.shots
        control = arm.model_copy(update={"name": name, "method": "original", "shots": (shots,)})
        controls.setdefault(_student(arm), control)
    return [controls[student] for student in dict.fromkeys(map(_student, audited))]


def _student(arm: Arm) -> tuple[int | str, ...]:
    return (arm.student.model, *arm.student.options().values())


def check_plan(experiment: Experiment, plan: Plan, arms: Sequence[Arm], corpus: Corpus) -> None:
    """Refuse, before any model call, silos that are too small, in any trial, for what an arm or its control teaches from.

    Raises DataError, or ConfigError where an arm judges and holds nothing out.
    """
    for arm in arms:
        needed = private_examples_needed(arm, corpus.task)
        if plan.rows is not None and plan.rows < needed:
            raise DataError(f"arm {arm.name!r} needs {needed} examples per silo, --rows leaves {plan.rows}")
    for arm in (*controls_of(experiment, arms), *arms):
        check_silos(experiment, arm, corpus, range(plan.wanted(arm)), planted=1)
