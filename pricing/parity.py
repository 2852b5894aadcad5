"""Put-call parity: the forward that the quotes of one expiry imply, whatever part of them is junk.

C - P depends on the forward and the strike alone. Every strike with a call and a put gives one estimate;
sound quotes give the same, junk scatters.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from pricing.expiries import Expiry
from pricing.medians import median
from pricing.universe import FloatArray

#: A parity forward rests on this many call-put pairs, and they agree this well (relative).
PARITY_PAIRS_MIN = 3
PARITY_DEVIATION_MAX = 0.001

#: Estimates within this relative distance of the densest half agree with it, however narrow that half is.
PARITY_AGREE = 0.002


@dataclass(frozen=True, slots=True)
class ParityForward:
    """Forward from put-call parity: median over strikes, and their median absolute deviation, USD; pairs."""

    forward: float
    deviation: float
    pairs: int

    @property
    def sound(self) -> bool:
        """Enough pairs, and they agree."""
        return self.pairs >= PARITY_PAIRS_MIN and self.deviation <= PARITY_DEVIATION_MAX * self.forward


NO_PARITY = ParityForward(float("nan"), float("nan"), 0)


def parity_forward(strike: FloatArray, call: FloatArray, put: FloatArray, inverse: bool) -> ParityForward:
    """Forward implied by call and put prices of the same strikes.

    Formula: settled in coin C - P = 1 - K/F, hence F = K / (1 - (C - P)); in USD C - P = F - K.
    The shortest interval that holds half of the estimates (Rousseeuw and Leroy's "shorth") lies among the
    sound ones while fewer than half are junk. Of the estimates that agree with it, the half whose strikes
    are nearest to the money counts, since further strikes carry the rounding of a large price.

    Args:
        strike, call, put: (k,); strikes in USD, prices in the venue's quotation (coin or USD per coin of
            underlying), NaN where there is none.
        inverse: settled in coin.

    Returns:
        ParityForward; forward NaN with 0 pairs where no strike has both prices.

    Source: Stoll (1969), "The relationship between put and call option prices", Journal of Finance 24;
    Rousseeuw and Leroy (1987), "Robust regression and outlier detection".

    >>> parity_forward(np.array([90.0, 100.0]), np.array([0.12, 0.05]), np.array([0.02, 0.05]), True).forward
    100.0
    """
    with np.errstate(all="ignore"):
        difference = call - put
        forwards = strike / (1.0 - difference) if inverse else strike + difference
        usable = np.isfinite(forwards) & (forwards > 0)
    if not usable.any():
        return NO_PARITY
    strike, forwards = strike[usable], forwards[usable]
    centre, width = _shorth(forwards)
    agree = np.abs(forwards - centre) <= max(2.0 * width, PARITY_AGREE * centre)
    strike, forwards = strike[agree], forwards[agree]
    nearest = np.argsort(np.abs(np.log(strike / centre)), kind="stable")
    kept = forwards[nearest[: max(PARITY_PAIRS_MIN, forwards.size // 2)]]
    forward = median(kept)
    return ParityForward(forward, median(np.abs(kept - forward)), int(kept.size))


def _shorth(values: FloatArray) -> tuple[float, float]:
    """The shortest interval with more than half of the values: the median of those in it, and its width."""
    ordered = np.sort(values)
    half = ordered.size // 2 + 1
    widths = ordered[half - 1 :] - ordered[: ordered.size - half + 1]
    start = int(np.argmin(widths))
    return median(ordered[start : start + half]), float(widths[start])


def parity_of(expiry: Expiry, price: FloatArray) -> ParityForward:
    """Parity over the strikes of an expiry; price (n,) in the venue's quotation, NaN where not to be used."""
    return parity_of_sides(expiry, price[expiry.call], price[expiry.put])


def parity_of_sides(expiry: Expiry, call: FloatArray, put: FloatArray) -> ParityForward:
    """The same of the prices of its calls and puts, (k,) in the order of its strikes."""
    return _of_prices(expiry, call.tobytes(), put.tobytes())


@lru_cache(maxsize=512)
def _of_prices(expiry: Expiry, call: bytes, put: bytes) -> ParityForward:
    """The same of prices as bytes: most marks move the quotes of one expiry, and each mark asks twice."""
    return parity_forward(expiry.strike, np.frombuffer(call), np.frombuffer(put), expiry.inverse)
