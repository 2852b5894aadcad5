"""What was booked at an expiry against what the venue says that it paid."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

from hedger.core.deliveries import received
from hedger.core.events import Tick
from risk.book import Position
from tests.hedger.rig import Rig, option_symbol

DAY = 86_400.0


def expired() -> tuple[Rig, str, Position]:
    """Short ten of an option that has expired, and been settled at the index as this engine saw it."""
    engine = Rig({})
    symbol = option_symbol(engine.market, place=0)
    engine = Rig({symbol: "-10"}).armed()
    (position,) = (p for p in engine.state.book.positions.values() if p.listing.symbol == symbol)
    left_s = (position.listing.expiry_ns - engine.now_ns) / 1e9
    engine.mark(left_s + 60.0)
    assert symbol not in engine.positions()
    return engine, symbol, position


def cash(engine: Rig) -> Fraction:
    return engine.state.book.cash.get(("simulated", "", "BTC"), Fraction(0))


def test_the_difference_to_the_venues_price_is_booked_once() -> None:
    engine, symbol, position = expired()
    strike = Fraction(repr(float(position.listing.contract.strike)))  # type: ignore[union-attr]
    price = Decimal(round(strike * 2))
    settled = engine.state.settled[position.key]
    before = cash(engine)
    engine.truth.positions = {}
    report = engine.report(deliveries={symbol: price})
    decision = engine.send(report, 1.0)
    # an inverse call of this strike pays half a coin at twice its strike; a put nothing
    pays = Fraction(1, 2) if position.listing.contract.right == "C" else Fraction(0)  # type: ignore[union-attr]
    expected = -10 * pays - received(position, settled.price)
    assert abs(cash(engine) - before - expected) < Fraction(1, 10**11)
    assert [str(a.kind) for a in decision.adjustments] == ["settlement_corrected"] * (settled.price != price)
    again = engine.send(replace(report, venue_ns=engine.now_ns), 1.0)
    assert again.adjustments == ()


def test_an_absurd_price_is_not_believed() -> None:
    engine, symbol, _ = expired()
    before = cash(engine)
    engine.truth.positions = {}
    for price in ("0", "-5", "NaN"):
        engine.send(engine.report(deliveries={symbol: Decimal(price)}), 1.0)
    assert cash(engine) == before and engine.alerts().count("DELIVERY_ABSURD") == 3
    engine.send(Tick(), 1.0)


def test_a_venue_that_settles_what_we_still_hold_is_believed_about_the_expiry_alone() -> None:
    engine = Rig({})
    symbol = option_symbol(engine.market, place=0)
    engine = Rig({symbol: "-10"}).armed()
    engine.truth.positions = {}
    engine.send(engine.report(deliveries={symbol: Decimal(70_000)}), 1.0)
    assert symbol in engine.positions()  # days before its expiry
