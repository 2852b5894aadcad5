"""A venue's account against ours: orders both ways, trades, positions, balances.

Run twice on the same report it says nothing the second time. A question that failed is not an account without
positions: it changes nothing but the time of the next question. So is a report whose stamp is far from our
clock, and nothing is sent there until one comes that is not. What explains a difference is told
in `hedger.core.differing`.

A venue whose account is set up otherwise than we trade, such as with a position that has a margin of its own,
is frozen: told, and left out, until a report shows that it is not.

An order that a venue has taken and denies a moment later halts the engine: it may stand on another account
than the one that is read, as where a key of one is used with the name of another.

What is left is drift. Once: the engine only reduces, and the account is asked for again soon. Twice in a row:
it halts, until a person arms it again; with `arm` and the argument `accept` that person takes the venue's
word, and the differences are booked as adjustments. The book is never bent to a report without that.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType

from hedger.core.actions import Adjustment, AdjustmentKind, Severity
from hedger.core.aside import on_rejected, on_taken
from hedger.core.by_whom import reason_given
from hedger.core.deliveries import on_deliveries
from hedger.core.differing import Differences, agrees, cash_differences, position_differences
from hedger.core.disowned import accept_disowned, contradicts, disowned, tell_contradiction
from hedger.core.execution import planned_again
from hedger.core.ledger import on_trade, order_changed, venue_of
from hedger.core.order_life import (
    ZERO,
    OrderRecord,
    amended_elsewhere,
    closed,
    concerned,
    given_up,
    heard,
    order_of,
    seen,
    told_of,
)
from hedger.core.other_engines import on_order_seen, still_open, told_others
from hedger.core.stamps import misdated, perhaps_missing
from hedger.core.state import Mode, ReportedMargin, State, frozen, nothing
from hedger.core.turn import Turn
from hedger.core.wallet import moved_by_hand
from hedger.sections.execution import ns
from pricing.contracts import Kind, Side
from pricing.market import price_or_nan
from risk.book import Position, settles_daily
from venues.orders import AccountReport, Link, OrderReport, OrderState, OrderUpdate, parse_client_id

DRIFT_HALTS = 2
ZERO_READS = 2
#: States of an order that may yet come to its venue.
_ON_THE_WAY = (OrderState.INTENT, OrderState.SENT, OrderState.UNKNOWN)
#: States of an order that its venue has taken.
_TAKEN = (OrderState.OPEN, OrderState.FILLED, OrderState.CANCELLED, OrderState.EXPIRED)


def on_account(turn: Turn, report: AccountReport) -> None:
    """Take a report in."""
    name = report.venue
    known = venue_of(turn, name)
    if wrong := misdated(turn, report):
        _left_aside(turn, name, wrong)
        return
    # One that was asked for is news whatever its stamp: a venue's clock may step back.
    unasked = known.asked_ns is None
    if unasked and report.venue_ns < known.venue_ns:
        turn.note(f"an account report of {name} older than the last was left aside")
        return
    repeated = unasked and report.venue_ns == known.venue_ns
    for trade in sorted(report.trades, key=lambda t: (t.fill.time_ns, t.fill.trade_id)):
        if trade.fill.time_ns >= known.since_ns or order_of(turn.state.orders, trade) is not None:
            on_trade(turn, trade)
        elif trade.key not in turn.state.trades:
            # Stamped before the account that the book began with, which holds it; were it not so, it differs.
            turn.note(f"trade {trade.key[1]} of {name} is from before the start: left aside")
    on_deliveries(turn, report)
    _orders(turn, report)
    _freeze(turn, report)
    differences = position_differences(turn, report)
    cash: Differences = ()
    if not (differences or report.faults) and (found := cash_differences(turn, report)) is not None:
        cash = found.drift
        _tell_unindexed(turn, report, found.unindexed)
    _judge(turn, report, differences, cash)
    _take_margin(turn, report)
    if turn.state.mode is Mode.KILLED:
        _count_zero(turn, report, known.next_ns if repeated else None)


def _take_margin(turn: Turn, report: AccountReport) -> None:
    """Take the account's margin as reported. Of a report that came unasked nobody knows what was traded
    since: the one before it stands, with all that was."""
    known = turn.state.venues[report.venue]
    if known.traded is None and known.reported is not None:
        return
    reported = ReportedMargin(
        report.account,
        report.margins,
        report.positions,
        report.cash,
        nothing() if known.traded is None else known.traded,
        turn.event.now_ns,
    )
    turn.state = turn.state.with_venue(report.venue, reported=reported, traded=None)


def _left_aside(turn: Turn, name: str, why: str) -> None:
    """A report that is not taken: nothing is known of the account until one comes that is."""
    if not turn.state.venues[name].misdated:
        text = f"{why}: the report is not taken, and nothing is sent there until one is"
        turn.alert(Severity.CRITICAL, "ACCOUNT_MISDATED", text)
    failed(turn, name)
    turn.state = turn.state.with_venue(name, misdated=True, reconciled_ns=None)


def _freeze(turn: Turn, report: AccountReport) -> None:
    """Send nothing to an account that is set up otherwise than we trade, until a report shows that it is
    not. Its balances are not compared meanwhile: what such a position gains or loses is in none of them."""
    name, why = report.venue, "; ".join(report.faults)
    before = turn.state.venues[name].frozen
    if why == before:
        return
    turn.state = turn.state.with_venue(name, frozen=why)
    if why:
        text = f"{name}: {why}; nothing is sent there until an account report shows that it is done"
        turn.alert(Severity.CRITICAL, "ACCOUNT_MODE", text)
    else:
        turn.alert(Severity.NOTE, "ACCOUNT_MODE_OVER", f"{name} is set up as we trade again (was: {before})")


# ---------------------------------------------------------------------------------------------------- orders


def _orders(turn: Turn, report: AccountReport) -> None:
    listed = {line.client_id: line for line in report.orders if line.client_id}
    for line in report.orders:
        known = concerned(turn.state.orders, line.client_id)
        if not known:
            _stranger(turn, report, line)
            continue
        on_line(turn, line)
        record = turn.state.orders[known[0].order.client_id]
        if not record.live and not line.state.terminal and record.cancel_ns is None:
            text = f"{line.client_id} is {record.state} here and open at {report.venue}: it is cancelled"
            turn.alert(Severity.WARNING, "ORDER_BACK", text)
            turn.cancel(record)
    for record in list(turn.state.live_orders(report.venue)):
        open_here = record.state is OrderState.OPEN and record.order.account == report.account
        # Absence from a list is no proof: the order is asked for.
        if open_here and record.order.sent_as not in listed and record.since_ns < _asked(turn, report):
            turn.ask_order(record)
    still_open(turn, report)
    _forget_strangers(turn, report)


def _name_of(line: OrderReport) -> str:
    return line.client_id or line.venue_order_id


def _forget_strangers(turn: Turn, report: AccountReport) -> None:
    """Those that the account no longer lists as open are over: were one of them to come back, it would be
    told of again."""
    told = turn.state.strangers
    still = {_name_of(line) for line in report.orders if not line.state.terminal}
    here = report.venue, report.account
    known = frozenset(s for s in told if s[:2] != here or s[2] in still)
    if len(known) < len(told):
        turn.state = replace(turn.state, strangers=known)


def _asked(turn: Turn, report: AccountReport) -> int:
    asked = turn.state.venues[report.venue].asked_ns
    return turn.now if asked is None else asked


def on_line(turn: Turn, line: OrderReport) -> None:
    """One order as a venue shows it."""
    on_update(turn, line.as_update())


def on_update(turn: Turn, update: OrderUpdate) -> None:
    """News of one order; of an order that is not on record: ours is asked about, others' are left alone."""
    records = concerned(turn.state.orders, update.client_id)
    if not records:
        ours = parse_client_id(update.client_id)
        if ours is not None and ours[0] == turn.settings.tag and update.state is OrderState.OPEN:
            text = f"news of {update.client_id}, which is not on record"
            turn.alert(Severity.WARNING, "ORDER_NOT_ON_RECORD", text)
            for name in turn.state.venues:
                turn.ask_account_soon(name)
        return
    for at, record in enumerate(records):
        new = seen(heard(record, told_of(record, update), turn.now), update, turn.event.now_ns)
        turn.state = turn.state.with_order(new)
        if new.state is OrderState.REJECTED and record.live and not at:
            text = f"{update.client_id} rejected: {reason_given(update.code or update.text)}"
            turn.alert(Severity.NOTE, "ORDER_REJECTED", text)
        order_changed(turn, record, new)
        if new.state is OrderState.REJECTED and record.live:
            on_rejected(turn, new)
        elif new.state in _TAKEN and record.state in _ON_THE_WAY:
            on_taken(turn, new)
        if amended_elsewhere(record, new):
            _amended(turn, new)


