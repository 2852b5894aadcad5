"""What of a valued book stands still while perpetuals and options are quoted one by one: made once after a
full look, used by `hedger.core.glance` for every mark after it.

Between two quotes of an option its forward, vol and quantity do not change. What does is time, the index,
and the perpetuals' own prices; a quote of an option changes that option, as long as its expiry stands. A
`Footing` says for how long that is so, and keeps the rest ready; it is None where anything about the book,
the desk's settings or the market could change in any other way. Then every mark values the book as a whole.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from hedger.moment import Memory, Moment, UnderlyingMoment
from hedger.policy.triggering import ask
from hedger.problem.snapshot import BandOverrides, Snapshot
from hedger.problem.unindexed import unindexed
from hedger.sections.policy import Condition
from hedger.settings import Settings
from pricing.contracts import Kind
from pricing.daycount import DAYS_PER_YEAR, NS_PER_DAY, NS_PER_HOUR, NS_PER_SECOND
from pricing.delta_rules import DeltaRule
from pricing.expiries import expiries_of
from pricing.forwards import ExpiryForward
from pricing.market import Market, telling
from pricing.oracle import OracleSettings
from pricing.settlement import WINDOW_YEARS
from pricing.steady import TOGETHER_NS, SteadyIndex, forwards_stand, steady_indexes, told_index
from pricing.universe import FloatArray, IntArray
from pricing.valuation import FORWARD_ABSURD_FACTOR, MarkStatus, Numeraire, VolSource
from risk.book import Position
from risk.book_rows import TENOR
from risk.exposures import VEGA_BUCKETS

#: A full look is taken at least as often, seconds, whatever else stands.
STANDS_S_MAX = 60
#: Forwards this near to absurd (relative) are looked at each time: the spot moves by `SPOT_MOVE` meanwhile.
ABSURD_ROOM = 0.03
#: An underlying, its number, the places of its banded rows, and their names.
Picked = tuple[str, int, IntArray, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Perpetual:
    """A perpetual that may be quoted anew.

    natural: held, USD or coins, signed. row: of the delta of its underlying, -1 where that has none. price:
    USD, of the full look; NaN where it was not valued.
    """

    underlying: int
    natural: float
    inverse: bool
    currency: str
    row: int
    price: float


@dataclass(frozen=True, slots=True, eq=False)
class Footing:
    """What stands from base.market.now_ns until until_ns, while book, desk and overrides are these.

    funded: positions in perpetuals. told: what each place of `telling(universe)` said of its index, NaN where
    it said none. spot: (underlyings,). choices: the forward of each expiry, by its place in
    `expiries_of(universe)`; none where quotes of options are for the full look. options, groups, table,
    of_row: as `risk.book_rows.look_at` has them; columns: of the options held, by their listing's place.
    coins: by currency its underlying and the row of its delta. left_out: currencies without an index: what
    the book is worth is told without them. stock: (underlyings,) coins held as spot positions. picked: the
    banded rows of each underlying. calm: what the policy answers while every row is inside its bands, None
    where that hangs on more than on the rows.
    """

    base: Snapshot
    desk: Settings
    overrides: BandOverrides
    until_ns: int
    funded: tuple[Position, ...]
    limits: OracleSettings
    indexes: tuple[SteadyIndex, ...]
    told: tuple[float, ...]
    spot: FloatArray
    perpetuals: Mapping[int, Perpetual]
    choices: Mapping[int, ExpiryForward]
    options: FloatArray
    columns: Mapping[int, int]
    groups: IntArray
    table: FloatArray
    coins: Mapping[str, tuple[int, int]]
    left_out: frozenset[str]
    stock: FloatArray
    of_row: IntArray
    picked: tuple[Picked, ...]
    calm: str | None


def footing_of(base: Snapshot, desk: Settings, overrides: BandOverrides) -> Footing | None:
    """What stands after a full look; None where a mark of a perpetual may change more than is kept here."""
    if not (plain_desk(desk) and _plain_book(base)):
        return None
    limits = desk.oracle_settings()
    until_ns = _until(base, desk, limits)
    if until_ns <= base.market.now_ns:
        return None
    indexes = steady_indexes(base.market, base.readings.values(), limits, until_ns)
    held = base.quantities != 0
    if indexes is None or not forwards_stand(
        base.market, desk.age_s_max, base.valuation.spot, base.valuation.expiries, held
    ):
        return None
    rows, universe = base.exposure.rows, base.market.universe
    number = {name: u for u, name in enumerate(universe.underlyings)}
    of_row = np.array([number[row.split(":")[1]] for row in rows], dtype=np.int64)
    options, groups, columns = _options(base, desk.gamma_days_min)
    picked = tuple(_picked(base, of_row, name, number[name]) for name in base.underlyings)
    return Footing(
        base=base,
        desk=desk,
        overrides=overrides,
        until_ns=until_ns,
        funded=tuple(p for p in base.book.daily if p.listing.contract.kind is Kind.PERPETUAL),
        limits=limits,
        indexes=indexes,
        told=_told(base.market),
        spot=base.valuation.spot,
        perpetuals=_perpetuals(base),
        choices=_choices(base) if limits.age_s_max == desk.age_s_max else {},
        options=options,
        columns=columns,
        groups=groups,
        table=_table(base, overrides),
        coins={name: (number[name], rows.index(f"delta:{name}")) for name in base.underlyings},
        left_out=frozenset(unindexed(base.book, universe)),
        stock=_stock(base),
        of_row=of_row,
        picked=picked,
        calm=_calm(base, desk, picked),
    )


def plain_desk(desk: Settings) -> bool:
    """Whether the desk's rows and bands are of the kind that a glance can follow, and its policy asks for
    nothing else: dollars, Black-76 deltas, fixed bands, no scenarios, triggers on rows and on time alone."""
    return (
        desk.numeraire is Numeraire.USD
        and desk.delta_rule is DeltaRule.BLACK_SCHOLES
        and desk.vol_order[0] is VolSource.VENUE_MARK
        and not desk.scenarios
        and not desk.robust.z > 0
        and desk.look_back_h() == 0.0
        and not any(desk.band_rules_of(name) for name in {"*", *desk.bands})
        and all(_plain_trigger(condition) for condition in desk.policy.when.each())
    )


def _plain_trigger(c: Condition) -> bool:
    """Whether a trigger looks at rows and at the clock alone."""
    if c.age is not None:
        return c.age.mark_s is None
    return c.projected_breach is None and c.realised_move is None and c.expiry is None


def _plain_book(base: Snapshot) -> bool:
    """Whether all of the book is valued, options on the venue's vols and outside settlement windows, and far
    from where a forward counts as absurd; and no quote is stamped in the future."""
    market, valuation, held = base.market, base.valuation, base.quantities != 0
    universe = market.universe
    if base.missing or not all(np.isfinite(x) for x in base.spot.values()):
        return False
    if not np.isfinite(base.exposure.value).all() or int(market.venue_ns.max()) > market.now_ns + TOGETHER_NS:
        return False
    options = held & universe.is_option
    with np.errstate(invalid="ignore"):
        ratio = (valuation.forward / valuation.spot_of_listing())[held]
        near = (np.maximum(ratio, 1.0 / ratio) <= FORWARD_ABSURD_FACTOR / (1.0 + ABSURD_ROOM)).all()
    plain = (valuation.vol_source[options] == VolSource.VENUE_MARK).all()
    return bool(near and plain and not valuation.in_window[options].any())


def _until(base: Snapshot, desk: Settings, limits: OracleSettings) -> int:
    """The first time at which something changes by time alone: a quote goes stale, an option enters another
    tenor, its last days or its settlement window, an hour begins; `base.market.now_ns` where it has now."""
    market = base.market
    now, universe = market.now_ns, market.universe
    age_ns = round(desk.age_s_max * NS_PER_SECOND)
    stamps = market.venue_ns[market.quoted]
    fresh = stamps[np.abs(now - stamps) <= age_ns]
    expiries = np.unique(universe.expiry_ns[universe.expiry_ns > 0])
    days = [0.0, WINDOW_YEARS * DAYS_PER_YEAR, desk.gamma_days_min, *(first for _, first in VEGA_BUCKETS)]
    # a microsecond early: what falls on an edge is the full look's
    turns = (expiries[:, None] - np.array([round(x * NS_PER_DAY) for x in days])[None, :]).ravel() - 1000
    soon = expiries[(expiries >= now) & (expiries - now <= round(WINDOW_YEARS * DAYS_PER_YEAR * NS_PER_DAY))]
    if soon.size or not fresh.size:
        return now
    oldest = int(fresh.min())
    told = [r.age_s for r in base.readings.values()]
    until = [
        now + STANDS_S_MAX * NS_PER_SECOND,
        now - now % NS_PER_HOUR + NS_PER_HOUR,
        oldest + age_ns,
        now + round((limits.age_s_max - max(told, default=0.0)) * NS_PER_SECOND) - 1000,
        *turns[turns >= now - 2000].tolist(),  # on an edge now: nothing stands
    ]
    return int(min(until))


def _told(market: Market) -> tuple[float, ...]:
    """What each venue's listings say of each index, USD; NaN where none says it."""
    return tuple(
        told_index(rows, market.venue_ns, market.index)[1] for _, _, rows, _ in telling(market.universe)
    )


