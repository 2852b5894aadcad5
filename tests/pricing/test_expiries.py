"""Expiries of a universe: told apart by venue, coin, date and settlement, with the contracts beside each."""

from __future__ import annotations

from pricing.contracts import Listing
from pricing.expiries import Expiry, expiries_of
from pricing.universe import Universe
from tests.builders import future, listing, option, perpetual

LISTINGS = [
    listing(option(60_000.0, "C", 7)),
    listing(option(60_000.0, "P", 7)),
    listing(option(65_000.0, "C", 7)),  # without a put
    listing(option(60_000.0, "C", 30)),
    listing(option(60_000.0, "C", 7, "ETH")),
    listing(option(60_000.0, "C", 7, inverse=False)),
    listing(option(60_000.0, "C", 7), venue="okx"),
    listing(future(7), venue="okx"),
    listing(perpetual()),
    listing(perpetual(), venue="okx"),
    listing(future(30)),
]


def names(expiry: Expiry) -> tuple[str, str, list[Listing]]:
    """Venue, coin and options of an expiry."""
    universe = Universe.of(LISTINGS)
    coin = universe.underlyings[expiry.underlying]
    return expiry.venue, coin, [LISTINGS[i] for i in expiry.rows.tolist()]


def test_options_are_told_apart_by_venue_coin_date_and_settlement() -> None:
    found = [names(expiry) for expiry in expiries_of(Universe.of(LISTINGS))]
    assert sorted(len(rows) for _, _, rows in found) == [1, 1, 1, 1, 3]
    assert ("deribit", "BTC", LISTINGS[:3]) in found
    assert ("okx", "BTC", [LISTINGS[6]]) in found
    assert sum(coin == "ETH" for _, coin, _ in found) == 1


def test_pairs_are_the_strikes_with_call_and_put() -> None:
    (week,) = (expiry for expiry in expiries_of(Universe.of(LISTINGS)) if expiry.rows.size == 3)
    assert (week.strike.tolist(), week.call.tolist(), week.put.tolist()) == ([60_000.0], [0], [1])


def test_futures_and_perpetuals_are_the_venues_own_where_it_lists_them() -> None:
    beside = {
        (expiry.venue, expiry.rows.tolist()[0]): (expiry.futures.tolist(), expiry.perpetuals.tolist())
        for expiry in expiries_of(Universe.of(LISTINGS))
    }
    assert beside["okx", 6] == ([7], [9])
    assert beside["deribit", 0] == ([7], [8])  # it lists no such future: another venue's
    assert beside["deribit", 3] == ([10], [8])
    assert beside["deribit", 4] == ([], [])  # no other coin's
