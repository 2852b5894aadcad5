"""What one unit of every listing is worth and how it moves; linear, inverse, settlement window here only.

`value(market)` turns quotes into a `Valuation`: for each listing a status, forward, vol with its source,
value and Greeks of one order unit, long, in both numeraires. Positions and signs come later
(`risk.exposures`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

import numpy as np
from numpy.typing import NDArray

from pricing import black76, inverse
from pricing.contracts import Kind
from pricing.daycount import years_between
from pricing.delta_rules import CoefficientTable, DeltaRule, minimum_variance_move, vol_move
from pricing.forwards import ExpiryForward, forwards
from pricing.implied import Status, implied_vol
from pricing.market import VOL_ABSURD_ABOVE, VOL_ABSURD_BELOW, Market, mid_or_nan
from pricing.settlement import WINDOW_YEARS, window_greeks
from pricing.surface import Surface
from pricing.universe import BoolArray, FloatArray, Universe

#: A forward or mark further from the index than this factor is a fault of the feed, not a basis. A perpetual
#: marked at 6 instead of 60,000 would show ten thousand times its delta, and that would be hedged.
FORWARD_ABSURD_FACTOR = 1.5


class Numeraire(StrEnum):
    """The currency a desk counts its wealth in; it decides what "delta neutral" means."""

    USD = "USD"
    COIN = "coin"


class MarkStatus(IntEnum):
    """Whether a listing can be valued, and if not, why."""

    OK = 0
    NOT_QUOTED = 1
    STALE = 2
    EXPIRED = 3
    NO_INDEX = 4
    NO_FORWARD = 5
    NO_PRICE = 6
    NO_VOL = 7

    @property
    def reason(self) -> str:
        """The words for people and JSON."""
        return self.name.lower()


class VolSource(IntEnum):
    """Where an option's vol comes from."""

    NONE = 0
    VENUE_MARK = 1
    IMPLIED_MARK = 2
    IMPLIED_MID = 3
    SURFACE = 4

    @property
    def label(self) -> str:
        """The words for people and JSON."""
        return self.name.lower()


#: The order in which vols are asked for, unless the desk says otherwise. The surface is not in it: a position
#: that nobody quotes is missing until the desk decides that its neighbours may speak for it.
VOL_ORDER = (VolSource.VENUE_MARK, VolSource.IMPLIED_MARK, VolSource.IMPLIED_MID)


class DeltaSource(IntEnum):
    """Whether an option's delta is that of the rule, or Black-Scholes because the rule lacks something."""

    BLACK_SCHOLES = 0
    RULE = 1


@dataclass(frozen=True, slots=True, eq=False)
class ValuationRules:
    """How options are valued: the order of vol sources, and which delta.

    surface: asked for vols where it is in the order, and for the slope of the smile by the delta rules that
    need it. coefficients: of `minimum_variance`, by (underlying, sign).
    """

    vol_order: tuple[VolSource, ...] = VOL_ORDER
    delta_rule: DeltaRule = DeltaRule.BLACK_SCHOLES
    surface: Surface | None = None
    coefficients: CoefficientTable = field(default_factory=dict)


PLAIN_RULES = ValuationRules()


@dataclass(frozen=True, slots=True, eq=False)
class UnitGreeks:
    """Greeks of one order unit, long, each (n,), NaN where the listing cannot be valued.

    USD numeraire: delta coin, gamma coin/USD, vega USD per 1.00 vol, theta USD per year.
    Coin numeraire: coin throughout; delta per relative move of the coin, gamma per its square.
    """

    delta: FloatArray
    gamma: FloatArray
    vega: FloatArray
    theta: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Valuation:
    """One unit of every listing at `now_ns`; arrays (n,), NaN where `status` is not OK.

    spot: index per underlying, USD, shape (underlyings,). years: time to expiry, NaN for spot and perpetuals.
    price: in the venue's quotation; for options the model price on `vol`, otherwise the mark.
    value_usd: what owning one order unit is worth: options and spot; 0 for perpetuals and futures, whose
    gains are in the margin balance. in_window: options whose settlement price is already being averaged.
    expiries: the forward of each, with its rivals and the confidence in it.
    """

    universe: Universe
    now_ns: int
    spot: FloatArray
    status: NDArray[np.int8]
    forward: FloatArray
    forward_source: NDArray[np.int8]
    years: FloatArray
    vol: FloatArray
    vol_source: NDArray[np.int8]
    price: FloatArray
    value_usd: FloatArray
    usd: UnitGreeks
    coin: UnitGreeks
    in_window: BoolArray
    delta_source: NDArray[np.int8]
    expiries: tuple[ExpiryForward, ...]

    def greeks(self, numeraire: Numeraire) -> UnitGreeks:
        """Greeks in a numeraire."""
        return self.usd if numeraire is Numeraire.USD else self.coin

    def spot_of_listing(self) -> FloatArray:
        """Index of each listing's underlying, USD, (n,)."""
        return np.asarray(self.spot[self.universe.underlying])


