"""P&L by cause: sums against the ledger, Taylor terms against revaluation, and what cannot be known."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedger.sample import SampleSettings, market_maker_book
from pricing.contracts import STABLE_CURRENCIES, Kind, Listing, Option, Side
from pricing.market import Market
from pricing.universe import Universe
from pricing.valuation import DeltaSource, MarkStatus, Valuation, value
from risk.attribution import OTHER, Attribution, Parts, attribute
from risk.book import Book, Fill, Position, settles_daily
from risk.flows import Cause, Flows, Payment, Trade
from risk.standing import Standing, equity_usd
from tests.builders import (
    AGE_S_MAX,
    DAY_NS,
    NAN,
    NOW_NS,
    Quote,
    future,
    listing,
    market_of,
    option,
    perpetual,
    plain_black,
    spot,
)
from venues.simulated import SimulatedMarket

S, C, VOL, DAYS = 60_000.0, 1.01, 0.6, 30.0
#: One of each kind on one coin; forwards C times the index.
CONTRACTS = (
    option(62_000.0, "C", DAYS),
    option(57_000.0, "P", DAYS),
    option(61_000.0, "C", DAYS, inverse=False),
    option(58_000.0, "P", DAYS, inverse=False),
    perpetual(),
    perpetual(inverse=False),
    future(DAYS),
    future(DAYS, inverse=False),
    spot(),
)
LISTINGS = tuple(listing(c, size="100" if c == perpetual() else "1") for c in CONTRACTS)
OPTIONS = range(4)


def market(
    index: float = S,
    c: float = C,
    vol: float = VOL,
    days: float = 0.0,
    listings: Sequence[Listing] = LISTINGS,
) -> Market:
    """Everything marked at one index, forward ratio and vol, so many days after NOW_NS."""
    f, quotes = index * c, []
    for x in listings:
        if x.contract.kind is Kind.OPTION:
            quotes.append(Quote(x, mark=0.01, mark_iv=vol, forward=f, index=index))
        else:
            price = index if x.contract.kind is Kind.SPOT else f
            quotes.append(Quote(x, bid=price - 1, ask=price + 1, mark=price, index=index))
    return market_of(quotes, NOW_NS + round(days * DAY_NS))


def valued(market: Market) -> Valuation:
    found = value(market, AGE_S_MAX)
    assert (found.status == MarkStatus.OK).all()
    return found


def worth(i: int, index: float, c: float, vol: float, days: float) -> float:
    """USD that one order unit has gained since it was entered at (S, C), by the contract's own definition."""
    x, f = LISTINGS[i], index * c
    contract, size = x.contract, float(x.size)
    if isinstance(contract, Option):
        usd = plain_black(f, contract.strike, (DAYS - days) / 365, vol, contract.right.sign)
        return usd / f * index if contract.inverse else usd
    if contract.kind is Kind.SPOT:
        return index * size
    return size * ((1 / (S * C) - 1 / f) * index if contract.inverse else f - S * C)


def standing(valuation: Valuation, i: int, quantity: float, cash: Mapping[str, float]) -> Standing:
    quantities = np.zeros(len(LISTINGS))
    quantities[i] = quantity
    return Standing(valuation, quantities, cash)


def alone(
    i: int, index: float = S, c: float = C, vol: float = VOL, days: float = 0.0, quantity: float = 3.0
) -> Parts:
    """One position through one move; the gains of perpetuals and futures are put into the balance by hand."""
    x = LISTINGS[i]
    gained = quantity * worth(i, index, c, vol, days) if settles_daily(x) else 0.0
    coin = x.contract.inverse
    cash = {"BTC": gained / index} if coin else {"USDC": gained}
    before = standing(valued(market()), i, quantity, {})
    found = attribute(before, standing(valued(market(index, c, vol, days)), i, quantity, cash))
    assert found.rows[OTHER].pnl == pytest.approx(0.0, abs=1e-7)
    assert found.total.pnl == pytest.approx(found.equity_change, rel=1e-12, abs=1e-9)
    change = quantity * (worth(i, index, c, vol, days) - worth(i, S, C, VOL, 0.0))
    assert found.rows["BTC"].pnl == pytest.approx(change, rel=1e-9, abs=1e-8)
    return found.rows["BTC"]


