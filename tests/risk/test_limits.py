"""Every control of an order at, just inside and just beyond its edge; and what holds of all of them."""

from __future__ import annotations

import copy
import itertools
import math
import pickle
from collections.abc import Callable
from dataclasses import fields, replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pricing.contracts import Listing, Side
from pricing.daycount import NS_PER_SECOND
from pricing.valuation import Numeraire, value
from risk.corners import gross_usd, row_range
from risk.exposures import ExposureSettings, expose, row_names
from risk.limit_checks import CHECKS
from risk.limit_codes import Code
from risk.limit_request import (
    Ages,
    BookView,
    DayView,
    Facts,
    Held,
    MarginView,
    Purpose,
    Recent,
    Request,
    Stand,
    Style,
    Surroundings,
    Target,
    TicketLeg,
)
from risk.limit_terms import GreekLimits, Limits
from risk.limits import Approved, Refused, findings, review
from risk.second_opinion import independent_effect
from risk.throttle import Hedge, TokenBucket, fruitless
from tests.builders import NAN, NOW_NS, Quote, future, listing, market_of, option, perpetual, spot
from tests.risk.limit_desk import (
    CALL,
    FACTS,
    INDEX,
    INVERSE,
    PERP,
    ROWS,
    around,
    effect_of,
    limits,
    pending,
    request,
)

Trial = tuple[Request, Surroundings, Limits]


def codes(r: Request, a: Surroundings, limit: Limits | None = None) -> set[Code]:
    return {finding.code for finding in findings(r, a, limit or Limits())}


def book(**changes: Any) -> BookView:
    return replace(around().book, **changes)


def margin(**changes: Any) -> MarginView:
    view = around().margin
    assert view is not None
    return replace(view, **changes)


def ages(**changes: float) -> Ages:
    return replace(around().ages, **changes)


def day(**changes: Any) -> DayView:
    return replace(around().day, **changes)


def call(**changes: Any) -> Request:
    """Buy 2 calls of a leg of 2 at 0.0700, to bring back gamma."""
    facts = Facts(INDEX, INDEX, 40 / 365, 0.6)
    effect = {k: v for k, v in independent_effect(CALL, 2.0, facts, Numeraire.USD, 2.0).items() if k in ROWS}
    legs = (TicketLeg(CALL, Decimal(2), facts),)
    targets = (Target("gamma:BTC", -1e-4, -1e-5, 1e-5),)
    plain = request(
        listing=CALL, price=Decimal("0.0700"), effect=effect, facts=facts, parent_quantity=Decimal(2)
    )
    return replace(plain, **({"purpose": Purpose(targets, legs)} | changes))


def call_book(**changes: Any) -> Surroundings:
    return around(book=replace(BookView(0.069, 0.07, 10.0, 10.0, 0.0695, None, True), **changes))


def test_the_desk_of_these_tests_is_let_out() -> None:
    item = object()
    verdict = review(item, request(), around(), Limits())
    assert isinstance(verdict, Approved)
    assert verdict.item is item
    assert codes(call(), call_book()) == set()


# ------------------------------------------------------------------------- at, below and above each edge


def priced(price: str, **limit: float) -> Trial:
    """Wide limits of price but one."""
    wide = {name.name: 1e4 for name in fields(Limits().price)}
    return request(price=Decimal(price)), around(), limits(price=wide | limit)


def held(quantity: str, of: Listing = PERP, usd: float = INDEX) -> Held:
    return Held(of, Decimal(quantity), usd)


def old(seconds: float) -> int:
    return NOW_NS - round(seconds * NS_PER_SECOND)


def recent(seconds: float, **changes: Any) -> Recent:
    r = request()
    plain = Recent("other", r.parent, r.listing.key, r.side, r.quantity, r.price, r.immediate, old(seconds))
    return replace(plain, **changes)


def expiring(seconds: float) -> Trial:
    contract = listing(future(seconds / 86_400, inverse=False), "SOON", lot="0.1", ticks="0:0.5")
    legs = (TicketLeg(contract, Decimal(5), FACTS),)
    purpose = Purpose((Target("delta:BTC", -5.0, -1.0, 1.0),), legs)
    return request(listing=contract, purpose=purpose), around(), limits(calendar={"expiry_block_s": 1800.0})


def gamma_of(total: float, code: str) -> Trial:
    """A call whose gamma brings the row to `total` USD per 1 %."""
    r = call()
    here = total / around().usd_per_row["gamma:BTC"] - r.effect["gamma:BTC"]
    rows = dict(around().rows) | {"gamma:BTC": (here, here)}
    return r, replace(call_book(), rows=rows), limits(greeks={code: 1_000.0})


def vega_of(total: float) -> Trial:
    r = call()
    here = total / 0.01 - r.effect["vega:BTC"]
    rows = dict(around().rows) | {"vega:BTC": (here, here)}
    return r, replace(call_book(), rows=rows), limits(greeks={"vega_usd_per_point_max": 500.0})


def expiring_gamma_of(total: float) -> Trial:
    facts = Facts(INDEX, INDEX, 40 / 365, 0.6)
    effect = independent_effect(CALL, 2.0, facts, Numeraire.USD, 50.0)
    here = total / around().usd_per_row["gamma:BTC"] - effect["gamma_expiring:BTC"]
    rows = dict(around().rows) | {"gamma_expiring:BTC": (here, here)}
    targets = (Target("gamma_expiring:BTC", -1.0, -1e-5, 1e-5),)
    purpose = Purpose(targets, (TicketLeg(CALL, Decimal(20_000), facts),), gamma_days_min=50.0)
    limit = limits(greeks={"gamma_expiring_usd_per_1pct_max": 700.0})
    return call(effect=effect, purpose=purpose), replace(call_book(), rows=rows), limit


SETTLEMENT_NS = NOW_NS - NOW_NS % (86_400 * NS_PER_SECOND) + 28_800 * NS_PER_SECOND

