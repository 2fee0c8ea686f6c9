"""The nearest: what came nearest to a silo, how near, and what that means. The words of the verdict on privacy are all here.

Which text is a near copy, and what is nearer than chance, `privacy/nearness.py` says.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from social_learning.privacy.detectors import KINDS
from social_learning.privacy.evidence import Closeness
from social_learning.privacy.nearness import (
    CHANGED,
    LONG_RUN,
    MEASURES,
    NEAR_COPY,
    ONE_IN,
    Compared,
    Reach,
    compare,
    line_of,
)
from social_learning.report import numbers
from social_learning.report.traces import ArmTraces, Owners, Trace, Traces

MOST_TEXTS = 3
"""How many texts are shown at the top, at most."""

MEASURED = {
    "changed": "words changed",
    "distance": "distance",
    "run": "longest run of words",
    "shared": "names, numbers, e-mails and links",
}

READ = (
    "Private text stands in it almost as it is, so neither this report nor the lesson should go on before the owners of the "
    "silos have read it."
)
SHOWS = (
    "Something of the silos shows in what left, beyond what texts of this kind have in common. Which part, only a reader "
    "can tell."
)
NO_SIGN = (
    "These measures see no more of the silos in it than in texts that never saw one. A private fact in other words they do "
    "not see."
)
CANNOT_TELL = "That is too little to tell a leak from chance, either way."
ON_PURPOSE = (
    "The original arm is the baseline that breaks privacy: this is no finding, but such text must not be passed on."
)
NOTHING = "Nothing left, so nothing can have been given away."
COUNTS = "What votes, grades and the counts of guards tell was not measured."
NOT_KNOWN = "Whether private text is among it, the owners can compute, and this report cannot."
FAKE = (
    "The teachers' models are fakes, which know no language: this says nothing about what a real model would have sent."
)


@dataclass(frozen=True, slots=True)
class NearText:
    """One text that left: what it is in numbers, and where it and its numbers are. `cell` and `message` lead to it; `item` is 0
    where it is in no message any more.
    """

    told: str
    line: str
    file: str
    cell: str
    message: int
    item: int

    @property
    def place(self) -> str:
        """Where its numbers are."""
        return f"{self.line} of {self.file}"


@dataclass(frozen=True, slots=True)
class ComparedRow:
    """One line of the table: an arm on one measure. `text` came nearest on it."""

    label: str
    measure: str
    text: NearText
    best: str
    public_median: str
    public_best: str
    beyond: str
    verdict: str


@dataclass(frozen=True, slots=True)
class Nearest:
    """The verdict on privacy: `alarm` where a text has to be read; `texts` are those to read first; `arms` one sentence each."""

    headline: str
    alarm: bool
    texts: tuple[NearText, ...]
    scale: str
    arms: tuple[str, ...]
    meaning: str
    notes: tuple[str, ...]
    rows: tuple[ComparedRow, ...]


def nearest_of(traces: Traces, fake: bool) -> Nearest:
    """Return the verdict of a run; `fake`: its teachers' models know no language."""
    on_purpose = [arm for arm in traces.arms if arm.arm.method == "original"]
    chosen = [arm for arm in traces.arms if arm.left and arm not in on_purpose]
    notes = [*_originals(on_purpose), *_owners(traces.owners), *_unmeasured(traces)]
    notes += [FAKE] if fake and traces.arms else []
    if not chosen:
        headline, meaning = _without(traces, on_purpose)
        return Nearest(headline, False, (), "", (), meaning, tuple(notes), ())
    reaches = {id(arm): Reach.of(arm.public) for arm in chosen}
    found = [(trace, arm) for arm in chosen for trace in arm.left]
    found.sort(key=lambda pair: reaches[id(pair[1])].order(pair[0].item))
    near = [pair for pair in found if reaches[id(pair[1])].near_copy(pair[0].item)]
    shown = near[:MOST_TEXTS] or found[:1]
    compared = [(arm, compare([trace.item for trace in arm.left], arm.public)) for arm in chosen]
    return Nearest(
        headline=_headline(
            [trace.item for trace, _ in near], len(found), whole=not (traces.unmeasured or _waited_for(traces))
        ),
        alarm=bool(near),
        texts=tuple(_text(trace) for trace, _ in shown),
        scale=_scale(*shown[0], traces.owners is not None),
        arms=tuple(_arm(arm, table) for arm, table in compared),
        meaning=READ if near else _meaning([one for _, table in compared for one in table.values()]),
        notes=tuple(notes),
        rows=tuple(_row(arm, name, one) for arm, table in compared for name, one in table.items()),
    )


