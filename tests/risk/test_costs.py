"""The cost model: venues' fee examples, depth walked level by level, signs of carry, parts and their sum."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.contracts import Contract, Kind, Listing, Side
from pricing.market import ForwardKind
from pricing.universe import Universe
from pricing.valuation import value
from risk.book import Book, Fill
from risk.costs import (
    CostModel,
    CostSettings,
    Terms,
    TradeCost,
    carry_usd,
    combo_fee,
    cost_model,
    fee_usd,
    notional_usd,
    reference_price,
)
from risk.standing import worth
from tests.builders import AGE_S_MAX, NAN, Quote, future, listing, market_of, option, perpetual, spot
from venues.paper_account import AMOUNT_STEP, fee_of
from venues.paper_terms import FeeModel

INDEX = 60_000.0
FREE = CostSettings(holding_h=0.0)

CONTRACTS: dict[str, Contract] = {
    "coin option": option(60_000, "C", 30),
    "dollar option": option(60_000, "P", 30, inverse=False),
    "inverse perp": perpetual(),
    "linear perp": perpetual(inverse=False),
    "inverse future": future(90),
    "linear future": future(90, inverse=False),
    "spot": spot(),
}


def fee(item: Listing, price: float, index: float, *, maker: bool = False) -> float:
    """Fee of one order unit, USD."""
    universe = Universe.of([item])
    terms = Terms.of(universe, np.array([0]))
    return float(fee_usd(terms, np.array([index]), np.array([price]), maker=maker)[0])


def quoted(item: Listing, bid: float, ask: float, mark: float = NAN, **more: object) -> Quote:
    base = Quote(item, bid=bid, ask=ask, mark=mark, index=INDEX)
    if item.contract.kind is Kind.OPTION:
        base = replace(base, mark_iv=0.5, forward=INDEX, forward_kind=ForwardKind.SYNTHETIC)
    return replace(base, **more)  # type: ignore[arg-type]


def model_of(*quotes: Quote, settings: CostSettings = FREE) -> CostModel:
    market = market_of(quotes)
    return cost_model(market, value(market, AGE_S_MAX), list(range(len(quotes))), settings)


# ------------------------------------------------------------------------------------------------------- fees
def deribit_option(underlying: str = "BTC") -> Listing:
    return listing(option(60_000, "C", 30, underlying), maker="0.0003", taker="0.0003", cap="0.125")


@pytest.mark.parametrize(
    ("price", "coins"),
    [(0.0001, 0.0000125), (0.0024, 0.0003), (0.0023, 0.0002875), (0.05, 0.0003), (1.2, 0.0003)],
)
@pytest.mark.parametrize("maker", [True, False])
def test_deribit_coin_options(price: float, coins: float, maker: bool) -> None:
    """0.0003 coin, at most 12.5 % of the price: an option at 0.0001 pays 0.0000125."""
    assert fee(deribit_option(), price, INDEX, maker=maker) == pytest.approx(coins * INDEX, rel=1e-14)


def test_deribit_dollar_options() -> None:
    """0.01 % maker, 0.05 % taker of the index, the same cap."""
    item = listing(option(60_000, "C", 30, inverse=False), maker="0.0001", taker="0.0005", cap="0.125")
    assert fee(item, 1_500.0, INDEX) == pytest.approx(30.0)
    assert fee(item, 1_500.0, INDEX, maker=True) == pytest.approx(6.0)
    assert fee(item, 100.0, INDEX) == pytest.approx(12.5)


def test_bybit_example() -> None:
    """0.3 BTC, index 42,000, price 3,000, maker 0.02 %, cap 7 %: min(8.4, 210) x 0.3 = 2.52."""
    item = listing(
        option(40_000, "C", 30, inverse=False), venue="bybit", maker="0.0002", taker="0.0003", cap="0.07"
    )
    assert 0.3 * fee(item, 3_000.0, 42_000.0, maker=True) == pytest.approx(2.52, rel=1e-14)
    assert fee(item, 3_000.0, 42_000.0) == pytest.approx(12.6)
    assert fee(item, 100.0, 42_000.0) == pytest.approx(7.0)


@pytest.mark.parametrize(("price", "paid"), [(100.0, 1.8), (3.3, 0.99)])
def test_binance_example(price: float, paid: float) -> None:
    """min(0.03 % x index x unit, 10 % x price) x size: 3 ETH at index 2,000 pay 1.8; at price 3.3 0.99."""
    item = listing(
        option(2_000, "C", 30, "ETH", inverse=False),
        venue="binance",
        maker="0.0003",
        taker="0.0003",
        cap="0.1",
    )
    assert 3 * fee(item, price, 2_000.0) == pytest.approx(paid, rel=1e-14)


def test_okx_contracts_pay_a_hundredth_of_a_coin() -> None:
    """min(rate, 7 % of the premium) x 0.01 BTC x n (OKX fees, 2025-05-15)."""
    item = listing(
        option(60_000, "C", 30), venue="okx", size="0.01", maker="0.0002", taker="0.0003", cap="0.07"
    )
    assert 250 * fee(item, 0.02, INDEX) == pytest.approx(0.0003 * 0.01 * 250 * INDEX)
    assert 250 * fee(item, 0.001, INDEX) == pytest.approx(0.00007 * 0.01 * 250 * INDEX)


@pytest.mark.parametrize(
    ("name", "units", "price", "dollars"),
    [
        ("inverse perp", 10_000.0, 60_000.0, 5.0),
        ("inverse perp", 10_000.0, 50_000.0, 5.0 * 60 / 50),
        ("inverse future", 10_000.0, 60_000.0, 5.0),
        ("linear perp", 2.0, 61_000.0, 61.0),
        ("linear future", 2.0, 61_000.0, 61.0),
        ("spot", 2.0, 61_000.0, 61.0),
    ],
)
@pytest.mark.parametrize("size", ["1", "100", "0.001"])
def test_fees_on_the_notional(name: str, units: float, price: float, dollars: float, size: str) -> None:
    """0.05 %: of an inverse contract's dollars (paid in coin at its price), of price x coins otherwise."""
    item = listing(CONTRACTS[name], taker="0.0005", size=size)
    assert units / float(size) * fee(item, price, INDEX) == pytest.approx(dollars, rel=1e-14)