# ---- Taylor terms against revaluation


@pytest.mark.parametrize("i", range(len(LISTINGS)))
def test_delta_and_gamma_are_the_derivatives_by_the_index(i: int) -> None:
    h = 30.0
    up, down, mid = (3.0 * worth(i, x, C, VOL, 0.0) for x in (S + h, S - h, S))
    parts = alone(i, S + h)
    assert parts.delta == pytest.approx((up - down) / 2, rel=2e-6)
    assert parts.gamma == pytest.approx((up - 2 * mid + down) / 2, rel=1e-4, abs=1e-5)
    assert (parts.theta, parts.vega) == (0.0, 0.0)
    assert parts.basis == pytest.approx(0.0, abs=1e-6)
    assert abs(parts.residual) < 1e-3 * max(abs(parts.gamma), 1e-3)


@pytest.mark.parametrize("i", OPTIONS)
def test_vega_theta_and_basis_are_derivatives_too(i: int) -> None:
    h = 1e-4
    vega = 1.5 * (worth(i, S, C, VOL + h, 0.0) - worth(i, S, C, VOL - h, 0.0))
    assert alone(i, vol=VOL + h).vega == pytest.approx(vega, rel=1e-6)
    theta = 1.5 * (worth(i, S, C, VOL, h) - worth(i, S, C, VOL, -h))
    assert alone(i, days=h).theta == pytest.approx(theta, rel=1e-5)
    basis = 1.5 * (worth(i, S, C + h, VOL, 0.0) - worth(i, S, C - h, VOL, 0.0))
    assert alone(i, c=C + h).basis == pytest.approx(basis, rel=1e-5)


@pytest.mark.parametrize("i", OPTIONS)
def test_vanna_volga_and_charm_are_mixed_differences(i: int) -> None:
    """Of the contract's own worth; each alone is what two first differences leave of the second."""

    def at(ds: float, dv: float, dt: float) -> float:
        return 3.0 * worth(i, S + ds, C, VOL + dv, dt)

    h, v, t = 30.0, 1e-3, 1e-3
    mixed = (at(h, v, 0) - at(h, -v, 0) - at(-h, v, 0) + at(-h, -v, 0)) / 4
    assert alone(i, S + h, vol=VOL + v).vanna == pytest.approx(mixed, rel=1e-4)
    bent = (at(0, v, 0) - 2 * at(0, 0, 0) + at(0, -v, 0)) / 2
    assert alone(i, vol=VOL + v).volga == pytest.approx(bent, rel=1e-3, abs=1e-7)
    mixed = (at(h, 0, t) - at(h, 0, -t) - at(-h, 0, t) + at(-h, 0, -t)) / 4
    assert alone(i, S + h, days=t).charm == pytest.approx(mixed, rel=1e-3, abs=1e-7)


@pytest.mark.parametrize("i", OPTIONS)
def test_moves_of_everything_at_once_leave_a_third_order_alone(i: int) -> None:
    """Halving a move of index, vol and time together leaves an eighth, but for time's own curvature."""
    residuals = [
        abs(alone(i, S * (1 + 0.02 * k), vol=VOL + 0.03 * k, days=1e-4 * k).residual) for k in (1, 0.5)
    ]
    assert residuals[0] > 6 * residuals[1]


def test_the_harvest_is_gamma_beyond_theta() -> None:
    """At one sd a day (vol / sqrt(365)) gamma earns what theta takes; at two, four times as much."""
    day = VOL / math.sqrt(365)
    still, moved = alone(0, S, days=1.0), alone(0, S * (1 + 2 * day), days=1.0)
    assert still.harvest == still.theta < 0 and moved.harvest > 0
    assert moved.gamma / -moved.theta == pytest.approx(4.0, rel=0.01)


@pytest.mark.parametrize("i", [i for i in range(len(LISTINGS)) if i not in OPTIONS])
def test_what_is_linear_is_explained_to_the_last_digit(i: int) -> None:
    parts = alone(i, 71_000.0, 0.98, days=3.0)
    assert parts.gamma == parts.theta == parts.vega == 0.0
    assert parts.delta + parts.basis == pytest.approx(parts.pnl, rel=1e-12)
    assert parts.residual == pytest.approx(0.0, abs=1e-8)