def value(
    market: Market,
    age_s_max: float,
    rules: ValuationRules = PLAIN_RULES,
    index: FloatArray | None = None,
) -> Valuation:
    """Value one unit of every listing.

    A vol is taken from the first source in `rules.vol_order` that has one, by default the venue's mark vol,
    else implied from the mark, else from the mid; outside 1 % to 500 % it counts as a fault and the next
    source is asked. A forward more than a factor of 1.5 away from the index counts as
    unknown.

    Args:
        market: quotes; a listing whose quote is older than `age_s_max` seconds is not valued.
        index: per underlying, USD, as the oracle combines it; the median of each one's fresh listings where
            None.

    Returns:
        Valuation. Nothing is raised for bad quotes: the status of the listing says what is wrong.

    References: the Greeks in `pricing.black76`; coin-settled contracts in `pricing.inverse`;
    neutrality in each numeraire: README, "What a row means".
    """
    universe = market.universe
    spot = market.spot(age_s_max) if index is None else index
    s = spot[universe.underlying]
    chosen = forwards(market, age_s_max, spot)
    with np.errstate(invalid="ignore"):
        off = (chosen.forward < s / FORWARD_ABSURD_FACTOR) | (chosen.forward > s * FORWARD_ABSURD_FACTOR)
    forward = np.where(off, np.nan, chosen.forward)
    years = np.where(universe.expiry_ns > 0, years_between(market.now_ns, universe.expiry_ns), np.nan)
    option = universe.is_option

    vol, vol_source = _vols(market, forward, years, age_s_max, rules)
    status = _status(market, s, forward, vol, age_s_max)
    ok = status == MarkStatus.OK

    unknown = np.full(len(universe), np.nan)
    black = {
        name: unknown.copy() for name in ("value", "delta", "gamma", "vega", "theta", "pa_delta", "pa_gamma")
    }
    in_window = ok & option & (years <= WINDOW_YEARS)
    plain = ok & option & ~in_window
    _value_plain(black, plain, forward, universe.strike, years, vol, universe.sign)
    _value_in_window(black, in_window, market, s, forward, years, vol)

    delta_source = _apply_delta_rule(black, plain, universe, forward, years, rules)

    usd, coin, price, value_usd = per_unit(universe, ok, s, forward, black)
    return Valuation(
        universe=universe,
        now_ns=market.now_ns,
        spot=spot,
        status=status,
        forward=np.where(ok, forward, np.nan),
        forward_source=chosen.source,
        years=years,
        vol=np.where(ok, vol, np.nan),
        vol_source=np.where(ok, vol_source, np.int8(VolSource.NONE)).astype(np.int8),
        price=price,
        value_usd=value_usd,
        usd=usd,
        coin=coin,
        in_window=in_window,
        delta_source=delta_source,
        expiries=chosen.expiries,
    )


def _vols(
    market: Market, forward: FloatArray, years: FloatArray, age_s_max: float, rules: ValuationRules
) -> tuple[FloatArray, NDArray[np.int8]]:
    """Vol of every option and where it comes from."""
    universe = market.universe
    vol = np.full(len(universe), np.nan)
    source = np.full(len(universe), VolSource.NONE, dtype=np.int8)
    for asked in rules.vol_order:
        # a published vol stands by itself; the others are worth what the quote and the forward are worth
        open_rows = universe.is_option & np.isnan(vol)
        if asked is not VolSource.VENUE_MARK:
            open_rows &= market.fresh(age_s_max) & np.isfinite(forward) & (years > 0)
        rows = np.flatnonzero(open_rows)
        if rows.size == 0:
            continue
        found = _vols_from(asked, rows, market, forward, years, rules.surface)
        with np.errstate(invalid="ignore"):
            good = (found >= VOL_ABSURD_BELOW) & (found <= VOL_ABSURD_ABOVE)
        vol[rows[good]] = found[good]
        source[rows[good]] = asked
    return vol, source


