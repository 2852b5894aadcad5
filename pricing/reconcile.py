"""Our Greeks against a venue's, in its convention, with a tolerance, and a reason where they differ.

The tolerance of a figure is half a unit of its last published digit, plus what the roundings of the inputs
and the time between their captures do to it: forward, vol, time and mark are moved by what is uncertain of
each and the figure is computed again. What lies beyond is flagged, and every reason known to part two such
figures is tried out, the most specific first; the first that brings all Greeks of the option together is the
likely one.

Shapes: k options; Greeks as (4, k) in the order of `GREEKS`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from pricing import black76, inverse
from pricing.conventions import (
    DAYS_PER_YEAR,
    POINTS_PER_VOL,
    Display,
    binance_display,
    bybit_display,
    deribit_display,
    okx_bs_display,
    okx_display,
)
from pricing.daycount import SECONDS_PER_YEAR
from pricing.flat import FloatArray
from pricing.settlement import WINDOW_YEARS

GREEKS = ("delta", "gamma", "vega", "theta")
DELTA, GAMMA, VEGA, THETA = range(4)


class Convention(StrEnum):
    """How a venue dresses its Greeks. OKX publishes two sets; in 2020 it had one, with another gamma."""

    DERIBIT = "deribit"
    BYBIT = "bybit"
    BINANCE = "binance"
    OKX = "okx"
    OKX_2020 = "okx_2020"
    OKX_BS = "okx_bs"


#: One unit of the last digit published of every Greek.
UNIT = {
    Convention.DERIBIT: 1e-5,
    Convention.BYBIT: 1e-8,
    Convention.BINANCE: 1e-8,
    Convention.OKX: 1e-10,
    Convention.OKX_2020: 1e-10,
    Convention.OKX_BS: 1e-10,
}

#: Conventions whose delta is less the premium: it belongs to two forwards, and none is worked back from it.
PREMIUM_ADJUSTED = (Convention.OKX, Convention.OKX_2020)

#: OKX's thetaBS holds a carry term that is understood to this share of it only (recorded summaries).
THETA_BS_SHARE = 0.02
#: What a venue's own arithmetic and the lags of its inputs do where a figure's slopes vanish, of the figure.
OWN_SHARE = 2e-5


class Reason(StrEnum):
    """Why two sets of Greeks differ, most specific first."""

    STALE_COPY = "stale_copy"
    SIGN = "sign"
    UNITS = "units"
    PREMIUM_ADJUSTED = "premium_adjusted"
    NOT_PREMIUM_ADJUSTED = "not_premium_adjusted"
    LAST_DAY_RULE = "last_day_rule"
    THETA_CAP = "theta_cap"
    SETTLEMENT_WINDOW = "settlement_window"
    INDEX_NOT_FORWARD = "index_not_forward"
    FORWARD_MOVED = "forward_moved"
    VOL_MOVED = "vol_moved"
    TIME_MOVED = "time_moved"
    BOTH_MOVED = "forward_and_vol_moved"
    UNEXPLAINED = "unexplained"


@dataclass(frozen=True, slots=True, eq=False)
class Quotes:
    """What the venue published beside its Greeks, each (k,); NaN where it did not.

    forward, index, strike USD per coin; years to expiry at the venue's stamp; vol 1.0 = 100 %; mark in the
    venue's quotation. forward_error, index_error (relative), vol_error, years_error, mark_error: by how much
    each may be off, from its last digit and from the time between captures. An unknown mark is the model's.
    stale: the venue's Greeks are those of the batch before, to the last digit.
    """

    forward: FloatArray
    index: FloatArray
    strike: FloatArray
    years: FloatArray
    vol: FloatArray
    sign: FloatArray
    mark: FloatArray
    forward_error: FloatArray
    index_error: FloatArray
    vol_error: FloatArray
    years_error: FloatArray
    mark_error: FloatArray
    stale: NDArray[np.bool_]

    def rows(self, picked: NDArray[np.bool_] | NDArray[np.int64]) -> Quotes:
        """Some of the options."""
        return Quotes(*(getattr(self, name)[picked] for name in self.__slots__))


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Ours against theirs, in the venue's units: ours, difference, tolerance (4, k), NaN where either lacks.

    flagged (k,): a Greek differs beyond its tolerance. reason (k,) of the flagged, None else; amount (k,):
    what the reason is of (relative move of the forward, vol points, seconds, factor of the units), NaN where
    it has none.
    """

    ours: FloatArray
    difference: FloatArray
    tolerance: FloatArray
    flagged: NDArray[np.bool_]
    reason: list[Reason | None]
    amount: FloatArray


