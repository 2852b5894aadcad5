"""What a ticket takes for granted, in sentences."""

from __future__ import annotations

import numpy as np

from hedger.problem.assembly import Trade, named_but_unlisted
from hedger.problem.limited import limits_said
from hedger.problem.live_bands import band_rules_said
from hedger.problem.snapshot import Snapshot
from hedger.problem.valuing import delta_rule_said
from hedger.settings import Settings
from pricing.contracts import ComboRule, Kind, Side
from pricing.errors import named
from pricing.oracle import Verdict
from pricing.valuation import Numeraire
from risk.costs import CostModel, combo_fee

#: Sides of listings that a ticket names of those which one reason bars.
BARRED_NAMED = 4


def assumptions(
    snapshot: Snapshot, settings: Settings, costs: CostModel, trades: tuple[Trade, ...]
) -> tuple[str, ...]:
    """What the ticket takes for granted."""
    universe, valuation = snapshot.market.universe, snapshot.valuation
    said = [
        "effects include the premium: buying an option for v coin lowers the coin balance, so delta, by v",
        "costs are against the venue's mark clamped into the touch; taker fees; displayed depth as it stands",
        f"carry over {settings.costs.holding_h:g} h counts costs only; income counts 0",
    ]
    for i in np.flatnonzero(costs.funding_unknown).tolist():
        listing = universe.listings[i]
        if listing.contract.underlying in snapshot.underlyings:
            said.append(f"{listing.venue} {listing.symbol}: funding rate unknown, carry counted as 0")
    said += [
        f"{name} index degraded: {', '.join(snapshot.readings[name].reasons)}"
        for name in snapshot.underlyings
        if snapshot.readings[name].verdict is Verdict.DEGRADED
    ]
    held = snapshot.quantities != 0
    said += band_rules_said(snapshot.exposure.rows, snapshot.band_rules)
    said += delta_rule_said(valuation, snapshot.rules, held)
    for i in np.flatnonzero(valuation.in_window & held).tolist():
        key = (universe.underlyings[universe.underlying[i]], int(universe.expiry_ns[i]))
        if key not in snapshot.market.settlement_average:
            said.append(f"{universe.listings[i].symbol}: average so far unknown, the index stands in")
    if settings.numeraire is Numeraire.COIN:
        said.append(
            "gamma counts options and inverse futures; the convexity of linear futures and stable balances, "
            "counted in coin, is left out: swapping inverse for linear or spot changes gamma on paper only"
        )
    several = len(snapshot.underlyings) > 1 and not settings.stable_underlying
    if settings.numeraire is Numeraire.COIN and several:
        said.append(
            "stable balances count against each coin, a trade's stable leg against its own coin alone; "
            "set stable_underlying to count them once"
        )
    said += [
        f"the settings name {symbol}: not on this market" for symbol in named_but_unlisted(snapshot, settings)
    ]
    said += limits_said(snapshot, settings, trades)
    said += _barred_said(snapshot)
    saved = _combo_saving(trades)
    if saved > 0:
        said.append(
            f"every leg counts at its full fee; where they go as combos, the cheaper sides' {saved:.2f} USD "
            "fall away"
        )
    return tuple(said)


def _barred_said(snapshot: Snapshot) -> list[str]:
    """What may not be traded now, a sentence for each reason."""
    listings, found = snapshot.market.universe.listings, dict[str, list[str]]()
    for (row, sign), why in sorted(snapshot.barred.items()):
        listing = listings[row]
        if listing.contract.underlying in snapshot.underlyings:
            side = Side.BUY if sign > 0 else Side.SELL
            found.setdefault(why, []).append(f"{side} {listing.symbol} on {listing.venue}")
    return [f"not planned with, {why}: {named(names, BARRED_NAMED)}" for why, names in found.items()]


def _combo_saving(trades: tuple[Trade, ...]) -> float:
    """Fees, USD, that fall away when an underlying's options trade as one combo where the venue has it."""
    sides: dict[tuple[str, str], dict[Side, float]] = {}
    for trade in trades:
        listing = trade.listing
        if listing.contract.kind is Kind.OPTION and listing.fees.combo is ComboRule.CHEAPER_SIDE_FREE:
            fees = sides.setdefault(
                (listing.venue, listing.contract.underlying), {Side.BUY: 0.0, Side.SELL: 0.0}
            )
            fees[trade.side] += trade.cost.fee
    return sum(f[Side.BUY] + f[Side.SELL] - combo_fee(f[Side.BUY], f[Side.SELL]) for f in sides.values())
