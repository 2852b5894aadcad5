"""Scenarios: spot x vol x time shocks. A shocked copy of the market, valued by the same `value`; its rows.

The P&L of a scenario is linear in quantities, as a Greek is: full reprice of one unit of every listing, and
of one unit of every balance. So a loss that must not be exceeded is a band on a row like any other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from pricing.contracts import STABLE_CURRENCIES, Kind
from pricing.daycount import NS_PER_HOUR, SECONDS_PER_YEAR
from pricing.market import VOL_ABSURD_ABOVE, VOL_ABSURD_BELOW, ForwardKind, Market
from pricing.settlement import WINDOW_YEARS
from pricing.universe import BoolArray, FloatArray, Universe
from pricing.valuation import PLAIN_RULES, MarkStatus, Numeraire, Valuation, value
from risk.bands import Bands, row_factor
from risk.exposures import (
    DAYS_PER_YEAR,
    VEGA_FLOOR_DAYS,
    VEGA_REFERENCE_DAYS,
    Exposure,
    ExposureSettings,
    cash_of_trade,
    currencies_of,
    unit_of,
)

#: A strike further from its forward than this, in standard deviations, is moved by the skew no more.
SKEW_DEVIATIONS = 2.0


@dataclass(frozen=True, slots=True)
class Shock:
    """What happens to a market at once.

    spot: relative move of the index, and of every forward with it (-0.1 = -10 %). vol: added to the vol of
    every option, whatever its strike and tenor (0.1 = +10 points). hours: time that passes, nothing else
    moving. forward: relative move of the forwards of options alone, beside the index. skew, term: see
    `vol_shift`.
    """

    spot: float = 0.0
    vol: float = 0.0
    hours: float = 0.0
    forward: float = 0.0
    skew: float = 0.0
    term: float = 0.0

    def __post_init__(self) -> None:
        numbers = (self.spot, self.vol, self.hours, self.forward, self.skew, self.term)
        if not all(map(math.isfinite, numbers)) or min(self.spot, self.forward) <= -1 or self.hours < 0:
            raise ValueError(f"{self}: allowed are finite numbers, spot and forward above -1, hours >= 0")


@dataclass(frozen=True, slots=True)
class Scenario:
    """A shock by its name, and the least P&L that is borne in it, USD; -inf: shown, never acted upon.

    A book below the floor is brought to a loss of at most `landing_share` of it.
    """

    name: str
    shock: Shock
    floor_usd: float = -math.inf
    landing_share: float = 0.9


class Moneyness(NamedTuple):
    """Where options lie on the surface: strike and forward, USD; years to expiry; vol, 1.0 = 100 %. Broadcast
    together."""

    strike: FloatArray
    forward: FloatArray
    years: FloatArray
    vol: FloatArray


class Worth(NamedTuple):
    """What listings are worth at one moment, (..., n): index and forward, USD; value of one unit, USD."""

    spot: FloatArray
    forward: FloatArray
    value_usd: FloatArray


def vol_shift(
    vol: FloatArray | float, skew: FloatArray | float, term: FloatArray | float, at: Moneyness
) -> FloatArray:
    """What a shock adds to the vol of options.

        vol - skew d + term (sqrt(30 d / T) - 1),    d = ln(K/F) / (sigma sqrt(T)) within -2..2

    skew: vol per standard deviation that the strike lies below the forward: puts up, calls down. term: the
    short tenors up and the long ones down, 30 days staying; with vol = term = x, a tenor T moves by
    x sqrt(30 d / T), as vols do in a fall and as weighted vega counts it. T is at least a day in both.

    Args:
        vol, skew, term: of the shock, 1.0 = 100 %. at: before it; all broadcast together.

    >>> one = Moneyness(*(np.array([x]) for x in (60_000.0, 60_000.0, 7.5 / 365, 0.5)))
    >>> vol_shift(0.1, 0.05, 0.1, one)
    array([0.2])
    """
    strike, forward, years, before = at
    with np.errstate(divide="ignore", invalid="ignore"):
        tenor = np.maximum(years, VEGA_FLOOR_DAYS / DAYS_PER_YEAR)
        away = np.clip(
            np.log(strike / forward) / (before * np.sqrt(tenor)), -SKEW_DEVIATIONS, SKEW_DEVIATIONS
        )
        shorter = np.sqrt(VEGA_REFERENCE_DAYS / DAYS_PER_YEAR / tenor) - 1.0
        return np.asarray(vol - skew * away + term * shorter)


def _shifted(valuation: Valuation, shock: Shock) -> FloatArray | float:
    """What a shock adds to every vol; where it is parallel, the same number to all of them."""
    if shock.skew == 0.0 and shock.term == 0.0:
        return shock.vol
    known = Moneyness(valuation.universe.strike, valuation.forward, valuation.years, valuation.vol)
    return vol_shift(shock.vol, shock.skew, shock.term, known)


def shocked_market(market: Market, valuation: Valuation, shock: Shock) -> Market:
    """The market after a shock, as far as it was valued; pure.

    Vols stay with their strikes (sticky strike), shifted by `vol_shift` and kept between 1 % and 500 %; what
    could not be valued is not quoted; quotes other than marks are gone, and every stamp is now. Averages of
    a settlement window under way go on at the shocked index.

    Args:
        valuation: of that market; forwards and vols are taken as it chose them.
    """
    universe = market.universe
    ok = valuation.status == MarkStatus.OK
    now_ns = market.now_ns + round(shock.hours * NS_PER_HOUR)
    option = universe.is_option
    moved = valuation.forward * (1.0 + shock.spot)
    forward = np.where(option, moved * (1.0 + shock.forward), moved)
    unknown = np.full(len(universe), np.nan)
    vol = np.clip(valuation.vol + _shifted(valuation, shock), VOL_ABSURD_BELOW, VOL_ABSURD_ABOVE)
    return replace(
        market,
        now_ns=now_ns,
        venue_ns=np.where(ok, now_ns, 0),
        bid=unknown,
        ask=unknown,
        bid_size=unknown,
        ask_size=unknown,
        mark=np.where(ok & ~option, forward, np.nan),
        mark_iv=np.where(ok & option, vol, np.nan),
        forward=np.where(ok & option, forward, np.nan),
        forward_kind=np.where(ok & option, ForwardKind.SYNTHETIC, ForwardKind.NONE).astype(np.int8),
        index=valuation.spot_of_listing() * (1.0 + shock.spot),
        funding_rate=unknown,
        depth={},
        settlement_average=_averages(market, valuation, shock),
    )


def _averages(market: Market, valuation: Valuation, shock: Shock) -> dict[tuple[str, int], float]:
    """Averages so far after the time of the shock; the part of the window it adds is at the new index."""
    universe = market.universe
    averages = dict(market.settlement_average)
    for i in np.flatnonzero(valuation.in_window).tolist():
        name, index = universe.underlyings[universe.underlying[i]], valuation.spot[universe.underlying[i]]
        key = name, int(universe.expiry_ns[i])
        so_far = market.settlement_average.get(key, math.nan)
        so_far = so_far if so_far > 0 and math.isfinite(so_far) else float(index)
        elapsed = 1.0 - float(valuation.years[i]) / WINDOW_YEARS
        later = min(elapsed + shock.hours * 3600.0 / SECONDS_PER_YEAR / WINDOW_YEARS, 1.0)
        added = later - elapsed
        rest = float(index) * (1.0 + shock.spot)
        averages[key] = so_far if added == 0 else (elapsed * so_far + added * rest) / later
    return averages


def shocked_valuation(market: Market, valuation: Valuation, shock: Shock) -> Valuation:
    """Every listing valued after a shock. What expires within its hours has status `EXPIRED`."""
    shocked = shocked_market(market, valuation, shock)
    return value(shocked, 1.0, PLAIN_RULES, valuation.spot * (1.0 + shock.spot))


def unit_pnl(valuation: Valuation, shocked: Valuation, numeraire: Numeraire) -> FloatArray:
    """P&L of one order unit held through a shock, (n,): USD, or coin of its underlying; NaN where not valued.

    Options and spot: the change of their value. Inverse perpetuals and futures of Q USD: Q (1/F - 1/F') coin
    at the new index; linear ones F' - F. In coin: the change of value / index. What expires meanwhile pays
    its payoff at the new forward.
    """
    universe = valuation.universe
    gone = (valuation.status == MarkStatus.OK) & (shocked.status == MarkStatus.EXPIRED)
    spot, new_spot = valuation.spot_of_listing(), shocked.spot_of_listing()
    return unit_gain(
        universe,
        numeraire,
        gone,
        Worth(spot, valuation.forward, valuation.value_usd),
        Worth(new_spot, shocked.forward, shocked.value_usd),
    )


def unit_gain(
    universe: Universe,
    numeraire: Numeraire,
    gone: BoolArray,
    before: Worth,
    after: Worth,
) -> FloatArray:
    """As `unit_pnl`, of what listings are worth before and after; the arrays broadcast to (..., n).

    gone: what has expired meanwhile: its forward and value afterwards are not looked at.
    """
    spot, forward, value_before = before
    new_spot, forward_after, value_after = after
    # an expired listing's forward is known to no market any more: it moved in proportion to spot, as all do
    with np.errstate(invalid="ignore", divide="ignore"):
        last = forward * (new_spot / spot)
        new_forward = np.where(gone, last, forward_after)
        payoff = np.maximum(universe.sign * (last - universe.strike), 0.0) * universe.size
        payoff = np.where(universe.inverse, payoff / last * new_spot, payoff)
        worth = np.where(gone & universe.is_option, payoff, value_after)
        in_coin = (1.0 / forward - 1.0 / new_forward) * universe.size
        in_usd = (new_forward - forward) * universe.size
        runs = (universe.kind == Kind.PERPETUAL) | (universe.kind == Kind.FUTURE)
        if numeraire is Numeraire.USD:
            change = worth - value_before
            gain = np.where(universe.inverse, in_coin * new_spot, in_usd)
        else:
            change = worth / new_spot - value_before / spot
            gain = np.where(universe.inverse, in_coin, in_usd / new_spot)
        return np.where(runs, gain, change)


def currency_pnl(
    currency: str, underlying: str, spot: float, new_spot: float, settings: ExposureSettings
) -> float:
    """P&L of one unit of a balance on an underlying's row: S' - S of its own coin in USD; in coin, 1/S' - 1/S
    of a dollar, counted against the same coins as in delta."""
    if settings.numeraire is Numeraire.USD:
        return new_spot - spot if currency == underlying else 0.0
    counts = currency in STABLE_CURRENCIES and settings.stable_underlying in ("", underlying)
    return 1.0 / new_spot - 1.0 / spot if counts else 0.0


def scenario_row(underlying: str, scenario: str) -> str:
    """Name of the row of an underlying's P&L in a scenario.

    >>> scenario_row("BTC", "crash")
    'pnl:BTC:crash'
    """
    return f"pnl:{underlying}:{scenario}"


def with_scenarios(
    exposure: Exposure,
    scenarios: Sequence[Scenario],
    market: Market,
    valuation: Valuation,
    quantities: FloatArray,
    balances: Mapping[str, float],
    reference: FloatArray,
    underlyings: Sequence[str],
    settings: ExposureSettings,
) -> Exposure:
    """The exposures with a row per underlying and scenario behind them: the P&L of the book on it.

    A trade at its reference price pays cash, which the shock moves too, as in delta. A book's P&L in the
    USD numeraire is the sum of its underlyings' rows.

    Args:
        quantities: (n,) order units. balances: by currency. reference: (n,) price of a trade. underlyings,
            settings: as for `risk.exposures.expose`.
    """
    if not scenarios or not underlyings:
        return exposure
    universe = valuation.universe
    number = {name: u for u, name in enumerate(universe.underlyings)}
    currencies = currencies_of(balances, universe, underlyings)
    names: list[str] = []
    owned: list[FloatArray] = []
    of_currency: list[list[float]] = []
    shocked = [shocked_valuation(market, valuation, s.shock) for s in scenarios]
    gains = [unit_pnl(valuation, after, settings.numeraire) for after in shocked]
    for underlying in underlyings:
        mine, spot = universe.where_underlying(underlying), float(valuation.spot[number[underlying]])
        for scenario, after, gain in zip(scenarios, shocked, gains, strict=True):
            names.append(scenario_row(underlying, scenario.name))
            owned.append(np.where(mine, gain, 0.0))
            new_spot = float(after.spot[number[underlying]])
            of_currency.append([currency_pnl(c, underlying, spot, new_spot, settings) for c in currencies])
    per_unit, per_currency = np.array(owned), np.array(of_currency)
    amounts = np.array([balances.get(currency, 0.0) for currency in currencies])
    counted = (quantities != 0) & (valuation.status == MarkStatus.OK)
    cash = per_currency @ amounts
    paid = cash_of_trade(valuation, names, per_currency, currencies, reference, settings)
    return Exposure(
        rows=exposure.rows + tuple(names),
        units=exposure.units + tuple(unit_of(name, settings.numeraire) for name in names),
        owned=np.concatenate([exposure.owned, per_unit]),
        traded=np.concatenate([exposure.traded, per_unit + paid]),
        cash=np.concatenate([exposure.cash, cash]),
        value=np.concatenate([exposure.value, cash + per_unit[:, counted] @ quantities[counted]]),
        missing=exposure.missing,
    )


def with_floors(
    bands: Bands,
    scenarios: Sequence[Scenario],
    underlyings: Sequence[str],
    spot: Mapping[str, float],
    numeraire: Numeraire,
) -> Bands:
    """The bands with those of the rows of `with_scenarios` behind them: a floor is a band open above.

    spot: index by underlying, USD; where it is unknown there is no floor, for the P&L is unknown, too.
    """
    if not scenarios or not underlyings:
        return bands
    floors, landings = [], []
    for underlying in underlyings:
        index = spot[underlying]
        for scenario in scenarios:
            floor = scenario.floor_usd * row_factor("pnl", index, numeraire)
            known = math.isfinite(index) and math.isfinite(scenario.floor_usd)
            floors.append(floor if known else -math.inf)
            landings.append(floor * scenario.landing_share if known else -math.inf)
    new = len(floors)
    return replace(
        bands,
        target=np.concatenate([bands.target, np.zeros(new)]),
        trigger_lower=np.concatenate([bands.trigger_lower, floors]),
        trigger_upper=np.concatenate([bands.trigger_upper, np.full(new, np.inf)]),
        landing_lower=np.concatenate([bands.landing_lower, landings]),
        landing_upper=np.concatenate([bands.landing_upper, np.full(new, np.inf)]),
    )