def _waited_for(traces: Traces) -> tuple[str, ...]:
    return traces.owners.waited_for if traces.owners else ()


def _headline(near: Sequence[Closeness], all: int, whole: bool) -> str:
    """Say how many texts have to be read; `whole`: all that left were measured."""
    of = "that teachers wrote" if whole else "that could be measured"
    if not near and all == 1:
        return f"The one text {of} is no copy or near copy of a private one:"
    if not near:
        return f"None of {all:,} texts {of} is a copy or near copy of a private one. This one came nearest:"
    copies = sum(item.copy for item in near)
    what = "a copy" if copies == len(near) else "a near copy" if not copies else "a copy or near copy"
    which = "this one" if len(near) == 1 else "these" if len(near) <= MOST_TEXTS else f"the nearest {MOST_TEXTS}"
    verb = "is" if len(near) == 1 else "are each"
    texts = f"{len(near):,} of {all:,} texts {of}" if all > 1 else f"The one text {of}"
    return f"{texts} {verb} {what} of a private one. Read {which} first:"


def _text(trace: Trace) -> NearText:
    item, key = trace.item, trace.key
    shared = [kind.replace("emails", "e-mail addresses") for kind in KINDS if getattr(item, kind)]
    told = f"{item.teacher}, {numbers.label(key.arm, key.shots)}, repeat {key.repeat}: "
    told += "a copy, " if item.copy else ""
    told += f"{_figure('changed', item.changed)} of its words changed, " if item.changed is not None else ""
    told += f"distance {item.distance:.2f}, {numbers.count(item.run, 'word')} in a row"
    told += f", shares {_and(shared)} with the silo" if shared else ""
    return NearText(told, trace.place, trace.file, key.name, item.message, item.item)


def _scale(trace: Trace, arm: ArmTraces, by_owners: bool) -> str:
    """Explain a distance by both controls."""
    to = "one row of the silo" if by_owners else "one passage of the private text that the teacher's model was shown"
    share = f"{100 * (1 - trace.item.distance):.0f}\N{NO-BREAK SPACE}%"
    told = (
        f"How to read it: 0 is a copy. {trace.item.distance:.2f} means that at least {share} of the text's letters, those of the "
        f"format included, stand in {to}, in this order."
    )
    public = compare([trace.item], arm.public)["distance"]
    if public.public_best is None:
        return f"{told} No public texts were measured beside it, so how near texts come by chance is not known."
    return (
        f"{told} Texts that never saw the silo ({numbers.count(public.public, 'comparison')} with public texts) come to "
        f"{public.public_median:.2f} at the median and to {public.public_best:.2f} at the nearest."
    )


def _arm(arm: ArmTraces, table: dict[str, Compared]) -> str:
    """Say whether what left in an arm is nearer than public texts come by chance."""
    label, one = numbers.label(arm.arm.name, arm.shots), next(iter(table.values()))
    texts = f"{numbers.count(one.items, 'text')} beside {numbers.count(one.public, 'public one')}"
    if not one.public:
        return f"{label}: no public texts were measured beside {numbers.count(one.items, 'text')}, so chance cannot be told."
    if not one.can_tell:
        return f"{label}: too few texts to tell from chance ({texts})."
    nearer = {name: compared for name, compared in table.items() if compared.nearer}
    if not nearer:
        return f"{label}: taken together not nearer to the silos than public texts come by chance ({texts})."
    beyond = [f"by {MEASURED[name]} {compared.beyond:,}" for name, compared in nearer.items()]
    return (
        f"{label}: taken together nearer to the silos than public texts come by chance. {_capital(_and(beyond))} of {one.items:,} "
        f"are nearer than {_line(one.public)}; so many would be by chance in less than one run of 100."
    )