#: code, the order as a function of the edge's number, the last number let out, the first step that is not
EDGES: list[tuple[Code, Callable[[float], Trial], float, float]] = [
    (Code.PRICE_FAR_FROM_MID, lambda x: priced(str(50_000 + x), mid_bps_max=20.0), 100.0, 0.5),
    (Code.PRICE_FAR_FROM_MID, lambda x: priced(str(50_000 + x), mid_bps_max=20.0), -100.0, -0.5),
    (Code.PRICE_FAR_FROM_INDEX, lambda x: priced(str(50_000 + x), index_bps_max=10.0), 50.0, 0.5),
    (
        Code.PRICE_FAR_FROM_INDEX,
        lambda x: (call(), call_book(fair=0.07 - x), limits(price={"index_bps_max": 50.0})),
        0.005,  # 0.07 - 0.065 is a bit more in floating point: not beyond the limit
        1e-8,
    ),
    (
        Code.PRICE_FAR_FROM_LAST_FILL,
        lambda x: (request(), around(book=book(last_fill=x)), limits(price={"last_fill_bps_max": 100.0})),
        50_000.5 / 0.99 - 0.01,
        1.0,
    ),
    (Code.PRICE_THROUGH_TOUCH, lambda x: priced(str(x), through_touch_bps_max=10.0), 50_050.5, 0.5),
    (Code.ORDER_TOO_LARGE, lambda x: (request(), around(), limits(order={"coin_max": x})), 2.0, -1e-9),
    (
        Code.ORDER_NOTIONAL,
        lambda x: (request(), around(), limits(order={"notional_usd_max": x})),
        100_000.0,
        -0.01,
    ),
    (
        Code.POSITION_INSTRUMENT,
        lambda x: (request(), around(held=(held("3"),)), limits(position={"instrument_usd_max": x})),
        250_000.0,
        -0.01,
    ),
    (
        Code.POSITION_INSTRUMENT,
        lambda x: (
            request(),
            around(held=(held("3"),), pending=(pending("1", unknown=True), pending("-2"))),
            limits(position={"instrument_usd_max": x}),
        ),
        300_000.0,
        -0.01,
    ),
    (
        Code.POSITION_UNDERLYING,
        lambda x: (request(), around(held=(held("-3", CALL),)), limits(position={"underlying_usd_max": x})),
        250_000.0,
        -0.01,
    ),
    (
        Code.POSITION_VENUE,
        lambda x: (
            request(),
            around(held=(held("-3", listing(perpetual("ETH"), "E"), 1_000.0),)),
            limits(position={"venue_usd_max": x}),
        ),
        103_000.0,
        -0.01,
    ),
    (
        Code.POSITION_FIRM,
        lambda x: (
            request(),
            around(held=(held("-3", listing(perpetual("ETH"), "E", venue="okx"), 1_000.0),)),
            limits(position={"firm_usd_max": x}),
        ),
        103_000.0,
        -0.01,
    ),
    (
        Code.LIMIT_DELTA_EXCEEDED,
        lambda x: (
            request(),
            around(pending=(pending("10", unknown=True), pending("-3"))),
            limits(greeks={"delta_usd_max": x}),
        ),
        350_000.0,
        -0.01,
    ),
    (Code.LIMIT_GAMMA_EXCEEDED, lambda x: gamma_of(x, "gamma_usd_per_1pct_max"), 999.999999, 1e-3),
    (Code.LIMIT_GAMMA_EXPIRING_EXCEEDED, expiring_gamma_of, 699.999999, 1e-3),
    (Code.LIMIT_VEGA_EXCEEDED, vega_of, 499.999999, 1e-3),
    (
        Code.LIMIT_FIRM_DELTA_EXCEEDED,
        lambda x: (
            request(),
            replace(
                around(pending=(pending("10"),)),
                rows=dict(around().rows) | {"delta:ETH": (-20.0, -20.0)},
                usd_per_row=dict(around().usd_per_row) | {"delta:ETH": 1_000.0},
            ),
            limits(firm={"delta_usd_max": x}),
        ),
        370_000.0,
        -0.01,
    ),
    (Code.EFFECT_DISAGREES, lambda x: (request(effect=effect_of(x)), around(), Limits()), 2.299999, 1e-3),
    (Code.EFFECT_DISAGREES, lambda x: (request(effect=effect_of(x)), around(), Limits()), 1.700001, -1e-3),
    (
        Code.HEDGE_NO_PROGRESS,
        lambda x: (
            request(
                purpose=Purpose((Target("delta:BTC", x, -1.0, 1.0),), (TicketLeg(PERP, Decimal(2), FACTS),))
            ),
            around(),
            limits(hedge={"progress_share_min": 0.5}),
        ),
        -5.0,
        -0.001,
    ),
    (
        Code.MARGIN_INITIAL,
        lambda x: (request(), around(margin=margin(initial_after=x)), Limits()),
        80.0,
        1e-6,
    ),
    (
        Code.MARGIN_INITIAL,
        lambda x: (request(), around(margin=margin(balance_after=x)), Limits()),
        15.0,
        -1e-6,
    ),
    (
        Code.MARGIN_MAINTENANCE,
        lambda x: (request(), around(margin=margin(maintenance_after=x)), Limits()),
        60.0,
        1e-6,
    ),
    (Code.STALE_BOOK, lambda x: (request(), around(ages=ages(book=x)), Limits()), 10.0, 1e-6),
    (Code.STALE_BOOK, lambda x: (request(), around(ages=ages(book=x)), Limits()), -10.0, -1e-6),
    (Code.STALE_INDEX, lambda x: (request(), around(ages=ages(index=x)), Limits()), 60.0, 1e-6),
    (Code.STALE_VOL, lambda x: (call(), replace(call_book(), ages=ages(vol=x)), Limits()), 600.0, 1e-6),
    (Code.STALE_POSITIONS, lambda x: (request(), around(ages=ages(positions=x)), Limits()), 120.0, 1e-6),
    (Code.CLOCK_OFFSET, lambda x: (request(), around(ages=ages(clock_offset=x)), Limits()), -1.0, -1e-6),
    (Code.BOOK_CROSSED, lambda x: (request(), around(book=book(bid=x)), Limits()), 50_000.0, 0.5),
    (
        Code.BOOK_THIN,
        lambda x: (request(), around(book=book(ask_size=x)), limits(book={"depth_usd_min": 100_000.0})),
        2.0,
        -1e-6,
    ),
    (Code.DUPLICATE_INTENT, lambda x: (request(), around(recent=(recent(x),)), Limits()), 0.5, -1e-6),
    (Code.RATE_CREDITS, lambda x: (request(), around(credits=x), Limits()), 6.0, -1e-6),
    (Code.RATE_MESSAGES, lambda x: (request(), around(messages=int(x)), Limits()), 299, 1),
    (Code.FRUITLESS_HEDGES, lambda x: (request(), around(fruitless=int(x)), Limits()), 4, 1),
    (Code.BUDGET_LOSS, lambda x: (request(), around(day=DayView(x, 0.0, 0.0)), Limits()), -1e6, -0.01),
    (Code.BUDGET_FEES, lambda x: (request(), around(day=DayView(0.0, x, 0.0)), Limits()), 99_950.0, 0.01),
    (
        Code.BUDGET_SLIPPAGE,
        lambda x: (request(), around(day=DayView(0.0, 0.0, x)), Limits()),
        249_990.0,
        0.01,
    ),
    (
        Code.SELF_TRADE,
        lambda x: (request(), around(pending=(pending("-1", price=Decimal(str(x))),)), Limits()),
        50_001.0,
        -0.5,
    ),
    (
        Code.MAKER_CROSSES,
        lambda x: (
            request(style=Style.MAKE, post_only=True, immediate=False, price=Decimal(str(x))),
            around(),
            Limits(),
        ),
        50_000.0,
        0.5,
    ),
    (
        Code.REDUCE_ONLY_RAISES,
        lambda x: (
            request(reduce_only=True),
            around(held=(held(str(-x)),), pending=(pending("1.5"), pending("-1"))),
            Limits(),
        ),
        3.5,
        -0.1,
    ),
    (
        Code.TOO_MANY_ORDERS,
        lambda x: (
            request(),
            around(pending=tuple(pending("0.1", intent=str(i)) for i in range(int(x)))),
            limits(order={"open_venue_max": 3}),
        ),
        2,
        1,
    ),
    (
        Code.TOO_MANY_ORDERS,
        lambda x: (
            request(),
            around(
                pending=tuple(
                    pending("0.1", listing(perpetual(inverse=False), "P", venue="okx"), intent=str(i))
                    for i in range(int(x))
                )
            ),
            limits(order={"open_max": 3}),
        ),
        2,
        1,
    ),
    (
        Code.ORDER_TOO_OLD,
        lambda x: (request(), around(pending=(pending("0.1", since_ns=old(x)),)), Limits()),
        600.0,
        1e-3,
    ),
    (
        Code.CHILDREN_EXCEED_PARENT,
        lambda x: (request(parent_done=Decimal(str(x))), around(), Limits()),
        3.0,
        0.1,
    ),
    (Code.NEAR_EXPIRY, expiring, 1800.0, -1e-3),
    (
        Code.SETTLEMENT_WINDOW,
        lambda x: (
            request(),
            around(now_ns=SETTLEMENT_NS + round(x * NS_PER_SECOND)),
            limits(calendar={"settlement_block_s": 60.0}),
        ),
        60.0,
        -0.01,
    ),
    (
        Code.SETTLEMENT_WINDOW,
        lambda x: (
            request(),
            around(now_ns=SETTLEMENT_NS + round(x * NS_PER_SECOND)),
            limits(calendar={"settlement_block_s": 60.0}),
        ),
        -60.0,
        0.01,
    ),
    (
        Code.MAINTENANCE,
        lambda x: (request(), around(maintenance=((NOW_NS + round(x), NOW_NS + 9),)), Limits()),
        1,
        -1,
    ),
]


