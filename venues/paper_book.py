"""One listing's order book on paper: the displayed book, what we took from it, and our orders in its queues.

A state machine without clock or dice. The rules:

- Takers walk the displayed depth, best price first, to their limit. What they took is remembered at its
  price until the level refreshes: until its displayed size rises, or the price leaves the display and comes
  back, or, where that is stated, a time has passed. Two orders never take the same liquidity.
- Makers join behind everything displayed at their price. A trade at the price first uses up what is ahead of
  them. A trade through their price fills them first. No trade fills more than its size.
- A displayed opposite price that reaches a maker's price would have traded with it: it does, at the
  maker's price, and uses up that displayed liquidity. Where a feed has no trades this alone fills makers.
- An order priced beyond what is displayed has an unknown queue; it joins the back once its price shows.
- A crossed or locked display is no book: nothing is filled on it. Levels without a positive finite price
  and size are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from typing import NamedTuple

from pricing.contracts import Listing, Side
from pricing.daycount import NS_PER_SECOND
from pricing.market import NUMBER_ABSURD_ABOVE, NUMBER_ABSURD_BELOW, Depth
from venues.paper_terms import Queue

#: A displayed size this near a whole lot is that lot: sizes come as floats.
LOT_SLACK = Decimal("1e-9")


@dataclass(slots=True)
class Level:
    """A displayed price: its size, what we took of it, and when we last did."""

    size: Decimal
    taken: Decimal = Decimal(0)
    taken_ns: int = 0


@dataclass(slots=True)
class Resting:
    """An order of ours in a queue. ahead: order units before it, None where its price is out of view.

    shown: displayed at its price when last seen; traded: traded there since.
    """

    key: int
    side: Side
    price: Decimal
    left: Decimal
    ahead: Decimal | None
    shown: Decimal
    traded: Decimal = Decimal(0)


class Match(NamedTuple):
    """A fill: which resting order (-1: the taker), at what price, how much."""

    key: int
    price: Decimal
    quantity: Decimal


class PaperBook:
    """See the module. Prices in the venue's quotation, quantities in order units."""

    def __init__(self, listing: Listing, queue: Queue) -> None:
        self.listing = listing
        self.crossed = False
        self._queue = queue
        self._refresh_ns = None if queue.refresh_s is None else round(queue.refresh_s * NS_PER_SECOND)
        self._levels: dict[Side, dict[Decimal, Level]] = {Side.BUY: {}, Side.SELL: {}}
        self._resting: list[Resting] = []

    @property
    def resting(self) -> Sequence[Resting]:
        """Our orders, oldest first."""
        return self._resting

    @property
    def idle(self) -> bool:
        """Whether nothing rests here and nothing was taken: such a book can be made anew from the market."""
        return not self._resting and not any(
            level.taken for levels in self._levels.values() for level in levels.values()
        )

    def best(self, side: Side) -> Decimal | None:
        """Best displayed bid (BUY) or ask (SELL), taken or not; None where that side is empty."""
        prices = self._levels[side]
        if not prices:
            return None
        return max(prices) if side is Side.BUY else min(prices)

    def show(self, now_ns: int, bids: Depth, asks: Depth) -> list[Match]:
        """The display changed: remember, advance the queues, and fill makers that it reaches."""
        shown = {Side.BUY: _levels(bids), Side.SELL: _levels(asks)}
        self.crossed = bool(shown[Side.BUY] and shown[Side.SELL]) and max(shown[Side.BUY]) >= min(
            shown[Side.SELL]
        )
        if self.crossed:
            return []
        for side, sizes in shown.items():
            self._levels[side] = {p: self._renewed(side, p, size, now_ns) for p, size in sizes.items()}
        for order in self._resting:
            self._advance(order)
        matches: list[Match] = []
        for order in self._by_priority():
            matches += [
                Match(order.key, order.price, quantity)
                for _, quantity in self._walk(now_ns, order.side, order.left, order.price)
            ]
            order.left -= sum((m.quantity for m in matches if m.key == order.key), Decimal(0))
        self._sweep()
        return matches

    def trade(self, aggressor: Side, price: Decimal, size: Decimal) -> list[Match]:
        """Somebody traded: fill our makers on the other side, through-priced ones first, then by queue."""
        volume = self._lots(size)
        matches: list[Match] = []

        def fill(order: Resting) -> None:
            nonlocal volume
            quantity = min(order.left, volume)
            if quantity > 0:
                order.left -= quantity
                volume -= quantity
                matches.append(Match(order.key, order.price, quantity))

        passed = Decimal(0)
        for order in self._by_priority():
            if order.side is aggressor:
                continue
            if _better(order.side, order.price, price):
                order.ahead = Decimal(0)
                fill(order)
            elif order.price == price:
                order.traded += size
                if order.ahead is None:
                    continue
                before = min(max(order.ahead - passed, Decimal(0)), volume)
                passed += before
                volume -= before
                order.ahead = max(order.ahead - passed, Decimal(0))
                if order.ahead == 0:
                    fill(order)
        self._sweep()
        return matches

    def take(self, now_ns: int, side: Side, quantity: Decimal, limit: Decimal) -> list[Match]:
        """Walk the displayed depth with a price limit; what is taken is remembered."""
        return [Match(-1, price, taken) for price, taken in self._walk(now_ns, side, quantity, limit)]

    def offered(self, side: Side) -> list[tuple[Decimal, Decimal]]:
        """What a taker could have at which price, best first; nothing is taken."""
        if self.crossed:
            return []
        levels = self._levels[_other(side)]
        left = ((p, self._lots(levels[p].size - levels[p].taken)) for p in sorted(levels))
        found = [(price, quantity) for price, quantity in left if quantity > 0]
        return found if side is Side.BUY else found[::-1]

    def rest(self, key: int, side: Side, price: Decimal, quantity: Decimal) -> None:
        """Join the back of the queue at a price."""
        shown = self._shown(side, price)
        self._resting.append(Resting(key, side, price, quantity, shown, shown or Decimal(0)))

    def resize(self, key: int, left: Decimal) -> None:
        """An order has less left than before, and keeps its place."""
        for order in self._resting:
            if order.key == key:
                order.left = left

    def drop(self, key: int) -> None:
        """An order is gone."""
        self._resting = [order for order in self._resting if order.key != key]

    def would_take(self, side: Side, price: Decimal) -> bool:
        """Whether an order at this price would meet the displayed other side, taken or not."""
        opposite = self.best(_other(side))
        return opposite is not None and not _better(side, opposite, price)

    def meets_own(self, side: Side, price: Decimal) -> bool:
        """Whether an order at this price would meet a resting order of ours."""
        return any(o.side is not side and not _better(side, o.price, price) for o in self._resting)

    def _renewed(self, side: Side, price: Decimal, size: Decimal, now_ns: int) -> Level:
        old = self._levels[side].get(price)
        if old is None or size > old.size:
            return Level(size)
        if self._refresh_ns is not None and now_ns - old.taken_ns >= self._refresh_ns:
            return Level(size)
        return Level(size, min(old.taken, size), old.taken_ns)

    def _shown(self, side: Side, price: Decimal) -> Decimal | None:
        """Displayed size at a price; None where the display does not reach so far."""
        levels = self._levels[side]
        if price in levels:
            return levels[price].size
        worst = (min(levels) if side is Side.BUY else max(levels)) if levels else None
        return Decimal(0) if worst is not None and _better(side, price, worst) else None

    def _advance(self, order: Resting) -> None:
        """Move an order up its queue by what the display now says."""
        shown = self._shown(order.side, order.price)
        if shown is None:
            return
        if order.ahead is None:
            order.ahead = shown
        else:
            unexplained = max(order.shown - shown - order.traded, Decimal(0))
            order.ahead = min(order.ahead - self._queue.cancels_ahead * unexplained, shown)
            order.ahead = max(order.ahead, Decimal(0))
        order.shown, order.traded = shown, Decimal(0)

    def _by_priority(self) -> list[Resting]:
        """Best price first, of equal prices the oldest."""
        return sorted(self._resting, key=lambda o: -o.side.sign * o.price)

    def _walk(
        self, now_ns: int, side: Side, quantity: Decimal, limit: Decimal
    ) -> list[tuple[Decimal, Decimal]]:
        levels = self._levels[_other(side)]
        found: list[tuple[Decimal, Decimal]] = []
        for price, size in self.offered(side):
            if quantity <= 0 or _better(side, price, limit):
                break
            taken = min(size, quantity)
            levels[price].taken += taken
            levels[price].taken_ns = now_ns
            quantity -= taken
            found.append((price, taken))
        return found

    def _lots(self, size: Decimal) -> Decimal:
        lot = self.listing.lot
        return (size / lot + LOT_SLACK).to_integral_value(ROUND_FLOOR) * lot

    def _sweep(self) -> None:
        self._resting = [order for order in self._resting if order.left > 0]


def _levels(depth: Depth) -> dict[Decimal, Decimal]:
    """Size by price; what is no positive finite number is left out."""
    sizes: dict[Decimal, Decimal] = {}
    for price, size in zip(depth.price.tolist(), depth.size.tolist(), strict=True):
        if all(NUMBER_ABSURD_BELOW < x < NUMBER_ABSURD_ABOVE for x in (price, size)):
            exact = Decimal(repr(price))
            sizes[exact] = sizes.get(exact, Decimal(0)) + Decimal(repr(size))
    return sizes


def _other(side: Side) -> Side:
    return Side.SELL if side is Side.BUY else Side.BUY


def _better(side: Side, one: Decimal, other: Decimal) -> bool:
    """Whether a resting order at `one` stands strictly before one at `other`: a bid higher, an ask lower."""
    return one > other if side is Side.BUY else one < other
