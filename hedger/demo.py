"""The whole loop on a simulated market: marks, Greeks, bands, ticket, fills, book, verification, summary.

Fills happen at the cost model's prices against the displayed depth. The engine will take this loop over; what
it calls stays.
"""

from __future__ import annotations

import hashlib
import json
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import numpy as np

from hedger.documents import number
from hedger.planning import HedgePlan, PlanStatus, make_plan
from hedger.sample import SampleSettings, market_maker_book
from hedger.settings import Settings, SolverConfig
from hedger.snapshot import Snapshot, equity_usd, take_snapshot
from pricing.compiled import warm_up
from pricing.contracts import Kind, Side
from pricing.daycount import years_between
from pricing.market import Market
from pricing.oracle import GoodIndex, remember
from pricing.settlement import WINDOW_YEARS
from pricing.valuation import Numeraire, value
from risk.book import Book, Fill, PositionKey
from risk.costs import FUNDING_PERIOD_H, TradeCost
from venues.simulated import START_NS, SimulatedMarket

#: Market seconds between two marks of the demo.
STEP_S = 20.0
#: A search that ends by the clock is not reproducible: the demo's ends at its gap.
DEMO_SOLVER = SolverConfig(time_limit_s=60.0, gap=5e-3, columns=24)
DEMO_BOOK = SampleSettings(positions=24, notional_usd=1_500_000.0)


@dataclass(frozen=True, slots=True, eq=False)
class Hedge:
    """One hedge: the ticket, the fills, and how the exposures after the fills compare with the ticket."""

    plan: HedgePlan
    fills: tuple[Fill, ...]
    verified: bool
    worst_difference: str


@dataclass(slots=True)
class Tally:
    """What the closing summary adds up."""

    marks: int = 0
    hedges: int = 0
    verified: int = 0
    legs: int = 0
    cost: TradeCost = field(default_factory=TradeCost)
    outside: dict[str, int] = field(default_factory=dict)
    worst: dict[str, float] = field(default_factory=dict)


def fills_of(plan: HedgePlan) -> tuple[Fill, ...]:
    """A fill per displayed level that the plan takes, at its price, with the cost model's fee.

    Fees are paid in the settlement currency: in coin at the index for coin-settled contracts.
    """
    fills = []
    for leg, trade in enumerate(plan.trades):
        spot = plan.snapshot.spot[trade.listing.contract.underlying]
        per_coin = spot if trade.listing.contract.inverse else 1.0
        left = trade.quantity
        for level, (price, size, fee_usd) in enumerate(trade.levels):
            last = level + 1 == len(trade.levels)
            quantity = left if last else min(left, trade.listing.quantize_quantity(size))
            left -= quantity
            if quantity > 0:
                fills.append(
                    Fill(
                        listing=trade.listing,
                        side=trade.side,
                        quantity=quantity,
                        price=Decimal(repr(price)),
                        fee=Decimal(repr(round(fee_usd * float(quantity) / per_coin, 12))),
                        fee_currency=trade.listing.contract.settlement,
                        trade_id=f"{plan.snapshot.market.seq}-{leg}-{level}",
                        time_ns=plan.snapshot.market.now_ns,
                    )
                )
    return tuple(fills)


def verify(plan: HedgePlan, after: Snapshot) -> tuple[bool, str]:
    """Compare the exposures after the fills with the ticket, row by row.

    The ticket reckons trades at their reference price; the costs really paid in coin leave the coin balance,
    so a delta row may differ by them, and no other row by more than rounding.
    """
    worst, text, sound = 0.0, "every row as on the ticket", True
    for i, name in enumerate(plan.snapshot.exposure.rows):
        difference = float(after.exposure.value[i] - plan.after[i])
        moved = sum(abs(float(trade.effect[i])) for trade in plan.trades)
        scale = abs(float(plan.snapshot.exposure.value[i])) + moved
        allowed = 1e-9 * scale
        if name.startswith("delta:"):
            allowed += plan.cost.total / plan.snapshot.spot[name.split(":")[1]]
        sound &= abs(difference) <= allowed
        share = abs(difference) / scale if scale else 0.0
        if share > worst:
            worst, text = share, f"{name} differs by {difference:.3g}"
    return bool(sound), text


