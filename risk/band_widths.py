"""How wide a delta band is worth its cost, and where a hedge should stop: formulas on numbers and arrays.

The mis-hedge X (coins) moves like a Brownian motion with variance rate s2 = (Γ σ S)² a year; carrying it
costs a/2 X² a year, a = risk aversion × σ² S²; moving delta by a coin costs c = λ S USD, a trade k USD
whatever its size. Trading when |X| reaches w and landing at l costs a year (renewal argument: from l the
time to w is (w² − l²)/s2 in the mean, and ∫X² (w⁴ − l⁴)/(6 s2))

    J(w, l) = s2 (k + c (w − l))/(w² − l²) + a (w² + l²)/12

Its minimum is known. For k = 0: w = l = w0 = (3/2 c s2/a)^(1/3), the width of Whalley and Wilmott (1997);
for c = 0: l = 0, w = (12 k s2/a)^(1/4). In between, with κ = k/(c w0), u = (w + l)/w0 and v = (w − l)/w0,
both derivatives vanish where κ = u v³/8 and u³ = 8 + u v²: one root of z⁹ = 8 + 4 κ^(2/3) z, u = z³.

Zakamouline: "European option pricing and hedging with both fixed and proportional transaction costs"
(2006) and "Optimal hedging of options with transaction costs" (Wilmott, 2006).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from pricing.universe import BoolArray, FloatArray

DAYS_PER_YEAR = 365.0
#: Newton's steps from above on a convex function: the start is within a factor of 2 of the root.
_NEWTON_STEPS = 12
#: The bracket of log v is 120 wide: halved so often it is as narrow as a float can tell.
_BISECTIONS = 60


class ZakamoulineBand(NamedTuple):
    """half_width: H0 + H1, coins. vol_factor: σm/σ, where the band's centre takes its delta."""

    half_width: Any
    vol_factor: Any


def whalley_wilmott(
    net_gamma: ArrayLike,
    spot: ArrayLike,
    cost_rate: ArrayLike,
    risk_aversion: ArrayLike,
    years: ArrayLike = 0.0,
    rate: ArrayLike = 0.0,
) -> Any:
    """Half width of the delta band of Whalley and Wilmott, w = (3/2 e^(−rT) λ S Γ²/γ)^(1/3), coins.

    Args:
        net_gamma: net gamma of everything on the underlying, coins per USD, of either sign. spot: USD.
        cost_rate: λ, cost of moving a USD of notional one way, 0.0005 = 5 bp. risk_aversion: γ > 0, per USD.
        years, rate: time to expiry and interest, 0 where nothing is discounted. Broadcast together.

    Returns:
        Half width, a number for numbers and an array of the broadcast shape for arrays; 0 where the net gamma
        or the cost is 0: the caller floors it.

    Raises:
        ValueError: an argument that is NaN, infinite or outside its range; it is named with its value.

    References: Whalley, Wilmott, "An asymptotic analysis of an optimal hedging model for option pricing with
    transaction costs", Mathematical Finance 7 (1997).

    >>> round(float(whalley_wilmott(4.19e-5, 60_000.0, 5e-4, 1e-4)), 3)
    0.092
    """
    gamma, s, cost, aversion, t, r = _numbers(
        net_gamma=net_gamma,
        spot=spot,
        cost_rate=cost_rate,
        risk_aversion=risk_aversion,
        years=years,
        rate=rate,
    )
    _require(s > 0, "spot", s, "positive numbers")
    _require(cost >= 0, "cost_rate", cost, "numbers >= 0")
    _require(aversion > 0, "risk_aversion", aversion, "positive numbers")
    _require(t >= 0, "years", t, "numbers >= 0")
    # roots first: Γ² of a small gamma, or the quotient by a small risk aversion, need not fit a float
    width = (
        np.cbrt(1.5 * np.exp(-r * t) * cost) * np.cbrt(s) * np.cbrt(np.abs(gamma)) ** 2 / np.cbrt(aversion)
    )
    return width[()]


