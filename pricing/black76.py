"""Black-76: price and Greeks of a European option on a forward. The one kernel under every valuation.

With x = ln(F/K), w = σ√T, d1 = x/w + w/2, d2 = d1 − w and s = +1 (call) or −1 (put):

    V     = D s (F N(s d1) − K N(s d2))        delta = D s N(s d1)
    gamma = D n(d1)/(F w)                      vega  = D F n(d1) √T
    theta = −D F n(d1) σ/(2√T) + r V           D the discount factor, r = −ln(D)/T

The textbook form loses digits where F N(d1) and K N(d2) nearly cancel (out of the money, or close to
expiry). Here everything hangs on the out-of-the-money option of the pair, in Mills-ratio form: with
h = |x|/w, y = h − w/2 and M(t) = N(−t)/n(t), it is worth min(F, K) n(y) [M(y) − M(y + w)], one factor
that is tiny and one that is not; the in-the-money twin adds the intrinsic value. One exp serves the
density and both distribution values, because F n(d1) = K n(d2) = min(F, K) n(y).

Limits are values, not errors. At zero vol, zero time, zero strike or zero forward: the intrinsic value, delta
the step, all else 0. Exactly at the money (F = K) the limit is taken as it comes: delta s/2, price 0, gamma
+inf, and at zero time theta −inf (the density of a settled option is a spike). At infinite vol or time: call
F, put K. An element is NaN, and only that element, if an input of it is NaN, a forward or strike negative or
infinite, a vol or time negative, a sign not ±1, a discount not positive and finite, F = K = 0, or if one of
vol and time is zero and the other infinite.

Source: Black (1976), "The pricing of commodity contracts", J. Financial Economics 3; Mills-ratio form after
Jaeckel (2015), "Let's be rational", Wilmott.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import erfcx

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

ROOT_HALF = math.sqrt(0.5)
DENSITY_AT_ZERO = 1.0 / math.sqrt(2.0 * math.pi)
MILLS_AT_ZERO = math.sqrt(math.pi / 2.0)
SERIES_TOTAL_VOL = 0.1  # below it the difference of two Mills ratios is summed as a series
SERIES_MONEYNESS = 1e3  # in standard deviations; beyond it n(y) is 0 and the series only must stay finite


class Greeks(NamedTuple):
    """Price and first Greeks of one unit, arrays of one shape; USD per coin, per 1.00 vol, per year."""

    price: FloatArray
    delta: FloatArray
    gamma: FloatArray
    vega: FloatArray
    theta: FloatArray


class HigherGreeks(NamedTuple):
    """Second and third Greeks of one unit, arrays of one shape; charm and color are calendar derivatives."""

    vanna: FloatArray
    volga: FloatArray
    charm: FloatArray
    speed: FloatArray
    zomma: FloatArray
    color: FloatArray


class Terms(NamedTuple):
    """What price and all Greeks share: inputs broadcast to one shape, and the parts of the formula."""

    forward: FloatArray
    strike: FloatArray
    years: FloatArray
    vol: FloatArray
    sign: FloatArray
    discount: FloatArray
    invalid: BoolArray  # elements whose answer is NaN
    root_years: FloatArray  # √T
    total_vol: FloatArray  # w = σ√T
    d1: FloatArray
    d2: FloatArray
    smaller: FloatArray  # min(F, K)
    density: FloatArray  # n(d1)
    forward_density: FloatArray  # F n(d1) = min(F, K) n(y)
    tail1: FloatArray  # N(−|d1|)
    tail2: FloatArray  # (K/F) N(−|d2|), which is n(d1) M(|d2|)
    time_value: FloatArray  # value of the out-of-the-money option over min(F, K)


def greeks(
    forward: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    vol: ArrayLike,
    sign: ArrayLike,
    discount: ArrayLike = 1.0,
    out: Greeks | None = None,
) -> Greeks:
    """Price, delta, gamma, vega and theta of European options on a forward, in one pass.

    V = D s (F N(s d1) − K N(s d2)); see the head of the module for the Greeks and for the limits.

    Shapes: all arguments broadcast together; every field has the broadcast shape, 0-d for scalars. `out`, a
    Greeks of float64 arrays of that shape, is written into and returned; it may share memory with the inputs.
    Units: forward and strike USD per coin, years in 365-day years, vol 1.0 = 100 %, sign +1 call and −1 put,
    discount the value today of 1 USD at expiry. price USD, delta coin, gamma coin per USD, vega USD per 1.00
    vol, theta dV/dt in USD per year (calendar time runs on, the forward stands still).
    Errors: ValueError if shapes do not broadcast or `out` does not fit. A bad element is NaN in every field;
    a discount other than 1 at zero years has no rate, so theta alone is NaN there.
    Reference: Black (1976). Against 50-digit arithmetic, 60 s to 1 y, 0 to 8 standard deviations:
    relative error below 1e-13 for every field (worst measured 4e-14, the price); 1e-12 out to 30.

    >>> g = greeks(forward=60_000.0, strike=70_000.0, years=30 / 365, vol=0.55, sign=1)
    >>> print(f"{g.price:.4f} {g.delta:.6f} {g.gamma:.4e} {g.vega:.3f} {g.theta:.2f}")
    886.5635 0.184386 2.8156e-05 4582.095 -15330.93
    """
    with np.errstate(all="ignore"):
        t = terms(forward, strike, years, vol, sign, discount)
        intrinsic = np.maximum(t.sign * (t.forward - t.strike), 0.0)
        price = t.discount * (intrinsic + t.smaller * t.time_value)
        results = Greeks(
            price=price,
            delta=t.discount * t.sign * distribution(t.sign * t.d1, t.tail1),
            gamma=t.discount * times(t.density, 1.0 / (t.forward * t.total_vol)),
            vega=t.discount * times(t.forward_density, t.root_years),
            theta=_carry(_rate(t), price) - t.discount * times(t.forward_density, half_vol_rate(t)),
        )
    # written only now, when no input is read any more: `out` may be made of the inputs' own memory
    out = _fitting(out, t.invalid.shape)
    for field, result in zip(out, results, strict=True):
        np.copyto(field, result)
        field[t.invalid] = np.nan
    return out


def higher_greeks(
    forward: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    vol: ArrayLike,
    sign: ArrayLike,
    discount: ArrayLike = 1.0,
) -> HigherGreeks:
    """Vanna, volga, charm, speed, zomma and color of European options on a forward.

        vanna = d delta/dσ = −n(d1) d2/σ             volga = d vega/dσ  = vega d1 d2/σ
        charm = d delta/dt = n(d1) d2/(2T)           speed = d gamma/dF = −(gamma/F)(d1/w + 1)
        zomma = d gamma/dσ = gamma (d1 d2 − 1)/σ     color = d gamma/dt = gamma (1 − d1 d2)/(2T)

    each times D; charm + r delta and color + r gamma when discounted.

    Shapes, units and errors as `greeks`: vanna coin per 1.00 vol, volga USD per vol², charm coin per year,
    speed coin per USD², zomma coin per USD per vol, color coin per USD per year; t is calendar time. At vol 0
    or no time, all are 0 away from the money; at the money they take their limit, which may be infinite.
    Reference: Haug (2007), "The complete guide to option pricing formulas", chapter 2.

    >>> h = higher_greeks(forward=60_000.0, strike=70_000.0, years=30 / 365, vol=0.55, sign=1)
    >>> print(f"{h.vanna:.5f} {h.volga:.1f} {h.charm:.5f}")
    0.51167 7910.5 -1.71195
    """
    with np.errstate(all="ignore"):
        t = terms(forward, strike, years, vol, sign, discount)
        rate = _rate(t)
        delta = t.sign * distribution(t.sign * t.d1, t.tail1)
        gamma = times(t.density, 1.0 / (t.forward * t.total_vol))
        # at the money d1 = w/2 and d2 = −w/2, also in the limit w = 0 where the quotients would be 0/0
        d1_over_w = np.where(t.forward == t.strike, 0.5, t.d1 / t.total_vol)
        d2_over_w = d1_over_w - 1.0
        product = t.d1 * t.d2
        higher = HigherGreeks(
            vanna=times(t.density, -d2_over_w * t.root_years),
            volga=times(t.forward_density, t.d1 * d2_over_w * t.years),
            charm=times(t.density, d2_over_w * half_vol_rate(t)) + _carry(rate, delta),
            speed=times(gamma, -(d1_over_w + 1.0) / t.forward),
            zomma=times(gamma, (product - 1.0) / t.vol),
            color=times(gamma, (1.0 - product) / (2.0 * t.years)) + _carry(rate, gamma),
        )
        higher = HigherGreeks(*(np.asarray(t.discount * field) for field in higher))
    for field in higher:
        field[t.invalid] = np.nan
    return higher


def terms(
    forward: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    vol: ArrayLike,
    sign: ArrayLike,
    discount: ArrayLike = 1.0,
) -> Terms:
    """Return what price and Greeks share. Call it inside `np.errstate(all="ignore")`; it sets no NaN itself.

    >>> t = terms(forward=100.0, strike=100.0, years=1.0, vol=0.2, sign=1)
    >>> float(t.d1), float(t.d2), bool(t.invalid)
    (0.1, -0.1, False)
    """
    # adding 0.0 makes 0.0 of −0.0, which would turn the signs of the limits
    F, K, T, σ, s, D = np.broadcast_arrays(
        *(np.asarray(a, dtype=np.float64) + 0.0 for a in (forward, strike, years, vol, sign, discount))
    )
    root_years = np.sqrt(T)
    w = σ * root_years
    invalid = ~(
        ((F >= 0.0) & (K >= 0.0) & (F + K > 0.0) & np.isfinite(F) & np.isfinite(K))
        & ((T >= 0.0) & (σ >= 0.0) & (w >= 0.0))
        & ((np.abs(s) == 1.0) & (D > 0.0) & np.isfinite(D))
    )
    distance = np.abs(log_ratio(F, K))
    h = np.where(distance == 0.0, 0.0, distance / w)
    endless = distance == np.inf  # zero strike or zero forward
    near = np.where(endless, np.inf, h - 0.5 * w)  # y; |d1| and |d2| are |y| and y + w, in the order below
    far = np.where(endless, np.inf, h + 0.5 * w)
    above = F > K
    d1 = np.where(above, far, -near)
    d2 = np.where(above, near, -far)

    bell = np.exp(-0.5 * near * near)  # n(y) √(2π)
    scaled_near = mills_scaled(np.abs(near))
    scaled_far = mills_scaled(far)
    smaller = np.minimum(F, K)
    to_d1 = np.minimum(1.0, K / F)  # n(d1) = n(y) min(1, K/F)
    half_bell1 = 0.5 * bell * to_d1
    return Terms(
        forward=F,
        strike=K,
        years=T,
        vol=σ,
        sign=s,
        discount=D,
        invalid=np.asarray(invalid),
        root_years=root_years,
        total_vol=w,
        d1=d1,
        d2=d2,
        smaller=smaller,
        density=bell * to_d1 * DENSITY_AT_ZERO,
        forward_density=smaller * bell * DENSITY_AT_ZERO,
        tail1=half_bell1 * np.where(above, scaled_far, scaled_near),
        tail2=half_bell1 * np.where(above, scaled_near, scaled_far),
        time_value=np.where(
            w < SERIES_TOTAL_VOL,
            bell * DENSITY_AT_ZERO * mills_gap_series(h, w),
            np.where(
                near >= 0.0,
                0.5 * bell * (scaled_near - scaled_far),
                1.0 - 0.5 * bell * (scaled_near + scaled_far),
            ),
        ),
    )


def log_ratio(forward: FloatArray, strike: FloatArray) -> FloatArray:
    """Return ln(F/K) to the last digit, also near the money, where F/K alone has lost the small difference.

    Within a factor of two F − K is exact (Sterbenz), so log1p of the relative difference loses nothing.

    >>> float(log_ratio(np.float64(60_000.01), np.float64(60_000.0)))
    1.6666665281173378e-07
    """
    ratio = forward / strike
    close = (ratio > 0.5) & (ratio < 2.0)
    result: FloatArray = np.where(close, np.log1p((forward - strike) / strike), np.log(ratio))
    return result


def mills_scaled(t: FloatArray) -> FloatArray:
    """Return erfcx(t/√2), so that N(−t) = exp(−t²/2) erfcx(t/√2)/2 and M(t) = √(π/2) erfcx(t/√2).

    >>> float(mills_scaled(np.float64(0.0)))
    1.0
    """
    result: FloatArray = erfcx(t * ROOT_HALF)
    return result


def mills_gap_series(h: FloatArray, w: FloatArray) -> FloatArray:
    """Return M(h − w/2) − M(h + w/2) for small w, where subtracting the two would cancel.

    −2 Σ M⁽ᵏ⁾(h) (w/2)ᵏ/k! over odd k up to 9, with M′ = h M − 1 and M⁽ᵏ⁺¹⁾ = h M⁽ᵏ⁾ + k M⁽ᵏ⁻¹⁾.
    The first term left out is below 1e-17 of the sum for w < 0.1.

    >>> float(mills_gap_series(np.float64(0.0), np.float64(1e-8)))     # −M′(0) w = w
    1e-08
    """
    h = np.minimum(h, SERIES_MONEYNESS)
    before: FloatArray = MILLS_AT_ZERO * mills_scaled(h)
    derivative = h * before - 1.0
    power = 0.5 * w
    square = power * power
    total = -2.0 * derivative * power
    for k in range(2, 10):
        before, derivative = derivative, h * derivative + (k - 1) * before
        if k % 2 == 1:
            power = power * square / (k * (k - 1))
            total = total - 2.0 * derivative * power
    return total


def distribution(argument: FloatArray, tail: FloatArray, whole: float | FloatArray = 1.0) -> FloatArray:
    """Return whole × N(argument), given the tail whole × N(−|argument|).

    >>> float(distribution(np.float64(1.0), np.float64(0.15865525393145705)))
    0.8413447460685429
    """
    result: FloatArray = np.where(argument < 0.0, tail, whole - tail)
    return result


def times(density: FloatArray, factor: FloatArray) -> FloatArray:
    """Return density × factor, 0 where the density is 0: it falls faster than any factor grows.

    >>> with np.errstate(all="ignore"):
    ...     float(times(np.float64(0.0), np.float64(np.inf)))
    0.0
    """
    result: FloatArray = np.where(density == 0.0, 0.0, density * factor)
    return result


def half_vol_rate(t: Terms) -> FloatArray:
    """Return dw/dT = σ/(2√T); 0 at vol 0, also with no time left: there is no time value to lose.

    >>> with np.errstate(all="ignore"):
    ...     float(half_vol_rate(terms(100.0, 100.0, 0.25, 0.6, 1)))
    0.6
    """
    result: FloatArray = np.where(t.vol == 0.0, 0.0, 0.5 * t.vol / t.root_years)
    return result


def _carry(rate: FloatArray, value: FloatArray) -> FloatArray:
    """Return rate × value, 0 where the rate is 0, also for the infinite gamma of a settled option."""
    result: FloatArray = np.where(rate == 0.0, 0.0, rate * value)
    return result


def _rate(t: Terms) -> FloatArray:
    """Return r = −ln(D)/T; 0 for D = 1 also at T = 0, NaN where another discount has no time to act in."""
    rate = np.where(t.years > 0.0, -np.log(t.discount) / t.years, np.nan)
    result: FloatArray = np.where(t.discount == 1.0, 0.0, rate)
    return result


def _fitting(out: Greeks | None, shape: tuple[int, ...]) -> Greeks:
    """Return `out` if its arrays fit the shape, or new arrays if there is none."""
    if out is None:
        return Greeks(*(np.empty(shape) for _ in Greeks._fields))
    for name, field in zip(Greeks._fields, out, strict=True):
        if field.shape != shape or field.dtype != np.float64:
            raise ValueError(
                f"greeks: out.{name} is {field.dtype} of shape {field.shape}, "
                f"needed: float64 of shape {shape}, that of all inputs together; "
                "nothing was written; pass arrays that fit"
            )
    return out
