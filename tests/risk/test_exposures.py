"""Exposures against brute force: an own wealth function, bumped; linear in the book; true to the ledger.

The wealth function knows nothing of ours: W(S) = coins x S + what every contract pays if marked at S, all
forwards moving in proportion to S. Its derivatives come from complex steps, exact to rounding.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtr

from pricing.contracts import Future, Kind, Listing, Option, Side
from pricing.market import Flag, ForwardKind, Market
from pricing.universe import FloatArray
from pricing.valuation import MarkStatus, Numeraire, Valuation, value
from risk.book import Book, Fill, Position
from risk.costs import CostSettings, cost_model, reference_price
from risk.exposures import Exposure, ExposureSettings, cash_rows, expose, row_names, unit_of
from tests.builders import (
    AGE_S_MAX,
    NAN,
    NOW_NS,
    Quote,
    future,
    listing,
    market_of,
    option,
    perpetual,
    plain_black,
    spot,
)

INDEX = {"BTC": 60_000.0, "ETH": 2_000.0}
USD, COIN = ExposureSettings(), ExposureSettings(Numeraire.COIN)
GREEKS = ("delta", "gamma", "gamma_expiring", "vega", "vega_weighted", "theta")
BUCKETS = ("0-7d", "7-30d", "30-90d", "90-180d", "180d+")


@dataclass(frozen=True, slots=True)
class Leg:
    """A listing, how many order units, what the market says: forward over index, and vol."""

    listing: Listing
    quantity: float
    basis: float = 1.0
    vol: float = NAN

    @property
    def coin(self) -> str:
        return self.listing.contract.underlying

    @property
    def forward(self) -> float:
        return INDEX[self.coin] * self.basis

    @property
    def natural(self) -> float:
        return self.quantity * float(self.listing.size)

    def quote(self) -> Quote:
        contract = self.listing.contract
        base = Quote(self.listing, index=INDEX[self.coin])
        if isinstance(contract, Option):
            years = (contract.expiry_ns - NOW_NS) / 1e9 / 31_536_000
            v = plain_black(self.forward, contract.strike, years, self.vol, contract.right.sign)
            v /= self.forward if contract.inverse else 1.0
            return replace(
                base,
                bid=v * 0.95,
                ask=v * 1.1,
                mark=v * 1.02,
                mark_iv=self.vol,
                forward=self.forward,
                forward_kind=ForwardKind.SYNTHETIC,
            )
        price = self.forward
        return replace(base, bid=price * 0.999, ask=price * 1.002, mark=price)


def mixed_legs() -> list[Leg]:
    """Long and short, coin- and dollar-settled, six tenors of which two end within two days; two coins."""
    legs = []
    for coin, scale in (("BTC", 1.0), ("ETH", 30.0)):
        s = INDEX[coin]
        options = [
            (0.4, "C", 1.001, -5.0, True, 1.000),
            (1.5, "P", 0.98, 3.0, False, 1.001),
            (5.0, "P", 0.95, -12.0, True, 1.002),
            (7.0, "C", 1.02, 4.0, True, 1.003),
            (20.0, "C", 1.10, 25.0, True, 1.004),
            (20.0, "P", 1.20, -6.0, True, 1.004),
            (45.0, "C", 0.80, 7.0, False, 1.008),
            (120.0, "P", 0.70, -30.0, False, 1.015),
            (120.0, "P", 1.50, 9.0, True, 1.015),
            (300.0, "C", 1.40, -11.0, True, 1.030),
        ]
        for i, (days, right, moneyness, q, inverse, basis) in enumerate(options):
            contract = option(s * moneyness, right, days, coin, inverse=inverse)
            size = "0.01" if i % 4 == 3 else "1"
            quantity = q * scale * (100 if i % 4 == 3 else 1)
            legs.append(Leg(listing(contract, size=size), quantity, basis, 0.45 + 0.03 * i))
        legs += [
            Leg(listing(perpetual(coin)), -123_456.0, 1.0005),
            Leg(listing(perpetual(coin), venue="okx", size="100"), 777.0, 0.9995),
            Leg(listing(perpetual(coin, inverse=False)), 2.5 * scale, 1.0007),
            Leg(listing(perpetual(coin, inverse=False), venue="okx", size="0.001"), -800.0 * scale, 1.0002),
            Leg(listing(future(45, coin)), 250_000.0, 1.0082),
            Leg(listing(future(100, coin, inverse=False)), -3.25 * scale, 1.014),
            Leg(listing(spot(coin)), 1.75 * scale),
        ]
    return legs


LEGS = mixed_legs()
CASH = {"BTC": 11.5, "ETH": -40.0, "USDC": 350_000.0, "USDT": -20_000.0}


def market(legs: Sequence[Leg] = tuple(LEGS)) -> Market:
    return market_of([leg.quote() for leg in legs])


def exposed(
    legs: Sequence[Leg],
    cash: Mapping[str, float],
    settings: ExposureSettings,
    underlyings: Sequence[str] = ("BTC", "ETH"),
) -> Exposure:
    known = market(legs)
    valuation = value(known, AGE_S_MAX)
    quantities = np.array([leg.quantity for leg in legs])
    return expose(quantities, cash, valuation, reference_price(known), underlyings, settings)


# ---------------------------------------------------------------------------------------- the wealth function
def black(forward: complex, strike: float, years: complex, vol: complex, sign: int) -> complex:
    """Black-76 that takes complex numbers."""
    deviation = vol * np.sqrt(years)
    d1 = np.log(forward / strike) / deviation + deviation / 2
    result: complex = sign * (forward * ndtr(sign * d1) - strike * ndtr(sign * (d1 - deviation)))
    return result


def years_of(leg: Leg) -> float:
    contract = leg.listing.contract
    assert isinstance(contract, Option | Future)
    return (contract.expiry_ns - NOW_NS) / 1e9 / 31_536_000


def worth(leg: Leg, s: complex) -> complex:
    """USD that a leg adds to wealth at index s; futures from their entry at today's mark on."""
    contract, q = leg.listing.contract, leg.natural
    forward = s * leg.basis
    if isinstance(contract, Option):
        v = black(forward, contract.strike, years_of(leg), leg.vol, contract.right.sign)
        return q * v / forward * s if contract.inverse else q * v
    if contract.kind is Kind.SPOT:
        return q * s
    if contract.inverse:
        return q * (1 / leg.forward - 1 / forward) * s
    return q * (forward - leg.forward)