@pytest.mark.parametrize("i", OPTIONS)
def test_the_residual_shrinks_faster_than_the_square_of_the_move(i: int) -> None:
    residuals = [
        alone(i, S * (1 + 0.02 * k), C * (1 + 1e-6 * k), VOL + 1e-5 * k, 1e-5 * k).residual for k in (1, 0.5)
    ]
    assert abs(residuals[0]) > 6 * abs(residuals[1])  # by 8 where the third order leads


def test_coins_gain_with_the_index_and_dollars_do_not() -> None:
    empty = np.zeros(len(LISTINGS))
    cash = {"BTC": -2.5, "USDC": 1e6, "USDT": -7.0}
    found = attribute(Standing(valued(market()), empty, cash), Standing(valued(market(S + 100)), empty, cash))
    assert found.rows["BTC"] == Parts(delta=-250.0)
    assert found.total.pnl == found.equity_change == -250.0


def test_a_delta_rule_counts_the_expected_move_of_the_vol_once() -> None:
    slope, i, d = -2e-6, 0, 100.0  # vol per dollar of forward
    plain = valued(market())
    inverse_vega = float(plain.usd.vega[i])
    delta = plain.usd.delta.copy()
    delta[i] += inverse_vega * slope
    source = plain.delta_source.copy()
    source[i] = DeltaSource.RULE
    ruled = replace(plain, usd=replace(plain.usd, delta=delta), delta_source=source)
    later = valued(market(S + d, vol=VOL + slope * d * C))
    found = attribute(standing(ruled, i, 1.0, {}), standing(later, i, 1.0, {})).rows["BTC"]
    by_hand = attribute(standing(plain, i, 1.0, {}), standing(later, i, 1.0, {})).rows["BTC"]
    assert found.vega == pytest.approx(0.0, abs=1e-9 * abs(by_hand.vega)) and by_hand.vega < -1.0
    assert found.delta == pytest.approx(by_hand.delta + by_hand.vega, rel=1e-12)
    assert found.residual == pytest.approx(by_hand.residual, abs=1e-9)


# ---- trades, payments, expiry: worked by hand


def fill_of(i: int, side: Side, quantity: str, price: str, fee: str = "0", currency: str = "BTC") -> Fill:
    return Fill(LISTINGS[i], side, Decimal(quantity), Decimal(price), Decimal(fee), currency)


def after_fills(index: float, fills: Sequence[Fill], book: Book | None = None) -> Standing:
    """The ledger's own account of the fills, at an index."""
    return of_book(Book() if book is None else book, fills, valued(market(index)))


def of_book(book: Book, fills: Sequence[Fill], valuation: Valuation) -> Standing:
    for fill in fills:
        book = book.apply(fill)
    universe = valuation.universe
    prices = {x.key: float(f) for x, f in zip(universe.listings, valuation.forward, strict=True)}
    balances = {name: float(amount) for name, amount in book.balances(prices).items()}
    return Standing(valuation, book.quantities(universe), balances)


def test_a_sale_of_perpetuals() -> None:
    # 50 contracts of 100 USD sold at 60,590, the mid 60,600 as the mark before; the mark is now 60,500 x 1.01
    fill = fill_of(4, Side.SELL, "50", "60590", "0.0004")
    before = of_book(Book(), [], valued(market()))
    found = attribute(before, after_fills(60_500.0, [fill]), Flows((Trade(fill, 60_600.0),)))
    parts, mark = found.rows["BTC"], 60_500 * 1.01
    assert parts.slippage == pytest.approx(-5_000 * (1 / 60_590 - 1 / 60_600) * 60_500, rel=1e-12)
    assert parts.slippage < 0
    assert parts.traded == pytest.approx(-5_000 * (1 / 60_600 - 1 / mark) * 60_500, rel=1e-12)
    assert parts.fees == pytest.approx(-0.0004 * 60_500, rel=1e-12)
    assert parts.delta == parts.basis == 0.0 and abs(parts.residual) < 1e-9
    assert found.total.pnl == pytest.approx(found.equity_change, rel=1e-9)