@pytest.mark.parametrize(
    ("code", "trial", "edge", "step"), EDGES, ids=[f"{i}-{e[0].name}" for i, e in enumerate(EDGES)]
)
def test_an_edge_lets_out_at_it_and_before_it_and_not_beyond_it(
    code: Code, trial: Callable[[float], Trial], edge: float, step: float
) -> None:
    for x in (edge, edge - step):
        r, a, limit = trial(x)
        assert codes(r, a, limit) == set(), f"at {x}"
    r, a, limit = trial(edge + step)
    assert codes(r, a, limit) == {code}


#: code, an order with that fault alone
FAULTS: list[tuple[Code, Trial]] = [
    (Code.NOT_ARMED, (request(), around(stand=Stand.OBSERVE), Limits())),
    (Code.NOT_ARMED, (request(), around(stand=Stand.HALTED), Limits())),
    (Code.KILL_LATCH, (request(), around(latched=True), Limits())),
    (Code.INPUT_MISSING, (request(), around(latched=None), Limits())),
    (Code.ROLE, (request(), around(may_trade=False), Limits())),
    (
        Code.RAISES_RISK_REDUCING,
        (
            request(),
            around(stand=Stand.REDUCING, rows=dict(around().rows) | {"delta:BTC": (-0.5, -0.5)}),
            Limits(),
        ),
    ),
    (
        Code.VENUE_NOT_ALLOWED,
        (request(), around(), limits(permission={"venues": frozenset({"okx"})})),
    ),
    (Code.UNDERLYING_NOT_ALLOWED, (request(), around(), limits(permission={"underlyings": frozenset()}))),
    (Code.KIND_NOT_ALLOWED, (request(), around(), limits(permission={"kinds": frozenset({"spot"})}))),
    (Code.SYMBOL_DENIED, (request(), around(), limits(permission={"denied_symbols": frozenset({"PERP"})}))),
    (Code.OFF_TICK, (request(price=Decimal("50000.51")), around(), Limits())),
    (
        Code.OFF_LOT,
        (request(quantity=Decimal("2.05"), effect=effect_of(2.05)), around(), Limits()),
    ),
    (Code.BOOK_GAP, (request(), around(book=book(continuous=False)), Limits())),
    (Code.INPUT_MISSING, (request(), around(book=book(continuous=None)), Limits())),
    (Code.BOOK_ONE_SIDED, (request(), around(book=book(bid_size=0.0)), Limits())),
    (Code.MARGIN_UNKNOWN, (request(), around(margin=None), Limits())),
    (Code.MARGIN_UNKNOWN, (request(), around(margin=margin(proven=False)), Limits())),
    (Code.DUPLICATE_INTENT, (request(), around(recent=(recent(1e6, intent="hk2aa-7-0-0"),)), Limits())),
    (
        Code.DUPLICATE_INTENT,
        (request(), around(pending=(pending("0.1", intent="hk2aa-7-0-0"),)), Limits()),
    ),
    (Code.SELF_TRADE_PREVENTION_OFF, (request(), around(self_trade_prevention=False), Limits())),
    (Code.SELF_TRADE_PREVENTION_OFF, (request(), around(self_trade_prevention=None), Limits())),
    (
        Code.SELF_TRADE,
        (
            request(),
            around(pending=(pending("-1", price=Decimal(50_000), account="another", unknown=True),)),
            Limits(),
        ),
    ),
    (Code.STYLE, (request(immediate=False), around(), Limits())),
    (Code.STYLE, (request(post_only=True), around(), Limits())),
    (Code.STYLE, (request(style=Style.MAKE, price=Decimal("50000.0")), around(), Limits())),
    (Code.CHILD_AGAINST_PARENT, (request(parent_quantity=Decimal(-5)), around(), Limits())),
    (Code.REDUCE_ONLY_RAISES, (request(purpose=None), around(), Limits())),
    (
        Code.HEDGE_NO_PROGRESS,
        (
            request(purpose=Purpose((Target("delta:BTC", -0.5, -1.0, 1.0),), request().purpose.legs)),  # type: ignore[union-attr]
            around(),
            Limits(),
        ),
    ),
    (
        Code.HEDGE_NO_PROGRESS,
        (
            request(purpose=Purpose((Target("delta:BTC", 5.0, -1.0, 1.0),), request().purpose.legs)),  # type: ignore[union-attr]
            around(),
            Limits(),
        ),
    ),
    (
        Code.HEDGE_NO_PROGRESS,
        (
            request(
                purpose=Purpose(
                    (Target("delta:BTC", -5.0, -1.0, 1.0),), (TicketLeg(INVERSE, Decimal(250_000), FACTS),)
                )
            ),
            around(),
            Limits(),
        ),
    ),
    (Code.EFFECT_DISAGREES, (request(effect=effect_of(-2.0)), around(), Limits())),
]


@pytest.mark.parametrize(
    ("code", "trial"), FAULTS, ids=[f"{i}-{code.name}" for i, (code, _) in enumerate(FAULTS)]
)
def test_a_fault_is_named_and_stands_alone(code: Code, trial: Trial) -> None:
    assert codes(*trial) == {code}


def test_below_the_minimum() -> None:
    small = listing(perpetual(inverse=False), "PERP", lot="0.1", minimum="3", ticks="0:0.5")
    purpose = Purpose((Target("delta:BTC", -5.0, -1.0, 1.0),), (TicketLeg(small, Decimal(5), FACTS),))
    assert codes(request(listing=small, purpose=purpose), around()) == {Code.BELOW_MINIMUM}
    three = request(listing=small, purpose=purpose, quantity=Decimal(3), effect=effect_of(3.0))
    assert codes(three, around()) == set()


def test_every_code_is_shown_by_some_order() -> None:
    shown = {code for code, *_ in EDGES} | {code for code, _ in FAULTS} | {Code.BELOW_MINIMUM}
    assert shown == set(Code)
    assert {code.control for code in Code} == {f"C{i}" for i in range(21)}
    assert len(CHECKS) == 20


