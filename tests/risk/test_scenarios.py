"""Scenarios against brute force: the whole book revalued by an own formula, in a market moved by hand."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.contracts import Kind, Option
from pricing.market import VOL_ABSURD_BELOW
from pricing.universe import FloatArray
from pricing.valuation import MarkStatus, Numeraire, value
from risk.bands import Bands
from risk.costs import reference_price
from risk.exposures import Exposure, ExposureSettings, expose, row_matrix
from risk.scenarios import Scenario, Shock, shocked_valuation, unit_pnl, with_floors, with_scenarios
from risk.uncertainty import narrowed, row_errors, row_sd
from tests.builders import AGE_S_MAX, NOW_NS, Quote, future, listing, market_of, option, perpetual
from tests.risk.test_exposures import CASH, COIN, INDEX, LEGS, USD, Leg, market, worth, years_of

YEAR_H = 365 * 24
SHOCKS = {
    "nothing": Shock(),
    "crash": Shock(spot=-0.3, vol=0.25),
    "rally": Shock(spot=0.2, vol=-0.1),
    "vol": Shock(vol=0.05),
    "hours": Shock(hours=6.0),
    "days": Shock(spot=0.1, vol=0.02, hours=30.0),  # the options of 0.4 days are settled by then
    "month": Shock(spot=-0.15, hours=46 * 24.0),  # those of 45 days, too, and the future beside them
}


def exposed(shocks: Mapping[str, Shock], settings: ExposureSettings, legs: Sequence[Leg] = LEGS) -> Exposure:
    known = market(legs)
    valuation = value(known, AGE_S_MAX)
    quantities = np.array([leg.quantity for leg in legs])
    terms = quantities, CASH, reference_price(known), ("BTC", "ETH"), settings
    plain = expose(terms[0], terms[1], valuation, terms[2], terms[3], settings)
    scenarios = [Scenario(name, shock) for name, shock in shocks.items()]
    return with_scenarios(plain, scenarios, known, valuation, *terms)


def shocked_worth(leg: Leg, shock: Shock, index: Mapping[str, float]) -> float:
    """USD of a leg after a shock; futures from their entry at today's mark on; what has expired at payoff."""
    contract, q, s = leg.listing.contract, leg.natural, index[leg.coin] * (1 + shock.spot)
    if not isinstance(contract, Option):
        return float(np.real(worth(leg, s)))
    forward, years = s * leg.basis, years_of(leg) - shock.hours / YEAR_H
    sign, strike = contract.right.sign, contract.strike
    if years <= 0:
        v = max(sign * (forward - strike), 0.0)
    else:
        deviation = max(leg.vol + shock.vol, VOL_ABSURD_BELOW) * math.sqrt(years)
        d1 = math.log(forward / strike) / deviation + deviation / 2
        low, high = (0.5 * math.erfc(-sign * d / math.sqrt(2)) for d in (d1, d1 - deviation))
        v = sign * (forward * low - strike * high)
    return q * v / forward * s if contract.inverse else q * v


def wealth(coin: str, shock: Shock, numeraire: Numeraire) -> float:
    """Wealth in everything of one coin and stable cash after a shock, in USD or in the coin."""
    s = INDEX[coin] * (1 + shock.spot)
    stable = sum(amount for name, amount in CASH.items() if name not in INDEX)
    legs = sum(shocked_worth(leg, shock, INDEX) for leg in LEGS if leg.coin == coin)
    total = CASH.get(coin, 0.0) * s + stable + legs
    return total if numeraire is Numeraire.USD else total / s


@pytest.mark.parametrize("settings", [USD, COIN], ids=["USD", "coin"])
@pytest.mark.parametrize("name", SHOCKS)
def test_the_rows_are_the_book_revalued(name: str, settings: ExposureSettings) -> None:
    found, shock = exposed({name: SHOCKS[name]}, settings), SHOCKS[name]
    for coin in INDEX:
        expected = wealth(coin, shock, settings.numeraire) - wealth(coin, Shock(), settings.numeraire)
        size = sum(abs(shocked_worth(leg, shock, INDEX)) for leg in LEGS if leg.coin == coin)
        assert found.row(f"pnl:{coin}:{name}") == pytest.approx(expected, rel=1e-9, abs=1e-11 * size)
    assert found.units[-1] == ("USD" if settings is USD else "coin")


