"""An engine among paper venues, put together from a desk's settings: what demo, replay and run start with."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

from hedger.core.gate import EngineSettings
from hedger.core.headroom import headroom
from hedger.core.leg_margin import NO_MODELS, Models
from hedger.core.state import State
from hedger.engine.limit_gate import LimitGate
from hedger.moment import Memory
from hedger.planning import HedgePlan
from hedger.problem.snapshot import equity_usd, take_snapshot
from hedger.runs.latencies import read_latencies
from hedger.sections.paper import PaperConfig
from hedger.settings import Settings
from pricing.universe import Universe
from pricing.valuation import Numeraire
from risk.book import Book
from risk.costs import TradeCost
from risk.limit_terms import Limits
from risk.standing import worth
from venues.paper_terms import Constant, FeeModel, Latencies, LogNormal, PaperTerms, PriceBand, Queue

NS_PER_MS = 1_000_000


def paper_terms(settings: Settings, venue: str, models: Models) -> PaperTerms:
    """The settings as a paper venue takes them; without a model of its margin its closing report says so.

    Raises:
        InputError: the file of latencies cannot be used.
    """
    config = settings.paper
    margin = None
    if venue in models:
        margin = headroom(venue, *models[venue], settings.age_s_max)
    return PaperTerms(
        fees=FeeModel(config.fees),
        latency=_latencies(config),
        queue=Queue(cancels_ahead=Decimal(repr(config.cancels_ahead))),
        margin=margin,
        margin_unknown="" if margin is not None or config.margin == "none" else config.margin,
        price_band=PriceBand(Decimal(repr(config.price_band_bps)) / 10_000)
        if config.price_band_bps
        else None,
        combos=config.combos,
        order_rate=config.order_rate,
        order_burst=config.order_burst,
    )


def _latencies(config: PaperConfig) -> Latencies:
    if config.latency_file:
        return read_latencies(Path(config.latency_file))
    ways = (config.feed_ms, config.order_ms, config.answer_ms)
    return Latencies(*(_latency(ms, config.sigma) for ms in ways))


def _latency(ms: float, sigma: float) -> Constant | LogNormal:
    ns = round(ms * NS_PER_MS)
    return LogNormal(ns, sigma) if sigma > 0 and ns > 0 else Constant(ns)


def one_numeraire(settings: Settings) -> Settings:
    """The settings with each stable dollar counted against one coin only: fills are booked, so each must
    count once for the ticket and the book to agree."""
    if settings.numeraire is Numeraire.COIN and not settings.stable_underlying:
        return settings.model_copy(update={"stable_underlying": "BTC"})
    return settings


def paper_limits(limits: Limits, venues: Collection[str], age_s_max: float | None = None) -> Limits:
    """The hard limits on paper: its margin is not modelled, so what a venue's is, is excused there.

    age_s_max: where the feed is a tape, whose quotes are as old as they were recorded: that age is allowed.
    """
    margin = replace(limits.margin, unproven_venues=limits.margin.unproven_venues | frozenset(venues))
    age = limits.age
    if age_s_max is not None:
        age = replace(age, book_s_max=age_s_max, index_s_max=age_s_max, vol_s_max=age_s_max)
    return replace(limits, margin=margin, age=age)


def engine_settings(
    settings: Settings, tag: str, limits: Limits, venues: Collection[str], models: Models = NO_MODELS
) -> EngineSettings:
    """What `decide` is told on paper: no order of ours meets another there, it trades with the display."""
    gate = LimitGate(limits, dict.fromkeys(venues, True), models, assumed=settings.missing_settings())
    combos = frozenset(venues) if settings.paper.combos else frozenset[str]()
    return EngineSettings(
        settings, tag, gate, margin=models, combos=combos, largest=gate.largest, shut=gate.shut
    )


def fresh_state(universe: Universe, book: Book, start_ns: int, **known: Any) -> State:
    """The state before the first event, trades being asked for from `start_ns` on."""
    memory = Memory(started_ns=start_ns)
    return State.fresh(universe, book, dict.fromkeys(venues_of(universe), start_ns), memory=memory, **known)


def venues_of(universe: Universe) -> tuple[str, ...]:
    """The venues of a universe."""
    return tuple(sorted({listing.venue for listing in universe.listings}))


def wealth_usd(state: State, settings: Settings) -> float:
    """What the book is worth now, USD, less the funding that has run up; NaN where it cannot be told."""
    snapshot = take_snapshot(state.book, state.market, settings, marked=True, last_good=state.last_good)
    owed = Fraction(0)
    for (_, _, currency), amount in state.accrued.items():
        usd = worth(currency, snapshot.spot)
        if amount and math.isnan(usd):
            return float("nan")
        owed += Fraction(amount) * Fraction(usd) if amount else 0
    return equity_usd(snapshot) - float(owed)


def cost_of_fills(plan: HedgePlan, filled: Mapping[tuple[str, str], Decimal]) -> TradeCost:
    """What the filled part of a plan was to cost; filled: signed order units by (venue, symbol)."""
    total = TradeCost()
    for trade in plan.trades:
        done = abs(filled.get(trade.listing.key, Decimal(0)))
        total += trade.cost if done == trade.quantity else _scaled(trade.cost, float(done / trade.quantity))
    return total


def _scaled(cost: TradeCost, share: float) -> TradeCost:
    return TradeCost(**{name: share * part for name, part in cost.as_dict().items()})
