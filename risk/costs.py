"""What trading a listing costs. One model: the optimizer minimises it, paper fills charge it, reports show.

Costs are USD against a reference price, the model mid (the venue's mark) clamped into the touch, so that
every level costs at least nothing and no level costs less than the one before it:

- spread: from the reference to the best price; depth: from the best price to the level;
- fee: the listing's rate with its cap; carry: funding or basis over the holding horizon, costs only, and the
  financing of the initial margin that a position opened ties up;
- fixed: per trade, whatever its size.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pricing.contracts import Kind, Listing, Side
from pricing.daycount import HOURS_PER_YEAR
from pricing.market import Market
from pricing.universe import BoolArray, FloatArray, IntArray, Universe
from pricing.valuation import Valuation
from risk.standing import worth

FUNDING_PERIOD_H = 8.0
#: Venues cap funding at a few per cent per 8 h: a rate above the whole notional is a fault of the feed.
FUNDING_ABSURD_ABOVE = 1.0


@dataclass(frozen=True, slots=True)
class MarginRates:
    """Financing of initial margin: rate a year, and the margin of a position opened as a share of its
    notional at the index, by kind. Options bought are paid for and tie up none."""

    rate_per_year: float = 0.0
    perpetual: float = 0.02
    future: float = 0.02
    option_sold: float = 0.15

    def share(self, kind: NDArray[np.int8], sign: IntArray) -> FloatArray:
        """Of what is opened by a buy (+1) or a sell (-1) of each kind."""
        choices = [kind == Kind.PERPETUAL, kind == Kind.FUTURE, (kind == Kind.OPTION) & (sign < 0)]
        return np.select(choices, [self.perpetual, self.future, self.option_sold], 0.0)


@dataclass(frozen=True, slots=True)
class CostSettings:
    """holding_h: expected holding time, hours, for carry. fixed_usd: per trade (gas, ticket charge);
    fixed_usd_of: the same by venue, where it differs. margin: what margin costs."""

    holding_h: float = 24.0
    fixed_usd: float = 0.0
    fixed_usd_of: Mapping[str, float] = field(default_factory=dict)
    margin: MarginRates = MarginRates()


@dataclass(frozen=True, slots=True)
class TradeCost:
    """Cost of one trade, USD, by cause."""

    spread: float = 0.0
    depth: float = 0.0
    fee: float = 0.0
    carry: float = 0.0
    fixed: float = 0.0

    @property
    def total(self) -> float:
        """Sum of the parts."""
        return self.spread + self.depth + self.fee + self.carry + self.fixed

    def __add__(self, other: TradeCost) -> TradeCost:
        return TradeCost(*(getattr(self, n) + getattr(other, n) for n in TradeCost.__slots__))

    def as_dict(self) -> dict[str, float]:
        """The parts by name, as in the ticket."""
        return {name: getattr(self, name) for name in TradeCost.__slots__}


@dataclass(frozen=True, slots=True, eq=False)
class Levels:
    """Every displayed level of every tradable listing, by listing, then side, best first; shapes (k,).

    row: position in the universe. sign: +1 for an ask (we buy), -1 for a bid (we sell). price: venue's
    quotation. size: order units. spread, depth, fee, carry: USD per order unit.
    """

    row: IntArray
    sign: IntArray
    price: FloatArray
    size: FloatArray
    spread: FloatArray
    depth: FloatArray
    fee: FloatArray
    carry: FloatArray

    @property
    def unit_cost(self) -> FloatArray:
        """USD per order unit over the reference price, fees and carry included, (k,)."""
        return self.spread + self.depth + self.fee + self.carry

    def slice_of(self, row: int, sign: int) -> slice:
        """Where the levels of one side of one listing stand."""
        start, end = np.searchsorted(self.row, (row, row + 1)).tolist()
        middle = start + int(np.count_nonzero(self.sign[start:end] > 0))
        return slice(start, middle) if sign > 0 else slice(middle, end)


def _code(row: IntArray, sign: IntArray) -> IntArray:
    """Sort key: listing, buys before sells."""
    return np.asarray(2 * row + (sign < 0), dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Execution:
    """What walking the displayed depth gives: average and worst price in the venue's quotation, cost in USD.

    levels: (price, order units taken, fee in USD per order unit) of each level used, best first.
    """

    average_price: float
    worst_price: float
    cost: TradeCost
    levels: tuple[tuple[float, float, float], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Terms:
    """The columns of a universe that a cost depends on, for a selection of its rows; all (k,)."""

    kind: NDArray[np.int8]
    inverse: BoolArray
    size: FloatArray
    maker: FloatArray
    taker: FloatArray
    cap: FloatArray

    @classmethod
    def of(cls, universe: Universe, rows: IntArray) -> Terms:
        """The terms of some rows, repeated as often as a row is named."""
        return cls(*(getattr(universe, name)[rows] for name in cls.__slots__))


def reference_price(market: Market) -> FloatArray:
    """Model mid (venue mark, else the mid) clamped into [best bid, best ask], venue's quotation, (n,)."""
    with np.errstate(invalid="ignore", over="ignore"):
        middle = 0.5 * (market.bid + market.ask)
        mark = np.where(np.isfinite(market.mark), market.mark, middle)
        return np.clip(mark, market.bid, market.ask)


