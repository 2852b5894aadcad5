"""What is told and when: the same alert once, again after a while or when it is worse, and its end.

Two things are told. What *happens* (a fill beyond its order) is told when it happens; the like of it within
`again_ns` is counted and told at the end of that time. What *stands* (a venue that is down) is told when it
begins, again every `again_ns` while it stands, at once when it becomes graver, and when it is over. What
comes and goes is told three times in that time and then as such, until it keeps still.

Pure: time comes in. Memory is bounded: of one code so many subjects are kept apart, the others are one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from hedger.core.actions import Severity
from hedger.desk.alert_kinds import kind_of

#: So many subjects of one code are told by themselves at a time; further ones together, as "others".
SUBJECTS_MAX = 20
OTHERS = "others"
#: After so many beginnings within `again_ns` it is said that something comes and goes.
BEGINNINGS_MAX = 3

_RANK = {Severity.NOTE: 0, Severity.WARNING: 1, Severity.CRITICAL: 2}


def rank(severity: Severity) -> int:
    """How grave: a greater number is graver."""
    return _RANK[severity]


@dataclass(frozen=True, slots=True)
class Notice:
    """Something a person should know. subject: of what, where there can be several. repeats: while it
    stands."""

    code: str
    subject: str
    severity: Severity
    text: str
    now_ns: int = 0
    repeats: bool = True

    @property
    def key(self) -> tuple[str, str]:
        """What makes it the same."""
        return self.code, self.subject


def own_notice(code: str, text: str, severity: Severity | None = None, subject: str = "") -> Notice:
    """What `hedger alerts` sees by itself. severity: less than the gravest that the list of alerts has."""
    kind = kind_of(code)
    return Notice(code, subject, severity or kind.severity, text, repeats=kind.repeats)


class Why(StrEnum):
    """Why a notice is told now."""

    NEW = "new"
    AGAIN = "again"
    WORSE = "worse"
    OVER = "over"
    UNSTEADY = "unsteady"
    WELL = "well"


@dataclass(frozen=True, slots=True)
class Message:
    """A notice to be told. count: how often since it was told last; since_ns: when it began."""

    why: Why
    notice: Notice
    count: int = 1
    since_ns: int = 0


@dataclass(slots=True)
class Known:
    """What is known of a notice. told, told_ns: how grave it was when it was told last, and when; stands: it
    is no mere event; count: how often since; gone_ns: since when it does not stand. Times: of one clock."""

    notice: Notice
    told: Severity
    told_ns: int
    since_ns: int
    stands: bool
    count: int = 0
    beginnings: tuple[int, ...] = ()
    unsteady: bool = False
    gone_ns: int | None = None

    def by_clock(self, then: Callable[[int], int]) -> Known:
        """The same by another clock. then: what that clock shows at a time of this one."""
        return replace(
            self,
            told_ns=then(self.told_ns),
            since_ns=then(self.since_ns),
            beginnings=tuple(map(then, self.beginnings)),
            gone_ns=None if self.gone_ns is None else then(self.gone_ns),
        )


class Notices:
    """What was told so far."""

    def __init__(self, again_ns: int) -> None:
        self._again_ns = again_ns
        self._known: dict[tuple[str, str], Known] = {}
        self._subjects: Counter[str] = Counter()
        self._happened: list[Notice] = []

    def happened(self, notice: Notice) -> None:
        """Something happened; `look` says what of it is told."""
        self._happened.append(notice)

    def remembered(self, ahead_ns: int) -> tuple[Known, ...]:
        """All that is known, by UTC. ahead_ns: how far UTC is ahead of the clock that `look` is told."""
        return tuple(x.by_clock(lambda ns: ns + ahead_ns) for x in self._known.values())

    def remember(self, known: Iterable[Known], ahead_ns: int, now_ns: int) -> None:
        """Go on from what an earlier process knew; what it calls later than now is of now."""

        for x in known:
            if x.notice.key not in self._known:
                self._remember(x.by_clock(lambda utc_ns: min(utc_ns - ahead_ns, now_ns)))

    def look(self, now_ns: int, standing: Iterable[Notice] = (), *, complete: bool = True) -> list[Message]:
        """What is to be told now, the gravest first. now_ns: of a clock that never goes back. standing:
        everything that stands now; what stood at the last look and is not in it is over, if that is
        complete: before the record was read to its end nothing is."""
        found: list[Message] = []
        for notice in self._happened:
            found += self._once(now_ns, self._placed(notice))
        self._happened = []
        here = set()
        for notice in standing:
            notice = self._placed(notice)
            if notice.key not in here:
                here.add(notice.key)
                found += self._still(now_ns, notice)
        for key in [key for key, known in self._known.items() if key not in here]:
            if complete or not self._known[key].stands or self._known[key].gone_ns is not None:
                found += self._quiet(now_ns, key)
        return sorted(_merged(found), key=lambda m: -rank(m.notice.severity))

    @property
    def standing(self) -> list[Notice]:
        """What stands now."""
        return [x.notice for x in self._known.values() if x.stands and x.gone_ns is None]

    def _placed(self, notice: Notice) -> Notice:
        """The notice, among the others where there are too many of its code already."""
        if notice.key in self._known or self._subjects[notice.code] < SUBJECTS_MAX:
            return notice
        return replace(notice, subject=OTHERS)

    def _remember(self, known: Known) -> None:
        self._known[known.notice.key] = known
        self._subjects[known.notice.code] += 1

    def _forget(self, key: tuple[str, str]) -> None:
        del self._known[key]
        self._subjects[key[0]] -= 1
        if not self._subjects[key[0]]:
            del self._subjects[key[0]]

    def _once(self, now_ns: int, notice: Notice) -> list[Message]:
        known = self._known.get(notice.key)
        if known is None:
            self._remember(Known(notice, notice.severity, now_ns, now_ns, stands=False))
            return [Message(Why.NEW, notice, 1, now_ns)]
        known.count += 1
        if rank(notice.severity) > rank(known.told):
            return [self._told(now_ns, known, Why.WORSE, notice)]
        known.notice = notice
        return []

    def _still(self, now_ns: int, notice: Notice) -> list[Message]:
        known = self._known.get(notice.key)
        if known is None:
            self._remember(Known(notice, notice.severity, now_ns, now_ns, stands=True, beginnings=(now_ns,)))
            return [Message(Why.NEW, notice, 1, now_ns)]
        if known.gone_ns is not None or not known.stands:
            return self._begun_again(now_ns, known, notice)
        if rank(notice.severity) > rank(known.told):
            return [self._told(now_ns, known, Why.WORSE, notice)]
        known.notice = notice
        if notice.repeats and now_ns - known.told_ns >= self._again_ns:
            known.unsteady = False  # it has stood all this time, or is told as what it is now
            return [self._told(now_ns, known, Why.AGAIN, notice)]
        return []

    def _begun_again(self, now_ns: int, known: Known, notice: Notice) -> list[Message]:
        known.stands, known.gone_ns, known.notice = True, None, notice
        recent = (ns for ns in known.beginnings if now_ns - ns < self._again_ns)
        known.beginnings = (*recent, now_ns)
        known.count += 1
        if known.unsteady:
            return []
        known.since_ns = now_ns
        if len(known.beginnings) > BEGINNINGS_MAX:
            known.unsteady = True
            return [self._told(now_ns, known, Why.UNSTEADY, notice)]
        return [self._told(now_ns, known, Why.NEW, notice)]

    def _quiet(self, now_ns: int, key: tuple[str, str]) -> list[Message]:
        """What does not stand now: a thing that happened, or one that is over."""
        known = self._known[key]
        if known.stands and known.gone_ns is None:
            known.gone_ns = now_ns
            if not known.unsteady:
                return [_over(known)]
            return []
        since = known.told_ns if known.gone_ns is None else known.gone_ns
        if now_ns - since < self._again_ns:
            return []
        if known.stands:
            self._forget(key)
            return [_over(known)] if known.unsteady else []
        if known.count:
            return [self._told(now_ns, known, Why.AGAIN, known.notice)]
        self._forget(key)
        return []

    def _told(self, now_ns: int, known: Known, why: Why, notice: Notice) -> Message:
        message = Message(why, notice, max(known.count, 1), known.since_ns)
        known.notice, known.told, known.told_ns, known.count = notice, notice.severity, now_ns, 0
        return message


def _over(known: Known) -> Message:
    """Its end, told to whoever was told of it at its gravest."""
    return Message(Why.OVER, replace(known.notice, severity=known.told), 1, known.since_ns)


def _merged(messages: list[Message]) -> list[Message]:
    """One message of one notice a look: the last word on it, over its reason."""
    found: dict[tuple[str, str], Message] = {}
    for message in messages:
        found[message.notice.key] = message
    return list(found.values())