def test_fees_and_slippage_count_at_the_index_of_the_trade() -> None:
    """The sale above, the coin at 60,250 when it was booked; what it moved by from then on is no cost."""
    fill = fill_of(4, Side.SELL, "50", "60590", "0.0004")
    before = of_book(Book(), [], valued(market()))
    after = after_fills(60_500.0, [fill])
    found = attribute(before, after, Flows((Trade(fill, 60_600.0, {"BTC": 60_250.0}),)))
    parts, mark, slipped = found.rows["BTC"], 60_500 * 1.01, -5_000 * (1 / 60_590 - 1 / 60_600)
    assert parts.slippage == pytest.approx(slipped * 60_250, rel=1e-12)
    assert parts.fees == pytest.approx(-0.0004 * 60_250, rel=1e-12)
    later = (slipped - 0.0004) * (60_500 - 60_250)
    assert parts.traded == pytest.approx(-5_000 * (1 / 60_600 - 1 / mark) * 60_500 + later, rel=1e-12)
    assert abs(parts.residual) < 1e-9 and found.total.pnl == pytest.approx(found.equity_change, rel=1e-9)
    later_mark = attribute(before, after, Flows((Trade(fill, 60_600.0),)))
    assert found.total.pnl == pytest.approx(later_mark.total.pnl, rel=1e-12)


def test_a_purchase_of_an_option_in_coin_and_of_spot() -> None:
    valuation = valued(market())
    price = float(valuation.price[0])
    bought, coins = (
        fill_of(0, Side.BUY, "2", "0.05", "0.0006"),
        fill_of(8, Side.BUY, "0.5", "60010", "3", "USDC"),
    )
    flows = Flows((Trade(bought, 0.048), Trade(coins, 60_005.0)))
    found = attribute(of_book(Book(), [], valuation), after_fills(S, [bought, coins]), flows)
    parts = found.rows["BTC"]
    assert parts.slippage == pytest.approx(-2 * 0.002 * S - 0.5 * 5, rel=1e-12)
    assert parts.traded == pytest.approx(2 * (price - 0.048) * S - 0.5 * 5, rel=1e-12)
    assert parts.fees == pytest.approx(-0.0006 * S - 3, rel=1e-12)
    assert found.equity_change == pytest.approx(parts.slippage + parts.traded + parts.fees, rel=1e-12)
    assert found.rows[OTHER].residual == pytest.approx(0.0, abs=1e-9)


def test_payments_and_transfers() -> None:
    valuation, empty = valued(market()), np.zeros(len(LISTINGS))
    flows = Flows(
        payments=(
            Payment(Cause.FUNDING, "BTC", -0.001),
            Payment(Cause.FUNDING, "USDC", 12.0, "BTC"),
            Payment(Cause.FEE, "USDC", -2.0),
            Payment(Cause.TRANSFER, "BTC", 1.5),
        )
    )
    after = Standing(valuation, empty, {"BTC": 1.499, "USDC": 1_010.0})
    found = attribute(Standing(valuation, empty, {"USDC": 1_000.0}), after, flows)
    assert found.rows["BTC"] == Parts(funding=-48.0)
    assert found.rows[OTHER].fees == -2.0 and found.transfers == 90_000.0
    assert found.total.pnl == pytest.approx(found.equity_change - found.transfers, abs=1e-9)
    assert found.rows[OTHER].residual == pytest.approx(0.0, abs=1e-9)


def test_cash_that_no_flow_tells_is_the_residual_of_other() -> None:
    valuation, empty = valued(market()), np.zeros(len(LISTINGS))
    found = attribute(Standing(valuation, empty, {}), Standing(valuation, empty, {"BTC": 0.01}))
    assert found.rows == {OTHER: Parts(residual=600.0)}