def display(convention: Convention, quotes: Quotes) -> FloatArray:
    """Our Greeks as the venue would show them, (4, k)."""
    with np.errstate(all="ignore"):  # the last second before expiry, and what nobody can have meant
        return _display(convention, quotes)


def _display(convention: Convention, quotes: Quotes) -> FloatArray:
    on = quotes.index if convention is Convention.BINANCE else quotes.forward
    inputs = on, quotes.strike, quotes.years, quotes.vol, quotes.sign
    shown: Display
    match convention:
        case Convention.DERIBIT:
            raw = black76.greeks(*inputs)
            mark = np.where(np.isfinite(quotes.mark), quotes.mark, raw.price / on)
            shown = deribit_display(raw, mark, on, quotes.years)
        case Convention.BYBIT:
            shown = bybit_display(black76.greeks(*inputs), quotes.years)
        case Convention.BINANCE:
            shown = binance_display(black76.greeks(*inputs))
        case Convention.OKX:
            shown = okx_display(inverse.coin_greeks(*inputs), quotes.years)
        case Convention.OKX_2020:
            shown = okx_display(inverse.coin_greeks(*inputs), quotes.years)
            shown = replace(shown, gamma=shown.gamma + shown.delta)
        case Convention.OKX_BS:
            shown = okx_bs_display(
                black76.greeks(*inputs), inverse.coin_greeks(*inputs), on, quotes.index, quotes.years
            )
    return np.array([getattr(shown, name) for name in GREEKS])


def tolerance(convention: Convention, quotes: Quotes) -> FloatArray:
    """How far each Greek may lie from the published one without meaning anything, (4, k)."""
    middle = display(convention, quotes)
    allowed = np.full_like(middle, 0.5 * UNIT[convention]) + OWN_SHARE * np.abs(middle)
    if convention is Convention.OKX_BS:
        allowed[THETA] += THETA_BS_SHARE * np.abs(middle[THETA])
    for name, error, relative in (
        ("forward", quotes.forward_error, True),
        ("index", quotes.index_error, True),
        ("vol", quotes.vol_error, False),
        ("years", quotes.years_error, False),
        ("mark", quotes.mark_error, False),
    ):
        value = getattr(quotes, name)
        moved = np.zeros_like(middle)
        for side in (-1.0, 1.0):
            shift = value * (1.0 + side * error) if relative else np.maximum(value + side * error, 0.0)
            difference = np.abs(display(convention, replace(quotes, **{name: shift})) - middle)
            moved = np.fmax(moved, difference)
        allowed += np.nan_to_num(moved)
    return allowed


def compare(convention: Convention, quotes: Quotes, published: FloatArray) -> Comparison:
    """Compare with what a venue published, (4, k), NaN where it did not."""
    ours = display(convention, quotes)
    difference = np.abs(ours - published)
    allowed = np.where(np.isfinite(difference), tolerance(convention, quotes), np.nan)
    flagged = np.asarray((difference > allowed).any(axis=0))
    reason: list[Reason | None] = [None] * flagged.size
    amount = np.full(flagged.size, np.nan)
    at = np.flatnonzero(flagged)
    if at.size:
        found, amounts = _explain(convention, quotes.rows(at), published[:, at], allowed[:, at])
        amount[at] = amounts
        for i, code in zip(at.tolist(), found, strict=True):
            reason[i] = code
    return Comparison(ours, difference, allowed, flagged, reason, amount)


@dataclass(frozen=True, slots=True, eq=False)
class Hypothesis:
    """A reason, what the Greeks would be under it (4, k), NaN where it says nothing, and its amount (k,).

    slack: by how many tolerances each Greek may miss, (4,).
    """

    reason: Reason
    greeks: FloatArray
    amount: FloatArray
    slack: FloatArray


