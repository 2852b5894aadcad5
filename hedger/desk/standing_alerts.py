"""What an engine told people, record by record, and what of it stands: one fold, whoever looks.

An alert *stands* until something takes it back: another alert that ends it, a person's `arm`, a resume, the
next day for a sum of the day, or what is known by now of an order. A start of the engine lets go of what
hung on the one before, and calls none of it over: the new one tells it again where it is still so. An order
of which nobody knew and the kill latch outlast that, since the record says of them when they are over.

Pure: records come in, each once and in their order.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from hedger.core.actions import Severity
from hedger.core.by_whom import by_whom
from hedger.core.figures import without_figures
from hedger.core.order_life import OrderRecord
from hedger.core.state import Mode
from hedger.desk.alert_kinds import kind_of
from hedger.desk.alert_kinds.kind import AlertKind
from hedger.journal.acknowledged import Which
from hedger.journal.codec import CodecError
from hedger.journal.entries import Kind, ModeChange, Record, read
from venues.orders import OrderState, parse_client_id

UNKNOWN, KILLED = "ORDER_UNKNOWN", "KILLED"
#: Kinds of records that this is told of; of orders it looks at what was made of their records.
TELLING = (Kind.DECISION, Kind.MODE, Kind.CONFIGURATION)
#: In the text of a decision that tells somebody something; most do not, and are not parsed.
_ALERT = b'"action":"alert"'
#: What a person's `arm` takes back: by then it was looked at.
_UNTIL_ARMED = ("KEY_REFUSED", "BOOK_NOT_VALUED", "PNL_UNEXPLAINED")
#: States in which nobody can say what became of an order.
_NOT_KNOWN = (OrderState.INTENT, OrderState.SENT, OrderState.UNKNOWN)
_DAY_NS = 86_400 * 10**9


@dataclass(frozen=True, slots=True)
class Told:
    """An alert as it was written down. which: its record, and its place among the alerts there. subject: of
    what, where there can be several at once."""

    which: Which
    now_ns: int
    severity: Severity
    code: str
    subject: str
    text: str

    @property
    def key(self) -> tuple[str, str]:
        """What makes it the same."""
        return self.code, self.subject


@dataclass(frozen=True, slots=True)
class Over:
    """What is so no more. subject: None for every one of the code."""

    code: str
    subject: str | None = None

    def ends(self, told: Told) -> bool:
        """Whether it is the end of that."""
        return told.code == self.code and self.subject in (None, told.subject)


class StandingAlerts:
    """What stands, the last of each code and subject."""

    def __init__(self, orders: Mapping[str, OrderRecord]) -> None:
        """orders: by client id, as far as they were read when somebody looks."""
        self._orders = orders
        self._stands: dict[tuple[str, str], Told] = {}
        self._begins = False  # between a start and its first mode
        self._day = 0

    def take(self, record: Record) -> list[Told | Over]:
        """What a record tells and what it ends, in that order.

        Raises:
            CodecError: a decision or a mode that is none.
        """
        if record.kind not in TELLING:
            return []
        found: list[Told | Over] = []
        if record.now_ns // _DAY_NS != self._day:
            self._day = record.now_ns // _DAY_NS
            found.append(Over("PNL_UNEXPLAINED"))  # the sum is of one day
        if record.kind == Kind.CONFIGURATION:
            self._stands = {key: told for key, told in self._stands.items() if key[0] in (UNKNOWN, KILLED)}
            self._begins = True
        elif record.kind == Kind.MODE:
            found += self._mode(record)
            self._begins = False
        else:
            for told in told_in(record):
                kind = kind_of(told.code)
                found += [Over(code, subject_of(kind_of(code), told.text)) for code in kind.ends]
                found.append(told)
        for one in found:
            self._note(one)
        return found

    def known(self) -> list[Over]:
        """Orders of which somebody has said what became of them, since this was asked last."""
        found = [
            Over(code, subject)
            for code, subject in self._stands
            if code == UNKNOWN and _is_known(self._orders.get(subject))
        ]
        for over in found:
            self._note(over)
        return found

    @property
    def now(self) -> list[Told]:
        """What stands, in the order in which it began."""
        return list(self._stands.values())

    def _note(self, one: Told | Over) -> None:
        if isinstance(one, Over):
            self._stands = {key: told for key, told in self._stands.items() if not one.ends(told)}
        elif kind_of(one.code).stands:
            self._stands[one.key] = one

    def _mode(self, record: Record) -> list[Told | Over]:
        """What a person has looked at, and the latch that an engine obeys from here on, or no more; a start
        that finds it begins killed."""
        word = mode_in(record)
        found: list[Told | Over] = []
        if word.mode == Mode.ARMED:
            found += map(Over, _UNTIL_ARMED)
        if not word.paused:
            found.append(Over("PAUSED"))
        if word.mode != Mode.KILLED:
            found.append(Over(KILLED))
        elif (KILLED, "") not in self._stands:
            text = f"killed by {by_whom(word.user, word.reason)}"
            if self._begins:
                text = "the kill latch was set when the engine started; `hedger status` says by whom"
            found.append(Told((record.number, 0), record.now_ns, Severity.CRITICAL, KILLED, "", text))
        return found


def told_in(record: Record) -> list[Told]:
    """What a decision tells people.

    Raises:
        CodecError: it is no decision.
    """
    if _ALERT not in record.text:
        return []
    try:
        actions = json.loads(record.body)["document"]["actions"]
        alerts = [action for action in actions if action["action"] == "alert"]
        words = [(Severity(a["severity"]), str(a["code"]), str(a["text"])) for a in alerts]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise CodecError(f"record {record.number} is no decision: {error!r}") from error
    return [
        Told((record.number, place), record.now_ns, severity, code, subject_of(kind_of(code), text), text)
        for place, (severity, code, text) in enumerate(words)
    ]


def mode_in(record: Record) -> ModeChange:
    """The mode that a record tells.

    Raises:
        CodecError: it tells none.
    """
    word = read(record)
    if not isinstance(word, ModeChange):
        raise CodecError(f"record {record.number} is no mode")
    return word


def subject_of(kind: AlertKind, text: str) -> str:
    """Of what a text speaks: the order or venue it names first, else the text without its figures.

    >>> subject_of(kind_of("LINK_DOWN"), "deribit is down"), subject_of(kind_of("PAUSED"), "paused until")
    ('deribit', '')
    >>> subject_of(kind_of("ACCOUNT_MODE"), "deribit: a position is isolated")
    'deribit'
    """
    words = text.split()
    if kind.subject == "venue":
        return words[0].rstrip(":") if words else ""
    if kind.subject == "order":
        return _order_in(text) or without_figures(text)
    return "" if kind.stands else without_figures(text)


def _is_known(order: OrderRecord | None) -> bool:
    """Whether somebody has said what became of an order."""
    return order is not None and order.state not in _NOT_KNOWN


def _order_in(text: str) -> str:
    """The first of our order ids in a text, "" where there is none.

    >>> _order_in("nobody could say for 10 s what became of hk3x9-1742-0-2: it counts")
    'hk3x9-1742-0-2'
    """
    words = (word.strip(":,;()") for word in text.split())
    return next((word for word in words if parse_client_id(word)), "")