def run(
    seed: int,
    minutes: float,
    settings: Settings,
    on_hedge: Callable[[Hedge], None] | None = None,
    on_mark: Callable[[float], None] | None = None,
    on_start: Callable[[Snapshot], None] | None = None,
    start_ns: int = START_NS,
    step_s: float = STEP_S,
) -> dict[str, Any]:
    """Run the loop for `minutes` of market time; returns the document that `demo --json` prints.

    The same seed, minutes, start and step (market seconds between marks) give the same document.
    """
    warm_up()  # the first marks are hedged as fast as the others
    chosen = settings.model_copy(update={"solver": DEMO_SOLVER})
    if chosen.numeraire is Numeraire.COIN and not chosen.stable_underlying:
        # The fills are booked, so each dollar must count once for the ticket and the book to agree.
        chosen = chosen.model_copy(update={"stable_underlying": "BTC"})
    source = SimulatedMarket(seed, start_ns)
    market = Market.empty(source.universe).apply(source.marks())
    valuation = value(market, chosen.age_s_max)
    book = market_maker_book(market, valuation, seed, chosen.age_s_max, DEMO_BOOK)
    prices = {x.key: float(valuation.forward[i]) for i, x in enumerate(market.universe.listings)}
    book = book.opened_at(prices)
    unhedged = book
    tally, digest = Tally(), hashlib.sha256()
    last_good: dict[str, GoodIndex] = {}
    averages = _Averages()
    snapshot = take_snapshot(book, market, chosen, marked=True)
    start_equity = equity_usd(snapshot)
    if on_start is not None:
        on_start(snapshot)
    end_ns = source.now_ns + round(minutes * 60e9)
    while True:
        _count(tally, snapshot)
        hedge = None
        if snapshot.bands.breached(snapshot.exposure.value).any():
            plan = make_plan(snapshot, chosen)
            if plan.trades and plan.status in (PlanStatus.HEDGE, PlanStatus.RELAXED):
                hedge, book = _do(plan, chosen)
                tally.hedges += 1
                tally.verified += hedge.verified
                tally.legs += len(plan.trades)
                tally.cost += plan.cost
                if on_hedge is not None:
                    on_hedge(hedge)
            digest.update(_fingerprint(plan))
        digest.update(" ".join(f"{x:.9g}" for x in snapshot.exposure.value).encode())
        if on_mark is not None:
            on_mark((source.now_ns - (end_ns - round(minutes * 60e9))) / 60e9)
        seconds = min(step_s, (end_ns - source.now_ns) / 1e9)
        if seconds <= 0:
            break
        market = replace(market.apply(source.step(seconds)), settlement_average=averages.now())
        averages.note(market, chosen.age_s_max)
        book, unhedged = (_pass_time(b, market, seconds, averages, chosen) for b in (book, unhedged))
        last_good = remember(last_good, snapshot.readings.values(), snapshot.market.now_ns)
        snapshot = take_snapshot(book, market, chosen, marked=True, last_good=last_good)
    last = take_snapshot(book, market, chosen, marked=True)
    without = take_snapshot(unhedged, market, chosen, marked=True)
    return {
        "seed": seed,
        "minutes": minutes,
        "hedges": tally.hedges,
        "verified": tally.verified,
        "legs": tally.legs,
        "cost_usd": {**tally.cost.as_dict(), "total": tally.cost.total},
        "outside_bands": {row: n / tally.marks for row, n in sorted(tally.outside.items())},
        "worst": dict(sorted(tally.worst.items())),
        "pnl_usd": {
            "hedged": number(equity_usd(last) - start_equity),
            "unhedged": number(equity_usd(without) - start_equity),
        },
        "digest": digest.hexdigest(),
    }


def _count(tally: Tally, snapshot: Snapshot) -> None:
    """Add one mark to the tally: rows found outside, worst exposures."""
    tally.marks += 1
    breached = snapshot.bands.breached(snapshot.exposure.value)
    for i in np.flatnonzero(snapshot.bands.banded).tolist():
        row, x = snapshot.exposure.rows[i], float(snapshot.exposure.value[i])
        tally.outside[row] = tally.outside.get(row, 0) + int(breached[i])
        if abs(x) >= abs(tally.worst.get(row, 0.0)):
            tally.worst[row] = x


def _do(plan: HedgePlan, settings: Settings) -> tuple[Hedge, Book]:
    """Fill the plan, book the fills, value the book again and verify."""
    snapshot = plan.snapshot
    fills = fills_of(plan)
    book = snapshot.book
    for fill in fills:
        book = book.apply(fill)
    # The filled legs are reckoned at the same marks: gains against the fill price are in the balances.
    after = take_snapshot(book, snapshot.market, settings, marked=True)
    verified, text = verify(plan, after)
    return Hedge(plan, fills, verified, text), book


