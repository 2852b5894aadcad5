"""Market: what is known at `now_ns` about every listing of a universe. Unknown is NaN, never zero.

`Marks` is a batch of news; `Market.apply` puts it over what was known. Ages are taken from the venue's
own stamp. `flags` says which quotes may be traded against, with the reason where not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pricing.contracts import STABLE_CURRENCIES, Kind
from pricing.daycount import NS_PER_SECOND
from pricing.universe import BoolArray, FloatArray, IntArray, Universe

#: A quoted vol outside this range is a fault of the feed (a year's vol of 1 % or of 500 %).
VOL_ABSURD_BELOW = 0.01
VOL_ABSURD_ABOVE = 5.0

#: A mark of what is no option may lie so far outside its touch, a share of it. Venues mark perpetuals and
#: futures by their index and an average of its basis: of seven recorded tickers of Deribit and Bybit six have
#: it outside a touch one tick wide, by up to 1.4 basis points, and in a jump the two come apart for a moment.
MARK_OFF_LINEAR = 0.005

#: No venue's clock is wrong by more: what is stamped further ahead of ours is a fault of the feed.
CLOCK_OFFSET_NS_MAX = 60 * NS_PER_SECOND

#: Quotes this near the newest of their venue belong to one gathering of its index, seconds.
INDEX_TOGETHER_S = 10
#: The end of an outage that goes on, UTC ns.
NEVER = np.iinfo(np.int64).max

#: No price or size of any coin is smaller or larger; such a number is a fault of the feed, not a quote.
NUMBER_ABSURD_BELOW = 1e-15
NUMBER_ABSURD_ABOVE = 1e15

#: The numbers a quote carries, in the order of the tape's columns.
QUOTE_FIELDS = (
    "bid", "bid_size", "ask", "ask_size", "mark", "mark_iv", "forward", "index", "funding_rate",
)  # fmt: skip

#: Every column of quotes, of a market and of a batch.
_COLUMNS = ("venue_ns", "forward_kind", *QUOTE_FIELDS)


class Flag(IntEnum):
    """Why a quote may not be traded against; OK otherwise. The first that applies, in this order."""

    OK = 0
    NOT_QUOTED = 1
    STALE = 2
    EXPIRED = 3
    NO_BID = 4
    NO_ASK = 5
    NO_SIZE = 6
    CROSSED = 7
    MARK_OUTSIDE = 8
    ABSURD_VOL = 9

    @property
    def reason(self) -> str:
        """The words for people and JSON."""
        return self.name.lower()


class ForwardKind(IntEnum):
    """Where a forward comes from: the first four as the venue names it, then what is worked out."""

    NONE = 0
    LISTED_FUTURE = 1
    SYNTHETIC = 2
    INDEX = 3
    PARITY = 4
    PERPETUAL_BASIS = 5

    @property
    def label(self) -> str:
        """The words for people and JSON."""
        return self.name.lower()


@dataclass(frozen=True, slots=True, eq=False)
class Depth:
    """One side of an order book, best price first; prices in the venue's quotation, sizes in order units."""

    price: FloatArray
    size: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Marks:
    """A batch of quotes. `rows` (k,) are positions in the universe; every column has shape (k,).

    venue_ns: the venue's stamp. Prices in the venue's own quotation, sizes in its order unit, vol 1.0 =
    100 %, forward and index USD, funding_rate as a fraction per 8 h. depth: per row of the universe,
    (bids, asks).
    """

    seq: int
    now_ns: int
    rows: IntArray
    venue_ns: IntArray
    bid: FloatArray
    bid_size: FloatArray
    ask: FloatArray
    ask_size: FloatArray
    mark: FloatArray
    mark_iv: FloatArray
    forward: FloatArray
    index: FloatArray
    funding_rate: FloatArray
    forward_kind: NDArray[np.int8]
    depth: Mapping[int, tuple[Depth, Depth]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Market:
    """The newest quote of every listing, columns of shape (n,), NaN where nothing is known.

    settlement_average: average index so far of an expiry inside its settlement window,
    by (underlying, expiry_ns); where it is absent (or no positive number) the index stands in.
    outages: until when (UTC ns) venues were down that were, `NEVER` while they are: what one said before
    that, and has not said anew, is left over from before its outage.
    """

    universe: Universe
    now_ns: int
    seq: int
    venue_ns: IntArray
    bid: FloatArray
    bid_size: FloatArray
    ask: FloatArray
    ask_size: FloatArray
    mark: FloatArray
    mark_iv: FloatArray
    forward: FloatArray
    index: FloatArray
    funding_rate: FloatArray
    forward_kind: NDArray[np.int8]
    depth: Mapping[int, tuple[Depth, Depth]] = field(default_factory=dict)
    settlement_average: Mapping[tuple[str, int], float] = field(default_factory=dict)
    outages: Mapping[str, int] = field(default_factory=dict)

    def hearing(self, venue: str, up: bool, now_ns: int) -> Market:
        """The same market, a venue up or down from now on; itself where that is no news."""
        until_ns = self.outages.get(venue, 0)
        if up is (until_ns != NEVER):
            return self
        return replace(self, outages={**self.outages, venue: now_ns if up else NEVER})

    @property
    def left_over(self) -> BoolArray:
        """Mask of listings whose quote is left over from before an outage of its venue, (n,)."""
        if not self.outages:
            return np.zeros(len(self.universe), dtype=np.bool_)
        return np.asarray(
            self.quoted & (self.venue_ns < _ends(self.universe, tuple(sorted(self.outages.items()))))
        )

    @classmethod
    def empty(cls, universe: Universe, now_ns: int = 0) -> Market:
        """Nothing known yet about any listing."""
        n = len(universe)
        unknown: dict[str, Any] = {name: np.full(n, np.nan) for name in QUOTE_FIELDS}
        return cls(
            universe=universe,
            now_ns=now_ns,
            seq=-1,
            venue_ns=np.zeros(n, dtype=np.int64),
            forward_kind=np.zeros(n, dtype=np.int8),
            **unknown,
        )

    def apply(self, marks: Marks) -> Market:
        """The market after a batch: the newest quote per listing, depth of a requoted listing replaced.

        A row older than what is already known about its listing is dropped: feeds reorder. Of several rows
        of one listing the newest counts, of equal stamps the last. A stamp further ahead of `now_ns` than a
        clock can be wrong counts as the oldest of all: such a quote is never fresh, and it must not shut out
        the sound ones that come after it.
        """
        latest = marks.now_ns + CLOCK_OFFSET_NS_MAX
        if marks.rows.size == 1:
            return self._with_one(marks, latest)
        stamp = np.where(marks.venue_ns <= latest, marks.venue_ns, 0)
        known = self.venue_ns[marks.rows]
        fresh = np.flatnonzero(stamp >= np.where(known <= latest, known, 0))
        fresh = fresh[np.argsort(stamp[fresh], kind="stable")]  # what is written last remains
        rows = marks.rows[fresh]
        changed = {}
        for name in _COLUMNS:
            column = getattr(self, name).copy()
            column[rows] = getattr(marks, name)[fresh]
            changed[name] = column
        return self._changed(marks, rows.tolist(), changed)

    def _with_one(self, marks: Marks, latest: int) -> Market:
        """As `apply`, of a single quote: most batches of a stream are one."""
        row = int(marks.rows[0])
        stamp, known = int(marks.venue_ns[0]), int(self.venue_ns[row])
        if (stamp if stamp <= latest else 0) < (known if known <= latest else 0):
            return self._changed(marks, [], {name: getattr(self, name) for name in _COLUMNS})
        changed = {}
        for name in _COLUMNS:
            column, told = getattr(self, name), getattr(marks, name).item(0)
            known = column.item(row)
            if known != told and (known == known or told == told):  # NaN again is no news
                column = column.copy()
                column[row] = told
            changed[name] = column
        return self._changed(marks, [row], changed)

    def _changed(self, marks: Marks, requoted: list[int], changed: dict[str, Any]) -> Market:
        """The market with other columns, and the depth of what was quoted anew."""
        depth = self.depth
        if marks.depth or (depth and any(row in depth for row in requoted)):
            depth = dict(depth)
            for row in requoted:
                depth.pop(row, None)
                if row in marks.depth:
                    depth[row] = marks.depth[row]
        return Market(
            universe=self.universe,
            now_ns=marks.now_ns,
            seq=marks.seq,
            depth=depth,
            settlement_average=self.settlement_average,
            outages=self.outages,
            **changed,
        )

    @property
    def quoted(self) -> BoolArray:
        """Mask of listings that were ever quoted, (n,)."""
        return np.asarray(self.venue_ns > 0)

    @property
    def age_s(self) -> FloatArray:
        """Seconds since the venue's stamp, NaN where never quoted, (n,)."""
        age = (self.now_ns - self.venue_ns) / NS_PER_SECOND
        return np.where(self.quoted, age, np.nan)

    def fresh(self, age_s_max: float) -> BoolArray:
        """Mask of listings quoted no longer than `age_s_max` seconds ago, (n,).

        A stamp as far ahead of now is no fresher: its clock is broken, and it would stay "new" for ever.
        """
        return np.asarray(self.quoted & (np.abs(self.now_ns - self.venue_ns) <= age_s_max * NS_PER_SECOND))

    def spot(self, age_s_max: float) -> FloatArray:
        """Index per underlying: median over its fresh listings; NaN where none tells, (underlyings,).

        The plain figure, unchecked: what may be decided on is `pricing.oracle`'s to say.
        """
        known = self.fresh(age_s_max) & _usable(self.index)
        result = np.full(len(self.universe.underlyings), np.nan)
        for u in range(len(result)):
            values = self.index[known & (self.universe.underlying == u)]
            if values.size:
                result[u] = np.median(values)
        return result

    def book(self, row: int) -> tuple[Depth, Depth]:
        """(bids, asks) of a listing: recorded depth, else its touch as a single level."""
        if row in self.depth:
            return self.depth[row]
        bid = Depth(self.bid[row : row + 1], self.bid_size[row : row + 1])
        return bid, Depth(self.ask[row : row + 1], self.ask_size[row : row + 1])

    def flags(self, age_s_max: float) -> NDArray[np.int8]:
        """`Flag` of every listing, (n,)."""
        expiry = self.universe.expiry_ns
        tests = {
            Flag.NOT_QUOTED: ~self.quoted,
            Flag.STALE: ~self.fresh(age_s_max),
            Flag.EXPIRED: (expiry > 0) & (expiry <= self.now_ns),
        } | quote_flags(self, self.universe.is_option)
        return np.select(list(tests.values()), [np.int8(flag) for flag in tests], np.int8(Flag.OK))


def mid_or_nan(market: Market) -> FloatArray:
    """Middle of the touch in the venue's quotation, (n,); NaN where a side is missing or they cross."""
    with np.errstate(invalid="ignore", over="ignore"):
        two_sided = (market.bid > 0) & (market.ask > market.bid)
        return np.where(two_sided, 0.5 * (market.bid + market.ask), np.nan)


def price_or_nan(market: Market) -> FloatArray:
    """Mark, else mid, in the venue's quotation, (n,); NaN where neither is a price."""
    # A far wing's mark may be rounded to 0; a perpetual's or future's cannot be.
    marked = np.isfinite(market.mark) & np.where(market.universe.is_option, market.mark >= 0, market.mark > 0)
    return np.where(marked, market.mark, mid_or_nan(market))


def spot_sources(market: Market) -> list[list[tuple[str, float, float]]]:
    """What every venue says of every underlying's spot: (source, USD, age in seconds), by underlying.

    A venue tells by its published index, or where it publishes none by the middle of its spot market. Its
    index is the median over its listings quoted within 10 s of its newest quote: one snapshot is gathered
    over seconds and its rows scatter, and in a stream the quiet rows carry the index of minutes ago.
    """
    universe = market.universe
    groups = telling(universe)
    middle = mid_or_nan(market)
    told = market.quoted & _usable(market.index)
    traded = market.quoted & _usable(middle)
    # a stamp from the future is a broken clock's: it does not make its row the newest
    stamps = np.where(
        market.venue_ns > market.now_ns + INDEX_TOGETHER_S * NS_PER_SECOND, np.int64(0), market.venue_ns
    )
    found: list[list[tuple[str, float, float]]] = [[] for _ in universe.underlyings]
    for venue, u, mine, spots in groups:
        for name, rows, values in (
            ("index", mine[told[mine]], market.index),
            ("spot", spots[traded[spots]], middle),
        ):
            if rows.size:
                newest = int(stamps[rows].max()) or int(market.venue_ns[rows].max())
                at = market.venue_ns[rows]
                together = rows[(at >= newest - INDEX_TOGETHER_S * NS_PER_SECOND) & (at <= newest)]
                age = (market.now_ns - newest) / NS_PER_SECOND
                found[u].append((f"{venue} {name}", float(np.median(values[together])), age))
                break
    return found


@lru_cache(maxsize=16)
def _ends(universe: Universe, outages: tuple[tuple[str, int], ...]) -> IntArray:
    """When the last outage of each listing's venue ended, UTC ns, 0 where it had none, (n,)."""
    until_ns = dict(outages)
    return np.array([until_ns.get(listing.venue, 0) for listing in universe.listings], dtype=np.int64)


@lru_cache(maxsize=16)
def telling(universe: Universe) -> tuple[tuple[str, int, IntArray, IntArray], ...]:
    """By venue and underlying: rows that may carry its index, and its spot markets in dollars."""
    groups: dict[tuple[str, int], tuple[list[int], list[int]]] = {}
    for i, listing in enumerate(universe.listings):
        rows, spots = groups.setdefault((listing.venue, int(universe.underlying[i])), ([], []))
        rows.append(i)
        contract = listing.contract
        if contract.kind is Kind.SPOT and contract.settlement in {*STABLE_CURRENCIES, "USD"}:
            spots.append(i)
    return tuple(
        (venue, u, np.array(rows, dtype=np.int64), np.array(spots, dtype=np.int64))
        for (venue, u), (rows, spots) in sorted(groups.items())
    )


@lru_cache(maxsize=16)
def teller_of_rows(universe: Universe) -> IntArray:
    """Which of `telling(universe)` each listing belongs to, (n,)."""
    found = np.full(len(universe), -1, dtype=np.int64)
    for place, (_, _, rows, _) in enumerate(telling(universe)):
        found[rows] = place
    found.flags.writeable = False
    return found


def quote_flags(quotes: Market | Marks, option: BoolArray) -> dict[Flag, BoolArray]:
    """The flags that a quote shows by itself, as masks (n,) in order of precedence.

    A mark at most one part in 1e12 outside the touch is on it: venues round both. What is no option has
    `MARK_OFF_LINEAR`.

    Args:
        option: which rows are options, (n,).
    """
    with np.errstate(invalid="ignore", over="ignore"):
        slack = np.where(option, 1e-12, MARK_OFF_LINEAR) * np.abs(quotes.mark)
        return {
            Flag.NO_BID: ~_usable(quotes.bid),
            Flag.NO_ASK: ~_usable(quotes.ask),
            Flag.NO_SIZE: ~(_usable(quotes.bid_size) & _usable(quotes.ask_size)),
            Flag.CROSSED: quotes.bid >= quotes.ask,
            Flag.MARK_OUTSIDE: (quotes.mark < quotes.bid - slack) | (quotes.mark > quotes.ask + slack),
            Flag.ABSURD_VOL: (quotes.mark_iv < VOL_ABSURD_BELOW) | (quotes.mark_iv > VOL_ABSURD_ABOVE),
        }


def _usable(numbers: FloatArray) -> BoolArray:
    """Mask of positive numbers that a price or size can be."""
    return np.asarray((numbers > NUMBER_ABSURD_BELOW) & (numbers < NUMBER_ABSURD_ABOVE))
