"""Remote: answers the rounds of a protocol through a carrier, with whatever teachers answer in time."""

import hashlib
from collections import Counter
from dataclasses import dataclass, field

from social_learning.errors import TeachingError
from social_learning.messages import Enquiry, Reply, Request, RequestGrades, to_json
from social_learning.protocols.base import Ask
from social_learning.task import Task
from social_learning.transports.carrier import Carrier, Missing
from social_learning.transports.intake import Accepted, accept
from social_learning.transports.local import Heard, Sent
from social_learning.transports.reply_log import ReplyLog


@dataclass(slots=True)
class Attendance:
    """Who was missing, as (round, teacher, reason), and what was taken out or flagged of each teacher's replies."""

    missing: list[tuple[int, str, str]] = field(default_factory=list)
    flags: dict[str, Counter[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Place:
    """What a cell's rounds are part of: the run's name, the cell's, and its repeat."""

    run: str
    cell: str
    repeat: int


class RemoteRounds:
    """Answers the rounds of one cell.

    A protocol may ask its teachers a few at a time: then a request's round has several of ours. At most `may_miss` teachers may be
    missing over all of them, and somebody has to grade; else TeachingError, and the same run can then go on with that request:
    what was answered is in the log, and who was missing is asked again. A teacher that timed out is not asked again in this
    cell, or every further round would wait for it. `attendance` says how it went.
    """

    def __init__(
        self,
        place: Place,
        task: Task,
        carrier: Carrier,
        log: ReplyLog,
        may_miss: int,
        sent: Sent | None = None,
        progress: Heard | None = None,
    ) -> None:
        self._place, self._task, self._carrier, self._log = place, task, carrier, log
        self._may_miss, self._sent, self._progress = may_miss, sent, progress
        self._round = 0
        self._silent: set[str] = set()
        self._of = -1
        """The request's round that these are of: how many were asked, who was missing, and which of ours have not ended."""
        self._asked, self._missed = 0, dict[str, str]()
        self._open: dict[int, dict[str, str]] = {}
        self.attendance = Attendance()

    def __call__(self, ask: Ask) -> dict[str, Reply]:
        """Have one round answered; teachers that are missing are absent from what is returned."""
        number, self._round = self._round, self._round + 1
        if ask.request.round != self._of:
            self.end()
            self._of, self._asked, self._missed = ask.request.round, 0, {}
        enquiry = Enquiry(
            run=self._place.run,
            id=enquiry_id(self._place.repeat, ask.request),
            repeat=self._place.repeat,
            request=ask.request,
        )
        if self._progress:
            self._progress(ask.request.kind, 0, len(ask.teachers))
        before = self._log.ended(self._place.cell, number)
        missing = {name: reason for name, reason in (before or {}).items() if name in ask.teachers}
        replies = self._gather(ask, enquiry, missing)
        self._asked, self._missed = self._asked + len(ask.teachers), self._missed | missing
        nobody_graded = isinstance(ask.request, RequestGrades) and not replies
        if before is None and (len(self._missed) > self._may_miss or nobody_graded):
            told = ", ".join(f"{name} ({reason})" for name, reason in self._missed.items())
            raise TeachingError(
                f"{self._asked - len(self._missed)} of {self._asked} teachers answered round {number} of {self._place.cell}; "
                f"missing: {told}; the same command asks the missing ones again"
            )
        if before is None:
            self._open[number] = missing
        self._silent |= {name for name, reason in missing.items() if reason in ("timed_out", "silent")}
        self.attendance.missing += [(number, name, reason) for name, reason in missing.items()]
        if self._sent:
            for reply in replies.values():
                self._sent(ask.request, reply)
        if self._progress:
            self._progress(ask.request.kind, len(replies), len(ask.teachers))
        return replies

    def _gather(self, ask: Ask, enquiry: Enquiry, missing: dict[str, str]) -> dict[str, Reply]:
        """Return the replies in the teachers' order, from the log or by asking; adds to `missing` who has none."""
        known = {name: self._log.find(name, enquiry.id) for name in ask.teachers if name not in missing}
        missing.update({name: "silent" for name, raw in known.items() if raw is None and name in self._silent})
        asked = [name for name, raw in known.items() if raw is None and name not in missing]
        came = {name: accept(name, enquiry, raw, self._task) for name, raw in known.items() if raw is not None}
        came |= self._ask(enquiry, asked) if asked else {}
        replies: dict[str, Reply] = {}
        for name in ask.teachers:
            if name in missing:
                continue
            result = came.get(name, Missing("timed_out"))
            if isinstance(result, Missing):
                missing[name] = result.reason
                continue
            replies[name] = result.reply
            if result.flags:
                self.attendance.flags.setdefault(name, Counter()).update(result.flags)
        return replies

    def _ask(self, enquiry: Enquiry, names: list[str]) -> dict[str, Accepted | Missing]:
        """Ask teachers; what is accepted is in the log as soon as it has come."""
        came: dict[str, Accepted | Missing] = {}
        for name, raw in self._carrier.carry(dict.fromkeys(names, to_json(enquiry).encode())):
            came[name] = result = raw if isinstance(raw, Missing) else accept(name, enquiry, raw, self._task)
            if isinstance(result, Accepted) and not isinstance(raw, Missing):
                self._log.keep(name, enquiry.id, raw)
        self._log.sync()
        return came

    def end(self) -> None:
        """Write down that the last request's round has ended: the protocol went on from it, or has its lesson."""
        for number, missing in self._open.items():
            self._log.end(self._place.cell, number, missing)
        self._open.clear()


def enquiry_id(repeat: int, request: Request) -> str:
    """Return the id of a request: the same request of the same repeat has the same one, in whichever cell it is asked."""
    return f"{repeat}-{hashlib.sha256(to_json(request).encode()).hexdigest()[:32]}"
