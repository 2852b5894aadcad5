"""A mark of a few perpetuals and options, taken in at a glance: the rows of the book, to the last digits.

The full look (`hedger.problem.snapshot`) values every listing, since a plan may trade any of them. A mark
that calls for no plan needs the rows of the book, its worth, and what the policy asks; of the market it
changes one price or one vol, and one index. A glance gives those, from what a `Footing` has kept, and carries
the full look with it: whoever asks for the snapshot of such a state gets the one that the full look would
have made.

`look` answers None whenever anything could come out otherwise: another listing is quoted, the index is not as
it was judged, an option's quote bears on the forwards of others, a row is within rounding of an edge of its
band, time has changed what something is. The full look decides then. Nothing of a mark is skipped by it:
quotes enter the market with their stamps, the index is held against forwards, other sources and its last
value, funding accrues, the equity is told.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hedger.core.footing import ABSURD_ROOM, Footing, Perpetual
from hedger.moment import Moment, UnderlyingMoment
from hedger.problem.later import Later
from hedger.problem.snapshot import Snapshot, take_snapshot
from pricing.contracts import STABLE_CURRENCIES, Kind
from pricing.daycount import NS_PER_SECOND, years_between
from pricing.expiries import expiries_of, expiry_of_rows
from pricing.forwards import BASIS_RATE_MAX
from pricing.market import (
    VOL_ABSURD_ABOVE,
    VOL_ABSURD_BELOW,
    Market,
    Marks,
    teller_of_rows,
    telling,
)
from pricing.oracle import LastGood
from pricing.steady import TOGETHER_NS, requoted_stands, told_index
from pricing.universe import BoolArray, FloatArray
from pricing.valuation import FORWARD_ABSURD_FACTOR
from risk.book_rows import DOUBT, FORWARD, OUTSIDE_LANDING, OUTSIDE_TRIGGER, VOL, look_at

#: A batch of more quotes is looked at in full.
ROWS_MAX = 16


@dataclass(frozen=True, slots=True, eq=False)
class Glance:
    """The book in `market`, from a footing. value: (m,) its rows. told, spot, prices: of the index and of
    the perpetuals quoted since the full look. options: as the footing has them, with the quotes since. edges:
    (5, m) target, trigger and landing. inside: every row is inside its landing. snapshot: the full look, made
    when somebody asks."""

    footing: Footing
    market: Market
    value: FloatArray
    edges: FloatArray
    inside: bool
    told: tuple[float, ...]
    spot: FloatArray
    prices: Mapping[int, float]
    options: FloatArray
    equity_usd: float
    snapshot: Later[Snapshot]

    @property
    def rows(self) -> tuple[str, ...]:
        """Names of the rows."""
        return self.footing.base.exposure.rows

    def breached(self, value: FloatArray) -> BoolArray:
        """Rows outside their trigger interval, (m,), as `risk.bands.Bands.breached`."""
        return np.asarray((value < self.edges[1]) | (value > self.edges[2]))

    def moment(self) -> Moment:
        """What triggers on rows and time look at; what only others ask (vol, slope, expiries) is unknown."""
        found = []
        for name, underlying, places, rows in self.footing.picked:
            target, low, high, inner_low, inner_high = self.edges[:, places]
            found.append(
                UnderlyingMoment(
                    name=name,
                    spot=float(self.spot[underlying]),
                    vol=math.nan,
                    rows=rows,
                    value=self.value[places],
                    target=target,
                    trigger_lower=low,
                    trigger_upper=high,
                    landing_lower=inner_low,
                    landing_upper=inner_high,
                    delta_slope=math.nan,
                )
            )
        return Moment(self.market.now_ns, tuple(found))


def look(
    footing: Footing, before: Glance | None, market: Market, marks: Marks, last_good: LastGood
) -> Glance | None:
    """The book after a batch of marks; None where the full look is due.

    Args:
        before: the last glance from the same footing, None right after the full look. market: before the
            batch. marks: stamped with the engine's time. last_good: the indexes before the batch.
    """
    now_ns, rows = marks.now_ns, marks.rows.tolist()
    perpetuals = footing.perpetuals
    if not (footing.base.market.now_ns <= now_ns < footing.until_ns and len(rows) <= ROWS_MAX):
        return None
    quoted = [row for row in rows if row not in perpetuals]
    if quoted and not (market.universe.kind[quoted] == Kind.OPTION).all():
        return None
    market = market.apply(marks)
    told = list(footing.told if before is None else before.told)
    prices = {} if before is None else dict(before.prices)
    for row in rows:
        if row in perpetuals:
            prices[row] = _price(market, row, footing.desk.age_s_max)
    options = footing.options if before is None else before.options
    if quoted:
        requoted = _requoted(footing, market, quoted, options)
        if requoted is None:
            return None
        options = requoted
    spot = _spot(footing, market, rows, told, footing.spot if before is None else before.spot, last_good)
    if spot is None or not _sound(prices, perpetuals, spot):
        return None
    out, equity, said = _rows(footing, spot, prices, options, now_ns)
    if said & DOUBT or not math.isfinite(equity):
        return None
    base = footing.base
    mine = {row: bands for row, bands in footing.overrides.items() if row.split(":")[1] in base.underlyings}
    later = Later(
        lambda: take_snapshot(base.book, market, footing.desk, mine, marked=True, last_good=last_good)
    )
    inside = not said & (OUTSIDE_TRIGGER | OUTSIDE_LANDING)
    return Glance(footing, market, out[0], out[1:], inside, tuple(told), spot, prices, options, equity, later)


def _price(market: Market, row: int, age_s_max: float) -> float:
    """What a perpetual is valued at, USD: its mark, else its mid; NaN where the quote is not to be used."""
    stamp = int(market.venue_ns[row])
    if stamp > market.now_ns + TOGETHER_NS or abs(market.now_ns - stamp) > age_s_max * NS_PER_SECOND:
        return math.nan
    mark = float(market.mark[row])
    if 0.0 < mark < math.inf:
        return mark
    bid, ask = float(market.bid[row]), float(market.ask[row])
    return 0.5 * (bid + ask) if 0.0 < bid < ask else math.nan


def _requoted(
    footing: Footing, market: Market, rows: Sequence[int], options: FloatArray
) -> FloatArray | None:
    """The options held with some quoted anew, (5, k); None where a quote may change more than its option."""
    places = expiry_of_rows(market.universe)
    if not all(_expiry_stands(footing, market, place) for place in set(places[rows].tolist())):
        return None
    age_ns = footing.desk.age_s_max * NS_PER_SECOND
    found = options.copy()
    for row in rows:
        stamp = int(market.venue_ns[row])
        if stamp > market.now_ns + TOGETHER_NS or not footing.until_ns - stamp <= age_ns:
            return None  # it is not fresh all the time
        column = footing.columns.get(row)
        if column is None:
            continue
        forward, vol = float(market.forward[row]), float(market.mark_iv[row])
        ratio = forward / float(footing.spot[market.universe.underlying[row]])
        most = FORWARD_ABSURD_FACTOR / (1.0 + ABSURD_ROOM)
        if not (1.0 / most <= ratio <= most and VOL_ABSURD_BELOW <= vol <= VOL_ABSURD_ABOVE):
            return None
        found[FORWARD, column], found[VOL, column] = forward, vol
    return found


def _expiry_stands(footing: Footing, market: Market, place: int) -> bool:
    """Whether every option of an expiry is valued on the forward published beside it, now as before."""
    choice = footing.choices.get(place)
    if choice is None:
        return False
    expiry, limits = expiries_of(market.universe)[place], footing.limits
    years = float(years_between(footing.until_ns, expiry.expiry_ns))
    allowed = (limits.forward_deviation_max + BASIS_RATE_MAX * years) * (1.0 - 1e-9)
    judged = footing.indexes[expiry.underlying].base
    return requoted_stands(market, expiry, choice, footing.desk.age_s_max, judged, allowed)


def _spot(
    footing: Footing,
    market: Market,
    rows: list[int],
    told: list[float],
    spot: FloatArray,
    last_good: LastGood,
) -> FloatArray | None:
    """Index per underlying, (underlyings,), with what the batch told; None where the oracle must be asked."""
    groups, touched, places = telling(market.universe), set(), teller_of_rows(market.universe)
    oldest = market.now_ns - footing.limits.age_s_max * NS_PER_SECOND
    for place in {int(places[row]) for row in rows}:
        newest, index = told_index(groups[place][2], market.venue_ns, market.index)
        if not (told[place] > 0.0 and index > 0.0 and newest >= oldest):
            return None
        if index != told[place]:
            told[place] = index
            touched.add(groups[place][1])
    if not touched:
        return spot
    spot = spot.copy()
    for u in touched:
        spot[u] = footing.indexes[u].value(told, footing.limits, last_good)
        if not spot[u] > 0.0:
            return None
    return spot


def _sound(prices: Mapping[int, float], perpetuals: Mapping[int, Perpetual], spot: FloatArray) -> bool:
    """Whether every price is one, and well within a factor of the index that is not absurd."""
    most = FORWARD_ABSURD_FACTOR / (1.0 + 0.5 * ABSURD_ROOM)
    for row, price in prices.items():
        ratio = price / float(spot[perpetuals[row].underlying])
        if not 1.0 <= ratio * most <= most * most:
            return False
    return True


def _rows(
    footing: Footing, spot: FloatArray, prices: Mapping[int, float], options: FloatArray, now_ns: int
) -> tuple[FloatArray, float, int]:
    """The rows of the book with their edges, (6, m), what it is worth, USD, and what is out of its bands."""
    more, balances = np.zeros(footing.of_row.size), dict(footing.base.balances)
    for row, perpetual in footing.perpetuals.items():
        natural = perpetual.natural
        if natural == 0.0:
            continue
        then, price = perpetual.price, prices.get(row, perpetual.price)
        if perpetual.inverse:
            more[perpetual.row] += natural / price
            balances[perpetual.currency] += natural / then - natural / price
        else:
            more[perpetual.row] += natural * price / spot[perpetual.underlying]
            balances[perpetual.currency] += natural * (price - then)
    equity = float(footing.stock @ spot)
    for currency, amount in balances.items():
        if currency in footing.coins:
            underlying, row = footing.coins[currency]
            more[row] += amount
            equity += amount * float(spot[underlying])
        elif currency not in footing.left_out:
            equity += amount if currency in STABLE_CURRENCIES else math.nan
    out = np.empty((6, more.size))
    worth, said = look_at(
        options, footing.groups, now_ns, spot, footing.spot, footing.table, footing.of_row, more, out
    )
    return out, equity + worth, said


def stamped(marks: Marks, now_ns: int) -> Marks:
    """A batch as one of the engine's time."""
    return marks if marks.now_ns == now_ns else replace(marks, now_ns=now_ns)