def _vols_from(
    asked: VolSource,
    rows: NDArray[np.int64],
    market: Market,
    forward: FloatArray,
    years: FloatArray,
    surface: Surface | None,
) -> FloatArray:
    """Vols of some options from one source, (rows,), NaN where it has none."""
    universe = market.universe
    if asked is VolSource.VENUE_MARK:
        return market.mark_iv[rows]
    if asked is VolSource.SURFACE:
        return (
            np.full(rows.size, np.nan)
            if surface is None
            else surface_of(surface, universe, rows, forward, years)[0]
        )
    quote = (market.mark if asked is VolSource.IMPLIED_MARK else mid_or_nan(market))[rows]
    with np.errstate(over="ignore", invalid="ignore"):
        dollars = np.where(universe.inverse[rows], quote * forward[rows], quote)
    found, status = implied_vol(
        dollars, forward[rows], universe.strike[rows], years[rows], universe.sign[rows]
    )
    return np.where(status == Status.ok, found, np.nan)


def surface_of(
    surface: Surface, universe: Universe, rows: NDArray[np.int64], forward: FloatArray, years: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Vol and slope dσ/dK of some options on the surface, (rows,), NaN where it has none.

    Shapes: rows positions in the universe; forward and years (n,). Units: forward USD, vol 1.0 = 100 % a
    year, slope per USD. Errors: none. Source: `pricing.surface.Surface.vols`.
    """
    vol, slope = np.full(rows.size, np.nan), np.full(rows.size, np.nan)
    for u in np.unique(universe.underlying[rows]).tolist():
        mine = universe.underlying[rows] == u
        at = rows[mine]
        vol[mine], slope[mine] = surface.vols(
            universe.underlyings[u], universe.strike[at], universe.expiry_ns[at], years[at], forward[at]
        )
    return vol, slope


def _apply_delta_rule(
    black: dict[str, FloatArray],
    plain: BoolArray,
    universe: Universe,
    forward: FloatArray,
    years: FloatArray,
    rules: ValuationRules,
) -> NDArray[np.int8]:
    """Add vega dσ/dF to the deltas, in place; return `DeltaSource` of every listing."""
    source = np.full(len(universe), DeltaSource.BLACK_SCHOLES, dtype=np.int8)
    rows = np.flatnonzero(plain)
    if rules.delta_rule is DeltaRule.BLACK_SCHOLES or rows.size == 0:
        return source
    moves = np.full(rows.size, np.nan)
    if rules.delta_rule is DeltaRule.MINIMUM_VARIANCE:
        for (underlying, sign), coefficients in rules.coefficients.items():
            if underlying in universe.underlyings:
                u = universe.underlyings.index(underlying)
                mine = (universe.underlying[rows] == u) & (universe.sign[rows] == sign)
                at = rows[mine]
                moves[mine] = minimum_variance_move(black["delta"][at], forward[at], years[at], coefficients)
    elif rules.surface is not None:
        _, slope = surface_of(rules.surface, universe, rows, forward, years)
        moves = vol_move(rules.delta_rule, universe.strike[rows], forward[rows], slope)
    known = np.isfinite(moves)
    at = rows[known]
    shift = black["vega"][at] * moves[known]
    black["delta"][at] += shift
    black["pa_delta"][at] += shift
    source[at] = DeltaSource.RULE
    return source


def _status(
    market: Market, s: FloatArray, forward: FloatArray, vol: FloatArray, age_s_max: float
) -> NDArray[np.int8]:
    """Why a listing cannot be valued; spot needs nothing but the index."""
    universe = market.universe
    kind = universe.kind
    option, is_spot = universe.is_option, kind == Kind.SPOT
    tests = {
        MarkStatus.EXPIRED: (universe.expiry_ns > 0) & (universe.expiry_ns <= market.now_ns),
        MarkStatus.NOT_QUOTED: ~market.quoted & ~is_spot,
        MarkStatus.STALE: ~market.fresh(age_s_max) & ~is_spot,
        MarkStatus.NO_INDEX: ~np.isfinite(s),
        MarkStatus.NO_FORWARD: option & ~np.isfinite(forward),
        MarkStatus.NO_PRICE: ~option & ~is_spot & ~np.isfinite(forward),
        MarkStatus.NO_VOL: option & ~np.isfinite(vol),
    }
    codes = [np.int8(code) for code in tests]
    return np.select(list(tests.values()), codes, np.int8(MarkStatus.OK)).astype(np.int8)


def _value_plain(
    black: dict[str, FloatArray],
    rows: BoolArray,
    forward: FloatArray,
    strike: FloatArray,
    years: FloatArray,
    vol: FloatArray,
    sign: FloatArray,
) -> None:
    """Black-76 into the marked rows; the coin Greeks by their own formulas, which do not cancel."""
    arguments = forward[rows], strike[rows], years[rows], vol[rows], sign[rows]
    greeks = black76.greeks(*arguments)
    in_coin = inverse.coin_greeks(*arguments)
    for name, result in (
        ("value", greeks.price),
        ("delta", greeks.delta),
        ("gamma", greeks.gamma),
        ("vega", greeks.vega),
        ("theta", greeks.theta),
        ("pa_delta", in_coin.pa_delta),
        ("pa_gamma", in_coin.pa_gamma),
    ):
        black[name][rows] = result


def _value_in_window(
    black: dict[str, FloatArray],
    rows: BoolArray,
    market: Market,
    s: FloatArray,
    forward: FloatArray,
    years: FloatArray,
    vol: FloatArray,
) -> None:
    """Options whose settlement price is being averaged: part of their outcome is already known.

    Where the average so far is not known the index stands in. The value is a martingale, hence
    theta = -1/2 vol^2 F^2 gamma, which includes the drift of the average.
    """
    if not rows.any():
        return
    universe = market.universe
    keys = [
        (universe.underlyings[universe.underlying[i]], int(universe.expiry_ns[i]))
        for i in np.flatnonzero(rows)
    ]
    index = s[rows]
    average = np.array([market.settlement_average.get(key, np.nan) for key in keys])
    average = np.where(np.isfinite(average) & (average > 0), average, index)
    f = forward[rows]
    elapsed = np.clip(1.0 - years[rows] / WINDOW_YEARS, 0.0, 1.0)
    window = window_greeks(
        f, universe.strike[rows], vol[rows], universe.sign[rows], average, elapsed, years[rows]
    )
    net = window.delta - window.value / f
    for name, result in (
        ("value", window.value),
        ("delta", window.delta),
        ("gamma", window.gamma),
        ("vega", window.vega),
        ("theta", -0.5 * vol[rows] ** 2 * f**2 * window.gamma),
        ("pa_delta", net),
        ("pa_gamma", f * window.gamma - 2.0 * net),
    ):
        black[name][rows] = result


def per_unit(
    universe: Universe, ok: BoolArray, s: FloatArray, forward: FloatArray, black: dict[str, FloatArray]
) -> tuple[UnitGreeks, UnitGreeks, FloatArray, FloatArray]:
    """Greeks in USD and in coin, price and value of one order unit from Greeks per coin; NaN where not `ok`.

    Shapes: everything but the universe's columns (n,) may be (..., n), several markets at once. black: value,
    delta, gamma, vega, theta, pa_delta, pa_gamma of one coin's option, USD. Errors: none.

    USD numeraire, delta: coin-settled options delta; USD-settled options delta F/S; inverse perpetuals and
    futures 1/F per USD; linear ones F/S per coin; spot 1. Coin numeraire: delta - v; (delta F - V)/S; 1/F;
    F/S; spot 0 (a coin is worth one coin), gamma F^2 v'' and -2/F per USD of inverse futures.
    """
    kind, inverse_settled, size = universe.kind, universe.inverse, universe.size
    option, is_spot = universe.is_option, kind == Kind.SPOT
    future = (kind == Kind.PERPETUAL) | (kind == Kind.FUTURE)
    v = black["value"]
    zero = np.zeros(len(universe))
    with np.errstate(divide="ignore", invalid="ignore"):
        per_dollar, f_over_s = 1.0 / forward, forward / s
        move = np.where(inverse_settled, per_dollar, f_over_s)
        option_delta = np.where(inverse_settled, black["delta"], black["delta"] * f_over_s)
        option_net = np.where(inverse_settled, black["pa_delta"], (black["delta"] * forward - v) / s)
        usd = UnitGreeks(
            delta=np.select([option, future], [option_delta, move], 1.0),
            gamma=np.where(option, black["gamma"], zero),
            vega=np.where(option, black["vega"], zero),
            theta=np.where(option, black["theta"], zero),
        )
        coin = UnitGreeks(
            delta=np.select([option, future], [option_net, move], 0.0),
            gamma=np.select([option, future & inverse_settled], [black["pa_gamma"], -2.0 * per_dollar], 0.0),
            vega=np.where(option, black["vega"] * per_dollar, zero),
            theta=np.where(option, black["theta"] * per_dollar, zero),
        )
        price = np.where(option, np.where(inverse_settled, v / forward, v), np.where(is_spot, s, forward))
        worth = np.select([option & inverse_settled, option, is_spot], [v / forward * s, v, s], 0.0)
    for greeks in (usd, coin):
        for name in UnitGreeks.__slots__:
            column = getattr(greeks, name)
            column *= size
            column[~ok] = np.nan
    return usd, coin, np.where(ok, price, np.nan), np.where(ok, worth * size, np.nan)
