"""When only perpetuals and options are quoted anew: what of a valuation stands, and the index that moves.

A perpetual's quote tells its own price and the venue's index. Forwards of options hang on neither as long as
the candidates of their expiry (published forward, listed future, parity) agree: the perpetual plus basis is
the last in their order, and where the others lie within AGREE of each other it cannot outvote one of them:
two that speak against a third must agree within 0.5 % and lie 2 % from it, and one of the two is within AGREE
of the third. An index published beside options counts within 2 % of the spot, so the spot may move by
SPOT_MOVE before that has to be asked again.

An option whose venue publishes the forward itself beside it is valued on that, while it lies near the others
of its expiry. Its quote then changes no other option, as long as the candidates of the expiry, looked at
anew, still agree; and the index is held against the expiry's new parity.

The index stands by itself while every source agrees, lies near the forwards and has not jumped: then the
oracle's verdict is the one it gave before. In every other case nothing here answers, and `pricing.oracle` and
`pricing.forwards` are asked.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from pricing.compiled import compiled
from pricing.daycount import NS_PER_SECOND, years_between
from pricing.expiries import Expiry, expiries_of
from pricing.forwards import (
    BASIS_RATE_MAX,
    OUTVOTE_DISTANCE,
    PARITY_DISTANCE_MAX,
    PUBLISHED,
    ExpiryForward,
)
from pricing.market import (
    INDEX_TOGETHER_S,
    NUMBER_ABSURD_ABOVE,
    NUMBER_ABSURD_BELOW,
    ForwardKind,
    Market,
    telling,
)
from pricing.medians import median
from pricing.oracle import IndexReading, LastGood, OracleSettings, Verdict, near_forwards
from pricing.parity import ParityForward, parity_of_sides
from pricing.universe import BoolArray, FloatArray, IntArray

#: Candidates for the forward of an expiry that lie within this of each other agree (relative).
AGREE = 0.009
#: The spot may move so far from where a valuation was made (relative).
SPOT_MOVE = 0.005
#: Candidates of an expiry that may stand beside the forwards published with its options.
_SPEAKING = frozenset({*PUBLISHED, ForwardKind.PARITY, ForwardKind.PERPETUAL_BASIS})
TOGETHER_NS = INDEX_TOGETHER_S * NS_PER_SECOND


@dataclass(frozen=True, slots=True, eq=False)
class SteadyIndex:
    """The index of one underlying while nothing about it changes but what its sources say.

    sources: places in `telling(universe)` of those used. near: (forward, distance allowed) of the nearest
    expiries, all of which must hold. base: the value where it was judged, USD.
    """

    name: str
    sources: tuple[int, ...]
    near: tuple[tuple[float, float], ...]
    base: float

    def value(self, told: Sequence[float], limits: OracleSettings, last_good: LastGood) -> float:
        """Median of what the sources say, USD; NaN where the oracle has to be asked. told: by place."""
        said = sorted(told[place] for place in self.sources)
        if not said[-1] <= said[0] * (1.0 + limits.deviation_max * (1.0 - 1e-9)):
            return math.nan
        middle = len(said) // 2
        found = said[middle] if len(said) % 2 else 0.5 * (said[middle - 1] + said[middle])
        if not abs(found / self.base - 1.0) <= SPOT_MOVE:
            return math.nan
        for forward, allowed in self.near:
            if not abs(forward / found - 1.0) <= allowed:
                return math.nan
        last = last_good.get(self.name)
        if last is not None and not abs(math.log(found) - math.log(last.value)) <= limits.jump_max * (
            1.0 - 1e-9
        ):
            return math.nan
        return found


def steady_indexes(
    market: Market, readings: Iterable[IndexReading], limits: OracleSettings, until_ns: int
) -> tuple[SteadyIndex, ...] | None:
    """What stands of the readings until then; None where one of them is bad, refused a source, or is near an
    edge: then the oracle has to be asked each time."""
    if (market.left_over & market.fresh(limits.age_s_max)).any():
        return None  # what is left over from before an outage moves with the index
    places: list[list[int]] = [[] for _ in market.universe.underlyings]
    known: dict[str, int] = {}
    for place, (venue, u, _, _) in enumerate(telling(market.universe)):
        known[f"{u} {venue} index"] = place
        known[f"{u} {venue} spot"] = place
    found = []
    for u, (reading, near) in enumerate(zip(readings, near_forwards(market, limits.age_s_max), strict=True)):
        if reading.verdict is Verdict.BAD or any(source.refused for source in reading.sources):
            return None
        if any(years <= 0.0 for _, years in near):
            return None  # perpetuals stand in for forwards, and they move
        places[u] = [known[f"{u} {source.name}"] for source in reading.sources]
        passed = float(years_between(market.now_ns, until_ns))
        allowed = [
            (forward, (limits.forward_deviation_max + BASIS_RATE_MAX * (years - passed)) * (1.0 - 1e-9))
            for forward, years in near
        ]
        found.append(SteadyIndex(reading.underlying, tuple(places[u]), tuple(allowed), reading.value))
    return tuple(found)


def forwards_stand(
    market: Market, age_s_max: float, spot: FloatArray, chosen: Iterable[ExpiryForward], held: BoolArray
) -> bool:
    """Whether the forwards of the options held (n,) are what they are wherever the perpetuals go, and the
    spot within SPOT_MOVE. chosen: the choice of every expiry (`Valuation.expiries`)."""
    universe = market.universe
    by_key = {(e.venue, e.underlying, e.expiry_ns, e.inverse): e for e in chosen}
    fresh = market.fresh(age_s_max)
    for expiry in expiries_of(universe):
        if not held[expiry.rows].any():
            continue
        name = universe.underlyings[expiry.underlying]
        choice = by_key.get((expiry.venue, name, expiry.expiry_ns, expiry.inverse))
        if choice is None or not _stands(market, expiry, choice, fresh, float(spot[expiry.underlying])):
            return False
    return True


def _stands(market: Market, expiry: Expiry, choice: ExpiryForward, fresh: BoolArray, spot: float) -> bool:
    """Whether the choice of one expiry, and which of its rows follow it, is out of the perpetuals' reach."""
    others = {k: x for k, x in choice.candidates.items() if k is not ForwardKind.PERPETUAL_BASIS}
    voters = [x for k, x in others.items() if k is not ForwardKind.INDEX]
    if choice.source not in others or (choice.source is ForwardKind.INDEX and voters):
        return False
    if voters and not max(voters) <= min(voters) * (1.0 + AGREE):
        return False
    rows = expiry.rows[fresh[expiry.rows]]
    published, by_index = market.forward[rows], market.forward_kind[rows] == ForwardKind.INDEX
    with np.errstate(invalid="ignore"):
        known = published > 0
        far = np.abs(published / choice.forward - 1.0) > 0.95 * OUTVOTE_DISTANCE
        edge = np.abs(np.abs(published / spot - 1.0) - PARITY_DISTANCE_MAX) <= 1.2 * SPOT_MOVE
    return not bool((known & np.where(by_index, edge, far)).any())


