"""The options of a book as a delta band needs them: against revaluation of the whole book."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from pricing.market import ForwardKind, Market
from pricing.valuation import Numeraire, value
from risk.costs import reference_price
from risk.exposures import ExposureSettings, expose
from risk.option_legs import OptionLegs, atm_vol, hours_to_expiry, option_legs
from tests.builders import AGE_S_MAX, NAN, Quote, listing, market_of, option, perpetual

S = 50_000.0


def quote(
    strike: float, right: str, days: float, vol: float, *, inverse: bool = True, forward: float = 51_000.0
) -> Quote:
    contract = listing(option(strike, right, days, inverse=inverse))
    return Quote(contract, mark_iv=vol, forward=forward, index=S, forward_kind=ForwardKind.SYNTHETIC)


QUOTES = [
    quote(52_000.0, "C", 30, 0.60),
    quote(45_000.0, "P", 30, 0.65, inverse=False),
    quote(60_000.0, "C", 7, 0.70, forward=50_400.0),
    Quote(listing(perpetual()), mark=S, index=S),
]
HELD = np.array([-10.0, -4.0, 3.0, 100_000.0])


def legs_of(market: Market, numeraire: Numeraire, quantities: np.ndarray = HELD) -> OptionLegs:
    return option_legs(quantities, value(market, AGE_S_MAX), "BTC", numeraire)


def book_delta(numeraire: Numeraire, vol_up: float = 0.0, quantities: np.ndarray = HELD) -> float:
    market = market_of([replace(q, mark_iv=q.mark_iv + vol_up) for q in QUOTES])
    valuation = value(market, AGE_S_MAX)
    settings = ExposureSettings(numeraire)
    return expose(quantities, {}, valuation, reference_price(market), ["BTC"], settings).row("delta:BTC")


@pytest.mark.parametrize("numeraire", list(Numeraire))
def test_vanna_is_what_vols_do_to_the_books_delta(numeraire: Numeraire) -> None:
    """Both settlements, both numeraires: the whole book valued again, all vols up and down."""
    legs = legs_of(market_of(QUOTES), numeraire)
    step = 1e-4
    brute = (book_delta(numeraire, step) - book_delta(numeraire, -step)) / (2 * step)
    assert legs.vanna() == pytest.approx(brute, rel=1e-6)


@pytest.mark.parametrize("numeraire", list(Numeraire))
def test_delta_at_other_vols_is_the_books(numeraire: Numeraire) -> None:
    legs = legs_of(market_of(QUOTES), numeraire)
    options = HELD * np.array([1, 1, 1, 0])
    for up in (0.0, 0.05, -0.2):
        assert legs.delta(legs.vol + up) == pytest.approx(book_delta(numeraire, up, options), rel=1e-10)


def test_gammas_by_sign_and_means_by_their_size() -> None:
    legs = legs_of(market_of(QUOTES), Numeraire.USD)
    market = market_of(QUOTES)
    unit = value(market, AGE_S_MAX).usd.gamma[:3]
    assert legs.short_gamma == pytest.approx(-10 * unit[0] - 4 * unit[1], rel=1e-12)
    assert legs.long_gamma == pytest.approx(3 * unit[2], rel=1e-12)
    weight = np.array([10.0, 4.0, 3.0]) * unit
    assert legs.by_gamma(legs.years) * 365 == pytest.approx(weight @ [30, 30, 7] / weight.sum(), rel=1e-9)
    empty = legs_of(market, Numeraire.USD, np.zeros(4))
    assert (empty.long_gamma, empty.short_gamma, empty.vanna()) == (0.0, 0.0, 0.0)
    assert math.isnan(empty.by_gamma(empty.vol))


def test_hours_to_the_first_option_held() -> None:
    valuation = value(market_of(QUOTES), AGE_S_MAX)
    assert hours_to_expiry(HELD, valuation, "BTC") == pytest.approx(7 * 24)
    assert hours_to_expiry(HELD * [1, 1, 0, 1], valuation, "BTC") == pytest.approx(30 * 24)
    assert hours_to_expiry(HELD * [0, 0, 0, 1], valuation, "BTC") == math.inf


def test_the_vol_at_the_money() -> None:
    """Per expiry the strikes nearest its forward, the mean of those equally near; total variance between."""

    def vol(*quotes: Quote) -> float:
        return atm_vol(value(market_of(list(quotes)), AGE_S_MAX), "BTC")

    near = [quote(50_000.0, r, 10, v, forward=50_100.0) for r, v in (("C", 0.5), ("P", 0.6))]
    wing = quote(58_000.0, "C", 10, 0.9, forward=50_100.0)
    far = quote(52_000.0, "C", 50, 0.4, forward=52_500.0)
    assert vol(*near, wing) == pytest.approx(0.55)
    assert vol(wing) == pytest.approx(0.9)
    assert vol(far) == pytest.approx(0.4)
    middle = math.sqrt((0.55**2 * 10 + 0.4**2 * 50) / 2 / 30)  # 30 d lies half way between
    assert vol(*near, wing, far) == pytest.approx(middle, rel=1e-9)
    assert math.isnan(vol(QUOTES[3]))
    assert math.isnan(vol(replace(wing, mark_iv=NAN)))