def test_of_each_control_a_missing_input_denies() -> None:
    """C1 to C20, each with an input of its own unknown or odd: what is left out never helps an order."""
    nan, recent_now = Decimal("nan"), recent(-5.0)
    no_fair = Target("delta:BTC", NAN, -1.0, 1.0)
    maker = request(style=Style.MAKE, post_only=True, immediate=False, price=Decimal("49999.5"))
    missing_of: dict[str, tuple[Trial, Code]] = {
        "C1": ((request(), around(latched=None), Limits()), Code.INPUT_MISSING),
        "C2": (
            (request(), around(), limits(permission={"kinds": frozenset()})),
            Code.KIND_NOT_ALLOWED,
        ),
        "C3": ((request(), around(book=book(fair=NAN)), Limits()), Code.INPUT_MISSING),
        "C4": ((request(coins_per_unit=NAN), around(), Limits()), Code.INPUT_MISSING),
        "C5": ((request(quantity=nan), around(), Limits()), Code.INPUT_MISSING),
        "C6": ((request(), around(held=(held("1", CALL, NAN),)), Limits()), Code.INPUT_MISSING),
        "C7": ((request(), around(rows={}), Limits()), Code.INPUT_MISSING),
        "C8": (
            (request(purpose=Purpose((no_fair,), request().purpose.legs)), around(), Limits()),  # type: ignore[union-attr]
            Code.INPUT_MISSING,
        ),
        "C9": ((request(), around(margin=None), Limits()), Code.MARGIN_UNKNOWN),
        "C10": ((request(), around(ages=ages(positions=NAN)), Limits()), Code.INPUT_MISSING),
        "C11": ((request(), around(book=book(continuous=None)), Limits()), Code.INPUT_MISSING),
        "C12": ((request(), around(recent=(recent_now,)), Limits()), Code.DUPLICATE_INTENT),
        "C13": ((request(), around(messages=NAN), Limits()), Code.INPUT_MISSING),
        "C14": ((request(), around(fruitless=NAN), Limits()), Code.INPUT_MISSING),
        "C15": ((request(), around(day=DayView(NAN, 0.0, 0.0)), Limits()), Code.INPUT_MISSING),
        "C16": ((request(), around(self_trade_prevention=None), Limits()), Code.SELF_TRADE_PREVENTION_OFF),
        "C17": ((maker, around(book=book(ask=NAN)), Limits()), Code.INPUT_MISSING),
        "C18": ((request(), around(pending=(pending("0.1", since_ns=None),)), Limits()), Code.INPUT_MISSING),
        "C19": ((request(parent_done=nan), around(), Limits()), Code.INPUT_MISSING),
        "C20": ((request(), around(maintenance=None), Limits()), Code.INPUT_MISSING),
    }
    assert list(missing_of) == [f"C{i}" for i in range(1, 21)]
    for control, (trial, code) in missing_of.items():
        assert code in codes(*trial), control
    assert codes(maker, around()) == set()


# ------------------------------------------------------------------------------------- missing is refused


def unknown_inputs() -> list[tuple[str, Request, Surroundings]]:
    """One order per input of the limits, with that input unknown."""
    found: list[tuple[str, Request, Surroundings]] = []
    for name in ("usd_per_unit", "coins_per_unit", "fee_usd", "slippage_usd"):
        found.append((name, request(**{name: NAN}), around()))
    for row in ROWS:
        found.append((f"effect {row}", request(effect=effect_of(2.0) | {row: NAN}), around()))
        left_out = {key: x for key, x in effect_of(2.0).items() if key != row}
        found.append((f"no effect {row}", request(effect=left_out), around()))
    found.append(("rows", request(), around(rows={})))
    found.append(("row", request(), around(rows=dict(around().rows) | {"delta:BTC": (-5.0, NAN)})))
    found.append(("usd_per_row", request(), around(usd_per_row={})))
    flat = dict(around().rows) | {"delta:BTC": (0.0, 0.0), "delta:ETH": (1.0, 1.0)}
    found.append(("other coin, own delta grows", request(), around(rows=flat)))
    found.append(("forward", request(facts=Facts(INDEX, NAN)), around()))
    found.append(("index", request(facts=Facts(NAN, INDEX)), around()))
    for name in ("bid", "ask", "bid_size", "ask_size", "fair", "last_fill"):
        found.append((name, request(), around(book=book(**{name: NAN}))))
    for name in ("book", "index", "positions", "clock_offset"):
        found.append((f"age {name}", request(), around(ages=ages(**{name: NAN}))))
    found.append(("age vol", call(), replace(call_book(), ages=ages(vol=NAN))))
    for name in ("balance_after", "balance_before", "initial_after", "initial_before", "maintenance_after"):
        found.append((name, request(), around(margin=margin(**{name: NAN}))))
    for name in ("pnl_usd", "fee_usd", "slippage_usd"):
        found.append((f"day {name}", request(), around(day=day(**{name: NAN}))))
    found.append(("credits", request(), around(credits=NAN)))
    found.append(("held", request(), around(held=(held("1", CALL, NAN),))))
    found.append(("pending usd", request(), around(pending=(pending("1", usd_per_unit=NAN),))))
    found.append(("pending effect", request(), around(pending=(pending("1", effect={}),))))
    wrong = Purpose((Target("delta:BTC", NAN, -1.0, 1.0),), (TicketLeg(PERP, Decimal(5), FACTS),))
    found.append(("target", request(purpose=wrong), around()))
    blind = Purpose((Target("pnl:BTC:crash", -9.0, -1.0, 1.0),), (TicketLeg(PERP, Decimal(5), FACTS),))
    found.append(("row without a second path", request(purpose=blind), around()))
    for name in ("years", "vol"):
        facts = replace(call().facts, **{name: NAN})
        found.append((f"call {name}", call(facts=facts), call_book()))
    return found


@pytest.mark.parametrize(
    ("r", "a"), [(r, a) for _, r, a in unknown_inputs()], ids=[name for name, *_ in unknown_inputs()]
)
def test_what_is_not_known_refuses(r: Request, a: Surroundings) -> None:
    assert codes(r, a) & {Code.INPUT_MISSING, Code.BOOK_ONE_SIDED}


def test_a_refusal_says_what_it_saw_and_that_nothing_was_sent() -> None:
    lost = around(pending=(pending("10", unknown=True),))
    refused = review("order", request(), lost, limits(greeks={"delta_usd_max": 200_000.0}))
    assert isinstance(refused, Refused)
    assert refused.item == "order"
    assert refused.code is Code.LIMIT_DELTA_EXCEEDED
    assert refused.observed == "worst case of delta:BTC 350000 USD"
    assert refused.allowed == "at most 200000 USD"
    assert refused.text == (
        "LIMIT_DELTA_EXCEEDED: worst-case delta exceeds its limit (C7), where: buy 2 deribit PERP at "
        "50000.5, observed: worst case of delta:BTC 350000 USD, allowed: at most 200000 USD, incl. "
        "1 UNKNOWN orders: out-10; nothing was sent; fix: lower the size"
    )


def test_the_first_control_names_the_refusal_and_the_others_stand_beside_it() -> None:
    refused = review(1, request(price=Decimal("50000.51")), around(latched=True, fruitless=9), Limits())
    assert isinstance(refused, Refused)
    assert refused.code is Code.KILL_LATCH
    assert refused.also == (Code.OFF_TICK, Code.FRUITLESS_HEDGES)


