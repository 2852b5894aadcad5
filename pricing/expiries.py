"""The options of a universe by expiry, with the contracts whose prices bear on the forward of each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from pricing.contracts import Kind
from pricing.universe import FloatArray, IntArray, Universe


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


@lru_cache(maxsize=16)
def expiry_of_rows(universe: Universe) -> IntArray:
    """Which of `expiries_of(universe)` each listing belongs to, (n,); -1 of what is no option."""
    found = np.full(len(universe), -1, dtype=np.int64)
    for place, expiry in enumerate(expiries_of(universe)):
        found[expiry.rows] = place
    found.flags.writeable = False
    return found
