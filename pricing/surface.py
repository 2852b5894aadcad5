"""The volatility surface: one SVI smile per expiry, fitted to bids and asks, total variance between expiries.

`refit` takes the market to a `Surface`. Out-of-the-money quotes with both sides give vols at bid and ask;
their middle, in total variance, is what the smile is fitted to, each weighted by vega over spread (which is
one over its spread in vol) and less when it lies off (`pricing.svi`). The expiries with most quotes, else
most mark vols, come first, each later one between its neighbours among those: where one expiry's quotes meet
another's extrapolation, the extrapolation gives way. So no butterfly and no calendar arbitrage is left on the
range where either of two neighbours is quoted, widened by a quarter.

Only what moved is fitted again: an expiry whose quotes and forward stand where they stood keeps its smile,
vol for vol; one that moved starts from it. A fit that cannot be had, or is bad, falls back to the smile of
the venue's mark vols, then to the expiry's previous smile, then to what its neighbours say, and says why.

Between expiries total variance is linear in time (in seconds) at equal k = ln(K/F); before the first and
after the last expiry the vol stands still.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from pricing import svi
from pricing.daycount import years_between
from pricing.flat import FloatArray
from pricing.implied import Status, implied_vol
from pricing.market import VOL_ABSURD_ABOVE, VOL_ABSURD_BELOW, Market

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

EMPTY: FloatArray = np.empty(0)
BETWEEN_POINTS = 2e-4  # part of w by which two smiles may come nearer between the points of a grid
MARK_REACH = 3.5  # standard deviations up to which venue mark vols are fitted
WIDENED = 0.25  # of its quoted range, on each side, a smile is tested for arbitrage


class FitStatus(IntEnum):
    """Where an expiry's smile comes from."""

    NONE = 0  # no smile of its own; `reason` says why; its vols come from its neighbours, if there are any
    FITTED = 1  # to bids and asks, now
    CARRIED = 2  # to bids and asks, before; nothing has moved since
    VENUE_MARK = 3  # to the venue's mark vols; `reason` says why not to quotes
    PREVIOUS = 4  # an earlier smile although things have moved; `reason` says why

    @property
    def label(self) -> str:
        """The words for people and JSON."""
        return self.name.lower()


class Repair(IntEnum):
    """What it took to be free of arbitrage."""

    NOT_NEEDED = svi.FREE
    REFITTED = svi.REFITTED  # under penalties
    FAILED = svi.FAILED  # not even so


@dataclass(frozen=True, slots=True)
class SurfaceSettings:
    """Limits of the fit. Vols as 1.0 = 100 % a year."""

    quotes_min: int = 5  # a smile has five parameters
    half_spread_min: float = 0.002  # a quote counts as if no tighter than this: ticks and stale sides
    error_max: float = 0.05  # median distance from the quotes above which a fit is refused
    inside_min: float = 0.6  # part of the quotes that must lie within a spread, or `near`, of the fit
    near: float = 0.02
    half_spread_max: float = 0.015  # median half spread in vol above which quotes do not make a smile
    refit_vol: float = 0.0005  # move of a quote's middle above which its expiry is fitted again
    refit_forward: float = 0.0002  # relative move of the forward above which it is fitted again