def test_a_venue_may_be_excused_from_a_proven_margin_but_not_from_an_estimate() -> None:
    excused = limits(margin={"unproven_venues": frozenset({"deribit"})})
    assert codes(request(), around(margin=None), excused) == set()
    blank = MarginView(NAN, NAN, NAN, NAN, NAN, NAN, False, "no model")
    assert codes(request(), around(margin=blank), excused) == set()
    high = margin(proven=False, initial_after=90.0)
    assert codes(request(), around(margin=high), excused) == {Code.MARGIN_INITIAL}


def test_an_account_without_a_balance_may_lower_its_margin_and_not_raise_it() -> None:
    broke = {"balance_before": -1.0, "balance_after": -1.0}
    more, less = (
        around(margin=margin(**broke)),
        around(margin=margin(**broke, initial_after=9.0, maintenance_after=5.0)),
    )
    assert codes(request(), more) == {Code.MARGIN_INITIAL, Code.MARGIN_MAINTENANCE}
    assert codes(request(), less) == set()


def test_what_is_paid_is_bounded_by_the_balance_where_nothing_needs_margin() -> None:
    """Cash, and options that are paid for: the whole balance may go, and not a cent more."""
    none = {"initial_before": 0.0, "initial_after": 0.0, "maintenance_before": 0.0, "maintenance_after": 0.0}
    all_of_it, too_much, from_debt = (
        around(margin=margin(**none, balance_before=before, balance_after=after))
        for before, after in ((100.0, 0.0), (100.0, -0.01), (-1.0, -2.0))
    )
    assert codes(request(), all_of_it) == set()
    assert codes(request(), too_much) == {Code.MARGIN_INITIAL, Code.MARGIN_MAINTENANCE}
    assert codes(request(), from_debt) == {Code.MARGIN_INITIAL, Code.MARGIN_MAINTENANCE}
    still = around(margin=margin(**none, balance_before=-1.0, balance_after=-1.0))
    assert codes(request(), still) == set()


def test_the_way_back_from_beyond_a_limit_is_open() -> None:
    """Short 5 coins with a limit of 2: buying 2 is let out, selling or crossing far over not."""
    tight = limits(
        greeks={"delta_usd_max": 100_000.0},
        position={"instrument_usd_max": 100_000.0},
        firm={"delta_usd_max": 1.0},
    )
    beyond = around(held=(held("-5"),))
    assert codes(request(), beyond, tight) == set()
    big = request(quantity=Decimal(9), effect=effect_of(9.0), parent_quantity=Decimal(9))
    assert {Code.LIMIT_DELTA_EXCEEDED, Code.POSITION_INSTRUMENT} - codes(big, beyond, tight) == {
        Code.POSITION_INSTRUMENT  # 4 long at worst, against 5 short before: no further out than it was
    }
    sold = request(side=Side.SELL, effect=effect_of(-2.0), parent_quantity=Decimal(-5))
    assert {Code.LIMIT_DELTA_EXCEEDED, Code.POSITION_INSTRUMENT} <= codes(sold, beyond, tight)


def test_reducing_lets_out_what_lowers_every_worst_case() -> None:
    reducing = around(stand=Stand.REDUCING)
    assert codes(request(), reducing) == set()
    eleven = request(quantity=Decimal(11), effect=effect_of(11.0), parent_quantity=Decimal(11))
    assert codes(eleven, reducing) == {Code.RAISES_RISK_REDUCING}
    ten = request(quantity=Decimal(10), effect=effect_of(10.0), parent_quantity=Decimal(10))
    assert codes(ten, reducing) == set()  # from 5 short to 5 long
    # an order that is out and may never fill does not count as done
    assert codes(request(), around(stand=Stand.REDUCING, pending=(pending("9"),))) == {
        Code.RAISES_RISK_REDUCING
    }


def test_after_a_budget_is_used_up_closing_orders_pass_unless_it_says_stop() -> None:
    spent = around(day=DayView(-2e6, 0.0, 0.0), held=(held("-5"),))
    closing = request(reduce_only=True)
    assert codes(closing, spent) == set()
    assert codes(closing, spent, limits(budget={"after": "stop"})) == {Code.BUDGET_LOSS}


@pytest.mark.parametrize("odd", ["nan", "snan", "inf", "-inf"])
@pytest.mark.parametrize("name", ["quantity", "price", "parent_quantity", "parent_done"])
def test_a_decimal_that_is_no_number_is_refused_and_raises_nothing(name: str, odd: str) -> None:
    assert codes(request(**{name: Decimal(odd)}), around()) == {Code.INPUT_MISSING}
    there = around(held=(Held(PERP, Decimal(odd), INDEX),))
    assert codes(request(), there) == {Code.INPUT_MISSING}
    assert codes(request(), around(pending=(replace(pending("1"), reserved=Decimal(odd)),))) == {
        Code.INPUT_MISSING
    }


# ------------------------------------------------------------------------------------ permission is a type


def test_nothing_but_review_makes_a_permission() -> None:
    approved = review("small", request(), around(), Limits())
    assert isinstance(approved, Approved)
    for forge in (
        lambda: Approved("large"),
        lambda: Approved("large", object()),
        lambda: replace(approved, item="large"),
        lambda: copy.copy(approved),
        lambda: copy.deepcopy(approved),
        lambda: pickle.dumps(approved),
    ):
        with pytest.raises(TypeError):
            forge()
    with pytest.raises(AttributeError):
        approved.item = "large"  # type: ignore[misc]


# ------------------------------------------------------------------------------------------- worst corners

lots = st.integers(-30, 30).map(lambda n: Decimal(n) / 10)


@given(st.lists(lots.filter(bool), max_size=5), lots, st.data())
def test_no_way_of_filling_ends_beyond_the_corners(
    out: list[Decimal], start: Decimal, data: st.DataObject
) -> None:
    here = around(
        held=(held(str(start)),) if start else (),
        pending=tuple(pending(str(q), intent=str(i)) for i, q in enumerate(out)),
        rows=dict(around().rows) | {"delta:BTC": (float(start), float(start))},
    )
    low, high = row_range("delta:BTC", here, request())
    everything = [*out, request().signed]
    shares = data.draw(st.tuples(*(st.integers(0, 10) for _ in everything)))
    ends = [start + sum((q * Decimal(s) / 10 for q, s in zip(everything, shares, strict=True)), Decimal(0))]
    for chosen in itertools.product((0, 1), repeat=len(everything)):
        ends.append(start + sum((q for q, c in zip(everything, chosen, strict=True) if c), Decimal(0)))
    # no end lies beyond, and both can be reached
    assert low == pytest.approx(float(min(ends)), abs=1e-9)
    assert high == pytest.approx(float(max(ends)), abs=1e-9)