def _perpetuals(base: Snapshot) -> dict[int, Perpetual]:
    """Every perpetual that is valued."""
    universe, rows = base.market.universe, base.exposure.rows
    found = {}
    valued = (universe.kind == Kind.PERPETUAL) & (base.valuation.status == MarkStatus.OK)
    for i in np.flatnonzero(valued).tolist():
        listing, u = universe.listings[i], int(universe.underlying[i])
        delta = f"delta:{universe.underlyings[u]}"
        found[i] = Perpetual(
            underlying=u,
            natural=float(base.quantities[i]) * float(universe.size[i]),
            inverse=bool(universe.inverse[i]),
            currency=listing.contract.settlement,
            row=rows.index(delta) if delta in rows else -1,
            price=float(base.valuation.forward[i]),
        )
    return found


def _choices(base: Snapshot) -> dict[int, ExpiryForward]:
    """The forward chosen for each expiry, by its place."""
    universe, names = base.market.universe, base.market.universe.underlyings
    place = {
        (e.venue, names[e.underlying], e.expiry_ns, e.inverse): i for i, e in enumerate(expiries_of(universe))
    }
    return {place[e.venue, e.underlying, e.expiry_ns, e.inverse]: e for e in base.valuation.expiries}


def _options(base: Snapshot, gamma_days_min: float) -> tuple[FloatArray, IntArray, dict[int, int]]:
    """The options held, (5, k), their groups, (g, 11), and which column each is in."""
    universe, valuation, names = base.market.universe, base.valuation, base.exposure.rows
    held = np.flatnonzero((base.quantities != 0) & universe.is_option)
    kinds = universe.underlying[held], universe.expiry_ns[held], universe.inverse[held].astype(np.int64)
    order = np.lexsort((held, kinds[2], kinds[1], kinds[0]))
    at, sorted_kinds = held[order], np.array([kind[order] for kind in kinds]).reshape(3, held.size)
    starts = np.flatnonzero((np.diff(sorted_kinds, axis=1, prepend=-1) != 0).any(axis=0)).tolist()
    groups: list[list[int]] = []
    for first, end in zip(starts, [*starts[1:], held.size][: len(starts)], strict=True):
        u, expiry_ns, in_coin = sorted_kinds[:, first].tolist()
        name, days = universe.underlyings[u], float(valuation.years[at[first]]) * DAYS_PER_YEAR
        gamma = "gamma_expiring" if days < gamma_days_min else "gamma"
        tenor = [bucket for bucket, start in VEGA_BUCKETS if start <= days][-1]
        greeks = [f"{greek}:{name}" for greek in ("delta", gamma, "vega", "vega_weighted", "theta")]
        to = [names.index(row) for row in (*greeks, f"vega:{name}:{tenor}")]
        groups.append([first, end, expiry_ns, u, in_coin, *to])
    columns = (
        valuation.forward,
        universe.strike,
        valuation.vol,
        universe.sign,
        base.quantities * universe.size,
    )
    options = np.ascontiguousarray([column[at] for column in columns], dtype=np.float64)
    columns_of = dict(zip(at.tolist(), range(at.size), strict=True))
    return options, np.array(groups, dtype=np.int64).reshape(-1, TENOR + 1), columns_of