def price_difference_usd(
    terms: Terms, spot: FloatArray, price: FloatArray, reference: FloatArray
) -> FloatArray:
    """USD that one order unit costs more when bought at `price` instead of `reference`; all (k,).

    Inverse options: coin difference at the index. Inverse perpetuals and futures: Q (1/ref - 1/price)
    coin at the index. Everything else: the difference itself.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        coin_future = (1.0 / reference - 1.0 / price) * spot
    difference = price - reference
    choices = [~terms.inverse, terms.kind == Kind.OPTION]
    return np.select(choices, [difference, difference * spot], coin_future) * terms.size


def fee_usd(terms: Terms, spot: FloatArray, price: FloatArray, *, maker: bool = False) -> FloatArray:
    """Fee of one order unit at `price`, USD, (k,).

    Options: min(rate, cap x price) coin per coin when settled in coin, min(rate x index, cap x price)
    in USD otherwise. Perpetuals, futures and spot: rate x notional.
    A rebate (negative maker rate) counts as no fee: income is not a reason to trade.
    """
    rate = np.maximum(terms.maker if maker else terms.taker, 0.0)
    option = terms.kind == Kind.OPTION
    with np.errstate(divide="ignore", invalid="ignore"):
        # An option without a cap has cap = inf, and inf x 0 would be NaN.
        capped = np.where(np.isinf(terms.cap), np.inf, terms.cap * price)
        in_coin = np.minimum(rate, capped) * spot
        in_usd = np.minimum(rate * spot, capped)
        future_coin = rate / price * spot
        future_usd = rate * price
    choices = [option & terms.inverse, option, terms.inverse]
    return np.select(choices, [in_coin, in_usd, future_coin], future_usd) * terms.size


def notional_usd(listing: Listing, price: float, spot: Mapping[str, float]) -> float:
    """What the rate of a fee applies to, for one order unit at `price`, USD: of options the index, of inverse
    perpetuals and futures their dollars, of everything else the price. NaN where it is not known.

    spot: index by currency, USD.
    """
    contract, size = listing.contract, float(listing.size)
    if contract.kind is Kind.OPTION:
        return size * spot.get(contract.underlying, math.nan)
    return size if contract.inverse else size * price * worth(contract.settlement, spot)


def combo_fee(buy_fees: float, sell_fees: float) -> float:
    """Fee of a combo that buys and sells: the cheaper side is free (Deribit's combo and block rule).

    >>> combo_fee(30.0, 20.0), combo_fee(30.0, 0.0)
    (30.0, 30.0)
    """
    return max(buy_fees, sell_fees)


def carry_usd(
    market: Market, valuation: Valuation, settings: CostSettings
) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Expected carry of one order unit over the holding horizon, USD: (long, short, unknown), each (n,).

    Perpetuals: funding rate x notional x horizon / 8 h, paid by the long side when positive. Dated
    futures: the basis F - S (inverse, coin at the index: 1 - S/F per USD) runs off in a straight line until
    expiry. Only costs count; the side that would earn pays 0. `unknown`: perpetuals without a funding rate
    (or with an absurd one), counted as 0.
    """
    universe = market.universe
    spot = valuation.spot_of_listing()
    forward = valuation.forward
    told = np.abs(market.funding_rate) <= FUNDING_ABSURD_ABOVE
    rate = np.where(told, market.funding_rate, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        # One order unit of an inverse contract is one USD; of a linear one a coin.
        notional = np.where(universe.inverse, spot / forward, forward) * universe.size
        funding = rate * notional * (settings.holding_h / FUNDING_PERIOD_H)
        share = np.minimum(settings.holding_h / (HOURS_PER_YEAR * valuation.years), 1.0)
        basis = np.where(universe.inverse, 1.0 - spot / forward, forward - spot) * universe.size * share
    perpetual, future = universe.kind == Kind.PERPETUAL, universe.kind == Kind.FUTURE
    paid_by_long = np.select([perpetual, future], [funding, basis], 0.0)
    return np.maximum(paid_by_long, 0.0), np.maximum(-paid_by_long, 0.0), perpetual & ~told


def coins_per_unit(valuation: Valuation) -> FloatArray:
    """Coins of underlying in one order unit, (n,): its size; of inverse perpetuals and futures size / F."""
    universe = valuation.universe
    runs = (universe.kind == Kind.PERPETUAL) | (universe.kind == Kind.FUTURE)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(runs & universe.inverse, universe.size / valuation.forward, universe.size)


@dataclass(frozen=True, slots=True, eq=False)
class CostModel:
    """Costs of everything tradable in one market snapshot; build with `cost_model`.

    reference, funding_unknown, fixed_usd: (n,), the last in USD per trade.
    """

    universe: Universe
    levels: Levels
    reference: FloatArray
    funding_unknown: BoolArray
    fixed_usd: FloatArray

    def execute(self, row: int, side: Side, quantity: float) -> Execution:
        """Walk the displayed depth for `quantity` order units.

        Raises:
            ValueError: nothing, or more than what is displayed (beyond rounding).
        """
        part = self.levels.slice_of(row, side.sign)
        if part.start < part.stop and 0 < quantity <= float(self.levels.size[part.start]):
            return self._at_best(row, part.start, quantity)
        sizes = self.levels.size[part]
        if not 0 < quantity <= float(sizes.sum()) * (1 + 1e-12):
            symbol = self.universe.listings[row].symbol
            raise ValueError(f"{symbol}: {side} {quantity} is not within the displayed {sizes.sum()}")
        before = np.concatenate(([0.0], np.cumsum(sizes)[:-1]))
        taken = np.clip(quantity - before, 0.0, sizes)
        used = taken > 0
        price = self.levels.price[part]
        parts = {n: float(taken @ getattr(self.levels, n)[part]) for n in ("spread", "depth", "fee", "carry")}
        return Execution(
            average_price=float(taken @ price / taken.sum()),
            worst_price=float(price[used][-1]),
            cost=TradeCost(**parts, fixed=float(self.fixed_usd[row])),
            levels=tuple(
                zip(
                    price[used].tolist(),
                    taken[used].tolist(),
                    self.levels.fee[part][used].tolist(),
                    strict=True,
                )
            ),
        )

    def _at_best(self, row: int, level: int, quantity: float) -> Execution:
        """The same where the best level shows enough."""
        levels, price = self.levels, float(self.levels.price[level])
        fee = float(levels.fee[level])
        return Execution(
            average_price=quantity * price / quantity,
            worst_price=price,
            cost=TradeCost(
                spread=quantity * float(levels.spread[level]),
                depth=quantity * float(levels.depth[level]),
                fee=quantity * fee,
                carry=quantity * float(levels.carry[level]),
                fixed=float(self.fixed_usd[row]),
            ),
            levels=((price, quantity, fee),),
        )


def cost_model(
    market: Market,
    valuation: Valuation,
    tradable: Sequence[int] | NDArray[np.int64],
    settings: CostSettings,
    held: FloatArray | None = None,
) -> CostModel:
    """Price every displayed level of the `tradable` listings (places in the universe, two-sided quotes).

    held: (n,) the book's positions, order units; what closes them ties up no margin. None: nothing is held.
    """
    universe = market.universe
    rows, signs, prices, sizes = _displayed(market, np.asarray(tradable, dtype=np.int64))
    financed = settings.margin.rate_per_year > 0
    closes = np.zeros(rows.size, dtype=np.bool_)
    if financed and held is not None:
        rows, signs, prices, sizes, closes = _cut_at_held(rows, signs, prices, sizes, held)
    codes = _code(rows, signs)
    best = prices[np.searchsorted(codes, codes)]
    spot = valuation.spot_of_listing()[rows]
    terms = Terms.of(universe, rows)
    reference = reference_price(market)
    ref = reference[rows]
    to_best = signs * price_difference_usd(terms, spot, best, ref)
    to_level = signs * price_difference_usd(terms, spot, prices, ref)
    long_carry, short_carry, unknown = carry_usd(market, valuation, settings)
    carry = np.where(signs > 0, long_carry[rows], short_carry[rows])
    if financed:
        notional = (coins_per_unit(valuation) * valuation.spot_of_listing())[rows]
        rate = settings.margin.rate_per_year * settings.holding_h / HOURS_PER_YEAR
        carry += np.where(closes, 0.0, rate * settings.margin.share(terms.kind, signs) * notional)
    levels = Levels(
        row=rows,
        sign=signs,
        price=prices,
        size=sizes,
        spread=np.maximum(to_best, 0.0),
        depth=np.maximum(to_level - to_best, 0.0),
        fee=fee_usd(terms, spot, prices),
        carry=carry,
    )
    fixed = np.full(len(universe), float(settings.fixed_usd))
    if settings.fixed_usd_of:
        fixed[:] = [settings.fixed_usd_of.get(x.venue, settings.fixed_usd) for x in universe.listings]
    return CostModel(universe, levels, reference, unknown, fixed)


def _cut_at_held(
    rows: IntArray, signs: IntArray, prices: FloatArray, sizes: FloatArray, held: FloatArray
) -> tuple[IntArray, IntArray, FloatArray, FloatArray, BoolArray]:
    """The levels with those that close a position cut where it is closed, and which of them close."""
    codes = _code(rows, signs)
    total = np.cumsum(sizes)
    before = total - sizes - (total - sizes)[np.searchsorted(codes, codes)]
    room = np.maximum(np.where(np.sign(held[rows]) == -signs, np.abs(held[rows]), 0.0) - before, 0.0)
    inner = np.minimum(sizes, room)
    twice = np.flatnonzero((inner > 0) & (inner < sizes))
    at = np.sort(np.concatenate([np.arange(rows.size), twice]))
    second = np.concatenate([[False], at[1:] == at[:-1]])
    cut = np.zeros(rows.size, dtype=np.bool_)
    cut[twice] = True
    size = np.where(second, (sizes - inner)[at], np.where(cut[at], inner[at], sizes[at]))
    return rows[at], signs[at], prices[at], size, (inner[at] > 0) & ~second


def _displayed(market: Market, tradable: IntArray) -> tuple[IntArray, IntArray, FloatArray, FloatArray]:
    """(row, sign, price, size) of every displayed level, listing by listing, buys first, best first."""
    deep = [i for i in tradable.tolist() if i in market.depth] if market.depth else []
    flat = tradable[~np.isin(tradable, deep)] if deep else tradable
    # each with its asks, which we buy, before its bids
    sides = [side for i in deep for side in market.depth[i][::-1]]
    counts = np.array([side.price.size for side in sides], dtype=np.int64)
    row = np.concatenate(
        [np.repeat(flat, 2), np.repeat(np.repeat(np.array(deep, dtype=np.int64), 2), counts)]
    )
    way = np.tile(np.array([1, -1], dtype=np.int64), flat.size + len(deep))
    sign = np.repeat(way, np.concatenate([np.ones(2 * flat.size, dtype=np.int64), counts]))
    touch = np.column_stack((market.ask[flat], market.bid[flat])).ravel()
    price = np.concatenate([touch, *(side.price for side in sides)])
    touch = np.column_stack((market.ask_size[flat], market.bid_size[flat])).ravel()
    size = np.concatenate([touch, *(side.size for side in sides)])
    shown = (size > 0) & (price > 0)
    order = np.flatnonzero(shown)[np.argsort(_code(row[shown], sign[shown]), kind="stable")]
    return row[order], sign[order], price[order], size[order]