@given(st.lists(st.tuples(st.sampled_from([PERP, CALL, INVERSE]), lots.filter(bool)), max_size=6), st.data())
def test_worst_notionals_are_the_largest_of_all_ways_of_filling(
    out: list[tuple[Listing, Decimal]], data: st.DataObject
) -> None:
    """Every subset of what is out is filled, instrument by instrument: each has its own worst subset."""
    price = {PERP.key: INDEX, CALL.key: 40_000.0, INVERSE.key: 3.0}
    start = {x.key: data.draw(lots) for x in (PERP, CALL, INVERSE)}
    here = around(
        held=tuple(held(str(start[x.key]), x, price[x.key]) for x in (PERP, CALL, INVERSE)),
        pending=tuple(
            pending(str(q), x, intent=str(i), usd_per_unit=price[x.key]) for i, (x, q) in enumerate(out)
        ),
    )
    gross = gross_usd(here, request())
    for at, extra in ((0, []), (1, [request().signed])):
        worst = {}
        for x in (PERP, CALL, INVERSE):
            fills = [q for y, q in out if y is x] + (extra if x is PERP else [])
            ends = [
                abs(start[x.key] + sum((q for q, c in zip(fills, chosen, strict=True) if c), Decimal(0)))
                for chosen in itertools.product((0, 1), repeat=len(fills))
            ]
            worst[x.key] = float(max(ends)) * price[x.key]
        assert gross.instrument[at] == pytest.approx(worst[PERP.key], abs=1e-6)
        for found in (gross.underlying, gross.venue, gross.firm):
            assert found[at] == pytest.approx(sum(worst.values()), abs=1e-6)


def test_accounts_lend_each_other_no_position() -> None:
    """10 long on one account and 10 short on another are 20 owed; and neither closes the other."""
    apart = around(held=(replace(held("10"), account="a"), replace(held("-10"), account="b")))
    edge = limits(position={"instrument_usd_max": 22 * INDEX})
    tight = limits(position={"instrument_usd_max": 21.99 * INDEX})
    assert codes(request(account="a"), apart, edge) == set()
    assert codes(request(account="a"), apart, tight) == {Code.POSITION_INSTRUMENT}
    assert codes(request(account="b"), apart, tight) == set()  # buys back
    assert codes(request(account="b", reduce_only=True), apart) == set()
    assert codes(request(account="a", reduce_only=True), apart) == {Code.REDUCE_ONLY_RAISES}
    assert codes(request(reduce_only=True), apart) == {Code.REDUCE_ONLY_RAISES}
    out = replace(apart, pending=(pending("9", account="a"),))
    assert codes(request(account="b", reduce_only=True), out) == set()


def test_a_coin_that_nobody_can_bound_does_not_bar_the_way_back_of_another() -> None:
    blind = around(rows=dict(around().rows) | {"delta:ETH": (NAN, NAN)})
    assert codes(request(), blind) == set()
    flat = replace(blind, rows=dict(blind.rows) | {"delta:BTC": (0.0, 0.0)})
    assert codes(request(), flat) == {Code.INPUT_MISSING}


def test_what_has_no_mark_counts_at_its_worst_and_is_named() -> None:
    """Between 5 and 3 coins short: 2 bought may leave 1 short to 3 short; at the limit, and beyond it."""
    wide = around(rows=dict(around().rows) | {"delta:BTC": (-5.0, 8.0)}, incomplete="incl. ODD (stale)")
    ten = limits(greeks={"delta_usd_max": 10 * INDEX}, firm={"delta_usd_max": 10 * INDEX})
    less = limits(greeks={"delta_usd_max": 10 * INDEX - 0.01})
    assert codes(request(), wide, ten) == set()
    (finding,) = findings(request(), wide, less)
    assert finding.code is Code.LIMIT_DELTA_EXCEEDED
    assert "ODD (stale)" in finding.detail


def worlds() -> tuple[Listing, ...]:
    """Linear, inverse and option, on two venues and two coins."""
    return (
        PERP,
        INVERSE,
        CALL,
        listing(perpetual(inverse=False), "PERP", venue="okx", lot="0.1", ticks="0:0.5"),
        listing(perpetual("ETH"), "ETH", lot="10", ticks="0:0.5"),
    )


@settings(max_examples=150)
@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.sampled_from(["a", "b"]), lots.filter(bool), st.booleans()),
        max_size=5,
    ),
    st.lists(st.tuples(st.integers(0, 4), st.sampled_from(["a", "b"]), lots), max_size=4),
    st.sampled_from([Decimal(2), Decimal(-2)]),
)
def test_whatever_fills_after_an_approval_stays_within_the_limits(
    out: list[tuple[int, str, Decimal, bool]], start: list[tuple[int, str, Decimal]], wanted: Decimal
) -> None:
    """Every subset of what is open and UNKNOWN, with the order and without: notionals by instrument, coin,
    venue and firm, and the coin's delta, summed up here by themselves."""
    every, usd = worlds(), (INDEX, 1.0, INDEX, INDEX, 1.0)
    delta = (1.0, 1.0 / INDEX, 0.5, 1.0, 1.0 / 2_000.0)
    most = {"instrument_usd_max": 2e5, "underlying_usd_max": 3e5, "venue_usd_max": 3e5, "firm_usd_max": 4e5}
    delta_max = 1.5e5
    limit = limits(position=most, greeks={"delta_usd_max": delta_max}, firm={"delta_usd_max": 1e9})
    coin = [x.contract.underlying for x in every]

    def rows(i: int, units: Decimal) -> dict[str, float]:
        return {row.replace("BTC", coin[i]): x for row, x in effect_of(delta[i] * float(units)).items()}

    base = sum(delta[i] * float(q) for i, _, q in start if coin[i] == "BTC")
    here = around(
        held=tuple(replace(held(str(q), every[i], usd[i]), account=account) for i, account, q in start),
        pending=tuple(
            pending(
                str(q), every[i], account=account, usd_per_unit=usd[i], effect=rows(i, q), intent=str(k),
                unknown=unknown,
            )
            for k, (i, account, q, unknown) in enumerate(out)
        ),
        rows=dict(around().rows)
        | {"delta:BTC": (base, base)}
        | {row.replace("BTC", "ETH"): (0.0, 0.0) for row in ROWS},
        usd_per_row=dict(around().usd_per_row) | {row.replace("BTC", "ETH"): 1.0 for row in ROWS},
    )  # fmt: skip
    side = Side.BUY if wanted > 0 else Side.SELL
    order = request(
        side=side, quantity=abs(wanted), effect=effect_of(float(wanted)), parent_quantity=wanted, account="a"
    )
    refused = codes(order, here, limit)
    if refused & {Code.LIMIT_DELTA_EXCEEDED, *(code for code in Code if code.control == "C6")}:
        return
    moves = [*((i, account, q) for i, account, q, _ in out), (0, "a", wanted)]

    def worst(of: list[tuple[int, str, Decimal]]) -> tuple[dict[str, float], float, float]:
        """Largest notionals, and the ends of the coin's delta, over every subset of moves."""
        found = dict.fromkeys(most, 0.0)
        low = high = base
        for chosen in itertools.product((0, 1), repeat=len(of)):
            ends: dict[tuple[int, str], Decimal] = {}
            for i, account, q in [*start, *(m for m, c in zip(of, chosen, strict=True) if c)]:
                ends[i, account] = ends.get((i, account), Decimal(0)) + q
            worth = {place: abs(float(q)) * usd[place[0]] for place, q in ends.items()}
            told = {
                "instrument_usd_max": sum(x for (i, _), x in worth.items() if i == 0),
                "underlying_usd_max": sum(x for (i, _), x in worth.items() if coin[i] == "BTC"),
                "venue_usd_max": sum(x for (i, _), x in worth.items() if every[i].venue == "deribit"),
                "firm_usd_max": sum(worth.values()),
            }
            found = {key: max(found[key], x) for key, x in told.items()}
            here_delta = base + sum(
                delta[i] * float(q) for (i, _, q), c in zip(of, chosen, strict=True) if c and coin[i] == "BTC"
            )
            low, high = min(low, here_delta), max(high, here_delta)
        return found, low, high

    before, _, _ = worst(moves[:-1])
    after, low, high = worst(moves)
    for key, usd_max in most.items():
        assert after[key] <= max(usd_max, before[key]) * (1 + 1e-9), key
    assert (high if wanted > 0 else -low) * INDEX <= delta_max * (1 + 1e-9)


