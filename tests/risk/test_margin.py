"""Margin against what the venue published and answered, and against revaluing every cell by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hedger.margin_tables import margin_terms
from pricing.contracts import Option
from pricing.daycount import NS_PER_SECOND
from pricing.market import Market
from pricing.valuation import Valuation, value
from risk.liquidation import liquidation_distance
from risk.margin import margin_view, margins, matrices, premiums
from risk.margin_terms import Margin, MarginModel, MarginTerms, MatrixTerms, unknown_margin
from risk.risk_matrix import risk_matrix
from risk.standard_margin import standard_requirements
from tests.builders import (
    NAN,
    NOW_NS,
    Quote,
    after,
    future,
    listing,
    market_of,
    option,
    perpetual,
    plain_black,
)

STANDARD, PORTFOLIO = MarginModel.STANDARD, MarginModel.PORTFOLIO


def deribit(at_ns: int = NOW_NS) -> MarginTerms:
    terms = margin_terms("deribit", at_ns)
    assert terms is not None
    return terms


def valued(quotes: list[Quote]) -> tuple[Market, Valuation]:
    market = market_of(quotes)
    return market, value(market, 600.0)


def perp(price: float, underlying: str = "BTC", *, inverse: bool = True, index: float | None = None) -> Quote:
    contract = listing(perpetual(underlying, inverse=inverse), lot="1", ticks="0:0.01")
    return Quote(contract, price - 0.5, price + 0.5, mark=price, index=index or price)


def choice(
    strike: float, right: str, days: float, forward: float, vol: float = 0.6, *, inverse: bool = True
) -> Quote:
    contract = listing(option(strike, right, days, inverse=inverse))
    return Quote(contract, 0.01, 0.02, mark_iv=vol, forward=forward, index=forward)


# ---------------------------------------------------------------------------------------- standard margin

#: Deribit's worked examples of linear perpetuals (support article 25944738177565): coin, price, position in
#: coins, initial and maintenance margin in USDC.
LINEAR_EXAMPLES = [
    ("BTC", 100_000.0, 25.0, 53_125.0, 28_125.0),
    ("BTC", 100_000.0, 350.0, 1_312_500.0, 962_500.0),
    ("SOL", 200.0, 25.0, 200.625, 100.625),
    ("SOL", 200.0, 6_000.0, 84_000.0, 60_000.0),
]


@pytest.mark.parametrize(("coin", "price", "position", "initial", "maintenance"), LINEAR_EXAMPLES)
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_venues_worked_examples_of_linear_perpetuals(
    coin: str, price: float, position: float, initial: float, maintenance: float, sign: float
) -> None:
    _, valuation = valued([perp(price, coin, inverse=False)])
    held = np.array([sign * position])
    due = margins(valuation, held, held, "deribit", STANDARD, deribit())["USDC"]
    assert due.initial == pytest.approx(initial, rel=1e-12)
    assert due.maintenance == pytest.approx(maintenance, rel=1e-12)


def test_inverse_perpetuals_and_futures_by_the_published_formula() -> None:
    """2 % + 0.005 % per BTC of coins = USD / mark: 1,000,000 USD at 50,000 are 20 BTC at 2.1 %."""
    quotes = [perp(50_000.0), perp(2_500.0, "ETH")]
    _, valuation = valued(quotes)
    held = np.array([-1_000_000.0, 250_000.0])
    due = margins(valuation, held, held, "deribit", STANDARD, deribit())
    assert due["BTC"].initial == pytest.approx(20 * 0.021, rel=1e-12)
    assert due["BTC"].maintenance == pytest.approx(20 * 0.011, rel=1e-12)
    assert due["ETH"].initial == pytest.approx(100 * (0.02 + 100 * 0.000004), rel=1e-12)
    assert due["BTC"].proven


@pytest.mark.parametrize("inverse", [True, False])
@pytest.mark.parametrize("right", ["C", "P"])
@pytest.mark.parametrize("strike", [20_000.0, 45_000.0, 50_000.0, 54_000.0, 90_000.0, 1_000_000.0])
def test_options_by_the_published_formula(strike: float, right: str, inverse: bool) -> None:
    forward, vol, days = 50_000.0, 0.6, 40.0
    _, valuation = valued([choice(strike, right, days, forward, vol, inverse=inverse)])
    sold = np.array([-3.0])
    due = margins(valuation, sold, sold, "deribit", STANDARD, deribit())["BTC" if inverse else "USDC"]
    sign = 1 if right == "C" else -1
    mark = plain_black(forward, strike, days / 365, vol, sign) / forward
    out = max(sign * (strike - forward), 0.0) / forward
    maintenance = 0.075 + mark if right == "C" else max(0.075, 0.075 * mark) + mark
    initial = max(0.15 - out, 0.1) + mark
    if right == "P":
        initial = max(initial, maintenance)
    scale = 3.0 * (1.0 if inverse else forward)
    assert due.initial == pytest.approx(initial * scale, rel=1e-9)
    assert due.maintenance == pytest.approx(maintenance * scale, rel=1e-9)


def test_options_held_need_no_standard_margin() -> None:
    _, valuation = valued([choice(50_000.0, "C", 40.0, 50_000.0)])
    due = margins(valuation, np.array([5.0]), np.array([5.0]), "deribit", STANDARD, deribit())["BTC"]
    assert (due.initial, due.maintenance) == (0.0, 0.0)
    # but a sale that is out counts as if it were done
    worst = margins(valuation, np.array([-1.0]), np.array([5.0]), "deribit", STANDARD, deribit())["BTC"]
    alone = margins(valuation, np.array([-1.0]), np.array([-1.0]), "deribit", STANDARD, deribit())["BTC"]
    assert worst == alone


# ------------------------------------------------------------------------------------------ the risk matrix

#: Response example of private/pme/simulate, docs.deribit.com, stamped 2024-06-17.
BTC_BUCKETS = [
    -0.05968587238095239, -0.04272965863636364, -0.02724789826086957, -0.013056284583333334, 0.0,
]  # fmt: skip
#: A response of the venue, 2026-02-15 (one ETH-PERPETUAL, short).
ETH_BUCKETS = [
    0.21939959699999997, 0.155989308849711, 0.09885036787912087, 0.04709624857068063, 0.0,
    -0.04304011233014354, -0.08252645391743119, -0.11888171996035243, -0.15246412672881357,
]  # fmt: skip


def test_the_venues_documented_simulation_to_all_digits() -> None:
    """BTC-PERPETUAL +0.314538364 coin at 65,910.57 and BTC-28JUN24 -0.001187534 at 67,371.75."""
    at_ns = 1_718_619_740_501_000_000
    days = (after(0) + 10.9 * 86_400 * NS_PER_SECOND - NOW_NS) / (86_400 * NS_PER_SECOND)
    dated = listing(future(days), lot="1", ticks="0:0.01")
    index = 65_666.19
    quotes = [
        perp(65_910.57, index=index),
        Quote(dated, 67_371.0, 67_372.0, mark=67_371.75, index=index),
    ]
    _, valuation = valued(quotes)
    held = np.array([0.314538364 * 65_910.57, -0.001187534 * 67_371.75])
    terms = deribit(at_ns)
    matrix = matrices(valuation, np.array([True, True]), held, held, terms)["BTC"]
    assert matrix.table.shape == (9, 3)
    losses = np.minimum(matrix.table, 0.0)  # the venue's vector leaves gains out
    for vols in range(3):
        assert losses[:5, vols] == pytest.approx(BTC_BUCKETS, rel=1e-12, abs=1e-15)
        assert losses[5:, vols] == pytest.approx(0.0, abs=1e-15)
    futures_far = [-0.05991206933333334 + 0.0002261969523809524] * 2 + [
        0.04338460193103449 - 0.0001637977931034483
    ] * 6
    assert matrix.extended == pytest.approx(futures_far, rel=1e-12)
    assert matrix.worst == pytest.approx(0.05968587238095239, rel=1e-12)
    assert matrix.roll == pytest.approx(0.00315725898, rel=1e-10)
    assert matrix.shock == 0.0
    # the venue adds up its worst case rounded to nine digits
    total = round(matrix.worst, 9) + matrix.roll + matrix.shock
    assert round(total, 11) == 0.06284313098
    assert round(0.8 * total, 12) == 0.050274504784
    due = margins(valuation, held, held, "deribit", PORTFOLIO, terms)["BTC"]
    assert due.initial == pytest.approx(total, abs=5e-10)
    assert due.maintenance == pytest.approx(0.050274504784, abs=5e-10)
    # the account's other items stand apart: 0.06 for MMP, 0.000018212 for open orders
    assert round(total + 0.06 + 0.000018212, 9) == 0.122861343


def test_an_answer_of_the_venue_to_all_digits() -> None:
    """ETH-PERPETUAL -0.999487053 coin at 1,949.49: the margins that the venue answered on 2026-02-15."""
    _, valuation = valued([perp(1_949.49, "ETH", index=1_949.34)])
    held = np.array([-0.999487053 * 1_949.49])
    terms = deribit(1_771_197_609_587_000_000)
    matrix = matrices(valuation, np.array([True]), held, held, terms)["ETH"]
    for vols in range(3):
        assert matrix.table[:, vols] == pytest.approx(ETH_BUCKETS, rel=1e-8, abs=1e-15)
    assert matrix.extended == pytest.approx([ETH_BUCKETS[0]] * 2 + [ETH_BUCKETS[-1]] * 6, rel=1e-8)
    assert matrix.roll == pytest.approx(0.004997435265, rel=1e-10)
    assert round(round(matrix.worst, 9) + matrix.roll, 12) == 0.157461562265
    due = margins(valuation, held, held, "deribit", PORTFOLIO, terms)["ETH"]
    assert due.maintenance == pytest.approx(0.125969249812, rel=1e-8)
    assert not due.proven
    assert due.known


def by_hand(quotes: list[Quote], held: list[float], terms: MatrixTerms) -> tuple[np.ndarray, np.ndarray]:
    """The table and the extended table, one option, one move and one vol after the other, in coin."""
    moves = [(-4 + i) * terms.price_range / 4 for i in range(9)]
    table, extended = np.zeros((9, 3)), np.zeros(len(terms.extended_moves))

    def change(quote: Quote, quantity: float, move: float, way: int) -> float:
        contract = quote.listing.contract
        if not isinstance(contract, Option):
            return quantity * (1 / quote.mark - 1 / (quote.mark * (1 + move)))
        years = (contract.expiry_ns - NOW_NS) / NS_PER_SECOND / (365 * 86_400)
        days, vol, sign = years * 365, quote.mark_iv, contract.right.sign
        power = 0.30 if days < 30 else 0.13
        shocked = {
            1: vol + max(vol, terms.vol_up_min) * terms.vol_range_up * (30 / days) ** power,
            0: vol,
            -1: vol - vol * terms.vol_range_down * (30 / days) ** power,
        }[way]
        forward = quote.forward * (1 + move)
        new = plain_black(forward, contract.strike, years, shocked, sign) / forward
        return quantity * (
            new - plain_black(quote.forward, contract.strike, years, vol, sign) / quote.forward
        )

    for quote, quantity in zip(quotes, held, strict=True):
        for i, move in enumerate(moves):
            for j, way in enumerate((1, 0, -1)):
                table[i, j] += change(quote, quantity, move, way)
        for k, move in enumerate(terms.extended_moves):
            if isinstance(quote.listing.contract, Option):
                extended[k] += change(quote, quantity, move, 1) * terms.price_range / abs(move)
            else:
                extended[k] += change(quote, quantity, math.copysign(terms.price_range, move), 1)
    return table, extended


MIXED = [
    (choice(45_000.0, "P", 5.0, 50_000.0, 0.7), -120.0),
    (choice(50_000.0, "C", 20.0, 50_200.0, 0.55), 40.0),
    (choice(60_000.0, "C", 90.0, 50_900.0, 0.45), -80.0),
    (choice(100_000.0, "C", 200.0, 51_500.0, 0.65), -900.0),
    (perp(50_010.0), 3_000_000.0),
]
#: Sold far outside the table: only the extended one sees it.
FAR = [
    (choice(150_000.0, "C", 12.0, 50_000.0, 0.6), -900.0),
    (choice(20_000.0, "P", 12.0, 50_000.0, 0.6), -50.0),
]


@pytest.mark.parametrize(("legs", "extended_is_worse"), [(MIXED, False), (FAR, True)])
def test_the_matrix_is_that_of_revaluing_every_cell(
    legs: list[tuple[Quote, float]], extended_is_worse: bool
) -> None:
    quotes = [replace(quote, index=50_000.0) for quote, _ in legs]
    held = [quantity for _, quantity in legs]
    _, valuation = valued(quotes)
    terms = deribit().matrix["BTC"]
    position = np.array(held)
    matrix = risk_matrix(valuation, np.ones(len(legs), dtype=np.bool_), position, position, terms)
    table, extended = by_hand(quotes, held, terms)
    assert matrix.table == pytest.approx(table, rel=1e-9, abs=1e-9)
    assert matrix.extended == pytest.approx(extended, rel=1e-9, abs=1e-9)
    dampened = -extended.min() - 100_000 / 50_000
    assert matrix.worst == pytest.approx(max(0.0, -table.min(), dampened), rel=1e-9)
    assert bool(dampened > -table.min()) is extended_is_worse


def test_a_large_delta_is_shocked() -> None:
    """1,000 coins at 50,000 are 30 m USD above the threshold: a tenth of those 600 coins is added at most."""
    _, valuation = valued([perp(50_000.0)])
    held = np.array([50_000_000.0])
    matrix = risk_matrix(valuation, np.array([True]), held, held, deribit().matrix["BTC"])
    assert matrix.shock == pytest.approx(60.0, rel=1e-12)
    assert matrix.roll == pytest.approx(10.0, rel=1e-12)


def test_roll_grows_with_time_and_nets_inside_an_expiry_alone() -> None:
    near, far = future(100.0), future(300.0)
    quotes = [
        Quote(listing(x, lot="1"), 49_999.5, 50_000.5, mark=50_000.0, index=50_000.0) for x in (near, far)
    ]
    _, valuation = valued(quotes)
    held = np.array([500_000.0, -500_000.0])
    matrix = risk_matrix(valuation, np.ones(2, dtype=np.bool_), held, held, deribit().matrix["BTC"])
    assert matrix.worst == pytest.approx(0.0, abs=1e-12)
    assert matrix.roll == pytest.approx(10 * 0.075 * 100 / 365 + 10 * 0.075 * 300 / 365, rel=1e-9)


def book() -> tuple[Market, Valuation]:
    quotes = [
        choice(45_000.0, "P", 5.0, 50_000.0, 0.7),
        choice(60_000.0, "C", 90.0, 50_000.0, 0.45),
        perp(50_000.0),
    ]
    return valued(quotes)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(-50, 50), min_size=3, max_size=3),
    st.lists(st.tuples(st.integers(0, 2), st.integers(-40, 40)), max_size=4),
    st.sampled_from(list(MarginModel)),
)
def test_the_worst_corner_is_no_less_than_any_way_of_filling(
    start: list[int], orders: list[tuple[int, int]], model: MarginModel
) -> None:
    _, valuation = BOOK
    unit = np.array([1.0, 1.0, 50_000.0])
    held = np.array(start, dtype=float) * unit
    low, high = held.copy(), held.copy()
    for row, quantity in orders:
        low[row] += min(quantity, 0) * unit[row]
        high[row] += max(quantity, 0) * unit[row]
    worst = margins(valuation, low, high, "deribit", model, TERMS).get("BTC")
    for chosen in range(2 ** len(orders)):
        filled = held.copy()
        for i, (row, quantity) in enumerate(orders):
            filled[row] += quantity * unit[row] * (chosen >> i & 1)
        due = margins(valuation, filled, filled, "deribit", model, TERMS).get("BTC")
        if due is not None:
            assert worst is not None
            assert due.initial <= worst.initial + 1e-9
            assert due.maintenance <= worst.maintenance + 1e-9


BOOK = book()
TERMS = deribit()


# --------------------------------------------------------------------------------- unknown is never zero


def test_other_venues_and_coins_and_days_have_no_margin() -> None:
    assert margin_terms("okx", NOW_NS) is None
    elsewhere = replace(perp(50_000.0), listing=listing(perpetual(), venue="okx", lot="1"))
    _, valuation = valued([elsewhere])
    held = np.array([1_000.0])
    due = margins(valuation, held, held, "okx", STANDARD, margin_terms("okx", NOW_NS))["BTC"]
    assert math.isnan(due.initial)
    assert due.reasons == ("no margin model is known for okx",)
    early = margin_terms("deribit", after(-365 * 10))
    assert early is not None
    assert early.standard == {}
    _, valuation = valued([perp(50_000.0)])
    due = margins(valuation, held, held, "deribit", STANDARD, early)["BTC"]
    assert not due.known
    assert "BTC" in due.reasons[0]


def test_the_simulated_venue_margins_as_deribit_did_and_that_is_its_own_rule() -> None:
    """1,000 USD of the inverse perpetual at 50,000 are 0.02 coins: 0.02 (2 % + 0.005 % x 0.02) of margin."""
    late = margin_terms("simulated", 1_786_000_000 * NS_PER_SECOND)  # 2026-08-06
    assert late is not None and late.venue == "simulated"
    assert {"BTC", "ETH"} <= set(late.standard) & set(late.matrix)
    here = replace(perp(50_000.0), listing=listing(perpetual(), venue="simulated", lot="1"))
    _, valuation = valued([here])
    held = np.array([1_000.0])
    due = margins(valuation, held, held, "simulated", STANDARD, late)["BTC"]
    assert due.proven and due.initial == pytest.approx(0.02 * (0.02 + 0.00005 * 0.02), rel=1e-12)


def test_margin_after_a_change_of_model_is_an_estimate() -> None:
    late = deribit(1_786_000_000 * NS_PER_SECOND)  # 2026-08-06
    _, valuation = valued([perp(50_000.0)])
    held = np.array([1_000.0])
    due = margins(valuation, held, held, "deribit", STANDARD, late)["BTC"]
    assert due.known
    assert not due.proven


@pytest.mark.parametrize("model", list(MarginModel))
def test_a_position_without_a_mark_makes_margin_unknown(model: MarginModel) -> None:
    blind = replace(choice(50_000.0, "C", 40.0, 50_000.0), mark_iv=NAN, bid=NAN, ask=NAN)
    _, valuation = valued([blind, perp(50_000.0)])
    held = np.array([-1.0, 1_000.0])
    due = margins(valuation, held, held, "deribit", model, deribit())["BTC"]
    assert not due.known
    without = margins(valuation, np.array([0.0, 1e3]), np.array([0.0, 1e3]), "deribit", model, deribit())
    assert without["BTC"].known
    initial, _ = standard_requirements(valuation, held, held, deribit().standard)
    assert math.isnan(initial[0])


def test_what_the_limits_are_told() -> None:
    sure, guess = Margin("BTC", 1.0, 0.5), Margin("BTC", 2.0, 1.0, ("an estimate",))
    view = margin_view(10.0, 0.5, sure, sure)
    assert (view.balance_before, view.balance_after, view.proven) == (10.0, 9.5, True)
    assert not margin_view(10.0, 0.0, sure, guess).proven
    assert margin_view(10.0, 0.0, None, sure).initial_before == 0.0
    blind = margin_view(10.0, 0.0, sure, unknown_margin("BTC", "why"))
    assert math.isnan(blind.initial_after)
    assert blind.reason == "why"
    assert not margin_view(NAN, 0.0, sure, sure).proven


def test_premiums_are_paid_for_options_and_spot_bought_and_not_for_futures() -> None:
    _, valuation = BOOK
    held = np.array([-5.0, 0.0, 0.0])
    high = np.array([-2.0, 4.0, 1e6])
    prices = np.array([0.05, 0.01, 50_000.0])
    assert premiums(valuation, held, high, prices, "BTC") == pytest.approx(3 * 0.05 + 4 * 0.01)
    assert premiums(valuation, held, high, prices, "USDC") == 0.0


# -------------------------------------------------------------------------------------------- liquidation


def liquidated_at(usd: float, balance: float, price: float, rate: float, per_coin: float) -> float:
    """Relative move at which an inverse perpetual's maintenance meets the balance: from a quadratic.

    With x = 1/F', Q = usd: balance + Q (1/F - x) = |Q| x (rate + per_coin |Q| x).
    """
    a, b, c = per_coin * usd**2, abs(usd) * rate + usd, -(balance + usd / price)
    roots = [(-b + s * math.sqrt(b * b - 4 * a * c)) / (2 * a) for s in (1, -1)]
    return 1 / (price * min(x for x in roots if x > 0)) - 1


@pytest.mark.parametrize(("usd", "balance"), [(2_000_000.0, 10.0), (500_000.0, 1.0), (500_000.0, 40.0)])
def test_distance_to_liquidation_of_a_long_perpetual(usd: float, balance: float) -> None:
    market, valuation = valued([perp(50_000.0)])
    far = liquidation_distance(market, valuation, np.array([usd]), balance, "BTC", "deribit", STANDARD, TERMS)
    assert far.down == pytest.approx(liquidated_at(usd, balance, 50_000.0, 0.01, 0.00005), abs=2e-6)
    assert far.up == math.inf


def test_distance_to_liquidation_of_a_short_linear_perpetual() -> None:
    """Balance 100,000, 20 coins short at 50,000: 100,000 - 20 x 50,000 s = 20 x 1.1 % x 50,000 (1 + s)."""
    market, valuation = valued([perp(50_000.0, inverse=False)])
    far = liquidation_distance(market, valuation, np.array([-20.0]), 1e5, "USDC", "deribit", STANDARD, TERMS)
    assert far.up == pytest.approx((100_000 - 11_000) / (1_000_000 + 11_000), abs=2e-6)
    assert far.down == -math.inf


def test_a_short_option_is_liquidated_by_a_rise_and_an_empty_account_at_once() -> None:
    market, valuation = valued([choice(60_000.0, "C", 30.0, 50_000.0), perp(50_000.0)])
    sold = np.array([-100.0, 0.0])

    def far(balance: float, model: MarginModel) -> float:
        found = liquidation_distance(market, valuation, sold, balance, "BTC", "deribit", model, TERMS)
        return found.up

    assert 0.0 < far(20.0, STANDARD) < far(40.0, STANDARD)
    assert far(40.0, PORTFOLIO) > 0.0
    assert far(0.1, STANDARD) == 0.0
    # maintenance is 0.075 coin and the mark: at the move found they are the balance
    move = far(20.0, STANDARD)
    forward = 50_000.0 * (1 + move)
    mark = plain_black(forward, 60_000.0, 30 / 365, 0.6, 1) / forward
    assert 100 * (0.075 + mark) == pytest.approx(20.0, rel=1e-4)


def test_distance_is_unknown_where_margin_is() -> None:
    market, valuation = valued([perp(50_000.0)])
    found = liquidation_distance(market, valuation, np.array([1e5]), 5.0, "BTC", "deribit", STANDARD, None)
    assert math.isnan(found.down)
    assert math.isnan(found.up)
