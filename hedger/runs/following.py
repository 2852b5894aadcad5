"""Which listings a run subscribes to: what the book holds, and what it may be hedged with.

A chain has a thousand options, and an engine trades a handful of them. Streams of all of them fall behind the
market while they still look alive. So perpetuals, futures and spot are subscribed to, every option that is
held or that an order stands on, and of the others those nearest the money; the rest is asked for by
underlying (`Adapter.watch`). The choice is made anew as book and market move.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress

from hedger.runs.venue_setup import Adapter
from pricing.contracts import Option
from pricing.daycount import NS_PER_SECOND
from pricing.market import Market
from pricing.universe import Universe
from venues.errors import VenueError

Key = tuple[str, str]
#: The choice is looked at so often, seconds.
LOOK_S = 2.0
#: Options at the edge of the choice come and go with every tick: it is changed for a tenth of it at least.
CHANGED_SHARE = 0.1
_DAY_S, _YEAR_S = 86_400.0, 365 * 86_400.0


def followed(
    universe: Universe, held: Collection[Key], spots: Mapping[str, float], now_ns: int, options_max: int
) -> frozenset[Key]:
    """What to subscribe to.

    held: what must be followed whatever else. spots: USD by underlying; where one is not known, none of its
    other options is chosen yet, unless there are no more than may be. options_max: by venue and underlying.
    """
    wanted = {x.key for x in universe.listings if not isinstance(x.contract, Option)}
    wanted |= {key for key in held if key in universe.positions}
    groups: dict[Key, list[tuple[float, Key]]] = {}
    for listing in universe.listings:
        contract = listing.contract
        if isinstance(contract, Option) and contract.expiry_ns > now_ns:
            distance = _distance(contract, spots.get(contract.underlying, math.nan), now_ns)
            groups.setdefault((listing.venue, contract.underlying), []).append((distance, listing.key))
    for group in groups.values():
        if len(group) > options_max:
            group = sorted(x for x in group if x[0] == x[0])[:options_max]
        wanted |= {key for _, key in group}
    return frozenset(wanted)


def _distance(option: Option, spot: float, now_ns: int) -> float:
    """How far out of reach: log-moneyness by the root of time; NaN where the spot is not known."""
    if not spot > 0:
        return math.nan
    seconds = max((option.expiry_ns - now_ns) / NS_PER_SECOND, _DAY_S)
    return abs(math.log(option.strike / spot)) / math.sqrt(seconds / _YEAR_S)


def spots_of(market: Market) -> dict[str, float]:
    """The index of each underlying that is known, USD, as one of its listings was last told it."""
    found: dict[str, float] = {}
    for row, listing in enumerate(market.universe.listings):
        price = float(market.index[row])
        if price > 0 and listing.contract.underlying not in found:
            found[listing.contract.underlying] = price
    return found


class Following:
    """What the adapters of a run are subscribed to; nothing before the first choice."""

    def __init__(self, venues: Sequence[Adapter], universe: Universe, options_max: int) -> None:
        self._venues, self._universe, self._options_max = tuple(venues), universe, options_max
        self._chosen: frozenset[Key] | None = None

    def choose(self, held: Collection[Key], spots: Mapping[str, float], now_ns: int) -> bool:
        """Subscribe to what is to be followed now, where that has changed by enough; whether it has."""
        wanted = followed(self._universe, held, spots, now_ns, self._options_max)
        if self._chosen is not None:
            lacking = wanted - self._chosen
            if lacking.isdisjoint(held) and len(lacking) <= CHANGED_SHARE * len(wanted):
                return False
        for venue in self._venues:
            venue.watch(self._universe, sorted(symbol for name, symbol in wanted if name == venue.name))
        self._chosen = wanted
        return True

    async def follow(self, look: Callable[[], tuple[Collection[Key], Market, int]]) -> None:
        """Choose again and again; never ends. look: what is held or in the market, the market, UTC ns."""
        while True:
            held, market, now_ns = look()
            with suppress(VenueError):  # a venue that is not connected now: tried again at the next look
                self.choose(held, spots_of(market), now_ns)
            await asyncio.sleep(LOOK_S)
