"""One order in the words of the limits: what it does, what it costs, and the ticket that it works for.

What the situation does not hold is told as unknown, NaN, and refuses; nothing here raises.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from hedger.core.execution import Execution
from hedger.core.gate import Situation
from hedger.core.legs import widths
from hedger.core.slicing import WorkLeg
from hedger.problem.snapshot import Snapshot
from pricing.contracts import Kind, Listing
from pricing.universe import FloatArray
from risk.costs import Terms, coins_per_unit, fee_usd, price_difference_usd
from risk.limit_request import Facts, Purpose, Request, Style, Target, TicketLeg
from risk.missing import MissingSettings
from venues.orders import Order, TimeInForce


@dataclass(frozen=True, slots=True, eq=False)
class Units:
    """What an order unit of every listing comes to: coins, and USD of notional; (n,)."""

    coins: FloatArray
    usd: FloatArray
    positions: Mapping[tuple[str, str], int]

    @classmethod
    def of(cls, snapshot: Snapshot, assumed: MissingSettings) -> Units:
        """At its forwards and indexes; of an inverse contract without a forward at the lowest one
        assumed, at which its dollars are the most coins."""
        valuation = snapshot.valuation
        universe, spot = valuation.universe, valuation.spot_of_listing()
        coins = coins_per_unit(valuation)
        with np.errstate(divide="ignore", invalid="ignore"):
            most = universe.size / (assumed.forward_ratio[0] * spot)
        coins = np.where(np.isnan(coins), most, coins)
        return cls(coins, coins * spot, universe.positions)

    def usd_of(self, key: tuple[str, str]) -> float:
        """USD of notional of one order unit; NaN where the listing is not on the market."""
        at = self.positions.get(key)
        return math.nan if at is None else float(self.usd[at])


def leg_of(order: Order, execution: Execution) -> WorkLeg | None:
    """The leg that an order is part of; None where its ticket has none of that number and instrument."""
    return next(
        (leg for leg in execution.legs if leg.number == order.leg and leg.listing.key == order.listing.key),
        None,
    )


def request_of(order: Order, leg: WorkLeg, situation: Situation, units: Units) -> Request:
    """The order as the limits judge it."""
    snapshot, row = situation.snapshot, situation.row
    valuation, universe = snapshot.valuation, snapshot.market.universe
    one = np.array([row], dtype=np.int64)
    terms, spot = Terms.of(universe, one), valuation.spot_of_listing()[one]
    price, quantity = np.array([float(order.price)]), float(order.quantity)
    fee = quantity * float(fee_usd(terms, spot, price, maker=order.post_only)[0])
    worse = float(price_difference_usd(terms, spot, price, np.array([leg.reference]))[0])
    done = sum(
        (
            r.booked + r.reserved
            for r in situation.state.orders.values()
            if r.execution == situation.execution.id and r.order.leg == order.leg
        ),
        Decimal(0),
    )
    return Request(
        intent=order.client_id,
        listing=order.listing,
        account=order.account,
        side=order.side,
        quantity=order.quantity,
        price=order.price,
        style=Style.MAKE if order.time_in_force is TimeInForce.GTC else Style.TAKE,
        immediate=order.time_in_force is TimeInForce.IOC,
        post_only=order.post_only,
        reduce_only=order.reduce_only,
        usd_per_unit=float(units.usd[row]),
        coins_per_unit=float(units.coins[row]),
        effect=effect_of(situation, row, float(order.signed)),
        facts=_facts(situation, row),
        fee_usd=fee,
        slippage_usd=order.side.sign * quantity * worse,
        parent=f"{situation.execution.id}-{leg.number}",
        parent_quantity=leg.side.sign * leg.quantity,
        parent_done=leg.side.sign * done,
        purpose=_purpose(situation),
    )


def effect_of(situation: Situation, row: int, quantity: float) -> dict[str, float]:
    """What trading so much adds to the Greek rows of the listing's coin."""
    exposure, universe = situation.snapshot.exposure, situation.snapshot.market.universe
    coin = universe.listings[row].contract.underlying
    column = exposure.traded[:, row]
    return {
        name: float(column[i]) * quantity
        for i, name in enumerate(exposure.rows)
        if name.split(":")[1] == coin and name.count(":") == 1
    }


def _facts(situation: Situation, row: int) -> Facts:
    valuation = situation.snapshot.valuation
    index = float(valuation.spot_of_listing()[row])
    kind = valuation.universe.kind[row]
    forward = index if kind == Kind.SPOT else float(valuation.forward[row])
    if kind != Kind.OPTION:
        return Facts(index, forward)
    return Facts(index, forward, float(valuation.years[row]), float(valuation.vol[row]))


def _purpose(situation: Situation) -> Purpose:
    """Every banded row with the interval it must end in, every leg that is still to be traded, and what a
    hedge that weighed risk has still to lower.

    Rows that were called must come inside their landing; under utility, which may leave them anywhere inside
    their trigger, of all others, and of a ticket that is taken back, the trigger counts.
    """
    snapshot, execution = situation.snapshot, situation.execution
    bands, rows, width = snapshot.bands, snapshot.exposure.rows, widths(snapshot.bands)
    weighed = execution.weighed
    asked = () if execution.unwinding or weighed is not None else execution.rows
    targets = []
    for i in np.flatnonzero(bands.banded).tolist():
        landing = rows[i] in asked
        low = bands.landing_lower[i] if landing else bands.trigger_lower[i]
        high = bands.landing_upper[i] if landing else bands.trigger_upper[i]
        value = float(situation.value[i])
        targets.append(Target(rows[i], value, float(low), float(high), float(width[i])))
    legs = [_ticket_leg(situation, leg) for leg in execution.legs if leg.quantity > leg.filled]
    risk = None if weighed is None or execution.unwinding else _risk_now(execution)
    return Purpose(targets, legs, snapshot.meaning.gamma_days_min, risk)


def _risk_of(execution: Execution, listing: Listing, units: float) -> tuple[float, ...]:
    """What buying so many order units adds to the rows of the objective's risk; nothing where not told."""
    weighed = execution.weighed
    per_unit = () if weighed is None else weighed.risk_per_unit.get(listing.key, ())
    return tuple(x * units for x in per_unit)


def _risk_now(execution: Execution) -> tuple[float, ...]:
    """The rows of the objective's risk with what has been filled since the plan."""
    assert execution.weighed is not None
    rows = np.array(execution.weighed.risk)
    for leg in execution.legs:
        if leg.filled:
            moved = _risk_of(execution, leg.listing, leg.side.sign * float(leg.filled))
            rows = rows + (np.array(moved) if moved else math.nan)
    return tuple(rows.tolist())


def _ticket_leg(situation: Situation, leg: WorkLeg) -> TicketLeg:
    """What is left of a leg; of one that is not listed any more nothing is known."""
    exposure = situation.snapshot.exposure
    row = situation.snapshot.market.universe.positions.get(leg.listing.key)
    left = leg.side.sign * (leg.quantity - leg.filled)
    if row is None:
        return TicketLeg(leg.listing, left, Facts(math.nan, math.nan))
    column = exposure.traded[:, row]
    planned = {name: float(column[i]) * float(left) for i, name in enumerate(exposure.rows)}
    risk = _risk_of(situation.execution, leg.listing, float(left))
    return TicketLeg(leg.listing, left, _facts(situation, row), planned, risk)