def _amended(turn: Turn, record: OrderRecord) -> None:
    """An order of ours is not what was sent: nothing that was weighed before it left holds of it. It is
    cancelled, and what it worked for is planned anew."""
    assert record.shown is not None
    order, (size, price) = record.order, record.shown
    now = f"{order.client_id} on {record.venue} is {order.side} {size} {order.listing.symbol} at {price}"
    text = f"{now}, was sent as {order.quantity} at {order.price}: somebody else has amended it"
    if not record.live:
        turn.alert(Severity.WARNING, "ORDER_AMENDED", f"{text}; it is {record.state}")
        return
    turn.alert(Severity.WARNING, "ORDER_AMENDED", f"{text}; it is cancelled")
    turn.cancel(record)
    execution = turn.state.execution
    if execution is not None and execution.id == record.execution and not execution.unwinding:
        why = f"{order.client_id} was amended by somebody else"
        again = planned_again(execution, why, turn.settings.desk.execution)
        turn.state = replace(turn.state, execution=again)


def _stranger(turn: Turn, report: AccountReport, line: OrderReport) -> None:
    """An open order that is not on record: ours of an earlier life is cancelled, others' are told of."""
    if line.state.terminal:
        return
    ours = parse_client_id(line.client_id)
    if ours is not None and ours[0] == turn.settings.tag:
        text = f"{line.client_id} is open at {report.venue} and not on record: it is cancelled"
        turn.alert(Severity.WARNING, "ORDER_NOT_ON_RECORD", text)
        turn.cancel_unknown(report.venue, line.client_id)
        return
    name = _name_of(line)
    stranger = report.venue, report.account, name
    if stranger not in turn.state.strangers:
        turn.state = replace(turn.state, strangers=turn.state.strangers | {stranger})
        text = f"{name}: {line.side} {line.quantity} {line.symbol} at {line.price} on {report.venue}"
        turn.alert(Severity.WARNING, "EXTERNAL_ORDER", f"{text} is not of this engine")
        on_order_seen(turn, report, line.client_id)