def test_an_option_without_a_cap_pays_the_rate_even_when_worthless() -> None:
    item = listing(option(60_000, "C", 30), taker="0.0003")
    assert fee(item, 0.0, INDEX) == pytest.approx(18.0)
    assert fee(deribit_option(), 0.0, INDEX) == 0.0


@pytest.mark.parametrize("name", CONTRACTS)
@pytest.mark.parametrize("size", ["1", "100", "0.001"])
def test_the_rate_is_on_the_notional_in_the_model_and_on_paper_alike(name: str, size: str) -> None:
    """Uncapped, and an inverse contract at its index, where its coins are worth its dollars."""
    item = listing(CONTRACTS[name], taker="0.0005", size=size)
    price = INDEX if item.contract.inverse and item.contract.kind is not Kind.OPTION else 61_000.0
    most = 0.0005 * notional_usd(item, price, {"BTC": INDEX})
    assert fee(item, price, INDEX) == pytest.approx(most, rel=1e-14)
    units, exact = Decimal(1_000_000), Decimal(repr(price))
    paper = fee_of(FeeModel.LISTING, item, units, exact, maker=False, index=INDEX)
    paid = float(paper) * worth(item.contract.settlement, {"BTC": INDEX})
    assert paid == pytest.approx(1e6 * most, rel=1e-14, abs=INDEX * float(AMOUNT_STEP))


def test_a_notional_without_its_index_is_unknown() -> None:
    assert math.isnan(notional_usd(deribit_option(), 0.1, {}))
    assert notional_usd(listing(CONTRACTS["inverse perp"]), 60_000.0, {}) == 1.0


@pytest.mark.parametrize("name", CONTRACTS)
def test_a_rebate_is_no_income(name: str) -> None:
    item = listing(CONTRACTS[name], maker="-0.0001", taker="0.0005")
    assert fee(item, 0.05 if "coin" in name else 60_000.0, INDEX, maker=True) == 0.0


