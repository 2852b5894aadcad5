"""What changes the book: executions, once each; funding and settlement, as adjustments of their own.

Nothing here is guessed: a difference that no execution, funding or settlement explains is left standing for
`hedger.core.reconcile` to tell, until a person accepts it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from decimal import Decimal
from operator import itemgetter

import numpy as np

from hedger.core.actions import Adjustment, AdjustmentKind, Severity
from hedger.core.aside import on_taken
from hedger.core.deliveries import STEP, settle
from hedger.core.execution import with_end, with_fill, with_other
from hedger.core.order_life import (
    ZERO,
    OrderRecord,
    beyond_its_price,
    concerned,
    executed,
    heard,
    order_of,
    told_of,
)
from hedger.core.other_engines import on_execution_seen
from hedger.core.stamps import note_booked
from hedger.core.state import Counters, VenueState, frozen
from hedger.core.turn import Turn
from hedger.core.wallet import count_fee
from hedger.problem.unindexed import unindexed
from pricing.contracts import Kind
from pricing.daycount import NS_PER_DAY, NS_PER_HOUR, years_between
from pricing.market import Market
from pricing.settlement import WINDOW_YEARS
from risk.book import Fill, Position
from risk.costs import FUNDING_ABSURD_ABOVE, FUNDING_PERIOD_H, reference_price
from venues.orders import OrderState, OrderUpdate, TradeReport, parse_client_id

#: Funding not booked yet, by venue, account and currency.
Accrued = Mapping[tuple[str, str, str], Decimal]


def on_trade(turn: Turn, report: TradeReport) -> bool:
    """Book an execution unless it is booked already; whether it was.

    Of no order of ours: booked as external, and told. Of an order that is over: booked as well, late.
    """
    fill, state = report.fill, turn.state
    venue, trade_id = report.key
    window = turn.settings.desk.execution.reconcile.trade_window_days
    trades = replace(state.trades, window_days=window)
    if not trade_id:
        turn.alert(
            Severity.CRITICAL, "TRADE_WITHOUT_ID", f"{_words(fill)} has no trade id; it was not booked"
        )
        turn.ask_account_soon(venue)
        return False
    if report.key in trades:
        return False
    if trades.too_old(fill.time_ns, turn.event.now_ns):
        turn.alert(
            Severity.CRITICAL,
            "TRADE_TOO_OLD",
            f"{venue} tells of trade {trade_id}, {_words(fill)}, from before the window in which trades are "
            "remembered; it was not booked",
        )
        turn.ask_account_soon(venue)
        return False
    turn.state = replace(state, book=state.book.apply(fill), trades=trades.add(report.key, turn.event.now_ns))
    note_booked(turn, fill)
    turn.booked.append(fill)
    _move_rows(turn, fill)
    count_fee(turn, fill)
    record = order_of(turn.state.orders, report)
    if record is not None:
        _on_order(turn, record, fill)
    else:
        _external(turn, report)
    turn.note(f"fill {_words(fill)}")
    return True


def _on_order(turn: Turn, record: OrderRecord, fill: Fill) -> None:
    was_settled = record.settled
    new = executed(record, fill, turn.now)
    order = record.order
    if new.booked > order.quantity:
        text = f"{order.client_id}: {new.booked} filled of {order.quantity}"
        turn.alert(Severity.CRITICAL, "OVERFILL", text)
    beyond = not order.combo and (fill.price - order.price) * order.side.sign > 0
    if fill.side is not order.side or beyond:
        text = f"{order.client_id}: {_words(fill)} against {order.side} at {order.price}"
        turn.alert(Severity.CRITICAL, "FILL_BEYOND_ORDER", text)
    if record.state.terminal and was_settled:
        text = f"{order.client_id} was {record.state} and filled {fill.quantity} more"
        turn.alert(Severity.WARNING, "LATE_FILL", text)
    turn.state = turn.state.with_order(new)
    if not record.taken:  # its execution comes before its acknowledgement
        on_taken(turn, new)
    execution = turn.state.execution
    if execution is not None and record.execution == execution.id:
        execution = with_fill(execution, order.leg, fill, _reference(turn, fill))
        turn.state = replace(turn.state, execution=execution)
    else:
        _by_others(turn, fill)
    order_changed(turn, record, new)
    if order.combo:
        _tell_other_legs(turn, new)


def _tell_other_legs(turn: Turn, record: OrderRecord) -> None:
    """A leg of a combo has filled: so have the others, in the ratio, told of or not."""
    order = record.order
    units = record.booked / order.ratio
    for other in concerned(turn.state.orders, order.combo):
        if other.order.client_id != order.client_id:
            word = OrderUpdate(order.combo, OrderState.OPEN, record.venue_order_id, units)
            new = heard(other, told_of(other, word), turn.now)
            turn.state = turn.state.with_order(new)
            order_changed(turn, other, new)
    if beyond_its_price(concerned(turn.state.orders, order.combo)):
        text = f"{order.combo}: its legs filled at more than the price of the combo in all"
        turn.alert(Severity.CRITICAL, "FILL_BEYOND_ORDER", text)


def order_changed(turn: Turn, old: OrderRecord, new: OrderRecord) -> None:
    """Tell the execution that an order of it has come to its end."""
    execution = turn.state.execution
    if execution is not None and new.execution == execution.id and new.settled and not old.settled:
        turn.state = replace(turn.state, execution=with_end(execution, new))


def _external(turn: Turn, report: TradeReport) -> None:
    """An execution of no order that we know."""
    ours = parse_client_id(report.client_id)
    if ours is not None and ours[0] == turn.settings.tag:
        code, text = "FILL_OF_FORGOTTEN_ORDER", f"{report.client_id}, which is not on record any more"
    else:
        code, text = "EXTERNAL", f"order {report.client_id or 'without a name'}, which is not of this engine"
    turn.alert(Severity.WARNING, code, f"{_words(report.fill)}, of {text}: booked")
    fill = report.fill
    on_execution_seen(turn, fill.listing.venue, fill.account, report.client_id, fill.time_ns)
    _by_others(turn, report.fill)


def _by_others(turn: Turn, fill: Fill) -> None:
    """Tell the execution in work of a trade that is none of its own."""
    execution = turn.state.execution
    if execution is not None:
        turn.state = replace(turn.state, execution=with_other(execution, fill))


def _reference(turn: Turn, fill: Fill) -> float:
    """The price that costs are reckoned from, now; NaN where the listing is not on the market."""
    at = turn.state.market.universe.positions.get(fill.listing.key)
    return float("nan") if at is None else float(reference_price(turn.state.market)[at])


def _move_rows(turn: Turn, fill: Fill) -> None:
    """The rows after a fill: exposures are linear in quantities. The next mark values the book anew."""
    state, snapshot = turn.state, turn.state.snapshot
    if snapshot is None:
        return
    at = snapshot.market.universe.positions.get(fill.listing.key)
    if at is None:
        return
    effect = snapshot.exposure.traded[:, at] * float(fill.signed)
    turn.state = replace(state, moved=effect if state.moved is None else state.moved + effect)


def _words(fill: Fill) -> str:
    return f"{fill.side} {fill.quantity} {fill.listing.symbol} on {fill.listing.venue} at {fill.price}"


# ---------------------------------------------------------------------------------------- funding, settlement


def pass_time(turn: Turn, before: Market) -> None:
    """Funding for the time since the last mark at the rates known then; settlement of what has expired.

    Funding accrues on the monotonic clock and is booked when the hour of the day changes.
    """
    state = turn.state
    accrued = accrued_since(turn, before, state.book.positions.values())
    turn.state = replace(state, accrued=accrued, marked_ns=turn.now)
    if turn.event.now_ns // NS_PER_HOUR != before.now_ns // NS_PER_HOUR:
        book_funding(turn)
    _settle(turn)


def accrued_since(turn: Turn, market: Market, positions: Collection[Position]) -> Accrued:
    """Funding not booked yet, with what has run up since the last mark at the rates known then."""
    state = turn.state
    if state.marked_ns is None or turn.now <= state.marked_ns or not positions:
        return state.accrued
    hours = (turn.now - state.marked_ns) / NS_PER_HOUR
    accrued = dict(state.accrued)
    for position in positions:
        contract = position.listing.contract
        if contract.kind is not Kind.PERPETUAL or not position.quantity:
            continue
        at = market.universe.positions.get(position.listing.key)
        if at is None:
            continue
        rate, price = float(market.funding_rate[at]), float(market.mark[at])
        if not (abs(rate) <= FUNDING_ABSURD_ABOVE and 0 < price < np.inf):
            continue
        natural = float(position.quantity) * float(market.universe.size[at])
        notional = natural / price if contract.inverse else natural * price
        paid = Decimal(repr(rate * notional * hours / FUNDING_PERIOD_H)).quantize(STEP)
        key = (position.listing.venue, position.account, contract.settlement)
        accrued[key] = accrued.get(key, ZERO) + paid
    return frozen(accrued)


def book_funding(turn: Turn) -> None:
    """Book what has accrued, as adjustments: one an hour for an account and currency."""
    book = turn.state.book
    hour_ns = turn.event.now_ns // NS_PER_HOUR * NS_PER_HOUR
    for (venue, account, currency), paid in sorted(turn.state.accrued.items()):
        if paid:
            book = book.pay(venue, account, currency, paid)
            turn.adjustments.append(
                Adjustment(
                    AdjustmentKind.FUNDING,
                    venue,
                    account,
                    currency=currency,
                    amount=-paid,
                    key=f"funding|{venue}|{account}|{currency}|{hour_ns}",
                )
            )
    turn.state = replace(turn.state, book=book, accrued=frozen({}))


def _settle(turn: Turn) -> None:
    """Settle what has expired, at the average index of its window; it waits while no index is known. The
    venue's own price comes with its account (`hedger.core.deliveries`)."""
    state = turn.state
    now_ns = turn.event.now_ns
    over = [(key, p) for key, p in state.book.positions.items() if 0 < p.listing.expiry_ns <= now_ns]
    for key, position in sorted(over, key=itemgetter(0)):
        expiry_ns = position.listing.expiry_ns
        name = position.listing.contract.underlying
        total, n = state.averages.get((name, expiry_ns), (0.0, 0))
        good = state.last_good.get(name)
        price = total / n if n else good.value if good is not None else float("nan")
        if not price > 0:
            continue
        text = "" if n else "at the last index known: none was seen in its settlement window"
        known = turn.state.settled.get(key)
        exact = known.price if known is not None else Decimal(repr(round(price, 4)))
        settle(turn, position, exact, text)


