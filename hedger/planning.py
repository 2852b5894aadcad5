"""From a book in a market to the hedge plan: value, expose, compare with the bands, price the universe, solve.

Pure functions; the order of a plan is on one page in `make_plan`. The result holds numbers and names only:
`hedger.ticket` turns it into JSON and into what a trader reads.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum

import numpy as np

from hedger.optimizer import HedgeProblem, Ladder, Plan, SolverSettings, Status, single_option_plans, solve
from hedger.settings import Settings
from pricing.contracts import STABLE_CURRENCIES, ComboRule, Kind, Listing, Side
from pricing.market import Flag, Market
from pricing.universe import BoolArray, FloatArray, IntArray
from pricing.valuation import MarkStatus, Valuation, value
from risk.bands import Bands, Interval, check_landing_room, fixed_bands
from risk.book import Book, settles_daily
from risk.costs import CostModel, TradeCost, combo_fee, cost_model, reference_price
from risk.exposures import DAYS_PER_YEAR, Exposure, expose
from risk.missing import always_better, worst_case

#: Candidates of the cheapest perp-and-one-option plan that are solved in whole lots.
RUNNER_UP_CANDIDATES = 5

BandOverrides = Mapping[str, tuple[Interval, Interval]]
Stopwatch = Callable[[str], None]


class PlanStatus(StrEnum):
    """What the ticket says."""

    HEDGE = "hedge"
    NO_TRADE = "no_trade"
    RELAXED = "relaxed"
    BLOCKED = "blocked"


@dataclass(frozen=True, slots=True)
class Missing:
    """A position or balance that cannot be valued."""

    venue: str
    symbol: str
    reason: str
    age_s: float


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """A book valued in a market: everything `risk` shows and `plan` starts from."""

    book: Book
    market: Market
    valuation: Valuation
    quantities: FloatArray
    balances: Mapping[str, float]
    underlyings: tuple[str, ...]
    spot: Mapping[str, float]
    exposure: Exposure
    bands: Bands
    missing: tuple[Missing, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Trade:
    """One leg of a plan. quantity > 0 in order units; effect (m,) on all rows at the reference price."""

    listing: Listing
    row: int
    side: Side
    quantity: Decimal
    limit_price: Decimal
    expected_price: float
    cost: TradeCost
    effect: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Alternative:
    """Another way to hedge, for comparison."""

    cost_usd: float
    trades: tuple[Trade, ...]


@dataclass(frozen=True, slots=True, eq=False)
class HedgePlan:
    """The answer: trades, rows before and after, the certificate and the alternatives. Arrays (m,)."""

    snapshot: Snapshot
    status: PlanStatus
    reason: str
    required_lower: FloatArray
    required_upper: FloatArray
    after: FloatArray
    shadow_price: FloatArray
    binding: IntArray
    slack: FloatArray
    trades: tuple[Trade, ...]
    cost: TradeCost
    lower_bound_usd: float
    priced: int
    kept: int
    refused: Mapping[str, int]
    runner_up: Alternative | None
    delta_only: Alternative | None
    assumptions: tuple[str, ...]

    @property
    def gap(self) -> float:
        """(cost - bound) / cost, 0 without a cost."""
        return (self.cost.total - self.lower_bound_usd) / self.cost.total if self.cost.total > 0 else 0.0


def underlyings_of(book: Book, market: Market) -> tuple[str, ...]:
    """Underlyings on which the book holds a position or a coin balance, in the universe's order."""
    held = {p.listing.contract.underlying for p in book.positions.values()}
    held |= {currency for (_, _, currency) in book.cash}
    return tuple(name for name in market.universe.underlyings if name in held)


