"""Margin after shocks: by hand from the venue's published terms, and against the whole market revalued."""

from __future__ import annotations

import numpy as np
import pytest

from pricing.contracts import Listing
from pricing.valuation import Numeraire
from risk.margin import margins
from risk.margin_terms import MarginModel
from risk.scenarios import Shock, shocked_valuation
from risk.shocked_margin import Account, shocked_margin
from tests.builders import Quote
from tests.risk.test_margin import PORTFOLIO, STANDARD, choice, deribit, perp, valued

SHOCKS = [Shock(), Shock(spot=0.1), Shock(spot=-0.2, vol=0.1), Shock(hours=7 * 24.0), Shock(hours=50 * 24.0)]
UNDERLYINGS = ("BTC", "ETH")


def required(
    quotes: list[Quote], quantities: list[float], model: MarginModel = STANDARD, coin: bool = False
) -> tuple[np.ndarray, tuple[str, ...]]:
    market, valuation = valued(quotes)
    account = Account("deribit", np.array(quantities), model, deribit())
    numeraire = Numeraire.COIN if coin else Numeraire.USD
    names = valuation.universe.underlyings
    found = shocked_margin(market, valuation, [account], SHOCKS, names, numeraire)
    return found.required, found.reasons


def test_a_perpetual_by_hand() -> None:
    """100,000 USD of the inverse perpetual: of q = Q/F coins 2 % and 0.005 % for each coin, at the index."""
    usd, reasons = required([perp(50_000.0)], [-100_000.0])
    for got, forward in zip(usd[0], (50_000.0, 55_000.0, 40_000.0, 50_000.0, 50_000.0), strict=True):
        q = 100_000.0 / forward
        assert got == pytest.approx(q * (0.02 + 0.00005 * q) * forward, rel=1e-12)
    coin, _ = required([perp(50_000.0)], [-100_000.0], coin=True)
    assert coin[0, 1] == pytest.approx(usd[0, 1] / 55_000.0, rel=1e-12)
    assert reasons == tuple(x for x in (deribit().note,) if x)


def test_what_expires_meanwhile_needs_none_and_what_is_held_never_did() -> None:
    quotes = [choice(50_000.0, "C", 30.0, 50_000.0), choice(50_000.0, "P", 100.0, 50_000.0)]
    sold, _ = required(quotes, [-1.0, 0.0])
    assert (sold[0, :4] > 0).all() and sold[0, 4] == 0.0
    assert (required(quotes, [1.0, 1.0])[0] == 0.0).all()


@pytest.mark.parametrize("model", [STANDARD, PORTFOLIO])
def test_every_cell_is_the_whole_market_revalued(model: MarginModel) -> None:
    quotes = [
        perp(50_000.0), perp(3_000.0, "ETH"), choice(45_000.0, "P", 60.0, 50_000.0),
        choice(55_000.0, "C", 90.0, 50_100.0), choice(60_000.0, "C", 80.0, 50_000.0),
    ]  # fmt: skip
    held = [120_000.0, -40_000.0, -2.0, -1.5, 0.0]
    usd, _ = required(quotes, held, model)
    market, valuation = valued(quotes)
    for i, shock in enumerate(SHOCKS):
        after = shocked_valuation(market, valuation, shock)
        due = margins(after, np.array(held), np.array(held), "deribit", model, deribit())
        spot = dict(zip(after.universe.underlyings, after.spot, strict=True))
        for u, name in enumerate(UNDERLYINGS):
            assert usd[u, i] == pytest.approx(due[name].initial * spot[name], rel=1e-9, nan_ok=True)
    assert np.isfinite(usd[0]).all()


def test_what_no_model_tells_is_unknown_and_says_why() -> None:
    market, valuation = valued([perp(50_000.0), perp(3_000.0, "ETH")])
    known = Account("deribit", np.array([1e5, 0.0]), STANDARD, deribit())
    for unknown in (Account("okx", np.array([0.0, 1e4])), Account("okx", np.array([0.0, 1e4]), why="so")):
        found = shocked_margin(market, valuation, [known, unknown], SHOCKS, UNDERLYINGS, Numeraire.USD)
        assert np.isfinite(found.required[0]).all() and np.isnan(found.required[1]).all()
        assert (unknown.why or "no margin model is known for okx") in found.reasons
    none = shocked_margin(market, valuation, [], SHOCKS, UNDERLYINGS, Numeraire.USD)
    assert (none.required == 0.0).all() and none.reasons == ()


def test_accounts_are_margined_apart() -> None:
    """Long in one and short in the other: neither covers the other."""
    market, valuation = valued([perp(50_000.0)])
    both = [Account("deribit", np.array([q]), STANDARD, deribit()) for q in (1e5, -1e5)]
    found = shocked_margin(market, valuation, both, SHOCKS, ("BTC",), Numeraire.USD)
    assert found.required[0, 0] == pytest.approx(2 * required([perp(50_000.0)], [1e5])[0][0, 0])


def test_a_position_without_a_mark_leaves_its_coin_unknown() -> None:
    dark = Quote(option_of(50_000.0), index=50_000.0)
    market, valuation = valued([perp(50_000.0), dark])
    account = Account("deribit", np.array([1e5, -1.0]), STANDARD, deribit())
    found = shocked_margin(market, valuation, [account], SHOCKS[:1], ("BTC",), Numeraire.USD)
    assert np.isnan(found.required).all() and "without a usable mark" in found.reasons[0]


def option_of(strike: float) -> Listing:
    return choice(strike, "C", 30.0, strike).listing