def wealth(coin: str, legs: Sequence[Leg], cash: Mapping[str, float], s: complex) -> complex:
    """Wealth in everything of one coin and in stable cash, USD."""
    stable = sum(amount for name, amount in cash.items() if name not in INDEX)
    return cash.get(coin, 0.0) * s + stable + sum(worth(leg, s) for leg in legs if leg.coin == coin)


H = 1e-20


def slope(f: Callable[[complex], complex], x: float) -> float:
    return float(np.imag(f(x + 1j * H * abs(x)))) / (H * abs(x))


def bend(f: Callable[[complex], complex], x: float, step: float) -> float:
    """Central differences of complex steps, error of order step^4."""

    def d(y: float) -> float:
        return slope(f, y)

    return (8 * (d(x + step) - d(x - step)) - d(x + 2 * step) + d(x - 2 * step)) / (12 * step)


def brute_force(
    coin: str, legs: Sequence[Leg], cash: Mapping[str, float], numeraire: Numeraire
) -> dict[str, float]:
    """Every row of a coin as the README, "What a row means", puts it."""
    in_coin = numeraire is Numeraire.COIN
    s = INDEX[coin]
    rows = dict.fromkeys([*GREEKS, *BUCKETS], 0.0)
    if in_coin:
        rows["delta"] = s * slope(lambda x: wealth(coin, legs, cash, x) / x, s)
    else:
        rows["delta"] = slope(lambda x: wealth(coin, legs, cash, x), s)
    for leg in legs:
        contract = leg.listing.contract
        if leg.coin != coin:
            continue
        f, q = leg.forward, leg.natural
        if contract.kind in (Kind.PERPETUAL, Kind.FUTURE) and contract.inverse and in_coin:
            rows["gamma"] += f * f * bend(lambda x, q=q, f=f: q * (1 / f - 1 / x), f, f * 1e-3)  # type: ignore[misc]
        if not isinstance(contract, Option):
            continue
        k, sign, years = contract.strike, contract.right.sign, years_of(leg)
        days, vol = years * 365, leg.vol

        def unit(x: complex, t: complex, v: complex, k: float = k, sign: int = sign) -> complex:
            return black(x, k, t, v, sign)

        step = f * vol * math.sqrt(years) * 2e-3
        if in_coin:
            gamma = f * f * bend(lambda x, u=unit, t=years, v=vol: u(x, t, v) / x, f, step)  # type: ignore[misc]
        else:
            gamma = bend(lambda x, u=unit, t=years, v=vol: u(x, t, v), f, step)  # type: ignore[misc]
        per = f if in_coin else 1.0
        vega = slope(lambda v, u=unit, t=years, x=f: u(x, t, v), vol) / per  # type: ignore[misc]
        theta = -slope(lambda t, u=unit, v=vol, x=f: u(x, t, v), years) / per  # type: ignore[misc]
        rows["gamma" if days >= 2 else "gamma_expiring"] += q * gamma
        rows["vega"] += q * vega
        rows["vega_weighted"] += q * vega * (30 / max(days, 1)) ** 0.5
        rows["theta"] += q * theta
        first_days = (0, 7, 30, 90, 180)
        rows[BUCKETS[max(i for i, first in enumerate(first_days) if days >= first - 1e-9)]] += q * vega
    return rows