def test_the_cheaper_side_of_a_combo_is_free() -> None:
    assert combo_fee(30.0, 20.0) == combo_fee(20.0, 30.0) == 30.0
    assert combo_fee(0.0, 0.0) == 0.0
    assert combo_fee(12.5, 0.0) == 12.5


# ------------------------------------------------------------------------------------ reference and one level
@pytest.mark.parametrize(
    ("bid", "ask", "mark", "reference"),
    [
        (0.04, 0.05, 0.043, 0.043),
        (0.04, 0.05, NAN, 0.045),
        (0.04, 0.05, 0.03, 0.04),
        (0.04, 0.05, 0.09, 0.05),
        (0.04, 0.05, 0.0, 0.04),
        (0.04, 0.05, math.inf, 0.045),
    ],
)
def test_the_reference_is_the_mark_clamped_into_the_quotes(
    bid: float, ask: float, mark: float, reference: float
) -> None:
    market = market_of([quoted(listing(CONTRACTS["coin option"]), bid, ask, mark)])
    assert reference_price(market).tolist() == [pytest.approx(reference, rel=1e-15)]


def test_one_sided_quotes_have_no_reference() -> None:
    market = market_of(
        [quoted(deribit_option(), NAN, 0.05, 0.04), quoted(listing(perpetual()), 1.0, NAN, 1.0)]
    )
    assert np.isnan(reference_price(market)).all()


#: Coins per dollar from the reference to each side, in USD at the index.
INVERSE_SPREADS = (INDEX / 60_500 - INDEX / 61_000, INDEX / 59_000 - INDEX / 60_500)