def fixed_cost_width(net_gamma: ArrayLike, fixed_cost: ArrayLike, risk_aversion: ArrayLike) -> Any:
    """Half width where a trade costs k USD whatever its size and nothing more: w = (12 k Γ²/γ)^(1/4), coins.

    The law that the Whalley-Wilmott width, 0 without a variable cost, cannot show; the landing is the centre.

    Args:
        net_gamma: coins per USD. fixed_cost: k, USD. risk_aversion: γ > 0, per USD. Broadcast together.

    Raises:
        ValueError: an argument that is NaN, infinite or outside its range.

    >>> round(float(fixed_cost_width(4e-5, 1.0, 1e-4)), 4)
    0.1177
    """
    gamma, k, aversion = _numbers(net_gamma=net_gamma, fixed_cost=fixed_cost, risk_aversion=risk_aversion)
    _require(k >= 0, "fixed_cost", k, "numbers >= 0")
    _require(aversion > 0, "risk_aversion", aversion, "positive numbers")
    return (np.sqrt(np.abs(gamma)) * (12.0 * k / aversion) ** 0.25)[()]


def landing(
    width: ArrayLike,
    spot: ArrayLike,
    cost_rate: ArrayLike,
    fixed_cost: ArrayLike = 0.0,
    lot: ArrayLike = 0.0,
) -> tuple[Any, Any]:
    """Half widths (trigger, landing) of the cheapest policy, coins: from the trigger hedge to the landing.

    With w0 = `width`, c = cost_rate × spot and k = fixed_cost + c lot/2 (rounding to lots moves the landing
    like a fixed cost), κ = k/(c w0): trigger = x(κ) w0, landing = y(κ) w0 by the module's formula.
    κ = 0: both are w0, hedge to the edge. κ large: x = (8κ)^(1/4), y = 2/x², near the centre.

    Args:
        width: half width for proportional costs alone, `whalley_wilmott`, coins. spot: USD. cost_rate: λ.
        fixed_cost: USD per trade. lot: smallest trade of the hedge instrument, coins. Broadcast together.

    Returns:
        (trigger, landing): numbers for numbers, arrays of the broadcast shape for arrays. Where a lot is
        given the landing is at least a lot inside the trigger, and the trigger at least a lot wide. Without a
        variable cost (cost_rate 0) `width` is itself the trigger and the landing the centre: the proportional
        width says nothing there; take `fixed_cost_width` for a fixed cost.

    Raises:
        ValueError: an argument that is NaN, infinite or outside its range.

    >>> [round(float(x), 3) for x in landing(1.0, 100.0, 0.01, fixed_cost=1.0)]
    [1.936, 0.436]
    >>> [round(float(x), 3) for x in landing(1.0, 100.0, 0.01)]
    [1.0, 1.0]
    """
    w0, s, cost, fixed, step = _numbers(
        width=width, spot=spot, cost_rate=cost_rate, fixed_cost=fixed_cost, lot=lot
    )
    _require(w0 >= 0, "width", w0, "numbers >= 0")
    _require(s > 0, "spot", s, "positive numbers")
    _require(cost >= 0, "cost_rate", cost, "numbers >= 0")
    _require(fixed >= 0, "fixed_cost", fixed, "numbers >= 0")
    _require(step >= 0, "lot", step, "numbers >= 0")
    c = cost * s
    variable = (c > 0) & (w0 > 0)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        kappa = np.where(variable, (fixed / c + 0.5 * step) / w0, 0.0)
    # beyond this the trigger is (8κ)^(1/4) to every digit, and the powers of κ still fit a float
    kappa = np.minimum(kappa, 1e150)
    x, y = mixed_policy(kappa)
    trigger = np.where(variable, x * w0, w0)
    inner = np.where(variable, y * w0, 0.0)
    trigger = np.maximum(trigger, step)
    inner = np.clip(np.minimum(inner, trigger - step), 0.0, None)
    return trigger[()], inner[()]


