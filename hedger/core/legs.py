"""In which order the legs of a ticket are traded, and how to get back if one of them fails.

Legs are worked one after another, so after each of them the book stands somewhere between the start and the
end of the ticket. The order chosen is the one whose worst such place is best: first by how far rows stand
outside their triggers there (in widths of their bands, summed), then by the initial margin tied up, then
longs before shorts. Up to six legs every order is tried; beyond that the best next leg is taken each time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import permutations

import numpy as np

from pricing.contracts import Listing, Side
from pricing.universe import FloatArray
from risk.bands import Bands

#: With so many legs every order is tried: 720 of them.
ALL_ORDERS_MAX = 6

_Out = Callable[[FloatArray], float]


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
    banded = np.isfinite(width)
    out = np.maximum(np.maximum(lower - value, value - upper), 0.0)[banded] / width[banded]
    return float(out.sum())


def leg_order(
    effects: FloatArray, value: FloatArray, bands: Bands, margin_usd: Sequence[float], longs: Sequence[bool]
) -> tuple[int, ...]:
    """The order in which to trade k legs, as positions.

    Args:
        effects: (k, m) of each leg on the rows. value: (m,) where the rows stand. margin_usd: (k,) initial
            margin that each leg ties up, < 0 frees it, NaN unknown (counts as more than any other).
        longs: (k,) buys.
    """
    k, width = len(effects), widths(bands)
    margin = np.nan_to_num(np.asarray(margin_usd, dtype=np.float64), nan=1e15)

    def out(done: FloatArray) -> float:
        found = excess(value + done, bands.trigger_lower, bands.trigger_upper, width)
        return round(found, 9) if np.isfinite(found) else np.inf

    if k > ALL_ORDERS_MAX:
        return _greedy(effects, margin, longs, out)
    memo: dict[frozenset[int], float] = {}

    def at(done: frozenset[int]) -> float:
        if done not in memo:
            memo[done] = out(effects[sorted(done)].sum(axis=0))
        return memo[done]

    def key(order: tuple[int, ...]) -> tuple[float, float, tuple[bool, ...], tuple[int, ...]]:
        worst = max((at(frozenset(order[:i])) for i in range(1, k)), default=0.0)
        tied = round(float(np.cumsum(margin[list(order)])[:-1].max(initial=0.0)), 2)
        return worst, tied, tuple(not longs[i] for i in order), order

    return min(permutations(range(k)), key=key, default=())


def _greedy(effects: FloatArray, margin: FloatArray, longs: Sequence[bool], out: _Out) -> tuple[int, ...]:
    left, order, done = set(range(len(effects))), [], np.zeros(effects.shape[1])
    while left:
        chosen = min(
            left, key=lambda i: (out(done + effects[i]), round(float(margin[i]), 2), not longs[i], i)
        )
        left.remove(chosen)
        order.append(chosen)
        done = done + effects[chosen]
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


def unwind_text(legs: Sequence[UnwindLeg]) -> tuple[str, ...]:
    """A line for each place where a ticket can break off: what takes back the legs done by then."""
    forward = list(reversed(legs))
    return tuple(
        f"if it stops after leg {i}: " + "; ".join(leg.text for leg in reversed(forward[:i]))
        for i in range(1, len(forward))
    )