def averages_with(
    averages: dict[tuple[str, int], tuple[float, int]], market: Market, age_s_max: float
) -> dict[tuple[str, int], tuple[float, int]]:
    """The averages of the index in open settlement windows, with this mark; those long closed fall away."""
    universe = market.universe
    kept = {key: x for key, x in averages.items() if key[1] > market.now_ns - NS_PER_DAY}
    soon = np.unique(universe.expiry_ns[universe.expiry_ns > 0])
    spot = None
    for expiry_ns in soon.tolist():
        if not 0.0 <= float(years_between(market.now_ns, expiry_ns)) <= WINDOW_YEARS:
            continue
        spot = market.spot(age_s_max) if spot is None else spot
        for u, name in enumerate(universe.underlyings):
            if np.isfinite(spot[u]):
                total, n = kept.get((name, expiry_ns), (0.0, 0))
                kept[(name, expiry_ns)] = (total + float(spot[u]), n + 1)
    return kept


def new_day(turn: Turn) -> None:
    """Begin the counters afresh when the UTC day changes: budgets are of that day."""
    day = turn.event.now_ns // NS_PER_DAY
    counters = turn.state.counters
    if counters.day != day:
        fresh = Counters(
            day=day,
            equity_open_usd=counters.equity_usd,
            equity_usd=counters.equity_usd,
            equity_low_usd=counters.equity_low_usd,
            equity_high_usd=counters.equity_high_usd,
            equity_open_high_usd=counters.equity_high_usd,
            wallet=_rest_of(turn),
            worth_at_most=counters.worth_at_most,
        )
        turn.state = replace(turn.state, counters=fresh)


def _rest_of(turn: Turn) -> tuple[tuple[str, Decimal], ...] | None:
    """The balances without an index that a new day begins with; None before any were looked at."""
    if turn.state.counters.wallet is None:
        return None
    return tuple(unindexed(turn.state.book, turn.state.market.universe).items())


def venue_of(turn: Turn, name: str) -> VenueState:
    """What is known of a venue; one never heard of before is known from now on."""
    if name not in turn.state.venues:
        turn.state = turn.state.with_venue(name)
    return turn.state.venues[name]
