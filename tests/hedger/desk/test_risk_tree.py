"""The tree in the desk's units, against textbook formulas and the differences of what they give."""

from __future__ import annotations

import math

import pytest

from hedger.dashboard.panels.risk import sheet
from hedger.desk.risk_tree import risk_tree, second_order_sums
from hedger.figures import figure
from tests.hedger.own import black
from tests.hedger.rig import CHAIN, Rig, desk, option_symbol
from venues.simulated import SimulatedMarket


def test_positions_are_scaled_and_second_order_is_the_slope_of_the_first() -> None:
    symbol = option_symbol(SimulatedMarket(7, settings=CHAIN), place=2)
    rig = Rig({"BTC-PERPETUAL": "400000", symbol: "-3"}, desk())
    rig.mark()
    snapshot = rig.state.snapshot
    assert snapshot is not None
    tree = risk_tree(snapshot)
    found = next(p for p in tree["positions"] if p["symbol"] == symbol)
    row = snapshot.market.universe.positions["simulated", symbol]
    forward, vol = float(snapshot.valuation.forward[row]), float(snapshot.valuation.vol[row])
    years = (snapshot.market.universe.expiry_ns[row] - snapshot.market.now_ns) / (365 * 86400e9)
    spot, sign = snapshot.spot["BTC"], int(snapshot.market.universe.sign[row])
    own = black(forward, found["strike"], years, vol, sign)
    up, down = (black(forward, found["strike"], years, vol + h, sign) for h in (1e-5, -1e-5))
    assert found["delta"] == pytest.approx(-3 * own.delta, rel=1e-9)
    assert found["delta_usd"] == pytest.approx(-3 * own.delta * spot, rel=1e-9)
    assert found["gamma_1pct"] == pytest.approx(-3 * own.gamma * spot**2 / 100, rel=1e-9)
    assert found["vega_point"] == pytest.approx(-3 * own.vega / 100, rel=1e-9)
    assert found["theta_day"] == pytest.approx(-3 * own.theta / 365, rel=1e-9)
    assert found["vanna"] == pytest.approx(-3 * (up.delta - down.delta) / 2e-5 / 100, rel=1e-5)
    assert found["volga"] == pytest.approx(-3 * (up.vega - down.vega) / 2e-5 / 1e4, rel=1e-5)


def test_an_underlyings_second_order_is_the_slope_of_its_options_together() -> None:
    """Two options and a perpetual: the coin's delta and vega, all vols bumped. Where the second order of one
    option is not known, that of the coin is not either."""
    market = SimulatedMarket(7, settings=CHAIN)
    held = {option_symbol(market, place=2): -3.0, option_symbol(market, place=5): 2.5}
    rig = Rig({"BTC-PERPETUAL": "400000", **{symbol: str(q) for symbol, q in held.items()}}, desk())
    rig.mark()
    snapshot = rig.state.snapshot
    assert snapshot is not None
    universe, valuation = snapshot.market.universe, snapshot.valuation

    def bumped(h: float) -> tuple[float, float]:
        delta = vega = 0.0
        for symbol, quantity in held.items():
            i = universe.positions["simulated", symbol]
            years = (universe.expiry_ns[i] - snapshot.market.now_ns) / (365 * 86400e9)
            forward, strike = float(valuation.forward[i]), float(universe.strike[i])
            one = black(forward, strike, years, float(valuation.vol[i]) + h, int(universe.sign[i]))
            delta, vega = delta + quantity * one.delta, vega + quantity * one.vega
        return delta, vega

    tree = risk_tree(snapshot)
    (found,) = tree["underlyings"]
    up, down = bumped(1e-5), bumped(-1e-5)
    assert found["vanna"] == pytest.approx((up[0] - down[0]) / 2e-5 / 100, rel=1e-5)
    assert found["volga"] == pytest.approx((up[1] - down[1]) / 2e-5 / 1e4, rel=1e-5)
    line = sheet(tree)[0].lines[0]
    assert (line.key, line.cells[9:11]) == ("BTC", (figure(found["vanna"]), figure(found["volga"])))
    option = next(p for p in tree["positions"] if p["strike"] is not None)
    rest = [p for p in tree["positions"] if p is not option]
    assert second_order_sums([*rest, option | {"vanna": None}])["vanna"] is None
    assert second_order_sums([p for p in rest if p["strike"] is None]) == {"vanna": 0.0, "volga": 0.0}


def test_the_use_of_a_band_is_one_on_its_edge() -> None:
    rig = Rig({"BTC-PERPETUAL": "400000"}, desk())
    rig.mark()
    assert rig.state.snapshot is not None
    tree = risk_tree(rig.state.snapshot)
    (row,) = (r for r in tree["rows"] if r["row"] == "delta:BTC")
    low, high = row["trigger"]
    assert row["used"] == pytest.approx(row["value"] / high) and row["breached"]
    assert row["distance"] == pytest.approx(min(row["value"] - low, high - row["value"]))
    theta = next(r for r in tree["rows"] if r["row"] == "theta:BTC")
    assert theta["used"] is None and theta["trigger"] is None
    assert math.isfinite(tree["underlyings"][0]["delta_usd"])