def take_snapshot(
    book: Book,
    market: Market,
    settings: Settings,
    overrides: BandOverrides | None = None,
    *,
    marked: bool = False,
) -> Snapshot:
    """Value a book: exposures, bands and what is missing.

    Args:
        marked: the book's futures gain from their recorded entries (`Book.opened_at`), so their gains up to
            now are added to the balances; False for a book just read, whose cash holds them.
    """
    valuation = value(market, settings.age_s_max)
    universe = market.universe
    underlyings = underlyings_of(book, market)
    quantities = book.quantities(universe)
    prices = future_prices(book, valuation) if marked else None
    balances = {name: float(amount) for name, amount in book.balances(prices).items()}
    spot = {name: float(valuation.spot[i]) for i, name in enumerate(universe.underlyings)}
    exposure = expose(
        quantities, balances, valuation, reference_price(market), underlyings, settings.exposure_settings()
    )
    bands = fixed_bands(
        exposure.rows, {u: settings.bands_of(u) for u in underlyings}, spot, settings.numeraire
    )
    for name, (trigger, landing) in (overrides or {}).items():
        bands = bands.with_row(exposure.rows.index(name), trigger, landing)
    return Snapshot(
        book=book,
        market=market,
        valuation=valuation,
        quantities=quantities,
        balances=balances,
        underlyings=underlyings,
        spot=spot,
        exposure=exposure,
        bands=bands,
        missing=_missing(book, market, valuation, exposure, spot),
    )


def future_prices(book: Book, valuation: Valuation) -> dict[tuple[str, str], float]:
    """Mark of every perpetual and future of the book, by listing."""
    positions = valuation.universe.positions
    listings = {p.listing.key for p in book.positions.values() if settles_daily(p.listing)}
    return {key: float(valuation.forward[positions[key]]) for key in sorted(listings)}


def equity_usd(snapshot: Snapshot) -> float:
    """What the book is worth, USD: balances at the index plus the value of options and spot positions.

    NaN where a position or a balance cannot be valued.
    """
    total = 0.0
    for currency, amount in snapshot.balances.items():
        total += amount * (
            1.0 if currency in STABLE_CURRENCIES else snapshot.spot.get(currency, float("nan"))
        )
    held = np.flatnonzero(snapshot.quantities)
    return total + float(snapshot.quantities[held] @ snapshot.valuation.value_usd[held])


def _missing(
    book: Book, market: Market, valuation: Valuation, exposure: Exposure, spot: Mapping[str, float]
) -> tuple[Missing, ...]:
    """Positions without a usable mark, and coin balances without an index."""
    age = market.age_s
    found = [
        Missing(*market.universe.listings[i].key, MarkStatus(valuation.status[i]).reason, float(age[i]))
        for i in exposure.missing
    ]
    for (venue, _, currency), amount in book.cash.items():
        if amount and currency in spot and not np.isfinite(spot[currency]):
            found.append(Missing(venue, currency, MarkStatus.NO_INDEX.reason, float("nan")))
    return tuple(found)


def _no_stopwatch(stage: str) -> None:
    """Stages are not timed."""


