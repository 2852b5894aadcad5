"""What a simulated run stands on: a small seeded market, a book, a paper venue, limits and settings.

One coin with a perpetual, a dated future, spot and two short option chains: small, so that hours of venue
time cost minutes, and jumpy, so that there is something to hedge. Bands are tight for the same reason.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType

import numpy as np

from hedger.core.gate import EngineSettings, Gate
from hedger.engine.limit_gate import LimitGate
from hedger.sample import SampleSettings, market_maker_book
from hedger.settings import Settings
from pricing.market import Market, Marks
from pricing.valuation import value
from risk.book import Book
from risk.limit_terms import (
    EVERY,
    BudgetLimits,
    Limits,
    MarginLimits,
    OrderLimits,
    PositionLimits,
    RepeatLimits,
)
from venues.paper_exchange import PaperExchange
from venues.paper_faults import Fault, FaultDice
from venues.paper_terms import FeeModel, Latencies, LogNormal, PaperTerms, Queue
from venues.simulated import START_NS, SimulatedMarket
from venues.simulated_law import DEFAULT_COINS, SimulationSettings

#: The mark of a simulated engine in its order ids.
TAG = "sim0"
VENUE = "simulated"
COIN = "BTC"
STEP_S = 1.0
#: Log jumps of the index, one every so many steps.
JUMP_SD, JUMP_STEPS = 0.004, 4

MARKET = SimulationSettings(
    coins=tuple(coin for coin in DEFAULT_COINS if coin.name == COIN),
    tenor_days=(4, 25),
    strikes_per_expiry=4,
    futures=1,
)
BOOK = SampleSettings(positions=8, notional_usd=4_000_000.0)
SETTINGS = Settings.model_validate(
    {
        "bands": {"*": {"delta_usd": {"target": 0, "trigger": [-15000, 15000], "landing": [-7000, 7000]}}},
        "universe": {"deny_buy": {"kinds": ["spot"]}, "deny_sell": {"kinds": ["spot"]}},
        "solver": {"time_limit_s": 60.0, "gap": 5e-3, "columns": 24},
        "execution": {
            "passive_seconds": 2.0,
            "book_age_s_max": 5.0,
            "participation": 0.5,
            # an order lost with the last fault is given up well before peace is asked for
            "watch": {"not_found_s_min": 15.0},
        },
    }
)
TERMS = PaperTerms(
    fees=FeeModel.LISTING,
    latency=Latencies(LogNormal(5_000_000, 0.5), LogNormal(20_000_000, 0.7), LogNormal(10_000_000, 0.7)),
    queue=Queue(),
    margin=None,
    dead_man_s=10.0,
    timeout_s=3.0,
)
LIMITS = Limits(
    position=PositionLimits(instrument_usd_max=20_000_000.0),
    order=OrderLimits(notional_usd_max=2_000_000.0),
    margin=MarginLimits(unproven_venues=frozenset({EVERY, VENUE})),
    repeat=RepeatLimits(fruitless_max=1000),
    budget=BudgetLimits(),
)


@dataclass(slots=True)
class Setting:
    """A seed's market, book, venue, limits. fed: when each batch was the venue's book, by its number."""

    seed: int
    market: SimulatedMarket
    opening: Book
    start_ns: int
    settings: Settings = SETTINGS
    limits: Limits = LIMITS
    terms: PaperTerms = TERMS
    step_s: float = STEP_S
    fed: dict[int, int] = field(default_factory=dict)
    _dice: np.random.Generator = field(default_factory=np.random.default_rng)
    _steps: int = 0

    @classmethod
    def of(cls, seed: int, start_ns: int = START_NS) -> Setting:
        """The setting of a seed."""
        source = SimulatedMarket(seed, start_ns, MARKET)
        market = Market.empty(source.universe).apply(source.marks())
        valuation = value(market, SETTINGS.age_s_max)
        book = market_maker_book(market, valuation, seed, SETTINGS.age_s_max, BOOK)
        prices = {x.key: float(valuation.forward[i]) for i, x in enumerate(market.universe.listings)}
        dice = np.random.default_rng([seed, 0x3A7])
        return cls(seed, source, book.opened_at(prices), start_ns, _dice=dice)

    def step(self) -> Marks:
        """The market a step later, jumping now and then."""
        self._steps += 1
        if self._steps % JUMP_STEPS == 0:
            self.market.shock(float(self._dice.normal(0.0, JUMP_SD)))
        marks = self.market.step(self.step_s)
        self.fed[marks.seq] = marks.now_ns
        return marks

    def exchange(self, faults: Sequence[Fault]) -> PaperExchange:
        """The venue, with the book's account on it."""
        start_ns = self.market.now_ns
        exchange = PaperExchange(
            VENUE,
            self.market.universe,
            self.terms,
            start_ns,
            book=self.opening,
            faults=faults,
            seed=self.seed,
        )
        marks = self.market.marks()
        self.fed[marks.seq] = marks.now_ns
        exchange.feed(marks)
        return exchange

    def no_faults(self) -> FaultDice:
        """Dice that never fall badly."""
        return FaultDice((), self.seed)

    def engine_settings(self, around: Callable[[Gate], Gate]) -> EngineSettings:
        """What the engine is told; around: put about the limits."""
        gate = LimitGate(self.limits, MappingProxyType({VENUE: True}))
        return EngineSettings(self.settings, TAG, around(gate), {VENUE: ""})

    def position_max(self) -> dict[tuple[str, str], Decimal]:
        """The limit of each instrument whose order unit is a dollar, order units."""
        most = Decimal(repr(self.limits.position.instrument_usd_max))
        symbol = f"{COIN}-PERPETUAL"
        return {(VENUE, symbol): most}