def _table(base: Snapshot, overrides: BandOverrides) -> FloatArray:
    """What the rows are made of beside options, and their edges, (9, m)."""
    rows, bands = base.exposure.rows, base.bands
    fixed, per_spot = _futures_and_spot(base)
    power = np.array([0.0 if row in overrides else _power(row) for row in rows])
    edges = bands.target, bands.trigger_lower, bands.trigger_upper, bands.landing_lower, bands.landing_upper
    return np.array([fixed, per_spot, power, _gross(base), *edges])


def _futures_and_spot(base: Snapshot) -> tuple[FloatArray, FloatArray]:
    """Delta of dated futures and spot held, (m,), (m,): what stays, and what is to be divided by the spot."""
    universe, rows = base.market.universe, base.exposure.rows
    fixed, per_spot = np.zeros(len(rows)), np.zeros(len(rows))
    plain = (universe.kind == Kind.FUTURE) | (universe.kind == Kind.SPOT)
    for i in np.flatnonzero((base.quantities != 0) & plain).tolist():
        row = rows.index(f"delta:{universe.underlyings[int(universe.underlying[i])]}")
        natural, forward = base.quantities[i] * universe.size[i], base.valuation.forward[i]
        if universe.kind[i] == Kind.SPOT:
            fixed[row] += natural
        elif universe.inverse[i]:
            fixed[row] += natural / forward
        else:
            per_spot[row] += natural * forward
    return fixed, per_spot


