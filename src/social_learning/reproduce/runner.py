"""The runner: does what a plan asks for, one run folder after another, with one model in memory; then the tables."""

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from social_learning.audit import audit, prepare
from social_learning.corpus import load_corpus
from social_learning.endpoints import load_from
from social_learning.errors import AuditError
from social_learning.experiment import run
from social_learning.files import sweep
from social_learning.folders import cache_folder
from social_learning.models.pool import Load, ModelPool
from social_learning.models.registry import load_model
from social_learning.preflight import check
from social_learning.progress import Unwatched, Watch
from social_learning.provenance import Origin, Stamp
from social_learning.reproduce.compare import View, view_of
from social_learning.reproduce.made import changed_runs
from social_learning.reproduce.page import write_page
from social_learning.reproduce.plan import (
    Part,
    Request,
    check_request,
    default_root,
    fingerprint_of,
    parts_of,
    tables_of,
)
from social_learning.reproduce.progress import Whole
from social_learning.reproduce.state import arms_left, cells_left
from social_learning.reproduce.tables import TABLES
from social_learning.reproduce.write import read_request, read_took, write_table, write_took


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command came to: the folder, the tables asked for, and in `remarks` which audits failed, and why. `changed` says
    what somebody edited in the run folders that the tables were read from.
    """

    root: Path
    views: tuple[View, ...]
    remarks: tuple[str, ...]
    changed: tuple[str, ...] = ()


def reproduce(
    request: Request,
    root: Path | None = None,
    *,
    data: Path | None = None,
    load: Load = load_model,
    watch: Watch | None = None,
    clock: Callable[[], float] = time.perf_counter,
    origin: Origin | None = None,
) -> Outcome:
    """Run the tables that are asked for, or the rest of them, and write them down.

    `root` is the folder of all run folders (default: `runs/reproduce-MODEL-FINGERPRINT`), `data` the folder of the tasks'
    data, `load` makes models, `clock` tells seconds, and `origin` says which command this is. Cells and trials that the
    folders hold are not done again, whichever table they were done for, and calls that the caches hold are not made again.
    The tables are written anew after each run folder.

    Raises a UserError before any model call where the request or the data do not fit together.
    """
    began, origin = clock(), origin or Origin("social_learning.reproduce.reproduce")
    started = origin.now()
    root, parts = planned(request, root, data)
    sweep(root)
    before, to_do = read_took(root), any(_left(part) for part in parts)

    def went_on() -> None:
        # Now and not at the end, so that what a command took that is stopped counts as well.
        if to_do:
            write_took(root, before.and_now(clock() - began))

    whole = Whole(watch or Unwatched(), parts, went_on)
    remarks: list[str] = []
    views: list[View] = []
    silos = cache_folder() / "silos"
    ledger = silos / f"spent-reproduce-{fingerprint_of(request)}.jsonl"
    with closing(ModelPool(_loader(parts, load, ledger), silos, whole.model, whole.tokens)) as models:
        for part in parts:
            _load(part, models)
        for part in parts:
            remarks += _do(part, models, whole, data, origin)
            views = write_all(request, root, origin.stamp(started, {}))
    return Outcome(root, tuple(views), tuple(remarks), tuple(changed_runs(root, views)))


def _loader(parts: Sequence[Part], load: Load, ledger: Path) -> Load:
    """Return `load` with the endpoints of all parts known to it, all paid from one purse."""
    tables = {name: table for part in parts for name, table in part.experiment.models.items()}
    endpoints = {name: table.endpoint(name) for name, table in tables.items()}
    return load_from(endpoints, parts[0].experiment.budget, load, ledger)


def planned(request: Request, root: Path | None, data: Path | None) -> tuple[Path, list[Part]]:
    """Return the root folder and what has to be run; raises a UserError where request and data do not fit together."""
    check_request(request)
    root = root or default_root(request)
    parts = parts_of(request, root)
    for part in parts:
        if part.cells:
            check(part.experiment, load_corpus(part.experiment, data))
        for plan in part.audits:
            prepare(part.experiment, replace(plan, only=part.audited), data)
    return root, parts


def write_all(request: Request, root: Path, made: Stamp) -> list[View]:
    """Write the tables that are asked for, and return them; the page also shows those that earlier commands asked for.

    `made` says by what they are put together.
    """
    views = {table.name: view_of(request, root, table) for table in tables_of(request)}
    took = read_took(root)
    for view in views.values():
        write_table(root, view, took, made)
    earlier = {
        name: view_of(before, root, table)
        for name, table in TABLES.items()
        if name not in views and (before := read_request(root, table))
    }
    together = {**views, **earlier}
    write_page(root, [together[name] for name in TABLES if name in together], took, made)
    return list(views.values())


def _load(part: Part, models: ModelPool) -> None:
    """Load the models of what is left to do, so that one that cannot be loaded is told before hours of work."""
    names = _left(part)
    for arm in part.experiment.resolved_arms():
        if arm.name in names:
            models.load(arm.teachers.model, arm.teachers.options())
            models.load(arm.student.model, arm.student.options())


def _left(part: Part) -> set[str]:
    """The names of the arms that a part has something left to do of."""
    return {key.arm for key in cells_left(part)} | {arm.name for plan in part.audits for arm in arms_left(part, plan)}


def _do(part: Part, models: ModelPool, whole: Whole, data: Path | None, origin: Origin) -> list[str]:
    """Do one part; returns which of its audits failed, and why."""
    remarks = []
    with whole.stage():
        left = cells_left(part)
        if left:
            floor = [key for key in part.cells if key.arm == part.experiment.compare_with]
            cells = {*left, *floor}
            run(part.experiment, part.folder, data=data, watch=whole, models=models, cells=cells, origin=origin)
    for plan in part.audits:
        with whole.stage():
            try:
                only = replace(plan, only=part.audited)
                audit(part.experiment, only, part.folder, data=data, watch=whole, models=models, origin=origin)
            except AuditError as error:
                remarks.append(f"{part.task}, {plan.canaries}: {error}")
    return remarks
