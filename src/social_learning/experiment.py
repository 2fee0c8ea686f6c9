"""The experiment: task, silos, teachers, protocol, lesson, student, evaluation, privacy evidence, records, report.

`run` tells the story; read it first.
"""

import time
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack, closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from social_learning.config import Arm, Experiment, by_arms, cells_of
from social_learning.context import check_context
from social_learning.corpus import Corpus, load_corpus
from social_learning.data_key import data_key, keyed_digest
from social_learning.departures import Departures
from social_learning.endpoints import loader
from social_learning.errors import IncompleteError, TeachingError
from social_learning.evaluation import Evaluation, evaluate
from social_learning.folders import cache_folder
from social_learning.guards import guards_for
from social_learning.lesson import Lesson, TestedStudent
from social_learning.models.base import LanguageModel
from social_learning.models.pool import Load, ModelPool
from social_learning.models.registry import load_model
from social_learning.outcome import result_of
from social_learning.owner import OwnerReports
from social_learning.preflight import check, check_models, chosen_cells, silos_for
from social_learning.privacy.closeness import closest_pair, measure
from social_learning.privacy.detectors import detector
from social_learning.privacy.evidence import Closeness
from social_learning.progress import Unwatched, Watch
from social_learning.provenance import Origin
from social_learning.recipes import protocol
from social_learning.records import RunFolder, read_closeness, read_failures
from social_learning.report import failure_lines, write_report
from social_learning.results import Cell, CellKey, Result, closeness_rows
from social_learning.seeds import child_seed, generator
from social_learning.silo import Silo
from social_learning.student import Student
from social_learning.teacher import Departure, Teacher
from social_learning.transports.local import drive

FAILURES_TOLD = 5
"""How many cells without a lesson an error names; the report names all."""


def run(
    experiment: Experiment,
    out: Path | None = None,
    *,
    data: Path | None = None,
    load: Load = load_model,
    watch: Watch | None = None,
    models: ModelPool | None = None,
    cells: Collection[CellKey] | None = None,
    origin: Origin | None = None,
) -> Result:
    """Run an experiment, or the rest of it, and write its run folder.

    `out` is the run folder (default: `runs/NAME-FINGERPRINT`), `data` the folder of the built-in tasks' data, `load`
    makes models, `models` are models in memory to use instead. Cells that the folder already holds are not done again,
    and calls that the caches hold are not made again. `origin` says which command this is, and tells the time.

    `cells` does a part of the experiment: these cells. One of the arm compared with must be among them, or finished
    before. The result, and the reports, are of all cells finished so far: a part takes nothing from a whole.

    A cell whose teaching ends without a lesson is written down as failed, and the others go on; the next start tries it
    again. Then IncompleteError, with the result, is raised after everything is written; for a part, only where there is no
    result.

    Raises a UserError before any model call where the settings or the data do not fit together.
    """
    watch, began = watch or Unwatched(), time.perf_counter()
    corpus = load_corpus(experiment, data)
    check(experiment, corpus)
    folder_path = out or default_folder(experiment)
    with ExitStack() as stack:
        folder = stack.enter_context(RunFolder(folder_path, experiment, origin or Origin("social_learning.run")))
        folder.begin()
        folder.depends_on("data", facts(corpus, silos_folder(experiment)))
        pool = models.sharing(silos_folder(experiment)) if models else pool_for(experiment, load, watch)
        stack.enter_context(closing(pool))
        owners = OwnerReports(silos_folder(experiment), experiment.fingerprint)
        plan = list(cells_of(experiment))
        # What is there already is counted at once, so that the time left is reckoned from what is done now.
        finished = {key: cell for _, key in plan if (cell := folder.finished(key))}
        asked = chosen_cells(experiment, cells, finished)
        missing = [(arm, key) for arm, key in asked if key not in finished]
        check_models(experiment, [arm for arm, _ in missing], corpus.task, pool)
        check_context(experiment, missing, corpus, pool, data)
        for number, (arm, key) in enumerate(missing):
            watch.cells(len(asked) - len(missing) + number, len(asked))
            cell = teach_and_test(experiment, arm, key, corpus, pool, folder, owners, watch)
            if cell:
                finished[key] = cell
        watch.cells(len(asked), len(asked))
        if missing:
            folder.took(time.perf_counter() - began)
        owners.write(experiment.name)
        return conclude(experiment, folder, finished, whole=cells is None)


def conclude(experiment: Experiment, folder: RunFolder, finished: Mapping[CellKey, Cell], whole: bool) -> Result:
    """Write down what the finished cells come to: results, evidence, report.

    Raises IncompleteError after that where there is no result, or `whole` was asked for and cells have no lesson.
    """
    every, failures = len(list(cells_of(experiment))), read_failures(folder.path, experiment)
    done = [finished[key] for key in by_arms(experiment, finished)]
    told = failure_lines(failures)
    problem = "; ".join(
        [*told[:FAILURES_TOLD], *([f"and {len(told) - FAILURES_TOLD} more"] if told[FAILURES_TOLD:] else [])]
    )
    if not done:
        raise IncompleteError(f"no cell has a lesson: {problem}")
    complete = len(done) + len(failures) == every
    folder.keep_parts(None if complete else [cell.key.name for cell in done])
    result = result_of(str(folder.path), experiment, done)
    folder.write_results(result)
    let_out = by_arms(experiment, [*finished, *failures])
    folder.write_closeness(closeness_rows(let_out, lambda key: read_closeness(folder.path, key)))
    write_report(folder.path, result)
    if whole and failures:
        raise IncompleteError(
            f"{len(failures)} of {every} cells have no lesson: {problem}; the same command tries them again", result
        )
    return result


