"""Evidence of a served silo: its owner alone has both sides, what left and the silo, and holds one against the other.

Only numbers come out. The outbox does not say after which private rows a text was written, so each text is held against all of
them: its distance is that to the nearest row.
"""

from collections.abc import Sequence
from pathlib import Path

from social_learning.corpus import read_examples
from social_learning.data import ColumnMap
from social_learning.departures import items_of
from social_learning.errors import DataError, ServingError
from social_learning.guards import Origin, Private
from social_learning.privacy.closeness import as_text, measure
from social_learning.privacy.detectors import detector
from social_learning.privacy.handed import Handed, HandedItem
from social_learning.seeds import generator
from social_learning.serving.entries import Entry
from social_learning.serving.outbox import read_outbox
from social_learning.serving.silo_file import SiloFile, load_policy, load_silo
from social_learning.task import Example, Task
from social_learning.tasks import built_in
from social_learning.teacher import Departure
from social_learning.text import normalise

APART = "\uffff"
"""What stands between two rows; no text that leaves holds it."""


def evidence_of(file: SiloFile, run: str | None, public: Path | None) -> Handed:
    """Measure what left a silo in one run; `run` may be None where the outbox knows one run alone.

    `public` is a file of rows for the control, in the form of the silo's own; without it only instructions have one, the
    hand-written instruction. Rows that the silo holds are left out of it.

    Raises ServingError where no text left in that run, and DataError where a file cannot be read or no public row is left.
    """
    entries = [entry for entry in read_outbox(file.outbox) if entry.content is not None and items_of(entry.content)]
    run = _chosen(run, list(dict.fromkeys(entry.run for entry in entries)), file)
    sent = [entry for entry in entries if entry.run == run]
    silo = load_silo(file)
    task, private = silo.task, Private(silo.task, silo.everything, detector(load_policy(file).guards.detector))
    rows = _public_rows(file, public, private) if public else []
    origin = Origin(private, _all_rows(task, silo.everything, sent, rows))
    # The student's log has other numbers, so an item's message is its place in `sent`: the id finds it there and here.
    departures = [
        Departure(file.name, item, origin, message=number, number=place)
        for number, entry in enumerate(sent)
        for place, item in enumerate(_items(entry), start=1)
    ]
    measured = measure(departures, rows, task.instruction, generator(file.seed, "controls", run))
    items = tuple(HandedItem.of(sent[one.message].id, one) for one in measured)
    return Handed(teacher=file.name, run=run, items=items)


def _items(entry: Entry) -> list[Example | str]:
    return [] if entry.content is None else items_of(entry.content)


def _chosen(run: str | None, runs: Sequence[str], file: SiloFile) -> str:
    if run in runs or (run is None and len(runs) == 1):
        return run or runs[0]
    known = f"runs with texts: {', '.join(runs[-10:])}" if runs else "no text left this silo"
    wanted = f"holds no text of run {run!r}" if run else "holds no text" if not runs else "holds several runs"
    raise ServingError(f"outbox {file.outbox} {wanted} ({known}): name one of them with --run")


def _public_rows(file: SiloFile, public: Path, private: Private) -> list[Example]:
    known = built_in(file.task) if isinstance(file.task, str) else file.task
    columns = ColumnMap(file.data.columns, file.data.label_names)
    rows = read_examples(str(public.absolute()), "train", file.folder, known, columns)
    kept = [row for row in rows if normalise(private.task.question(row.fields)) not in private.questions]
    if not kept:
        raise DataError(f"{public}: the silo holds each of its {len(rows)} rows, so none of them is public")
    return kept


def _all_rows(task: Task, rows: Sequence[Example], sent: Sequence[Entry], public: Sequence[Example]) -> str:
    """All rows as one text in which the nearest passage to an item never goes over two of them: what stands between is longer
    than any item, and to take it out costs more than to have nothing in common.
    """
    texts = [task.render(row) for row in rows]
    items = [as_text(task, item) for entry in sent for item in _items(entry)]
    longest = max(len(text) for text in (*texts, *items, *map(task.render, public), task.instruction))
    gap = APART * (longest + 1)
    return gap + gap.join(texts)
