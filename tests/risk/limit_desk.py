"""One order that the limits let out, and everything around it: tests change one thing and see what happens.

A linear perpetual at 50,000 USD: the book is short 5 coins of delta, the band ends at -1, and 2 of the 4 or 5
coins to be bought are to leave now.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from pricing.contracts import Listing, Side
from risk.limit_request import (
    Ages,
    BookView,
    DayView,
    Facts,
    MarginView,
    Pending,
    Purpose,
    Request,
    Stand,
    Style,
    Surroundings,
    Target,
    TicketLeg,
)
from risk.limit_terms import Limits
from tests.builders import NAN, NOW_NS, future, listing, option, perpetual

INDEX = 50_000.0
PERP = listing(perpetual(inverse=False), "PERP", lot="0.1", ticks="0:0.5")
INVERSE = listing(perpetual(), "INVERSE", lot="10", ticks="0:0.5")
FUTURE = listing(future(30.0, inverse=False), "FUTURE", lot="0.1", ticks="0:0.5")
CALL = listing(option(50_000.0, "C", 30.0), "CALL", lot="0.1", ticks="0:0.0001")
PUT = listing(option(50_000.0, "P", 30.0), "PUT", lot="0.1", ticks="0:0.0001")
FACTS = Facts(INDEX, INDEX)
ROWS = ("delta:BTC", "gamma:BTC", "gamma_expiring:BTC", "vega:BTC")


def effect_of(delta: float = 0.0, gamma: float = 0.0, vega: float = 0.0) -> dict[str, float]:
    return dict(zip(ROWS, (delta, gamma, 0.0, vega), strict=True))


def request(**changes: Any) -> Request:
    """Buy 2 PERP at the ask, of a leg of 5."""
    plain = Request(
        intent="hk2aa-7-0-0",
        listing=PERP,
        account="",
        side=Side.BUY,
        quantity=Decimal(2),
        price=Decimal("50000.5"),
        style=Style.TAKE,
        immediate=True,
        post_only=False,
        reduce_only=False,
        usd_per_unit=INDEX,
        coins_per_unit=1.0,
        effect=effect_of(2.0),
        facts=FACTS,
        fee_usd=50.0,
        slippage_usd=10.0,
        parent="7-0",
        parent_quantity=Decimal(5),
        parent_done=Decimal(0),
        purpose=Purpose(
            targets=(Target("delta:BTC", -5.0, -1.0, 1.0),), legs=(TicketLeg(PERP, Decimal(5), FACTS),)
        ),
    )
    return replace(plain, **changes)


def around(**changes: Any) -> Surroundings:
    """Armed, everything known, fresh and empty."""
    plain = Surroundings(
        now_ns=NOW_NS,
        monotonic_ns=NOW_NS,
        stand=Stand.ARMED,
        latched=False,
        may_trade=True,
        rows={row: (-5.0, -5.0) if row == "delta:BTC" else (0.0, 0.0) for row in ROWS},
        usd_per_row=dict(zip(ROWS, (INDEX, INDEX**2 / 100, INDEX**2 / 100, 0.01), strict=True)),
        held=(),
        pending=(),
        book=BookView(49_999.5, 50_000.5, 10.0, 10.0, INDEX, None, True),
        ages=Ages(0.0, 0.0, 0.0, 0.0, 0.0),
        margin=MarginView(100.0, 100.0, 10.0, 12.0, 5.0, 6.0, True),
        credits=20.0,
        messages=0,
        fruitless=0,
        day=DayView(0.0, 0.0, 0.0),
        self_trade_prevention=True,
    )
    return replace(plain, **changes)


def pending(quantity: str, of: Listing = PERP, **changes: Any) -> Pending:
    """An order that is out: signed order units at 40,000 (bought) or 60,000 (sold); linear delta."""
    amount = Decimal(quantity)
    plain = Pending(
        intent=f"out-{quantity}",
        listing=of,
        account="",
        reserved=amount,
        price=Decimal(40_000 if amount > 0 else 60_000),
        usd_per_unit=INDEX,
        effect=effect_of(float(amount)),
        since_ns=NOW_NS,
    )
    return replace(plain, **changes)


def limits(**sections: dict[str, Any]) -> Limits:
    """The built-in limits with some keys of some sections changed: `limits(order={"coin_max": 2.0})`."""
    default = Limits()
    changed: dict[str, Any] = {}
    for name, keys in sections.items():
        standing = getattr(default, name)
        if name in ("greeks", "rate"):
            changed[name] = {"*": replace(standing["*"], **keys)}
        else:
            changed[name] = replace(standing, **keys)
    return replace(default, **changed)


__all__ = ["CALL", "FUTURE", "INDEX", "INVERSE", "NAN", "PERP", "PUT", "ROWS"]