def _tell_unindexed(turn: Turn, report: AccountReport, found: Differences) -> None:
    """Tell of differences in coins without an index, whenever they change; `arm --accept` books them."""
    venue = turn.state.venues[report.venue]
    if found == venue.unindexed_differences:
        return
    turn.state = turn.state.with_venue(report.venue, unindexed_differences=found)
    if found:
        told = ", ".join(f"{currency} {amount:+f}" for currency, amount in found)
        text = (
            f"{report.venue} differs from the book in coins that have no index here: {told} (its figure less "
            "ours); what that is worth is not known"
        )
        turn.alert(Severity.WARNING, "BALANCE_UNPRICED", text)


# ---------------------------------------------------------------------------------------------------- judging


def _judge(turn: Turn, report: AccountReport, differences: Differences, cash: Differences) -> None:
    """Whether the account agrees, and what follows."""
    name, state = report.venue, turn.state
    config = turn.settings.desk.execution.reconcile
    before = state.venues[name]
    answered = {"asked_ns": None, "failures": 0, "misdated": False, "venue_ns": report.venue_ns}
    answered["clock_offset_ns"] = report.clock_offset_ns
    if differences or cash:
        again = {s for s, _ in (*differences, *cash)} & {
            s for s, _ in (*before.differences, *before.cash_differences)
        }
        drift = before.drift + 1 if again else 1
        turn.state = state.with_venue(
            name,
            **answered,
            drift=drift,
            reconciled_ns=None,
            differences=differences,
            cash_differences=cash,
            next_ns=turn.now + ns(config.soon_s),
        )
        told = ", ".join(f"{what} {amount:+f}" for what, amount in (*differences, *cash))
        if (differences, cash) != (before.differences, before.cash_differences) or drift == DRIFT_HALTS:
            text = f"{name} differs from the book without a reason: {told} (its figure less ours)"
            turn.alert(Severity.CRITICAL if drift >= DRIFT_HALTS else Severity.WARNING, "DRIFT", text)
        if drift >= DRIFT_HALTS and turn.state.mode.sends:
            turn.turn_to(Mode.HALTED, f"{name} differs from the book twice in a row: {told}")
        return
    turn.state = state.with_venue(
        name,
        **answered,
        drift=0,
        differences=(),
        cash_differences=(),
        reconciled_ns=turn.now if before.link is Link.UP else None,
        # What executions of the last seconds explain is looked at again without them.
        next_ns=turn.now + ns(config.soon_s if perhaps_missing(turn, report) else config.every_s),
    )
    if before.drift:
        turn.alert(Severity.NOTE, "DRIFT_OVER", f"{name} agrees with the book again")
    _close_orders(turn, report)