def _fingerprint(plan: HedgePlan) -> bytes:
    """What was decided: trades exactly, figures to nine digits."""
    legs = [(t.listing.symbol, str(t.side), str(t.quantity), str(t.limit_price)) for t in plan.trades]
    # Nine digits: the last ones of a sum differ between processors, and no decision hangs on them.
    figures = [f"{x:.9g}" for x in (plan.cost.total, *plan.after)]
    return json.dumps([str(plan.status), legs, figures]).encode()


class _Averages:
    """Average index since the settlement window of each expiry opened, from the marks seen."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, int], tuple[float, int]] = {}

    def note(self, market: Market, age_s_max: float) -> None:
        """Add a mark to every open window."""
        universe = market.universe
        spot = market.spot(age_s_max)
        for expiry_ns in np.unique(universe.expiry_ns[universe.expiry_ns > 0]).tolist():
            if 0.0 <= float(years_between(market.now_ns, expiry_ns)) <= WINDOW_YEARS:
                for u, name in enumerate(universe.underlyings):
                    if not np.isfinite(spot[u]):
                        continue  # an unknown index takes no part in the average
                    total, n = self._sums.get((name, expiry_ns), (0.0, 0))
                    self._sums[(name, expiry_ns)] = (total + float(spot[u]), n + 1)

    def now(self) -> dict[tuple[str, int], float]:
        """Averages so far, by (underlying, expiry)."""
        return {key: total / n for key, (total, n) in self._sums.items()}


def _pass_time(book: Book, market: Market, seconds: float, averages: _Averages, settings: Settings) -> Book:
    """Funding for the time passed, and the settlement of what expired in it."""
    universe = market.universe
    spot = dict(zip(universe.underlyings, market.spot(settings.age_s_max).tolist(), strict=True))
    for key, position in list(book.positions.items()):
        contract, row = position.listing.contract, universe.positions[position.listing.key]
        rate = float(market.funding_rate[row])
        if contract.kind is Kind.PERPETUAL and np.isfinite(rate):
            price = float(market.mark[row])
            natural = float(position.quantity) * float(universe.size[row])
            notional = natural / price if contract.inverse else natural * price
            paid = round(rate * notional * seconds / (FUNDING_PERIOD_H * 3600.0), 12)
            book = book.pay(
                position.listing.venue, position.account, contract.settlement, Decimal(repr(paid))
            )
        expiry_ns = int(universe.expiry_ns[row])
        if expiry_ns and expiry_ns <= market.now_ns:
            book = _settled(
                book, key, averages.now().get((contract.underlying, expiry_ns), spot[contract.underlying])
            )
    return book


def _settled(book: Book, key: PositionKey, price: float) -> Book:
    return book.settle(key, Decimal(repr(round(price, 4))))


def bar(fraction: float) -> None:
    """A progress bar on a terminal's stderr, without escape codes; nothing elsewhere."""
    if sys.stderr.isatty():
        done = round(40 * min(max(fraction, 0.0), 1.0))
        line = f"[{'#' * done}{'.' * (40 - done)}] {fraction:4.0%} of the market minutes"
        print(f"\r{line}", end="", file=sys.stderr, flush=True)


def clear_bar() -> None:
    """Take the bar off its line, so that what is printed next does not run into it."""
    if sys.stderr.isatty():
        print(f"\r{'':70}\r", end="", file=sys.stderr, flush=True)


def summary_text(document: dict[str, Any]) -> str:
    """The closing summary for people."""
    cost, pnl = document["cost_usd"], document["pnl_usd"]
    split = ", ".join(f"{name} {cost[name]:,.2f}" for name in TradeCost.__slots__)
    outside = [f"{row} {share:.0%}" for row, share in document["outside_bands"].items() if share]
    worst = [f"{row} {x:.4g}" for row, x in document["worst"].items() if x]
    paragraphs = [
        f"hedges {document['hedges']}, legs {document['legs']}, cost {cost['total']:,.2f} USD ({split})",
        f"found outside its band, share of the marks, before hedging: {', '.join(outside) or 'none'}",
        f"worst exposures, in the rows' units: {', '.join(worst) or 'none'}",
        f"P&L with hedging {pnl['hedged']:,.0f} USD, without {pnl['unhedged']:,.0f} USD",
        f"digest {document['digest'][:16]} (same seed, same result)",
    ]
    head = f"Closing summary: {document['minutes']:g} market minutes, seed {document['seed']}"
    wrapped = (textwrap.fill(text, 80, initial_indent="  ", subsequent_indent="    ") for text in paragraphs)
    return "\n".join([head, *wrapped])


def side_word(side: Side) -> str:
    """The side in words."""
    return "bought" if side is Side.BUY else "sold"