@pytest.mark.parametrize("settings", [USD, COIN], ids=["USD", "coin"])
def test_no_shock_is_no_pnl(settings: ExposureSettings) -> None:
    """Exactly: of every unit, held or traded."""
    found = exposed({"none": Shock()}, settings)
    rows = [i for i, name in enumerate(found.rows) if name.startswith("pnl")]
    assert len(rows) == 2
    assert (
        (found.value[rows] == 0).all() and (found.owned[rows] == 0).all() and (found.traded[rows] == 0).all()
    )


@pytest.mark.parametrize("settings", [USD, COIN], ids=["USD", "coin"])
def test_a_small_shock_is_the_greeks(settings: ExposureSettings) -> None:
    """Delta by spot, vega by vol, theta by time: of what is owned and of what a trade pays, unit by unit."""
    step = 1e-5
    found = exposed(
        {"up": Shock(spot=step), "down": Shock(spot=-step), "vol": Shock(vol=step), "h": Shock(hours=1e-3)},
        settings,
    )
    for coin, index in INDEX.items():

        def row(name: str, of: FloatArray, coin: str = coin) -> FloatArray:
            return np.asarray(of[found.rows.index(f"pnl:{coin}:{name}")])

        for of in (found.owned, found.traded):
            delta = of[found.rows.index(f"delta:{coin}")] * (index if settings is USD else 1.0)
            middle = (row("up", of) - row("down", of)) / (2 * step)
            np.testing.assert_allclose(middle, delta, rtol=2e-6, atol=1e-6 * np.abs(delta).max())
        vega = found.owned[found.rows.index(f"vega:{coin}")]
        # The rows count vega and theta at the option's own forward; what is paid is wealth at the index.
        scale = np.array(
            [
                (1.0 / leg.basis if leg.listing.contract.inverse else 1.0)
                * (1.0 if settings is USD else leg.basis)
                for leg in LEGS
            ]
        )
        np.testing.assert_allclose(row("vol", found.owned) / step, vega * scale, rtol=1e-3, atol=1e-9)
        theta = found.owned[found.rows.index(f"theta:{coin}")]
        np.testing.assert_allclose(row("h", found.owned) * YEAR_H / 1e-3, theta * scale, rtol=1e-3, atol=1e-9)


@pytest.mark.parametrize("settings", [USD, COIN], ids=["USD", "coin"])
def test_a_trade_moves_the_row_as_the_book_with_it_would(settings: ExposureSettings) -> None:
    """Buying at the reference price: the leg is owned and its premium is gone from the balance."""
    shocks = {"crash": SHOCKS["crash"]}
    before = exposed(shocks, settings)
    reference = reference_price(market(LEGS))
    for i in (0, 1, 5, 8, 10, 12, 14, 16):
        leg, amount = LEGS[i], 3.0 * float(LEGS[i].listing.lot)
        contract = leg.listing.contract
        cash = dict(CASH)
        if contract.kind in (Kind.OPTION, Kind.SPOT):
            paid = amount * float(leg.listing.size) * float(reference[i])
            cash[contract.settlement] = cash.get(contract.settlement, 0.0) - paid
        known = market(LEGS)
        valuation = value(known, AGE_S_MAX)
        quantities = np.array([x.quantity for x in LEGS])
        quantities[i] += amount
        plain = expose(quantities, cash, valuation, reference, ("BTC", "ETH"), settings)
        after = with_scenarios(
            plain,
            [Scenario("crash", SHOCKS["crash"])],
            known,
            valuation,
            quantities,
            cash,
            reference,
            ("BTC", "ETH"),
            settings,
        )
        row = f"pnl:{leg.coin}:crash"
        moved = before.traded[before.rows.index(row), i] * amount
        assert after.row(row) - before.row(row) == pytest.approx(moved, rel=1e-7), leg.listing.symbol


