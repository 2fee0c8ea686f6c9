"""The story with teachers of their own: the same protocols, student, evaluation and records; silos and guards are elsewhere.

`learn` is what `run` in `experiment.py` is for teachers in one process. What it cannot do is hold what left against the
silos: each owner has the outbox for that.
"""

import json
import secrets
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from social_learning.config import Arm, Experiment, cells_of
from social_learning.context import check_context
from social_learning.corpus import Corpus, load_test
from social_learning.errors import ConfigError, RunFolderError, TeachingError
from social_learning.experiment import conclude, default_folder, examine, facts, pool_for, silos_folder
from social_learning.files import write_file
from social_learning.models.base import Usage
from social_learning.models.pool import Load, ModelPool
from social_learning.models.registry import load_model
from social_learning.preflight import check_models, check_settings
from social_learning.progress import Unwatched, Watch
from social_learning.provenance import Origin
from social_learning.recipes import protocol
from social_learning.records import RunFolder
from social_learning.results import Cell, CellKey, Result
from social_learning.seeds import generator
from social_learning.transports.carrier import Carrier
from social_learning.transports.remote import Attendance, Place, RemoteRounds
from social_learning.transports.reply_log import ReplyLog
from social_learning.transports.rounds import drive_rounds
from social_learning.transports.sockets import SocketCarrier


@dataclass(frozen=True, slots=True)
class Setting:
    """What all cells of a remote run share."""

    experiment: Experiment
    corpus: Corpus
    models: ModelPool
    folder: RunFolder
    carrier: Carrier
    log: ReplyLog
    run: str
    watch: Watch


def learn(
    experiment: Experiment,
    carrier: Carrier,
    out: Path | None = None,
    *,
    data: Path | None = None,
    load: Load = load_model,
    watch: Watch | None = None,
    origin: Origin | None = None,
) -> Result:
    """Run an experiment with teachers of their own, or the rest of it, and write its run folder; arguments as for `run`.

    A run that was stopped goes on from its folder: what a teacher gave before, it is not asked for again. Besides what
    `run` writes, `replies.jsonl` holds every response that was accepted, and `cells/NAME/attendance.json` who was missing
    and what was taken out or flagged.

    A cell whose teaching ends without a lesson, as where too few teachers answered, is written down as failed, and the others
    go on; the next start tries it again. Then IncompleteError, with the result, is raised after everything is written. Raises
    a UserError before any teacher is asked where settings or data do not fit together.
    """
    if experiment.remote is None:
        raise ConfigError("the experiment has no [remote] table: its teachers are not on their own")
    watch = watch or Unwatched()
    corpus = load_test(experiment, data)
    for arm in experiment.resolved_arms():
        check_settings(arm, corpus.task)
    path = out or default_folder(experiment)
    with ExitStack() as stack:
        folder = stack.enter_context(RunFolder(path, experiment, origin or Origin("social_learning.remote.learn")))
        folder.begin()
        told = facts(corpus, silos_folder(experiment))
        unknown = {"train_examples", "train_duplicates", "conflicting_questions", "train_in_test"}
        folder.depends_on("data", {name: fact for name, fact in told.items() if name not in unknown})
        models = stack.enter_context(closing(pool_for(experiment, load, watch)))
        plan = list(cells_of(experiment))
        finished = {key: cell for _, key in plan if (cell := folder.finished(key))}
        missing = [(arm, key) for arm, key in plan if key not in finished]
        check_models(experiment, [arm for arm, _ in missing], corpus.task, models)
        check_context(experiment, missing, corpus, models, data)
        # From here on the run has a name that teachers may have been told.
        log = stack.enter_context(closing(ReplyLog(path / "replies.jsonl", folder.origin.clock)))
        setting = Setting(experiment, corpus, models, folder, carrier, log, run_name(path), watch)
        for number, (arm, key) in enumerate(missing):
            watch.cells(len(plan) - len(missing) + number, len(plan))
            cell = _teach_and_test(setting, arm, key)
            if cell:
                finished[key] = cell
        watch.cells(len(plan), len(plan))
        return conclude(experiment, folder, finished, whole=True)


def _teach_and_test(setting: Setting, arm: Arm, key: CellKey) -> Cell | None:
    """Do one cell, as `teach_and_test` in `experiment.py` does; None where it ends without a lesson."""
    experiment, task, watch = setting.experiment, setting.corpus.task, setting.watch
    names = experiment.teacher_names
    least = (experiment.remote and experiment.remote.min_teachers) or len(names)
    model = setting.models.get(arm.student.model, "student", arm.student.options())
    setting.folder.depends_on(f"student's model of {arm.name}", model.identity)

    begun = setting.folder.origin.now()
    started = time.perf_counter()
    rounds = RemoteRounds(
        Place(setting.run, key.name, key.repeat),
        task,
        setting.carrier,
        setting.log,
        len(names) - least,
        setting.folder.messages(key),
        lambda kind, n, of: watch.step(f"{key.name}: teachers, {kind}", n, of),
    )
    teaching = protocol(arm, task, key.shots, names, generator(experiment.seed, "student", key.repeat))
    try:
        lesson = drive_rounds(teaching, rounds)
    except TeachingError as error:
        setting.folder.fail(key, str(error))
        return None
    rounds.end()
    used, between = setting.models.usage(), time.perf_counter()

    evaluation, lesson = examine(experiment, arm, key, setting.corpus, model, lesson, watch)
    answered, ended = setting.models.usage(), time.perf_counter()

    # What teachers' models computed is known to their owners only.
    cell = Cell(key, evaluation, Usage(), answered - used, between - started, ended - between)
    write_attendance(setting.folder.path, key, rounds.attendance)
    made = setting.folder.origin.stamp(begun, {"student": model.identity})
    setting.folder.finish(cell, lesson, [], original=False, made=made)
    return cell


def socket_carrier(experiment: Experiment) -> SocketCarrier:
    """Return the carrier to the sockets that an experiment names. Raises ConfigError where it names none."""
    if experiment.remote is None:
        raise ConfigError("the experiment has no [remote] table: its teachers are not on their own")
    base, form = Path(experiment.base), experiment.remote.sockets
    sockets = {name: base / form.replace("{name}", name) for name in experiment.teacher_names}
    return SocketCarrier(sockets, experiment.remote.timeout)


def run_name(folder: Path) -> str:
    """Return the name by which teachers know a run: drawn once, and kept in its folder.

    It is drawn at random, so that two runs of the same experiment are two to the teachers' caps; nothing that is learned
    depends on it.
    """
    file = folder / "run-name"
    if not file.exists():
        write_file(file, secrets.token_hex(8) + "\n")
    name = file.read_text(encoding="utf-8").strip()
    if not name.isalnum():
        raise RunFolderError(
            f"{file} is damaged: delete it and replies.jsonl; teachers then take the rest for another run"
        )
    return name


def write_attendance(folder: Path, key: CellKey, attendance: Attendance) -> None:
    """Write down who was missing in a cell and why, and what was taken out or flagged of whose replies."""
    table = {
        "missing": [{"round": r, "teacher": name, "reason": reason} for r, name, reason in attendance.missing],
        "flags": {name: dict(sorted(counts.items())) for name, counts in sorted(attendance.flags.items())},
    }
    write_file(folder / "cells" / key.name / "attendance.json", json.dumps(table, indent=2) + "\n")