def make_plan(snapshot: Snapshot, settings: Settings, lap: Stopwatch = _no_stopwatch) -> HedgePlan:
    """The cheapest plan for a snapshot, its certificate and its alternatives.

    Args:
        lap: called with the name of each stage when it is done (the caller may hold a clock).
    """
    exposure, bands = snapshot.exposure, snapshot.bands
    lower, upper = bands.required(exposure.value)
    tradable, refused = hedge_universe(snapshot, settings)
    costs = cost_model(snapshot.market, snapshot.valuation, tradable, settings.cost_settings())
    lap("costs")
    problem = build_problem(snapshot, settings, costs, tradable, lower, upper)
    lap("problem")
    plan = solve(problem, settings.solver_settings())
    lap("solve")
    banded = np.flatnonzero(bands.banded)
    runner_up = (
        _runner_up(snapshot, problem, costs, tradable, settings)
        if plan.status is not Status.no_trade
        else None
    )
    lap("runner_up")
    delta_only = (
        _delta_only(snapshot, problem, costs, tradable, settings)
        if plan.status is not Status.no_trade
        else None
    )
    lap("delta_only")
    trades = _trades(plan.quantity, snapshot, costs, tradable)
    if runner_up is not None and runner_up.cost_usd < plan.cost and plan.status is not Status.relaxed:
        # The lot search stops at its gap: a simpler plan that is proven cheaper takes its place.
        trades = runner_up.trades
    after = exposure.value + sum((t.effect for t in trades), np.zeros(exposure.value.size))
    rows = _on_all_rows(exposure.value.size, banded)
    status, reason = _status(plan, snapshot)
    result = HedgePlan(
        snapshot=snapshot,
        status=status,
        reason=reason,
        required_lower=lower,
        required_upper=upper,
        after=after,
        shadow_price=rows(plan.shadow_price),
        binding=rows(plan.binding).astype(np.int64),
        slack=rows(plan.slack),
        trades=trades,
        cost=sum((t.cost for t in trades), TradeCost()),
        lower_bound_usd=float(plan.lower_bound),
        priced=len(tradable),
        kept=len(plan.kept),
        refused=refused,
        runner_up=runner_up,
        delta_only=delta_only,
        assumptions=_assumptions(snapshot, settings, costs, trades),
    )
    result = _block_if_incomplete(result, settings)
    lap("ticket")
    return result


def _on_all_rows(m: int, banded: IntArray) -> Callable[[FloatArray], FloatArray]:
    """Spread an array over the banded rows to all m rows, 0 elsewhere."""

    def spread(values: FloatArray) -> FloatArray:
        full = np.zeros(m)
        full[banded] = values
        return full

    return spread


def _status(plan: Plan, snapshot: Snapshot) -> tuple[PlanStatus, str]:
    """Status and one sentence."""
    names = [
        snapshot.exposure.rows[i] for i in np.flatnonzero(snapshot.bands.breached(snapshot.exposure.value))
    ]
    if plan.status is Status.no_trade:
        return PlanStatus.NO_TRADE, "every row is inside its trigger interval"
    if plan.status is Status.relaxed:
        return PlanStatus.RELAXED, plan.reason
    why = f"{', '.join(names)} outside trigger"
    if plan.status is Status.time_limit:
        why += f"; the lot search stopped at its time limit, {plan.gap:.2%} above the bound"
    return PlanStatus.HEDGE, why


def _block_if_incomplete(plan: HedgePlan, settings: Settings) -> HedgePlan:
    """An incomplete book is hedged only by a plan that helps whatever the missing legs are."""
    snapshot = plan.snapshot
    if not snapshot.missing:
        return plan
    names = ", ".join(f"{m.symbol} ({m.reason})" for m in snapshot.missing)
    low, high = worst_case(
        snapshot.market.universe,
        snapshot.quantities,
        snapshot.exposure.missing,
        snapshot.valuation.spot,
        snapshot.market.now_ns,
        snapshot.underlyings,
        settings.exposure_settings(),
        settings.missing_settings(),
    )
    without_index = any(m.reason == MarkStatus.NO_INDEX.reason for m in snapshot.missing)
    helps = always_better(
        snapshot.exposure.value, plan.after, plan.required_lower, plan.required_upper, low, high
    )
    if plan.trades and helps and not without_index:
        return replace(
            plan, reason=f"{plan.reason}; book incomplete: {names}: the plan helps whatever it adds"
        )
    return replace(
        plan,
        status=PlanStatus.BLOCKED,
        reason=f"book incomplete: {names}; nothing may be traded on what is known alone",
        after=snapshot.exposure.value,
        shadow_price=np.zeros(plan.after.size),
        binding=np.zeros(plan.after.size, dtype=np.int64),
        slack=np.zeros(plan.after.size),
        trades=(),
        cost=TradeCost(),
        lower_bound_usd=0.0,
        runner_up=None,
        delta_only=None,
    )


