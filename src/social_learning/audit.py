"""The audit: how much a lesson gives away, by the paper's Secret Sharer (arXiv 2312.11441) for every arm of an experiment.

`audit` tells the story: canaries, trials, ranks, evidence. It lies in the experiment's run folder, below `audits/`:

    audits/KIND-N/ARM/0007.json   one trial, written as soon as it is done; a trial that has it is not done again
    audits/KIND-N/audit.json      each arm's evidence
    audits/KIND-N/trials.csv      rank and exposure of each trial
"""

import csv
import hashlib
import io
import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from social_learning.audit_plan import Plan, arms_of, check_plan, controls_of
from social_learning.audit_result import AuditResult
from social_learning.config import Arm, Experiment
from social_learning.context import check_training_context
from social_learning.corpus import Corpus, data_folder, load_corpus
from social_learning.errors import AuditError, RunFolderError
from social_learning.experiment import default_folder, facts, pool_for, silos_folder, teacher_for
from social_learning.files import read_json, write_file
from social_learning.models.pool import Load, ModelPool
from social_learning.models.registry import load_model
from social_learning.preflight import check, check_audit_models, check_models, silos_for
from social_learning.privacy.canaries import CanaryTask, canary_task, load_names
from social_learning.privacy.secret_sharer import Prepared, check_scorer, finish, plant
from social_learning.privacy.trials import POWER, ArmAudit, Failure, Trial, summarise
from social_learning.progress import Unwatched, Watch
from social_learning.provenance import Origin, Stamp, batches
from social_learning.recipes import protocol
from social_learning.records import RunFolder
from social_learning.report import write_audit_report
from social_learning.seeds import child_seed, generator
from social_learning.stamps import read_stamp
from social_learning.transports.local import drive_all

AT_ONCE = 16
"""How many trials are taught side by side: their teachers' calls go through a model as one batch."""

TRIAL_COLUMNS = (
    "arm", "number", "rank", "score", "interpolated", "extrapolated", "shown", "repeated", "failed",
)  # fmt: skip


def audit(
    experiment: Experiment,
    plan: Plan,
    out: Path | None = None,
    *,
    data: Path | None = None,
    load: Load = load_model,
    watch: Watch | None = None,
    models: ModelPool | None = None,
    origin: Origin | None = None,
) -> AuditResult:
    """Audit an experiment's arms, or do the rest of an audit, and write its evidence into the run folder.

    Arguments as for `run`, whose folder it shares. Trials that the folder already
    holds are not done again, and calls that the caches hold are not made again. The verbatim control goes first: where
    its canaries do not come out near rank 0, the audit has no power, and nothing more is paid for.

    Raises a UserError before any model call where settings, canaries and data do not fit together, and AuditError where
    the audit has no power; its evidence is written down before.
    """
    watch = watch or Unwatched()
    audited = arms_of(experiment, plan.only)
    corpus, canary, names = prepare(experiment, plan, data)
    folder_path = out or default_folder(experiment)
    with ExitStack() as stack:
        folder = stack.enter_context(RunFolder(folder_path, experiment, origin or Origin("social_learning.audit")))
        begun = folder.origin.now()
        folder.begin()
        folder.depends_on("data", facts(corpus, silos_folder(experiment)))
        planted = _planted(canary, names)
        folder.depends_on(f"canaries {plan.name}", planted)
        pool = models.sharing(silos_folder(experiment)) if models else pool_for(experiment, load, watch)
        stack.enter_context(closing(pool))
        to_do = [arm for arm in audited if plan.left(folder_path, arm)]
        check_models(experiment, to_do, corpus.task, pool)
        check_audit_models(to_do, pool)
        check_training_context(experiment, [*controls_of(experiment, to_do), *to_do], corpus, pool, data)
        auditor = _Auditor(experiment, plan, corpus, canary, names, pool, folder, watch)
        results, problems = auditor.run([*controls_of(experiment, audited), *audited])
        made = folder.origin.stamp(begun, {})
        done = batches(auditor.stamps())
        where = str(auditor.path)
        result = AuditResult(where, experiment.name, corpus.task.name, plan, planted, tuple(results), made, tuple(done))
        # What is written names its place in the run folder: that can be moved, and handed on.
        every = (*results, *auditor.earlier(results))
        done = batches(auditor.stamps())
        auditor.write(replace(result, folder=f"audits/{plan.name}", arms=every, trials=tuple(done)))
        write_audit_report(folder_path)
    if problems:
        raise AuditError("; ".join(problems))
    return result


