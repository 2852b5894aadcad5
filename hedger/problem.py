"""What may be traded, as the optimizer's problem; and the optimizer's answer, as trades on listings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from hedger.optimizer import HedgeProblem, Ladder
from hedger.settings import Settings
from hedger.snapshot import Snapshot
from pricing.contracts import Kind, Listing, Side
from pricing.errors import InputError
from pricing.market import Flag
from pricing.universe import BoolArray, FloatArray, IntArray
from pricing.valuation import MarkStatus, VolSource
from risk.bands import Bands, check_landing_room
from risk.costs import CostModel, TradeCost
from risk.exposures import DAYS_PER_YEAR

#: How far a mark may lie from the model on the vol beside it: coins per coin, plus a share of the price.
#: Wide: on five months of Deribit chains, prices and vols seconds apart, no option is off by 0.002 + 5 %.
MARK_OFF_COIN = 0.01
MARK_OFF_SHARE = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Trade:
    """One leg of a plan. quantity > 0 in order units; effect (m,) on all rows at the reference price.

    row: place of the listing in the universe. levels: (price, order units, fee in USD per order unit) of
    each displayed level it takes, best first.
    """

    listing: Listing
    row: int
    side: Side
    quantity: Decimal
    limit_price: Decimal
    expected_price: float
    cost: TradeCost
    effect: FloatArray
    levels: tuple[tuple[float, float, float], ...]


def hedge_universe(snapshot: Snapshot, settings: Settings) -> tuple[IntArray, dict[str, int]]:
    """Listings a plan may trade, and how many others were refused, by reason.

    Every listing on the book's underlyings with a fresh, sound two-sided quote; nothing on an underlying
    whose index is bad, no options that are about to expire, nor what is denied on both sides.
    """
    market, universe = snapshot.market, snapshot.market.universe
    names = np.array([u in snapshot.underlyings for u in universe.underlyings], dtype=np.bool_)
    in_scope = names[universe.underlying] if len(universe) else np.zeros(0, dtype=np.bool_)
    flags = market.flags(settings.age_s_max)
    days = snapshot.valuation.years * DAYS_PER_YEAR
    with np.errstate(invalid="ignore"):
        expiring = universe.is_option & (days < settings.gamma_days_min)
    buy, sell = _allowed(snapshot, settings)
    known = np.isfinite(snapshot.exposure.traded).all(axis=0) & (snapshot.valuation.status == MarkStatus.OK)
    refused: Counter[str] = Counter()
    usable = in_scope.copy()
    for flag in Flag:
        if flag is not Flag.OK:
            refused[flag.reason] = int((in_scope & (flags == flag)).sum())
    usable &= flags == Flag.OK
    no_index = [universe.underlyings.index(reading.underlying) for reading in snapshot.bad_indexes]
    tests = {
        "index_bad": np.isin(universe.underlying, no_index),
        "not_valued": ~known,
        "mark_off_model": _off_model(snapshot),
        "expiring": expiring,
    }
    for reason, bad in (*tests.items(), ("denied", ~(buy | sell))):
        refused[reason] = int((usable & bad).sum())
        usable &= ~bad
    return np.flatnonzero(usable), {reason: count for reason, count in refused.items() if count}


def _off_model(snapshot: Snapshot) -> BoolArray:
    """Options whose mark contradicts the vol quoted beside it, (n,): one of the two is a fault of the feed.

    A cost is reckoned from the mark: an ask of 0.5 at a mark of 0.5 would look free where the vol says 0.08.
    """
    market, valuation, universe = snapshot.market, snapshot.valuation, snapshot.market.universe
    with np.errstate(invalid="ignore", over="ignore"):
        coin = np.where(universe.inverse, 1.0, valuation.forward)
        allowed = MARK_OFF_COIN * coin + MARK_OFF_SHARE * valuation.price
        off = np.abs(market.mark - valuation.price) > allowed
    return np.asarray(universe.is_option & (valuation.vol_source == VolSource.VENUE_MARK) & off)


def denied_but_unlisted(snapshot: Snapshot, settings: Settings) -> tuple[str, ...]:
    """Symbols of the deny lists that this market does not list.

    Raises:
        InputError: such a symbol differs from a listed one by case or blanks only, or is not a venue's name:
            what was meant to be denied would trade.
    """
    listed = {x.symbol for x in snapshot.market.universe.listings}
    folded = {symbol.casefold() for symbol in listed}
    deny = settings.universe.deny_buy.symbols + settings.universe.deny_sell.symbols
    unlisted = tuple(sorted(set(deny) - listed))
    for symbol in unlisted:
        if symbol.strip().casefold() in folded or "/" in symbol:
            raise InputError(
                "DENY_SYMBOL",
                "a denied symbol is not written as its venue writes it",
                where="universe.deny_buy.symbols, universe.deny_sell.symbols",
                observed=repr(symbol),
                allowed="the venue's own names, as `risk --json` shows them",
                not_done="nothing was planned",
                fix="correct the symbol in the configuration",
            )
    return unlisted


def _allowed(snapshot: Snapshot, settings: Settings) -> tuple[BoolArray, BoolArray]:
    """Masks of what may be bought and what may be sold, (n,), (n,)."""
    universe = snapshot.market.universe
    masks = []
    for deny in (settings.universe.deny_buy, settings.universe.deny_sell):
        kinds = [Kind[name.upper()] for name in deny.kinds]
        named = (
            [i for i, x in enumerate(universe.listings) if x.symbol in deny.symbols] if deny.symbols else []
        )
        allowed = ~np.isin(universe.kind, kinds)
        allowed[named] = False
        masks.append(allowed)
    return masks[0], masks[1]


def build_problem(
    snapshot: Snapshot,
    settings: Settings,
    costs: CostModel,
    tradable: IntArray,
    lower: FloatArray,
    upper: FloatArray,
) -> HedgeProblem:
    """The optimizer's problem: the banded rows, the tradable columns and their ladders."""
    universe, exposure = snapshot.market.universe, snapshot.exposure
    banded = np.flatnonzero(snapshot.bands.banded)
    per_unit = exposure.traded[np.ix_(banded, tradable)]
    rows = tuple(exposure.rows[i] for i in banded)
    buy, sell = _allowed(snapshot, settings)
    unlimited = np.full(len(tradable), np.inf)
    with np.errstate(invalid="ignore"):
        steps = np.abs(per_unit) * universe.lot[tradable]
    smallest = np.min(np.where(steps > 0, steps, np.inf), axis=1, initial=np.inf)
    check_landing_room(rows, _select(snapshot.bands, banded), np.where(is_delta(rows), smallest, np.inf))
    return HedgeProblem(
        rows=rows,
        exposure=exposure.value[banded],
        lower=lower[banded],
        upper=upper[banded],
        columns=[universe.listings[i].symbol for i in tradable],
        per_unit=per_unit,
        ladders=_ladders(costs, tradable),
        lot=universe.lot[tradable],
        min_size=universe.minimum[tradable],
        max_buy=np.where(buy[tradable], unlimited, 0.0),
        max_sell=np.where(sell[tradable], unlimited, 0.0),
        fixed_cost=costs.fixed_usd,
    )


