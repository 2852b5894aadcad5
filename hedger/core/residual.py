"""The breaker on P&L that nothing explains (R8): a book that gains or loses without a cause is not the one
that we think we hold, or not at the marks that we think we see.

Once in `residual_every_s`, with a mark that tells the worth of the whole book, the change of equity since the
last such mark is taken apart (`risk.attribution`), trades, funding, settlements and corrections counted; what
is left over is summed over the UTC day. Beyond `residual_usd_max` plus `residual_turnover_share_max` of the
day's turnover an armed engine only reduces; at the next look still beyond, it halts, until a person arms it
again, who has then seen the sum: it begins anew. A mark on which something has no worth, or whose index is in
doubt, is no evidence of anything: the next one is waited for, and what happened meanwhile waits with it.
"""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal

from hedger.core.actions import Adjustment, AdjustmentKind, Severity
from hedger.core.state import Mode, Residual
from hedger.core.turn import Turn
from hedger.problem.unindexed import unindexed
from hedger.sections.execution import ns
from pricing.contracts import STABLE_CURRENCIES
from pricing.daycount import NS_PER_DAY, iso
from pricing.market import Market, Marks
from risk.attribution import attribute
from risk.book import Fill
from risk.flows import Cause, Flows, Payment, Trade
from risk.standing import Standing, equity_usd

#: Looks in a row beyond the tolerance, at which the engine halts.
RESIDUAL_HALTS = 2
_CAUSE = {
    AdjustmentKind.FUNDING: Cause.FUNDING,
    AdjustmentKind.SETTLEMENT_CORRECTED: Cause.SETTLEMENT,
    AdjustmentKind.ACCEPTED_CASH: Cause.TRANSFER,
}


def watch_residual(turn: Turn) -> None:
    """Note what moved the book in this turn, and look whether the P&L is explained where it is time to."""
    _gather(turn)
    state, config = turn.state, turn.settings.desk.execution.watch
    known = state.residual
    due = known.looked_ns is None or turn.now - known.looked_ns >= ns(config.residual_every_s)
    if not (due and isinstance(turn.event.what, Marks)):
        return
    snapshot = state.snapshot
    if snapshot is None or snapshot.book is not state.book or snapshot.missing or snapshot.bad_indexes:
        return
    aside = unindexed(state.book, state.market.universe)
    balances = {currency: x for currency, x in snapshot.balances.items() if currency not in aside}
    standing = Standing(snapshot.valuation, snapshot.quantities, balances)
    if not math.isfinite(equity_usd(standing)):
        return
    day = turn.event.now_ns // NS_PER_DAY
    today = known if known.day == day else Residual()
    part = 0.0 if known.standing is None else _residual_usd(turn, known.standing, standing, known.flows)
    new = Residual(turn.now, day, today.usd + part, today.beyond, standing)
    turn.state = replace(state, residual=new)
    _judge(turn)


def _residual_usd(turn: Turn, before: Standing, after: Standing, flows: Flows) -> float:
    """What no cause explains of the change between two marks, USD. Where that cannot be told, such as for a
    fee in a currency without an index, a person is told, and the sum goes on without it."""
    found = attribute(before, after, flows)
    if math.isfinite(found.total.residual):
        return found.total.residual
    why = "; ".join(found.unknown) or "a worth is not known"
    text = f"the P&L since {iso(found.from_ns)} could not be taken apart, and is not watched: {why}"
    turn.alert(Severity.WARNING, "PNL_NOT_TAKEN_APART", text)
    return 0.0


def _judge(turn: Turn) -> None:
    """Whether the day's sum is borne, and what follows."""
    state, config = turn.state, turn.settings.desk.execution.watch
    known = state.residual
    turnover = state.counters.turnover_usd
    share = config.residual_turnover_share_max * turnover if math.isfinite(turnover) else 0.0
    allowed = config.residual_usd_max + share
    if abs(known.usd) <= allowed:
        if known.beyond:
            turn.alert(Severity.NOTE, "PNL_EXPLAINED", "the P&L that nothing explains is back within bounds")
        turn.state = replace(state, residual=replace(known, beyond=0))
        return
    beyond = known.beyond + 1
    turn.state = replace(state, residual=replace(known, beyond=beyond))
    text = f"{known.usd:+z,.0f} USD of the day's P&L are explained by nothing, allowed {allowed:z,.0f}"
    halts = beyond >= RESIDUAL_HALTS
    if beyond <= RESIDUAL_HALTS:
        turn.alert(Severity.CRITICAL if halts else Severity.WARNING, "PNL_UNEXPLAINED", text)
    if halts and state.mode.sends:
        turn.turn_to(Mode.HALTED, f"twice in a row {text}")


def accept_residual(turn: Turn) -> None:
    """A person has seen what is not explained, and goes on: the sum begins anew with the next mark."""
    turn.state = replace(turn.state, residual=Residual())


def _gather(turn: Turn) -> None:
    """What this turn booked, for the next look; before there was a first one it is in that one's book."""
    known = turn.state.residual
    if known.standing is None or not (turn.booked or turn.adjustments):
        return
    flows, market = known.flows, turn.state.market
    # Coins without an index are in no standing, nor is what they paid.
    aside = unindexed(turn.state.book, market.universe)
    booked = [replace(x, fee=Decimal(0)) if x.fee_currency in aside else x for x in turn.booked]
    trades = (*flows.trades, *(Trade(fill, _mid(market, fill)) for fill in booked))
    adjusted = (a for a in turn.adjustments if a.currency not in aside)
    payments = (*flows.payments, *(x for a in adjusted for x in _payments(a)))
    settled = dict(flows.settled)
    for a in turn.adjustments:
        if a.kind is AdjustmentKind.SETTLEMENT:
            settled[a.venue, a.symbol] = float(a.price)
    new = replace(known, flows=Flows(trades, payments, settled))
    turn.state = replace(turn.state, residual=new)


def _payments(adjustment: Adjustment) -> tuple[Payment, ...]:
    """Cash that moved without a trade; what an expiry pays is told by its price."""
    cause = _CAUSE.get(adjustment.kind)
    if cause is None:
        return ()
    currency = adjustment.currency
    owner = "" if currency in STABLE_CURRENCIES or cause is Cause.TRANSFER else currency
    return (Payment(cause, currency, float(adjustment.amount), owner),)


def _mid(market: Market, fill: Fill) -> float:
    """The middle of a listing's book; NaN where it has none."""
    row = market.universe.positions.get(fill.listing.key)
    return math.nan if row is None else float(0.5 * (market.bid[row] + market.ask[row]))
