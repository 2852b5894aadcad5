"""C8: a hedge does what it is for, reckoned a second time by a path that shares no code with the plan's.

A sign turned anywhere between the exposures and the order makes every hedge its opposite, and such a program
loses money as fast as it may send orders. So each order's effect on the Greeks is reckoned again from prices
alone, and what is left of its ticket must lower the risk that it was made for:

- rows outside the interval in which the ticket must leave them: how far out they are in all, in widths of
  their bands, must fall, and by a share: of all of it, or of one of the rows (what no listing could bring in
  of gamma must not keep the last lots of a delta hedge from going out);
- where no row is outside (a hedge that weighs risk against its cost), the objective's risk, a sum of squares,
  must fall, with every leg's Greeks as the second path has them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from pricing.contracts import Kind
from pricing.valuation import Numeraire
from risk.corners import order_effect
from risk.limit_codes import Code, Finding
from risk.limit_findings import ROUNDING, missing
from risk.limit_request import Purpose, Request, Surroundings, Target, TicketLeg
from risk.limit_terms import HedgeLimits, Limits
from risk.second_opinion import independent_effect


def c8_purpose(request: Request, around: Surroundings, limits: Limits) -> Iterator[Finding]:
    """C8: the effect as planned is the effect as reckoned again, and the ticket lowers what it is for."""
    gamma_days_min = 2.0 if request.purpose is None else request.purpose.gamma_days_min
    again = independent_effect(
        request.listing, float(request.signed), request.facts, around.numeraire, gamma_days_min
    )
    planned = {row: order_effect(row, request) for row in again}
    coins = abs(float(request.quantity)) * request.coins_per_unit
    yield from _agree(planned, again, coins, limits.hedge)
    if request.purpose is not None:  # without one it is no hedge by bands: C17 sees that it only closes
        yield from _progress(request, request.purpose, limits.hedge, around.numeraire)


def _agree(
    planned: Mapping[str, float], again: Mapping[str, float], coins: float, most: HedgeLimits
) -> Iterator[Finding]:
    """Both paths tell the same effect on every Greek. coins: of underlying traded, unsigned."""
    for row, told in again.items():
        if row.count(":") > 1:
            continue  # a bucket: in the total already
        x = planned.get(row, math.nan)
        if math.isnan(told) or math.isnan(x):
            yield missing(f"effect on {row}")
            continue
        # A delta may differ by the delta rule in use, hence of a coin, not of a wing's own small delta.
        whole = max(abs(told), coins)
        scale = whole if row.startswith("delta") else abs(told) + 1e-6 * whole
        if not abs(x - told) <= most.disagreement_share_max * scale:
            yield Finding(Code.EFFECT_DISAGREES, f"{row} {x:.6g} as planned", f"about {told:.6g}")


def _progress(
    request: Request, purpose: Purpose, most: HedgeLimits, numeraire: Numeraire
) -> Iterator[Finding]:
    """Whether what is left of the ticket lowers what it is for."""
    if not any(
        leg.listing.key == request.listing.key and (leg.quantity > 0) == (request.signed > 0)
        for leg in purpose.legs
    ):
        yield Finding(Code.HEDGE_NO_PROGRESS, request.listing.symbol, "a leg of its ticket, on its side")
        return
    moves = {target.row: 0.0 for target in purpose.targets}
    for leg in purpose.legs:
        told = independent_effect(
            leg.listing, float(leg.quantity), leg.facts, numeraire, purpose.gamma_days_min
        )
        for row in moves:
            moves[row] += _move(row, leg, told)
    before, after, best = 0.0, 0.0, 0.0
    for target in purpose.targets:
        out = _outside(target, 0.0)
        if not out <= 0:
            left = _outside(target, moves[target.row])
            before, after, best = before + out, after + left, max(best, (out - left) / out)
    if math.isnan(before) or math.isnan(after):
        yield missing(f"effect on {', '.join(moves)}")
    elif before > 0:
        share = (before - after) / before
        if not (share > 0 and max(share, best) >= most.progress_share_min):
            yield Finding(
                Code.HEDGE_NO_PROGRESS,
                f"{share:.4g} of what {', '.join(moves)} is outside",
                f"at least {most.progress_share_min:.4g}, or of one of them",
            )
    elif purpose.risk is None:
        yield Finding(Code.HEDGE_NO_PROGRESS, "no row is outside", "a row that it brings back")
    else:
        yield from _lowers_risk(purpose, purpose.risk, most, numeraire)


def _move(row: str, leg: TicketLeg, told: Mapping[str, float]) -> float:
    """What a leg adds to a row by the second path, or by the plan where there is none."""
    coin = leg.listing.contract.underlying
    if row.split(":")[1] != coin:
        return 0.0
    if row in told:
        return told[row]
    if row.startswith(f"vega:{coin}:") and f"vega:{coin}" in told:
        return 0.0 * told[f"vega:{coin}"]  # another bucket; an unknown vega is unknown in every bucket
    return leg.planned.get(row, math.nan)


def _outside(target: Target, move: float) -> float:
    """How far a row lies outside its interval after a move, in widths; NaN stays."""
    value = target.value + move
    if math.isnan(value) or math.isnan(target.lower) or math.isnan(target.upper) or not target.width > 0:
        return math.nan
    return max(target.lower - value, value - target.upper, 0.0) / target.width


def _lowers_risk(
    purpose: Purpose, risk: tuple[float, ...], most: HedgeLimits, numeraire: Numeraire
) -> Iterator[Finding]:
    """The objective's risk falls, and each leg's Greeks are what the second path has."""
    after = list(risk)
    for leg in purpose.legs:
        told = independent_effect(
            leg.listing, float(leg.quantity), leg.facts, numeraire, purpose.gamma_days_min
        )
        yield from _agree(leg.planned, told, _coins(leg), most)
        if len(leg.risk) != len(risk):
            yield missing(f"risk of {leg.listing.symbol}")
            return
        after = [x + y for x, y in zip(after, leg.risk, strict=True)]
    before_usd, after_usd = (0.5 * math.fsum(x * x for x in rows) for rows in (risk, after))
    if math.isnan(before_usd) or math.isnan(after_usd):
        yield missing("the objective's risk")
    elif not after_usd < before_usd * (1.0 - ROUNDING):
        yield Finding(
            Code.HEDGE_NO_PROGRESS,
            f"risk of {after_usd:.6g} USD after it, {before_usd:.6g} USD before",
            "less than before",
        )


def _coins(leg: TicketLeg) -> float:
    """Coins of underlying in a leg, unsigned; NaN where the forward is not known."""
    natural, contract = abs(float(leg.quantity) * float(leg.listing.size)), leg.listing.contract
    if not (contract.inverse and contract.kind in (Kind.PERPETUAL, Kind.FUTURE)):
        return natural
    return natural / leg.facts.forward if leg.facts.forward > 0 else math.nan  # a number of dollars
