"""The terminal's tables of privacy evidence: closeness after a run, and an audit."""

from pathlib import Path

from rich.console import Console
from rich.text import Text

from social_learning.report import numbers
from social_learning.report.evidence import AuditView, ClosenessRow, audits, closeness_rows, uses_fakes
from social_learning.report.fit import NAME, TEXT, Column, Fitted, figures
from social_learning.report.load import load_manifest, load_result
from social_learning.report.nearest import nearest_of
from social_learning.report.traces import traces_of
from social_learning.report.visible import visible


def show_nearest(folder: Path, console: Console) -> None:
    """Print the verdict on privacy: what came nearest to private text, where it is, and what that means. No text is printed."""
    experiment = load_manifest(folder).experiment
    nearest = nearest_of(traces_of(folder, experiment), uses_fakes(experiment))
    console.print()
    console.print(Text(nearest.headline, style="bold red" if nearest.alarm else "bold"))
    for text in nearest.texts:
        where = f"message {text.message} of {text.cell}" if text.message else text.cell
        console.print(Text(visible(f"  {text.told} ({where})")))
    for sentence in (*nearest.arms, nearest.meaning, *nearest.notes):
        console.print(Text(visible(sentence)))


def show_closeness(folder: Path, task: str, console: Console) -> None:
    """Print the verdict on privacy, and how close what left the silos is to them, with the controls."""
    if (folder / "run.json").is_file():
        show_nearest(folder, console)
    if not (folder / "closeness.json").is_file():
        return
    arms = {arm.name: arm for arm in load_manifest(folder).experiment.resolved_arms()}
    rows = [row for row in closeness_rows(folder, arms, task) if row.teacher == "all"]
    if not rows:
        return
    columns: dict[str, list[str]] = {
        "items": [f"{row.summary.items:,}" for row in rows],
        "copies": [f"{numbers.percent(row.summary.copies)} %" for row in rows],
        "distance": [f"{row.summary.distance:.2f}" for row in rows],
        "changed": ["" if row.summary.changed is None else numbers.percent(row.summary.changed) for row in rows],
        "run": [f"{row.summary.run}" for row in rows],
        "names": [numbers.percent(row.summary.names) for row in rows],
        "numbers": [numbers.percent(row.summary.numbers) for row in rows],
    }
    if any(row.paper is not None for row in rows):
        columns["paper"] = ["" if row.paper is None else f"{row.paper:.2f}" for row in rows]
    console.print()
    console.print(Text("What left the silos, held against them", style="bold"))
    console.print()
    apart = [row.label if row.group == "left" else f"{row.label}: {row.group}" for row in rows]
    console.print(figures("arm", [_what(row) for row in rows], columns, apart))
    console.print()
    paper = " Paper: its distance, Table 6." if "paper" in columns else ""
    caption = (
        "Controls: verbatim is private rows word for word, near is rows with one word changed, public is texts that no silo "
        "holds. Distance: mean, 0 is a copy. Changed: least, of words, in %; below 25 is a near copy. "
        f"Run: the longest, in words. Names, numbers: % of items with one of the silo.{paper}"
    )
    console.print(Text(caption, style="dim"))


def show_audit(folder: Path, name: str, console: Console) -> None:
    """Print one audit of a run folder: the paper's Tables 3 and 4 beside ours, what it means in words, and where the
    report lies.
    """
    manifest = load_manifest(folder)
    arms = {arm.name: arm for arm in manifest.experiment.resolved_arms()}
    task = manifest.experiment.task if isinstance(manifest.experiment.task, str) else manifest.experiment.task.name
    result = load_result(folder) if (folder / "results.json").is_file() else None
    view = next(audit for audit in audits(folder, arms, task, result) if audit.name == name)
    title = f"{manifest.experiment.name}: {task}, planted {view.canaries}, {view.references:,} references"
    console.print(Text(visible(title), style="bold"))
    console.print()
    labels = [row.arm.name for row in view.rows]
    console.print(figures("arm", [*labels, "chance"], _ranks(view)))
    console.print()
    console.print(figures("arm", labels, _bits(view)))
    console.print()
    console.print(_guards(view))
    console.print()
    paper = "Paper: Tables 3 and 4 (PaLM 2-S, 100 trials). " if view.has_paper else ""
    caption = (
        "Rank: references that score higher, 0 is the worst. 95 %: bootstrap interval of the mean. p: one-sided, against "
        f"uniform ranks, not corrected for the number of arms. {paper}"
        "Exposure: median, in bits, by interpolation, and extrapolated. TPR: true positives at 1 % "
        "false ones. Shown: trials in which something left that was written after the canary. In lesson: trials whose "
        "lesson holds the secret itself."
    )
    if view.rows_per_silo and any(row.accuracy for row in view.rows):
        caption += f" Accuracy is of whole silos, ranks are of silos cut to {view.rows_per_silo} examples."
    console.print(Text(caption, style="dim"))
    console.print()
    for sentence in view.verdict:
        console.print(Text(visible(sentence)))
    console.print(Text(f"Report: {folder / 'audit.html'}"), soft_wrap=True)


def _ranks(view: AuditView) -> dict[str, list[str]]:
    arms = [row.arm for row in view.rows]
    by_chance = [arm.trials for arm in arms if not arm.control] or [arm.trials for arm in arms]
    columns = {
        "trials": [*(str(arm.trials) for arm in arms), ""],
        "mean rank": [*(f"{arm.mean_rank:.1f}" for arm in arms), f"{view.chance:.1f}"],
        "95 %": [*(f"{a.interval.low:.0f}-{a.interval.high:.0f}" if a.interval else "" for a in arms), ""],
        "rank 0": [*(str(arm.firsts) for arm in arms), f"{by_chance[0] / (view.references + 1):.1f}"],
        "p": [*("<0.001" if arm.p_value < 0.001 else f"{arm.p_value:.3f}" for arm in arms), ""],
    }
    if view.has_paper:
        columns["paper: rank"] = [*("" if r.paper_rank is None else str(r.paper_rank) for r in view.rows), ""]
        columns["paper: rank 0"] = [*("" if r.paper_firsts is None else str(r.paper_firsts) for r in view.rows), ""]
    return columns


def _bits(view: AuditView) -> dict[str, list[str]]:
    arms = [row.arm for row in view.rows]
    return {
        "exposure": [numbers.bits(arm.interpolated) for arm in arms],
        "extrapolated": [numbers.bits(arm.extrapolated) for arm in arms],
        "AUC": [f"{arm.membership.auc:.2f}" for arm in arms],
        "TPR": [f"{arm.membership.true_positives:.2f}" for arm in arms],
        "shown": [str(arm.shown) for arm in arms],
        "in lesson": [str(arm.repeated) for arm in arms],
    }


def _guards(view: AuditView) -> Fitted:
    """What each arm's guards cost and what they buy: its accuracy, where the run folder has it, beside its mean rank."""
    return Fitted(
        [
            Column("arm", [row.arm.name for row in view.rows], NAME),
            Column("guards", [row.guards for row in view.rows], TEXT),
            Column("accuracy, %", [row.accuracy for row in view.rows]),
            Column("mean rank", [f"{row.arm.mean_rank:.1f}" for row in view.rows]),
        ]
    )


def _what(row: ClosenessRow) -> str:
    return row.label if row.group == "left" else f"  {row.group}"
