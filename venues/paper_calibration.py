"""How far paper fills are from what really traded, where the feed brings the trades of others.

A taker's fill is held against those who took on the same side within the next second: better than their mean
price (weighted by size) by so many basis points. A maker's fill is held against those who really made: the
markout, what the middle has moved in a fill's favour some seconds later, of ours less that of all recorded
trades' makers. Positive is optimism: paper got what nobody got. It says nothing of our own impact, which no
recording holds.

What waits for its moment is kept for the longest horizon and no longer.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

from pricing.contracts import Side
from pricing.daycount import NS_PER_SECOND
from venues.paper_feed import MarketTrade

#: Seconds after a fill at which its markout is read.
HORIZONS_S = (1, 10, 60)
#: Seconds after a taker's fill in which others' trades are compared with it.
BESIDE_S = 1.0
#: The horizon at which makers' optimism is told.
_TOLD_S = 10


@dataclass(slots=True)
class _Mean:
    """A weighted mean, as it comes in."""

    total: float = 0.0
    weight: float = 0.0
    n: int = 0

    def add(self, x: float, weight: float) -> None:
        self.total += x * weight
        self.weight += weight
        self.n += 1

    @property
    def value(self) -> float:
        """NaN of nothing."""
        return self.total / self.weight if self.weight > 0 else math.nan


@dataclass(slots=True)
class _Taken:
    """A taker's fill that waits for the trades beside it. sign: +1 bought."""

    until_ns: int
    symbol: str
    sign: int
    price: float
    usd: float
    beside: _Mean = field(default_factory=_Mean)


@dataclass(frozen=True, slots=True)
class _Made:
    """A maker's fill that waits for its markout; sign: +1 the maker bought."""

    due_ns: int
    symbol: str
    sign: int
    price: float
    usd: float
    ours: bool


@dataclass(frozen=True, slots=True)
class Calibrated:
    """taken, compared: takers' fills, and those with a trade beside them. taker_bps: by how much they were
    better; NaN of none. made, made_by_others: makers' fills with a markout after ten seconds. markout_bps,
    markout_of_others_bps: by horizon, seconds. usd_taken, usd_made: what was compared came to.
    """

    taken: int
    compared: int
    taker_bps: float
    made: int
    made_by_others: int
    markout_bps: dict[int, float]
    markout_of_others_bps: dict[int, float]
    usd_taken: float
    usd_made: float

    @property
    def maker_bps(self) -> float:
        """By how much our makers did better than the recorded ones; NaN where either is not known."""
        return self.markout_bps[_TOLD_S] - self.markout_of_others_bps[_TOLD_S]

    @property
    def optimism_bps(self) -> float:
        """Both, weighted by what was paid; NaN where nothing could be compared."""
        known = [
            (bps, weight)
            for bps, weight in ((self.taker_bps, self.usd_taken), (self.maker_bps, self.usd_made))
            if not math.isnan(bps) and weight > 0
        ]
        weights = math.fsum(weight for _, weight in known)
        return math.fsum(bps * weight for bps, weight in known) / weights if weights else math.nan


class Calibration:
    """Told of every trade of others, of every middle, and of every fill, in order of time."""

    def __init__(self) -> None:
        self._taken: deque[_Taken] = deque()
        self._made: dict[int, deque[_Made]] = {h: deque() for h in HORIZONS_S}
        self._middle: dict[str, float] = {}
        self._taker = _Mean()
        self._markout = {(h, ours): _Mean() for h in HORIZONS_S for ours in (True, False)}
        self._n_taken = 0
        self._waiting: dict[str, int] = {}

    @property
    def watched(self) -> tuple[str, ...]:
        """Symbols whose middle somebody waits for."""
        return tuple(self._waiting)

    def trade(self, trade: MarketTrade, usd: float) -> None:
        """Others traded for so much: one of them took, the other made."""
        price = float(trade.price)
        self._pass(trade.time_ns)
        for taken in self._taken:
            if taken.symbol == trade.symbol and taken.sign == trade.side.sign:
                taken.beside.add(price, float(trade.size))
        self._wait(trade.time_ns, trade.symbol, -trade.side.sign, price, usd, ours=False)

    def middle(self, now_ns: int, symbol: str, middle: float) -> None:
        """The middle of a book from now on."""
        for horizon_s, waiting in self._made.items():
            while waiting and waiting[0].due_ns < now_ns:
                self._settle(horizon_s, waiting.popleft())
        self._middle[symbol] = middle
        self._pass(now_ns)

    def fill(self, now_ns: int, symbol: str, side: Side, price: float, usd: float, *, maker: bool) -> None:
        """A fill of ours, for so much."""
        if maker:
            self._wait(now_ns, symbol, side.sign, price, usd, ours=True)
            return
        self._n_taken += 1
        self._pass(now_ns)
        self._taken.append(_Taken(now_ns + round(BESIDE_S * NS_PER_SECOND), symbol, side.sign, price, usd))

    def result(self) -> Calibrated:
        """What has been compared so far; what still waits is left out."""
        return Calibrated(
            taken=self._n_taken,
            compared=self._taker.n,
            taker_bps=self._taker.value,
            made=self._markout[_TOLD_S, True].n,
            made_by_others=self._markout[_TOLD_S, False].n,
            markout_bps={h: self._markout[h, True].value for h in HORIZONS_S},
            markout_of_others_bps={h: self._markout[h, False].value for h in HORIZONS_S},
            usd_taken=self._taker.weight,
            usd_made=self._markout[_TOLD_S, True].weight,
        )

    def _wait(self, now_ns: int, symbol: str, sign: int, price: float, usd: float, *, ours: bool) -> None:
        self._waiting[symbol] = self._waiting.get(symbol, 0) + len(HORIZONS_S)
        for h, waiting in self._made.items():
            waiting.append(_Made(now_ns + h * NS_PER_SECOND, symbol, sign, price, usd, ours))

    def _settle(self, horizon_s: int, made: _Made) -> None:
        """A markout, by the last middle before its moment; without one it is not counted."""
        self._waiting[made.symbol] -= 1
        if not self._waiting[made.symbol]:
            del self._waiting[made.symbol]
        middle = self._middle.get(made.symbol, math.nan)
        if middle > 0 and made.price > 0:
            bps = made.sign * (middle - made.price) / made.price * 1e4
            self._markout[horizon_s, made.ours].add(bps, made.usd)

    def _pass(self, now_ns: int) -> None:
        """Takers' fills whose second is over."""
        while self._taken and self._taken[0].until_ns < now_ns:
            taken = self._taken.popleft()
            theirs = taken.beside.value
            if theirs > 0:
                better = taken.sign * (theirs - taken.price) / taken.price * 1e4
                self._taker.add(better, taken.usd)
