"""Hedging policies along simulated paths: one compiled loop per family, over steps, settings and paths.

A book of calls of one expiry is hedged with the coin. At step t < steps a policy sees the price, the hedge
that would take all delta away (`target`, coins) and the book's gamma, holds y coins and may trade. Money is
in USD of today (discounted prices), trades are at the price, and what they cost is added up apart:

    cash −= dy S     turnover += |dy| S     trades += 1      end: cash += y S_T, turnover += |y| S_T

so that the P&L before costs is cash + what the book paid and received, whatever the cost rate. The loops
without branches become vector instructions; those with branches leave the usual case, no trade, first.

Arrays: (steps + 1, paths) prices, (steps, paths) exposures, (settings, paths) hedge and totals, all
contiguous. Widths and where to stop: `risk.band_widths`, whose formulas stand here per element because a
path cannot call numpy; tests hold them against each other.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from hedger.studies.path_models import VARIANCE_MIN
from hedger.studies.paths import exp_of
from pricing.compiled import compiled, inlined
from pricing.elementary import exp_of_negative, log_ratio, mills_pair
from pricing.universe import FloatArray, IntArray

DENSITY_0 = 0.3989422804014327  # 1/√(2π)
FAR = 38.0  # a normal density beyond this many sd is 0
PER_LN2 = 1.0 / math.log(2.0)
TINY = 1e-300  # keeps a root of nothing a number; no width shows it
VOL_REACH = 3.0  # the table of a listed option's value goes to √v = 3 vol
LANDING_LOW, LANDING_STEP = -40.0, 0.125  # of the landing table: log2 κ of its first point, and its step
NEW_OPTIONS_MAX = 200  # clips a decision


class Totals(NamedTuple):
    """Per setting and path, (settings, paths): see the module. option_cost and option_value are USD too: what
    trading listed options cost over their fair value, and what they paid less what fair value they cost."""

    hedge: FloatArray
    cash: FloatArray
    turnover: FloatArray
    trades: FloatArray
    options: FloatArray
    option_cost: FloatArray
    option_value: FloatArray


def totals(settings: int, paths: int) -> Totals:
    """Nothing held, nothing done."""
    return Totals(*(np.zeros((settings, paths)) for _ in Totals._fields))


@inlined
def _cube_root(x: float) -> float:
    # of a positive normal number, a few units in the last place off, in vector instructions
    return exp_of(log_ratio(x, 1.0) / 3.0)


@inlined
def normal_cdf(d: float) -> tuple[float, float]:
    """N(d) and n(d).

    >>> normal_cdf(0.0)
    (0.5, 0.3989422804014327)
    """
    a = abs(d)
    a = a if a < FAR else FAR
    density = DENSITY_0 * exp_of_negative(-0.5 * a * a)
    p, _, q, _ = mills_pair(a, 0.0)
    tail = density * p / q
    return (1.0 - tail if d > 0.0 else tail), density


@compiled("(f8[:, ::1], f8[:, ::1], f8[::1], f8[::1], f8[::1], f8[::1], f8[:, ::1], f8[:, ::1])")
def exposures(
    price: FloatArray, vol: FloatArray, years: FloatArray, growth: FloatArray, quantity: FloatArray,
    strike: FloatArray, delta: FloatArray, gamma: FloatArray,
) -> None:  # fmt: skip
    """Fill delta and gamma (steps, paths) of calls; years and growth = e^(r years) (steps,) to their
    expiry."""
    steps, paths = delta.shape
    for t in range(steps):
        prices, vols, deltas, gammas = price[t], vol[t], delta[t], gamma[t]
        root, grown = math.sqrt(years[t]), growth[t]
        deltas[:] = 0.0
        gammas[:] = 0.0
        for leg in range(quantity.size):
            held, k = quantity[leg], strike[leg]
            for p in range(paths):
                w = vols[p] * root
                cdf, density = normal_cdf(log_ratio(prices[p] * grown, k) / w + 0.5 * w)
                deltas[p] += held * cdf
                gammas[p] += held * density / (prices[p] * w)


@compiled("(f8[:, ::1], f8[::1], f8, f8[:, ::1])")
def heston_vol(variance: FloatArray, share: FloatArray, mean: float, vol: FloatArray) -> None:
    """Fill vol with the root of mean + (v − mean) × share, share (steps,)."""
    steps, paths = vol.shape
    for t in range(steps):
        for p in range(paths):
            level = mean + (variance[t, p] - mean) * share[t]
            vol[t, p] = math.sqrt(level if level > VARIANCE_MIN else VARIANCE_MIN)


@compiled(
    "(f8[:, ::1], f8[:, ::1], f8[:, ::1], f8[::1], f8[::1], f8[:, ::1], f8[:, ::1], f8[:, ::1], f8[:, ::1])"
)
def targets(
    coin: FloatArray, delta: FloatArray, gamma: FloatArray, lean: FloatArray, discount: FloatArray,
    price: FloatArray, target: FloatArray, leaning: FloatArray, root: FloatArray,
) -> None:  # fmt: skip
    """Fill discounted prices, the hedge against all delta, the same leaning by lean × S Γ, and (S
    Γ²)^(1/3)."""
    steps, paths = delta.shape
    for t in range(steps):
        tilt = lean[t]
        for p in range(paths):
            s, g = coin[t, p], gamma[t, p]
            target[t, p] = -delta[t, p]
            leaning[t, p] = -delta[t, p] - tilt * s * g
            root[t, p] = _cube_root(s * g * g + TINY)
    for t in range(steps + 1):
        for p in range(paths):
            price[t, p] = coin[t, p] * discount[t]


@inlined
def _trade(
    new: float, s: float, c: int, p: int, hedge: FloatArray, cash: FloatArray, turnover: FloatArray,
    trades: FloatArray,
) -> None:  # fmt: skip
    step = new - hedge[c, p]
    cash[c, p] -= step * s
    turnover[c, p] += abs(step) * s
    trades[c, p] += 1.0 if step != 0.0 else 0.0
    hedge[c, p] = new


@compiled("(f8[:, ::1], f8[:, ::1], i8[::1], f8[:, ::1], f8[:, ::1], f8[:, ::1], f8[:, ::1])")
def calendar(
    price: FloatArray, target: FloatArray, every: IntArray, hedge: FloatArray, cash: FloatArray,
    turnover: FloatArray, trades: FloatArray,
) -> None:  # fmt: skip
    """To the target at every so many steps, first at once; every 0: never."""
    steps, paths = target.shape
    for t in range(steps):
        for c in range(every.size):
            if every[c] > 0 and t % every[c] == 0:
                for p in range(paths):
                    _trade(target[t, p], price[t, p], c, p, hedge, cash, turnover, trades)


@compiled(
    "(f8[:, ::1], f8[:, ::1], f8[:, ::1], f8[::1], f8[::1], f8[::1], f8[::1], i8[::1], f8[::1],"
    " f8[:, ::1], f8[:, ::1], f8[:, ::1], f8[:, ::1])"
)
def leland(
    price: FloatArray, coin: FloatArray, vol: FloatArray, years: FloatArray, growth: FloatArray,
    quantity: FloatArray, strike: FloatArray, every: IntArray, excess: FloatArray,
    hedge: FloatArray, cash: FloatArray, turnover: FloatArray, trades: FloatArray,
) -> None:  # fmt: skip
    """As `calendar`, to the delta at Leland's vol, σL² = σ² + excess σ; price discounted, coin
    undiscounted."""
    steps, paths = vol.shape
    target = np.empty(paths)
    for t in range(steps):
        root, grown = math.sqrt(years[t]), growth[t]
        for c in range(every.size):
            if t % every[c] == 0:
                target[:] = 0.0
                for leg in range(quantity.size):
                    held, k = quantity[leg], strike[leg]
                    for p in range(paths):
                        w = math.sqrt(vol[t, p] * (vol[t, p] + excess[c])) * root
                        cdf, _ = normal_cdf(log_ratio(coin[t, p] * grown, k) / w + 0.5 * w)
                        target[p] -= held * cdf
                for p in range(paths):
                    _trade(target[p], price[t, p], c, p, hedge, cash, turnover, trades)


@compiled(
    "(f8[:, ::1], f8[:, ::1], f8[:, ::1], f8[::1], f8[::1], f8[:, ::1], f8[:, ::1], f8[:, ::1], f8[:, ::1])"
)
def band(
    price: FloatArray, target: FloatArray, base: FloatArray, width: FloatArray, landing: FloatArray,
    hedge: FloatArray, cash: FloatArray, turnover: FloatArray, trades: FloatArray,
) -> None:  # fmt: skip
    """Half width `width` × base around the target; from outside to `landing` (0 centre, 1 edge) of it."""
    steps, paths = target.shape
    for t in range(steps):
        prices, aims, bases = price[t], target[t], base[t]
        for c in range(width.size):
            factor, part, held = width[c], landing[c], hedge[c]
            for p in range(paths):
                w = factor * bases[p]
                gap = held[p] - aims[p]
                inner = part * w
                new = aims[p] + (inner if gap > 0.0 else -inner)
                new = new if abs(gap) > w else held[p]
                _trade(new, prices[p], c, p, hedge, cash, turnover, trades)


@compiled(
    "(f8[:, ::1], f8[:, ::1], f8[:, ::1], f8[:, ::1], f8[:, ::1], f8[::1], f8[::1], f8[::1], f8[::1],"
    " f8[::1], f8[::1], f8[:, ::1], f8[:, ::1], f8[:, ::1], f8[:, ::1])"
)
def zakamouline(
    price: FloatArray, coin: FloatArray, target: FloatArray, gamma: FloatArray, vol: FloatArray,
    years: FloatArray, growth: FloatArray, quantity: FloatArray, strike: FloatArray,
    cost_rate: FloatArray, risk_aversion: FloatArray,
    hedge: FloatArray, cash: FloatArray, turnover: FloatArray, trades: FloatArray,
) -> None:  # fmt: skip
    """Half width H0 + H1 around the delta at σm, to the edge; a book whose gammas have one sign."""
    steps, paths = target.shape
    sign = 1.0 if quantity[0] > 0.0 else -1.0
    fourth, activity, w, centre = np.empty(paths), np.empty(paths), np.empty(paths), np.empty(paths)
    for t in range(steps):
        left, root, grown = years[t], math.sqrt(years[t]), growth[t]
        for p in range(paths):
            fourth[p] = 1.0 / math.sqrt(math.sqrt(vol[t, p] * grown))
            size = abs(gamma[t, p]) if abs(gamma[t, p]) > 1e-200 else 1e-200
            activity[p] = exp_of(0.15 * log_ratio(coin[t, p] * coin[t, p] * size, 1.0))
        prices, coins, vols, gammas = price[t], coin[t], vol[t], gamma[t]
        for c in range(cost_rate.size):
            rate, aversion, held = cost_rate[c], risk_aversion[c], hedge[c]
            h0 = rate / (aversion * left)
            h1 = 1.12 * rate**0.31 * left**0.05 / math.sqrt(aversion)
            k0 = sign * -4.76 * rate**0.78 * left**-0.02 * aversion**0.15
            for p in range(paths):
                change = 1.0 + k0 * fourth[p] * activity[p]
                # costs beyond the fit's reach, which only a long gamma has: the vol of the delta nearly 0
                w[p] = vols[p] * root * math.sqrt(change if change > 0.01 else 0.01)
                centre[p] = 0.0
            for leg in range(quantity.size):
                owned, k = quantity[leg], strike[leg]
                for p in range(paths):
                    cdf, _ = normal_cdf(log_ratio(coins[p] * grown, k) / w[p] + 0.5 * w[p])
                    centre[p] -= owned * cdf
            for p in range(paths):
                width = h0 / (coins[p] * vols[p] * vols[p]) + h1 * fourth[p] * math.sqrt(abs(gammas[p]))
                new = held[p] if held[p] > centre[p] - width else centre[p] - width
                new = new if new < centre[p] + width else centre[p] + width
                _trade(new, prices[p], c, p, hedge, cash, turnover, trades)


@inlined
def _landed(
    held: float, aim: float, w0: float, cost: float, fixed_cost: float, lot: float, trigger_of: FloatArray,
    landing_of: FloatArray,
) -> float:  # fmt: skip
    """Where a hedge goes under `risk.band_widths.landing`, in whole lots; cost: USD a coin."""
    kappa = (fixed_cost / cost + 0.5 * lot) / w0
    x, y = 1.0, 1.0
    if kappa > 0.0:
        at = (log_ratio(kappa, 1.0) * PER_LN2 - LANDING_LOW) / LANDING_STEP
        at = min(max(at, 0.0), trigger_of.size - 1.001)
        low = int(at)
        part = at - low
        x = trigger_of[low] * (1.0 - part) + trigger_of[low + 1] * part
        y = landing_of[low] * (1.0 - part) + landing_of[low + 1] * part
    trigger = max(x * w0, lot)
    inner = max(min(y * w0, trigger - lot), 0.0)
    gap = held - aim
    if abs(gap) <= trigger:
        return held
    new = aim + math.copysign(inner, gap)
    return math.floor(new / lot + 0.5) * lot if lot > 0.0 else new


@compiled(
    "(f8[:, ::1], f8[:, ::1], f8[:, ::1], f8[:, ::1], f8[:, ::1], f8[::1], f8[::1], f8[::1], f8, f8,"
    " f8[::1], f8[::1], f8[:, ::1], f8[:, ::1], f8[:, ::1], f8[:, ::1])"
)
def mixed_band(
    price: FloatArray, coin: FloatArray, target: FloatArray, gamma: FloatArray, vol: FloatArray,
    years: FloatArray, cost_rate: FloatArray, risk_aversion: FloatArray, fixed_cost: float, lot: float,
    trigger_of: FloatArray, landing_of: FloatArray,
    hedge: FloatArray, cash: FloatArray, turnover: FloatArray, trades: FloatArray,
) -> None:  # fmt: skip
    """Whalley-Wilmott on net gamma, floored, landing by the mixed rule, in lots: the coin alone."""
    steps, paths = target.shape
    still, activity, outside = np.empty(paths), np.empty(paths), np.empty(paths, dtype=np.bool_)
    for t in range(steps):
        aims, coins, vols, gammas = target[t], coin[t], vol[t], gamma[t]
        for p in range(paths):
            still[p] = 1.0 / (coins[p] * vols[p] * vols[p])
            activity[p] = coins[p] * gammas[p] * gammas[p]
        for c in range(cost_rate.size):
            cube, floor = 1.5 * cost_rate[c] / risk_aversion[c], cost_rate[c] / (risk_aversion[c] * years[t])
            held = hedge[c]
            for p in range(paths):
                gap = abs(held[p] - aims[p])
                outside[p] = (gap > lot) & (gap > floor * still[p]) & (gap * gap * gap > cube * activity[p])
            for p in range(paths):
                if outside[p]:  # of the narrowest trigger: few are
                    w0 = max(_cube_root(cube * activity[p] + TINY), floor * still[p], lot)
                    new = _landed(held[p], aims[p], w0, cost_rate[c] * coins[p], fixed_cost, lot,
                                  trigger_of, landing_of)  # fmt: skip
                    _trade(new, price[t, p], c, p, hedge, cash, turnover, trades)


@inlined
def _speed(s: float, sigma: float, years: float, growth: float, strike: float) -> float:
    """dΓ/dS of a call: −(Γ/S)(d1/(σ√τ) + 1)."""
    w = sigma * math.sqrt(years)
    d1 = log_ratio(s * growth, strike) / w + 0.5 * w
    _, density = normal_cdf(d1)
    return -density / (s * s * w) * (d1 / w + 1.0)


@inlined
def _fair(
    s: float, sigma: float, variance: float, years: float, growth: float, strike: float, delta: float,
    excess: FloatArray, reach: float, vol_ref: float,
) -> float:  # fmt: skip
    """A call's value: Black-Scholes and what the model adds, interpolated in moneyness and √v."""
    rows, columns = excess.shape
    root = math.sqrt(years)
    w = sigma * root
    moneyness = log_ratio(s * growth, strike)
    in_the_money, _ = normal_cdf(moneyness / w - 0.5 * w)
    at = min(max((-moneyness / (vol_ref * root) + reach) / (2.0 * reach), 0.0), 1.0) * (columns - 1)
    up = min(math.sqrt(variance) / (VOL_REACH * vol_ref), 1.0) * (rows - 1)
    i, j = min(int(up), rows - 2), min(int(at), columns - 2)
    a, b = up - i, at - j
    more = (1.0 - a) * ((1.0 - b) * excess[i, j] + b * excess[i, j + 1])
    more += a * ((1.0 - b) * excess[i + 1, j] + b * excess[i + 1, j + 1])
    fair = s * delta - strike / growth * in_the_money + s * more
    return fair if fair > 0.0 else 0.0