def requoted_stands(
    market: Market, expiry: Expiry, choice: ExpiryForward, age_s_max: float, spot: float, allowed: float
) -> bool:
    """Whether, some of its options quoted anew, every option of an expiry is still valued on the forward
    published beside it, and what the expiry says of the index is no further off than it may be.

    Args:
        market: with those quotes. choice: of the expiry before them. spot: USD, where the index was judged.
        allowed: distance of the expiry's forward from the index at which that is bad, relative, at the least.
    """
    rows, age_ns = expiry.rows, age_s_max * NS_PER_SECOND
    stamps = market.venue_ns[rows]
    fresh = (stamps > 0) & (np.abs(market.now_ns - stamps) <= age_ns)
    at, before = rows[fresh], choice.candidates
    published, kinds = market.forward[at], market.forward_kind[at]
    if not (at.size and before.keys() <= _SPEAKING and (kinds == kinds[0]).all() and (published > 0).all()):
        return False
    kind, parity = ForwardKind(kinds[0]), _parity_of_rows(market, expiry, fresh)
    if kind not in PUBLISHED or kind not in before or parity.sound is not choice.parity.sound:
        return False
    middle = median(published)
    said = [middle, parity.forward] if parity.sound else [middle]
    listed = middle if kind is ForwardKind.LISTED_FUTURE else before.get(ForwardKind.LISTED_FUTURE, middle)
    room = (1.0 - SPOT_MOVE) * allowed - SPOT_MOVE  # wherever the spot goes from there
    return bool(
        max(*said, listed) <= min(*said, listed) * (1.0 + AGREE)
        and (np.abs(published / listed - 1.0) <= 0.95 * OUTVOTE_DISTANCE).all()
        and all(abs(forward / spot - 1.0) <= room for forward in said)
    )


def _parity_of_rows(market: Market, expiry: Expiry, fresh: BoolArray) -> ParityForward:
    """As `parity_of`, of one expiry's quotes; fresh: of its rows."""
    rows = expiry.rows
    mark, bid, ask = market.mark[rows], market.bid[rows], market.ask[rows]
    with np.errstate(invalid="ignore", over="ignore"):
        middle = np.where((bid > 0) & (ask > bid), 0.5 * (bid + ask), np.nan)
        price = np.where(np.isfinite(mark) & (mark >= 0), mark, middle)
    price = np.where(fresh, price, np.nan)
    calls, puts = np.searchsorted(rows, expiry.call), np.searchsorted(rows, expiry.put)
    return parity_of_sides(expiry, price[calls], price[puts])


@compiled("(i8[::1], i8[::1], f8[::1])")
def told_index(rows: IntArray, venue_ns: IntArray, index: FloatArray) -> tuple[int, float]:
    """(newest stamp, median index) of a venue's listings, of those quoted within 10 s of the newest.

    As `pricing.market.spot_sources` where no stamp is further than that ahead of now; (0, NaN) where none
    tells it. Shapes: rows (r,) places in venue_ns and index (n,). Units: UTC ns, USD.
    """
    newest = 0
    for i in rows:
        if venue_ns[i] > newest and index[i] > NUMBER_ABSURD_BELOW and index[i] < NUMBER_ABSURD_ABOVE:
            newest = venue_ns[i]
    if newest == 0:
        return 0, np.nan
    values = np.empty(rows.size)
    n = 0
    for i in rows:
        together = venue_ns[i] > 0 and venue_ns[i] >= newest - TOGETHER_NS
        if together and index[i] > NUMBER_ABSURD_BELOW and index[i] < NUMBER_ABSURD_ABOVE:
            values[n] = index[i]
            n += 1
    middle = values[n // 2]
    below, equal = 0, 0
    for i in range(n):
        below += values[i] < middle
        equal += values[i] == middle
    if below <= (n - 1) // 2 and below + equal > n // 2:
        return newest, middle  # most rows of a quiet market carry the same index
    return newest, np.median(values[:n])