def test_a_negative_notional_is_a_fault_and_no_relief() -> None:
    assert Code.INPUT_MISSING in codes(request(), around(held=(held("1", CALL, -1e9),)))
    assert Code.INPUT_MISSING in codes(request(usd_per_unit=-INDEX), around())


# --------------------------------------------------------------------------------------- of all together

number = st.floats(0.0, 1e6)


@st.composite
def situations(draw: st.DrawFn) -> tuple[Request, Surroundings]:
    """Orders and surroundings that limits of everyday size sometimes refuse and sometimes do not."""
    quantity = draw(st.sampled_from([Decimal("0.1"), Decimal(2), Decimal(5)]))
    r = request(quantity=quantity, effect=effect_of(float(quantity)), reduce_only=draw(st.booleans()))
    out = draw(st.lists(st.sampled_from(["1", "-1", "3", "-4"]), max_size=3))
    a = around(
        stand=draw(st.sampled_from([Stand.ARMED, Stand.REDUCING])),
        held=(held(draw(st.sampled_from(["-8", "-5", "3"]))),),
        pending=tuple(
            pending(q, intent=str(i), since_ns=old(draw(st.sampled_from([0.0, 30.0]))))
            for i, q in enumerate(out)
        ),
        ages=Ages(*(draw(st.sampled_from([0.0, 1.0, 30.0])) for _ in range(5))),
        margin=draw(st.sampled_from([None, margin(), margin(initial_after=70.0), margin(proven=False)])),
        credits=draw(st.sampled_from([3.0, 10.0, 20.0])),
        messages=draw(st.integers(0, 30)),
        fruitless=draw(st.integers(0, 6)),
        day=DayView(*draw(st.tuples(*[st.sampled_from([-5e4, 0.0, 5e4])] * 3))),
        self_trade_prevention=draw(st.booleans()),
        recent=tuple(recent(s) for s in draw(st.lists(st.sampled_from([0.2, 2.0]), max_size=1))),
    )
    return r, a


#: Which way each key is tightened, written out apart from the code's own table.
HIGHER = {
    "progress_share_min", "depth_usd_min", "cancel_reserve", "duplicate_window_s", "expiry_block_s",
    "settlement_block_s",
}  # fmt: skip
OUTSIDE_REVIEW = {"orders_per_s", "burst", "window_s", "settlement_s"}


def tightened(limit: Limits, section: str, key: str, share: float) -> Limits:
    own = getattr(limit, section)
    by_name = section in ("greeks", "rate")
    standing = own["*"] if by_name else own
    keys: dict[str, Any] = {key: _tighter(getattr(standing, key), key, share)}
    new = replace(standing, **keys)
    changed: dict[str, Any] = {section: {"*": new} if by_name else new}
    return replace(limit, **changed)


def _tighter(x: Any, key: str, share: float) -> Any:
    if isinstance(x, frozenset):
        return (
            x | {"PERP"} if key == "denied_symbols" else frozenset(sorted(x - {"*"})[: int(share * len(x))])
        )
    if isinstance(x, bool):
        return True
    if isinstance(x, str):
        return "stop"
    if key in HIGHER:
        return type(x)(x + (1 - share) * (x + 40))
    return type(x)(x * share)


KEYS = [
    (section.name, key.name)
    for section in fields(Limits)
    for own in [getattr(Limits(), section.name)]
    for key in fields(own["*"] if section.name in ("greeks", "rate") else own)
    if key.name not in OUTSIDE_REVIEW
]


@settings(max_examples=200)
@given(situations(), st.sampled_from(KEYS), st.floats(0.0, 1.0), st.booleans(), st.booleans())
def test_tightening_a_limit_never_lets_out_what_was_refused(
    trial: tuple[Request, Surroundings], key: tuple[str, str], share: float, loose: bool, no_prevention: bool
) -> None:
    wide = Limits()
    if loose:
        wide = limits(
            margin={"unproven_venues": frozenset({"deribit"})},
            self_trade={"prevention_required": not no_prevention},
        )
    before = codes(*trial, wide)
    after = codes(*trial, tightened(wide, *key, share))
    assert before <= after


def mirrored(r: Request, a: Surroundings) -> tuple[Request, Surroundings]:
    """Everything bought is sold and the other way round, prices about 50,000 turned over."""
    other = Side.SELL if r.side is Side.BUY else Side.BUY
    purpose = r.purpose
    assert purpose is not None
    turned = Purpose(
        tuple(Target(t.row, -t.value, -t.upper, -t.lower) for t in purpose.targets),
        tuple(replace(leg, quantity=-leg.quantity) for leg in purpose.legs),
    )
    r2 = replace(
        r,
        side=other,
        price=Decimal(100_000) - r.price,
        effect={row: -x for row, x in r.effect.items()},
        parent_quantity=-r.parent_quantity,
        parent_done=-r.parent_done,
        purpose=turned,
    )
    a2 = replace(
        a,
        rows={row: (-high, -low) for row, (low, high) in a.rows.items()},
        held=tuple(replace(h, quantity=-h.quantity) for h in a.held),
        pending=tuple(
            replace(
                o,
                reserved=-o.reserved,
                price=Decimal(100_000) - o.price,
                effect={row: -x for row, x in o.effect.items()},
            )
            for o in a.pending
        ),
        book=replace(a.book, bid=100_000 - a.book.ask, ask=100_000 - a.book.bid),
        recent=tuple(replace(x, side=other, price=Decimal(100_000) - x.price) for x in a.recent),
    )
    return r2, a2


@given(situations(), st.sampled_from([50_000.5, 49_000.0, 50_300.0, 50_900.0]))
def test_buying_and_selling_are_judged_alike(trial: tuple[Request, Surroundings], price: float) -> None:
    r, a = trial
    tight = limits(
        position={"instrument_usd_max": 3e5}, greeks={"delta_usd_max": 2e5}, firm={"delta_usd_max": 3e5}
    )
    r = replace(r, price=Decimal(str(price)))
    assert codes(r, a, tight) == codes(*mirrored(r, a), tight)


# ------------------------------------------------------------------------------------- the second opinion


