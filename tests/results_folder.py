"""What is wrong with a folder of results: tables beside another run's settings, commands that do not work, tables typed by hand.

A root is a folder whose README.md gives the command. It is a run folder (experiment.toml, run.json, results.json or audits/), or a
reproduce root: tableN.json, and below it a run folder for each task.
"""

import json
import re
import shlex
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from social_learning.audit_plan import Plan
from social_learning.config import load_experiment
from social_learning.errors import ConfigError
from social_learning.reproduce.compare import view_of
from social_learning.reproduce.plan import Request, experiment_for, folder_of
from social_learning.reproduce.tables import TABLES
from social_learning.reproduce.write import record

with warnings.catch_warnings():
    # Typer's own use of Click, which the program's user does not see either.
    warnings.simplefilter("ignore", DeprecationWarning)
    import typer

    from social_learning.cli import app
    from social_learning.cli.options import with_max_cost
    from social_learning.cli.reproductions import request_of

COMMAND = re.compile(r"^social-learning .+$", re.MULTILINE)
MARKED = re.compile(r"<!-- (?:results|benchmarks)/[^>]* -->\n.*?<!-- end -->", re.DOTALL)
DECIDED = (("task",), ("repeats",), ("shots",), ("data", "test_rows"), ("teachers", "model"), ("student", "model"))
"""What a request decides of an experiment, whatever the defaults of its time were."""


@dataclass
class Asked:
    """What the commands of a root ask for: requests, audits, and the settings of runs and audits."""

    requests: list[Request] = field(default_factory=list)
    plans: list[Plan] = field(default_factory=list)
    settings: list[dict[str, Any]] = field(default_factory=list)


def faults(results: Path, not_kept: frozenset[str] = frozenset()) -> list[str]:
    """Return what is wrong, a line each. `not_kept` names run folders whose run.json is known to be lost."""
    return [
        *_alone(results, not_kept),
        *_empty(results, not_kept),
        *_unlike(results),
        *(fault for file in sorted(results.rglob("table*.json")) for fault in _table_faults(results, file)),
        *(fault for file in sorted(results.rglob("table*.json")) for fault in _computed_anew(results, file)),
        *(fault for root in _roots(results) for fault in _command_faults(results, root)),
        *_without_command(results),
    ]


def typed_by_hand(page: str) -> list[str]:
    """Return the lines of tables of a page that no program fills."""
    return [line for line in MARKED.sub("", page).splitlines() if line.lstrip().startswith("|")]


def _alone(results: Path, not_kept: frozenset[str]) -> Iterator[str]:
    """Results without the run that made them, or without its settings."""
    runs = {file.parent for file in results.rglob("results.json")}
    runs |= {file.parents[2] for file in results.rglob("audit.json")}
    runs |= {folder for file in results.rglob("table*.json") for folder in _folders(file)}
    for run in sorted(runs):
        name = str(run.relative_to(results))
        missing = [part for part in ("run.json", "experiment.toml") if not (run / part).exists()]
        if missing and not (missing == ["run.json"] and name in not_kept):
            yield f"{name}: no {' and no '.join(missing)} beside what the run measured"


def _empty(results: Path, not_kept: frozenset[str]) -> Iterator[str]:
    """Experiment files that nothing was measured with."""
    for file in sorted(results.rglob("experiment.toml")):
        name = str(file.parent.relative_to(results))
        if name not in not_kept and not any((*file.parent.glob("run.json"), *file.parent.glob("*.csv"))):
            yield f"{name}: an experiment file and no result"


def _unlike(results: Path) -> Iterator[str]:
    """Experiment files that are not the settings of the run."""
    for file in sorted(results.rglob("run.json")):
        settings = file.with_name("experiment.toml")
        if settings.exists():
            experiment = load_experiment(settings).model_dump(mode="json")
            for difference in _differences(json.loads(file.read_text())["experiment"], experiment):
                yield f"{settings.relative_to(results)}: {difference}"


def _differences(run: Any, settings: Any, path: str = "") -> Iterator[str]:
    """What a run knew of its settings and a file says otherwise. Settings that came later do not count."""
    if isinstance(run, Mapping) and isinstance(settings, Mapping):
        for key, value in run.items():
            yield from _differences(value, settings.get(key), f"{path}.{key}" if path else key)
    elif run != settings:
        yield f"{path} is {settings!r}, of the run {run!r}"


# Tables


def _folders(table: Path) -> list[Path]:
    """The run folders that a reproduced table was made from."""
    return list(dict.fromkeys(folder for folder, _, _ in _rows(json.loads(table.read_text()), table.parent)))


def _rows(table: Mapping[str, Any], root: Path) -> Iterator[tuple[Path, str, dict[str, Any]]]:
    """Each measured row of a table: the run folder, the arm, and the row."""
    request = Request.from_table(table["request"])
    lines = {line.label: line for line in TABLES[table["table"]].lines}
    for row in table["rows"]:
        if row["value"] is not None:
            line = lines[row["line"]]
            yield folder_of(request, root, row["task"], line.other_teachers), line.arm or "", row


