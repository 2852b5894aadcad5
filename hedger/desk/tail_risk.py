"""Value at risk and expected shortfall of the book, at the past returns of a file that the desk names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hedger.desk.holdings import holdings_of, summed
from hedger.documents import number
from hedger.planning import HedgePlan
from hedger.problem.snapshot import NOTHING_MOVES, Snapshot
from pricing.universe import FloatArray
from pricing.valuation import Numeraire
from risk.repricing import reprice
from risk.scenarios import Shock
from risk.tails import tail

if TYPE_CHECKING:  # reading files takes polars, and whoever names none needs none
    from hedger.desk.returns import Returns

Json = dict[str, Any]
LEVELS = (0.95, 0.99)
ASSUMED = (
    "every past return is as likely as any other; it happens at once, vols stay with their strikes, "
    "forwards move with the index, nothing is traded meanwhile"
)
NO_SUM = "several coins, each in its own: no sum"
NO_FILE = "no returns are named: --returns FILE (a tape, a file of prices or of returns)"


def tail_document(snapshot: Snapshot, plan: HedgePlan | None, returns: Returns | None) -> Json:
    """VaR and expected shortfall of the book and of each coin by itself, losses positive; where they are not
    known, why, and no number. Those of coins do not add up to the book's."""
    names = snapshot.underlyings
    in_usd = snapshot.numeraire is Numeraire.USD
    lacks = {name: _lacks(snapshot, returns, name) for name in names}
    pnl = _outcomes(snapshot, plan, returns, [name for name in names if not lacks[name]])
    whole = _lacks(snapshot, returns, None)
    if not whole and not in_usd and len(names) > 1:
        whole = NO_SUM
    sums = (
        None
        if whole
        else [summed(np.array(side), one_unit=in_usd) for side in zip(*pnl.values(), strict=True)]
    )
    return {
        "source": None if returns is None else returns.source,
        "horizon_h": None if returns is None else returns.horizon_h,
        "outcomes": 0 if returns is None else returns.count,
        "windows_apart": None if returns is None else returns.apart,
        "unit": "USD" if in_usd else "coin",
        "assumed": ASSUMED,
        **_levels(sums, plan, whole),
        "underlyings": [{"underlying": name, **_levels(pnl.get(name), plan, lacks[name])} for name in names],
    }


def _lacks(snapshot: Snapshot, returns: Returns | None, coin: str | None) -> str:
    """Why no tail of a coin is known, None: of the whole book; "" where nothing is lacking."""
    if returns is None:
        return NO_FILE
    names = snapshot.underlyings if coin is None else (coin,)
    if untold := [name for name in names if name not in returns.moves]:
        return f"{returns.source} tells no return of {', '.join(untold)}"
    universe, missing = snapshot.market.universe, list(snapshot.missing)
    if coin is not None:
        at = [universe.positions.get((each.venue, each.symbol)) for each in missing]
        # what no listing tells of may be of any coin
        missing = [
            each
            for each, row in zip(missing, at, strict=True)
            if row is None or universe.listings[row].contract.underlying == coin
        ]
    if missing:
        return f"the book is incomplete: {', '.join(f'{each.venue} {each.symbol}' for each in missing[:5])}"
    bad = [reading.underlying for reading in snapshot.bad_indexes]
    if bad := [name for name in bad if coin in (None, name)]:
        return f"the book is incomplete: the index of {', '.join(bad)} is bad"
    return "" if names else NOTHING_MOVES


def _outcomes(
    snapshot: Snapshot, plan: HedgePlan | None, returns: Returns | None, names: Sequence[str]
) -> dict[str, list[FloatArray]]:
    """By coin: the P&L of the book at each past return, and beside it that of the hedged book."""
    if returns is None or not names:
        return {}
    shocks = {name: [Shock(spot=float(x)) for x in returns.moves[name].tolist()] for name in names}
    holdings = holdings_of(snapshot, plan)
    found = reprice(snapshot.market, snapshot.valuation, holdings, shocks, snapshot.meaning)
    return {name: [side.pnl[u] for side in found] for u, name in enumerate(names)}


def _levels(sides: Sequence[FloatArray] | None, plan: HedgePlan | None, unknown: str) -> Json:
    """Every level of one book, unhedged and hedged; without its outcomes the reason, at each."""

    def at(side: int, level: float) -> Json:
        if sides is None:
            return {"var": None, "es": None, "unknown": unknown}
        found = tail(sides[side], level)
        return {"var": number(found.var), "es": number(found.es), "unknown": found.unknown}

    levels = [
        {"level": level, "unhedged": at(0, level), "hedged": None if plan is None else at(1, level)}
        for level in LEVELS
    ]
    return {"levels": levels, "unknown": unknown}
