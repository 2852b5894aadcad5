"""The book after a plan's trades: a perpetual whose mark lies beside its quotes gains or loses at once."""

from __future__ import annotations

from decimal import Decimal

import pytest

from hedger.desk.ladder import Axes, ladder_document
from hedger.planning import HedgePlan, PlanStatus, make_plan
from hedger.problem.snapshot import Snapshot, take_snapshot
from hedger.settings import Settings
from pricing.valuation import Numeraire
from risk.book import Book, Position
from tests.builders import Quote, listing, market_of, perpetual

INDEX, BID, ASK = 50_000.0, 49_999.5, 50_000.5
#: Of the book, signed: dollars of the inverse perpetual, coins of the linear one.
LONG = {True: Decimal(900_000), False: Decimal(18)}
MOVES = (-20.0, 0.0, 10.0)


@pytest.mark.parametrize("numeraire", list(Numeraire))
@pytest.mark.parametrize("inverse", [True, False], ids=["inverse", "linear"])
@pytest.mark.parametrize("off", [0.003, 0.0, -0.003])
def test_a_perpetual_traded_beside_its_mark(off: float, inverse: bool, numeraire: Numeraire) -> None:
    """By hand: the book from its mark, the trade from the touch nearest to the mark, less its cost."""
    mark = INDEX * (1.0 + off)
    lot = "10" if inverse else "0.001"
    perp = listing(perpetual(inverse=inverse), lot=lot, ticks="0:0.5")
    quote = Quote(perp, BID, ASK, mark, index=INDEX, bid_size=1e6, ask_size=1e6, funding_rate=0.0)
    settings = Settings(numeraire=numeraire)
    book = Book.of([Position(perp, "", LONG[inverse])], {})
    snapshot = take_snapshot(book, market_of([quote]), settings)
    plan = make_plan(snapshot, settings)
    assert plan.status is PlanStatus.HEDGE
    (trade,) = plan.trades
    traded, at = float(trade.quantity) * trade.side.sign, min(max(mark, BID), ASK)
    assert traded < -0.5 * float(LONG[inverse])

    def by_hand(quantity: float, bought_at: float, moved: float) -> float:
        """In the ladder's own unit."""
        index, then = INDEX * (1.0 + moved / 100), mark * (1.0 + moved / 100)
        coins = quantity * (1 / bought_at - 1 / then if inverse else (then - bought_at) / index)
        return coins * (index if numeraire is Numeraire.USD else 1.0)

    asked = {metric: ladder_document(snapshot, plan, metric, AXES) for metric in ("pnl", "delta")}
    (pnl,), (delta,) = (asked[metric]["cells"] for metric in ("pnl", "delta"))
    for moved, unhedged, hedged in zip(MOVES, pnl["unhedged"], pnl["hedged"], strict=True):
        in_usd = numeraire is Numeraire.USD
        cost = plan.cost.total / (1.0 if in_usd else INDEX * (1.0 + moved / 100))
        alone = by_hand(float(LONG[inverse]), mark, moved)
        assert unhedged == pytest.approx(alone, rel=1e-9, abs=1e-9)
        assert hedged == pytest.approx(alone + by_hand(traded, at, moved) - cost, rel=1e-9, abs=1e-9)
    if numeraire is Numeraire.USD:  # the slope of the P&L, per cent of the index
        here = MOVES.index(0.0)
        assert delta["hedged"][here] == pytest.approx(slope(snapshot, plan), rel=1e-6)


AXES = Axes(spot_pct=MOVES, vol_points=(0,), days=(0,))


def slope(snapshot: Snapshot, plan: HedgePlan) -> float:
    """USD of delta, by a small move both ways."""
    (line,) = ladder_document(snapshot, plan, "pnl", Axes((-0.001, 0.001), (0,), (0,)))["cells"]
    down, up = line["hedged"]
    return float(up - down) / 2e-5