def _close_orders(turn: Turn, report: AccountReport) -> None:
    """What an account that agrees with the book says about orders that nobody could say anything about.

    An order that was asked for often and long enough, always unknown to the venue, is given up for lost, the
    legs of a combo together; one that ended without a word about its fills filled what is booked. One that
    the venue had taken before is not: what it was for is not sent a second time while it may stand, or have
    filled, on another account than the one that is read.
    """
    listed = {line.client_id for line in report.orders}
    for record in list(turn.state.orders.values()):
        if record.venue != report.venue or record.order.sent_as in listed:
            continue
        legs = concerned(turn.state.orders, record.order.sent_as)
        if not all(agrees(turn.state, report, leg.order.listing.symbol) for leg in legs):
            continue
        new = record
        if disowned(turn, record) and any(contradicts(turn, leg) for leg in legs):
            tell_contradiction(turn, record)
        elif disowned(turn, record):
            new = given_up(record, turn.now)
            text = f"{record.order.client_id}: {report.venue} never had it, by {record.not_found} answers"
            turn.alert(Severity.WARNING, "ORDER_LOST", f"{text} and an account that agrees without it")
        elif record.state.terminal and not record.final and _done(turn, record):
            new = closed(record) if record.least <= record.booked else record
        if new is not record:
            turn.state = turn.state.with_order(new)
            order_changed(turn, record, new)


def _done(turn: Turn, record: OrderRecord) -> bool:
    """Whether it ended long enough ago for its last executions to have been told."""
    patience = ns(turn.settings.desk.execution.watch.fills_s_max)
    return turn.now - (record.done_ns or 0) >= patience


def _count_zero(turn: Turn, report: AccountReport, due_ns: int | None) -> None:
    """After a kill: count the reports in a row that show no open order. due_ns: where it is the last one told
    once more, which was read once, when the next question was due before it.

    One that was sent and that nobody can say anything about may still be on its way: until the venue has said
    what became of it no report of none counts.
    """
    name = report.venue
    still = [line for line in report.orders if not line.state.terminal]
    on_the_way = any(
        record.state in _ON_THE_WAY and (not disowned(turn, record) or contradicts(turn, record))
        for record in turn.state.live_orders(name)
    )
    if due_ns is not None and not still and not on_the_way:
        known = turn.state.venues[name]
        if known.zero_reads < ZERO_READS:  # what was read once puts the next question off no further
            turn.state = turn.state.with_venue(name, next_ns=min(known.next_ns, due_ns))
        return
    reads = 0 if still or on_the_way else turn.state.venues[name].zero_reads + 1
    if reads <= ZERO_READS:
        turn.state = turn.state.with_venue(name, zero_reads=reads)
    again = turn.now + ns(turn.settings.desk.execution.reconcile.kill_again_s)
    if still:
        turn.cancel_all(name)
        for line in still:
            if line.client_id:
                turn.cancel_unknown(name, line.client_id)
    if reads < ZERO_READS:
        turn.state = turn.state.with_venue(name, next_ns=again)
    elif reads == ZERO_READS and kill_confirmed(turn.state):
        turn.alert(Severity.NOTE, "KILL_CONFIRMED", "every venue has shown no open orders twice in a row")


