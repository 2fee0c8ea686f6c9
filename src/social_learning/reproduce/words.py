"""Words: how figures and what is to be said about them read, in the terminal, in Markdown and on the page alike."""

from social_learning.models.registry import is_fake
from social_learning.provenance import Stamp, Took
from social_learning.report import numbers
from social_learning.report.words import PERMUTATION, STAND_IN, TEST
from social_learning.reproduce.compare import Figure, Row, View
from social_learning.reproduce.paper import MODEL, PaperFigure
from social_learning.reproduce.tables import Measure

UNITS: dict[Measure, str] = {
    "accuracy": "Accuracy in %",
    "distance": "Mean normalised distance",
    "rank": "Mean rank among the references",
    "firsts": "Trials with rank 0, in %",
}
BASES: dict[Measure, str] = {"accuracy": "rows", "distance": "items", "rank": "trials", "firsts": "trials"}
"""What figures rest on; rows are told by repeats."""

NO_LESSON = "no lesson"


def ours(measure: Measure, row: Row) -> str:
    """Return our figure with its standard error and its star, `no lesson` where all failed, or nothing."""
    figure = row.ours
    if figure is None:
        return NO_LESSON if row.failed else ""
    digits = 2 if measure == "distance" else 1
    error = "" if figure.stderr is None else f" ({figure.stderr:.{digits}f})"
    return f"{figure.value:.{digits}f}{error}{'*' if figure.significant else ''}"


def paper(measure: Measure, figure: PaperFigure | None) -> str:
    """Return the paper's figure with its standard error and its star, with the digits that it gives, or nothing."""
    if figure is None:
        return ""
    digits = 0 if measure in ("rank", "firsts") else 2
    error = "" if figure.stderr is None else f" ({figure.stderr:.2f})"
    return f"{figure.value:.{digits}f}{error}{'*' if figure.significant else ''}"


def p_value(figure: Figure | None) -> str:
    """Return the corrected p with three digits, or nothing."""
    return numbers.p_value(figure.p_holm if figure else None)


def permutation(figure: Figure | None) -> str:
    """Return the p of the paper's permutation test with three digits, or nothing."""
    return numbers.p_value(figure.permutation_p if figure else None)


def margin(figure: Figure | None) -> str:
    """Return the difference to the line that a figure is tested against, in points, with its margin of 95 %; or nothing."""
    return numbers.margin(figure.paired if figure else None)


def difference(figure: Figure | None) -> str:
    """Return the difference to the line that a figure is tested against, in points, with its 95 % interval; or nothing."""
    if figure is None or figure.paired is None:
        return ""
    interval = numbers.interval(figure.paired)
    return numbers.points(figure.paired) + (f" ({interval})" if interval else "")


def tested_on(measure: Measure, figure: Figure | None) -> str:
    """Return what a figure rests on, see `BASES`: test rows by repeats, items, or trials."""
    if figure is None:
        return ""
    if measure == "accuracy":
        return f"{figure.rows:,} {numbers.TIMES} {figure.repeats}"
    return f"{figure.rows if measure == 'distance' else figure.repeats:,}"


def title(view: View) -> str:
    """Return a table's number and title."""
    return f"Table {view.table.number}: {view.table.title}"


def caption(view: View) -> str:
    """Return what the figures are, and what stars and bold mean."""
    parts = [f"{UNITS[view.table.measure]}; ours: {models(view)}; the paper's: {MODEL}."]
    if any(row.ours and row.ours.stderr is not None for row in view.rows):
        parts.append("In parentheses: standard error over repeats.")
    if any(row.best or row.paper_best for row in view.rows):
        parts.append("Bold: the best of its group.")
    audited = [row for row in view.rows if row.ours and view.table.measure in ("rank", "firsts")]
    if audited:
        shots = " or ".join(str(number) for number in sorted({row.shots for row in audited}))
        parts.append(f"Lessons of {shots} examples; {max(row.ours.rows for row in audited if row.ours):,} references.")
    parts.append(view.table.about)
    parts += testing(view)
    return " ".join(parts)


def testing(view: View) -> list[str]:
    """Return what p is, where a table has any; and what stand-ins are worth, where the model is one."""
    if is_fake(view.request.model):
        return [STAND_IN]
    if not any(row.ours and row.ours.p_value is not None for row in view.rows):
        return []
    holm = "Corrected for the lines of each task (Holm)."
    if view.table.measure != "accuracy":
        return [holm]
    return [
        "Points: the difference to that line, with its 95 % interval or margin.",
        TEST,
        holm,
        f"Permut.: {PERMUTATION}",
    ]


def models(view: View) -> str:
    """Return the student's model, and the teachers' where some table line has another one."""
    other = any(row.line.other_teachers for row in view.rows)
    return view.request.model + (f", other teachers {view.request.teacher_model}" if other else "")


def remarks(view: View) -> list[str]:
    """Return what is to be said about single lines: how often there was no lesson, and why the first time."""
    lines: dict[tuple[str, str], list[Row]] = {}
    for row in view.rows:
        if row.failed:
            lines.setdefault((row.task, row.line.label), []).append(row)
    failed = [
        f"{task}, {label}: no lesson {numbers.count(sum(row.failed for row in rows), 'time')}, at "
        f"{', '.join(dict.fromkeys(str(row.shots) for row in rows))} shots ({rows[0].reason or 'see the audit'})"
        for (task, label), rows in lines.items()
    ]
    return [*failed, *filter(None, map(_unread, view.rows))]


def _unread(row: Row) -> str:
    """What is to be said of rows without a readable answer; nothing where there are none."""
    failures = numbers.failures(row.ours.failures) if row.ours else ""
    if not failures or row.ours is None:
        return ""
    readable = "none" if row.ours.readable is None else f"{row.ours.readable:.1f} %"
    of = row.ours.rows * row.ours.repeats
    return f"{row.task}, {numbers.label(row.line.label, row.shots)}: {failures} of {of:,} answers; of the others {readable} are right"


def took(took: Took) -> list[str]:
    """Return what all commands with a root folder took, in a sentence; none where nothing was written down."""
    if not took.commands:
        return []
    peak = "" if took.peak_memory is None else f", with at most {took.peak_memory / 2**30:.1f} GiB of memory"
    return [
        f"{numbers.duration(took.seconds)} in {numbers.count(took.commands, 'command')} for all tables of this folder{peak}"
    ]


def made(stamp: Stamp) -> dict[str, str]:
    """Return how a page was put together: the command, the code, and from when to when."""
    return {"command": stamp.command, "code": stamp.code, "started": stamp.started, "ended": stamp.ended}


def heading(measure: Measure) -> str:
    """Return the name of what rows are grouped by."""
    return "canary" if measure in ("rank", "firsts") else "shots"


def group(measure: Measure, row: Row) -> str:
    """Return what a row is grouped by."""
    return row.group if measure in ("rank", "firsts") else str(row.shots)
