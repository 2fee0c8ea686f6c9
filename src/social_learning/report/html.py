"""The report: one HTML file that needs no network and no script, for light and dark, screen and paper."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from social_learning.errors import RunFolderError
from social_learning.files import write_file
from social_learning.manifest import renew
from social_learning.report import numbers, words
from social_learning.report.cells import with_labels
from social_learning.report.evidence import privacy_of
from social_learning.report.load import load_manifest, load_result
from social_learning.report.made import changed_lines
from social_learning.report.view import page_of
from social_learning.report.visible import marked, visible
from social_learning.results import Result


def write_report(folder: Path, result: Result) -> Path:
    """Write `report.html` into a run folder, whole or not at all, and return its path.

    Raises RunFolderError where run.json is missing or damaged, or the report cannot be written. Logs and lessons that
    are missing or damaged are told in the report.
    """
    page = page_of(folder, result)
    path = write_page(
        folder / "report.html", "report.html.j2", page=page, privacy=page.privacy, changed=page.made.changed
    )
    renew(folder, path.name)
    return path


def write_audit_report(folder: Path) -> Path:
    """Write `audit.html` into a run folder, and the run's own report anew where a run is finished there; return the
    first one's path.

    Raises RunFolderError where a file of the folder is damaged, or the report cannot be written.
    """
    manifest = load_manifest(folder)
    result = load_result(folder) if (folder / "results.json").is_file() else None
    if result:
        write_report(folder, result)
    experiment = manifest.experiment
    task = experiment.task if isinstance(experiment.task, str) else experiment.task.name
    privacy = privacy_of(folder, experiment, task, result)
    values = {"name": experiment.name, "task": task, "privacy": privacy, "changed": changed_lines(folder)}
    path = write_page(folder / "audit.html", "audit.html.j2", **values)
    renew(folder, path.name)
    return path


def owner_page(experiment: str, teacher: str, pairs: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    """Return the page for the owner of one silo; `pairs` are cells with `distance`, `shared` and `private`.

    It holds private text, and belongs into the silo's private folder alone.
    """
    return _page("owner.html.j2", experiment=experiment, teacher=teacher, pairs=pairs)


def write_page(path: Path, template: str, **values: Any) -> Path:
    """Write a page made of a template of this package; raises RunFolderError where it cannot be written."""
    try:
        write_file(path, _page(template, **values))
    except OSError as error:
        raise RunFolderError(f"cannot write {path}: {error.strerror}") from None
    return path


def _page(template: str, **values: Any) -> str:
    return with_labels(_environment().get_template(template).render(**values))


def _environment() -> jinja2.Environment:
    """Templates that escape everything, and show every hidden character, without being asked to."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("social_learning.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["marked"] = marked
    environment.globals["count"] = numbers.count
    environment.globals["words"] = words
    environment.globals["percent"] = numbers.percent
    environment.globals["bits"] = numbers.bits
    return environment


def _finalize(value: object) -> object:
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value