def teach_and_test(
    experiment: Experiment,
    arm: Arm,
    key: CellKey,
    corpus: Corpus,
    models: ModelPool,
    folder: RunFolder,
    owners: OwnerReports,
    watch: Watch,
) -> Cell | None:
    """Do one cell: split the data into silos, teach, test, measure what left, and write it all down. None where teaching
    ends without a lesson: that is written down, and what left all the same is measured.
    """
    task, name = corpus.task, key.name
    silos = silos_for(experiment, arm, corpus, key.repeat)
    departures = Departures(folder.messages(key))
    teachers = {
        silo.name: teacher_for(experiment, arm, silo, models, key.repeat, departures.departed) for silo in silos
    }
    student_model = models.get(arm.student.model, "student", arm.student.options())
    teacher_model = models.get(arm.teachers.model, silos[0].name, arm.teachers.options())
    identities = {"teachers": teacher_model.identity, "student": student_model.identity}
    folder.depends_on(f"models of {arm.name}", identities)

    def measured() -> list[Closeness]:
        left = departures.placed
        owners.keep(name, {silo.name: closest_pair([d for d in left if d.teacher == silo.name]) for silo in silos})
        return measure(left, corpus.test, task.instruction, generator(experiment.seed, "controls", name))

    begun = folder.origin.now()
    used, started = models.usage(), time.perf_counter()
    teaching = protocol(arm, task, key.shots, list(teachers), generator(experiment.seed, "student", key.repeat))
    try:
        lesson = drive(
            teaching,
            teachers,
            departures.sent,
            lambda kind, n, of: watch.step(f"{name}: teachers, {kind}", n, of),
            models.together,
        )
    except TeachingError as error:
        folder.fail(key, str(error), measured())
        return None
    taught, between = models.usage(), time.perf_counter()

    evaluation, lesson = examine(experiment, arm, key, corpus, student_model, lesson, watch)
    answered, ended = models.usage(), time.perf_counter()

    cell = Cell(key, evaluation, taught - used, answered - taught, between - started, ended - between)
    folder.finish(cell, lesson, measured(), arm.method == "original", folder.origin.stamp(begun, identities))
    return cell


def examine(
    experiment: Experiment, arm: Arm, key: CellKey, corpus: Corpus, model: LanguageModel, lesson: Lesson, watch: Watch
) -> tuple[Evaluation, Lesson]:
    """Have a student with a lesson answer the test rows of a cell, and grade the answers; return the lesson with the student
    in it, so that whoever reads the lesson can ask the same one.
    """
    tested = TestedStudent(
        model=arm.student.model,
        dtype=arm.student.dtype,
        identity=model.identity,
        answer_by=arm.student.answer_by,
        calibrate=arm.student.calibrate,
        seed=child_seed(experiment.seed, "student", key.repeat),
    )
    lesson = lesson.model_copy(update={"student": tested})
    told = f"{key.name}: test rows"
    watch.step(told, 0, len(corpus.test))
    evaluation = evaluate(
        Student.tested(lesson, model),
        corpus.task,
        corpus.test,
        lambda n, of: watch.step(told, n, of),
        partial=experiment.budget.when_spent == "finish",
    )
    return evaluation, lesson


def teacher_for(
    experiment: Experiment,
    arm: Arm,
    silo: Silo,
    models: ModelPool,
    repeat: int,
    departed: Callable[[Departure], None] | None = None,
) -> Teacher:
    """Put a teacher before a silo. Only the `original` baseline may send private examples word for word."""
    return Teacher(
        silo,
        models.get(arm.teachers.model, silo.name, arm.teachers.options()),
        guards=guards_for(arm.teachers, silo.task),
        seed=child_seed(experiment.seed, "teacher", silo.name, repeat),
        allow_originals=arm.method == "original",
        detector=detector(experiment.privacy.detector),
        departed=departed,
    )


def pool_for(experiment: Experiment, load: Load, watch: Watch) -> ModelPool:
    """Return the models of a run; private call caches lie outside the run folder."""
    private = silos_folder(experiment)
    # Next to the caches, which say what need not be paid for again.
    ledger = private / f"spent-{experiment.fingerprint}.jsonl"
    return ModelPool(loader(experiment, load, ledger), private, watch.model, watch.tokens)


def default_folder(experiment: Experiment) -> Path:
    """Return the run folder where none is named: `runs/NAME-FINGERPRINT`."""
    return Path("runs") / f"{experiment.name}-{experiment.fingerprint}"


def silos_folder(experiment: Experiment) -> Path:
    """Return the folder that holds one private folder for each silo, and one for the student."""
    chosen = experiment.privacy.silos
    return Path(experiment.base) / chosen if chosen else cache_folder() / "silos" / experiment.name


def facts(corpus: Corpus, private: Path) -> dict[str, Any]:
    """What a run folder remembers of the data: where it is from, counts (those of `Sifted` too), and a digest that tells whether
    it changed, under a key that lies in the private folder `private`.
    """
    rows = (corpus.task.render(example) for example in (*corpus.train, *corpus.test))
    return {
        "source": corpus.source,
        "train_examples": len(corpus.train),
        "test_examples": len(corpus.test),
        **asdict(corpus.sifted),
        **keyed_digest(data_key(private), rows),
    }
