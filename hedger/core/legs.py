"""In which order the legs of a ticket are traded, and how to get back if one of them fails.

Legs are worked one after another, so after each of them the book stands somewhere between the start and the
end of the ticket. The order chosen is the one whose worst such place is best:

1. least margin missing at a venue whose margin is known: an order that would be refused is no order;
2. least exposure: how far rows stand outside their triggers there, in widths of the desk's bands, summed;
3. least margin tied up there;
4. longs before shorts.

Both exposure and margin are convex in what is filled, so a leg that is filled in part is nowhere worse than
the worse of its ends: what is written of the ends holds on the way. Up to six legs every order is tried;
beyond that the best next leg is taken each time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache

import numpy as np

from hedger.core.leg_margin import MarginAfter, Tied
from pricing.contracts import Listing, Side
from pricing.universe import BoolArray, FloatArray
from risk.bands import Bands

#: With so many legs every order is gone through.
ALL_ORDERS_MAX = 6

#: Of the book after a set of legs, one bit each.
_Measure = Callable[[int], float]


def widths(bands: Bands) -> FloatArray:
    """The width of each row's trigger, (m,): with one side open twice the other's distance from the target;
    inf where both are."""
    below, above = bands.target - bands.trigger_lower, bands.trigger_upper - bands.target
    width = np.where(np.isinf(below), 2.0 * above, np.where(np.isinf(above), 2.0 * below, below + above))
    return np.maximum(width, np.finfo(float).tiny)


def excess(value: FloatArray, lower: FloatArray, upper: FloatArray, width: FloatArray) -> float:
    """How far rows (m,) stand outside [lower, upper] in all, in widths of their bands; NaN rows make it NaN.

    >>> excess(np.array([3.0, 0.0]), np.array([-1.0, -1.0]), np.array([1.0, 1.0]), np.array([2.0, 2.0]))
    1.0
    """
    return float(excesses(value[None, :], lower, upper, width)[0])


def excesses(value: FloatArray, lower: FloatArray, upper: FloatArray, width: FloatArray) -> FloatArray:
    """The same of several books, (s,) from values (s, m)."""
    banded = np.flatnonzero(np.isfinite(width))
    at = value[:, banded]
    out = np.maximum(np.maximum(lower[banded] - at, at - upper[banded]), 0.0) / width[banded]
    found: FloatArray = np.ascontiguousarray(out).sum(axis=1)
    return found


@dataclass(frozen=True, slots=True)
class Interim:
    """The book after some of the legs. out: rows outside their triggers, in band widths summed, inf where
    that is not known. margin_usd: tied up, NaN unknown; short_usd: missing, by what is known."""

    out: float
    margin_usd: float
    short_usd: float


@dataclass(frozen=True, slots=True)
class LegOrder:
    """legs: positions in the order to trade them. states: the book before the first, after each of them."""

    legs: tuple[int, ...]
    states: tuple[Interim, ...]

    @property
    def worst(self) -> float:
        """The farthest out that the book stands from the start to the end, band widths."""
        return max((state.out for state in self.states), default=0.0)


def leg_order(
    effects: FloatArray,
    value: FloatArray,
    bands: Bands,
    margin: MarginAfter,
    longs: Sequence[bool],
    width: FloatArray | None = None,
) -> LegOrder:
    """The order in which to trade k legs.

    Args:
        effects: (k, m) of each leg on the rows. value: (m,) where the rows stand. margin: after some legs.
        longs: (k,) buys. width: (m,) what counts as one band; the bands' own where None.
    """
    k, width = len(effects), widths(bands) if width is None else width
    outs = _Outs(effects, value, bands, width)

    @cache
    def tied(done: int) -> Tied:
        return margin(_members(done))

    def short(done: int) -> float:
        return round(tied(done).short, 2) if margin.may_miss else 0.0

    def rank(done: int) -> float:
        return _rank(tied(done))

    if k <= ALL_ORDERS_MAX:
        every = outs.of(_sets(range(1 << k), k))
        order = _least_on_the_way(k, (short, every.__getitem__, rank), longs)
    else:
        order = _greedy(k, short, outs, rank, longs)
    places = [sum(1 << i for i in order[:n]) for n in range(k + 1)]
    out = outs.of(_sets(places, k))
    return LegOrder(
        order, tuple(Interim(o, tied(x).tied, tied(x).short) for o, x in zip(out, places, strict=True))
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Outs:
    """How far the book stands outside after sets of legs, many of them at once."""

    effects: FloatArray
    value: FloatArray
    bands: Bands
    width: FloatArray

    def of(self, sets: BoolArray) -> list[float]:
        """(s,) by sets (s, k), in band widths, without the noise of sums; inf where it is not known."""
        moved = np.where(sets[:, :, None], self.effects, 0.0).sum(axis=1)
        found = excesses(self.value + moved, self.bands.trigger_lower, self.bands.trigger_upper, self.width)
        return [round(x, 9) if math.isfinite(x) else math.inf for x in found.tolist()]


def _sets(bits: Sequence[int], k: int) -> BoolArray:
    """Sets of legs as rows of a table, (s, k)."""
    return np.array([[x >> i & 1 for i in range(k)] for x in bits], dtype=np.bool_).reshape(len(bits), k)


def _members(done: int) -> list[int]:
    """The legs of a set, one bit each."""
    return [i for i in range(done.bit_length()) if done >> i & 1]


def _least_on_the_way(
    k: int, measures: tuple[_Measure, _Measure, _Measure], longs: Sequence[bool]
) -> tuple[int, ...]:
    """The order whose worst place between its ends is least by the first measure, among those by the second,
    and so on; then longs before shorts. Sets of legs are gone through once, not their orders."""
    short, out, tied = measures
    everything = (1 << k) - 1
    # Nothing missing cannot be bettered, and is the rule: margin is reckoned only where exposure is least.
    best = _narrowed(k, frozenset(range(everything + 1)), out)
    allowed = frozenset(x for x in best if x in (0, everything) or short(x) == 0.0)
    if k > 1 and not _reaches(k, allowed, 0):
        allowed = _narrowed(k, _narrowed(k, frozenset(range(everything + 1)), short), out)
    allowed = _narrowed(k, allowed, tied)
    order, done = list[int](), 0
    while len(order) < k:
        left = [i for i in range(k) if not done >> i & 1]
        nexts = [i for i in left if done | 1 << i in allowed and _reaches(k, allowed, done | 1 << i)]
        chosen = min(nexts, key=lambda i: (not longs[i], i))
        order.append(chosen)
        done |= 1 << chosen
    return tuple(order)


def _narrowed(k: int, allowed: frozenset[int], measure: _Measure) -> frozenset[int]:
    """The sets that leave the worst place on the way from none to all as good as it can be."""
    everything = (1 << k) - 1
    worst = {0: -math.inf}
    for done in range(1, everything + 1):
        if done not in allowed:
            continue
        before = min((worst.get(done ^ 1 << i, math.inf) for i in _members(done)), default=math.inf)
        own = -math.inf if done == everything or before == math.inf else measure(done)
        worst[done] = max(before, own)
    limit = worst.get(everything, math.inf)
    return frozenset(x for x, y in worst.items() if y <= limit or x in (0, everything))


def _reaches(k: int, allowed: frozenset[int], start: int) -> bool:
    """Whether a way leads from a set to all legs, one leg at a time."""
    everything, seen = (1 << k) - 1, {start}
    for done in range(start, everything):
        if done in seen:
            seen |= {done | 1 << i for i in range(k) if done | 1 << i in allowed}
    return everything in seen


def _rank(state: Tied) -> float:
    """Margin for comparison, to the cent: what is unknown is more than anything known, what is freed is 0."""
    return 1e15 if math.isnan(state.tied) else round(max(state.tied, 0.0), 2)


def _greedy(k: int, short: _Measure, outs: _Outs, rank: _Measure, longs: Sequence[bool]) -> tuple[int, ...]:
    """The best next leg each time: margin is ranked only among those that are level in what counts more."""
    order, member = list[int](), np.zeros(k, dtype=np.bool_)
    while len(order) < k:
        left = np.flatnonzero(~member)
        sets = np.repeat(member[None, :], left.size, axis=0)
        sets[np.arange(left.size), left] = True
        done = sum(1 << i for i in order)
        after = {i: (short(done | 1 << i), out) for i, out in zip(left.tolist(), outs.of(sets), strict=True)}
        least = min(after.values())
        level = [i for i, x in after.items() if x == least]
        chosen = level[0]
        if len(level) > 1:
            chosen = min(level, key=lambda i: (rank(done | 1 << i), not longs[i], i))
        order.append(chosen)
        member[chosen] = True
    return tuple(order)


@dataclass(frozen=True, slots=True)
class UnwindLeg:
    """What takes one leg back: the other side of it, at no worse a price than this."""

    listing: Listing
    side: Side
    quantity: Decimal
    limit_price: Decimal

    @property
    def text(self) -> str:
        """In words."""
        return (
            f"{self.side} {self.quantity} {self.listing.symbol} on {self.listing.venue} at {self.limit_price}"
        )


def unwind(
    legs: Sequence[tuple[Listing, Side, Decimal, Decimal]], price_limit_bps: float
) -> tuple[UnwindLeg, ...]:
    """How to take legs (listing, side, quantity, price paid) back, the last one first."""
    found = []
    for listing, side, quantity, price in reversed(legs):
        other = Side.SELL if side is Side.BUY else Side.BUY
        room = 1 + other.sign * Decimal(repr(price_limit_bps)) / 10_000
        back = listing.quantize_price(price * room, other)
        found.append(UnwindLeg(listing, other, quantity, max(back, listing.tick_steps.at(price))))
    return tuple(found)


def unwind_text(legs: Sequence[UnwindLeg], states: Sequence[Interim] = ()) -> tuple[str, ...]:
    """A line for each place where a ticket can break off: what takes back the legs done by then, and how the
    book stands there (states: before the first leg, after each of them)."""
    forward = list(reversed(legs))
    lines = []
    for i in range(1, len(forward)):
        line = f"if it stops after leg {i}: " + "; ".join(leg.text for leg in reversed(forward[:i]))
        lines.append(line + (f" ({_place(states[i])})" if states else ""))
    return tuple(lines)


def _place(state: Interim) -> str:
    margin = "unknown" if np.isnan(state.margin_usd) else f"{state.margin_usd:+z,.0f} USD"
    short = f", {state.short_usd:z,.0f} USD missing" if state.short_usd > 0 else ""
    return f"rows {state.out:.2f} band widths outside, margin {margin}{short}"
