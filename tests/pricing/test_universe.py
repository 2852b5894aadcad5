"""The universe: columns aligned with the listings, immutable, each listing once."""

from __future__ import annotations

import math
from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from pricing.contracts import Kind
from pricing.errors import InputError
from pricing.universe import Universe
from tests.builders import after, future, listing, option, perpetual, spot


def mixed() -> Universe:
    return Universe.of(
        [
            listing(perpetual("ETH"), taker="0.0005", maker="-0.0001", lot="1"),
            listing(option(60_000, "P", 30, inverse=False), size="0.01", cap="0.125", taker="0.0003"),
            listing(spot("BTC")),
            listing(future(90, "BTC"), lot="10", minimum="20"),
            listing(option(2_500, "C", 7, "ETH")),
        ]
    )


def test_columns_are_the_listings() -> None:
    u = mixed()
    assert len(u) == 5
    assert u.underlyings == ("BTC", "ETH")
    assert u.underlying.tolist() == [1, 0, 0, 0, 1]
    assert u.kind.tolist() == [Kind.PERPETUAL, Kind.OPTION, Kind.SPOT, Kind.FUTURE, Kind.OPTION]
    assert u.inverse.tolist() == [True, False, False, True, True]
    assert u.sign.tolist() == [0.0, -1.0, 0.0, 0.0, 1.0]
    assert u.expiry_ns.tolist() == [0, after(30), 0, after(90), after(7)]
    assert [math.isnan(k) for k in u.strike] == [True, False, True, True, False]
    assert u.strike[[1, 4]].tolist() == [60_000.0, 2_500.0]
    assert u.size.tolist() == [1.0, 0.01, 1.0, 1.0, 1.0]
    assert u.lot.tolist() == [1.0, 0.1, 0.1, 10.0, 0.1]
    assert u.minimum.tolist() == [1.0, 0.1, 0.1, 20.0, 0.1]
    assert u.maker.tolist() == [-0.0001, 0.0, 0.0, 0.0, 0.0]
    assert u.taker.tolist() == [0.0005, 0.0003, 0.0, 0.0, 0.0]
    assert u.cap.tolist() == [math.inf, 0.125, math.inf, math.inf, math.inf]
    assert u.is_option.tolist() == [False, True, False, False, True]
    assert u.where_underlying("ETH").tolist() == [True, False, False, False, True]
    assert all(u.positions[x.key] == i for i, x in enumerate(u.listings))


def test_nothing_can_be_changed() -> None:
    u = mixed()
    with pytest.raises(ValueError, match="read-only"):
        u.strike[0] = 1.0
    with pytest.raises(TypeError):
        u.positions[("deribit", "x")] = 1  # type: ignore[index]
    with pytest.raises(FrozenInstanceError):
        u.listings = ()  # type: ignore[misc]


def test_a_listing_twice_is_refused_with_its_rows() -> None:
    perp = listing(perpetual())
    with pytest.raises(InputError, match=r"LISTING_TWICE.*rows 0 and 2.*deribit BTC-BTC-PERPETUAL") as caught:
        Universe.of([perp, listing(spot()), perp])
    assert caught.value.exit_code == 2


def test_the_same_symbol_on_another_venue_is_another_listing() -> None:
    u = Universe.of([listing(perpetual()), listing(perpetual(), venue="okx", size="100")])
    assert u.positions == {("deribit", "BTC-BTC-PERPETUAL"): 0, ("okx", "BTC-BTC-PERPETUAL"): 1}


def test_an_empty_universe_has_empty_columns() -> None:
    u = Universe.of([])
    assert len(u) == 0
    assert u.underlyings == ()
    assert all(np.asarray(getattr(u, name)).shape == (0,) for name in ("kind", "strike", "size", "cap"))
