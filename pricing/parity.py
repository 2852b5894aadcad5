"""Put-call parity: the forward that the quotes of one expiry imply, whatever part of them is junk.

C - P depends on the forward and the strike alone. Every strike with a call and a put gives one estimate;
sound quotes give the same, junk scatters.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from pricing.contracts import Kind
from pricing.universe import FloatArray, IntArray, Universe

#: A parity forward rests on this many call-put pairs, and they agree this well (relative).
PARITY_PAIRS_MIN = 3
PARITY_DEVIATION_MAX = 0.001

#: Estimates within this relative distance of the densest half agree with it, however narrow that half is.
PARITY_AGREE = 0.002


@dataclass(frozen=True, slots=True)
class ParityForward:
    """Forward from put-call parity: median over strikes, their spread (median absolute deviation), pairs."""

    forward: float
    deviation: float
    pairs: int

    @property
    def sound(self) -> bool:
        """Enough pairs, and they agree."""
        return self.pairs >= PARITY_PAIRS_MIN and self.deviation <= PARITY_DEVIATION_MAX * self.forward


NO_PARITY = ParityForward(float("nan"), float("nan"), 0)


@dataclass(frozen=True, slots=True, eq=False)
class Expiry:
    """The options of one venue on one underlying with one expiry and settlement, as places in the universe.

    rows (r,): all of them. strike, call, put (k,): the strikes that have both. futures: same underlying and
    expiry, of the venue where it lists one, else of any. perpetuals: likewise.
    """

    venue: str
    underlying: int
    expiry_ns: int
    inverse: bool
    rows: IntArray
    strike: FloatArray
    call: IntArray
    put: IntArray
    futures: IntArray
    perpetuals: IntArray


@lru_cache(maxsize=16)
def expiries_of(universe: Universe) -> tuple[Expiry, ...]:
    """Every expiry of a universe, by venue, underlying, expiry and settlement; worked out once."""
    venues = [x.venue for x in universe.listings]
    keys: dict[tuple[str, int, int, bool], list[int]] = {}
    for i in np.flatnonzero(universe.is_option).tolist():
        key = venues[i], int(universe.underlying[i]), int(universe.expiry_ns[i]), bool(universe.inverse[i])
        keys.setdefault(key, []).append(i)

    def beside(kind: Kind, venue: str, u: int, expiry_ns: int) -> IntArray:
        """Rows of a kind, of the venue itself where it lists one."""
        rows = np.flatnonzero(
            (universe.kind == kind) & (universe.underlying == u) & (universe.expiry_ns == expiry_ns)
        )
        own = rows[[venues[i] == venue for i in rows.tolist()]] if rows.size else rows
        return own if own.size else rows

    found = []
    for (venue, u, expiry_ns, inverse), rows in sorted(keys.items()):
        sides: dict[float, dict[float, int]] = {1.0: {}, -1.0: {}}
        for i in rows:
            sides[float(universe.sign[i])][float(universe.strike[i])] = i
        both = sorted(sides[1.0].keys() & sides[-1.0].keys())
        found.append(
            Expiry(
                venue=venue,
                underlying=u,
                expiry_ns=expiry_ns,
                inverse=inverse,
                rows=np.array(rows, dtype=np.int64),
                strike=np.array(both, dtype=np.float64),
                call=np.array([sides[1.0][k] for k in both], dtype=np.int64),
                put=np.array([sides[-1.0][k] for k in both], dtype=np.int64),
                futures=beside(Kind.FUTURE, venue, u, expiry_ns),
                perpetuals=beside(Kind.PERPETUAL, venue, u, 0),
            )
        )
    return tuple(found)


def parity_forward(strike: FloatArray, call: FloatArray, put: FloatArray, inverse: bool) -> ParityForward:
    """Forward implied by call and put prices of the same strikes.

    Formula: settled in coin C - P = 1 - K/F, hence F = K / (1 - (C - P)); in USD C - P = F - K.
    The shortest interval that holds half of the estimates (Rousseeuw and Leroy's "shorth") lies among the
    sound ones while fewer than half are junk. Of the estimates that agree with it, the half whose strikes
    are nearest to the money counts, since further strikes carry the rounding of a large price.

    Args:
        strike, call, put: (k,); prices in the venue's quotation (coin or USD per coin of underlying).
        inverse: settled in coin.

    Returns:
        ParityForward; forward NaN with 0 pairs where no strike has both prices.

    >>> parity_forward(np.array([90.0, 100.0]), np.array([0.12, 0.05]), np.array([0.02, 0.05]), True).forward
    100.0
    """
    with np.errstate(all="ignore"):
        gap = call - put
        values = strike / (1.0 - gap) if inverse else strike + gap
        usable = np.isfinite(values) & (values > 0)
    if not usable.any():
        return NO_PARITY
    strike, values = strike[usable], values[usable]
    ordered = np.sort(values)
    half = ordered.size // 2 + 1
    widths = ordered[half - 1 :] - ordered[: ordered.size - half + 1]
    start = int(np.argmin(widths))
    centre = float(np.median(ordered[start : start + half]))
    agree = np.abs(values - centre) <= max(2.0 * float(widths[start]), PARITY_AGREE * centre)
    strike, values = strike[agree], values[agree]
    near = np.argsort(np.abs(np.log(strike / centre)), kind="stable")
    kept = values[near[: max(PARITY_PAIRS_MIN, values.size // 2)]]
    middle = float(np.median(kept))
    return ParityForward(middle, float(np.median(np.abs(kept - middle))), int(kept.size))


def parity_of(expiry: Expiry, price: FloatArray) -> ParityForward:
    """Parity over the strikes of an expiry; price (n,) in the venue's quotation, NaN where not to be used."""
    if expiry.strike.size == 0:
        return NO_PARITY

    return parity_forward(expiry.strike, price[expiry.call], price[expiry.put], expiry.inverse)
