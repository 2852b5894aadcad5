"""Value at risk and expected shortfall of the book, at the past returns of a file that the desk names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hedger.desk.holdings import holdings_of, summed
from hedger.documents import number
from hedger.planning import HedgePlan
from hedger.problem.snapshot import Snapshot
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
NO_FILE = "no returns are named: --returns FILE (a tape, a file of prices or of returns)"


def tail_document(snapshot: Snapshot, plan: HedgePlan | None, returns: Returns | None) -> Json:
    """VaR and expected shortfall, losses positive; where they are not known, why, and no number."""
    document: Json = {
        "source": None if returns is None else returns.source,
        "horizon_h": None if returns is None else returns.horizon_h,
        "outcomes": 0 if returns is None else returns.count,
        "windows_apart": None if returns is None else returns.apart,
        "unit": "USD" if snapshot.numeraire is Numeraire.USD else "coin",
        "assumed": ASSUMED,
    }
    untold = [] if returns is None else [name for name in snapshot.underlyings if name not in returns.moves]
    unknown = ""
    if returns is None:
        unknown = NO_FILE
    elif untold:
        unknown = f"{returns.source} tells no return of {', '.join(untold)}"
    elif snapshot.missing:
        names = ", ".join(f"{m.venue} {m.symbol}" for m in snapshot.missing[:5])
        unknown = f"the book is incomplete: {names}"
    elif snapshot.bad_indexes:
        names = ", ".join(reading.underlying for reading in snapshot.bad_indexes)
        unknown = f"the book is incomplete: the index of {names} is bad"
    elif snapshot.numeraire is Numeraire.COIN and len(snapshot.underlyings) > 1:
        unknown = "several coins, each in its own: no sum"
    elif not snapshot.underlyings:
        unknown = "the book holds nothing that moves"
    pnl = [] if returns is None or unknown else _outcomes(snapshot, plan, returns)
    return document | {
        "levels": [
            {
                "level": level,
                "unhedged": _tail(pnl, 0, level),
                "hedged": _tail(pnl, 1, level) if plan is not None else None,
            }
            for level in LEVELS
        ],
        "unknown": unknown,
    }


def _outcomes(snapshot: Snapshot, plan: HedgePlan | None, returns: Returns) -> list[FloatArray]:
    shocks = {
        name: [Shock(spot=float(x)) for x in returns.moves[name].tolist()] for name in snapshot.underlyings
    }
    holdings = holdings_of(snapshot, plan)
    found = reprice(snapshot.market, snapshot.valuation, holdings, shocks, snapshot.meaning)
    return [summed(one.pnl, one_unit=snapshot.numeraire is Numeraire.USD) for one in found]


def _tail(pnl: list[FloatArray], side: int, level: float) -> Json:
    if side >= len(pnl):
        return {"var": None, "es": None, "unknown": ""}
    found = tail(np.asarray(pnl[side]), level)
    return {"var": number(found.var), "es": number(found.es), "unknown": found.unknown}