def name_of_row(coin: str, key: str) -> str:
    return f"vega:{coin}:{key}" if key in BUCKETS else f"{key}:{coin}"


@pytest.mark.parametrize("settings", [USD, COIN])
@pytest.mark.parametrize("coin", ["BTC", "ETH"])
def test_a_mixed_book_against_brute_force(coin: str, settings: ExposureSettings) -> None:
    """Cash rows hold the unrealised gain of futures, hence the entry at today's mark."""
    found = exposed(LEGS, CASH, settings)
    expected = brute_force(coin, LEGS, CASH, settings.numeraire)
    assert found.missing == ()
    for key, x in expected.items():
        assert found.row(name_of_row(coin, key)) == pytest.approx(x, rel=1e-9), key


@pytest.mark.parametrize("settings", [USD, COIN])
@pytest.mark.parametrize("i", range(len(LEGS) // 2))
def test_each_contract_alone_against_brute_force(i: int, settings: ExposureSettings) -> None:
    """A mixed book could hide one error behind a large row; alone nothing is hidden."""
    leg = LEGS[i]
    expected = brute_force("BTC", [leg], {}, settings.numeraire)
    found = exposed([leg], {}, settings, ["BTC"])
    for key, x in expected.items():
        assert found.row(name_of_row("BTC", key)) == pytest.approx(x, rel=1e-9, abs=1e-13), key


def test_the_position_of_the_deribit_documentation() -> None:
    """50 USD at 7476.65: delta 0.006687487."""
    perp = Quote(listing(perpetual()), mark=7476.65, index=7476.65)
    known = market_of([perp])
    for settings in (USD, COIN):
        found = expose(
            np.array([50.0]), {}, value(known, AGE_S_MAX), reference_price(known), ["BTC"], settings
        )
        assert found.row("delta:BTC") == pytest.approx(0.006687487, abs=5e-10)


def test_equity_and_delta_total_of_the_venue() -> None:
    """Equity + DeltaTotal: equity with option marks v, DeltaTotal = sum(delta - v) + sum Q/F."""
    legs = [leg for leg in LEGS[:17] if leg.listing.contract.inverse]
    equity, delta_total = 11.5, 0.0
    for leg in legs:
        contract, f = leg.listing.contract, leg.forward
        if isinstance(contract, Option):
            k, sign, years, vol = contract.strike, contract.right.sign, years_of(leg), leg.vol
            v = plain_black(f, k, years, vol, sign) / f
            delta = slope(lambda x, k=k, t=years, s=vol, c=sign: black(x, k, t, s, c), f)  # type: ignore[misc]
            equity += leg.natural * v
            delta_total += leg.natural * (delta - v)
        else:
            delta_total += leg.natural / f
    found = exposed(legs, {"BTC": 11.5}, USD, ["BTC"])
    assert found.row("delta:BTC") == pytest.approx(equity + delta_total, rel=1e-10)


# ------------------------------------------------------------------------------------------ rows and settings
def test_names_and_units_of_rows() -> None:
    names = row_names(["BTC", "ETH"])
    assert names[:11] == (
        *(f"{g}:BTC" for g in GREEKS),
        *(f"vega:BTC:{b}" for b in BUCKETS),
    )
    assert len(names) == 22
    units = {"delta": "coin", "gamma": "coin/USD", "gamma_expiring": "coin/USD", "vega": "USD/vol"}
    units |= {"vega_weighted": "USD/vol", "theta": "USD/year"}
    for name in names:
        assert unit_of(name, Numeraire.USD) == units[name.split(":")[0]]
        assert unit_of(name, Numeraire.COIN) == "coin"


@pytest.mark.parametrize(
    ("days", "bucket"),
    [
        (0.01, "0-7d"),
        (6.999, "0-7d"),
        (7.0, "7-30d"),
        (30.0, "30-90d"),
        (89.9, "30-90d"),
        (90.0, "90-180d"),
        (180.0, "180d+"),
        (1000.0, "180d+"),
    ],
)
def test_edges_of_the_tenors(days: float, bucket: str) -> None:
    found = exposed([Leg(listing(option(60_000, "C", days)), 1.0, vol=0.5)], {}, USD, ["BTC"])
    filled = [b for b in BUCKETS if found.row(f"vega:BTC:{b}") != 0]
    assert filled == [bucket]
    assert found.row(f"vega:BTC:{bucket}") == found.row("vega:BTC")


@pytest.mark.parametrize(("days_min", "row"), [(2.0, "gamma"), (2.001, "gamma_expiring"), (0.0, "gamma")])
def test_gamma_of_options_about_to_expire_stands_apart(days_min: float, row: str) -> None:
    settings = replace(USD, gamma_days_min=days_min)
    found = exposed([Leg(listing(option(60_000, "C", 2.0)), 1.0, vol=0.5)], {}, settings, ["BTC"])
    assert {r: found.row(f"{r}:BTC") > 0 for r in ("gamma", "gamma_expiring")} == {
        "gamma": row == "gamma",
        "gamma_expiring": row != "gamma",
    }


def test_an_inverse_future_about_to_expire_is_not_an_expiring_option() -> None:
    leg = Leg(listing(future(1.0)), 60_000.0)
    found = exposed([leg], {}, COIN, ["BTC"])
    assert found.row("gamma:BTC") == pytest.approx(-2.0)
    assert found.row("gamma_expiring:BTC") == 0.0


@pytest.mark.parametrize("settings", [USD, COIN])
def test_buckets_sum_to_the_total(settings: ExposureSettings) -> None:
    found = exposed(LEGS, CASH, settings)
    for coin in INDEX:
        total = math.fsum(found.row(f"vega:{coin}:{b}") for b in BUCKETS)
        assert total == pytest.approx(found.row(f"vega:{coin}"), rel=1e-12)


def test_cash_of_each_currency() -> None:
    """USD: a coin counts one, a dollar nothing. Coin: a coin nothing, a dollar -1/S of each coin, or one."""
    currencies = ["BTC", "ETH", "USDC", "USDT", "EUR"]
    rows = row_names(["BTC", "ETH"])
    b, e = rows.index("delta:BTC"), rows.index("delta:ETH")
    in_usd = cash_rows(currencies, ["BTC", "ETH"], INDEX, USD)
    assert in_usd[b].tolist() == [1, 0, 0, 0, 0]
    assert in_usd[e].tolist() == [0, 1, 0, 0, 0]
    in_coin = cash_rows(currencies, ["BTC", "ETH"], INDEX, COIN)
    assert in_coin[b].tolist() == [0, 0, -1 / 60_000, -1 / 60_000, 0]
    assert in_coin[e].tolist() == [0, 0, -1 / 2_000, -1 / 2_000, 0]
    once = cash_rows(currencies, ["BTC", "ETH"], INDEX, replace(COIN, stable_underlying="ETH"))
    assert once[b].tolist() == [0, 0, 0, 0, 0]
    assert once[e].tolist() == in_coin[e].tolist()
    for matrix in (in_usd, in_coin, once):
        assert not np.delete(matrix, [b, e], axis=0).any()


def test_a_coin_that_is_not_reported_leaves_the_others_alone() -> None:
    both = exposed(LEGS, CASH, USD)
    alone = exposed(LEGS, CASH, USD, ["ETH"])
    assert alone.rows == row_names(["ETH"])
    assert alone.value.tolist() == both.value[11:].tolist()


# -------------------------------------------------------------------------------------------------- linearity
MARKET = market()
VALUATION: Valuation = value(MARKET, AGE_S_MAX)
REFERENCE = reference_price(MARKET)
QUANTITIES = st.lists(
    st.floats(-1e6, 1e6).filter(lambda x: x == 0 or abs(x) > 1e-6), min_size=len(LEGS), max_size=len(LEGS)
).map(np.array)
BALANCES = st.fixed_dictionaries({c: st.floats(-1e6, 1e6) for c in ("BTC", "ETH", "USDC")})
SETTINGS = st.sampled_from([USD, COIN, replace(COIN, stable_underlying="BTC")])


def of(quantities: FloatArray, cash: Mapping[str, float], settings: ExposureSettings) -> FloatArray:
    return expose(quantities, cash, VALUATION, REFERENCE, ["BTC", "ETH"], settings).value


def size_of_row(quantities: FloatArray, cash: Mapping[str, float], settings: ExposureSettings) -> FloatArray:
    """Sum of the sizes of all that is added up: the measure of rounding."""
    owned = expose(quantities, {}, VALUATION, REFERENCE, ["BTC", "ETH"], settings).owned
    stable = sum(abs(x) for x in cash.values())
    return np.asarray(np.abs(owned) @ np.abs(quantities) + stable)


@given(QUANTITIES, BALANCES, SETTINGS)
def test_the_negated_book_has_negated_exposures(
    q: FloatArray, cash: dict[str, float], settings: ExposureSettings
) -> None:
    negated = of(-q, {c: -x for c, x in cash.items()}, settings)
    assert np.array_equal(negated, -of(q, cash, settings))


@given(QUANTITIES, BALANCES, QUANTITIES, BALANCES, SETTINGS)
def test_two_books_together_are_their_sum(
    a: FloatArray,
    cash_a: dict[str, float],
    b: FloatArray,
    cash_b: dict[str, float],
    settings: ExposureSettings,
) -> None:
    together = of(a + b, {c: cash_a[c] + cash_b[c] for c in cash_a}, settings)
    rounding = 1e-13 * (size_of_row(a, cash_a, settings) + size_of_row(b, cash_b, settings))
    assert np.all(np.abs(together - of(a, cash_a, settings) - of(b, cash_b, settings)) <= rounding)


@given(
    st.sampled_from(LEGS[:17]), st.floats(-1e4, 1e4), st.sampled_from(["0.01", "0.1", "10", "100"]), SETTINGS
)
def test_contracts_of_any_size_are_the_same_coins(
    leg: Leg, natural: float, size: str, settings: ExposureSettings
) -> None:
    """OKX counts in contracts: n contracts of size s are n x s coins (or dollars)."""
    one = replace(leg, listing=replace(leg.listing, size=Decimal(1)), quantity=natural)
    many = replace(
        leg, listing=replace(leg.listing, size=Decimal(size)), quantity=natural / float(Decimal(size))
    )
    a, b = exposed([one], {}, settings, ["BTC"]), exposed([many], {}, settings, ["BTC"])
    assert b.value == pytest.approx(a.value, rel=1e-12)
    assert b.traded * float(Decimal(size)) ** -1 == pytest.approx(a.traded, rel=1e-12)


# ----------------------------------------------------------------------------------------------------- trades
OUTSIDE = replace(LEGS[10].quote(), bid=59_000.0, ask=59_500.0, listing=listing(perpetual(), "MARK-OUTSIDE"))
OUTSIDE_LINEAR = replace(
    LEGS[12].quote(), bid=61_000.0, ask=61_500.0, listing=listing(perpetual(inverse=False), "OUTSIDE-LINEAR")
)


def exposure_of_book(book: Book, known: Market, settings: ExposureSettings) -> Exposure:
    """As the engine does it: futures gain from their fills, marked at their forward."""
    valuation = value(known, AGE_S_MAX)
    universe = known.universe
    futures = np.isin(universe.kind, (Kind.PERPETUAL, Kind.FUTURE))
    prices = {universe.listings[i].key: float(valuation.forward[i]) for i in np.flatnonzero(futures)}
    balances = {c: float(x) for c, x in book.balances(prices).items()}
    return expose(
        book.quantities(universe), balances, valuation, reference_price(known), ["BTC", "ETH"], settings
    )


@pytest.mark.parametrize("settings", [USD, COIN, replace(COIN, stable_underlying="ETH")])
@pytest.mark.parametrize("side", [Side.BUY, Side.SELL])
def test_the_effect_of_a_trade_is_what_the_booked_fill_changes(
    settings: ExposureSettings, side: Side
) -> None:
    """Every kind of listing, bought or sold at its reference price without fee; also where the mark lies
    outside the quotes, so that the fill gains or loses against it at once.

    Dollars that count against each of several coins are left out of a trade's effect on the others' rows.
    """
    known = market_of([*(leg.quote() for leg in LEGS), OUTSIDE, OUTSIDE_LINEAR])
    reference = reference_price(known)
    start = Book.of(
        [
            Position(leg.listing, "", Decimal(repr(leg.quantity)))
            for leg in LEGS[:9]
            if leg.listing.contract.kind is Kind.OPTION
        ],
        {("deribit", "", c): Decimal(repr(x)) for c, x in CASH.items()},
    )
    before = exposure_of_book(start, known, settings)
    quantity = Decimal("7.3")
    for i, item in enumerate(known.universe.listings):
        fill = Fill(
            item, side, quantity, Decimal(repr(float(reference[i]))), Decimal(0), item.contract.settlement
        )
        change = exposure_of_book(start.apply(fill), known, settings).value - before.value
        effect = before.traded[:, i] * float(quantity) * side.sign
        rounding = 1e-12 * (np.abs(before.value) + np.abs(effect) + 1e-9)
        own = np.array([name.split(":")[1] == item.contract.underlying for name in before.rows])
        told = own | (settings is not COIN)
        assert np.all(np.abs(change - effect)[told] <= rounding[told]), item.symbol
        assert not np.any(effect[~told]), item.symbol
        assert np.any(effect != 0), item.symbol


def test_a_coin_bought_for_another_coin_moves_both() -> None:
    eth_btc = Quote(listing(spot("ETH", "BTC")), bid=0.033, ask=0.034, mark=0.0335, index=2_000.0)
    known = market_of([eth_btc, LEGS[10].quote()])
    found = exposure_of_book(Book(), known, USD)
    at = {name: found.traded[found.rows.index(name), 0] for name in ("delta:BTC", "delta:ETH")}
    assert at == {"delta:BTC": -0.0335, "delta:ETH": 1.0}


# ---------------------------------------------------------------------------------------------------- missing
@pytest.mark.parametrize("settings", [USD, COIN])
@pytest.mark.parametrize("news", [{"age_s": None}, {"age_s": 9e9}, {"mark": NAN, "bid": NAN, "mark_iv": NAN}])
def test_what_cannot_be_valued_is_missing_and_never_zero(
    settings: ExposureSettings, news: dict[str, float | None]
) -> None:
    """Listed once by position, the rest counts fully, and its column is NaN in the rows it would move."""
    for i in (0, 3, 10, 12, 15):
        quotes = [leg.quote() for leg in LEGS]
        quotes[i] = replace(quotes[i], **news)  # type: ignore[arg-type]
        known = market_of(quotes)
        held = np.array([leg.quantity for leg in LEGS])
        valuation = value(known, AGE_S_MAX)
        found = expose(held, CASH, valuation, REFERENCE, ["BTC", "ETH"], settings)
        rest = held.copy()
        rest[i] = 0.0
        known_part = expose(rest, CASH, VALUATION, REFERENCE, ["BTC", "ETH"], settings)
        assert found.missing == (i,)
        assert found.value == pytest.approx(known_part.value, rel=1e-12)
        moves = VALUATION.greeks(settings.numeraire)
        assert moves.delta[i] != 0
        assert math.isnan(found.owned[0, i])
        assert math.isnan(found.traded[0, i])
        nothing = expose(rest, CASH, valuation, REFERENCE, ["BTC", "ETH"], settings)
        assert nothing.missing == ()


JUNK = st.one_of(st.sampled_from([NAN, math.inf, -math.inf, 0.0, -1.0, 1e300, 1e-300]), st.floats())
QUOTED = ("bid", "ask", "mark", "mark_iv", "forward", "funding_rate", "bid_size", "ask_size")


@given(
    st.integers(0, len(LEGS) - 1),
    st.dictionaries(st.sampled_from(QUOTED), JUNK, min_size=1),
    st.sampled_from([USD, COIN]),
)
def test_junk_reaches_neither_other_columns_nor_what_may_be_traded(
    at: int, junk: dict[str, float], settings: ExposureSettings
) -> None:
    """The others' columns stay, every row stays a number, every tradable level has a finite cost."""
    quotes = [leg.quote() for leg in LEGS]
    quotes[at] = replace(quotes[at], **junk)  # type: ignore[arg-type]
    known = market_of(quotes)
    valuation, held = value(known, AGE_S_MAX), np.array([leg.quantity for leg in LEGS])
    found = expose(held, CASH, valuation, reference_price(known), ["BTC", "ETH"], settings)
    plain = expose(held, CASH, VALUATION, REFERENCE, ["BTC", "ETH"], settings)
    others = np.arange(len(LEGS)) != at
    assert np.array_equal(found.owned[:, others], plain.owned[:, others])
    assert np.array_equal(found.traded[:, others], plain.traded[:, others])
    assert np.isfinite(found.value).all()
    assert found.missing == ((at,) if valuation.status[at] != MarkStatus.OK else ())
    sound = np.isfinite(found.traded).all(axis=0) & (valuation.status == MarkStatus.OK)
    tradable = np.flatnonzero(sound & (known.flags(AGE_S_MAX) == Flag.OK))
    costs = cost_model(known, valuation, tradable, CostSettings())
    assert set(np.flatnonzero(others)) <= set(tradable)
    assert np.isfinite(costs.levels.unit_cost).all()
    assert (costs.levels.unit_cost >= 0).all()


def test_an_unknown_index_makes_the_rows_unknown_not_zero() -> None:
    """Coin numeraire, dollars against a coin whose index nobody tells."""
    quotes = [replace(leg.quote(), index=NAN) if leg.coin == "ETH" else leg.quote() for leg in LEGS]
    known = market_of(quotes)
    valuation = value(known, AGE_S_MAX)
    held = np.array([leg.quantity for leg in LEGS])
    found = expose(held, CASH, valuation, REFERENCE, ["BTC", "ETH"], COIN)
    assert found.missing == tuple(i for i, leg in enumerate(LEGS) if leg.coin == "ETH")
    assert math.isnan(found.row("delta:ETH"))
    assert found.row("delta:BTC") == pytest.approx(of(held, CASH, COIN)[0])


def test_fractions_of_the_ledger_reach_the_rows_unrounded() -> None:
    """A third of a coin in the ledger is a third in the row."""
    book = Book.of([], {("deribit", "", "BTC"): Fraction(1, 3)})
    assert exposure_of_book(book, MARKET, USD).row("delta:BTC") == 1 / 3
