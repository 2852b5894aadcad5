"""Coin-settled (inverse) options: value and Greeks counted in coin.

The payoff max(s(F − K), 0) is paid in coin, divided by F, so the value today is v = V/F coin with V the
Black-76 value in USD. Seen by someone who counts in coin, a relative move dF/F changes v by

    dv = pa_delta (dF/F) + pa_gamma/2 (dF/F)² + coin_vega dσ + coin_theta dt

"pa" is premium-adjusted: the delta of the option less the premium, which is itself held in coin. To hedge a
book that counts in USD use the plain Greeks of `pricing.black76`.

Source: Alexander, Chen and Imeraj (2023), "Crypto quanto and inverse options", Mathematical Finance,
arXiv:2107.12041.
"""

from __future__ import annotations

from typing import NamedTuple

from numpy.typing import ArrayLike

from pricing import kernels
from pricing.black76 import flat_inputs
from pricing.flat import FloatArray
from pricing.memory import fresh


class CoinGreeks(NamedTuple):
    """Greeks of one coin-settled option, arrays of one shape; all in coin, per 1.00 vol, per year."""

    pa_delta: FloatArray
    pa_gamma: FloatArray
    coin_vega: FloatArray
    coin_theta: FloatArray


def coin_greeks(
    forward: ArrayLike, strike: ArrayLike, years: ArrayLike, vol: ArrayLike, sign: ArrayLike
) -> CoinGreeks:
    """Premium-adjusted delta and gamma, vega and theta in coin of coin-settled options, v = V/F their value.

        pa_delta = F dv/dF = delta − v = s (K/F) N(s d2)      coin_vega  = vega/F
        pa_gamma = F² d²v/dF² = F gamma − 2 pa_delta          coin_theta = theta/F

    pa_delta is taken from its last form, in which nothing cancels. A put's can lie below −1.

    Shapes: all arguments broadcast together; every field has the broadcast shape, 0-d for scalars.
    Units: forward and strike USD per coin, years in 365-day years, vol 1.0 = 100 %, sign +1 call and −1 put.
    pa_delta, pa_gamma in coin, coin_vega coin per 1.00 vol, coin_theta coin per year (calendar).
    Errors: ValueError if shapes do not broadcast. A bad element is NaN as in `pricing.black76.greeks`; here a
    zero forward is bad too, since nothing can be divided by it.
    Reference: Alexander, Chen and Imeraj (2023); pa_gamma is the gammaPA that OKX publishes.

    >>> c = coin_greeks(forward=60_000.0, strike=70_000.0, years=30 / 365, vol=0.55, sign=1)
    >>> print(f"{c.pa_delta:.6f} {c.pa_gamma:.6f} {c.coin_vega:.7f} {c.coin_theta:.6f}")
    0.169610 1.350139 0.0763683 -0.255515
    """
    inputs, _, shape = flat_inputs(forward, strike, years, vol, sign)
    coin = CoinGreeks(*fresh(len(CoinGreeks._fields), inputs.forward.size))
    kernels.fill_coin(*inputs, *coin)
    return CoinGreeks(*(field.reshape(shape) for field in coin))