@compiled(
    "(f8[:, ::1], f8[:, ::1], f8[:, ::1], f8[:, ::1], f8[:, ::1], f8[:, ::1], f8[::1], f8[::1], f8[::1],"
    " f8[::1], f8[:, ::1], f8[:, ::1], f8, f8, f8, f8, f8, f8, f8, f8, f8[::1], i8, f8[::1], f8[::1],"
    " f8[:, :, ::1], f8, f8,"
    " f8[::1], f8[::1], f8, f8, f8[::1], f8[::1],"
    " f8[:, ::1], f8[:, ::1], f8[:, ::1], f8[:, ::1], f8[:, ::1], f8[:, ::1], f8[:, ::1])"
)
def mix(
    price: FloatArray, coin: FloatArray, target: FloatArray, gamma: FloatArray, vol: FloatArray,
    variance: FloatArray, years: FloatArray, growth: FloatArray, discount: FloatArray, lean: FloatArray,
    option_delta: FloatArray, option_gamma: FloatArray, strike: float, half_spread: float, fee_rate: float,
    fee_cap: float, clip: float, option_max: float, years_min: float, quartic: float,
    vol_variance: FloatArray, decide_every: int,
    quantity: FloatArray, strikes: FloatArray,
    excess: FloatArray, reach: float, vol_ref: float, cost_rate: FloatArray, risk_aversion: FloatArray,
    fixed_cost: float, lot: float, trigger_of: FloatArray, landing_of: FloatArray,
    hedge: FloatArray, cash: FloatArray, turnover: FloatArray, trades: FloatArray, options: FloatArray,
    option_cost: FloatArray, option_value: FloatArray,
) -> None:  # fmt: skip
    """A listed call in clips while it is worth its cost, then `mixed_band` on what is left.

    Every `decide_every` steps while the call has years_min to live, at the net gamma Γ after half of the next
    clip, one more clip (bought for Γ < 0, sold for Γ > 0), never beyond ± option_max held, as long as

        H |Γh| [(4/3) J*/|Γ| + γ/4 quartic S⁴ |Γ| + γ/2 (S² σ τ)² varσ |Γ|]  >  half spread × vega + fee

    Γh, vega: of one listed call. H: how long the gamma is there to be hedged, the remaining life τ or, if
    shorter, the time (|Γ|/(|dΓ/dS| σ S))² in which a move of one sigma makes another gamma of it; where the
    book's options already offset each other that is soon. The terms, a year of each: the delta band's own
    cost and risk, J*/|Γ| = a/2 (3/2 λS/γ)^(2/3) |Γ|^(1/3), a = γ σ² S²; what no delta hedge reaches, γ/2
    times the variance of Γ S² r²/2, quartic being that of r² (jumps, moves between checks); the vega's,
    which falls to 0 in time, varσ being the variance of the vol less what the price says about it. Options
    are settled at expiry, not unwound. Fee: min(rate × S, cap × price). The hedge of the option's own delta
    is not in the test: it is as often a saving as a cost, and the band charges it.
    """
    steps, paths = target.shape
    still, shift, outside = np.empty(paths), np.empty(paths), np.empty(paths, dtype=np.bool_)
    for t in range(steps):
        aims, coins, vols, gammas, unit_gammas = target[t], coin[t], vol[t], gamma[t], option_gamma[t]
        if t % decide_every == 0 and years[t] >= years_min:
            for p in range(paths):
                s, sigma = coins[p], vols[p]
                fair = _fair(s, sigma, variance[t, p], years[t], growth[t], strike, option_delta[t, p],
                             excess[t // decide_every], reach, vol_ref)  # fmt: skip
                term = s * s * sigma * years[t]  # vega over gamma
                unit_cost = half_spread * term * unit_gammas[p] + min(fee_rate * s, fee_cap * fair)
                unit_speed = _speed(s, sigma, years[t], growth[t], strike)
                book_speed = 0.0
                for leg in range(quantity.size):
                    book_speed += quantity[leg] * _speed(s, sigma, years[t], growth[t], strikes[leg])
                linear = 0.25 * quartic * s**4
                linear += 0.5 * term * term * vol_variance[t] * variance[t, p] / (sigma * sigma)
                for c in range(cost_rate.size):
                    rate, aversion = cost_rate[c], risk_aversion[c]
                    net = gammas[p] + options[c, p] * unit_gammas[p]
                    side = -1.0 if net > 0.0 else 1.0
                    # benefit of a unit in a year: cubic |Γ|^(1/3) + square |Γ|
                    benefit = unit_gammas[p] * aversion
                    cubic = (
                        benefit * 2.0 / 3.0 * (sigma * s) ** 2 * _cube_root(1.5 * rate * s / aversion) ** 2
                    )
                    square = benefit * linear
                    count = 0
                    while count < NEW_OPTIONS_MAX:
                        left = abs(net) - (count + 0.5) * clip * unit_gammas[p]
                        if left <= 0.0 or abs(options[c, p] + side * clip * (count + 1)) > option_max + 1e-9:
                            break
                        change = book_speed + (options[c, p] + side * (count + 0.5) * clip) * unit_speed
                        lasts = left / (abs(change) * s * sigma + TINY)
                        held_for = min(years[t], lasts * lasts)
                        if held_for * (cubic * _cube_root(left) + square * left) <= unit_cost:
                            break
                        count += 1
                    if count > 0:
                        options[c, p] += side * clip * count
                        option_value[c, p] -= side * clip * count * fair * discount[t]
                        option_cost[c, p] += clip * count * unit_cost * discount[t]
                        trades[c, p] += 1.0
        for p in range(paths):
            still[p] = 1.0 / (coins[p] * vols[p] * vols[p])
            shift[p] = option_delta[t, p] + lean[t] * coins[p] * unit_gammas[p]
        for c in range(cost_rate.size):
            cube, floor = 1.5 * cost_rate[c] / risk_aversion[c], cost_rate[c] / (risk_aversion[c] * years[t])
            held, owned = hedge[c], options[c]
            for p in range(paths):
                net = gammas[p] + owned[p] * unit_gammas[p]
                gap = abs(held[p] - aims[p] + owned[p] * shift[p])
                outside[p] = (
                    (gap > lot) & (gap > floor * still[p]) & (gap * gap * gap > cube * coins[p] * net * net)
                )
            for p in range(paths):
                if outside[p]:
                    net = gammas[p] + owned[p] * unit_gammas[p]
                    w0 = max(_cube_root(cube * coins[p] * net * net + TINY), floor * still[p], lot)
                    new = _landed(held[p], aims[p] - owned[p] * shift[p], w0, cost_rate[c] * coins[p],
                                  fixed_cost, lot, trigger_of, landing_of)  # fmt: skip
                    _trade(new, price[t, p], c, p, hedge, cash, turnover, trades)


@compiled("(f8[::1], f8[:, ::1], f8[:, ::1], f8[:, ::1], f8[:, ::1])")
def unwind(
    price: FloatArray, hedge: FloatArray, cash: FloatArray, turnover: FloatArray, trades: FloatArray
) -> None:
    """Sell what is held at the end."""
    for c in range(hedge.shape[0]):
        for p in range(price.size):
            _trade(0.0, price[p], c, p, hedge, cash, turnover, trades)
