"""The page: every table that the root folder has, as curves of accuracy over the number of shots and as tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from social_learning.provenance import Stamp, Took
from social_learning.report.curves import Chart, Series, chart_of
from social_learning.report.html import write_page as write
from social_learning.reproduce import words
from social_learning.reproduce.compare import Row, View
from social_learning.reproduce.made import changed_runs, mixed_runs
from social_learning.reproduce.paper import MODEL

HUES = 5


@dataclass(frozen=True, slots=True)
class RowView:
    """One row as texts; stars stand apart, so that figures line up. `again`: the row above has the same group."""

    group: str
    again: bool
    line: str
    ours: str
    star: str
    best: bool
    p: str
    paper: str
    paper_star: str
    paper_best: bool
    points: str
    permutation: str
    tested: str


@dataclass(frozen=True, slots=True)
class TaskView:
    """One task of a table: its chart, where accuracy was measured at several numbers of shots, and its rows."""

    task: str
    chart: Chart | None
    rows: tuple[RowView, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """One table of the page."""

    name: str
    title: str
    caption: str
    heading: str
    basis: str
    parts: tuple[TaskView, ...]
    remarks: tuple[str, ...]

    @property
    def charted(self) -> bool:
        """Whether there is any chart in it."""
        return any(part.chart for part in self.parts)

    @property
    def compared(self) -> bool:
        """Whether any line is compared with another."""
        return any(row.points for part in self.parts for row in part.rows)


def write_page(root: Path, views: Sequence[View], took: Took, made: Stamp) -> Path:
    """Write `reproduce.html` below `root`, and return its path; `made` says by what it is put together."""
    reports = sorted(path for name in ("report", "audit") for path in root.glob(f"*/{name}.html"))
    return write(
        root / "reproduce.html",
        "reproduce.html.j2",
        model=views[0].request.model,
        paper_model=MODEL,
        facts=_facts(views),
        sections=[_section(view) for view in views],
        took=words.took(took),
        made=words.made(made),
        changed=changed_runs(root, views),
        mixed=list(dict.fromkeys(line for view in views for line in mixed_runs(root, view))),
        reports=[
            {"link": path.relative_to(root).as_posix(), "name": f"{path.parent.name} ({path.stem})"} for path in reports
        ],
    )


def _facts(views: Sequence[View]) -> Mapping[str, str]:
    request, rows = views[0].request, views[0].request.test_rows
    others = {view.request.teacher_model for view in views} - {None}
    return {
        "Student": request.model,
        "Teachers": request.model + "".join(f"; in Table 10 {name}" for name in others),
        "Test rows": "each task's own test set" if rows is None else f"at most {rows:,} of each task's test set",
        "Repeats": f"{request.repeats}, seed {views[0].facts['seed']}",
        "Other settings": ", ".join(request.overrides) or "as they are",
    }


def _section(view: View) -> Section:
    tasks = [TaskView(task, _chart(view, task, rows), tuple(_rows(view, rows))) for task, rows in view.tasks.items()]
    return Section(
        name=view.table.name,
        title=words.title(view),
        caption=words.caption(view),
        heading=words.heading(view.table.measure),
        basis=words.BASES[view.table.measure],
        parts=tuple(tasks),
        remarks=tuple(words.remarks(view)),
    )


def _rows(view: View, rows: Sequence[Row]) -> list[RowView]:
    measure = view.table.measure
    before = [None, *(row.group for row in rows)]
    return [
        RowView(
            group=words.group(measure, row),
            again=row.group == earlier,
            line=row.line.label,
            ours=words.ours(measure, row).rstrip("*"),
            star="*" if row.ours and row.ours.significant else "",
            best=row.best,
            p=words.p_value(row.ours),
            paper=words.paper(measure, row.paper).rstrip("*"),
            paper_star="*" if row.paper and row.paper.significant else "",
            paper_best=row.paper_best,
            points=words.difference(row.ours),
            permutation=words.permutation(row.ours),
            tested=words.tested_on(measure, row.ours),
        )
        for row, earlier in zip(rows, before, strict=False)
    ]


def _chart(view: View, task: str, rows: Sequence[Row]) -> Chart | None:
    """Curves of our lines, and of the paper's, each of these once, in the colour of our first line beside it."""
    if view.table.measure != "accuracy":
        return None
    drawn = [row for row in rows if row.line.drawn]
    labels = list(dict.fromkeys(row.line.label for row in drawn))
    papers = list(dict.fromkeys(row.line.paper for row in drawn if row.paper))
    curves = []
    for number, label in enumerate(labels):
        values = [(r.shots, r.ours.value, r.ours.stderr) for r in drawn if r.line.label == label and r.ours]
        curves.append(Series(label, number % HUES, False, values))
    for name in papers:
        own = [row for row in drawn if row.line.paper == name and row.paper]
        hue = labels.index(own[0].line.label) % HUES
        figures = {row.shots: row.paper for row in own}
        values = [(shots, figure.value, figure.stderr) for shots, figure in figures.items() if figure]
        curves.append(Series(f"{name}, {MODEL}", hue, True, values))
    return chart_of(task, curves)