def hedge_universe(snapshot: Snapshot, settings: Settings) -> tuple[IntArray, dict[str, int]]:
    """Listings a plan may trade, and how many others were refused, by reason.

    Every listing on the book's underlyings with a fresh, sound two-sided quote; not options that are about to
    expire, nor what is denied on both sides.
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
    for reason, bad in (("not_valued", ~known), ("expiring", expiring), ("denied", ~(buy | sell))):
        refused[reason] = int((usable & bad).sum())
        usable &= ~bad
    return np.flatnonzero(usable), {reason: count for reason, count in refused.items() if count}


def _allowed(snapshot: Snapshot, settings: Settings) -> tuple[BoolArray, BoolArray]:
    """Masks of what may be bought and what may be sold, (n,), (n,)."""
    listings = snapshot.market.universe.listings
    masks = []
    for deny in (settings.universe.deny_buy, settings.universe.deny_sell):
        kinds, symbols = set(deny.kinds), set(deny.symbols)
        bad = [Kind(x.contract.kind).name.lower() in kinds or x.symbol in symbols for x in listings]
        masks.append(~np.array(bad, dtype=np.bool_))
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
    check_landing_room(rows, _select(snapshot.bands, banded), np.where(_is_delta(rows), smallest, np.inf))
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


def _is_delta(rows: Sequence[str]) -> BoolArray:
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


def _trades(
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
        trades.append(
            Trade(
                listing=listing,
                row=row,
                side=side,
                quantity=exact,
                limit_price=_limit(listing, execution.worst_price, side),
                expected_price=execution.average_price,
                cost=execution.cost,
                effect=snapshot.exposure.traded[:, row] * side.sign * float(exact),
            )
        )
    return tuple(sorted(trades, key=lambda t: (-t.cost.total, t.listing.key)))


def _limit(listing: Listing, worst_price: float, side: Side) -> Decimal:
    """The worst displayed price the plan uses: a buy may pay it, so it is rounded away from us if off-tick."""
    return listing.quantize_price(worst_price, Side.SELL if side is Side.BUY else Side.BUY)


def _columns(problem: HedgeProblem, columns: IntArray, rows: IntArray) -> HedgeProblem:
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


def _rows_of(problem: HedgeProblem, underlying: str) -> IntArray:
    return np.array(
        [i for i, row in enumerate(problem.rows) if row.split(":")[1] == underlying], dtype=np.int64
    )


def _breached(problem: HedgeProblem, rows: IntArray) -> bool:
    value = problem.exposure[rows]
    return bool(((value < problem.lower[rows]) | (value > problem.upper[rows])).any())


def _runner_up(
    snapshot: Snapshot, problem: HedgeProblem, costs: CostModel, tradable: IntArray, settings: Settings
) -> Alternative | None:
    """The cheapest plan with a perpetual and at most one option per underlying that meets the same rows."""
    universe = snapshot.market.universe
    total = np.zeros(len(tradable))
    for name in snapshot.underlyings:
        rows = _rows_of(problem, name)
        if not _breached(problem, rows):
            continue
        mine = universe.underlying[tradable] == universe.underlyings.index(name)
        perps = np.flatnonzero(mine & (universe.kind[tradable] == Kind.PERPETUAL))
        options = np.flatnonzero(mine & universe.is_option[tradable])
        best: tuple[float, FloatArray] | None = None
        for perp in perps.tolist():
            columns = np.concatenate(([perp], options)).astype(np.int64)
            part = _columns(problem, columns, rows)
            relaxed = single_option_plans(part, 0, np.arange(1, columns.size))
            order = np.argsort(relaxed, kind="stable")[:RUNNER_UP_CANDIDATES]
            tries = [[0], *([0, 1 + int(i)] for i in order if np.isfinite(relaxed[i]))]
            for pick in tries:
                chosen = np.array(pick, dtype=np.int64)
                found = solve(_columns(part, chosen, np.arange(rows.size)), _exact(settings))
                if found.status in (Status.optimal, Status.time_limit) and (
                    best is None or found.cost < best[0]
                ):
                    quantity = np.zeros(len(tradable))
                    quantity[columns[chosen]] = found.quantity
                    best = found.cost, quantity
        if best is None:
            return None
        total += best[1]
    trades = _trades(total, snapshot, costs, tradable)
    return Alternative(sum(t.cost.total for t in trades), trades)


def _delta_only(
    snapshot: Snapshot, problem: HedgeProblem, costs: CostModel, tradable: IntArray, settings: Settings
) -> Alternative | None:
    """What a delta hedger does: perpetuals only, delta rows only. None where no perpetual can do it."""
    universe = snapshot.market.universe
    rows = np.flatnonzero(_is_delta(problem.rows))
    perps = np.flatnonzero(universe.kind[tradable] == Kind.PERPETUAL)
    found = solve(_columns(problem, perps, rows), _exact(settings))
    if found.status is Status.relaxed:
        return None
    quantity = np.zeros(len(tradable))
    quantity[perps] = found.quantity
    trades = _trades(quantity, snapshot, costs, tradable)
    return Alternative(sum(t.cost.total for t in trades), trades)


def _exact(settings: Settings) -> SolverSettings:
    """The small problems of the alternatives, solved to the end."""
    return SolverSettings(time_limit_s=settings.solver.time_limit_s, gap=0.0, columns=settings.solver.columns)


def _assumptions(
    snapshot: Snapshot, settings: Settings, costs: CostModel, trades: tuple[Trade, ...]
) -> tuple[str, ...]:
    """What the ticket takes for granted."""
    universe, valuation = snapshot.market.universe, snapshot.valuation
    said = [
        "a trade's effect includes the premium it pays: an option settled in coin bought for v coin lowers delta by v",
        "costs are against the venue's mark clamped into the touch; taker fees; displayed depth as it stands",
        f"carry over {settings.costs.holding_h:g} h counts costs only; income counts 0",
    ]
    for i in np.flatnonzero(costs.funding_unknown).tolist():
        listing = universe.listings[i]
        if listing.contract.underlying in snapshot.underlyings:
            said.append(f"{listing.venue} {listing.symbol}: funding rate unknown, carry counted as 0")
    held = snapshot.quantities != 0
    for i in np.flatnonzero(valuation.in_window & held).tolist():
        key = (universe.underlyings[universe.underlying[i]], int(universe.expiry_ns[i]))
        if key not in snapshot.market.settlement_average:
            said.append(f"{universe.listings[i].symbol}: average so far unknown, the index stands in")
    stable = any(snapshot.balances.get(c, 0.0) for c in STABLE_CURRENCIES)
    if (
        settings.numeraire == "coin"
        and stable
        and len(snapshot.underlyings) > 1
        and not settings.stable_underlying
    ):
        said.append("stable balances are counted against each coin; set stable_underlying to count them once")
    saved = _combo_saving(trades)
    if saved > 0:
        said.append(
            f"legs trade one by one at full fees; as combos the cheaper sides' fees, {saved:.2f} USD, fall away"
        )
    return tuple(said)


def _combo_saving(trades: tuple[Trade, ...]) -> float:
    """Fees that fall away when each underlying's option legs trade as one combo where the venue has the rule, USD."""
    sides: dict[tuple[str, str], dict[Side, float]] = {}
    for trade in trades:
        listing = trade.listing
        if listing.contract.kind is Kind.OPTION and listing.fees.combo is ComboRule.CHEAPER_SIDE_FREE:
            fees = sides.setdefault(
                (listing.venue, listing.contract.underlying), {Side.BUY: 0.0, Side.SELL: 0.0}
            )
            fees[trade.side] += trade.cost.fee
    return sum(f[Side.BUY] + f[Side.SELL] - combo_fee(f[Side.BUY], f[Side.SELL]) for f in sides.values())