@pytest.mark.parametrize(("i", "strike", "sign"), [(0, 62_000, 1), (1, 57_000, -1), (2, 61_000, 1)])
@pytest.mark.parametrize("settled_at", [50_000.0, 64_000.0])
def test_an_expiry(i: int, strike: int, sign: int, settled_at: float) -> None:
    before, later_index = valued(market(days=DAYS - 0.1)), settled_at + 500.0
    x, q = LISTINGS[i], -4.0
    payoff = max(sign * (settled_at - strike), 0.0)
    cash = {"BTC": q * payoff / settled_at} if x.contract.inverse else {"USDC": q * payoff}
    rest = tuple(y for y in LISTINGS if y.expiry_ns == 0)
    after = Standing(valued(market(later_index, days=DAYS + 0.1, listings=rest)), np.zeros(len(rest)), cash)
    found = attribute(standing(before, i, q, {}), after, Flows(settled={x.key: settled_at}))
    parts = found.rows["BTC"]
    start = q * float(before.value_usd[i])
    paid = q * payoff * (later_index / settled_at if x.contract.inverse else 1.0)
    assert found.unknown == ()
    assert parts.pnl == pytest.approx(paid - start, rel=1e-12)
    assert parts.residual == pytest.approx(0.0, abs=1e-9) and parts.vega == 0.0
    # the coins received gained from the settlement to the later mark
    remarked = q * payoff / settled_at * 500.0 if x.contract.inverse else 0.0
    moved = q * float(before.usd.delta[i]) * (settled_at - S)
    assert parts.delta == pytest.approx(moved + remarked, rel=1e-12)
    assert parts.settlement == pytest.approx(
        parts.pnl - parts.delta - parts.gamma - parts.theta - parts.basis, rel=1e-9
    )


@pytest.mark.parametrize("i", [6, 7])
def test_a_future_runs_into_its_settlement_without_remainder(i: int) -> None:
    x, q, price, index = LISTINGS[i], 7.0, 63_000.0, 62_000.0
    before = valued(market())
    entry = S * C
    cash = {"BTC": q * (1 / entry - 1 / price)} if x.contract.inverse else {"USDC": q * (price - entry)}
    rest = tuple(y for y in LISTINGS if y.expiry_ns == 0)
    after = Standing(valued(market(index, days=DAYS + 1, listings=rest)), np.zeros(len(rest)), cash)
    found = attribute(standing(before, i, q, {}), after, Flows(settled={x.key: price}))
    parts = found.rows["BTC"]
    assert parts.delta + parts.basis == pytest.approx(found.equity_change, rel=1e-12)
    assert parts.settlement == pytest.approx(0.0, abs=1e-9) and parts.residual == pytest.approx(0.0, abs=1e-9)


# ---- what cannot be known


def test_a_leg_without_a_mark_is_unknown_with_its_reason_and_spoils_its_own_underlying_only() -> None:
    ether = listing(perpetual("ETH"))
    both = (*LISTINGS, ether)
    base = market(listings=LISTINGS)
    eth = Quote(ether, bid=1_999.0, ask=2_001.0, mark=2_000.0, index=2_000.0)
    quotes = [
        Quote(
            x, mark=float(base.mark[i]), mark_iv=float(base.mark_iv[i]), forward=float(base.forward[i]),
            index=S, bid=float(base.bid[i]), ask=float(base.ask[i]),
        )
        for i, x in enumerate(LISTINGS)
    ]  # fmt: skip
    whole = value(market_of([*quotes, eth]), AGE_S_MAX)
    quotes[0] = replace(quotes[0], age_s=10_000.0)
    later = value(market_of([*quotes, eth]), AGE_S_MAX)
    quantities = np.zeros(len(both))
    quantities[0], quantities[-1] = 2.0, 5.0
    found = attribute(Standing(whole, quantities, {"ETH": 3.0}), Standing(later, quantities, {"ETH": 3.0}))
    assert found.unknown == (f"deribit {LISTINGS[0].symbol}: stale at the later mark",)
    bad = found.rows["BTC"]
    assert math.isnan(bad.residual) and math.isnan(bad.pnl) and math.isnan(bad.vega)
    assert found.rows["ETH"].pnl == 0.0
    assert math.isnan(found.total.pnl) and math.isnan(found.rows[OTHER].residual)


def test_a_listing_that_is_gone_without_a_settlement_is_unknown() -> None:
    rest = LISTINGS[4:]
    after = Standing(valued(market(listings=rest)), np.zeros(len(rest)), {})
    found = attribute(standing(valued(market()), 0, 1.0, {}), after)
    assert found.unknown == (
        f"deribit {LISTINGS[0].symbol}: not listed at the later mark, and no settlement is told",
    )
    assert math.isnan(found.rows["BTC"].pnl)