#: Moves that are equally likely between two captures: relative, of the forward; vol points.
FORWARD_MOVE_USUAL = 5e-4
VOL_MOVE_USUAL = 0.25

#: Times by which a venue's Greeks may be older or newer than their stamp, seconds.
TIME_MOVES_S = (5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 640.0, 1280.0)

#: Only the delta of an option this near to the money tells the index from the forward.
TELLING_DELTA = (0.1, 0.9)

#: Another rule is believed where it changes a Greek by this many tolerances.
RULE_MARGIN = 10.0

#: An inverted figure carries the rounding of those it was inverted from; but it must come this much nearer.
SOLVED_SLACK = 3.0
SOLVED_GAIN = 0.5


def _explain(
    convention: Convention, quotes: Quotes, published: FloatArray, allowed: FloatArray
) -> tuple[list[Reason], FloatArray]:
    """The first hypothesis under which every published Greek of an option is met, and its amount."""
    k = published.shape[1]
    reasons = [Reason.UNEXPLAINED] * k
    amounts = np.full(k, np.nan)
    open_rows = np.ones(k, dtype=np.bool_)
    middle = display(convention, quotes)
    told = np.isfinite(published)
    with np.errstate(all="ignore"):
        miss = np.where(told, np.abs(middle - published) / allowed, 0.0).max(axis=0)
    for hypothesis in _hypotheses(convention, quotes, published):
        with np.errstate(all="ignore"):
            off = np.where(told, np.abs(hypothesis.greeks - published) / allowed, 0.0)
            met = (off <= hypothesis.slack[:, None]).all(axis=0)
            if hypothesis.reason in _SOLVED:
                met &= off.max(axis=0) <= SOLVED_GAIN * miss
            elif hypothesis.reason not in (Reason.TIME_MOVED, Reason.STALE_COPY):
                # another rule must make a difference that chance does not: far options meet any by accident
                met &= (told & (np.abs(hypothesis.greeks - middle) > RULE_MARGIN * allowed)).any(axis=0)
        for i in np.flatnonzero(open_rows & met).tolist():
            reasons[i], amounts[i] = hypothesis.reason, hypothesis.amount[i]
        open_rows &= ~met
        if not open_rows.any():
            break
    return reasons, amounts


_SOLVED = (Reason.FORWARD_MOVED, Reason.VOL_MOVED, Reason.BOTH_MOVED)
#: Factors by which a unit is mistaken: per point or per 1.00, per day or per year, of a year of 365 or of
#: trading days, per coin or per contract.
UNIT_FACTORS = (100.0, 0.01, 365.0, 1.0 / 365.0, 10_000.0, 1e-4, 252.0 / 365.0, 365.0 / 252.0, 10.0, 0.1)


def _hypotheses(convention: Convention, quotes: Quotes, published: FloatArray) -> Iterator[Hypothesis]:
    middle = display(convention, quotes)
    nothing = np.full(published.shape[1], np.nan)
    yield _hypothesis(Reason.STALE_COPY, np.where(quotes.stale, published, np.nan), nothing)
    yield from _mistaken_signs_and_units(middle, published)
    yield from _other_rules(convention, quotes, middle, nothing)
    if convention is not Convention.BINANCE:
        swapped = display(convention, replace(quotes, forward=quotes.index))
        with np.errstate(invalid="ignore"):
            telling = (np.abs(published[DELTA]) > TELLING_DELTA[0]) & (
                np.abs(published[DELTA]) < TELLING_DELTA[1]
            )
        swapped[:, ~telling] = np.nan
        yield _hypothesis(Reason.INDEX_NOT_FORWARD, swapped, quotes.index / quotes.forward - 1.0)
    else:
        yield _hypothesis(
            Reason.FORWARD_MOVED, display(convention, replace(quotes, index=quotes.forward)), nothing
        )
    yield from _moved_inputs(convention, quotes, published)


def _hypothesis(
    reason: Reason, greeks: FloatArray, amount: FloatArray, slack: FloatArray | None = None
) -> Hypothesis:
    """A hypothesis with the slack of its kind."""
    usual = np.full(4, SOLVED_SLACK if reason in _SOLVED else 1.0)
    return Hypothesis(reason, greeks, amount, usual if slack is None else slack)


