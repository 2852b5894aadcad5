"""What the journal writes of one turn of the engine, and the state as a digest.

One event makes one group of records: the event, the fills that were booked, adjustments, a change of mode,
what budgets and throttles stand at where that has moved, the bands set by hand where those are others, what
accounts differ in where that has moved, what is outside its band and why where that is another, the decision,
what we ourselves made of orders, and an intent for every order that is about to leave, of a combo one for
each leg.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

from hedger.core.actions import Submit, SubmitCombo
from hedger.core.decision import Decision, canonical, figure
from hedger.core.events import Command, Event
from hedger.core.order_life import GIVEN_UP
from hedger.core.reconcile import DRIFT_HALTS
from hedger.core.state import Mode, State
from hedger.core.usage import has_moved, usage_of
from hedger.journal.entries import (
    Differences,
    Entry,
    Intent,
    LatchChange,
    ModeChange,
    adjustment_entry,
    bands_entry,
    decision_entry,
    differences_entry,
    event_entry,
    fill_entry,
    intent_entry,
    latch_entry,
    mode_entry,
    order_entry,
    outside_entry,
    usage_entry,
)
from hedger.journal.journal import Journal
from pricing.market import Marks
from venues.orders import AccountReport, Order, OrderState, OrderUpdate, TradeReport

#: Who changed the mode where no person did.
ENGINE_USER = "engine"


def _on_no_tape(marks: Marks) -> bool:
    return False


class JournalRecorder:
    """Writes every turn into a journal.

    tape: SHA-256 of the tape that is played, "" where none is; lies_there: whether a batch is one of its own,
    which the journal then only names.
    """

    def __init__(
        self, journal: Journal, tape: str = "", lies_there: Callable[[Marks], bool] = _on_no_tape
    ) -> None:
        self._journal, self._tape, self._lies_there = journal, tape, lies_there

    def turn(self, before: State, event: Event, after: State, decision: Decision) -> None:
        """An event and what came of it, in one piece.

        Raises:
            JournalUnwritable, JournalConflict: it is not known whether it is written.
        """
        self._journal.append(*entries_of(before, event, after, decision, self._tape_of(event)))

    def broken(self, event: Event) -> None:
        """An event that the engine could not work through."""
        self._journal.append(event_entry(event, self._tape_of(event)))
        self._journal.sync()

    def _tape_of(self, event: Event) -> str:
        what = event.what
        return self._tape if self._tape and isinstance(what, Marks) and self._lies_there(what) else ""


def entries_of(
    before: State, event: Event, after: State, decision: Decision, tape: str = ""
) -> tuple[Entry, ...]:
    """The records of one turn, in the order in which they are read back."""
    seq, now_ns = event.seq, event.now_ns
    found = [event_entry(event, tape)]
    found += [fill_entry(seq, now_ns, trade) for trade in newly_booked(before, event, after)]
    found += [adjustment_entry(seq, now_ns, adjustment) for adjustment in decision.adjustments]
    if (before.mode, before.paused) != (after.mode, after.paused):
        user, reason = _by(event, after, decision)
        found.append(mode_entry(seq, now_ns, ModeChange(str(after.mode), after.paused, user, reason)))
        if Mode.KILLED in (before.mode, after.mode) and before.mode is not after.mode:
            found.append(latch_entry(seq, now_ns, LatchChange(after.mode is Mode.KILLED, user, reason)))
    if has_moved(before, after):
        found.append(usage_entry(seq, now_ns, usage_of(after)))
    if after.by_hand != before.by_hand:
        found.append(bands_entry(seq, now_ns, after.by_hand))
    found += [differences_entry(seq, now_ns, word) for word in newly_different(before, after)]
    if after.outside != before.outside:
        found.append(outside_entry(seq, now_ns, after.outside))
    found.append(decision_entry(seq, now_ns, decision.digest, decision.document(), quiet=decision.quiet))
    for client_id, record in after.orders.items():
        old = before.orders.get(client_id)
        ours = record.state is OrderState.DENIED or record.code in GIVEN_UP
        if old is not record and ours and (old is None or old.state is not record.state):
            filled = record.least if record.final else None
            update = OrderUpdate(client_id, record.state, record.venue_order_id, filled, record.code)
            found.append(order_entry(seq, now_ns, update))
    for action in decision.actions:
        orders: tuple[Order, ...] = ()
        if isinstance(action, Submit):
            orders = (action.order,)
        elif isinstance(action, SubmitCombo):
            orders = action.order.legs
        for order in orders:
            execution = after.orders[order.client_id].execution
            found.append(intent_entry(seq, now_ns, Intent(order, execution)))
    return tuple(found)


def _by(event: Event, after: State, decision: Decision) -> tuple[str, str]:
    """Who has changed the mode, and why. A pause that the engine tells of is its own, even where it came to
    it over what a person asked for."""
    own = next((alert.text for alert in decision.alerts if alert.code == "PAUSED"), "")
    if own:
        return ENGINE_USER, own
    what = event.what
    return (what.user, what.reason) if isinstance(what, Command) else (ENGINE_USER, after.reason)


def newly_different(before: State, after: State) -> Iterator[Differences]:
    """Venues whose account differs from the book otherwise than before."""
    for name, venue in after.venues.items():
        old = before.venues.get(name)
        if old is venue:
            continue
        word = Differences(name, venue.differences, venue.cash_differences, venue.drift)
        was = (0, (), ()) if old is None else (_judged(old.drift), old.differences, old.cash_differences)
        if was != (_judged(word.drift), word.positions, word.cash):
            yield word


def _judged(drift: int) -> int:
    """As far as it counts: what goes on differing is not written down again with every report."""
    return min(drift, DRIFT_HALTS)


def newly_booked(before: State, event: Event, after: State) -> Iterator[TradeReport]:
    """The executions of an event that were booked by it."""
    what = event.what
    trades: tuple[TradeReport, ...] = ()
    if isinstance(what, TradeReport):
        trades = (what,)
    elif isinstance(what, AccountReport):
        trades = tuple(sorted(what.trades, key=lambda t: (t.fill.time_ns, t.fill.trade_id)))
    seen = set()
    for trade in trades:
        if trade.key not in before.trades and trade.key in after.trades and trade.key not in seen:
            seen.add(trade.key)
            yield trade


def state_digest(state: State) -> str:
    """SHA-256 of a state: book, orders, mode and trades exactly, computed numbers to nine digits."""
    execution = state.execution
    text = canonical(
        {
            "seq": state.seq,
            "now_ns": state.now_ns,
            "monotonic_ns": state.monotonic_ns,
            "mode": str(state.mode),
            "paused": state.paused,
            "positions": sorted(
                [*key, str(p.quantity), str(p.paid)] for key, p in state.book.positions.items()
            ),
            "cash": sorted([*key, str(amount)] for key, amount in state.book.cash.items()),
            "orders": sorted(
                [client_id, str(r.state), str(r.booked), str(r.least), r.final, r.code, r.execution]
                for client_id, r in state.orders.items()
            ),
            "trades": sorted([*key] for _, parts in state.trades.days for part in parts for key in part),
            "execution": None
            if execution is None
            else [execution.id, [[x.number, str(x.quantity), str(x.filled)] for x in execution.legs]],
            "rows": [] if state.value is None else [figure(x) for x in state.value.tolist()],
            "accrued": sorted([*key, str(amount)] for key, amount in state.accrued.items()),
            "commands": sorted(state.commands),
            "venues": sorted(
                [name, str(v.link), v.drift, v.reconciled_ns, v.venue_ns] for name, v in state.venues.items()
            ),
        }
    )
    return hashlib.sha256(text.encode()).hexdigest()