def _line(public: int) -> str:
    others = line_of(public) - 1
    return f"all but {others:,} of {public:,} public ones" if others else f"any of {public} public ones"


def _meaning(all: Sequence[Compared]) -> str:
    if any(one.nearer for one in all):
        return SHOWS
    return NO_SIGN if any(one.can_tell for one in all) else CANNOT_TELL


def _without(traces: Traces, on_purpose: Sequence[ArmTraces]) -> tuple[str, str]:
    """Headline and meaning where no text was measured but such as `original` sent."""
    if not traces.arms:
        return "No teacher was asked, so nothing left a silo.", NOTHING
    if traces.unmeasured and traces.owners is not None:
        return "Teachers sent replies, and how near they are to the silos is not known here.", NOT_KNOWN
    if traces.unmeasured:
        return "Teachers sent replies, and how near they are to the silos was not measured.", CANNOT_TELL
    if on_purpose and any(arm.left for arm in on_purpose):
        return "Private examples left the silos word for word, as the original arm has it.", ON_PURPOSE
    return "Teachers were asked, and no text left a silo.", COUNTS


def _originals(arms: Sequence[ArmTraces]) -> list[str]:
    return [
        f"{numbers.label(arm.arm.name, arm.shots)}: {numbers.count(len(arm.left), 'private example')}, word for word, on purpose."
        for arm in arms
        if arm.left
    ]


def _owners(owners: Owners | None) -> list[str]:
    if owners is None:
        return []
    notes = []
    if owners.handed:
        notes.append(
            f"Numbers computed by the owners of {_and(owners.handed)}, and not checked here: only they have the silos. Each text is "
            "held against all rows of its silo, since an outbox does not keep which of them the model was shown."
        )
    if owners.waited_for:
        notes.append(
            f"No numbers yet of {_and(owners.waited_for)}: an owner can compute them (social-learning outbox evidence SILO) and "
            "hand them over; then they belong into owners/NAME.json of this folder."
        )
    notes += [
        f"{numbers.count(items, 'more text')} left the silo of {teacher} and came into no message here, the nearest at "
        f"distance {least:.2f}."
        for teacher, items, least in owners.elsewhere
    ]
    return notes


def _unmeasured(traces: Traces) -> list[str]:
    if not traces.unmeasured or (traces.owners is not None and not traces.owners.handed):
        return []
    return [f"Not measured, though teachers sent replies: {', '.join(traces.unmeasured)}."]


def _row(arm: ArmTraces, name: str, one: Compared) -> ComparedRow:
    best = max(arm.left, key=lambda trace: MEASURES[name](trace.item))
    verdict = "nearer" if one.nearer else "not nearer" if one.can_tell else "too few to tell"
    return ComparedRow(
        label=numbers.label(arm.arm.name, arm.shots),
        measure=MEASURED[name],
        text=_text(best),
        best=_figure(name, one.best),
        public_median="" if one.public_median is None else _figure(name, one.public_median),
        public_best="" if one.public_best is None else _figure(name, one.public_best),
        beyond=f"{one.beyond:,} of {one.items:,}" if one.public else "",
        verdict=verdict if one.public else "",
    )


def _figure(name: str, value: float) -> str:
    if name == "changed":
        return f"{100 * value:.0f}\N{NO-BREAK SPACE}%"
    return f"{value:.2f}" if name == "distance" else f"{value:g}"


def limits_of_measure() -> str:
    """Say what is called a near copy, in words."""
    return (
        f"Near copy: less than {100 * CHANGED:.0f} % of its words changed, a distance of at most {NEAR_COPY:g}, or {LONG_RUN} words "
        "in a row, where no public text comes as near. Nearer than chance: more texts are beyond all but one in "
        f"{ONE_IN} public ones than in one run of 100 by chance, if all texts were independent of each other; those of one "
        "teacher are not, so take it as a yardstick. A number counts in each of its forms."
    )


def _and(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