def mixed_policy(kappa: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Trigger and landing in units of the width for proportional costs, x(κ) and y(κ), for κ >= 0.

    With u = x + y and v = x − y both derivatives of J vanish where κ = u v³/8 and u³ = 8 + u v², that is at
    z⁹ = 8 + 4 κ^(2/3) z with u = z³: convex, so that Newton's method from above falls onto the root.

    >>> [round(float(part), 3) for part in mixed_policy(0.1)]
    [1.407, 0.681]
    """
    k = np.asarray(kappa, dtype=np.float64)
    slope = 4.0 * np.cbrt(k) ** 2
    z = np.maximum(16.0 ** (1.0 / 9.0), (2.0 * slope) ** 0.125)
    for _ in range(_NEWTON_STEPS):
        z = z - (z**9 - 8.0 - slope * z) / (9.0 * z**8 - slope)
    u = z**3
    v = np.cbrt(8.0 * k / u)
    # y = (u − v)/2, written without the difference of two nearly equal numbers
    return 0.5 * (u + v), 4.0 / (u * (u + v))


def zakamouline(
    net_gamma: ArrayLike,
    spot: ArrayLike,
    cost_rate: ArrayLike,
    risk_aversion: ArrayLike,
    vol: ArrayLike,
    years: ArrayLike,
    rate: ArrayLike = 0.0,
) -> ZakamoulineBand:
    """Half width and the vol of the centre's delta by Zakamouline's fit, for gammas of one sign.

        H0 = λ/(γ S σ² T)
        H1 = 1.12 λ^0.31 T^0.05 (e^(−rT)/σ)^0.25 (|Γ|/γ)^0.5
        K  = −4.76 λ^0.78 T^−0.02 (e^(−rT)/σ)^0.25 (γ S² |Γ|)^0.15
        σm² = σ² (1 + K) for a long gamma, σ² (1 − K) for a short one

    The band is [Δ(σm) − H0 − H1, Δ(σm) + H0 + H1]. The fit is to one option on one coin; for q contracts the
    formula on the net gamma is what each of them has at q times the risk aversion, times q.

    Args:
        net_gamma: coins per USD, signed: positive for options owned. spot: USD. cost_rate: λ.
        risk_aversion: γ > 0, per USD. vol: σ > 0. years: T > 0. rate: interest. Broadcast together.

    Returns:
        Half width, coins, and σm/σ.

    Raises:
        ValueError: an argument that is NaN, infinite or outside its range; or a long gamma whose costs are so
            high that σm² would be negative: the fit does not hold there.

    >>> band = zakamouline(-4.19e-5, 60_000.0, 5e-4, 1e-4, 0.55, 30 / 365)
    >>> round(float(band.half_width), 3), round(float(band.vol_factor), 3)
    (0.074, 1.012)
    """
    gamma, s, cost, aversion, sigma, t, r = _numbers(
        net_gamma=net_gamma,
        spot=spot,
        cost_rate=cost_rate,
        risk_aversion=risk_aversion,
        vol=vol,
        years=years,
        rate=rate,
    )
    for name, values in (("spot", s), ("risk_aversion", aversion), ("vol", sigma), ("years", t)):
        _require(values > 0, name, values, "positive numbers")
    _require(cost >= 0, "cost_rate", cost, "numbers >= 0")
    size = np.abs(gamma)
    discounted = (np.exp(-r * t) / sigma) ** 0.25
    h0 = cost / (aversion * s * sigma**2 * t)
    h1 = 1.12 * cost**0.31 * t**0.05 * discounted * np.sqrt(size / aversion)
    k = -4.76 * cost**0.78 * t**-0.02 * discounted * (aversion * s**2 * size) ** 0.15
    variance = 1.0 + np.sign(gamma) * k
    _require(variance > 0, "cost_rate", cost, "costs at which the vol of a long gamma's delta stays positive")
    return ZakamoulineBand((h0 + h1)[()], np.sqrt(variance)[()])


def one_step_width(
    spot: ArrayLike, cost_rate: ArrayLike, risk_aversion: ArrayLike, vol: ArrayLike, holding_years: ArrayLike
) -> Any:
    """Mis-hedge not worth its cost when held for h years: λ/(γ S σ² h), coins; a floor where Γ is near 0.

    Raises:
        ValueError: an argument that is NaN, infinite or outside its range.

    >>> round(float(one_step_width(60_000.0, 5e-4, 1e-4, 0.55, 1 / 365)), 4)
    0.1006
    """
    s, cost, aversion, sigma, h = _numbers(
        spot=spot, cost_rate=cost_rate, risk_aversion=risk_aversion, vol=vol, holding_years=holding_years
    )
    for name, values in (("spot", s), ("risk_aversion", aversion), ("vol", sigma), ("holding_years", h)):
        _require(values > 0, name, values, "positive numbers")
    _require(cost >= 0, "cost_rate", cost, "numbers >= 0")
    return (cost / (aversion * s * sigma**2 * h))[()]


def hedge_error_usd_per_day(trigger: float, inner: float, spot: float, vol: float) -> float:
    """P&L of the mis-hedge a day at one sigma, USD: sd of X under the policy times the coin's daily move.

    E[X²] = (w² + l²)/6 between trades at w and landings at l; w²/3 where both are the edge.

    >>> round(hedge_error_usd_per_day(0.093, 0.093, 60_000.0, 0.55), 1)
    92.7
    """
    return math.hypot(trigger, inner) / math.sqrt(6.0) * spot * vol / math.sqrt(DAYS_PER_YEAR)


def budget_width(
    error_usd_per_day: float,
    spot: float,
    vol: float,
    cost_rate: float,
    fixed_cost: float = 0.0,
    lot: float = 0.0,
) -> float:
    """The proportional width w0 whose policy (`landing`) has a hedge error of so many USD a day at one sigma.

    Without a fixed cost or a lot w0 = √3 error √365/(σ S). With k the trigger and landing are (u ± v)/2 × w0
    and w0 = 8k/(c u v³), so that the error falls steadily in u: one root, bracketed.

    Returns:
        Half width, coins; the risk aversion that asks for it is `implied_risk_aversion`.

    Raises:
        ValueError: an argument that is NaN, infinite or outside its range.

    >>> round(budget_width(92.7, 60_000.0, 0.55, 5e-4), 3)
    0.093
    """
    error, s, sigma, cost, fixed, step = (
        float(x)
        for x in _numbers(
            error_usd_per_day=error_usd_per_day,
            spot=spot,
            vol=vol,
            cost_rate=cost_rate,
            fixed_cost=fixed_cost,
            lot=lot,
        )
    )
    for name, value in (("error_usd_per_day", error), ("spot", s), ("vol", sigma)):
        _require(np.array(value > 0), name, np.array(value), "positive numbers")
    for name, value in (("cost_rate", cost), ("fixed_cost", fixed), ("lot", step)):
        _require(np.array(value >= 0), name, np.array(value), "numbers >= 0")
    sd = error * math.sqrt(DAYS_PER_YEAR) / (sigma * s)
    if cost == 0.0:
        return sd * math.sqrt(6.0)  # the trigger itself, landing at the centre
    scale = fixed / (cost * s) + 0.5 * step  # k/c, coins
    if scale < 1e-60 * sd:  # moves the width in its twentieth digit
        return sd * math.sqrt(3.0)
    low, high = -60.0, 60.0  # log of v
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        u, v = _pair(math.exp(middle))
        too_wide = 8.0 * scale / (u * v**3) * math.sqrt((u * u + v * v) / 12.0) > sd
        low, high = (middle, high) if too_wide else (low, middle)
    u, v = _pair(math.exp(0.5 * (low + high)))
    return 8.0 * scale / (u * v**3)


def _pair(v: float) -> tuple[float, float]:
    """(u, v) on the curve u³ = 8 + u v²: Newton's method from above on a convex function."""
    u = max(16.0 ** (1.0 / 3.0), math.sqrt(2.0) * v)
    for _ in range(_NEWTON_STEPS):
        u -= (u**3 - 8.0 - u * v * v) / (3.0 * u * u - v * v)
    return u, v


def implied_risk_aversion(width: float, net_gamma: float, spot: float, cost_rate: float) -> float:
    """Risk aversion, per USD, whose Whalley-Wilmott width is `width`: γ = 3/2 λ S Γ²/w³.

    >>> round(implied_risk_aversion(0.0924, 4.19e-5, 60_000.0, 5e-4), 6)
    0.0001
    """
    return 1.5 * cost_rate * spot * (abs(net_gamma) / width) ** 2 / width


def _numbers(**arguments: ArrayLike) -> tuple[FloatArray, ...]:
    """The arguments as float64 arrays of one shape.

    Raises:
        ValueError: one is no number, NaN or infinite, or the shapes do not go together.
    """
    arrays = {}
    for name, given in arguments.items():
        try:
            arrays[name] = np.asarray(given, dtype=np.float64)
        except (TypeError, ValueError):
            raise ValueError(f"BAND: {name} is {given!r}: allowed are numbers") from None
        _require(np.isfinite(arrays[name]), name, arrays[name], "finite numbers")
    try:
        return tuple(np.broadcast_arrays(*arrays.values()))
    except ValueError:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise ValueError(f"BAND: shapes do not go together: {shapes}") from None


def _require(good: BoolArray, name: str, values: FloatArray, allowed: str) -> None:
    if not np.all(good):
        bad = values[~np.asarray(good)].ravel()[0]
        raise ValueError(f"BAND: {name} is {bad:g}: allowed are {allowed}")