@given(
    spot=st.floats(-0.9, 3.0),
    vol=st.floats(-1.0, 3.0),
    hours=st.floats(0.0, 10_000.0),
    settings=st.sampled_from([USD, COIN]),
)
def test_any_shock_has_a_number_for_everything_that_had_one(
    spot: float, vol: float, hours: float, settings: ExposureSettings
) -> None:
    known = market(LEGS[: len(LEGS) // 2])
    valuation = value(known, AGE_S_MAX)
    shocked = shocked_valuation(known, valuation, Shock(spot, vol, hours))
    gain = unit_pnl(valuation, shocked, settings.numeraire)
    assert np.isfinite(gain).all()
    np.testing.assert_allclose(shocked.spot, valuation.spot * (1 + spot))


def test_what_cannot_be_valued_has_no_scenario_either() -> None:
    quotes = [leg.quote() for leg in LEGS[:6]]
    quotes[2] = Quote(quotes[2].listing, age_s=None)
    known = market_of(quotes)
    valuation = value(known, AGE_S_MAX)
    shocked = shocked_valuation(known, valuation, Shock(spot=-0.1))
    assert valuation.status[2] == MarkStatus.NOT_QUOTED == shocked.status[2]
    gain = unit_pnl(valuation, shocked, Numeraire.USD)
    assert np.isnan(gain).tolist() == [False, False, True, False, False, False]


def test_a_settlement_window_goes_on_at_the_shocked_index() -> None:
    """Half of the window at 50,000, then an index of 40,000 for the other half: an average of 45,000."""
    quarter = 15 / (24 * 60)
    call = Quote(
        listing(option(42_000.0, "C", quarter)),
        bid=0.1,
        ask=0.2,
        mark=0.16,
        mark_iv=0.5,
        forward=50_000.0,
        index=50_000.0,
    )
    known = market_of([call], settlement_average={("BTC", NOW_NS + round(quarter * 86_400e9)): 50_000.0})
    valuation = value(known, AGE_S_MAX)
    assert valuation.in_window.all()
    shocked = shocked_valuation(known, valuation, Shock(spot=-0.2, hours=0.25 * (1 - 1e-6)))
    assert shocked.value_usd[0] == pytest.approx(45_000 - 42_000, rel=1e-3)


def test_forwards_published_as_the_bare_index_and_stale_futures_move_alike() -> None:
    """What the valuation chose is shocked, whatever it chose it from."""
    quotes = [
        Quote(
            listing(option(strike, right, 30)),
            bid=price - 0.001,
            ask=price + 0.001,
            mark=price,
            mark_iv=0.5,
            index=50_000.0,
        )
        for strike, right, price in ((50_000.0, "C", 0.06), (50_000.0, "P", 0.05), (55_000.0, "C", 0.035))
    ]
    quotes.append(Quote(listing(perpetual()), 49_999.0, 50_001.0, 50_000.0, index=50_000.0))
    quotes.append(Quote(listing(future(30)), 50_400.0, 50_600.0, 50_500.0, index=50_000.0))
    known = market_of(quotes)
    valuation = value(known, AGE_S_MAX)
    shocked = shocked_valuation(known, valuation, Shock(spot=0.1))
    assert (valuation.status == MarkStatus.OK).all()
    np.testing.assert_allclose(shocked.forward, valuation.forward * 1.1, rtol=1e-12)


@pytest.mark.parametrize(
    "bad", [{"spot": -1.0}, {"spot": math.nan}, {"vol": math.inf}, {"hours": -1.0}, {"forward": -1.0}]
)
def test_a_shock_that_is_none_is_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="allowed are"):
        Shock(**bad)


def test_floors_are_bands_open_above() -> None:
    none = np.full(1, np.inf)
    plain = Bands(np.zeros(1), -none, none, -none, none)
    scenarios = [
        Scenario("a", Shock(), floor_usd=-100.0),
        Scenario("b", Shock()),
        Scenario("c", Shock(), -50.0, 0.5),
    ]
    spots = {"BTC": 50_000.0, "ETH": math.nan}
    in_usd = with_floors(plain, scenarios, ["BTC", "ETH"], spots, Numeraire.USD)
    assert in_usd.trigger_lower.tolist() == [-math.inf, -100.0, -math.inf, -50.0, *[-math.inf] * 3]
    assert in_usd.landing_lower.tolist() == [-math.inf, -90.0, -math.inf, -25.0, *[-math.inf] * 3]
    assert np.isinf(in_usd.trigger_upper).all() and np.isinf(in_usd.landing_upper).all()
    in_coin = with_floors(plain, scenarios, ["BTC"], spots, Numeraire.COIN)
    assert in_coin.trigger_lower[1] == -100.0 / 50_000.0


# ------------------------------------------------------------------------------------------- errors of Greeks


def test_errors_of_delta_are_vanna_and_gamma() -> None:
    """Small errors: d delta = vanna dvol and gamma dF, by the closed forms of Black-76."""
    legs = [leg for leg in LEGS[2:6] if leg.coin == "BTC"]
    known = market(legs)
    valuation = value(known, AGE_S_MAX)
    errors = row_errors(known, valuation, ("BTC",), USD, 1e-5, 1e-6)
    for i, leg in enumerate(legs):
        contract = leg.listing.contract
        assert isinstance(contract, Option)
        deviation = leg.vol * math.sqrt(years_of(leg))
        d1 = math.log(leg.forward / contract.strike) / deviation + deviation / 2
        density = math.exp(-d1 * d1 / 2) / math.sqrt(2 * math.pi)
        size = float(leg.listing.size)
        vanna, gamma = -density * (d1 - deviation) / leg.vol, density / (leg.forward * deviation)
        assert errors[0, 0, i] == pytest.approx(vanna * 1e-5 * size, rel=1e-3)
        assert errors[1, 0, i] == pytest.approx(gamma * leg.forward * 1e-6 * size, rel=1e-3)
    quantities = np.array([leg.quantity for leg in legs])
    sd = row_sd(errors, valuation, quantities)
    assert sd[0] == pytest.approx(math.hypot(errors[0, 0] @ quantities, errors[1, 0] @ quantities))
    assert row_sd(errors, valuation, 3 * quantities) == pytest.approx(3 * sd)
    assert not row_sd(errors, valuation, 0 * quantities).any()


def test_errors_do_not_depend_on_the_delta_rule() -> None:
    """The error is between two plain valuations, so no rule is taken for an error."""
    known = market(LEGS)
    valuation = value(known, AGE_S_MAX)
    assert not row_errors(known, valuation, ("BTC", "ETH"), USD, 0.0, 0.0).any()
    rows = row_matrix(valuation, ("BTC", "ETH"), USD)
    assert row_errors(known, valuation, ("BTC", "ETH"), USD, 0.1, 0.0).shape == (2, *rows.shape)


def test_bands_narrow_towards_their_target_and_not_past_it() -> None:
    inf = math.inf
    bands = Bands(
        target=np.array([0.0, 1.0, 0.0, 0.0]),
        trigger_lower=np.array([-10.0, -9.0, -inf, -10.0]),
        trigger_upper=np.array([10.0, 11.0, 5.0, 10.0]),
        landing_lower=np.array([-6.0, -2.0, -inf, 0.0]),
        landing_upper=np.array([6.0, 4.0, 4.0, 0.0]),
    )
    rows = ("delta:BTC", "gamma:BTC", "vega:BTC", "theta:BTC")
    no = np.zeros(4)
    exposure = Exposure(rows, rows, no[None], no[None], no, no, ())
    found = narrowed(bands, exposure, np.array([1.0, 5.0, 0.5, 3.0]), 2.0)
    assert found.trigger_lower.tolist() == [-8.0, -6.0, -inf, -10.0]
    assert found.landing_lower.tolist() == [-4.0, 1.0, -inf, 0.0]
    assert found.trigger_upper.tolist() == [8.0, 8.0, 4.0, 10.0]
    assert found.landing_upper.tolist() == [4.0, 1.0, 3.0, 0.0]
