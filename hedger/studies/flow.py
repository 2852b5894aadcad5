"""What customers trade with a market maker: three seeded kinds, or a file.

- balanced: buys and sells alike, calls and puts, from 10 to 60 delta, two weeks in the middle.
- vol_sellers: four of five trades are sales to the maker, mostly covered calls, some cash-secured puts, weeks
  to two months out. The maker grows long of vega.
- wing_buyers: four of five trades are purchases from the maker, of 3 to 20 delta and half of them within days
  of expiry. The maker grows short of the wings and of gamma.

A customer pays half of the displayed spread on the mark: the maker earns it. What customers do at a snapshot
is drawn from the seed, the kind, the coin and the snapshot's time alone: neither the maker's hedges nor
anything later can move it.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from hedger.studies.chain_market import DAYS_MIN_TRADED, NO_DEALS, Contracts, Deals, View
from pricing.universe import FloatArray, IntArray

#: Coins of BTC a day; of another coin as many as cost the same.
BTC_A_DAY = 75.0
#: Of a trade, coins of BTC: mean and shape of the lognormal.
BTC_A_TRADE, SIZE_SHAPE = 2.5, 0.7
#: A pause of the tape is no flood of customers when it ends.
HOURS_MAX = 12.0
DELTA_SPAN = 0.15  # a miss of so much delta weighs like a factor e of the days


class Customers(StrEnum):
    """The kinds of flow."""

    balanced = "balanced"
    vol_sellers = "vol_sellers"
    wing_buyers = "wing_buyers"


@dataclass(frozen=True, slots=True)
class _Habit:
    """buys, calls: share of the trades. delta: |delta| drawn evenly from here. days, spread: median and log
    spread of the days to expiry of `near` of the trades, and of the others."""

    buys: float
    calls: float
    delta: tuple[float, float]
    near: float
    days: tuple[float, float]
    spread: tuple[float, float]


HABITS = {
    Customers.balanced: _Habit(0.5, 0.5, (0.10, 0.60), 0.5, (10.0, 20.0), (0.9, 0.9)),
    Customers.vol_sellers: _Habit(0.2, 0.7, (0.15, 0.40), 0.5, (14.0, 35.0), (0.5, 0.5)),
    Customers.wing_buyers: _Habit(0.8, 0.4, (0.03, 0.20), 0.5, (4.0, 20.0), (0.5, 0.7)),
}


def customer_deals(
    view: View, contracts: Contracts, kind: Customers, seed: int, hours: float, btc_in_coins: float
) -> Deals:
    """What customers do at a snapshot.

    hours: since the last one, counted up to HOURS_MAX. btc_in_coins: coins that cost as much as one bitcoin.
    """
    habit = HABITS[kind]
    name = zlib.crc32(f"{kind}:{contracts.underlying}".encode())
    rng = np.random.default_rng([seed, name, view.now_ns])
    mean = BTC_A_DAY / BTC_A_TRADE * min(hours, HOURS_MAX) / 24.0
    count = int(rng.poisson(mean))
    sizes = BTC_A_TRADE * btc_in_coins * rng.lognormal(-0.5 * SIZE_SHAPE**2, SIZE_SHAPE, count)
    buys, calls = rng.random(count) < habit.buys, rng.random(count) < habit.calls
    delta = rng.uniform(*habit.delta, count)
    near = rng.random(count) < habit.near
    days = np.exp(
        np.where(near, np.log(habit.days[0]), np.log(habit.days[1]))
        + np.where(near, habit.spread[0], habit.spread[1]) * rng.standard_normal(count)
    )
    open_rows = np.flatnonzero(view.tradable & (view.days >= DAYS_MIN_TRADED))
    if count == 0 or open_rows.size == 0:
        return NO_DEALS
    away = np.abs(np.abs(view.delta[open_rows])[None, :] - delta[:, None]) / DELTA_SPAN
    away += np.abs(np.log(view.days[open_rows])[None, :] - np.log(days)[:, None])
    away += np.where((view.sign[open_rows] > 0)[None, :] == calls[:, None], 0.0, 100.0)
    chosen = open_rows[np.argmin(away, axis=1)]
    at = view.at[chosen]
    lots = np.maximum(np.rint(sizes / contracts.lot[at]), np.ceil(contracts.least[at] / contracts.lot[at]))
    quantity = np.where(buys, -1.0, 1.0) * lots * contracts.lot[at]
    half = 0.5 * (view.ask - view.bid)[chosen]
    price = np.maximum(view.price[chosen] - np.sign(quantity) * half, 0.0)
    return Deals(at, quantity, price)


@dataclass(frozen=True, slots=True, eq=False)
class RecordedFlow:
    """Customers' trades from a file, in order of time; arrays (d,). price: NaN = at the mark."""

    time_ns: IntArray
    symbol: Sequence[str]
    quantity: FloatArray
    price: FloatArray

    def between(self, after_ns: int, until_ns: int, view: View, contracts: Contracts) -> Deals:
        """The trades of one coin after one moment and up to another; None of them is seen before its time.

        Customers' quantities: what a customer bought the maker sold.
        """
        first, last = np.searchsorted(self.time_ns, [after_ns, until_ns], side="right")
        place = {int(number): i for i, number in enumerate(view.at)}
        rows, numbers = [], []
        for i in range(int(first), int(last)):
            number = contracts.number_of(self.symbol[i])
            if number is not None and number in place:
                rows.append(i)
                numbers.append(number)
        if not rows:
            return NO_DEALS
        mark = np.array([view.price[place[number]] for number in numbers])
        price = np.where(np.isnan(self.price[rows]), mark, self.price[rows])
        return Deals(np.array(numbers, dtype=np.int64), -self.quantity[rows], price)