def _mistaken_signs_and_units(middle: FloatArray, published: FloatArray) -> Iterator[Hypothesis]:
    """One Greek at a time, the others as they are; then the same mistake in all of them."""
    k = middle.shape[1]
    # a zero times anything is a zero: that explains nothing
    something = np.where(published == 0.0, np.nan, middle)
    for factor in (-1.0, *UNIT_FACTORS):
        reason = Reason.SIGN if factor < 0 else Reason.UNITS
        rounding = max(1.0, abs(factor))  # which came before the other units
        for greek in range(4):
            changed, slack = middle.copy(), np.ones(4)
            changed[greek], slack[greek] = something[greek] * factor, rounding
            yield _hypothesis(reason, changed, np.full(k, factor), slack)
        yield _hypothesis(reason, something * factor, np.full(k, factor), np.full(4, rounding))


def _other_rules(
    convention: Convention, quotes: Quotes, middle: FloatArray, nothing: FloatArray
) -> Iterator[Hypothesis]:
    """Each rule of a venue that might hold where we think it does not, or the other way round."""

    def changed(greek: int, values: FloatArray) -> FloatArray:
        result = middle.copy()
        result[greek] = values
        return result

    inputs = quotes.forward, quotes.strike, quotes.years, quotes.vol, quotes.sign
    raw, coin = black76.greeks(*inputs), inverse.coin_greeks(*inputs)
    if convention in PREMIUM_ADJUSTED:
        plain = np.array([raw.delta, raw.gamma, raw.vega / POINTS_PER_VOL, raw.theta / DAYS_PER_YEAR])
        yield _hypothesis(Reason.NOT_PREMIUM_ADJUSTED, plain, nothing)
        yield _hypothesis(Reason.NOT_PREMIUM_ADJUSTED, changed(DELTA, raw.delta), nothing)
    else:
        yield _hypothesis(Reason.PREMIUM_ADJUSTED, changed(DELTA, coin.pa_delta), nothing)
        adjusted = np.array([coin.pa_delta, coin.pa_gamma, coin.coin_vega / 100.0, coin.coin_theta / 365.0])
        yield _hypothesis(Reason.PREMIUM_ADJUSTED, adjusted, nothing)
    days = quotes.years * DAYS_PER_YEAR
    last_day = np.where(days < 1.0, days, np.nan)
    daily = raw.theta / DAYS_PER_YEAR
    scaled_gamma = changed(GAMMA, raw.gamma * last_day)
    for theta in (daily, daily * last_day):
        yield _hypothesis(
            Reason.LAST_DAY_RULE, np.where(np.isfinite(last_day), changed(THETA, theta), np.nan), nothing
        )
    unscaled = changed(THETA, daily)
    unscaled[GAMMA] = raw.gamma
    yield _hypothesis(Reason.LAST_DAY_RULE, np.where(np.isfinite(last_day), unscaled, np.nan), nothing)
    scaled_gamma[THETA] = daily * last_day
    yield _hypothesis(Reason.LAST_DAY_RULE, scaled_gamma, nothing)
    if convention is Convention.DERIBIT:
        yield _hypothesis(Reason.THETA_CAP, changed(THETA, daily * np.minimum(days, 1.0)), nothing)
        worth = quotes.mark * quotes.forward
        capped = -np.minimum(-daily * np.minimum(days, 1.0), worth * np.minimum(days, 1.0))
        yield _hypothesis(Reason.THETA_CAP, changed(THETA, capped), nothing)
        in_window = np.where(quotes.years < WINDOW_YEARS, raw.delta, np.nan)
        yield _hypothesis(Reason.SETTLEMENT_WINDOW, changed(DELTA, in_window), nothing)