def kill_confirmed(state: State) -> bool:
    """Whether every venue has shown no open orders twice since the kill."""
    return all(v.zero_reads >= ZERO_READS for v in state.venues.values())


# -------------------------------------------------------------------------------------------------- accepting


def accept(turn: Turn) -> None:
    """Take the venues' word for what they differ in: a person has said so. Written down as adjustments.
    Other engines that were seen there are over, by the same word, and so are orders that a venue took and
    says now that it never had."""
    for told in told_others(turn.state):
        turn.note(f"accepted: {told}")
    turn.state = replace(turn.state, others=frozen({}))
    accept_disowned(turn)
    for name, venue in turn.state.venues.items():
        account = turn.settings.accounts.get(name, "")
        left = tuple(
            (symbol, difference)
            for symbol, difference in venue.differences
            if not _accept_position(turn, name, account, symbol, difference)
        )
        for currency, amount in (*venue.cash_differences, *venue.unindexed_differences):
            book = turn.state.book.pay(name, account, currency, -amount)
            counters = moved_by_hand(turn.state.counters, currency, amount)
            turn.state = replace(turn.state, book=book, counters=counters)
            turn.adjustments.append(
                Adjustment(AdjustmentKind.ACCEPTED_CASH, name, account, currency=currency, amount=amount)
            )
        turn.state = turn.state.with_venue(name, unindexed_differences=())
        if left:  # what the venue holds and the book cannot is not agreed upon
            turn.state = turn.state.with_venue(name, differences=left, cash_differences=())
        elif venue.drift:
            turn.state = turn.state.with_venue(
                name, drift=0, differences=(), cash_differences=(), reconciled_ns=turn.now
            )
            turn.alert(Severity.NOTE, "DRIFT_OVER", f"{name} agrees with the book by a person's word")


def _accept_position(turn: Turn, venue: str, account: str, symbol: str, difference: Decimal) -> bool:
    """Book a position's difference; False, and told, where the book cannot hold it."""
    state = turn.state
    universe = state.market.universe
    at = universe.positions.get((venue, symbol))
    price = float(price_or_nan(state.market)[at]) if at is not None else float("nan")
    held = state.book.positions.get((venue, symbol, account))
    listing = held.listing if held is not None else universe.listings[at] if at is not None else None
    if listing is None or listing.contract.kind is Kind.SPOT:
        turn.alert(Severity.CRITICAL, "NOT_ACCEPTED", f"{venue} {symbol}: not a listing that can be held")
        return False
    old = held or Position(listing, account, ZERO)
    paid = old.paid
    if settles_daily(listing):
        if not price > 0:
            turn.alert(Severity.CRITICAL, "NOT_ACCEPTED", f"{venue} {symbol}: no price to enter it at")
            return False
        natural = Fraction(difference) * Fraction(listing.size)
        entry = Fraction(Decimal(repr(price)))
        paid += natural / entry if listing.contract.inverse else natural * entry
    new = replace(old, quantity=old.quantity + difference, paid=paid)
    positions = {**state.book.positions, new.key: new}
    turn.state = replace(state, book=replace(state.book, positions=MappingProxyType(positions)))
    exact = Decimal(repr(price)) if price > 0 else ZERO
    turn.adjustments.append(
        Adjustment(
            AdjustmentKind.ACCEPTED_POSITION,
            venue,
            account,
            symbol,
            quantity=difference,
            currency=listing.contract.settlement,
            price=exact,
            text=f"{Side.BUY if difference > 0 else Side.SELL} side, by a person's word",
        )
    )
    return True


def failed(turn: Turn, venue: str) -> None:
    """An account question without an answer: nothing is known that was not known before."""
    known = venue_of(turn, venue)
    config = turn.settings.desk.execution.reconcile
    wait = min(config.soon_s * 2.0 ** min(known.failures, 10), config.every_s)
    turn.state = turn.state.with_venue(
        venue, asked_ns=None, failures=known.failures + 1, next_ns=turn.now + ns(wait)
    )
