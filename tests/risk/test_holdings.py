"""Columns of what is held say what the list of positions says, to the last bit, whatever the amounts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pricing.contracts import Listing
from pricing.universe import Universe
from risk.book import Book, Position
from risk.corners import gross_usd
from risk.holdings import Holdings
from risk.limit_codes import Code
from risk.limit_request import Held, Pending, Request
from risk.limit_terms import Limits
from risk.limits import findings
from tests.builders import listing, perpetual
from tests.risk.limit_desk import CALL, FUTURE, INVERSE, PERP, PUT, around, pending, request

LISTINGS = (PERP, CALL, PUT, FUTURE, INVERSE, listing(perpetual("ETH"), "E", venue="okx"))
Place = tuple[str, str, str]

lots = st.integers(-40, 40).map(lambda n: Decimal(n) / 7)
usd = st.sampled_from([50_000.0, 40_000.3, 0.0, 1e-3, math.inf, math.nan, -1.0])
at = st.tuples(st.sampled_from(LISTINGS), st.sampled_from(["", "second"]))


def by_definition(
    held: Sequence[Held], out: Sequence[Pending], mine: Listing, asked: Request | None
) -> dict[str, float]:
    """Position by position, as the words of the control have it: instrument, coin, venue, everything."""
    ends: dict[Place, list[Decimal]] = {}
    figures: dict[tuple[str, str], list[float]] = {}
    named: dict[tuple[str, str], Listing] = {}
    moves = [(h.listing, h.account, h.quantity, h.quantity, h.usd_per_unit) for h in held]
    moves += [
        (o.listing, o.account, min(o.reserved, Decimal(0)), max(o.reserved, Decimal(0)), o.usd_per_unit)
        for o in out
    ]
    if asked is not None:
        low, high = min(asked.signed, Decimal(0)), max(asked.signed, Decimal(0))
        moves.append((asked.listing, asked.account, low, high, asked.usd_per_unit))
        if asked.listing.key not in {m[0].key for m in moves[:-1]}:
            figures[asked.listing.key] = [0.0]  # what it does not say may not make it less than nothing
    for where, account, low, high, worth in moves:
        pair = ends.setdefault((*where.key, account), [Decimal(0), Decimal(0)])
        pair[0], pair[1] = pair[0] + low, pair[1] + high
        figures.setdefault(where.key, []).append(worth)
        named[where.key] = where
    sums = dict.fromkeys(("instrument", "underlying", "venue", "firm"), 0.0)
    for (venue, symbol, _), (low, high) in ends.items():
        where, told = named[venue, symbol], figures[venue, symbol]
        each = math.nan if any(map(math.isnan, told)) else max(told)
        most = float(max(abs(low), abs(high)))
        worst = 0.0 if most == 0 else most * each if each >= 0 else math.nan
        sums["instrument"] += worst if where.key == mine.key else 0.0
        sums["underlying"] += worst if where.contract.underlying == mine.contract.underlying else 0.0
        sums["venue"] += worst if venue == mine.venue else 0.0
        sums["firm"] += worst
    return sums


@given(
    st.lists(st.tuples(at, lots, usd), max_size=12), st.lists(st.tuples(at, lots, usd), max_size=5), at, usd
)
def test_worst_notionals_are_the_definition_s_to_the_last_bit(
    start: list[tuple[tuple[Listing, str], Decimal, float]],
    out: list[tuple[tuple[Listing, str], Decimal, float]],
    mine: tuple[Listing, str],
    told: float,
) -> None:
    held = [Held(where, q, worth, account) for (where, account), q, worth in start]
    orders = [
        pending(str(q), where, intent=str(i), account=account, usd_per_unit=worth)
        for i, ((where, account), q, worth) in enumerate(out)
    ]
    asked = request(listing=mine[0], account=mine[1], usd_per_unit=told)
    found = gross_usd(around(held=held, pending=orders), asked)
    ways = [by_definition(held, orders, mine[0], order) for order in (None, asked)]
    for name in ("instrument", "underlying", "venue", "firm"):
        assert [repr(x) for x in getattr(found, name)] == [repr(way[name]) for way in ways]


def test_a_book_s_positions_are_told_at_their_listings_figures() -> None:
    universe = Universe.of(LISTINGS[:3])
    positions = [
        Position(PERP, "", Decimal("1.5")), Position(PERP, "b", Decimal(-2)), Position(CALL, "", Decimal(0)),
        Position(FUTURE, "", Decimal(3)),
    ]  # fmt: skip
    held = Holdings.of_book(Book.of(positions, {}), universe, np.array([10.0, 20.0, 30.0]))
    assert [(h.listing.symbol, h.account, h.quantity) for h in held] == [
        ("PERP", "", Decimal("1.5")), ("PERP", "b", Decimal(-2)), ("FUTURE", "", Decimal(3)),
    ]  # fmt: skip
    assert held[0].usd_per_unit == held[1].usd_per_unit == 10.0
    assert math.isnan(held[2].usd_per_unit), "off the market: unknown, not nothing"
    assert held.quantity((*PERP.key, "b")) == -2 and held.quantity((*PUT.key, "")) == 0
    assert list(held[:2]) == [held[0], held[1]] == [*held][:2]
    assert len(Holdings.of_book(Book(), universe, np.ones(3))) == 0


def test_a_quantity_that_is_no_number_is_found_on_whichever_account_it_stands() -> None:
    for odd in ("NaN", "sNaN", "Infinity"):
        for order in ([odd, "1"], ["1", odd]):
            held = [Held(PERP, Decimal(q), 1.0, account) for q, account in zip(order, "ab", strict=True)]
            found = findings(request(), around(held=held), Limits())
            assert [f.code for f in found] == [Code.INPUT_MISSING] and "position in PERP" in found[0].detail
            both = [Held(PERP, Decimal(q), 1.0) for q in order]
            assert Holdings.of(both).odd == ("PERP",)