def test_an_arrival_mid_or_an_index_that_nobody_knows() -> None:
    fill = fill_of(4, Side.BUY, "10", "60600", "0.01", "BNB")
    after = after_fills(S, [fill])
    found = attribute(of_book(Book(), [], valued(market())), after, Flows((Trade(fill, NAN),)))
    assert math.isnan(found.rows["BTC"].slippage) and math.isnan(found.rows["BTC"].fees)
    assert found.unknown == (
        f"deribit {LISTINGS[4].symbol}: the mid at the trade's arrival is not known",
        "BNB: no index at the later mark",
    )


def test_intervals_join_end_to_end() -> None:
    first = attribute(
        standing(valued(market()), 0, 1.0, {}), standing(valued(market(S + 50, days=1)), 0, 1.0, {})
    )
    later = valued(market(S - 80, vol=0.61, days=2))
    second = attribute(standing(valued(market(S + 50, days=1)), 0, 1.0, {}), standing(later, 0, 1.0, {}))
    both = first.then(second)
    assert both.rows["BTC"] == first.rows["BTC"] + second.rows["BTC"]
    assert both.total.pnl == pytest.approx(both.equity_change, rel=1e-12)
    with pytest.raises(ValueError, match="begins"):
        second.then(first)


# ---- the sum, whatever happens

MOVES = st.tuples(st.floats(0.7, 1.4), st.floats(0.97, 1.03), st.floats(0.2, 1.5), st.floats(0.0, 29.0))
FILLS = st.lists(
    st.tuples(
        st.integers(0, len(LISTINGS) - 1), st.sampled_from(list(Side)), st.integers(1, 500),
        st.floats(0.9, 1.1), st.integers(0, 50),
    ),
    max_size=6,
)  # fmt: skip
HELD = st.lists(st.integers(-300, 300), min_size=len(LISTINGS), max_size=len(LISTINGS))


def book_of(held: Sequence[int], prices: Valuation, sign: int = 1) -> Book:
    positions = [
        Position(x, "", Decimal(sign * q) / 10)
        for x, q in zip(LISTINGS, held, strict=True)
        if q and x.contract.kind is not Kind.SPOT
    ]
    cash = {
        ("deribit", "", "BTC"): Decimal(sign * held[-1]) / 10,
        ("deribit", "", "USDC"): Decimal(sign * 1_000),
    }
    forward = {x.key: float(f) for x, f in zip(LISTINGS, prices.forward, strict=True)}
    return Book.of(positions, cash).opened_at(forward)


def played(
    held: Sequence[int],
    drawn: Sequence[tuple[int, Side, int, float, int]],
    move: tuple[float, float, float, float],
    sign: int = 1,
) -> Attribution:
    early, late = valued(market()), valued(market(S * move[0], C * move[1], move[2], move[3]))
    book, trades = book_of(held, early, sign), []
    for i, side, quantity, off, fee in drawn:
        mid = float(early.price[i])
        price = Decimal(repr(round(mid * off, 6) or 0.000001))
        turned = side if sign == 1 else (Side.SELL if side is Side.BUY else Side.BUY)
        fill = Fill(LISTINGS[i], turned, Decimal(quantity) / 10, price, Decimal(sign * fee) / 10_000, "BTC")
        trades.append(Trade(fill, mid))
    before, after = of_book(book, [], early), of_book(book, [t.fill for t in trades], late)
    return attribute(before, after, Flows(tuple(trades)))


@given(held=HELD, drawn=FILLS, move=MOVES)
def test_the_parts_sum_to_the_change_of_equity(
    held: list[int], drawn: list[tuple[int, Side, int, float, int]], move: tuple[float, float, float, float]
) -> None:
    found = played(held, drawn, move)
    scale = 1e-9 * sum(S * (abs(q) / 10) for q in [*held, *(x[2] for x in drawn)]) + 1e-6
    assert found.total.pnl == pytest.approx(found.equity_change, rel=1e-9, abs=scale)
    assert found.rows[OTHER].pnl == pytest.approx(0.0, abs=scale)
    assert found.unknown == ()
    mirrored = played(held, drawn, move, -1).total
    for name in Parts.__slots__:
        assert getattr(mirrored, name) == pytest.approx(-getattr(found.total, name), rel=1e-9, abs=scale)


