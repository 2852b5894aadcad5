"""Limits as rows beside the bands: notional, concentration, cash per venue, and what a caller adds.

Net notional is linear in the trades. Gross notional, coins of one expiry or strike, and the cash a venue
keeps are not: opening a position, closing one, buying and selling each move them differently. They are
`SidedRows`, and `hedger.problem.split_columns` gives each of those its own column.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hedger.problem.column_caps import units_of
from hedger.problem.snapshot import Snapshot
from hedger.settings import Settings
from pricing.contracts import Kind
from pricing.daycount import iso
from pricing.universe import BoolArray, FloatArray, IntArray
from risk.costs import CostModel
from risk.standing import worth

#: Limits come before everything: doing nothing meets them, so they cost no row anything but trades.
LIMIT_PRIORITY = -3


@dataclass(frozen=True, slots=True, eq=False)
class ExtraRows:
    """Rows that the caller of `build_problem` adds, such as margin scenarios. k rows, n listings.

    value (k,) where the book stands; per_unit (k, n) what buying one order unit of each listing of the
    universe adds; lower, upper (k,) the required interval, +-inf = open; priority (k,) integers, small first
    (limits -3, margin -2, scenario floors -1, delta 0). Raises ValueError on shapes that do not fit.
    """

    names: tuple[str, ...]
    units: tuple[str, ...]
    value: FloatArray
    per_unit: FloatArray
    lower: FloatArray
    upper: FloatArray
    priority: IntArray

    def __post_init__(self) -> None:
        k = len(self.names)
        for name in ("units", "value", "per_unit", "lower", "upper", "priority"):
            if len(getattr(self, name)) != k:
                raise ValueError(f"EXTRA_ROWS: {len(getattr(self, name))} {name} for {k} rows; one each")

    @classmethod
    def none(cls, n: int) -> ExtraRows:
        """No rows on n listings."""
        no = np.zeros(0)
        return cls((), (), no, np.zeros((0, n)), no, no, np.zeros(0, dtype=np.int64))

    def __add__(self, other: ExtraRows) -> ExtraRows:
        parts = [
            np.concatenate([getattr(self, name), getattr(other, name)])
            for name in ("value", "per_unit", "lower", "upper", "priority")
        ]
        return ExtraRows(self.names + other.names, self.units + other.units, *parts)


@dataclass(frozen=True, slots=True, eq=False)
class SidedRows:
    """Limits that opening, closing, buying and selling move differently. k rows, n listings.

    value (k,) where the book stands; buy, sell, close (k, n) what one order unit bought to open, sold to
    open, or traded to close adds; held (n,) positions. The limits [lower, upper] (k,) hold where the book is.
    Opening never helps a row more than closing does: `upper` rows rise, `lower` rows fall most by opening.
    """

    names: tuple[str, ...]
    units: tuple[str, ...]
    value: FloatArray
    buy: FloatArray
    sell: FloatArray
    close: FloatArray
    lower: FloatArray
    upper: FloatArray
    held: FloatArray

    def moves(self) -> BoolArray:
        """Listings that any of the rows counts, (n,)."""
        effects = np.concatenate([self.buy, self.sell, self.close])
        return np.asarray((effects != 0).any(axis=0))

    def after(self, traded: FloatArray) -> FloatArray:
        """Rows after signed trades (n,) in order units: what can close a position closes it."""
        closing = np.where(
            np.sign(traded) == -np.sign(self.held), np.minimum(np.abs(traded), np.abs(self.held)), 0.0
        )
        opening = np.abs(traded) - closing
        bought, sold = np.where(traded > 0, opening, 0.0), np.where(traded < 0, opening, 0.0)
        return np.asarray(self.value + self.buy @ bought + self.sell @ sold + self.close @ closing)

    def broken(self, traded: FloatArray) -> BoolArray:
        """Limits that trades do not keep, rounding aside, (k,)."""
        after = self.after(traded)
        room = 1e-9 * (1.0 + np.abs(self.value) + np.abs(after))
        return np.asarray((after < self.lower - room) | (after > self.upper + room))

    def only(self, chosen: BoolArray) -> SidedRows:
        """Some of the rows."""
        return SidedRows(
            names=tuple(name for name, keep in zip(self.names, chosen, strict=True) if keep),
            units=tuple(unit for unit, keep in zip(self.units, chosen, strict=True) if keep),
            value=self.value[chosen],
            buy=self.buy[chosen],
            sell=self.sell[chosen],
            close=self.close[chosen],
            lower=self.lower[chosen],
            upper=self.upper[chosen],
            held=self.held,
        )


def net_rows(snapshot: Snapshot, settings: Settings) -> ExtraRows:
    """Net notional per underlying and of all: the sum of signed coins x index of perpetuals, futures and
    options, calls and puts alike. Spot is in the balances."""
    universe, limits = snapshot.market.universe, settings.limits
    rows = ExtraRows.none(len(universe))
    for group, mine in _groups(
        snapshot, limits.net_notional_usd_max, limits.net_notional_total_usd_max, "notional_net"
    ):
        name, most = group
        # What has no index is not tradable, and a book that holds it is blocked: it decides nothing here.
        usd = np.nan_to_num(np.where(mine, units_of(snapshot)[1], 0.0))
        value = float(usd @ snapshot.quantities)
        rows += ExtraRows(
            (name,),
            ("USD",),
            np.array([value]),
            usd[None, :],
            np.array([min(-most, value)]),
            np.array([max(most, value)]),
            np.array([LIMIT_PRIORITY], dtype=np.int64),
        )
    return rows


def sided_rows(
    snapshot: Snapshot, settings: Settings, costs: CostModel, tradable: IntArray, most: FloatArray
) -> SidedRows | None:
    """Gross notional, concentration and venue balances; None where none is limited, or none can be reached.

    most: (2, n) the largest buy and sell of each listing, order units. A row that all trades together cannot
    bring to its limit is left out.
    """
    can = np.zeros(len(snapshot.market.universe), dtype=np.bool_)
    can[tradable] = True
    found = [*_gross(snapshot, settings, can), *_balances(snapshot, settings, costs)]
    picked: list[_Row] = []
    for row in found:
        buy, sell, close = (np.where(can, effect, 0.0) for effect in (row.buy, row.sell, row.close))
        up = np.maximum(buy, 0.0) @ most[0] + np.maximum(sell, 0.0) @ most[1]
        down = np.minimum(buy, 0.0) @ most[0] + np.minimum(sell, 0.0) @ most[1]
        if row.value + up > row.upper or row.value + down < row.lower:
            picked.append(_Row(row.name, row.unit, row.value, buy, sell, close, row.lower, row.upper))
    if not picked:
        return None
    return SidedRows(
        names=tuple(row.name for row in picked),
        units=tuple(row.unit for row in picked),
        value=np.array([row.value for row in picked]),
        buy=np.array([row.buy for row in picked]),
        sell=np.array([row.sell for row in picked]),
        close=np.array([row.close for row in picked]),
        lower=np.array([row.lower for row in picked]),
        upper=np.array([row.upper for row in picked]),
        held=snapshot.quantities,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Row:
    """One sided row."""

    name: str
    unit: str
    value: float
    buy: FloatArray
    sell: FloatArray
    close: FloatArray
    lower: float
    upper: float


def _groups(
    snapshot: Snapshot, each: float | None, total: float | None, name: str
) -> Iterator[tuple[tuple[str, float], BoolArray]]:
    """((row, limit), listings) of a notional limit: per underlying, then of all of them."""
    universe = snapshot.market.universe
    derivative = universe.kind != Kind.SPOT
    if each is not None:
        for underlying in snapshot.underlyings:
            yield (f"{name}:{underlying}", each), derivative & universe.where_underlying(underlying)
    if total is not None:
        scope = [u for u, known in enumerate(universe.underlyings) if known in snapshot.underlyings]
        yield (f"{name}:all", total), derivative & np.isin(universe.underlying, scope)


def _gross(snapshot: Snapshot, settings: Settings, can: BoolArray) -> Iterator[_Row]:
    """Sums of |position|: notional in USD, and coins of the options of one expiry or strike, where any of
    them can be traded."""
    universe, limits = snapshot.market.universe, settings.limits
    coins, usd = units_of(snapshot)
    for (name, most), mine in _groups(
        snapshot, limits.gross_notional_usd_max, limits.gross_notional_total_usd_max, "notional_gross"
    ):
        yield _row_of_sizes(snapshot, name, "USD", np.where(mine, usd, 0.0), most)
    scope = np.isin(universe.underlying, [universe.underlyings.index(name) for name in snapshot.underlyings])
    options = np.flatnonzero(universe.is_option & scope)
    for limit, prefix in ((limits.expiry_coin_max, "expiry_coins"), (limits.strike_coin_max, "strike_coins")):
        if limit is None:
            continue
        members: dict[tuple[int, int, float], list[int]] = {}
        for i in options.tolist():
            strike = float(universe.strike[i]) if prefix == "strike_coins" else 0.0
            key = int(universe.underlying[i]), int(universe.expiry_ns[i]), strike
            members.setdefault(key, []).append(i)
        for (u, expiry_ns, strike), rows in sorted(members.items()):
            if not can[rows].any():
                continue
            name = f"{prefix}:{universe.underlyings[u]}:{iso(expiry_ns)[:10]}"
            weight = np.zeros(len(universe))
            weight[rows] = coins[rows]
            yield _row_of_sizes(
                snapshot, name + (f":{strike:g}" if strike else ""), universe.underlyings[u], weight, limit
            )


def _row_of_sizes(snapshot: Snapshot, name: str, unit: str, weight: FloatArray, most: float) -> _Row:
    """A limit on the sum of weight x |position|."""
    weight = np.nan_to_num(weight)  # as above: what has no index decides nothing
    value = float(weight @ np.abs(snapshot.quantities))
    return _Row(name, unit, value, weight, weight, -weight, -np.inf, max(most, value))


def _balances(snapshot: Snapshot, settings: Settings, costs: CostModel) -> Iterator[_Row]:
    """Cash left on a venue in a currency after premiums, fees, spot trades and the margin of what is opened.

    Each unit at the worst displayed price of its side, with its fee; closing frees no margin.
    """
    universe = snapshot.market.universe
    if not settings.limits.balance_min:
        return
    price, fee = _worst(costs)
    coins, usd = units_of(snapshot)
    settled = np.array([x.contract.settlement for x in universe.listings], dtype=object)
    venue = np.array([x.venue for x in universe.listings], dtype=object)
    paid = np.isin(universe.kind, [Kind.OPTION, Kind.SPOT])
    rates = settings.costs.margin.rates()
    for name, minimum in _told(settings.limits.balance_min):
        where, currency = name
        here = venue == where
        # USD per unit of the currency, for the fee, which the cost model has in USD
        usd_per = worth(currency, snapshot.spot)
        gets = here & (universe.kind == Kind.SPOT) & _is_underlying(snapshot, currency)
        effects = []
        for side, sign in enumerate((+1, -1)):
            cash = -sign * np.where(paid, price[side] * universe.size, 0.0) - fee[side] / usd_per
            margin = rates.share(universe.kind, np.full(len(universe), sign)) * usd / usd_per
            opening = np.where(here & (settled == currency), cash - margin, 0.0) + np.where(
                gets, sign * coins, 0.0
            )
            closing = np.where(here & (settled == currency), cash, 0.0) + np.where(gets, sign * coins, 0.0)
            effects.append((np.nan_to_num(opening), np.nan_to_num(closing)))
        (buy, buy_close), (sell, sell_close) = effects
        close = np.where(snapshot.quantities < 0, buy_close, sell_close)
        value = float(
            sum(amount for (v, _, c), amount in snapshot.book.cash.items() if (v, c) == (where, currency))
        )
        yield _Row(
            f"balance:{where}:{currency}",
            currency,
            value,
            buy,
            sell,
            close,
            min(minimum, value),
            np.inf,
        )


def _told(balance_min: Mapping[str, Mapping[str, float]]) -> Sequence[tuple[tuple[str, str], float]]:
    return [((v, c), least) for v, of in sorted(balance_min.items()) for c, least in sorted(of.items())]


def _is_underlying(snapshot: Snapshot, currency: str) -> BoolArray:
    """Listings on this coin, (n,)."""
    universe = snapshot.market.universe
    known = currency in universe.underlyings
    return universe.where_underlying(currency) if known else np.zeros(len(universe), dtype=np.bool_)


def _worst(costs: CostModel) -> tuple[FloatArray, FloatArray]:
    """Worst displayed price and largest fee (USD) of one order unit, (2, n), buys then sells; NaN where no
    depth is displayed."""
    levels, n = costs.levels, len(costs.universe)
    price, fee = np.full((2, n), np.nan), np.full((2, n), np.nan)
    side = np.where(levels.sign > 0, 0, 1)
    # levels are best first: what is written last is the worst
    price[side, levels.row] = levels.price
    for at, row, usd in zip(side.tolist(), levels.row.tolist(), levels.fee.tolist(), strict=True):
        fee[at, row] = np.fmax(fee[at, row], usd)
    return price, fee
