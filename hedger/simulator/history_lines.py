"""What the history checker reads: four kinds of JSON lines, and the little it believes of them.

Nothing of the engine is used here, and nothing of the venues: the standard library alone. What a line means
is said a second time, in these words, so that one mistake cannot hide in both places.

- truth: a venue's own log, in its order. What happened there, told or not.
- wire: what left the engine's box and what came back to it, as somebody on the wire saw it; with every order
  how many journal records were durable when it left, and how old the listing's quotes were. number: of the
  journal's last record at that moment, durable or not: what orders the two in time, whatever clocks say.
- journal: the engine's own record, in its order, as exported: number, kind, seq, now_ns, key, body, hash.
- claims: what the engine held to be true at some moments, such as before a crash and after the recovery.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

Json = dict[str, Any]
#: (venue, symbol)
Place = tuple[str, str]

ENDED = frozenset({"filled", "cancelled", "expired", "rejected", "denied"})
#: Words of a refusal that say nothing about the first order under that id.
NO_EVIDENCE = frozenset({"duplicate_client_id", "not_found"})


class HistoryError(ValueError):
    """Lines that are none: which, and what is wrong."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What the run promised, for those invariants that need a number.

    position_max: by (venue, symbol), order units, long or short, worst case over orders open at the venue.
    quote_age_s_max: of a listing when an order for it leaves. kill_grace_s: after the kill nothing new leaves
    later than this; kill_s_max: nor is any order open later, where the venue can be reached.
    not_found_min: answers "never had it" before an order may be given up for lost. ask_s_max: an order that
    nobody can say anything about is asked after at least so often. steady_s_max: after the last fault.
    ours: what the ids of our orders begin with; an order of another's at the venue has no intent here.
    """

    position_max: Mapping[Place, Decimal] = field(default_factory=dict)
    quote_age_s_max: float | None = None
    kill_grace_s: float = 0.05
    kill_s_max: float = 2.0
    not_found_min: int = 2
    ask_s_max: float = 60.0
    steady_s_max: float = 30.0
    ours: str = ""
    cash_difference_max: Mapping[str, Decimal] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class History:
    """One run. truth: lines by venue. genesis: the hash before the journal's first record, hexadecimal."""

    truth: Mapping[str, tuple[Json, ...]]
    wire: tuple[Json, ...]
    journal: tuple[Json, ...]
    claims: tuple[Json, ...]
    genesis: str = ""
    terms: Terms = Terms()


@dataclass(frozen=True, slots=True)
class Violation:
    """An invariant that did not hold; evidence: the lines that show it."""

    invariant: str
    text: str
    evidence: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.invariant}: {self.text}"


def read_lines(lines: Iterable[str], name: str) -> tuple[Json, ...]:
    """JSON objects, one a line.

    Raises:
        HistoryError: a line is none.

    >>> read_lines(['{"number":1}'], "truth")
    ({'number': 1},)
    """
    found = []
    for at, line in enumerate(lines, 1):
        try:
            item = json.loads(line)
        except ValueError as error:
            raise HistoryError(f"{name}, line {at}: not JSON: {error}") from error
        if not isinstance(item, dict):
            raise HistoryError(f"{name}, line {at}: an object expected")
        found.append(item)
    return tuple(found)


def shown(line: Json) -> str:
    """A line as evidence: short, without what does not help a person."""
    text = json.dumps({k: v for k, v in line.items() if k != "hash"}, sort_keys=True)
    return text if len(text) <= 400 else text[:400] + " ..."


def decimal(value: object) -> Decimal:
    """An exact number of a line; absent is zero."""
    return Decimal(0) if value is None else Decimal(str(value))


def place(line: Json, venue: str) -> Place:
    """Where a fact of a venue belongs."""
    return venue, str(line.get("symbol", ""))


def sign(side: str) -> int:
    """+1 for a buy, -1 for a sell."""
    return 1 if side == "buy" else -1


# ---------------------------------------------------------------------------------------------------- journal


@dataclass(frozen=True, slots=True)
class Intent:
    """An order that was written down before it left. combo: the id under which it left as a leg of several,
    "" where it left by itself; ratio: of its order units to the combo's."""

    number: int
    seq: int
    now_ns: int
    client_id: str
    at: Place
    side: str
    quantity: Decimal
    execution: int
    line: Json
    combo: str = ""
    ratio: int = 1


@dataclass(frozen=True, slots=True)
class Booked:
    """An execution that was booked. held: it makes a position; coins of a spot market are cash."""

    number: int
    seq: int
    now_ns: int
    trade: Place  # (venue, trade id)
    client_id: str
    at: Place
    signed: Decimal
    price: Decimal
    fee: Decimal
    currency: str
    held: bool
    line: Json