def is_delta(rows: Sequence[str]) -> BoolArray:
    return np.array([row.startswith("delta:") for row in rows], dtype=np.bool_)


def _select(bands: Bands, rows: IntArray) -> Bands:
    return Bands(*(getattr(bands, name)[rows] for name in Bands.__slots__))


def _ladders(costs: CostModel, tradable: IntArray) -> list[Ladder]:
    """Level sizes and unit costs of each tradable listing."""
    levels = costs.levels
    unit_cost, size = levels.unit_cost, levels.size
    starts = np.searchsorted(levels.row, tradable)
    ends = np.searchsorted(levels.row, tradable, side="right")
    sells = np.cumsum(np.concatenate(([0], levels.sign > 0)))
    ladders = []
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        middle = start + int(sells[end] - sells[start])
        # Levels rise in cost by construction, up to the last digit of a sum.
        buy = np.maximum.accumulate(unit_cost[start:middle])
        sell = np.maximum.accumulate(unit_cost[middle:end])
        ladders.append(Ladder(size[start:middle], buy, size[middle:end], sell))
    return ladders


def trades_of(
    quantity: FloatArray, snapshot: Snapshot, costs: CostModel, tradable: IntArray
) -> tuple[Trade, ...]:
    """Legs of a solution, largest cost first."""
    trades = []
    for column in np.flatnonzero(quantity).tolist():
        row, signed = int(tradable[column]), float(quantity[column])
        listing = snapshot.market.universe.listings[row]
        side = Side.BUY if signed > 0 else Side.SELL
        exact = abs(listing.quantize_quantity(signed))
        execution = costs.execute(row, side, float(exact))
        # An average of one level may miss its price by a rounding.
        low, high = sorted((execution.levels[0][0], execution.worst_price))
        trades.append(
            Trade(
                listing=listing,
                row=row,
                side=side,
                quantity=exact,
                limit_price=_limit(listing, execution.worst_price, side),
                expected_price=min(max(execution.average_price, low), high),
                cost=execution.cost,
                effect=snapshot.exposure.traded[:, row] * side.sign * float(exact),
                levels=execution.levels,
            )
        )
    return tuple(sorted(trades, key=lambda t: (-t.cost.total, t.listing.key)))


def _limit(listing: Listing, worst_price: float, side: Side) -> Decimal:
    """The worst displayed price the plan uses: a buy may pay it, so off-tick it is rounded away from us."""
    return listing.price_ceiling(worst_price) if side is Side.BUY else listing.price_floor(worst_price)


def part_of(problem: HedgeProblem, columns: IntArray, rows: IntArray) -> HedgeProblem:
    """The problem on some of its columns and rows."""
    assert problem.priority is not None
    return HedgeProblem(
        rows=[problem.rows[i] for i in rows],
        exposure=problem.exposure[rows],
        lower=problem.lower[rows],
        upper=problem.upper[rows],
        columns=[problem.columns[i] for i in columns],
        per_unit=problem.per_unit[np.ix_(rows, columns)],
        ladders=[problem.ladders[i] for i in columns],
        lot=problem.lot[columns],
        min_size=problem.min_size[columns],
        max_buy=problem.max_buy[columns],
        max_sell=problem.max_sell[columns],
        priority=problem.priority[rows],
        fixed_cost=np.asarray(problem.fixed_cost)[columns],
    )