@pytest.mark.parametrize(
    ("name", "bid", "ask", "mark", "buy", "sell"),
    [
        ("coin option", 0.04, 0.05, 0.044, 0.006 * INDEX, 0.004 * INDEX),
        ("dollar option", 1_400.0, 1_500.0, 1_460.0, 40.0, 60.0),
        ("linear perp", 59_990.0, 60_010.0, 60_004.0, 6.0, 14.0),
        ("linear future", 59_990.0, 60_010.0, 60_004.0, 6.0, 14.0),
        ("spot", 59_990.0, 60_010.0, 60_004.0, 6.0, 14.0),
        ("inverse perp", 59_000.0, 61_000.0, 60_500.0, *INVERSE_SPREADS),
        ("inverse future", 59_000.0, 61_000.0, 60_500.0, *INVERSE_SPREADS),
    ],
)
@pytest.mark.parametrize("size", ["1", "0.01", "100"])
def test_the_spread_of_one_unit_by_hand(
    name: str, bid: float, ask: float, mark: float, buy: float, sell: float, size: str
) -> None:
    """Coin differences at the index; an inverse perpetual's are 1/ref - 1/price coins per dollar."""
    model = model_of(quoted(listing(CONTRACTS[name], size=size), bid, ask, mark))
    for side, per_unit in ((Side.BUY, buy), (Side.SELL, sell)):
        done = model.execute(0, side, 7.0)
        assert done.cost.spread == pytest.approx(7.0 * float(size) * per_unit, rel=1e-12)
        assert (done.cost.depth, done.cost.fee, done.cost.carry, done.cost.fixed) == (0.0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize("name", CONTRACTS)
@pytest.mark.parametrize("side", [Side.BUY, Side.SELL])
@pytest.mark.parametrize("size", ["1", "0.01", "100"])
def test_the_cost_is_what_the_ledger_loses_against_the_reference(name: str, side: Side, size: str) -> None:
    """Booked at the fills' prices, marked at the reference, coins at the index: the exact P&L."""
    scale = {"coin option": 0.05, "dollar option": 1_500.0}.get(name, 60_000.0)
    item = listing(CONTRACTS[name], size=size, taker="0.0005", cap="0.125" if "option" in name else None)
    asks = [(scale * 1.01, 3.0), (scale * 1.02, 2.0), (scale * 1.05, 9.0)]
    bids = [(scale * 0.98, 2.0), (scale * 0.97, 1.5), (scale * 0.9, 9.0)]
    quote = quoted(item, bids[0][0], asks[0][0], scale * 1.003, bids=bids, asks=asks)
    done = model_of(quote).execute(0, side, 6.5)
    book = Book()
    fees = 0.0
    for price, taken, fee_per_unit in done.levels:
        book = book.apply(
            Fill(item, side, Decimal(repr(taken)), Decimal(repr(price)), Decimal(0), item.contract.settlement)
        )
        fees += taken * fee_per_unit
    reference = scale * 1.003
    balances = {c: float(x) for c, x in book.balances({item.key: reference}).items()}
    units = side.sign * 6.5 * float(size)
    if item.contract.kind is Kind.OPTION:
        currency = item.contract.settlement
        balances[currency] = balances[currency] + units * reference
    elif item.contract.kind is Kind.SPOT:
        balances["USDC"] += balances.pop("BTC") * reference
    gain = sum(x * (INDEX if c == "BTC" else 1.0) for c, x in balances.items())
    assert done.cost.spread + done.cost.depth == pytest.approx(-gain, rel=1e-9)
    assert done.cost.fee == pytest.approx(fees, rel=1e-12) and fees > 0


def test_dearer_the_wider_and_the_same_for_mirrored_sides() -> None:
    """Linear, mark in the middle: buying and selling cost the same."""
    model = model_of(
        quoted(listing(perpetual(inverse=False), "A"), 59_995.0, 60_005.0, 60_000.0),
        quoted(listing(perpetual(inverse=False), "B"), 59_990.0, 60_010.0, 60_000.0),
    )
    costs = [[model.execute(i, side, 1.0).cost.total for side in Side] for i in (0, 1)]
    assert costs == [pytest.approx([5.0, 5.0]), pytest.approx([10.0, 10.0])]


def test_an_inverse_perpetual_is_mirrored_in_coin_per_dollar() -> None:
    """Touch symmetric in 1/price: both sides cost the same."""
    mark = 60_000.0
    bid, ask = 1 / (1 / mark + 1e-8), 1 / (1 / mark - 1e-8)
    model = model_of(quoted(listing(perpetual()), bid, ask, mark))
    costs = [model.execute(0, side, 10.0).cost.total for side in Side]
    assert costs == pytest.approx([10 * 1e-8 * INDEX] * 2, rel=1e-6)


# ------------------------------------------------------------------------------------------------------ depth
@dataclass(frozen=True)
class Ladder:
    name: str
    size: str
    mark: float
    bids: tuple[tuple[float, float], ...]
    asks: tuple[tuple[float, float], ...]

    def quote(self) -> Quote:
        caps = "0.125" if "option" in self.name else None
        item = listing(CONTRACTS[self.name], size=self.size, taker="0.0005", cap=caps)
        return quoted(item, self.bids[0][0], self.asks[0][0], self.mark, bids=self.bids, asks=self.asks)


@st.composite
def ladders(draw: st.DrawFn) -> Ladder:
    """Books of up to five levels a side, levels may repeat a price; the mark anywhere, also outside."""
    name = draw(st.sampled_from(sorted(CONTRACTS)))
    scale = {"coin option": 0.05, "dollar option": 1_500.0}.get(name, 60_000.0)
    steps = st.lists(st.floats(0, 0.05), min_size=1, max_size=5)
    up, down = np.cumsum(draw(steps)) + 0.001, np.cumsum(draw(steps)) + 0.001
    sizes = st.floats(0.1, 100.0)
    return Ladder(
        name,
        draw(st.sampled_from(["1", "0.01", "100"])),
        scale * draw(st.one_of(st.just(NAN), st.floats(0.9, 1.1))),
        tuple((scale * (1 - x), draw(sizes)) for x in down.tolist()),
        tuple((scale * (1 + x), draw(sizes)) for x in up.tolist()),
    )


def naive(ladder: Ladder, side: Side, quantity: float) -> tuple[float, float, float]:
    """(spread and depth, fee, average price) by a loop over the levels."""
    bid, ask = ladder.bids[0][0], ladder.asks[0][0]
    mark = 0.5 * (bid + ask) if math.isnan(ladder.mark) else ladder.mark
    reference = min(max(mark, bid), ask)
    left, over, fees, paid, size = quantity, 0.0, 0.0, 0.0, float(ladder.size)
    for price, shown in ladder.asks if side is Side.BUY else ladder.bids:
        take = min(left, shown)
        left -= take
        paid += take * price
        worse = price - reference
        if ladder.name == "coin option":
            over += side.sign * worse * INDEX * take * size
            fees += min(0.0005, 0.125 * price) * INDEX * take * size
        elif ladder.name == "dollar option":
            over += side.sign * worse * take * size
            fees += min(0.0005 * INDEX, 0.125 * price) * take * size
        elif ladder.name.startswith("inverse"):
            over += side.sign * (1 / reference - 1 / price) * INDEX * take * size
            fees += 0.0005 / price * INDEX * take * size
        else:
            over += side.sign * worse * take * size
            fees += 0.0005 * price * take * size
    return over, fees, paid / quantity


@given(ladders(), st.sampled_from(Side), st.floats(0.001, 1.0))
def test_walking_the_depth_against_a_loop(ladder: Ladder, side: Side, share: float) -> None:
    shown = sum(s for _, s in (ladder.asks if side is Side.BUY else ladder.bids))
    quantity = share * shown
    done = model_of(ladder.quote()).execute(0, side, quantity)
    over, fees, average = naive(ladder, side, quantity)
    natural = quantity * float(ladder.size)
    rounding = natural * 1e-11 * (INDEX if ladder.name == "coin option" else 1.0)
    if ladder.name not in ("coin option", "inverse perp", "inverse future"):
        rounding *= 1e5
    assert done.cost.spread + done.cost.depth == pytest.approx(over, rel=1e-9, abs=rounding)
    assert done.cost.fee == pytest.approx(fees, rel=1e-9)
    assert done.average_price == pytest.approx(average, rel=1e-12)
    assert sum(q for _, q, _ in done.levels) == pytest.approx(quantity, rel=1e-12)
    assert done.worst_price == done.levels[-1][0]


@given(ladders())
def test_levels_cost_at_least_nothing_and_never_less_than_the_one_before(ladder: Ladder) -> None:
    """Also where the mark lies outside the quotes; fees included (they fall with the price of bids)."""
    model = model_of(ladder.quote())
    for sign in (1, -1):
        part = model.levels.slice_of(0, sign)
        unit = model.levels.unit_cost[part]
        assert np.all(unit >= 0)
        assert np.all(np.diff(unit) >= -1e-12 * unit[1:])
        for name in ("spread", "depth", "fee", "carry"):
            assert np.all(getattr(model.levels, name)[part] >= 0)
        assert np.all(model.levels.depth[part][:1] == 0)


@given(ladders(), st.sampled_from(Side), st.floats(0.001, 1.0), st.floats(0, 50))
def test_the_parts_are_the_whole_and_the_whole_is_the_ladder(
    ladder: Ladder, side: Side, share: float, fixed: float
) -> None:
    """One cost, two uses: what the optimizer's ladder says is what the fill pays, and the fixed part once."""
    settings = CostSettings(fixed_usd=fixed)
    model = model_of(replace(ladder.quote(), funding_rate=0.0003), settings=settings)
    part = model.levels.slice_of(0, side.sign)
    shown = model.levels.size[part]
    done = model.execute(0, side, share * float(shown.sum()))
    cost = done.cost
    taken = np.clip(share * shown.sum() - np.concatenate(([0.0], np.cumsum(shown)[:-1])), 0, shown)
    assert cost.total == cost.spread + cost.depth + cost.fee + cost.carry + cost.fixed
    assert cost.total == pytest.approx(float(taken @ model.levels.unit_cost[part]) + fixed, rel=1e-12)
    assert cost.fixed == fixed
    assert cost.as_dict() == {n: getattr(cost, n) for n in ("spread", "depth", "fee", "carry", "fixed")}


def test_costs_add_part_by_part() -> None:
    a, b = TradeCost(1, 2, 3, 4, 5), TradeCost(10, 20, 30, 40, 50)
    assert a + b == TradeCost(11, 22, 33, 44, 55)
    assert sum([a, b], TradeCost()).total == 165


def test_more_than_displayed_is_refused() -> None:
    quote = quoted(listing(perpetual()), 59_990.0, 60_010.0, 60_000.0, ask_size=0.3, bid_size=500.0)
    model = model_of(quote)
    assert model.execute(0, Side.BUY, 0.1 + 0.2).cost.total > 0
    for quantity in (0.3001, 500.0, math.inf, NAN, 0.0, -1.0):
        with pytest.raises(ValueError, match=r"BTC-BTC-PERPETUAL: buy .* is not within the displayed 0.3"):
            model.execute(0, Side.BUY, quantity)
    assert model.execute(0, Side.SELL, 500.0).average_price == 59_990.0


def test_what_is_not_tradable_has_no_levels() -> None:
    quotes = [quoted(listing(perpetual(), f"P{i}"), 59_990.0, 60_010.0, 60_000.0) for i in range(3)]
    market = market_of(quotes)
    model = cost_model(market, value(market, AGE_S_MAX), [2, 0], FREE)
    assert model.levels.row.tolist() == [0, 0, 2, 2]
    assert model.levels.sign.tolist() == [1, -1, 1, -1]
    with pytest.raises(ValueError, match="not within the displayed"):
        model.execute(1, Side.BUY, 1.0)
    empty = cost_model(market, value(market, AGE_S_MAX), [], FREE)
    assert empty.levels.row.size == 0


def test_books_and_touches_stand_side_by_side() -> None:
    """Listings with recorded depth among others without: every side finds its own levels."""
    quotes = [
        quoted(
            listing(perpetual(inverse=False), f"P{i}"),
            100.0 + i,
            110.0 + i,
            105.0 + i,
            **({"bids": [(100.0 + i, 1.0), (99.0 + i, 2.0)], "asks": [(110.0 + i, 3.0)]} if i % 2 else {}),
        )
        for i in range(5)
    ]
    model = model_of(*(replace(q, index=100.0) for q in quotes))
    for i in range(5):
        assert model.execute(i, Side.BUY, 1.0).average_price == 110.0 + i
        sold = model.execute(i, Side.SELL, 3.0)
        expected = (100.0 + i + 2 * (99.0 + i)) / 3 if i % 2 else 100.0 + i
        assert sold.average_price == pytest.approx(expected)


@pytest.mark.parametrize("junk", [(NAN, 5.0), (0.0, 5.0), (-1.0, 5.0), (60_001.0, 0.0), (60_001.0, NAN)])
def test_a_junk_level_is_not_displayed(junk: tuple[float, float]) -> None:
    """Without price or without size; the best price is then the first sound one."""
    asks = [junk, (60_010.0, 1.0), (60_030.0, 1.0)]
    quote = quoted(
        listing(perpetual(inverse=False)), 59_990.0, 60_010.0, 60_000.0, bids=[(59_990.0, 1.0)], asks=asks
    )
    cost = model_of(quote).execute(0, Side.BUY, 2.0).cost
    assert [cost.spread, cost.depth] == pytest.approx([20.0, 20.0])


# ------------------------------------------------------------------------------------------------------ carry
def carry(quote: Quote, holding_h: float = 24.0) -> tuple[float, float, bool]:
    market = market_of([quote])
    long, short, unknown = carry_usd(market, value(market, AGE_S_MAX), CostSettings(holding_h=holding_h))
    return float(long[0]), float(short[0]), bool(unknown[0])


@pytest.mark.parametrize("size", ["1", "0.001", "100"])
@pytest.mark.parametrize(
    ("name", "per_unit"), [("linear perp", 60_600.0), ("inverse perp", INDEX / 60_600.0)]
)
def test_funding_is_paid_by_the_long_side_when_positive(name: str, per_unit: float, size: str) -> None:
    """q F (or Q/F coins at the index) x rate x H/8h; what would be income counts 0."""
    quote = Quote(listing(CONTRACTS[name], size=size), mark=60_600.0, index=INDEX)
    paid = 0.0002 * per_unit * float(size) * 3
    for rate, long, short in ((0.0002, paid, 0.0), (-0.0002, 0.0, paid), (0.0, 0.0, 0.0)):
        found = carry(replace(quote, funding_rate=rate))
        assert found[:2] == pytest.approx((long, short))
        assert not found[2]
    assert carry(replace(quote, funding_rate=0.0002), holding_h=12.0)[0] == pytest.approx(paid / 2)


@pytest.mark.parametrize("rate", [NAN, math.inf, -math.inf, 1.01, -1.01, 1e300])
def test_an_absurd_funding_rate_is_unknown(rate: float) -> None:
    perp = Quote(listing(perpetual()), mark=60_600.0, index=INDEX, funding_rate=rate)
    assert carry(perp) == (0.0, 0.0, True)
    assert carry(replace(perp, funding_rate=math.copysign(0.99, rate)))[2] is False


def test_an_unknown_funding_rate_counts_nothing_and_is_reported() -> None:
    quotes = [
        Quote(listing(CONTRACTS[n]), mark=60_600.0, bid=60_599.0, ask=60_601.0, index=INDEX)
        for n in CONTRACTS
    ]
    quotes = [q for q in quotes if q.listing.contract.kind is not Kind.OPTION]
    model = model_of(*quotes, settings=CostSettings())
    kinds = [q.listing.contract.kind for q in quotes]
    assert model.funding_unknown.tolist() == [k is Kind.PERPETUAL for k in kinds]
    perps = [i for i, k in enumerate(kinds) if k is Kind.PERPETUAL]
    assert all(model.execute(i, side, 1.0).cost.carry == 0 for i in perps for side in Side)


@pytest.mark.parametrize(("forward", "payer"), [(61_500.0, 0), (58_500.0, 1)])
@pytest.mark.parametrize("size", ["1", "100"])
def test_the_basis_of_dated_futures_runs_off(forward: float, payer: int, size: str) -> None:
    """Held a day of 90: a 90th of F - S; held to the end all of it, as the ledger settles at the index."""
    for name in ("linear future", "inverse future"):
        item = listing(CONTRACTS[name], size=size)
        quote = Quote(item, mark=forward, index=INDEX)
        to_the_end = carry(quote, holding_h=90 * 24.0)
        side = Side.BUY if payer == 0 else Side.SELL
        entry = Fill(item, side, Decimal(1), Decimal(repr(forward)), Decimal(0), "USDC")
        book = Book().apply(entry)
        settled = book.settle(next(iter(book.positions)), Decimal(60_000)).balances()
        loss = -float(settled.get("USDC", Fraction(0)) + settled.get("BTC", Fraction(0)) * 60_000)
        assert loss > 0
        assert to_the_end[payer] == pytest.approx(loss, rel=1e-12)
        assert to_the_end[1 - payer] == 0.0
        assert carry(quote)[payer] == pytest.approx(loss / 90, rel=1e-9)
        assert carry(quote, holding_h=1e6)[payer] == pytest.approx(loss, rel=1e-12)


@pytest.mark.parametrize("name", ["coin option", "dollar option", "spot"])
def test_options_and_coins_carry_nothing(name: str) -> None:
    scale = {"coin option": 0.05, "dollar option": 1_500.0}.get(name, 60_000.0)
    quote = quoted(listing(CONTRACTS[name]), scale, scale * 1.01, funding_rate=0.01)
    assert carry(quote) == (0.0, 0.0, False)


def test_carry_is_charged_to_the_side_that_pays() -> None:
    quote = quoted(listing(perpetual(inverse=False)), 59_990.0, 60_010.0, 60_000.0, funding_rate=0.0001)
    model = model_of(quote, settings=CostSettings(holding_h=8.0))
    assert model.execute(0, Side.BUY, 2.0).cost.carry == pytest.approx(12.0)
    assert model.execute(0, Side.SELL, 2.0).cost.carry == 0.0


def test_the_fixed_part_is_charged_per_trade() -> None:
    quote = quoted(listing(perpetual()), 59_990.0, 60_010.0, 60_000.0, ask_size=1e9)
    model = model_of(quote, settings=CostSettings(fixed_usd=2.5))
    assert [model.execute(0, Side.BUY, q).cost.fixed for q in (1.0, 1e6)] == [2.5, 2.5]
