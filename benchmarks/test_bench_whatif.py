"""The what-if ladder of 400 positions, 13 spots x 9 vols x 3 days, beside a plain loop over it.

The peer is what a desk writes first: for every cell and every position one call of vollib's scalar Black-76
price, summed. It has the P&L alone; ours has delta, gamma and vega of every cell as well. Of the peers'
ladder one of nine vols is timed, and times are per cell, or it would take minutes.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from vollib.black import black

from hedger.desk.ladder import PLAIN_AXES, Axes, ladder_document
from hedger.problem.snapshot import Snapshot, take_snapshot
from hedger.sample import SampleSettings, market_maker_book
from hedger.settings import Settings
from pricing.market import Market
from pricing.universe import FloatArray
from pricing.valuation import Numeraire, value
from risk.repricing import Holding, reprice
from risk.scenarios import Shock, shocked_valuation, unit_pnl
from venues.simulated import SimulatedMarket
from venues.simulated_law import SimulationSettings

POSITIONS = 400
CELLS = len(PLAIN_AXES.shocks())
GROUP = f"what-if ladder, {POSITIONS} positions, {CELLS} cells, per cell"


@pytest.fixture(scope="module")
def snapshot() -> Snapshot:
    settings = Settings()
    source = SimulatedMarket(7, settings=SimulationSettings(strikes_per_expiry=50))
    market = Market.empty(source.universe).apply(source.marks())
    sample = SampleSettings(positions=POSITIONS // 2)
    book = market_maker_book(market, value(market, settings.age_s_max), 7, settings.age_s_max, sample)
    found = take_snapshot(book, market, settings)
    assert (found.quantities != 0).sum() >= POSITIONS and len(found.underlyings) == 2
    return found


def in_a_loop(snapshot: Snapshot, shocks: list[Shock]) -> FloatArray:
    """P&L of the options in each cell, USD, one scalar price at a time."""
    universe, valuation = snapshot.valuation.universe, snapshot.valuation
    held = np.flatnonzero((snapshot.quantities != 0) & universe.is_option).tolist()
    found = np.zeros(len(shocks))
    for i, shock in enumerate(shocks):
        for row in held:
            forward = float(valuation.forward[row]) * (1 + shock.spot)
            index = float(valuation.spot_of_listing()[row]) * (1 + shock.spot)
            years = max(float(valuation.years[row]) - shock.hours / 8760.0, 1e-12)
            vol = min(max(float(valuation.vol[row]) + shock.vol, 0.01), 5.0)
            flag = "c" if universe.sign[row] > 0 else "p"
            price = black(flag, forward, float(universe.strike[row]), years, 0.0, vol)
            worth = price / forward * index if universe.inverse[row] else price
            found[i] += snapshot.quantities[row] * (worth * universe.size[row] - valuation.value_usd[row])
    return found


@pytest.mark.benchmark(group=GROUP)
def test_ours_ladder_document(benchmark: BenchmarkFixture, snapshot: Snapshot) -> None:
    """The whole document: every cell of every metric, the sums, the worst cell."""
    benchmark.extra_info["options"] = CELLS
    document = benchmark.pedantic(ladder_document, args=(snapshot, None), rounds=15, warmup_rounds=2)
    assert document["worst"]["unhedged"]["pnl"] < 0


@pytest.mark.benchmark(group=GROUP)
def test_vollib_loop(benchmark: BenchmarkFixture, snapshot: Snapshot) -> None:
    shocks = Axes(vol_points=(5.0,)).shocks()
    benchmark.extra_info["options"] = len(shocks)
    theirs = benchmark.pedantic(in_a_loop, args=(snapshot, shocks), rounds=2)
    options = np.where(snapshot.valuation.universe.is_option, snapshot.quantities, 0.0)
    moves = dict.fromkeys(snapshot.underlyings, shocks)
    (ours,) = reprice(snapshot.market, snapshot.valuation, [Holding(options, {})], moves, snapshot.meaning)
    np.testing.assert_allclose(ours.pnl.sum(axis=0), theirs, rtol=1e-6, atol=1.0)


@pytest.mark.benchmark(group=GROUP)
def test_one_shocked_market_at_a_time(benchmark: BenchmarkFixture, snapshot: Snapshot) -> None:
    """The same cells by `shocked_valuation` of the whole chain: what scenarios cost one by one."""
    shocks = Axes(vol_points=(5.0,)).shocks()
    benchmark.extra_info["options"] = len(shocks)

    def each() -> list[float]:
        found = []
        for shock in shocks:
            after = shocked_valuation(snapshot.market, snapshot.valuation, shock)
            gains = unit_pnl(snapshot.valuation, after, Numeraire.USD)
            found.append(math.fsum((gains * snapshot.quantities)[snapshot.quantities != 0].tolist()))
        return found

    assert len(benchmark.pedantic(each, rounds=2)) == len(shocks)
