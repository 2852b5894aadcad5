"""What moving delta costs: against the trade itself in the cost model, by hand, and at every size."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from pricing.contracts import Side
from pricing.market import ForwardKind
from pricing.valuation import value
from risk.costs import CostSettings, cost_model, reference_price
from risk.delta_cost import DeltaMarket, delta_market
from risk.exposures import ExposureSettings, expose
from tests.builders import AGE_S_MAX, Quote, future, listing, market_of, option, perpetual, spot

S = 50_000.0
PERP = Quote(
    listing(perpetual(), lot="10", taker="0.0005"),
    49_995.0,
    50_005.0,
    50_000.0,
    index=S,
    bids=[(49_995.0, 100_000.0), (49_990.0, 400_000.0)],
    asks=[(50_005.0, 100_000.0), (50_010.0, 400_000.0)],
)
FUTURE = Quote(
    listing(future(30, inverse=False), lot="0.01", taker="0.0002"), 50_080.0, 50_120.0, 50_100.0, index=S
)
SPOT = Quote(listing(spot(), lot="0.0001", taker="0.0006"), 49_999.0, 50_001.0, 50_000.0, index=S)
CALL = Quote(
    listing(option(52_000.0, "C", 30)),
    0.03,
    0.04,
    0.035,
    0.6,
    S,
    S,
    forward_kind=ForwardKind.SYNTHETIC,
)


def market_for(
    quotes: list[Quote], fixed_usd: float = 0.0, buy: bool = True, sell: bool = True
) -> tuple[DeltaMarket, Any, Any]:
    """The delta market of the quotes, their cost model and the delta of one unit of each."""
    market = market_of([CALL, *quotes])
    valuation = value(market, AGE_S_MAX)
    exposure = expose(
        np.zeros(len(quotes) + 1), {}, valuation, reference_price(market), ["BTC"], ExposureSettings()
    )
    rows = np.arange(1, len(quotes) + 1)
    costs = cost_model(market, valuation, rows, CostSettings(fixed_usd=fixed_usd))
    delta = exposure.traded[0, rows]
    each = np.ones(len(quotes), dtype=np.bool_)
    return delta_market(costs, rows, delta, each & buy, each & sell, S), costs, delta


def test_the_rate_at_the_touch_by_hand() -> None:
    """Half a spread of 10 in 50,000 is 1 bp, the fee 5 bp; the future 4 + 2, the spot 0.2 + 6."""
    for quote, rate, lot in ((PERP, 6e-4, 10 / S), (FUTURE, 6e-4, 0.01), (SPOT, 6.2e-4, 0.0001)):
        found = market_for([quote])[0].cost(0.0)
        assert found is not None
        assert found.rate == pytest.approx(rate, rel=3e-3)
        assert found.lot == pytest.approx(lot, rel=3e-3)


@pytest.mark.parametrize("coins", [0.001, 1.0, 1.99, 2.01, 5.0, 9.0])
def test_the_rate_at_a_size_is_what_the_trade_costs(coins: float) -> None:
    """Mean of buying and selling so many coins through the displayed depth, per USD of notional."""
    found, costs, delta = market_for([PERP])
    units = coins / float(delta[0])
    paid = [costs.execute(1, side, units).cost for side in (Side.BUY, Side.SELL)]
    expected = sum(c.spread + c.depth + c.fee for c in paid) / 2 / (coins * S)
    rate = found.cost(coins)
    assert rate is not None and rate.rate == pytest.approx(expected, rel=1e-9)


def test_what_is_more_than_displayed_costs_what_is_displayed() -> None:
    found = market_for([PERP])[0]
    ten, thousand = found.cost(10.0), found.cost(1000.0)
    assert ten is not None and ten == thousand


def test_the_cheapest_at_the_size_is_chosen() -> None:
    """The spot's touch of 0.1 coin is cheaper; one coin goes to the perpetual."""
    near = replace(SPOT, listing=listing(spot(), lot="0.0001"), asks=[(50_001.0, 0.1), (50_300.0, 9.0)],
                   bids=[(49_999.0, 0.1), (49_700.0, 9.0)])  # fmt: skip
    found = market_for([PERP, near])[0]
    small, large = found.cost(0.05), found.cost(1.0)
    assert small is not None and large is not None
    assert (small.symbol, large.symbol) == (near.listing.symbol, PERP.listing.symbol)
    assert found.finest == pytest.approx(0.0001)


def test_a_rate_does_not_fall_with_size() -> None:
    found = market_for([PERP])[0]
    rates = [cost.rate for size in np.linspace(0, 10, 40) if (cost := found.cost(float(size))) is not None]
    assert len(rates) == 40 and all(b >= a - 1e-15 for a, b in pairwise(rates))


def test_a_fixed_cost_is_carried_and_decides_between_equals() -> None:
    found = market_for([PERP], fixed_usd=3.0)[0].cost(1.0)
    assert found is not None and found.fixed_usd == 3.0
    assert found.rate == pytest.approx(6e-4, rel=3e-3)


def test_one_side_alone_and_no_side() -> None:
    uneven = replace(PERP, asks=[(50_005.0, 1e6)], bids=[(49_980.0, 1e6)])
    both, buying, none = (
        market_for([uneven], buy=b, sell=s)[0].cost(1.0)
        for b, s in ((True, True), (True, False), (False, False))
    )
    assert both is not None and buying is not None and none is None
    assert buying.rate < both.rate
    assert market_for([])[0].cost(1.0) is None
    assert market_for([])[0].finest == float("inf")