@dataclass(frozen=True, slots=True, eq=False)
class Smile:
    """One expiry's smile. Errors in vol against the quotes used (1.0 = 100 %), NaN where there is no fit.

    parameters: (a, b, ρ, m, s) of `pricing.svi` for `years`. k_low, k_high: range tested for arbitrage.
    g_min: least of Durrleman's g there; gap_min: least room between its neighbours, as a part of w (inf
    without any). repair_cost: greatest vol by which the repair moved the smile at a quote.
    """

    underlying: str
    expiry_ns: int
    years: float
    forward: float
    parameters: FloatArray
    k_low: float
    k_high: float
    status: FitStatus
    reason: str
    used: int
    refused: int
    error_rms: float
    error_worst: float
    g_min: float
    gap_min: float
    repair: Repair
    repair_cost: float
    strikes: FloatArray = field(default_factory=lambda: EMPTY)  # what was fitted, to see what has moved
    middles: FloatArray = field(default_factory=lambda: EMPTY)

    @property
    def free_of_arbitrage(self) -> bool:
        """Whether no butterfly and no calendar arbitrage was found on the tested range."""
        return bool(self.g_min >= 0.0 and self.gap_min >= 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class Surface:
    """The smiles by underlying, each in order of expiry; only those with a smile take part in `vols`."""

    now_ns: int
    smiles: Mapping[str, tuple[Smile, ...]]

    def vols(
        self, underlying: str, strike: FloatArray, expiry_ns: IntArray, years: FloatArray, forward: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Vol and its slope dσ/dK at given strikes; NaN where nothing is known.

        σ² T = w(k, T), k = ln(K/F); w linear in T between two expiries at equal k.

        Shapes: all (n,); both results (n,). Units: strike and forward USD, years as of now, vol 1.0 = 100 % a
        year, slope per USD. Errors: none; NaN for an underlying without a smile, no time, or a NaN input.
        Source: Gatheral and Jacquier (2014), see `pricing.svi`; linear w keeps calendar arbitrage out.
        """
        vol, tilt = np.full(strike.shape, np.nan), np.full(strike.shape, np.nan)
        known = [smile for smile in self.smiles.get(underlying, ()) if smile.status != FitStatus.NONE]
        if not known:
            return vol, tilt
        expiries = np.array([smile.expiry_ns for smile in known])
        for expiry in np.unique(expiry_ns).tolist():
            rows = np.flatnonzero(expiry_ns == expiry)
            after = int(np.searchsorted(expiries, expiry))
            if after < len(known) and expiries[after] == expiry:
                first = second = known[after]
                share = 0.0
            elif after == 0 or after == len(known):
                first = second = known[min(after, len(known) - 1)]
                share = 0.0
            else:
                first, second = known[after - 1], known[after]
                share = (expiry - first.expiry_ns) / (second.expiry_ns - first.expiry_ns)
            with np.errstate(divide="ignore", invalid="ignore"):
                k = np.log(strike[rows] / forward[rows])
                w1, d1 = total_variance(first.parameters, k)
                w2, d2 = total_variance(second.parameters, k)
                w, d = (1.0 - share) * w1 + share * w2, (1.0 - share) * d1 + share * d2
                t = (1.0 - share) * first.years + share * second.years
                vol[rows] = np.sqrt(w / t)
                tilt[rows] = d / (2.0 * t * vol[rows] * strike[rows])
        usable = np.isfinite(vol) & np.isfinite(tilt) & (years > 0.0)
        return np.where(usable, vol, np.nan), np.where(usable, tilt, np.nan)


def total_variance(parameters: FloatArray, k: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Total variance w(k) of a smile and its slope dw/dk.

    w = a + b (ρ (k − m) + √((k − m)² + s²)) for parameters (a, b, ρ, m, s).

    Shapes: parameters (5,), k any; both results as k. Units: k = ln(K/F); w = σ² T, vol 1.0 = 100 %.
    Errors: none; parameters that are NaN give NaN. Source: Gatheral (2004), see `pricing.svi`.

    >>> w, slope = total_variance(np.array([0.04, 0.1, 0.0, 0.0, 0.1]), np.array([0.0]))
    >>> float(w[0]), float(slope[0])
    (0.05, 0.0)
    """
    a, b, rho, m, s = parameters
    u = k - m
    root = np.sqrt(u * u + s * s)
    return a + b * (rho * u + root), b * (rho + u / root)


def refit(
    previous: Surface | None,
    market: Market,
    forward: FloatArray,
    age_s_max: float,
    settings: SurfaceSettings | None = None,
) -> Surface:
    """Fit the smile of every expiry whose quotes or forward have moved; keep the others.

    Args:
        previous: the surface before, if any.
        market: quotes; those older than `age_s_max` seconds are not used.
        forward: of every listing, USD per coin, (n,), NaN where unknown (`pricing.forwards`).
        settings: limits; the defaults where None.

    Returns:
        Surface with a `Smile` for every expiry ahead that was ever quoted. Nothing is raised for bad quotes:
        the status and reason of the smile say what is wrong. Vols there are 1.0 = 100 % a year.

    Source: the fit and its tests are those of `pricing.svi`.
    """
    limits = settings or SurfaceSettings()
    universe = market.universe
    quoted = _quotes(market, forward, age_s_max)
    smiles: dict[str, tuple[Smile, ...]] = {}
    for u, underlying in enumerate(universe.underlyings):
        mine = universe.is_option & (universe.underlying == u) & market.quoted
        mine &= universe.expiry_ns > market.now_ns
        before = {} if previous is None else {s.expiry_ns: s for s in previous.smiles.get(underlying, ())}
        expiries = sorted(set(universe.expiry_ns[mine].tolist()))
        rows = {expiry: np.flatnonzero(mine & (universe.expiry_ns == expiry)) for expiry in expiries}
        made: dict[int, Smile] = {}
        for expiry in sorted(expiries, key=lambda expiry: quoted.telling(rows[expiry]), reverse=True):
            made[expiry] = _smile(
                underlying, expiry, market, quoted, rows[expiry], before.get(expiry), made, limits
            )
        _settle(made)
        smiles[underlying] = tuple(made[expiry] for expiry in expiries)
    return Surface(market.now_ns, smiles)


@dataclass(frozen=True, slots=True, eq=False)
class _Bounds:
    """A grid of moneyness, and total variance between which a smile must lie there, (FINE,)."""

    k_low: float
    k_high: float
    lower: FloatArray
    upper: FloatArray


def _bounds(expiry_ns: int, k_low: float, k_high: float, made: Mapping[int, Smile]) -> _Bounds:
    """Bounds from the nearest smiles made so far, on all their ranges together.

    In the end a bound must hold where either of the two is quoted; to fit on the wider range leaves room for
    the smiles still to come.
    """
    known = [smile for smile in made.values() if smile.status != FitStatus.NONE]
    before = [smile for smile in known if smile.expiry_ns < expiry_ns]
    after = [smile for smile in known if smile.expiry_ns > expiry_ns]
    nearest = (max(before, key=_expiry, default=None), min(after, key=_expiry, default=None))
    low = min([k_low, *(smile.k_low for smile in nearest if smile is not None)])
    high = max([k_high, *(smile.k_high for smile in nearest if smile is not None)])
    k = np.linspace(low, high, svi.FINE)
    lower, upper = np.zeros(svi.FINE), np.full(svi.FINE, math.inf)
    for smile, bound in zip(nearest, (lower, upper), strict=True):
        if smile is not None:
            bound[:] = total_variance(smile.parameters, k)[0]
    return _Bounds(low, high, lower, upper)


def _expiry(smile: Smile) -> int:
    return smile.expiry_ns


@dataclass(frozen=True, slots=True, eq=False)
class _Quotes:
    """Per listing, (n,): moneyness, vol at bid and ask (NaN where there is none), and which can be used."""

    forward: FloatArray
    years: FloatArray
    k: FloatArray
    low: FloatArray
    high: FloatArray
    usable: BoolArray
    mark_usable: BoolArray

    def telling(self, rows: IntArray) -> tuple[int, int]:
        """How many of some listings have quotes to fit to, and how many a mark vol."""
        return int(self.usable[rows].sum()), int(self.mark_usable[rows].sum())


def _quotes(market: Market, forward: FloatArray, age_s_max: float) -> _Quotes:
    """Turn bids and asks into vols, all at once."""
    universe = market.universe
    years = np.where(universe.expiry_ns > 0, years_between(market.now_ns, universe.expiry_ns), np.nan)
    live = universe.is_option & market.fresh(age_s_max) & (forward > 0.0) & (years > 0.0)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        k = np.log(universe.strike / forward)
        outside = np.where(universe.sign > 0, k >= 0.0, k < 0.0)
        two_sided = live & outside & (market.bid > 0.0) & (market.ask > market.bid)
        unit = np.where(universe.inverse, forward, 1.0)
        low, high = np.full(len(universe), np.nan), np.full(len(universe), np.nan)
        rows = np.flatnonzero(two_sided)
        terms = forward[rows], universe.strike[rows], years[rows], universe.sign[rows]
        for side, vols in ((market.bid, low), (market.ask, high)):
            found, status = implied_vol(side[rows] * unit[rows], *terms)
            vols[rows] = np.where(status == Status.ok, found, np.nan)
        usable = two_sided & (low >= VOL_ABSURD_BELOW) & (high <= VOL_ABSURD_ABOVE)
        mark = market.mark_iv
        mark_usable = live & outside & (mark >= VOL_ABSURD_BELOW) & (mark <= VOL_ABSURD_ABOVE)
    return _Quotes(forward, years, k, low, high, usable, mark_usable)


def _smile(
    underlying: str,
    expiry_ns: int,
    market: Market,
    quotes: _Quotes,
    rows: IntArray,
    before: Smile | None,
    made: Mapping[int, Smile],
    limits: SurfaceSettings,
) -> Smile:
    """The smile of one expiry, by the first of: kept, fitted to quotes, to marks, previous, none."""
    years = float(years_between(market.now_ns, np.array([expiry_ns]))[0])
    known = quotes.forward[rows]
    known = known[np.isfinite(known)]
    forward = float(np.median(known)) if known.size else math.nan
    nothing = Smile(
        underlying, expiry_ns, years, forward, np.full(svi.PARAMETERS, np.nan), math.nan, math.nan,
        FitStatus.NONE, "", 0, rows.size, math.nan, math.nan, math.nan, math.nan, Repair.NOT_NEEDED, math.nan,
    )  # fmt: skip
    used = _in_order(rows[quotes.usable[rows]], quotes, market)
    middle = _inside(quotes.low[used], quotes.high[used], market.mark_iv[used])
    half = np.maximum(0.5 * (quotes.high[used] - quotes.low[used]), limits.half_spread_min)
    kept = None if before is None else _at(before, years)
    if kept is not None and kept.status in (FitStatus.FITTED, FitStatus.CARRIED):
        stands = _stands(kept, forward, market.universe.strike[used], middle, limits)
        if stands and _free(kept, made):
            return replace(kept, status=FitStatus.CARRIED)
    start = EMPTY if kept is None or kept.status == FitStatus.NONE else kept.parameters
    fitted, reason = _tried(
        nothing, used, quotes, middle, half, market, start, made, limits, FitStatus.FITTED, "usable quotes"
    )
    if fitted is not None:
        return fitted
    marks = _in_order(rows[quotes.mark_usable[rows]], quotes, market)
    vols = market.mark_iv[marks]
    # far out a mark vol is the venue's extrapolation, and says nothing: each counts by its vega
    deviations = quotes.k[marks] / (vols * math.sqrt(years))
    near = np.abs(deviations) <= MARK_REACH
    marks, vols = marks[near], vols[near]
    half = limits.half_spread_min * np.exp(0.5 * deviations[near] ** 2)
    fitted, fault = _tried(
        nothing, marks, quotes, vols, half, market, start, made, limits, FitStatus.VENUE_MARK,
        "venue mark vols",
    )  # fmt: skip
    if fitted is not None:
        return replace(fitted, reason=reason)
    reason = f"{reason}; {fault}"
    if kept is not None and kept.status != FitStatus.NONE:
        if _free(kept, made):
            return replace(kept, status=FitStatus.PREVIOUS, reason=reason)
        reason = f"{reason}; the previous smile has arbitrage against its neighbours now"
    return replace(nothing, reason=reason)


def _inside(low: FloatArray, high: FloatArray, mark: FloatArray) -> FloatArray:
    """What a smile should pass through: bid and ask bind it; between them the venue's mark vol is the best
    known, the middle where there is none."""
    return np.where(np.isfinite(mark), np.clip(mark, low, high), 0.5 * (low + high))


def _tried(
    nothing: Smile,
    rows: IntArray,
    quotes: _Quotes,
    vol: FloatArray,
    half: FloatArray,
    market: Market,
    start: FloatArray,
    made: Mapping[int, Smile],
    limits: SurfaceSettings,
    status: FitStatus,
    what: str,
) -> tuple[Smile | None, str]:
    """A believable fit to these vols, from the previous smile or from nothing; else None and the reason."""
    if status == FitStatus.FITTED and rows.size and float(np.median(half)) > limits.half_spread_max:
        return None, f"{what}: half of them are wider than {limits.half_spread_max * 200:.0f} vol points"
    if rows.size < limits.quotes_min:
        return None, f"{rows.size} {what} of {nothing.refused} listings, needed {limits.quotes_min}"
    k, strikes = quotes.k[rows], market.universe.strike[rows]
    fault = ""
    for first in (start, EMPTY) if start.size else (EMPTY,):
        fitted = _fit(nothing, k, vol, half, strikes, first, made, status)
        fault = _fault(fitted, k, vol, half, limits)
        if not fault:
            return fitted, ""
    return None, f"{what}: {fault}"


def _in_order(rows: IntArray, quotes: _Quotes, market: Market) -> IntArray:
    """Rows by moneyness; several listings at one strike (venues, settlements) in the universe's order."""
    return rows[np.lexsort((rows, quotes.k[rows]))]


def _fit(
    nothing: Smile,
    k: FloatArray,
    vol: FloatArray,
    half: FloatArray,
    strikes: FloatArray,
    start: FloatArray,
    made: Mapping[int, Smile],
    status: FitStatus,
) -> Smile:
    """Fit one smile and measure it."""
    years = nothing.years
    parameters = np.empty(svi.PARAMETERS)
    pad = WIDENED * max(float(k[-1] - k[0]), 1e-3)
    k_low, k_high = float(k[0]) - pad, float(k[-1]) + pad
    tested = _bounds(nothing.expiry_ns, k_low, k_high, made)
    w, half_w = vol * vol * years, 2.0 * vol * half * years
    alone = np.empty(svi.PARAMETERS)
    code = svi.fit(k, w, half_w, start, tested.k_low, tested.k_high, tested.lower, tested.upper, parameters)
    if code == svi.REFITTED:
        svi.fit_alone(k, w, half_w, start, tested.k_low, tested.k_high, alone)
    else:
        alone = parameters
    found = _vol_at(parameters, k, years)
    error = np.abs(found - vol)
    weight = 1.0 / (half * half)
    return replace(
        nothing,
        parameters=parameters,
        k_low=k_low,
        k_high=k_high,
        status=status,
        used=k.size,
        refused=nothing.refused - k.size,
        error_rms=float(np.sqrt(np.sum(weight * error * error) / np.sum(weight))),
        error_worst=float(error.max()),
        g_min=float(svi.butterfly_margin(parameters, tested.k_low, tested.k_high)),
        repair=Repair(code),
        repair_cost=float(np.max(np.abs(found - _vol_at(alone, k, years)))),
        strikes=strikes,
        middles=vol,
    )


def _vol_at(parameters: FloatArray, k: FloatArray, years: float) -> FloatArray:
    w, _ = total_variance(parameters, k)
    return np.sqrt(np.maximum(w, 0.0) / years)


def _fault(smile: Smile, k: FloatArray, vol: FloatArray, half: FloatArray, limits: SurfaceSettings) -> str:
    """Return why a fit is not to be believed, or ""."""
    if not np.isfinite(smile.parameters).all():
        return "the fit did not converge"
    if smile.repair == Repair.FAILED:
        return "arbitrage could not be removed"
    # shares and medians: a few dirty quotes must not condemn a good smile
    error = np.abs(_vol_at(smile.parameters, k, smile.years) - vol)
    inside = float(np.mean(error <= np.maximum(half, limits.near)))
    if inside < limits.inside_min:
        return f"only {inside:.0%} of the quotes within a spread of the fit, needed {limits.inside_min:.0%}"
    typical = float(np.median(error))
    if typical > limits.error_max:
        return f"quotes {typical * 100:.1f} vol points off the fit, allowed {limits.error_max * 100:.1f}"
    return ""


def _at(smile: Smile, years: float) -> Smile:
    """The same vols with less time left."""
    if smile.status == FitStatus.NONE:
        return smile
    share = years / smile.years
    parameters = smile.parameters.copy()
    parameters[:2] *= share
    return replace(smile, years=years, parameters=parameters)


def _stands(
    smile: Smile, forward: float, strikes: FloatArray, middles: FloatArray, limits: SurfaceSettings
) -> bool:
    """Whether the same strikes are quoted at the same vols, on the same forward, within the limits."""
    return (
        strikes.shape == smile.strikes.shape
        and bool((strikes == smile.strikes).all())
        and bool((np.abs(middles - smile.middles) <= limits.refit_vol).all())
        and abs(forward / smile.forward - 1.0) <= limits.refit_forward
    )


def _free(smile: Smile, made: Mapping[int, Smile]) -> bool:
    t = _bounds(smile.expiry_ns, smile.k_low, smile.k_high, made)
    return bool(svi.is_free(smile.parameters, t.k_low, t.k_high, t.lower, t.upper))


def _settle(made: dict[int, Smile]) -> None:
    """Give every smile its room between its neighbours, in place, now that all are known.

    A neighbour made later was tested on its own grid; between the points of that one the two may touch. Then,
    from the last to the first, the lower of them makes room, by a thousandth of w or so.
    """
    known = sorted((smile for smile in made.values() if smile.status != FitStatus.NONE), key=_expiry)
    above = math.inf
    for i in range(len(known) - 1, -1, -1):
        smile = known[i]
        room = math.inf if i + 1 == len(known) else _room(smile, known[i + 1])
        if room < 0.99 * BETWEEN_POINTS:  # what was made room for before stays as it is
            parameters = smile.parameters.copy()
            parameters[:2] *= (1.0 - BETWEEN_POINTS) / (1.0 - room)
            g_min = float(svi.butterfly_margin(parameters, smile.k_low, smile.k_high))
            smile, room = replace(smile, parameters=parameters, g_min=g_min), BETWEEN_POINTS
        if i + 1 < len(known):
            later = known[i + 1]
            made[later.expiry_ns] = replace(later, gap_min=min(room, above))
        known[i], above = smile, room
    if known:
        made[known[0].expiry_ns] = replace(known[0], gap_min=above)


def _room(lower: Smile, upper: Smile) -> float:
    """The least room from one smile up to the next where either is quoted, as a part of w."""
    low, high = min(lower.k_low, upper.k_low), max(lower.k_high, upper.k_high)
    return float(svi.room(lower.parameters, upper.parameters, low, high))