@dataclass(frozen=True, slots=True)
class Word:
    """Something that a record says about one of our orders. state "" where only its absence was told.

    seq: of the event. update: it is news of that order alone. own: it is our own verdict, and lost: that the
    venue never had it.
    """

    number: int
    seq: int
    now_ns: int
    client_id: str
    state: str
    filled: Decimal | None
    code: str = ""
    update: bool = False
    lost: bool = False
    own: bool = False

    @property
    def ends(self) -> bool:
        """Whether nothing more can come of the order."""
        return self.state in ENDED and self.code not in NO_EVIDENCE


@dataclass(slots=True)
class Journal:
    """The journal, sorted by what its records are; each list in the order of the record."""

    intents: list[Intent] = field(default_factory=list)
    fills: list[Booked] = field(default_factory=list)
    words: list[Word] = field(default_factory=list)
    decisions: list[Json] = field(default_factory=list)
    adjustments: list[Json] = field(default_factory=list)
    commands: list[Json] = field(default_factory=list)
    latches: list[Json] = field(default_factory=list)
    accounts: list[Json] = field(default_factory=list)
    opening: dict[Place, Decimal] = field(default_factory=dict)

    @classmethod
    def of(cls, lines: Iterable[Json]) -> Journal:
        """Sort records by kind; kinds that no check needs pass by."""
        found = cls()
        for line in lines:
            take = _TAKE.get(str(line.get("kind")))
            if take is not None:
                try:
                    take(found, line)
                except (KeyError, TypeError, ValueError, ArithmeticError) as error:
                    raise HistoryError(f"journal, record {line.get('number')}: {error!r}") from error
        return found


def _intent(journal: Journal, line: Json) -> None:
    body = line["body"]
    order = body["order"]
    listing = order["listing"]
    journal.intents.append(
        Intent(
            number=line["number"],
            seq=line["seq"],
            now_ns=line["now_ns"],
            client_id=order["client_id"],
            at=(listing["venue"], listing["symbol"]),
            side=order["side"],
            quantity=Decimal(order["quantity"]),
            execution=body.get("execution", 0),
            line=line,
            combo=order.get("combo", ""),
            ratio=order.get("ratio", 1),
        )
    )


def _fill(journal: Journal, line: Json) -> None:
    body = line["body"]
    fill = body["fill"]
    listing = fill["listing"]
    journal.fills.append(
        Booked(
            number=line["number"],
            seq=line["seq"],
            now_ns=line["now_ns"],
            trade=(listing["venue"], fill["trade_id"]),
            client_id=body["client_id"],
            at=(listing["venue"], listing["symbol"]),
            signed=Decimal(fill["quantity"]) * sign(fill["side"]),
            price=Decimal(fill["price"]),
            fee=Decimal(fill["fee"]),
            currency=fill["fee_currency"],
            held=listing["contract"].get("type") != "Spot",
            line=line,
        )
    )


def _event(journal: Journal, line: Json) -> None:
    what = line["body"]["what"]
    kind = what.get("type")
    if kind == "OrderUpdate":
        _word(journal, line, what["client_id"], what, update=True)
    elif kind == "Answer":
        _word(journal, line, what["client_id"], what["report"])
    elif kind == "AccountReport":
        journal.accounts.append(line)
        for order in what["orders"]:
            if order["client_id"]:
                _word(journal, line, order["client_id"], order)
    elif kind == "Command":
        journal.commands.append(line)


def _word(
    journal: Journal,
    line: Json,
    client_id: str,
    said: Json | None,
    *,
    update: bool = False,
    lost: bool = False,
    own: bool = False,
) -> None:
    told = said or {}
    filled = told.get("filled")
    journal.words.append(
        Word(
            number=line["number"],
            seq=line["seq"],
            now_ns=line["now_ns"],
            client_id=client_id,
            state=str(told.get("state", "")),
            filled=None if filled is None else Decimal(filled),
            code=str(told.get("code", "")),
            update=update,
            lost=lost,
            own=own,
        )
    )


def _own_word(journal: Journal, line: Json) -> None:
    body = line["body"]
    _word(journal, line, body["client_id"], body, lost=body.get("code") == "lost", own=True)


def _opening(journal: Journal, line: Json) -> None:
    for key, position in line["body"]["positions"]:
        at = (key[0], key[1])
        journal.opening[at] = journal.opening.get(at, Decimal(0)) + Decimal(position["quantity"])


_TAKE: Mapping[str, Callable[[Journal, Json], None]] = {
    "intent": _intent,
    "fill": _fill,
    "event": _event,
    "acknowledgement": _event,
    "command": _event,
    "order": _own_word,
    "book": _opening,
    "decision": lambda journal, line: journal.decisions.append(line),
    "adjustment": lambda journal, line: journal.adjustments.append(line),
    "latch": lambda journal, line: journal.latches.append(line),
}
