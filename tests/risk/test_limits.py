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
from risk.corners import gross_usd, quantity_range, row_range
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
from risk.throttle import Hedge, TokenBucket, fruitless, in_window
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
        0.0049999,
        1e-5,
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
    found.append(("other row", request(), around(rows=dict(around().rows) | {"delta:ETH": (1.0, 1.0)})))
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
        found.append((f"day {name}", request(), around(day=replace(around().day, **{name: NAN}))))
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
    low, high = quantity_range(PERP.key, here, request().signed)
    row_low, row_high = row_range("delta:BTC", here, request())
    everything = [*out, request().signed]
    shares = data.draw(st.tuples(*(st.integers(0, 10) for _ in everything)))
    ends = [start + sum((q * Decimal(s) / 10 for q, s in zip(everything, shares, strict=True)), Decimal(0))]
    for chosen in itertools.product((0, 1), repeat=len(everything)):
        ends.append(start + sum((q for q, c in zip(everything, chosen, strict=True) if c), Decimal(0)))
    assert all(low <= end <= high for end in ends)
    assert {low, high} <= set(ends)  # and they can be reached
    assert row_low == pytest.approx(float(low), abs=1e-9)
    assert row_high == pytest.approx(float(high), abs=1e-9)


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
        day=DayView(*(draw(st.sampled_from([-5e4, 0.0, 5e4])) for _ in range(3))),
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


@settings(max_examples=400)
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
    assert in_window([h.at_ns for h in hedges], NOW_NS, 300.0) == 3


def test_limits_of_one_coin_stand_before_those_of_all() -> None:
    own = replace(Limits(), greeks={"*": GreekLimits(), "BTC": GreekLimits(delta_usd_max=1.0)})
    there = around(pending=(pending("9"),))
    assert codes(request(), there, own) == {Code.LIMIT_DELTA_EXCEEDED}
    other = replace(Limits(), greeks={"*": GreekLimits(), "ETH": GreekLimits(delta_usd_max=1.0)})
    assert codes(request(), there, other) == set()
    with pytest.raises(ValueError, match="for all others"):
        Limits(greeks={"BTC": GreekLimits()})