def test_the_second_path_agrees_with_the_exposures_of_a_whole_universe() -> None:
    """The plan's matrix and the price bumps, which share no code, for every kind of contract."""
    quotes = []
    for strike, right, days, inverse in itertools.product(
        (40_000.0, 52_000.0, 70_000.0), "CP", (1.5, 5.0, 45.0, 200.0), (True, False)
    ):
        contract = listing(option(strike, right, days, inverse=inverse), size="1")
        forward = 50_000.0 * (1 + 0.0002 * days)
        quotes.append(Quote(contract, 0.01, 0.02, mark_iv=0.55, forward=forward, index=50_000.0))
    for plain in (
        perpetual(),
        perpetual(inverse=False),
        future(45.0),
        future(45.0, inverse=False),
        spot(),
    ):
        quotes.append(Quote(listing(plain), 50_099.0, 50_101.0, mark=50_100.0, index=50_000.0))
    market = market_of(quotes)
    valuation = value(market, 600.0)
    names = row_names(["BTC"])
    for numeraire in Numeraire:
        rules = ExposureSettings(numeraire)
        exposure = expose(np.zeros(len(quotes)), {}, valuation, valuation.price, ["BTC"], rules)
        for i, quote in enumerate(quotes):
            facts = Facts(50_000.0, valuation.forward[i], valuation.years[i], valuation.vol[i])
            told = independent_effect(quote.listing, 3.0, facts, numeraire, rules.gamma_days_min)
            scale = 3.0 * abs(valuation.usd.delta[i]) if not valuation.universe.is_option[i] else 3.0
            for row, x in told.items():
                planned = 3.0 * exposure.traded[names.index(row), i]
                assert x == pytest.approx(planned, rel=5e-3, abs=2e-4 * scale), (quote.listing.symbol, row)
            covered = numeraire is Numeraire.USD or quote.listing.contract.inverse
            assert bool(told) is covered


def test_a_hedge_in_options_is_judged_with_all_its_legs() -> None:
    """Buying calls for gamma adds delta; the ticket's perpetual takes it out again: the whole is judged."""
    facts = call().facts
    both = (TicketLeg(CALL, Decimal(2), facts), TicketLeg(PERP, Decimal(-1), FACTS))
    targets = (Target("gamma:BTC", -1e-4, -1e-5, 1e-5), Target("vega:BTC:30-90d", -20_000.0, -100.0, 100.0))
    assert codes(call(purpose=Purpose(targets, both)), call_book()) == set()
    flipped = (TicketLeg(CALL, Decimal(2), facts), TicketLeg(CALL, Decimal(-9), facts))
    assert codes(call(purpose=Purpose(targets, flipped)), call_book()) == {Code.HEDGE_NO_PROGRESS}


def weighing(quantity: str, risk: tuple[float, ...] | None = (3.0, 4.0), per_coin: float = -0.5) -> Trial:
    """A hedge with no row outside: 5 coins of it lower the risk of 12.5 USD by their first row."""
    units = Decimal(quantity)
    rows = () if risk is None else (per_coin * float(units), 0.0)
    legs = (TicketLeg(PERP, units, FACTS, effect_of(float(units)), rows),)
    purpose = Purpose((Target("delta:BTC", 0.5, -1.0, 1.0),), legs, risk=risk)
    side = Side.BUY if units > 0 else Side.SELL
    sent = Decimal(2) if units > 0 else Decimal(-2)
    order = request(
        purpose=purpose,
        side=side,
        effect=effect_of(float(sent)),
        parent_quantity=units,
        price=Decimal("50000.5") if units > 0 else Decimal("49999.5"),
    )
    return order, around(), Limits()


def test_a_hedge_without_a_row_outside_must_lower_the_risk_it_is_for() -> None:
    assert codes(*weighing("5")) == set()
    assert codes(*weighing("11.9")) == set()  # 3 -> -2.95: less than before
    assert codes(*weighing("12")) == {Code.HEDGE_NO_PROGRESS}  # 3 -> -3: as much
    assert codes(*weighing("-5")) == {Code.HEDGE_NO_PROGRESS}
    assert codes(*weighing("5", None)) == {Code.HEDGE_NO_PROGRESS}
    assert codes(*weighing("5", (NAN, 4.0))) == {Code.INPUT_MISSING}
    assert codes(*weighing("5", (3.0, 4.0, 1.0))) == {Code.INPUT_MISSING}


def test_every_leg_of_such_a_hedge_is_reckoned_again() -> None:
    """Its second leg is planned with the wrong sign, although the order in hand is as planned."""
    order, a, limit = weighing("5")
    assert order.purpose is not None
    wrong = TicketLeg(INVERSE, Decimal(50_000), FACTS, effect_of(-1.0), (0.0, 0.0))
    legs = (*order.purpose.legs, wrong)
    assert codes(replace(order, purpose=replace(order.purpose, legs=legs)), a, limit) == {
        Code.EFFECT_DISAGREES
    }
    right = replace(wrong, planned=effect_of(1.0))
    legs = (*order.purpose.legs, right)
    assert codes(replace(order, purpose=replace(order.purpose, legs=legs)), a, limit) == set()


def test_a_row_that_is_hardly_out_does_not_outweigh_one_that_is_far_out() -> None:
    """The hedge brings delta back by 4 of 4 coins, and moves vega, out by a hair, by another hair."""
    hair = Target("gamma:BTC", 1.0 + 1e-12, -1.0, 1.0, 2.0)
    facts = call().facts
    legs = (TicketLeg(PERP, Decimal(5), FACTS), TicketLeg(CALL, Decimal("0.1"), facts))
    targets = (Target("delta:BTC", -5.0, -1.0, 1.0, 2.0), hair)
    assert codes(request(purpose=Purpose(targets, legs)), around()) == set()


# ---------------------------------------------------------------------------------------------- throttles


@given(st.lists(st.tuples(st.floats(0, 3), st.integers(1, 4)), max_size=30))
def test_a_bucket_never_gives_more_than_its_rate_and_burst(steps: list[tuple[float, int]]) -> None:
    bucket, now, sent = TokenBucket.full(2.0, 5, 0), 0, 0
    for seconds, wanted in steps:
        now += round(seconds * NS_PER_SECOND)
        for _ in range(wanted):
            if bucket.at(now).tokens >= 1.0:
                bucket = bucket.after(1, now)
                sent += 1
    assert sent <= 5 + 2.0 * now / NS_PER_SECOND + 1e-6


def test_a_clock_that_goes_back_gives_no_credits() -> None:
    bucket = TokenBucket.full(5.0, 20, 10 * NS_PER_SECOND).after(20, 10 * NS_PER_SECOND)
    assert bucket.at(0).tokens == 0.0
    assert bucket.at(11 * NS_PER_SECOND).tokens == 5.0


def test_hedges_that_did_not_help_are_counted_and_unknown_ones_with_them() -> None:
    hedges = [
        Hedge(old(s), 10.0, after) for s, after in ((400, 12.0), (200, 10.0), (100, 3.0), (50, math.nan))
    ]
    assert fruitless(hedges, NOW_NS, 300.0) == 2


def test_limits_of_one_coin_stand_before_those_of_all() -> None:
    own = replace(Limits(), greeks={"*": GreekLimits(), "BTC": GreekLimits(delta_usd_max=1.0)})
    there = around(pending=(pending("9"),))
    assert codes(request(), there, own) == {Code.LIMIT_DELTA_EXCEEDED}
    other = replace(Limits(), greeks={"*": GreekLimits(), "ETH": GreekLimits(delta_usd_max=1.0)})
    assert codes(request(), there, other) == set()
    with pytest.raises(ValueError, match="for all others"):
        Limits(greeks={"BTC": GreekLimits()})
