"""What venues display, from our raw Greeks: for reconciling with their screens, never for hedging.

Our Greeks are plain derivatives: USD per coin, per 1.00 vol, per year. Venues dress them differently:

    venue    delta                       gamma                 vega          theta, inside the last day
    Deribit  plain, on the forward; in   plain                 /100          /365, × T in days; capped
             the settlement window × the
             part of it still to come
    Bybit    plain, on the forward       plain, × T in days    /100          /365, × T in days
    Binance  plain, on the index         plain                 /100          /365, not scaled
    OKX      premium-adjusted, coin      premium-adjusted      /100, coin    /365, × T in days, coin
    OKX BS   plain, on spot with carry   plain on spot         /100          /365, with the carry term

Source: measured on recorded tickers of 2020 to 2026.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pricing.black76 import Greeks
from pricing.flat import FloatArray
from pricing.inverse import CoinGreeks
from pricing.settlement import WINDOW_YEARS

DAYS_PER_YEAR = 365.0
POINTS_PER_VOL = 100.0


@dataclass(frozen=True, slots=True)
class Display:
    """Greeks as a venue shows them: vega per vol point, theta per day; USD or coin, as its maker says."""

    delta: FloatArray
    gamma: FloatArray
    vega: FloatArray
    theta: FloatArray


def deribit_display(greeks: Greeks, mark_coin: ArrayLike, forward: ArrayLike, years: ArrayLike) -> Display:
    """Greeks as Deribit's tickers show them, from plain Greeks on the ticker's own `underlying_price`.

        theta = −min( F n(d1) σ/(2√T)/365 × min(1, T in days), mark × F )

    so the decay shown is scaled down inside the last day and never more than the whole option is worth
    (mark × F, not the time value). vega = raw/100; delta and gamma are raw; none is premium-adjusted. Inside
    the 30-minute settlement window delta is multiplied by the part of it still to come, whatever the average
    so far says: right for options far from the strike only.

    Shapes: all arguments broadcast together.
    Units: mark_coin in coin, forward USD per coin, 365-day years; delta coin, gamma coin per USD, vega USD
    per vol point, theta USD per day.
    Errors: ValueError if shapes do not broadcast; NaN where an input is NaN.
    Reference: measured on 1,129 mainnet tickers of 2020, 2021 and 2026, to rounding; the settlement window as
    Deribit documents it (no ticker inside one is recorded).

    >>> from pricing.black76 import greeks
    >>> raw = greeks(forward=10_436.4, strike=10_500.0, years=0.5 / 365, vol=0.6, sign=1)
    >>> shown = deribit_display(raw, raw.price / 10_436.4, forward=10_436.4, years=0.5 / 365)
    >>> print(f"{shown.vega:.5f} {shown.theta:.5f} {raw.theta / 365:.5f}")
    1.48881 -44.66420 -89.32841
    """
    value = np.asarray(mark_coin, dtype=np.float64) * np.asarray(forward, dtype=np.float64)
    decay = -greeks.theta / DAYS_PER_YEAR * _last_day(years)
    return Display(
        delta=greeks.delta * np.clip(np.asarray(years) / WINDOW_YEARS, 0.0, 1.0),
        gamma=greeks.gamma,
        vega=greeks.vega / POINTS_PER_VOL,
        theta=-np.minimum(decay, value),
    )


def bybit_display(greeks: Greeks, years: ArrayLike) -> Display:
    """Greeks as Bybit's tickers show them, from plain Greeks on `underlyingPrice`.

    Inside the last day gamma and theta come multiplied by T in days (seen on one sample, 0.86 days).

    Shapes, units and errors as `deribit_display`. Reference: measured on recorded messages.

    >>> from pricing.black76 import greeks
    >>> raw = greeks(forward=16_815.1, strike=17_500.0, years=0.5 / 365, vol=0.6, sign=1)
    >>> print(bybit_display(raw, years=0.5 / 365).gamma / raw.gamma)
    0.5
    """
    scale = _last_day(years)
    return Display(
        delta=greeks.delta,
        gamma=greeks.gamma * scale,
        vega=greeks.vega / POINTS_PER_VOL,
        theta=greeks.theta / DAYS_PER_YEAR * scale,
    )


def binance_display(greeks: Greeks) -> Display:
    """Greeks as Binance's option marks show them, from plain Greeks taken on the spot index (not a forward).

    Shapes, units and errors as `deribit_display`; no scaling inside the last day is known.
    Reference: recorded marks, equal to all 8 published digits.

    >>> from pricing.black76 import greeks
    >>> raw = greeks(forward=27_000.0, strike=25_000.0, years=1.0, vol=0.43, sign=-1)
    >>> shown = binance_display(raw)
    >>> bool(shown.vega == raw.vega / 100) and bool(shown.theta == raw.theta / 365)
    True
    """
    return Display(
        delta=greeks.delta,
        gamma=greeks.gamma,
        vega=greeks.vega / POINTS_PER_VOL,
        theta=greeks.theta / DAYS_PER_YEAR,
    )


def okx_display(coin: CoinGreeks, years: ArrayLike) -> Display:
    """Greeks as OKX shows them without suffix: premium-adjusted, in coin, from our coin Greeks.

    gamma = S gammaBS − 2 delta. theta is −n(d1) σ/(2√T)/365, times T in days inside the last day.

    Shapes and errors as `deribit_display`. Units: all coin; vega per vol point, theta per day.
    Reference: recorded summaries (the v3 API of 2020 had gamma = S gammaBS − delta).

    >>> from pricing.inverse import coin_greeks
    >>> coin = coin_greeks(forward=112_782.12, strike=100_000.0, years=0.465, vol=0.4336, sign=1)
    >>> bool(okx_display(coin, years=0.465).delta == coin.pa_delta)
    True
    """
    return Display(
        delta=coin.pa_delta,
        gamma=coin.pa_gamma,
        vega=coin.coin_vega / POINTS_PER_VOL,
        theta=coin.coin_theta / DAYS_PER_YEAR * _last_day(years),
    )


def okx_bs_display(
    greeks: Greeks, coin: CoinGreeks, forward: ArrayLike, spot: ArrayLike, years: ArrayLike
) -> Display:
    """Greeks as OKX shows them with suffix BS: Black-Scholes on spot S with the carry r = ln(F/S)/T.

        deltaBS = N(d1), or N(d1) − 1   gammaBS = n(d1)/(S σ√T)   vegaBS = S n(d1) √T/100
        thetaBS = [−S n(d1) σ/(2√T) − s r K e^(−rT) N(s d2)]/365

    Shapes, units and errors as `deribit_display`.
    Reference: recorded summaries; thetaBS agrees to 2 % only,
    and inside the last day it is not understood.

    >>> from pricing.black76 import greeks
    >>> from pricing.inverse import coin_greeks
    >>> case = dict(strike=100_000.0, years=0.465, vol=0.4336, sign=1)
    >>> raw, coin = greeks(112_000.0, **case), coin_greeks(112_000.0, **case)
    >>> shown = okx_bs_display(raw, coin, forward=112_000.0, spot=112_000.0, years=0.465)
    >>> bool(shown.theta == raw.theta / 365)      # without carry the plain Greeks again
    True
    """
    F, S, T = (np.asarray(a, dtype=np.float64) for a in (forward, spot, years))
    with np.errstate(all="ignore"):
        carry = np.log(F / S) / T
        return Display(
            delta=greeks.delta,
            gamma=greeks.gamma * (F / S),
            vega=greeks.vega * (S / F) / POINTS_PER_VOL,
            theta=(greeks.theta * (S / F) - carry * S * coin.pa_delta) / DAYS_PER_YEAR,
        )


def _last_day(years: ArrayLike) -> FloatArray:
    """Return min(1, T in days)."""
    result: FloatArray = np.minimum(1.0, np.asarray(years, dtype=np.float64) * DAYS_PER_YEAR)
    return result
