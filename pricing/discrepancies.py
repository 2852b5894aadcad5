"""Why a venue's Greeks differ from ours: every reason known to part two such figures, tried out in turn.

Each is a hypothesis: what the Greeks would be if it held. The most specific come first, and the first under
which all Greeks of an option come together is the likely one.

Shapes: k options; Greeks as (4, k) in the order of `GREEKS`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from scipy.special import ndtri

from pricing import black76, inverse
from pricing.conventions import DAYS_PER_YEAR, POINTS_PER_VOL
from pricing.daycount import SECONDS_PER_YEAR
from pricing.flat import FloatArray
from pricing.settlement import WINDOW_YEARS
from pricing.venue_greeks import (
    DELTA,
    GAMMA,
    PREMIUM_ADJUSTED,
    THETA,
    VEGA,
    Convention,
    Quotes,
    display,
    underlying_price,
)


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

#: Reasons whose inputs were worked back from the published Greeks themselves.
SOLVED = (Reason.FORWARD_MOVED, Reason.VOL_MOVED, Reason.BOTH_MOVED)
#: Factors by which a unit is mistaken: per point or per 1.00, per day or per year, of a year of 365 or of
#: trading days, per coin or per contract.
UNIT_FACTORS = (100.0, 0.01, 365.0, 1.0 / 365.0, 10_000.0, 1e-4, 252.0 / 365.0, 365.0 / 252.0, 10.0, 0.1)


@dataclass(frozen=True, slots=True, eq=False)
class Hypothesis:
    """A reason, what the Greeks would be under it (4, k), NaN where it says nothing, and its amount (k,).

    slack: by how many tolerances each Greek may miss, (4,).
    """

    reason: Reason
    greeks: FloatArray
    amount: FloatArray
    slack: FloatArray


def explain(
    convention: Convention, quotes: Quotes, published: FloatArray, allowed: FloatArray
) -> tuple[list[Reason], FloatArray]:
    """The first hypothesis under which every published Greek of an option is met, and its amount, (k,).

    published, allowed: (4, k), the venue's units, NaN where it published nothing.
    """
    k = published.shape[1]
    reasons = [Reason.UNEXPLAINED] * k
    amounts = np.full(k, np.nan)
    unexplained = np.ones(k, dtype=np.bool_)
    ours = display(convention, quotes)
    told = np.isfinite(published)
    with np.errstate(all="ignore"):
        miss = np.where(told, np.abs(ours - published) / allowed, 0.0).max(axis=0)
    for hypothesis in _hypotheses(convention, quotes, published):
        with np.errstate(all="ignore"):
            off = np.where(told, np.abs(hypothesis.greeks - published) / allowed, 0.0)
            met = (off <= hypothesis.slack[:, None]).all(axis=0)
            if hypothesis.reason in SOLVED:
                met &= off.max(axis=0) <= SOLVED_GAIN * miss
            elif hypothesis.reason not in (Reason.TIME_MOVED, Reason.STALE_COPY):
                # another rule must make a difference that chance does not: far options meet any by accident
                met &= (told & (np.abs(hypothesis.greeks - ours) > RULE_MARGIN * allowed)).any(axis=0)
        for i in np.flatnonzero(unexplained & met).tolist():
            reasons[i], amounts[i] = hypothesis.reason, hypothesis.amount[i]
        unexplained &= ~met
        if not unexplained.any():
            break
    return reasons, amounts


def _hypotheses(convention: Convention, quotes: Quotes, published: FloatArray) -> Iterator[Hypothesis]:
    """Every hypothesis, the most specific first."""
    ours = display(convention, quotes)
    no_amount = np.full(published.shape[1], np.nan)
    yield _hypothesis(Reason.STALE_COPY, np.where(quotes.stale, published, np.nan), no_amount)
    yield from _mistaken_signs_and_units(ours, published)
    yield from _other_rules(convention, quotes, ours, no_amount)
    if convention is Convention.BINANCE:
        on_forward = display(convention, replace(quotes, index=quotes.forward))
        yield _hypothesis(Reason.FORWARD_MOVED, on_forward, no_amount)
    else:
        on_index = display(convention, replace(quotes, forward=quotes.index))
        size = np.abs(published[DELTA])
        with np.errstate(invalid="ignore"):
            telling = (size > TELLING_DELTA[0]) & (size < TELLING_DELTA[1])
        on_index[:, ~telling] = np.nan
        yield _hypothesis(Reason.INDEX_NOT_FORWARD, on_index, quotes.index / quotes.forward - 1.0)
    yield from _moved_inputs(convention, quotes, published)


def _hypothesis(
    reason: Reason, greeks: FloatArray, amount: FloatArray, slack: FloatArray | None = None
) -> Hypothesis:
    """A hypothesis with the slack of its kind."""
    usual = np.full(4, SOLVED_SLACK if reason in SOLVED else 1.0)
    return Hypothesis(reason, greeks, amount, usual if slack is None else slack)


def _mistaken_signs_and_units(ours: FloatArray, published: FloatArray) -> Iterator[Hypothesis]:
    """One Greek at a time, the others as they are; then the same mistake in all of them."""
    k = ours.shape[1]
    # a zero times anything is a zero: that explains nothing
    something = np.where(published == 0.0, np.nan, ours)
    for factor in (-1.0, *UNIT_FACTORS):
        reason = Reason.SIGN if factor < 0 else Reason.UNITS
        rounding = max(1.0, abs(factor))  # which came before the other units
        for greek in range(4):
            changed, slack = ours.copy(), np.ones(4)
            changed[greek], slack[greek] = something[greek] * factor, rounding
            yield _hypothesis(reason, changed, np.full(k, factor), slack)
        yield _hypothesis(reason, something * factor, np.full(k, factor), np.full(4, rounding))


def _other_rules(
    convention: Convention, quotes: Quotes, ours: FloatArray, no_amount: FloatArray
) -> Iterator[Hypothesis]:
    """Each rule of a venue that might hold where we think it does not, or the other way round."""

    def changed(greek: int, values: FloatArray) -> FloatArray:
        result = ours.copy()
        result[greek] = values
        return result

    inputs = quotes.forward, quotes.strike, quotes.years, quotes.vol, quotes.sign
    raw, coin = black76.greeks(*inputs), inverse.coin_greeks(*inputs)
    daily = raw.theta / DAYS_PER_YEAR
    if convention in PREMIUM_ADJUSTED:
        plain = np.array([raw.delta, raw.gamma, raw.vega / POINTS_PER_VOL, daily])
        yield _hypothesis(Reason.NOT_PREMIUM_ADJUSTED, plain, no_amount)
        yield _hypothesis(Reason.NOT_PREMIUM_ADJUSTED, changed(DELTA, raw.delta), no_amount)
    else:
        yield _hypothesis(Reason.PREMIUM_ADJUSTED, changed(DELTA, coin.pa_delta), no_amount)
        coin_vega, coin_theta = coin.coin_vega / POINTS_PER_VOL, coin.coin_theta / DAYS_PER_YEAR
        adjusted = np.array([coin.pa_delta, coin.pa_gamma, coin_vega, coin_theta])
        yield _hypothesis(Reason.PREMIUM_ADJUSTED, adjusted, no_amount)
    days = quotes.years * DAYS_PER_YEAR
    for gamma, theta in (
        (ours[GAMMA], daily),
        (ours[GAMMA], daily * days),
        (raw.gamma, daily),
        (raw.gamma * days, daily * days),
    ):
        scaled = changed(THETA, theta)
        scaled[GAMMA] = gamma
        yield _hypothesis(Reason.LAST_DAY_RULE, np.where(days < 1.0, scaled, np.nan), no_amount)
    if convention is Convention.DERIBIT:
        last_day = np.minimum(days, 1.0)
        decay = daily * last_day
        yield _hypothesis(Reason.THETA_CAP, changed(THETA, decay), no_amount)
        scaled_cap = -np.minimum(-decay, quotes.mark * quotes.forward * last_day)
        yield _hypothesis(Reason.THETA_CAP, changed(THETA, scaled_cap), no_amount)
        in_window = np.where(quotes.years < WINDOW_YEARS, raw.delta, np.nan)
        yield _hypothesis(Reason.SETTLEMENT_WINDOW, changed(DELTA, in_window), no_amount)


def _moved_inputs(convention: Convention, quotes: Quotes, published: FloatArray) -> Iterator[Hypothesis]:
    """Another forward, another vol, or both, worked back from the published delta and vega."""
    if convention in PREMIUM_ADJUSTED:
        yield from _moved_okx_vol(convention, quotes, published)
        return
    on = underlying_price(convention, quotes)
    root = np.sqrt(quotes.years)
    with np.errstate(all="ignore"):
        d1 = ndtri(np.clip(published[DELTA] + (quotes.sign < 0), 0.0, 1.0))
        d1 = np.where(np.isfinite(d1), d1, np.nan)
        total_vol = quotes.vol * root
        # either input moved alone: delta tells it
        forward = quotes.strike * np.exp(d1 * total_vol - 0.5 * total_vol**2)
        vol = _total_vol_of(d1, np.log(on / quotes.strike), total_vol) / root
        # both moved: vega = F n(d1) √T tells the forward, and d1 the vol on it
        density = np.exp(-0.5 * d1**2) / np.sqrt(2.0 * np.pi)
        both_forward = published[VEGA] * POINTS_PER_VOL / (density * root)
        both_vol = _total_vol_of(d1, np.log(both_forward / quotes.strike), total_vol) / root

    def shown(forward: FloatArray, vol: FloatArray) -> FloatArray:
        if convention is Convention.BINANCE:
            return display(convention, replace(quotes, index=forward, vol=vol))
        return display(convention, replace(quotes, forward=forward, vol=vol))

    forward_move, vol_move = forward / on - 1.0, (vol - quotes.vol) * POINTS_PER_VOL
    on_error = quotes.index_error if convention is Convention.BINANCE else quotes.forward_error
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


def _total_vol_of(d1: FloatArray, log_moneyness: FloatArray, near: FloatArray) -> FloatArray:
    """The total vol w with d1 = x/w + w/2, x = ln(F/K): of two, the one nearest to `near`; NaN without."""
    root = np.sqrt(d1**2 - 2.0 * log_moneyness)
    roots = np.array([d1 + root, d1 - root])
    roots[~(roots > 0)] = np.nan
    nearer = np.where(np.isnan(roots), np.inf, np.abs(roots - near)).argmin(axis=0)
    return np.asarray(np.take_along_axis(roots, nearer[None], axis=0)[0])


def _moved_okx_vol(convention: Convention, quotes: Quotes, published: FloatArray) -> Iterator[Hypothesis]:
    """Another vol: theta over vega tells it, vega = n(d1) sqrt(T)/100 then d1, and both the forward."""
    root = np.sqrt(quotes.years)
    last_day = np.minimum(1.0, quotes.years * DAYS_PER_YEAR)
    with np.errstate(all="ignore"):
        ratio = -published[THETA] / published[VEGA] * DAYS_PER_YEAR / POINTS_PER_VOL / last_day
        vol = 2.0 * quotes.years * ratio
        density = published[VEGA] * POINTS_PER_VOL / root
        size = np.sqrt(-2.0 * np.log(density * np.sqrt(2.0 * np.pi)))
        our_d1 = np.log(quotes.forward / quotes.strike) / (quotes.vol * root) + 0.5 * quotes.vol * root
        total_vol = vol * root
        forward = quotes.strike * np.exp(np.copysign(size, our_d1) * total_vol - 0.5 * total_vol**2)
    moved = display(convention, replace(quotes, forward=forward, vol=vol))
    yield _hypothesis(Reason.VOL_MOVED, moved, (vol - quotes.vol) * POINTS_PER_VOL)