def prepare(experiment: Experiment, plan: Plan, data: Path | None = None) -> tuple[Corpus, CanaryTask, Sequence[str]]:
    """Return what an audit works with: the examples, the canaries' pattern, and the list of names where it needs
    one.

    Raises a UserError where experiment, plan and data do not fit together.
    """
    corpus = load_corpus(experiment, data)
    check(experiment, corpus)
    check_plan(experiment, plan, arms_of(experiment, plan.only), corpus)
    canary = canary_task(corpus.task, plan.canaries, experiment.canary.templates)
    names = load_names(data_folder(experiment, data)) if plan.canaries == "names" else []
    canary.pattern.draw(plan.references + 1, generator(0), names)
    return corpus, canary, names


def _planted(canary: CanaryTask, names: Sequence[str]) -> dict[str, str]:
    digest = {"names": hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]} if names else {}
    return {"pattern": canary.pattern.template, **digest}


class _Auditor:
    """One audit under way: trials by arm, kept in the audit's folder."""

    def __init__(
        self,
        experiment: Experiment,
        plan: Plan,
        corpus: Corpus,
        canary: CanaryTask,
        names: Sequence[str],
        models: ModelPool,
        folder: RunFolder,
        watch: Watch,
    ) -> None:
        self._experiment, self._plan, self._corpus, self._canary = experiment, plan, corpus, canary
        self._names, self._models, self._folder, self._watch = names, models, folder, watch
        self.path = plan.folder(folder.path)
        self.trials: dict[str, dict[int, Trial | Failure]] = {}
        self._identities: dict[str, dict[str, str]] = {}
        self._done = self._wanted = 0

    def run(self, arms: Sequence[Arm]) -> tuple[list[ArmAudit], list[str]]:
        """Audit arms, controls first; returns their evidence, and what is wrong with the audit."""
        results, problems = list[ArmAudit](), list[str]()
        self._wanted = sum(map(self._plan.wanted, arms))
        self._done = self._wanted - sum(self._plan.left(self._folder.path, arm) for arm in arms)
        self._watch.cells(self._done, self._wanted)
        for arm in arms:
            try:
                results.append(self.run_arm(arm))
            except AuditError as error:
                problems.append(str(error))
                if arm.method != "original":
                    continue  # the other arms can be audited all the same
                break
            if results[-1].control and not results[-1].recognised:
                problems.append(_no_power(results[-1]))
                break
        return results, problems

    def earlier(self, now: Sequence[ArmAudit]) -> list[ArmAudit]:
        """Return the evidence of arms that were audited before and not now, by the trials that there are; controls first."""
        every = arms_of(self._experiment)
        others = [
            arm for arm in (*controls_of(self._experiment, every), *every) if arm.name not in {a.name for a in now}
        ]
        found = list[ArmAudit]()
        for arm in others:
            if self._plan.done(self._folder.path, arm):
                with suppress(AuditError):
                    found.append(self._evidence(arm))
        return found

    def run_arm(self, arm: Arm) -> ArmAudit:
        """Do the trials of an arm that are missing, and put all of them together."""
        wanted, done = self._plan.wanted(arm), set(self._plan.done(self._folder.path, arm))
        missing = [number for number in range(wanted) if number not in done]
        if missing:
            self._connect(arm)
            self._folder.working()
        for first in range(0, len(missing), AT_ONCE):
            block = missing[first : first + AT_ONCE]
            begun = self._folder.origin.now()
            for ended, trial in enumerate(
                self._block(arm, max(arm.shots), block), start=wanted - len(missing) + first + 1
            ):
                made = self._folder.origin.stamp(begun, self._identities[arm.name])
                write_file(self._file(arm, trial.number), json.dumps({**_table(trial), "made": made.to_table()}) + "\n")
                self._watch.step(f"{arm.name}: trials", ended, wanted)
            self._folder.seal.note(self._file(arm, number) for number in block)
            # Not trial by trial: a block is taught together, so within one the time left would be wrong.
            self._done += len(block)
            self._watch.cells(self._done, self._wanted)
        return self._evidence(arm)

    def _evidence(self, arm: Arm) -> ArmAudit:
        """Put together all trials of an arm that the folder holds."""
        trials = {number: self._finished(arm, number) for number in self._plan.done(self._folder.path, arm)}
        self.trials[arm.name] = trials
        seed = child_seed(self._experiment.seed, "audit", self._plan.name, arm.name)
        control = arm.method == "original"
        return summarise(arm.name, arm.method, max(arm.shots), control, list(trials.values()), seed)

    def stamps(self) -> Iterator[tuple[str, Stamp | None]]:
        """The names of the arms looked at so far, once for each trial, with how that trial was made."""
        for arm, trials in self.trials.items():
            for number in sorted(trials):
                yield arm, read_stamp(self.path / arm / f"{number:04d}.json")

    def write(self, result: AuditResult) -> None:
        """Write what the trials came to."""
        write_file(self.path / "audit.json", json.dumps(result.to_table(), indent=2) + "\n")
        text = io.StringIO()
        writer = csv.DictWriter(text, TRIAL_COLUMNS, extrasaction="ignore", restval="", lineterminator="\n")
        writer.writeheader()
        for arm, trials in self.trials.items():
            writer.writerows({"arm": arm, **_table(trial)} for _, trial in sorted(trials.items()))
        write_file(self.path / "trials.csv", text.getvalue())

    def _connect(self, arm: Arm) -> None:
        """Load an arm's models, and refuse a student that cannot score."""
        teachers = self._models.get(arm.teachers.model, "teacher-1", arm.teachers.options())
        identities = {"teachers": teachers.identity, "student": self._student(arm).identity}
        self._folder.depends_on(f"audited models of {arm.name}", identities)
        self._identities[arm.name] = identities
        check_scorer(self._student(arm))

    def _student(self, arm: Arm) -> Any:
        return self._models.get(arm.student.model, "student", arm.student.options())

    def _block(self, arm: Arm, shots: int, numbers: Sequence[int]) -> Any:
        """Teach some trials side by side, then score them one by one; yields each as soon as it is done."""
        prepared = [self._prepare(arm, shots, number) for number in numbers]
        told = f"{arm.name}: teaching trials {numbers[0] + 1} to {numbers[-1] + 1}"
        lessons = drive_all(
            [(trial.protocol, trial.teachers) for trial in prepared],
            lambda done, of: self._watch.step(told, done, of),
            self._models.together,
        )
        for trial, lesson in zip(prepared, lessons, strict=True):
            yield finish(trial, lesson, self._student(arm), self._canary)

    def _prepare(self, arm: Arm, shots: int, number: int) -> Prepared:
        """Draw a trial's canaries, plant the first one in every silo, and set up its teaching."""
        seed, plan = self._experiment.seed, self._plan
        # All arms get the same canaries in the same trial, so that they differ in the teaching alone.
        secrets = self._canary.pattern.draw(
            plan.references + 1, generator(seed, "canaries", plan.canaries, number), self._names
        )
        rows = shots if arm.method == "original" else plan.rows
        departed: list[Any] = []
        teachers = {}
        for silo in silos_for(self._experiment, arm, self._corpus, number):
            rng = generator(seed, "plant", silo.name, number)
            planted = plant(silo, self._canary, secrets[0], rng, rows)
            teachers[silo.name] = teacher_for(self._experiment, arm, planted, self._models, number, departed.append)
        rng = generator(seed, "student", number)
        teaching = protocol(arm, self._canary.task, shots, list(teachers), rng)
        return Prepared(number, secrets, teaching, teachers, departed)

    def _file(self, arm: Arm, number: int) -> Path:
        return self._plan.trial_file(self._folder.path, arm, number)

    def _finished(self, arm: Arm, number: int) -> Trial | Failure:
        file = self._file(arm, number)
        try:
            table = read_json(file)
            table.pop("made", None)
            return Failure(**table) if "failed" in table else Trial.from_table(table)
        except (KeyError, TypeError, AttributeError):
            raise RunFolderError(f"{file} is damaged: delete it to have that trial done again") from None


def _no_power(control: ArmAudit) -> str:
    return (
        f"the audit has no power: the verbatim control, whose lesson holds the canary word for word, has a mean rank of "
        f"{control.mean_rank:.1f} of {control.references:,} (it has to be {POWER * control.references:.0f} or less); this student's "
        "model does not show what stands in its prompt, so ranks say nothing about a leak"
    )


def _table(trial: Trial | Failure) -> dict[str, Any]:
    return {"number": trial.number, "failed": trial.failed} if isinstance(trial, Failure) else trial.to_table()