def _stock(base: Snapshot) -> FloatArray:
    """Coins held as positions in spot listings, (underlyings,)."""
    universe = base.market.universe
    held = np.flatnonzero(universe.kind == Kind.SPOT)
    weights = base.quantities[held] * universe.size[held]
    found = np.zeros(len(universe.underlyings))
    np.add.at(found, universe.underlying[held], weights)
    return found


def _power(row: str) -> float:
    """A fixed band of dollars is so wide in its row's unit: with the spot to minus this power."""
    greek = row.split(":")[0]
    return 1.0 if greek == "delta" else 2.0 if greek.startswith("gamma") else 0.0


def _gross(base: Snapshot) -> FloatArray:
    """Sum of the sizes of what adds up to each row, (m,): rounding goes with it."""
    held = np.flatnonzero(base.quantities)
    parts = np.abs(base.exposure.owned[:, held]) @ np.abs(base.quantities[held])
    gross = np.asarray(parts + np.abs(base.exposure.cash), dtype=np.float64)
    return gross


def _picked(base: Snapshot, of_row: IntArray, name: str, underlying: int) -> Picked:
    """The banded rows of one underlying: places and names."""
    places = np.flatnonzero(base.bands.banded & (of_row == underlying))
    return name, underlying, places, tuple(base.exposure.rows[i] for i in places.tolist())


def _calm(base: Snapshot, desk: Settings, picked: Iterable[Picked]) -> str | None:
    """What the policy says while every banded row is inside its landing, if it looks at nothing but rows."""
    when = desk.policy.when
    if not all(c.breach or c.any_of or c.all_of or c.negated or c.cost_benefit for c in when.each()):
        return None
    if any(c.breach is not None and c.breach.until_landing for c in when.each()):
        return None
    bands, found = base.bands, []
    for name, underlying, at, rows in picked:
        middle = bands.target[at]
        edges = (
            bands.trigger_lower[at],
            bands.trigger_upper[at],
            bands.landing_lower[at],
            bands.landing_upper[at],
        )
        spot = float(base.valuation.spot[underlying])
        found.append(UnderlyingMoment(name, spot, math.nan, rows, middle, middle, *edges, math.nan))
    decision, _ = ask(Moment(base.market.now_ns, tuple(found)), desk.policy, Memory())
    return None if decision.due else decision.reason
