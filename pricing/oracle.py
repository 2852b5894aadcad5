"""The index of every underlying: several sources combined, checked, and judged good, degraded or bad.

A source is what one venue says: its published index, or the middle of its spot market, which counts beside
an index of another venue and never alone. They are held against each other, against the nearest forwards
(put-call parity, else what is published, else futures and perpetuals), and against the last good value. A
bad index means that nothing is decided and nothing traded on that underlying; the verdict carries its
reasons.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from pricing.contracts import Kind
from pricing.daycount import NS_PER_SECOND, years_between
from pricing.expiries import expiries_of
from pricing.forwards import BASIS_RATE_MAX, PUBLISHED
from pricing.market import Market, mid_or_nan, price_or_nan, spot_sources
from pricing.medians import median
from pricing.parity import parity_of
from pricing.universe import FloatArray

#: So many of the nearest expiries are asked.
FORWARDS_NEAR = 3
#: The time that `jump_max` is meant for, seconds.
JUMP_S = 60.0
#: Why a source is not used that is left over while another index is told.
DOWN = "from before an outage of its venue"


class Verdict(StrEnum):
    """What may be done on an index. DEGRADED: used, and said. BAD: nothing is decided on it."""

    GOOD = "good"
    DEGRADED = "degraded"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class OracleSettings:
    """Limits of the oracle.

    age_s_max: seconds, a source older than this is not used. sources_min: with fewer the index is degraded.
    deviation_max: largest relative difference between sources that agree. forward_deviation_max: largest
    relative distance of the near forwards at no time to go; it widens by the greatest basis a listed coin can
    keep (`pricing.forwards`) times the time to expiry. jump_max: largest relative move within a minute that
    needs no second source; it widens with the square root of the time since the last good value.
    """

    age_s_max: float = 600.0
    sources_min: int = 2
    deviation_max: float = 0.01
    forward_deviation_max: float = 0.02
    jump_max: float = 0.03


#: Forwards of an underlying: (forward in USD, years to expiry).
NearForwards = list[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class IndexSource:
    """One source's say: value in USD, age in seconds; refused: why it was not used, empty where it was.
    left_over: from before an outage of its venue."""

    name: str
    value: float
    age_s: float
    refused: str = ""
    left_over: bool = False

    @property
    def is_index(self) -> bool:
        """A published index, no spot market."""
        return self.name.endswith(" index")

    @property
    def venue(self) -> str:
        """Whose word it is."""
        return self.name.rpartition(" ")[0]


@dataclass(frozen=True, slots=True)
class GoodIndex:
    """The last value of an index that was not bad, USD, and when (UTC ns)."""

    value: float
    now_ns: int


LastGood = Mapping[str, GoodIndex]


@dataclass(frozen=True, slots=True)
class IndexReading:
    """The index of one underlying: value in USD (NaN where no source tells), age of the oldest source used
    in seconds, verdict with its reasons, and every source."""

    underlying: str
    value: float
    age_s: float
    verdict: Verdict
    reasons: tuple[str, ...]
    sources: tuple[IndexSource, ...]


def read_index(
    market: Market, settings: OracleSettings, last_good: LastGood | None = None
) -> tuple[IndexReading, ...]:
    """Combine the sources of every underlying of the universe, in its order.

    The value is the median of the largest group of sources that agree within `deviation_max`. Where that is
    no majority, the source nearest to the forwards is taken (degraded); without those the index is
    bad. What is left over from before an outage (`Market.outages`) counts only where no other index is told.
    The index is bad, too, where it contradicts the forwards, or has moved further from the last good
    value than `jump_max` allows and nothing confirms the move: another source (good), or the middle of the
    perpetual's own book (degraded).

    Args:
        last_good: by underlying; without an entry no jump is looked for.

    Returns:
        One IndexReading per underlying. Nothing is raised for bad quotes: the verdict says what is wrong.
    """
    heard = _heard(market)
    told = _sources(market, heard)
    forwards = near_forwards(heard, settings.age_s_max)
    perpetuals = _perpetual_mids(heard, settings.age_s_max)
    readings = []
    for u, name in enumerate(market.universe.underlyings):
        judgement = _Judgement(settings, told[u])
        value, age = judgement.combine(forwards[u])
        if math.isfinite(value):
            judgement.hold_against_forwards(value, forwards[u])
            judgement.look_for_jump(value, (last_good or {}).get(name), market.now_ns, perpetuals[u])
        readings.append(
            IndexReading(
                name, value, age, judgement.verdict, tuple(judgement.reasons), tuple(judgement.sources)
            )
        )
    return tuple(readings)


def _heard(market: Market) -> Market:
    """The market without what is left over from before an outage; itself where nothing is, or all is."""
    left = market.left_over
    if not left.any() or left[market.quoted].all():
        return market
    return replace(market, venue_ns=np.where(left, 0, market.venue_ns))


def _sources(market: Market, heard: Market) -> list[list[IndexSource]]:
    """What every venue says of every underlying: its newest word since its last outage, else the last one
    before it."""
    since = [[IndexSource(*source) for source in found] for found in spot_sources(heard)]
    if not market.left_over.any():
        return since
    found = []
    for new, told in zip(since, spot_sources(market), strict=True):
        speaking = {} if heard is market else {source.venue: source for source in new}
        all_told = [IndexSource(*source, left_over=True) for source in told]
        found.append([speaking.get(source.venue, source) for source in all_told])
    return found


def following(market: Market, readings: Iterable[IndexReading]) -> Market:
    """The market by which positions are valued whose quotes are left over from before an outage of their
    venue, where the index is told since.

    Forwards, perpetuals and futures there have moved with the index since they were quoted; options have
    their vols and no prices: what they cost then says nothing of now. The same object where nothing moves.
    """
    left = market.left_over
    if not left.any():
        return market
    index = np.array(
        [x.value if any(not s.refused and not s.left_over for s in x.sources) else np.nan for x in readings]
    )
    moved = index[market.universe.underlying] / np.where(market.index > 0, market.index, np.nan)
    at = left & np.isfinite(moved)
    scale = np.where(at, np.where(market.universe.is_option, np.nan, moved), 1.0)
    return replace(
        market,
        bid=market.bid * scale,
        ask=market.ask * scale,
        mark=market.mark * scale,
        forward=market.forward * np.where(at, moved, 1.0),
    )


def remember(last_good: LastGood, readings: Iterable[IndexReading], now_ns: int) -> dict[str, GoodIndex]:
    """The last good values after some readings."""
    found = dict(last_good)
    for reading in readings:
        if reading.verdict is not Verdict.BAD:
            found[reading.underlying] = GoodIndex(reading.value, now_ns)
    return found


class _Judgement:
    """The verdict on one underlying as it forms; it only ever gets worse."""

    def __init__(self, settings: OracleSettings, sources: list[IndexSource]) -> None:
        self.settings = settings
        self.sources = sources
        self.kept: list[IndexSource] = []
        self.verdict = Verdict.GOOD
        self.reasons: list[str] = []

    def _worse(self, verdict: Verdict, reason: str) -> None:
        self.reasons.append(reason)
        if verdict is Verdict.BAD or self.verdict is Verdict.GOOD:
            self.verdict = verdict

    def _refuse(self, source: IndexSource, why: str) -> None:
        self.sources[self.sources.index(source)] = replace(source, refused=why)
        self._worse(Verdict.DEGRADED, f"{source.name}: {why}")

    def combine(self, forwards: NearForwards) -> tuple[float, float]:
        """Value and age of what may be used, NaN where nothing may."""
        limits = self.settings
        for source in list(self.sources):
            if abs(source.age_s) > limits.age_s_max:
                self._refuse(source, f"{source.age_s:.0f} s old, allowed {limits.age_s_max:.0f}")
        used = [source for source in self.sources if not source.refused]
        heard = [source for source in used if not source.left_over]
        if any(
            source.is_index for source in heard
        ):  # where nobody else tells, its last word is the best there is
            for source in used:
                if source not in heard:
                    self._refuse(source, DOWN)
            used = heard
        if not any(source.is_index for source in used):
            self._worse(Verdict.BAD, "no venue's index is fresh" if self.sources else "no venue tells it")
            return math.nan, math.nan
        self.kept = _largest_agreement(used, limits.deviation_max)
        if 2 * len(self.kept) <= len(used):
            said = "sources disagree: " + ", ".join(f"{s.name} {s.value:.8g}" for s in used)
            if forwards:
                self.kept = [min(used, key=lambda source: self._beyond_forwards(source.value, forwards)[0])]
                self._worse(Verdict.DEGRADED, f"{said}; {self.kept[0].name} is nearest to the forwards")
            else:
                self.kept = used
                self._worse(Verdict.BAD, said)
        value = float(np.median([source.value for source in self.kept]))
        for source in used:
            if source not in self.kept:
                off = abs(source.value / value - 1.0)
                self._refuse(source, f"{off:.2%} off the others, allowed {limits.deviation_max:.2%}")
        if len(self.kept) < limits.sources_min:
            names = ", ".join(source.name for source in self.kept)
            self._worse(Verdict.DEGRADED, f"{len(self.kept)} source of {limits.sources_min}: {names}")
        return value, max(source.age_s for source in self.kept)

    def hold_against_forwards(self, value: float, forwards: NearForwards) -> None:
        """Bad where the middle of the nearest expiries is further off than any basis."""
        if not forwards:
            return
        off, forward, allowed = self._beyond_forwards(value, forwards)
        if off > allowed:
            self._worse(
                Verdict.BAD,
                f"{value:.8g} is {off:.2%} off the forward {forward:.8g}, allowed {allowed:.2%}",
            )

    def _beyond_forwards(self, value: float, forwards: NearForwards) -> tuple[float, float, float]:
        """(distance, forward, allowed distance) of the expiry in the middle, relative."""
        found = sorted(
            (abs(math.log(forward) - math.log(value)) - BASIS_RATE_MAX * years, forward, years)
            for forward, years in forwards
        )
        _, forward, years = found[len(found) // 2]
        allowed = self.settings.forward_deviation_max + BASIS_RATE_MAX * years
        return abs(forward / value - 1.0), forward, allowed

    def look_for_jump(self, value: float, last: GoodIndex | None, now_ns: int, perpetual: float) -> None:
        """Bad where it moved further than the time allows, and neither another source nor a book confirms."""
        if last is None:
            return
        seconds = max(abs(now_ns - last.now_ns) / NS_PER_SECOND, JUMP_S)
        allowed = self.settings.jump_max * math.sqrt(seconds / JUMP_S)
        jump = abs(math.log(value) - math.log(last.value))
        if jump <= allowed:
            return
        said = f"moved {value / last.value - 1.0:+z.2%} from {last.value:.8g}, allowed {allowed:.2%}"
        if len(self.kept) > 1:
            self.reasons.append(f"{said}; confirmed by {len(self.kept)} sources")
        elif abs(perpetual / value - 1.0) <= self.settings.deviation_max:
            self._worse(Verdict.DEGRADED, f"{said}; confirmed by the perpetual's book alone")
        else:
            self._worse(Verdict.BAD, f"{said}; no second source confirms it")


def _largest_agreement(sources: list[IndexSource], deviation_max: float) -> list[IndexSource]:
    """The largest group around one source that lies within the deviation of it."""
    groups = [
        [other for other in sources if abs(other.value / centre.value - 1.0) <= deviation_max]
        for centre in sources
    ]
    return max(groups, key=len)


def near_forwards(market: Market, age_s_max: float) -> list[NearForwards]:
    """What stands for the forward of the nearest expiries, by underlying: (forward, years).

    Sound parity forwards; where quotes show none, what is published beside the options; else the marks of
    listed futures; else of perpetuals.
    """
    universe = market.universe
    fresh = market.fresh(age_s_max)
    price = np.where(fresh, price_or_nan(market), np.nan)
    beside_options = np.logical_or.reduce([market.forward_kind == kind for kind in PUBLISHED])
    published = np.where(fresh & beside_options, market.forward, np.nan)
    by_parity: list[NearForwards] = [[] for _ in universe.underlyings]
    by_venue: list[NearForwards] = [[] for _ in universe.underlyings]
    for expiry in sorted(expiries_of(universe), key=lambda expiry: expiry.expiry_ns):
        u = expiry.underlying
        if expiry.expiry_ns <= market.now_ns or len(by_parity[u]) >= FORWARDS_NEAR:
            continue
        years = float(years_between(market.now_ns, expiry.expiry_ns))
        parity = parity_of(expiry, price)
        if parity.sound:
            by_parity[u].append((parity.forward, years))
        beside = published[expiry.rows]
        beside = beside[np.isfinite(beside) & (beside > 0)]
        if beside.size:
            by_venue[u].append((median(beside), years))
    futures = _marks_of(Kind.FUTURE, market, price)
    perpetuals = _marks_of(Kind.PERPETUAL, market, price)
    found = []
    for tiers in zip(by_parity, by_venue, futures, perpetuals, strict=True):
        first = next((tier for tier in tiers if tier), [])
        found.append(sorted(first, key=lambda near: near[1])[:FORWARDS_NEAR])
    return found


def _marks_of(kind: Kind, market: Market, price: FloatArray) -> list[NearForwards]:
    """Prices of the contracts of a kind that are alive, by underlying; a perpetual has no time to go."""
    universe = market.universe
    found: list[NearForwards] = [[] for _ in universe.underlyings]
    for i in np.flatnonzero((universe.kind == kind) & np.isfinite(price)).tolist():
        expiry_ns = int(universe.expiry_ns[i])
        if kind is Kind.PERPETUAL:
            years = 0.0
        elif expiry_ns > market.now_ns:
            years = float(years_between(market.now_ns, expiry_ns))
        else:
            continue
        found[int(universe.underlying[i])].append((float(price[i]), years))
    return found


def _perpetual_mids(market: Market, age_s_max: float) -> list[float]:
    """Mid of the perpetuals' fresh books, median by underlying, USD; NaN where none is quoted."""
    universe = market.universe
    mid = mid_or_nan(market)
    known = (universe.kind == Kind.PERPETUAL) & market.fresh(age_s_max) & np.isfinite(mid)
    rows = [known & (universe.underlying == u) for u in range(len(universe.underlyings))]
    return [float(np.median(mid[mine])) if mine.any() else math.nan for mine in rows]
