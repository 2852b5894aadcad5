"""The loops under `pricing.implied`: Halley steps on many options at a time, and one at a time for the rest.

The out-of-the-money value of each pair in units of min(F, K) is β = n(y) [M(y) − M(y + w)], and w = σ√T is
sought. The objective is ln β, in which no digit is lost, and a step needs a logarithm but no exponential:

    f(w) = −y²/2 − ln √(2π) + ln D(w) − ln β,   D = M(y) − M(y + w),   1/f′ = D,   y = |x|/w − w/2

f is nearly straight in w^−2 in the wings and in ln w near the money; Halley's step is taken in that power, by
formulas equal to it up to the order of the step itself. Every element makes the same steps, in vector
instructions, until all of a block have settled: two or three from nothing, one or two from the last vol.

What this form does not hold (β above HALF, in-the-money values drowning in intrinsic value, everything that
has no vol) is left to `careful`, which searches inside a bracket, names the reason, and always ends.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pricing.compiled import compiled, inlined
from pricing.elementary import log_ratio, mills, mills_pair
from pricing.flat import FloatArray
from pricing.kernels import BLOCK, PRICE_MAX, PRICE_MIN, arrays
from pricing.limits import MILLS_PAIR_TOTAL_VOL_MAX

IntArray = NDArray[np.int8]

LOG_ROOT_TWO_PI = 0.5 * math.log(2.0 * math.pi)
ROOT_TWO_PI = math.sqrt(2.0 * math.pi)
WING = 1.2  # standard deviations beyond which ln b is nearly straight in w^−2
SETTLED = 1e-5  # relative; steps converge cubically, so after one as small the rest is below rounding
VECTOR_STEPS = 6  # what has not settled by then goes to `careful`
CLEAN = 1e-10  # least share of a price that is time value, for the fast loop
HALF = 0.5  # greatest β of the fast loop: w is then below 1.35, and y above −0.7
TINY = 1e-290  # least β of the fast loop
NEAR_THE_MONEY = 0.15  # β over |x| above which the expansion at the money is the better start
TOTAL_VOL_LEAST, TOTAL_VOL_MOST = 1e-12, MILLS_PAIR_TOTAL_VOL_MAX
CAREFUL_STEPS = 64  # `careful` needs 2 or 3; the rest of the room is for bisections
WORST_RELATIVE_ERROR = 0.01  # of a vol that is still worth the name, when the price is off by one ulp
FAR = 1e10  # standard deviations beyond which `mills_pair` overflows

PENDING = -1  # a status that no caller sees: the fast loop left the element to `careful`
OK, BELOW_INTRINSIC, ABOVE_MAXIMUM, NO_TIME, ILL_CONDITIONED, NOT_A_NUMBER = range(6)


@inlined
def two_sum_error(a: float, b: float) -> float:
    """Return what rounding took from a − b: (a − b) exactly is fl(a − b) plus this (Knuth)."""
    difference = a - b
    taken = a - difference
    return (a - (difference + taken)) + (taken - b)


@inlined
def first_guess(distance: float, value: float, log_value: float) -> float:
    """Return a first w for β <= 1/2.

    Near the money β ≈ w/√(2π) − x/2; in the wings −ln β = h²/2 − x/2 + w²/8 + ln(√(2π)/D) with the rough
    D ≈ w/(1 + 1.25 h + h²) and w = x/h, solved for h by substitution.
    """
    level = 0.5 * distance - log_value - LOG_ROOT_TWO_PI + log_ratio(distance, 1.0)
    h = math.sqrt(2.0 * max(level, 0.5))
    for _ in range(2):
        w = distance / h
        bend = log_ratio(h * (1.0 + h * (1.25 + h)), 1.0)
        h = math.sqrt(2.0 * max(level - w * w * 0.125 - bend, 0.125))
    near = ROOT_TWO_PI * (value + 0.5 * distance)
    return near if value > NEAR_THE_MONEY * distance else distance / h


@inlined
def halley(distance: float, w: float, log_value: float) -> tuple[float, float]:
    """Return (next w, relative step). With u = w^k, Halley in u needs f/f′ and f″/f′ − (k − 1)/w, all in w.

    Since b′ = n(y) and b″/b′ = (h² − w²/4)/w, the second derivative is free. The maps back from u are
    1/√(1 + 2 s) for k = −2, and for ln w the quotient (2 − s)/(2 + s), which is e^−s up to s³/12.
    """
    per_w = 1.0 / w
    h = distance * per_w
    y = h - 0.5 * w
    p, dp, q, dq = mills_pair(y, w)
    gap = w * (p * dq - dp * q) / (q * (q + w * dq))
    miss = log_ratio(gap, 1.0) - 0.5 * y * y - LOG_ROOT_TWO_PI - log_value
    newton = miss * gap
    bend = (h * h - 0.25 * w * w) * per_w - 1.0 / gap  # f″/f′
    wing = h > WING
    step = newton * per_w / (1.0 - 0.5 * newton * (bend + (3.0 * per_w if wing else per_w)))
    step = min(max(step, -0.4), 1.0)
    factor = 1.0 / math.sqrt(1.0 + 2.0 * step) if wing else (2.0 - step) / (2.0 + step)
    return w * factor, step


@inlined
def time_value(price: float, forward: float, strike: float, sign: float) -> float:
    """Return the value of the out-of-the-money option of the pair, to the last digit the price holds."""
    inside = sign * (forward - strike)
    extracted = (price - inside) - sign * two_sum_error(forward, strike)
    return extracted if inside > 0.0 else price


@compiled(f"{arrays(7)[:-1]}, i1[::1], {arrays(3)[1:]}")
def sweep_implied(
    price: FloatArray,
    forward: FloatArray,
    strike: FloatArray,
    years: FloatArray,
    sign: FloatArray,
    start: FloatArray,
    vol: FloatArray,
    status: IntArray,
    distance: FloatArray,
    log_value: FloatArray,
    width: FloatArray,
) -> bool:
    """Write vols and statuses OK, or PENDING for what `careful` must do; return whether there is such.

    start (n,): vols to start from; where one is NaN, or where the array is empty, the start is `first_guess`.
    The last three are the scratch, (BLOCK,).
    """
    pending = False
    for a in range(0, price.size, BLOCK):
        n = min(BLOCK, price.size - a)
        z = a + n
        V, F, K, T, s = price[a:z], forward[a:z], strike[a:z], years[a:z], sign[a:z]
        found, state = vol[a:z], status[a:z]
        for i in range(n):
            worth = time_value(V[i], F[i], K[i], s[i])
            smaller = min(F[i], K[i])
            share = worth / smaller
            usual = (
                ((F[i] >= PRICE_MIN) & (F[i] <= PRICE_MAX) & (K[i] >= PRICE_MIN) & (K[i] <= PRICE_MAX))
                & ((share >= TINY) & (share <= HALF) & (worth >= CLEAN * V[i]))
                & ((T[i] > 0.0) & (T[i] < math.inf) & (abs(s[i]) == 1.0))
            )
            distance[i] = abs(log_ratio(F[i], K[i])) if usual else math.nan
            log_value[i] = log_ratio(worth, smaller)
            found[i] = share
        if start.size > 0:
            last = start[a:z]
            lacking = False
            for i in range(n):
                w = last[i] * math.sqrt(T[i])
                width[i] = w
                lacking |= not ((w >= TOTAL_VOL_LEAST) & (w <= TOTAL_VOL_MOST))
        else:
            lacking = True
        if lacking:
            for i in range(n):
                w = width[i]
                known = (start.size > 0) & (w >= TOTAL_VOL_LEAST) & (w <= TOTAL_VOL_MOST)
                guess = first_guess(distance[i], found[i], log_value[i])
                width[i] = w if known else guess
        for i in range(n):
            found[i] = math.inf  # from here on the size of an element's last step
        for _ in range(VECTOR_STEPS):
            unsettled = False
            for i in range(n):
                w, step = halley(distance[i], width[i], log_value[i])
                # what has settled stands still: no element depends on how long its neighbours take
                under_way = found[i] > SETTLED
                width[i] = min(max(w, TOTAL_VOL_LEAST), TOTAL_VOL_MOST) if under_way else width[i]
                found[i] = abs(step) if under_way else found[i]
                unsettled |= found[i] > SETTLED
            if not unsettled:
                break
        for i in range(n):
            w = width[i]
            settled = (found[i] <= SETTLED) & (w > TOTAL_VOL_LEAST) & (w < TOTAL_VOL_MOST)
            found[i] = w / math.sqrt(T[i]) if settled else math.nan
            state[i] = OK if settled else PENDING
            pending |= not settled
    return pending


@compiled("(f8, f8, f8, f8, f8, f8)")
def careful(
    price: float, forward: float, strike: float, years: float, sign: float, slack: float
) -> tuple[float, int]:
    """Return (vol, status) of one option, whatever it is; the vol is NaN where the status is not OK.

    slack: what a division by a discount may have taken from an in-the-money price, USD.
    """
    usable = (
        (0.0 < forward < math.inf and 0.0 < strike < math.inf)
        and not math.isnan(price)
        and -math.inf < years < math.inf
        and abs(sign) == 1.0
    )
    if not usable:
        return math.nan, NOT_A_NUMBER
    if years <= 0.0:
        return math.nan, NO_TIME
    inside = sign * (forward - strike)
    below = price < inside - slack if inside > 0.0 else price <= 0.0
    if below:
        return math.nan, BELOW_INTRINSIC
    maximum = forward if sign > 0.0 else strike
    if price >= maximum:
        return math.nan, ABOVE_MAXIMUM
    noise = np.spacing(abs(price))
    worth = time_value(price, forward, strike, sign)
    if inside > 0.0 and worth <= noise:
        return math.nan, ILL_CONDITIONED
    room = maximum - price
    w, leverage = total_vol(distance_of(forward, strike), worth, room, min(forward, strike))
    vol = w / math.sqrt(years)
    # not found is NaN, and too small for a double is 0: both are lost too
    kept = leverage * noise / min(worth, room) <= WORST_RELATIVE_ERROR and 0.0 < vol < math.inf
    return (vol, OK) if kept else (math.nan, ILL_CONDITIONED)


@compiled("(f8, f8, f8, f8)")
def total_vol(distance: float, worth: float, room: float, smaller: float) -> tuple[float, float]:
    """Return w with β(w) = worth/smaller = 1 − room/smaller, and its leverage; NaN if it is not found.

    Solved in ln β, or in ln(1 − β) where that is the smaller, inside a bracket which every step narrows: a
    step that would leave it is replaced by a bisection. The leverage is the relative change of w for a
    relative change of the smaller of β and 1 − β.
    """
    log_value = math.log(worth) - math.log(smaller)
    log_room = math.log(room) - math.log(smaller)
    low_vol = log_value <= log_room
    target = log_value if low_vol else log_room
    w = low_start(distance, log_value) if low_vol else high_start(distance, log_room)
    lower, upper = 0.0, math.inf
    for _ in range(CAREFUL_STEPS):
        excess, following, leverage = careful_halley(distance, w, target, low_vol)
        if excess < 0.0:
            lower = w
        elif excess > 0.0:
            upper = w
        if abs(following - w) <= SETTLED * w:
            return following, leverage
        if lower < following < upper:
            w = following
        elif upper == math.inf:
            w = 2.0 * lower
        elif lower == 0.0:
            w = 0.5 * upper
        else:
            w = math.sqrt(lower) * math.sqrt(upper)
    return math.nan, math.nan


@compiled("(f8, f8, f8, b1)")
def careful_halley(distance: float, w: float, target: float, low_vol: bool) -> tuple[float, float, float]:
    """Return (excess, next w, leverage) of one step; excess is positive where w is too large.

    As `halley`, for any w; and for ln(1 − β), slope −1/R with R = M(−y) + M(y + w), straight in w² far up.
    """
    h = distance / w
    y = h - 0.5 * w
    z = h + 0.5 * w
    density = math.exp(-0.5 * y * y) / ROOT_TWO_PI
    log_density = -0.5 * y * y - LOG_ROOT_TWO_PI
    if y < -1.0:  # β is 1 minus two small tails, never a difference of two ratios
        rest = density * (mills(-y) + mills(z))
        gap = (1.0 - rest) / density
        log_value = math.log1p(-rest)
    else:
        if w <= MILLS_PAIR_TOTAL_VOL_MAX and y < FAR:
            p, dp, q, dq = mills_pair(y, w)
            gap = w * (p * dq - dp * q) / (q * (q + w * dq))
        else:
            gap = mills(y) - mills(z)
        log_value = log_density + math.log(gap)
    if low_vol:
        miss, inverse_slope, bend = log_value - target, gap, -1.0 / gap
        power = -2.0 if h > WING else 0.0
    else:
        reach = (mills(-y) if y <= 1.0 else 1.0 / density - mills(y)) + mills(z)
        miss, inverse_slope, bend = log_density + math.log(reach) - target, -reach, 1.0 / reach
        power = 2.0
    newton = miss * inverse_slope
    bend += y * z / w
    step = newton / w / (1.0 - 0.5 * newton * (bend - (power - 1.0) / w))
    if power == 0.0:
        following = w * math.exp(-step)
    else:
        following = w * (1.0 - power * step) ** (1.0 / power) if power * step < 1.0 else math.nan
    return (miss if low_vol else -miss), following, abs(inverse_slope) / w


@compiled("(f8, f8)")
def low_start(distance: float, log_value: float) -> float:
    """As `first_guess`, for any distance, also 0."""
    value = math.exp(log_value)
    if value > NEAR_THE_MONEY * distance:
        return ROOT_TWO_PI * (value + 0.5 * distance)
    level = 0.5 * distance - log_value - LOG_ROOT_TWO_PI + math.log(distance)
    h = math.sqrt(2.0 * max(level, 0.5))
    for _ in range(3):
        w = distance / h
        bend = math.log(h * (1.0 + h * (1.25 + h)))
        h = math.sqrt(2.0 * max(level - w * w * 0.125 - bend, 0.125))
    return distance / h


@compiled("(f8, f8)")
def high_start(distance: float, log_room: float) -> float:
    """Return a first w where β > 1/2: 1 − β ≈ 2 N(y), as it is at the money, and y = x/w − w/2."""
    wanted = log_room - math.log(2.0)
    t = math.sqrt(max(-2.0 * log_room, 0.0))  # −y, by Newton steps on ln N(−t)
    for _ in range(4):
        ratio = mills(t)
        t = max(t + (math.log(ratio) - 0.5 * t * t - LOG_ROOT_TWO_PI - wanted) * ratio, -1.0)
    return math.sqrt(t * t + 2.0 * distance) + t


@compiled("(f8, f8)")
def distance_of(forward: float, strike: float) -> float:
    """Return |ln(F/K)| of any positive numbers."""
    ratio = forward / strike
    if 0.5 < ratio < 2.0:
        return abs(math.log1p((forward - strike) / strike))
    return abs(math.log(ratio)) if 1e-300 < ratio < math.inf else abs(math.log(forward) - math.log(strike))


@compiled(f"{arrays(6)[:-1]}, f8[::1], f8[::1], i1[::1])")
def fill_implied(
    price: FloatArray,
    forward: FloatArray,
    strike: FloatArray,
    years: FloatArray,
    sign: FloatArray,
    slack: FloatArray,
    start: FloatArray,
    vol: FloatArray,
    status: IntArray,
) -> None:
    """Write vols and statuses. Arrays (n,), contiguous; start and slack (n,) or empty for none."""
    pending = sweep_implied(
        price, forward, strike, years, sign, start, vol, status,
        np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK),
    )  # fmt: skip
    if pending:
        for i in range(price.size):
            if status[i] == PENDING:
                vol[i], status[i] = careful(
                    price[i], forward[i], strike[i], years[i], sign[i], slack[i] if slack.size > 0 else 0.0
                )