def _moved_inputs(convention: Convention, quotes: Quotes, published: FloatArray) -> Iterator[Hypothesis]:
    """Another forward, another vol, or both, worked back from the published delta and vega."""
    if convention in PREMIUM_ADJUSTED:
        yield from _moved_okx_vol(convention, quotes, published)
        return
    on_index = convention is Convention.BINANCE
    on = quotes.index if on_index else quotes.forward
    root = np.sqrt(quotes.years)
    with np.errstate(all="ignore"):
        d1 = ndtri(np.clip(published[DELTA] + (quotes.sign < 0), 0.0, 1.0))
        d1 = np.where(np.isfinite(d1), d1, np.nan)
        width = quotes.vol * root
        forward = quotes.strike * np.exp(d1 * width - 0.5 * width**2)
        log_ratio = np.log(on / quotes.strike)
        under = np.sqrt(d1**2 - 2.0 * log_ratio)
        widths = np.array([d1 + under, d1 - under])
        widths[~(widths > 0)] = np.nan
        nearer = np.where(np.isnan(widths), np.inf, np.abs(widths - width)).argmin(axis=0)
        vol = np.take_along_axis(widths, nearer[None], axis=0)[0] / root
        density = np.exp(-0.5 * d1**2) / np.sqrt(2.0 * np.pi)
        both_forward = published[VEGA] * POINTS_PER_VOL / (density * root)
        log_both = np.log(both_forward / quotes.strike)
        under = np.sqrt(d1**2 - 2.0 * log_both)
        widths = np.array([d1 + under, d1 - under])
        widths[~(widths > 0)] = np.nan
        nearer = np.where(np.isnan(widths), np.inf, np.abs(widths - width)).argmin(axis=0)
        both_vol = np.take_along_axis(widths, nearer[None], axis=0)[0] / root

    def shown(forward: FloatArray, vol: FloatArray) -> FloatArray:
        if on_index:
            return display(convention, replace(quotes, index=forward, vol=vol))
        return display(convention, replace(quotes, forward=forward, vol=vol))

    forward_move, vol_move = forward / on - 1.0, (vol - quotes.vol) * POINTS_PER_VOL
    on_error = quotes.index_error if on_index else quotes.forward_error
    with np.errstate(invalid="ignore"):
        # within its own error a move says nothing
        forward = np.where(np.abs(forward_move) > on_error, forward, np.nan)
        vol = np.where(np.abs(vol - quotes.vol) > quotes.vol_error, vol, np.nan)
    on_forward = shown(forward, quotes.vol)
    with np.errstate(invalid="ignore"):
        by_vol = np.abs(vol_move) / VOL_MOVE_USUAL < np.abs(forward_move) / FORWARD_MOVE_USUAL
    # a far option can be explained by either: the smaller of the two moves is the likely one
    yield _hypothesis(Reason.FORWARD_MOVED, np.where(by_vol, np.nan, on_forward), forward_move)
    yield _hypothesis(Reason.VOL_MOVED, shown(on, vol), vol_move)
    yield _hypothesis(Reason.FORWARD_MOVED, on_forward, forward_move)
    for seconds in (x * side for x in TIME_MOVES_S for side in (1.0, -1.0)):
        years = np.maximum(quotes.years + seconds / SECONDS_PER_YEAR, 0.0)
        moved = display(convention, replace(quotes, years=years))
        yield _hypothesis(Reason.TIME_MOVED, moved, np.full(quotes.years.size, -seconds))
    yield _hypothesis(Reason.BOTH_MOVED, shown(both_forward, both_vol), both_forward / on - 1.0)


def _moved_okx_vol(convention: Convention, quotes: Quotes, published: FloatArray) -> Iterator[Hypothesis]:
    """Another vol: theta over vega tells it, vega = n(d1) sqrt(T)/100 then d1, and both the forward."""
    root = np.sqrt(quotes.years)
    last_day = np.minimum(1.0, quotes.years * DAYS_PER_YEAR)
    with np.errstate(all="ignore"):
        ratio = -published[THETA] / published[VEGA] * DAYS_PER_YEAR / POINTS_PER_VOL / last_day
        vol = 2.0 * quotes.years * ratio
        density = published[VEGA] * POINTS_PER_VOL / root
        size = np.sqrt(-2.0 * np.log(density * np.sqrt(2.0 * np.pi)))
        middle = np.log(quotes.forward / quotes.strike) / (quotes.vol * root) + 0.5 * quotes.vol * root
        width = vol * root
        forward = quotes.strike * np.exp(np.copysign(size, middle) * width - 0.5 * width**2)
    moved = display(convention, replace(quotes, forward=forward, vol=vol))
    yield _hypothesis(Reason.VOL_MOVED, moved, (vol - quotes.vol) * POINTS_PER_VOL)
