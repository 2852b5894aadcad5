"""Margin as the venue reports it, and the most that an order adds to it: reckoned by hand here."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedger.core.actions import Permission
from hedger.core.gate import Denied, Situation
from hedger.core.reported_margin import reported_margin
from hedger.core.state import ReportedMargin
from hedger.engine.limit_gate import LimitGate
from pricing.contracts import Kind, Side
from pricing.oracle import Verdict
from risk.limit_request import MarginView
from tests.hedger.rig import VENUE, Free, Rig, desk
from tests.risk.limit_desk import limits
from venues.orders import EVERY_CURRENCY, AccountMargin, Order

SHARE = 0.35
LONG = {"BTC-PERPETUAL": "400000"}


def asked(rows: dict[str, str]) -> tuple[Rig, Order, Situation]:
    """An order of the engine, and the situation in which the limits were asked about it."""
    seen: list[tuple[Order, Situation]] = []

    def gate(order: Order, situation: Situation) -> Permission | Denied:
        seen.append((order, situation))
        return Free(order)

    rig = Rig(rows, desk(), gate=gate).armed()
    rig.mark(1.0)
    return rig, *seen[0]


def told(
    situation: Situation,
    currency: str,
    positions: dict[str, str],
    cash: dict[str, float] | None = None,
    **margin: Any,
) -> Situation:
    """The same, with what the venue has reported."""
    figures = {"balance": 10.0, "initial": 1.0, "maintenance": 0.5} | margin
    held = {s: Decimal(q) for s, q in positions.items()}
    reported = ReportedMargin("", {currency: AccountMargin(**figures)}, held, cash)
    state = replace(situation.state, orders={}).with_venue(VENUE, reported=reported)
    return replace(situation, state=state)


def of(symbol: str, signed: str, rows: dict[str, str], had: dict[str, str], **margin: Any) -> MarginView:
    """The view of an order on a listing, with `had` reported and `rows` booked."""
    _, order, situation = ASKED if rows == LONG else asked(rows | {"BTC-PERPETUAL": "400000"})
    universe = situation.snapshot.valuation.universe
    row = universe.positions[VENUE, symbol]
    listing = universe.listings[row]
    size = Decimal(signed)
    mine = replace(
        order,
        listing=listing,
        side=Side.BUY if size > 0 else Side.SELL,
        quantity=abs(size),
        price=Decimal(repr(float(situation.market.ask[row]))),
    )
    currency = margin.pop("currency", listing.contract.settlement)
    cash = margin.pop("cash", None)
    return reported_margin(mine, replace(told(situation, currency, had, cash, **margin), row=row), SHARE)


ASKED = asked(LONG)


def forward() -> float:
    _, _, situation = ASKED
    at = situation.snapshot.valuation.universe.positions[VENUE, "BTC-PERPETUAL"]
    return float(situation.snapshot.valuation.forward[at])


def test_an_inverse_perpetual_adds_its_share_of_the_coins_it_is_for() -> None:
    view = of("BTC-PERPETUAL", "-100000", LONG, LONG)
    assert view.proven and (view.initial_before, view.balance_before, view.balance_after) == (1.0, 10.0, 10.0)
    assert view.initial_after == pytest.approx(1.0 + 0.35 * 100000 / forward(), rel=1e-12)
    assert view.maintenance_after == pytest.approx(0.5 + 0.35 * 100000 / forward(), rel=1e-12)


def test_a_trade_against_the_position_is_let_off_where_each_stands_by_itself() -> None:
    view = of("BTC-PERPETUAL", "-100000", LONG, LONG, by_position=True)
    assert view.initial_after == view.initial_before == 1.0
    turned = of("BTC-PERPETUAL", "-900000", LONG, LONG, by_position=True)  # short by 500,000 in the end
    assert turned.initial_after == pytest.approx(1.0 + 0.35 * 100000 / forward(), rel=1e-12)


def test_what_was_traded_since_the_report_counts_before_the_order() -> None:
    view = of("BTC-PERPETUAL", "100000", LONG, {"BTC-PERPETUAL": "250000"})
    assert view.initial_before == pytest.approx(1.0 + 0.35 * 150000 / forward(), rel=1e-12)
    assert view.initial_after == pytest.approx(1.0 + 0.35 * 250000 / forward(), rel=1e-12)
    gone = of("BTC-PERPETUAL", "100000", LONG, {"BTC-PERPETUAL": "400000", "NO-LONGER-LISTED": "1"})
    assert not gone.proven and "NO-LONGER-LISTED" in gone.reason and np.isnan(gone.initial_after)


def option() -> str:
    _, _, situation = ASKED
    known = situation.snapshot.valuation.universe.listings
    return next(x.symbol for x in known if x.contract.kind is Kind.OPTION and x.contract.underlying == "BTC")


def test_an_option_sold_needs_its_share_of_a_coin_and_the_premium_bought_it_leaves_the_balance() -> None:
    _, _, situation = ASKED
    at = situation.snapshot.valuation.universe.positions[VENUE, option()]
    ask = max(float(situation.market.ask[at]), float(situation.market.mark[at]))
    sold = of(option(), "-2", LONG, LONG, by_position=True)
    assert sold.initial_after == pytest.approx(1.0 + 2 * (0.35 + ask), rel=1e-12)
    assert sold.balance_after == 10.0
    bought = of(option(), "2", LONG, LONG, by_position=True)
    assert bought.initial_after == 1.0
    assert bought.balance_after == pytest.approx(10.0 - 2 * ask, rel=1e-12)
    whole = of(option(), "2", LONG, LONG)  # in a portfolio the premium may be needed as well
    assert whole.initial_after == pytest.approx(1.0 + 2 * ask, rel=1e-12)


def test_spot_takes_its_price_or_its_coins_off_the_balance() -> None:
    sold = of("BTC_USDC", "-3", LONG, LONG, currency="BTC")
    assert (sold.balance_after, sold.initial_after) == (7.0, 1.0)
    bought = of("BTC_USDC", "3", LONG, LONG, balance=1e6)
    _, _, situation = ASKED
    at = situation.snapshot.valuation.universe.positions[VENUE, "BTC_USDC"]
    price = max(float(situation.market.ask[at]), float(situation.market.mark[at]))
    assert bought.balance_after == pytest.approx(10**6 - 3 * price, rel=1e-12)


POOL = {"currency": EVERY_CURRENCY, "balance": 5e6, "initial": 1e6, "maintenance": 5e5}


def index() -> float:
    return float(ASKED[2].snapshot.spot["BTC"])


def dearest() -> float:
    """The most that a coin of spot may cost, USDC."""
    market, at = ASKED[2].market, ASKED[2].snapshot.valuation.universe.positions[VENUE, "BTC_USDC"]
    return max(float(market.ask[at]), float(market.mark[at]))


def test_a_pool_in_usd_takes_coins_at_the_index_and_dollars_as_they_are() -> None:
    view = of("BTC-PERPETUAL", "-100000", LONG, LONG, **POOL)
    assert view.proven and (view.balance_before, view.balance_after) == (5e6, 5e6)
    added = 0.35 * 100000 * index() / forward()
    assert view.initial_after == pytest.approx(1e6 + added, rel=1e-12)
    assert view.maintenance_after == pytest.approx(5e5 + added, rel=1e-12)
    sold = of("BTC_USDC", "-3", LONG, LONG, **POOL)
    assert sold.balance_after == pytest.approx(5e6 - 3 * index(), rel=1e-12) and sold.initial_after == 1e6
    bought = of("BTC_USDC", "3", LONG, LONG, **POOL)
    assert bought.balance_after == pytest.approx(5e6 - 3 * dearest(), rel=1e-12)


def test_a_coin_beside_a_pool_that_is_not_told_whole_is_unknown() -> None:
    view = of("BTC-PERPETUAL", "-100000", LONG, LONG, balance=np.nan, initial=np.nan, maintenance=np.nan)
    assert not view.proven and "reports no margin of BTC" in view.reason


def test_in_a_pool_what_was_traded_in_every_currency_counts() -> None:
    """100,000 USD of the perpetual since the report and three coins bought; then two coins are to be sold."""
    had = {"BTC-PERPETUAL": "300000"}
    view = of("BTC_USDC", "-2", LONG | {"BTC_USDC": "3"}, had, **POOL)
    assert view.initial_before == pytest.approx(1e6 + 0.35 * 100000 * index() / forward(), rel=1e-12)
    assert view.balance_before == pytest.approx(5e6 - 3 * dearest(), rel=1e-12)
    assert view.balance_after == pytest.approx(5e6 - 3 * dearest() - 2 * index(), rel=1e-12)


def test_a_pool_without_an_index_of_the_coin_that_decides_is_unknown() -> None:
    _, order, situation = ASKED
    pooled = told(situation, EVERY_CURRENCY, LONG, balance=5e6, initial=1e6, maintenance=5e5)
    assert reported_margin(order, pooled, SHARE).proven
    snapshot = situation.snapshot
    bad = replace(snapshot.readings["BTC"], verdict=Verdict.BAD)
    for blind in (
        replace(snapshot, spot={**snapshot.spot, "BTC": math.nan}),
        replace(snapshot, readings={**snapshot.readings, "BTC": bad}),
        replace(snapshot, readings={}),
    ):
        view = reported_margin(order, replace(pooled, snapshot=blind), SHARE)
        assert not view.proven and "index" in view.reason and np.isnan(view.initial_after)


def test_a_spot_wallet_of_its_own_is_bounded_by_what_is_free_and_bounds_nothing_else() -> None:
    cash = {"USDC": 1_000_000.0, "BTC": 4.0}
    sold = of("BTC_USDC", "-3", LONG, LONG, cash=cash)
    assert (sold.balance_before, sold.balance_after) == (4.0, 1.0)
    assert (sold.initial_after, sold.maintenance_after) == (0.0, 0.0)
    bought = of("BTC_USDC", "3", LONG, LONG, cash=cash)
    assert bought.balance_after == pytest.approx(1_000_000.0 - 3 * dearest(), rel=1e-12)
    other = of("BTC_USDC", "-3", LONG, LONG, cash={"USDC": 1.0})
    assert not other.proven and "no free balance of BTC" in other.reason
    # Three coins sold since the report were the spot wallet's, and are nothing to the derivatives.
    traded = of("BTC-PERPETUAL", "-100000", LONG | {"BTC_USDC": "-3"}, LONG, cash=cash)
    assert (traded.balance_after, traded.initial_before) == (10.0, 1.0)
    assert traded.initial_after == pytest.approx(1.0 + 0.35 * 100000 / forward(), rel=1e-12)


@pytest.mark.parametrize(("balance", "refused"), [(5e6, False), (1.25e6, True), (-1.0, True)])
def test_the_limits_refuse_what_a_pool_cannot_bear(balance: float, refused: bool) -> None:
    """A million of initial margin is needed already, and at most 0.8 of the balance may be by default."""
    gate = LimitGate(limits(), {VENUE: True}, reported=frozenset({VENUE}))
    _, order, situation = ASKED
    pooled = told(situation, EVERY_CURRENCY, LONG, balance=balance, initial=1e6, maintenance=5e5)
    found = gate(order, pooled)
    codes = {found.code, *found.also} if isinstance(found, Denied) else set()
    assert ("MARGIN_INITIAL" in codes) is refused and "MARGIN_UNKNOWN" not in codes


def test_what_the_venue_has_not_told_is_unknown() -> None:
    _, order, situation = ASKED
    silent = situation.state.with_venue(VENUE, reported=None)
    view = reported_margin(order, replace(situation, state=silent), SHARE)
    assert not view.proven and "not reported" in view.reason and np.isnan(view.initial_after)
    other = of("BTC-PERPETUAL", "-100", LONG, LONG, currency="ETH")
    assert not other.proven and "no margin of BTC" in other.reason


@given(
    st.lists(st.integers(-40, 40).filter(bool), min_size=1, max_size=6),
    st.integers(-40, 40),
    st.booleans(),
)
def test_the_bound_holds_in_whatever_order_and_part_the_trades_fill(
    trades: list[int], had: int, by_position: bool
) -> None:
    """A venue that asks for any rate up to the share of a position's notional never asks for more."""
    from hedger.core.reported_margin import _Flow, _of_listing, _with

    _, _, situation = ASKED
    row = situation.snapshot.valuation.universe.positions[VENUE, "BTC-PERPETUAL"]
    flow = _Flow(row, float(had), float(had), float(had))
    for trade in trades:
        flow = _with(flow, float(trade), 1.0)
    most = _of_listing(flow, situation, "BTC", SHARE, by_position).margin
    reachable = {had}
    for trade in trades:
        reachable |= {x + trade for x in reachable}
    per_unit = SHARE / forward()
    worst = max(abs(x) for x in reachable)
    assert most >= per_unit * (worst - abs(had)) - 1e-15


def test_the_limits_let_a_hedge_out_on_reported_margin_and_refuse_one_beyond_it() -> None:
    _, order, situation = ASKED
    gate = LimitGate(limits(), {VENUE: True}, reported=frozenset({VENUE}))
    known = told(situation, "BTC", LONG)
    found = gate(order, known)
    assert not isinstance(found, Denied) or not {found.code, *found.also} & {
        "MARGIN_UNKNOWN",
        "MARGIN_INITIAL",
    }
    poor = gate(order, told(situation, "BTC", LONG, balance=1.01))
    assert isinstance(poor, Denied) and "MARGIN_INITIAL" in {poor.code, *poor.also}
    unknown = gate(order, replace(situation, state=known.state.with_venue(VENUE, reported=None)))
    assert isinstance(unknown, Denied) and "MARGIN_UNKNOWN" in {unknown.code, *unknown.also}
