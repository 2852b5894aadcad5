"""The market around an exchange: indices that walk, marks and Greeks from them, and a house that quotes.

One seed, one market. Options are marked at Black-76 (Black 1976, "The pricing of commodity contracts", J.
Fin. Econ. 3) on the forward of their expiry under a smile of three numbers; written out here once more, since
an exchange marked by the engine's own kernel could not contradict it.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from tests.exchanges.clock import NS
from tests.exchanges.core import Exchange
from tests.exchanges.words import Instrument, Kind, Mark, Side

YEAR_S = 365 * 86_400


@dataclass(frozen=True, slots=True)
class Greeks:
    """Of one coin of an option in USD: vega per vol point, theta per day, rho per rate point."""

    price: float
    delta: float
    gamma: float
    vega: float
    theta: float
    rho: float


def black76(forward: float, strike: float, years: float, vol: float, sign: int) -> Greeks:
    """Undiscounted value and Greeks; at expiry what the option pays."""
    if years <= 0 or vol <= 0:
        inside = sign * (forward - strike) > 0
        return Greeks(max(sign * (forward - strike), 0.0), float(sign) if inside else 0.0, 0.0, 0.0, 0.0, 0.0)
    root = vol * math.sqrt(years)
    d1 = math.log(forward / strike) / root + root / 2
    n1, n2 = _normal(sign * d1), _normal(sign * (d1 - root))
    density = math.exp(-d1 * d1 / 2) / math.sqrt(2 * math.pi)
    price = sign * (forward * n1 - strike * n2)
    vega = forward * density * math.sqrt(years)
    return Greeks(
        price,
        sign * n1,
        density / (forward * root),
        vega / 100,
        -vega * vol / (2 * years) / 365,
        -years * price / 100,
    )


def _normal(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2))


def rounded(price: float, tick: Decimal, up: bool) -> Decimal:
    """To the tick, away from the mid: bids down, asks up."""
    steps = (Decimal(repr(price)) / tick).to_integral_value(ROUND_CEILING if up else ROUND_FLOOR)
    return steps * tick


class World:
    """Drives one exchange. spots: price of each index; vols: at-the-money vol of each, 1.0 = 100 %.

    depth: levels a side; spread: half-width as a share of the price (options: 2 % of the mark).
    """

    def __init__(
        self,
        exchange: Exchange,
        spots: Mapping[str, float],
        *,
        vols: Mapping[str, float] | None = None,
        seed: int = 7,
        depth: int = 5,
        spread: float = 0.0002,
        basis_per_year: float = 0.05,
        size: float = 100_000.0,
    ) -> None:
        self.exchange = exchange
        self.spots = dict(spots)
        self.vols = dict(vols or {})
        self.depth = depth
        self.spread = spread
        self.basis_per_year = basis_per_year
        self.size = size
        self._dice = random.Random(seed)
        self.refresh()

    def years(self, instrument: Instrument) -> float:
        """To expiry; 0 for what has none."""
        if instrument.expiry_ns is None:
            return 0.0
        return max(instrument.expiry_ns - self.exchange.now_ns, 0) / NS / YEAR_S

    def forward(self, instrument: Instrument) -> float:
        """Of the expiry; the spot for what has none."""
        return self.spots[instrument.index] * math.exp(self.basis_per_year * self.years(instrument))

    def vol(self, instrument: Instrument) -> float:
        """The smile: at the money, a skew and a curvature in log-moneyness over the root of time."""
        years = max(self.years(instrument), 1 / 365)
        assert instrument.strike is not None
        x = math.log(float(instrument.strike) / self.forward(instrument)) / math.sqrt(years)
        at_the_money = self.vols.get(instrument.index, 0.6)
        return min(max(at_the_money * (1 - 0.08 * x + 0.12 * x * x), 0.05), 3.0)

    def greeks(self, instrument: Instrument) -> Greeks:
        """Of an option now."""
        assert instrument.strike is not None
        sign = 1 if instrument.right == "C" else -1
        return black76(
            self.forward(instrument),
            float(instrument.strike),
            self.years(instrument),
            self.vol(instrument),
            sign,
        )

    def mark(self, instrument: Instrument) -> Mark:
        """What the exchange publishes of an instrument."""
        forward = self.forward(instrument)
        if instrument.kind is not Kind.OPTION:
            price = Decimal(str(round(forward, 2)))
            return Mark(
                price,
                funding_rate=Decimal("0.0001") if instrument.kind is Kind.PERPETUAL else None,
                open_interest=Decimal(1_000_000),
            )
        g = self.greeks(instrument)
        price = Decimal(str(round(g.price / forward, 6) if instrument.inverse else round(g.price, 2)))
        return Mark(
            price, Decimal(str(round(forward, 4))), "", self.vol(instrument),
            g.delta, g.gamma, g.vega, g.theta, g.rho, None, Decimal(100),
        )  # fmt: skip

    def refresh(self, *, quotes: bool = True) -> None:
        """Publish indices, marks and quotes as they now are."""
        for name, price in self.spots.items():
            self.exchange.set_index(name, Decimal(str(round(price, 2))))
        for instrument in list(self.exchange.instruments.values()):
            if instrument.active and instrument.index in self.spots:
                self.exchange.set_mark(instrument.symbol, self.mark(instrument))
                if quotes:
                    self.exchange.quote(instrument.symbol, *self.levels(instrument))

    def levels(
        self, instrument: Instrument
    ) -> tuple[list[tuple[Decimal, Decimal]], list[tuple[Decimal, Decimal]]]:
        """The house's bids and asks around the mark."""
        mark = self.exchange.marks[instrument.symbol].price
        share = self.spread if instrument.kind is not Kind.OPTION else 0.02
        bids: list[tuple[Decimal, Decimal]] = []
        asks: list[tuple[Decimal, Decimal]] = []
        for side, rows in ((Side.BUY, bids), (Side.SELL, asks)):
            up = side is Side.SELL
            price = rounded(float(mark) * (1 + share * (1 if up else -1)), instrument.tick_at(mark), up)
            for level in range(self.depth):
                if price <= 0:
                    break
                rows.append((price, self._size(instrument, price, level)))
                price = self._next(instrument, price, up)
        return bids, asks

    def _next(self, instrument: Instrument, price: Decimal, up: bool) -> Decimal:
        """One tick further from the touch."""
        tick = instrument.tick_at(price)
        return price + tick if up else price - instrument.tick_at(price - tick)

    def _size(self, instrument: Instrument, price: Decimal, level: int) -> Decimal:
        """What is shown at a level: about `size` USD of a future, some dozen lots of an option."""
        if instrument.kind is Kind.OPTION:
            lots = Decimal(50 * (level + 1))
        else:
            worth = float(instrument.value(instrument.lot, price)) or 1.0
            usd = worth * float(price) if instrument.inverse else worth
            lots = Decimal(max(round(self.size * (level + 1) / usd), 1))
        return max(lots * instrument.lot, instrument.minimum)

    def move(self, index: str, share: float) -> None:
        """An index jumps by a share, and everything follows."""
        self.spots[index] *= 1 + share
        self.refresh()

    def expire(self) -> None:
        """Settle what has expired, at the index."""
        now = self.exchange.now_ns
        for i in list(self.exchange.instruments.values()):
            if i.active and i.expiry_ns is not None and now >= i.expiry_ns and i.index in self.spots:
                self.exchange.settle(i.symbol, self.exchange.indices[i.index])

    def step(self, seconds: float, *, trades: int = 1) -> None:
        """Let the market live for so long: indices walk, quotes follow, somebody trades, the old expires."""
        self.expire()
        for name in self.spots:
            vol = self.vols.get(name, 0.6)
            shock = self._dice.gauss(0.0, vol * math.sqrt(seconds / YEAR_S))
            self.spots[name] *= math.exp(shock)
        self.refresh()
        tradable = [x for x in self.exchange.instruments.values() if x.active and x.index in self.spots]
        for _ in range(trades if tradable else 0):
            instrument = self._dice.choice(tradable)
            side = self._dice.choice((Side.BUY, Side.SELL))
            lots = Decimal(self._dice.randint(1, 10))
            quantity = max(lots * instrument.lot, instrument.minimum)
            self.exchange.trade(instrument.symbol, side, quantity)
