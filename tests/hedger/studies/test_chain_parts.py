"""The parts of the chain study: views between snapshots, customers, covariances, policies, the mix."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedger.solver.hedge_problem import HedgeProblem, RiskTerm
from hedger.studies.chain_history import Moves, vol_moves
from hedger.studies.chain_inputs import Series
from hedger.studies.chain_market import ChainReader, Contracts, View, contracts_of
from hedger.studies.chain_mix import MixSettings, columns_of, factors_of, mix_trades, problem_of, scale_of
from hedger.studies.chain_policies import (
    CENTRING,
    Moment,
    aversion,
    leland_deltas,
    perp_lanes,
    wanted,
)
from hedger.studies.flow import Customers, customer_deals
from pricing.market import Market
from pricing.universe import FloatArray
from pricing.valuation import value
from tests.builders import plain_black
from tests.hedger.command_line import make_tape
from venues.tape import Tape

LANES = perp_lanes()


@pytest.fixture(scope="module")
def market_views(tmp_path_factory: pytest.TempPathFactory) -> tuple[Contracts, ChainReader, list[View]]:
    tape = Tape.open(make_tape(tmp_path_factory.mktemp("parts") / "tape", batches=6, seconds=6 * 3600.0))
    contracts = contracts_of([tape.universe], "BTC")
    reader, views = ChainReader(contracts), []
    market = Market.empty(tape.universe)
    for marks in tape.marks():
        market = market.apply(marks)
        view = reader.snapshot(market, value(market, 600.0), 600.0, 50.0)
        assert view is not None
        views.append(view)
    return contracts, reader, views


def test_between_snapshots_the_smile_goes_with_moneyness_and_dvol(
    market_views: tuple[Contracts, ChainReader, list[View]],
) -> None:
    contracts, reader, views = market_views
    last = views[-1]
    now_ns = last.now_ns + 3_600 * 10**9
    still = reader.between(now_ns, last.spot, 50.0)
    higher = reader.between(now_ns, last.spot * 1.03, 52.5)
    assert still is not None and higher is not None
    place = {int(n): i for i, n in enumerate(last.at)}
    kept = [place[int(n)] for n in still.at]
    assert len(kept) > 100 and not still.quoted and not still.tradable.any()
    expiry = contracts.expiry_ns[still.at]
    for e in np.unique(expiry):
        mine = expiry == e
        first = last.forward[kept][mine][0]
        assert still.forward[mine] == pytest.approx(np.full(mine.sum(), first), rel=1e-12)
        assert higher.forward[mine] == pytest.approx(np.full(mine.sum(), 1.03 * first), rel=1e-12)
        # out of the money at both prices: its smile is the options' own, read at the new moneyness
        out = last.sign[kept][mine] * (contracts.strike[still.at][mine] - first) >= 0
        strikes, vols = contracts.strike[still.at][mine][out], last.vol[kept][mine][out]
        order = np.argsort(strikes)
        x = np.log(strikes[order] / first)
        read = np.interp(np.log(contracts.strike[still.at][mine] / (1.03 * first)), x, vols[order])
        assert higher.vol[mine] == pytest.approx(read + 0.025, abs=1e-12)
    i = int(np.argmin(np.abs(higher.delta - 0.4)))
    model = plain_black(
        higher.forward[i], higher.strike[i], higher.years[i], higher.vol[i], int(higher.sign[i])
    )
    assert higher.price[i] * higher.forward[i] == pytest.approx(model, rel=1e-9)
    assert reader.between(now_ns, math.nan, 50.0) is None


def test_an_option_that_is_not_shown_keeps_its_smile(
    market_views: tuple[Contracts, ChainReader, list[View]], tmp_path: Path
) -> None:
    tape = Tape.open(make_tape(tmp_path / "tape", batches=2, seconds=6 * 3600.0))
    contracts = contracts_of([tape.universe], "BTC")
    reader = ChainReader(contracts)
    first, second = tape.marks()
    market = Market.empty(tape.universe).apply(first)
    seen = reader.snapshot(market, value(market, 600.0), 600.0, math.nan)
    assert seen is not None
    near = int(np.argmin(np.abs(seen.delta - 0.45) + (seen.days < 20)))
    gone = tape.universe.positions["simulated", contracts.symbols[seen.at[near]]]
    keep = second.rows != gone
    columns = {
        name: getattr(second, name)[keep]
        for name in ("rows", "venue_ns", "bid", "bid_size", "ask", "ask_size", "mark", "mark_iv", "forward",
                     "index", "funding_rate", "forward_kind")
    }  # fmt: skip
    market = market.apply(replace(second, depth={}, **columns))
    view = reader.snapshot(market, value(market, 600.0), 600.0, math.nan)
    assert view is not None
    at = int(np.flatnonzero(view.at == seen.at[near])[0])
    whole = Market.empty(tape.universe).apply(first).apply(second)
    truth = value(whole, 600.0)
    assert not view.tradable[at] and np.isnan(view.bid[at])
    assert view.vol[at] == pytest.approx(truth.vol[gone], abs=0.01)
    assert view.price[at] == pytest.approx(truth.price[gone], rel=0.05)


def test_customers_pay_half_a_spread_and_keep_to_their_kind(
    market_views: tuple[Contracts, ChainReader, list[View]],
) -> None:
    contracts, _, views = market_views
    drawn = {
        kind: [
            (view, customer_deals(view, contracts, kind, seed, 6.0, 1.0))
            for view in views
            for seed in range(25)
        ]
        for kind in Customers
    }
    for kind, all_deals in drawn.items():
        coins = np.concatenate([deal.quantity for _, deal in all_deals])
        assert np.abs(coins).sum() / len(all_deals) * 4 == pytest.approx(75.0, rel=0.12)
        bought = (coins < 0).mean()
        assert bought == pytest.approx(
            {"balanced": 0.5, "vol_sellers": 0.2, "wing_buyers": 0.8}[kind], abs=0.05
        )
        for view, deal in all_deals:
            place = {int(n): i for i, n in enumerate(view.at)}
            for number, quantity, price in zip(deal.at, deal.quantity, deal.price, strict=True):
                i = place[int(number)]
                over = 0.5 * (view.ask[i] - view.bid[i]) * (1 if quantity < 0 else -1)
                assert price == pytest.approx(max(view.price[i] + over, 0.0), abs=1e-15)
    again = customer_deals(views[2], contracts, Customers.balanced, 4, 6.0, 1.0)
    same = customer_deals(views[2], contracts, Customers.balanced, 4, 6.0, 1.0)
    other = customer_deals(views[2], contracts, Customers.balanced, 5, 6.0, 1.0)
    assert np.array_equal(again.quantity, same.quantity) and np.array_equal(again.at, same.at)
    assert again.quantity.tolist() != other.quantity.tolist()


def test_vol_moves_are_read_at_fixed_strikes(market_views: tuple[Contracts, ChainReader, list[View]]) -> None:
    before = market_views[2][0]
    days = before.days
    w, s = np.sqrt(30 / np.maximum(days, 1)), np.log(np.clip(days, 1, 365) / 30) / math.log(120 / 14)
    after = replace(before, now_ns=before.now_ns + 6 * 3_600 * 10**9, spot=before.spot * 0.95)
    assert vol_moves(before, replace(after, vol=before.vol + 0.03 * w - 0.01 * s)) == pytest.approx(
        (0.03, -0.01), abs=1e-12
    )
    moves = Moves.of("BTC").after(before)
    for k, r in enumerate([-0.04, 0.03, -0.05, 0.02, -0.03], 1):
        last = moves.last
        assert last is not None
        view = replace(
            last,
            now_ns=before.now_ns + k * 6 * 3_600 * 10**9,
            spot=last.spot * math.exp(r),
            vol=last.vol - 0.8 * r * w,
        )
        moves = moves.after(view)
    fade = 0.5 ** (0.25 / 2.0)
    squares = sum(x * x * fade ** (4 - i) for i, x in enumerate([-0.04, 0.03, -0.05, 0.02, -0.03]))
    assert moves.beta == pytest.approx(-0.8 * squares / (squares + 0.03**2), rel=1e-9)
    matrix = moves.covariance(before.now_ns + 30 * 3_600 * 10**9).matrix
    assert matrix[0, 2] / matrix[0, 0] == pytest.approx(moves.beta, rel=1e-9)
    assert np.linalg.eigvalsh(matrix).min() >= -1e-12 * np.abs(matrix).max()


def moment(view: View, delta: float, gamma: float = -0.02, gamma_abs: float = 0.05) -> Moment:
    one, lanes = np.ones(1), len(LANES)
    return Moment(
        view=view, lot=10.0, delta=np.full((1, lanes), delta), gamma=gamma * one, gamma_abs=gamma_abs * one,
        leland=0.5 * one, gamma_vol=0.5 * one, gamma_years=30 / 365 * one, vanna=0.0 * one, lean=3.0 * one,
        last_ns=np.full((1, lanes), view.now_ns - 13 * 3_600 * 10**9), spent=np.full((1, lanes), 50.0),
        c0=100.0 * one, days=1.0,
    )  # fmt: skip


@given(delta=st.floats(-200.0, 200.0).filter(lambda x: abs(x) > 1e-6))
def test_where_each_policy_takes_delta(
    delta: float, market_views: tuple[Contracts, ChainReader, list[View]]
) -> None:
    view = market_views[2][0]
    answer = wanted(moment(view, delta), LANES)[0]
    λ, S = view.perp_rate, view.spot
    for lane, move in zip(LANES, answer, strict=True):
        number = next(iter(lane.parameters.values()), None)
        after = delta + move
        match lane.policy:
            case "none":
                assert move == 0
            case "calendar":
                assert after == (0 if number in (None, 12.0) else delta)
            case "leland":
                assert after == pytest.approx(-0.5, abs=1e-9)
            case "zakamouline":
                assert math.isnan(move)
            case "fixed_edge" | "fixed_centre" | "whalley_wilmott" | "whalley_wilmott_centre":
                assert number is not None
                fixed = lane.policy.startswith("fixed")
                width = number / S if fixed else (1.5 * λ * S * 0.02**2 / number) ** (1 / 3)
                edge = 0.0 if lane.policy.endswith("centre") else math.copysign(width, delta)
                assert after == pytest.approx(delta if abs(delta) <= width else edge, rel=1e-9, abs=1e-9)
            case _:
                assert lane.policy == "ours_perp"
                assert abs(after - 3.0) <= abs(delta - 3.0) + 1e-12
                assert (after - 3.0) * (delta - 3.0) >= -1e-12
    assert LANES[CENTRING].policy == "calendar"


def test_zakamouline_answers_a_book_of_one_sign(
    market_views: tuple[Contracts, ChainReader, list[View]],
) -> None:
    view = market_views[2][0]
    asked = replace(moment(view, 40.0, -0.02, 0.02))
    moves = [
        m for lane, m in zip(LANES, wanted(asked, LANES)[0], strict=True) if lane.policy == "zakamouline"
    ]
    assert np.isfinite(moves).all() and moves[0] < 0


def test_the_controller_spends_what_it_saved() -> None:
    one = np.ones(1)
    base = aversion(100.0 * one, 100.0 * one, 10.0 * one, 4.0)[0]
    assert base == pytest.approx(0.4)
    assert aversion(70.0 * one, 100.0 * one, 10.0 * one, 4.0)[0] == pytest.approx(base * math.e)
    assert aversion(130.0 * one, 100.0 * one, 10.0 * one, 4.0)[0] == pytest.approx(base / math.e)


def test_leland_hedges_a_short_book_at_a_higher_vol(
    market_views: tuple[Contracts, ChainReader, list[View]],
) -> None:
    view = market_views[2][0]
    at = int(np.argmin(np.abs(view.delta - 0.25) + (view.days < 14)))
    quantity = np.zeros((1, len(view.at)))
    quantity[0, at] = -10.0
    k = 2 * view.perp_rate
    higher = view.vol[at] * math.sqrt(1 + math.sqrt(2 / math.pi) * k / (view.vol[at] * math.sqrt(0.25 / 365)))

    def delta(vol: float) -> float:
        prices = [
            plain_black(f, view.strike[at], view.years[at], vol, int(view.sign[at]))
            for f in (view.forward[at] * 1.00001, view.forward[at] * 0.99999)
        ]
        return float((prices[0] - prices[1]) / (0.00002 * view.forward[at]))

    expected = -10.0 * (delta(higher) - delta(view.vol[at]))
    assert leland_deltas(view, quantity @ view.gamma, quantity)[0] == pytest.approx(expected, rel=1e-4)


def test_the_mix_buys_where_it_pays_and_ends_inside_the_perpetuals_edge(
    market_views: tuple[Contracts, ChainReader, list[View]],
) -> None:
    from hedger.studies.chain_tapes import in_fractions

    contracts, _, views = market_views
    view, settings = views[0], MixSettings()
    factors = factors_of(view, settings)
    columns = columns_of(view, contracts, factors, settings)
    scale = scale_of(Moves.of("BTC").after(view).covariance(view.now_ns), settings)
    at = int(np.argmin(np.abs(view.delta - 0.5) + (view.days < 20)))
    gains = -200.0 * factors.option[:, at]

    def objective(options: FloatArray, perp: float, averse: float) -> float:
        left = scale @ (gains + columns.gain @ np.append(options, perp))
        cost = sum(
            abs(q) * (ladder.buy_cost if q > 0 else ladder.sell_cost)[0]
            for q, ladder in zip([*options, perp], columns.ladders, strict=True)
        )
        return float(cost + 0.5 * averse * left @ left)

    for averse in (1e-9, 1e-6):
        options, perp = mix_trades(problem_of(columns), columns, scale, gains, averse, in_fractions)
        assert (np.abs(options) <= columns.cap_buy[:-1] + 1e-9).all()
        lots = options / columns.lot[:-1]
        assert np.abs(lots - np.rint(lots)).max() < 1e-9
        best = objective(options, perp, averse)
        none = np.zeros_like(options)
        alone = min(objective(none, x, averse) for x in np.linspace(0.0, 200.0, 2001))
        assert best <= alone + 1e-9
        assert all(best <= objective(options, perp + x, averse) + 1e-9 for x in (-1.0, -0.01, 0.01, 1.0))
        if averse == 1e-6:
            assert options.sum() > 20 and best < 0.85 * alone
    # a book long of nothing is left alone
    nothing = mix_trades(problem_of(columns), columns, scale, np.zeros(6), 1e-6, in_fractions)
    assert not nothing[0].any() and nothing[1] == 0.0


def test_expiring_options_are_no_hedge_and_no_gamma(
    market_views: tuple[Contracts, ChainReader, list[View]],
) -> None:
    contracts, _, views = market_views
    view, settings = views[0], MixSettings(days_min=8.0)
    factors = factors_of(view, settings)
    soon = view.days < 8.0
    assert soon.any() and not soon.all()
    assert (factors.option[1, soon] == 0).all() and (factors.option[1, ~soon & (view.gamma > 0)] > 0).all()
    assert factors.option[4, soon] == pytest.approx(0.08 * factors.option[0, soon], rel=1e-12)
    assert (view.days[columns_of(view, contracts, factors, settings).rows] >= 8.0).all()


def test_a_solver_of_ones_own_is_asked(market_views: tuple[Contracts, ChainReader, list[View]]) -> None:
    contracts, _, views = market_views
    settings = MixSettings()
    factors = factors_of(views[0], settings)
    columns = columns_of(views[0], contracts, factors, settings)
    asked: list[tuple[HedgeProblem, RiskTerm]] = []

    def solver(problem: HedgeProblem, risk: RiskTerm) -> FloatArray:
        asked.append((problem, risk))
        return np.zeros(len(problem.columns))

    options, _ = mix_trades(problem_of(columns), columns, np.eye(6), np.ones(6), 4.0, solver)
    ((problem, risk),) = asked
    assert not options.any() and len(problem.rows) == 0
    assert risk.value == pytest.approx(np.full(6, 2.0))


def test_a_series_never_tells_what_comes() -> None:
    hour = 3_600 * 10**9
    series = Series(np.array([10, 11, 12]) * hour, np.array([1.0, 2.0, 3.0]))
    assert math.isnan(series.until(10 * hour - 1)) and series.until(11 * hour) == 2.0
    assert series.until(12 * hour - 1) == 2.0 and math.isnan(series.until(16 * hour))
    assert series.within(10 * hour, 12 * hour) == [(11 * hour, 2.0)]