def _table_faults(results: Path, file: Path) -> Iterator[str]:
    """Rows of a table that its runs did not measure."""
    table, where = json.loads(file.read_text()), file.relative_to(results)
    request = Request.from_table(table["request"])
    for folder, arm, row in _rows(table, file.parent):
        if (folder / "run.json").exists():
            run = json.loads((folder / "run.json").read_text())["experiment"]
            asked = experiment_for(request, row["task"], folder.name != row["task"]).model_dump(mode="json")
            yield from (
                f"{where}: asks for other {'.'.join(p)} than the run" for p in DECIDED if _at(run, p) != _at(asked, p)
            )
        if table["measure"] == "accuracy" and (folder / "results.json").exists():
            arms = json.loads((folder / "results.json").read_text())["arms"]
            found = next((a for a in arms if (a["name"], a["shots"]) == (arm, row["shots"])), None)
            if found is None or not _same(row, found):
                yield f"{where}: {row['line']} at {row['shots']} shots is not what {folder.name}/results.json says"


def _computed_anew(results: Path, file: Path) -> Iterator[str]:
    """Figures of a table that are not what the outcomes row by row say, where its runs kept these."""
    table = json.loads(file.read_text())
    if table["measure"] != "accuracy":
        return
    kept = {row["task"] for folder, _, row in _rows(table, file.parent) if any(folder.glob("cells/*/cell.json"))}
    view = view_of(Request.from_table(table["request"]), file.parent, TABLES[table["table"]])
    anew = [record(row) for row in view.rows if row.task in kept]
    if anew != [row for row in table["rows"] if row["task"] in kept]:
        yield f"{file.relative_to(results)}: not what the cells of its runs say"


def _same(row: Mapping[str, Any], arm: Mapping[str, Any]) -> bool:
    close = abs(row["value"] - 100 * arm["accuracy"]) < 1e-6
    return close and (row["repeats"], row["rows"], row["unparsed"]) == (
        arm["repeats"],
        arm["test_rows"],
        arm["unparsed"],
    )


def _at(settings: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    value: Any = settings
    for part in path:
        value = value.get(part)
    return list(value) if isinstance(value, tuple) else value


# Commands


def _roots(results: Path) -> list[Path]:
    return sorted(file.parent for file in results.rglob("README.md") if COMMAND.search(file.read_text()))


def _without_command(results: Path) -> Iterator[str]:
    """What was measured, and no README.md in the folder or above it says how."""
    measured = [*results.rglob("run.json"), *results.rglob("table*.json")]
    roots = _roots(results)
    for folder in sorted({file.parent for file in measured}):
        if not any(root in (folder, *folder.parents) for root in roots):
            yield f"{folder.relative_to(results)}: no README.md gives the command that made it"


def _command_faults(results: Path, root: Path) -> Iterator[str]:
    """Commands that do not work, and results that no command asks for."""
    where, asked = root.relative_to(results), Asked()
    for command in COMMAND.findall((root / "README.md").read_text()):
        try:
            _ask(command, asked, root)
        except (click.ClickException, ConfigError) as error:
            yield f"{where}: {command}: {error}"
    for file in sorted(root.glob("table*.json")):
        request = Request.from_table(json.loads(file.read_text())["request"])
        if request not in asked.requests:
            yield f"{where}: no command asks for what {file.name} was made for: {request}"
    for file in sorted(root.rglob("audit.json")):
        audit = json.loads(file.read_text())
        made = (audit["canaries"], audit["references"], audit["rows"], max(len(arm["ranks"]) for arm in audit["arms"]))
        if made not in [(plan.canaries, plan.references, plan.rows, plan.trials) for plan in asked.plans]:
            yield f"{where}: no command asks for the audit {file.parent.name}"
    for file in sorted(root.rglob("run.json")):
        if not _asked_for(json.loads(file.read_text())["experiment"], asked):
            yield f"{where}: no command gives the settings of {file.relative_to(root)}"


def _asked_for(run: Mapping[str, Any], asked: Asked) -> bool:
    """Whether a command gives a run's settings: all of them, or what a request decides."""
    if any(not list(_differences(run, settings)) for settings in asked.settings):
        return True
    wanted = [
        experiment_for(request, run["task"], other).model_dump(mode="json")
        for request in asked.requests
        for other in ({False, bool(request.teacher_model)})
        if run["task"] in request.tasks
    ]
    return any(all(_at(run, path) == _at(one, path) for path in DECIDED) for one in wanted)


def _ask(command: str, asked: Asked, root: Path) -> None:
    """Parse one command as the program does. Raises ClickException or ConfigError where the program would refuse it."""
    group = typer.main.get_command(app)
    assert isinstance(group, click.Group)
    name, found, words = group.resolve_command(click.Context(group), shlex.split(command)[1:])
    assert found is not None
    options = found.make_context(name or "", words).params
    if name == "reproduce":
        asked.requests.append(request_of(options))
        return
    if Path(options["file"]).name != "experiment.toml" or not root.as_posix().endswith(
        Path(options["file"]).parent.as_posix()
    ):
        raise ConfigError(f"{options['file']} is not the experiment file of this folder")
    experiment = load_experiment(root / "experiment.toml", with_max_cost(options["override"], options["max_cost"]))
    asked.settings.append(experiment.model_dump(mode="json"))
    if name == "audit":
        asked.plans.append(Plan(options["trials"], options["references"], options["canaries"], options["rows"]))
