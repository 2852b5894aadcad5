"""What a world notes for the checker: what the engine holds to be true, and what its record folds to again.

All of it is plain data, ready for a line of JSON: the checker (`hedger.simulator.history`) shares no code
with the engine.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal

from hedger.core.decide import decide
from hedger.core.events import Event
from hedger.core.gate import EngineSettings
from hedger.core.state import State
from hedger.journal.entries import MarksOnTape, Record, read_event
from pricing.market import Marks, price_or_nan
from risk.book import Book
from venues.orders import AccountReport, Link, OrderState
from venues.paper_exchange import PaperExchange


def record_line(record: Record) -> str:
    """A record of the journal as a line of JSON."""
    body = record.text.decode("ascii")
    head = {"number": record.number, "kind": str(record.kind), "seq": record.seq, "now_ns": record.now_ns}
    head |= {"key": record.key, "hash": record.hash.hex()}
    if record.frame is not None:
        head |= {"frame": record.frame.hex()}
    return f'{json.dumps(head, separators=(",", ":"))[:-1]},"body":{body}}}'


def positions(book: Book) -> list[list[str]]:
    """(venue, symbol, quantity) of what a book holds."""
    return [[k[0], k[1], f"{p.quantity:f}"] for k, p in sorted(book.positions.items()) if p.quantity]


def balances(book: Book, exchanges: Mapping[str, PaperExchange]) -> tuple[list[list[str]], list[list[str]]]:
    """(venue, currency, amount) of every balance: by the engine's book, and as the venues tell it."""
    ours: list[list[str]] = []
    told: list[list[str]] = []
    for name, exchange in exchanges.items():
        core = exchange.core
        every = zip(core.universe.listings, price_or_nan(core.market).tolist(), strict=True)
        prices = {listing.key: price for listing, price in every}
        mine = book.part(name, "").balances(prices)
        ours += [[name, c, str(Decimal(repr(float(x))))] for c, x in sorted(mine.items())]
        told += [[name, c, str(x)] for c, x in sorted(core.report(0).balances.items())]
    return ours, told


def troubles(state: State, exchanges: Mapping[str, PaperExchange]) -> list[str]:
    """What is not at peace between an engine and its venues."""
    found = [f"{c} is unknown" for c, r in state.orders.items() if r.state is OrderState.UNKNOWN]
    for name, venue in state.venues.items():
        if venue.link is not Link.UP or venue.reconciled_ns is None:
            found.append(f"{name} is {venue.link} and not reconciled")
        if venue.drift:
            found.append(f"{name} differs from the book: {venue.differences} {venue.cash_differences}")
    held = {
        (name, s): q
        for name, exchange in exchanges.items()
        for s, q in exchange.core.account.positions().items()
        if q
    }
    mine = {(v, s): Decimal(q) for v, s, q in positions(state.book)}
    if held != mine:
        found.append("the book is not what the venue holds")
    return found


def folded(first: State, records: Iterable[Record], settings: EngineSettings) -> State:
    """The state that the recorded events of one life lead to from its first."""
    state = first
    for record in records:
        state, _ = decide(state, read_event(record, no_tape), settings)
    return state


def told_twice(
    state: State, venue: str, report: AccountReport, settings: EngineSettings
) -> dict[str, object] | None:
    """What comes of the same account told a second time: nothing may. None: it differs from the book, and a
    difference told twice halts the engine, which is no repetition."""
    first = Event(state.seq + 1, state.now_ns, state.monotonic_ns, report)
    once, _ = decide(state, first, settings)
    if once.venues[venue].drift:
        return None
    twice, decision = decide(once, replace(first, seq=first.seq + 1), settings)
    changed = (twice.book.positions != once.book.positions) + (twice.mode is not once.mode)
    return {
        "actions": [type(action).__name__ for action in decision.actions],
        "changed": len(decision.adjustments) + changed,
    }


def no_tape(_: MarksOnTape) -> Marks:
    """Where marks that lie on a tape are read from: never, in a simulation."""
    raise AssertionError("marks of a simulation lie in its journal")