def test_a_day_of_the_simulated_market_reconciles_through_trades_funding_and_expiry() -> None:
    """Against the exact ledger: every two hours some fills, funding, and an expiry on the way."""
    source, rng = SimulatedMarket(11), np.random.default_rng(3)
    now = Market.empty(source.universe).apply(source.marks())
    book = market_maker_book(now, value(now, AGE_S_MAX), 11, AGE_S_MAX, SampleSettings(positions=30))
    valuation = value(now, AGE_S_MAX)
    prices = {x.key: float(f) for x, f in zip(now.universe.listings, valuation.forward, strict=True)}
    book = book.opened_at(prices)
    whole: Attribution | None = None
    settled_any = False
    start = exact_equity(book, valuation)
    for _ in range(12):
        before = of_book(book, [], valuation)
        trades, payments, settled = [], [], {}
        for _ in range(4):
            i = int(rng.choice(np.flatnonzero(np.isfinite(now.bid) & np.isfinite(now.ask))))
            x, side = now.universe.listings[i], Side.BUY if rng.random() < 0.5 else Side.SELL
            price = float(now.ask[i] if side is Side.BUY else now.bid[i])
            fill = Fill(x, side, max(x.lot * 3, x.minimum), Decimal(repr(price)), Decimal("0.00001"), "BTC")
            trades.append(Trade(fill, 0.5 * float(now.bid[i] + now.ask[i])))
            book = book.apply(fill)
        book = book.pay("simulated", "", "BTC", Decimal("0.002"))
        payments.append(Payment(Cause.FUNDING, "BTC", -0.002))
        now = now.apply(source.step(7_200.0))
        valuation = value(now, AGE_S_MAX)
        spots = dict(zip(now.universe.underlyings, valuation.spot.tolist(), strict=True))
        for key, position in list(book.positions.items()):
            if 0 < position.listing.expiry_ns <= now.now_ns:
                price = round(spots[position.listing.contract.underlying] * 0.999, 2)
                book = book.settle(key, Decimal(repr(price)))
                settled[position.listing.key] = price
                settled_any = True
        after = of_book(book, [], valuation)
        part = attribute(before, after, Flows(tuple(trades), tuple(payments), settled))
        assert part.unknown == ()
        assert abs(part.rows[OTHER].pnl) < 1e-6
        whole = part if whole is None else whole.then(part)
    assert whole is not None and settled_any
    change = exact_equity(book, valuation) - start
    assert whole.total.pnl == pytest.approx(change, rel=1e-9)
    assert whole.equity_change == pytest.approx(change, rel=1e-9)
    total = whole.total
    assert total.slippage < 0 and total.fees < 0 and total.funding < 0
    moves = sum(abs(getattr(total, name)) for name in ("delta", "gamma", "theta", "vega"))
    assert abs(total.residual) < 0.1 * moves


def exact_equity(book: Book, valuation: Valuation) -> float:
    """The ledger in rational numbers, times the index; options at their model price."""
    universe: Universe = valuation.universe
    spots = dict(zip(universe.underlyings, valuation.spot.tolist(), strict=True))
    prices = {x.key: float(f) for x, f in zip(universe.listings, valuation.forward, strict=True)}
    total = sum(
        float(amount) * (1.0 if name in STABLE_CURRENCIES else spots[name])
        for name, amount in book.balances(prices).items()
    )
    for position in book.positions.values():
        x = position.listing
        if x.contract.kind is Kind.OPTION:
            price = float(valuation.price[universe.positions[x.key]]) * float(position.quantity * x.size)
            total += price * (spots[x.contract.underlying] if x.contract.inverse else 1.0)
    return total


def test_equity_is_nan_where_a_position_is() -> None:
    valuation = value(market_of([Quote(LISTINGS[0], age_s=None)]), AGE_S_MAX)
    assert math.isnan(equity_usd(Standing(valuation, np.array([1.0]), {})))
    assert equity_usd(Standing(valuation, np.array([0.0]), {"USDC": 5.0})) == 5.0
