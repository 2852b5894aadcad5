"""What a simulated run stands on: a small seeded market, a book, a paper venue, limits and settings.

One coin with a perpetual, a dated future, spot and two short option chains: small, so that hours of venue
time cost minutes, and jumpy, so that there is something to hedge. Bands are tight for the same reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from types import MappingProxyType

import numpy as np

from hedger.core.gate import EngineSettings, Gate
from hedger.engine.limit_gate import LimitGate
from hedger.sample import SampleSettings, market_maker_book
from hedger.settings import Settings
from hedger.simulator.twin import TWIN, TwinMarket
from pricing.contracts import Kind
from pricing.daycount import NS_PER_SECOND
from pricing.market import Market, Marks
from pricing.universe import Universe
from pricing.valuation import value
from risk.book import Book, Position
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
#: The same with an expiry a day ahead of the market's own beginning: a run lies at the end of that day.
EXPIRING = replace(MARKET, tenor_days=(1, 4, 25))
DAY_NS = 86_400 * NS_PER_SECOND
BOOK = SampleSettings(positions=8, notional_usd=4_000_000.0)
SETTINGS = Settings.model_validate(
    {
        "bands": {"*": {"delta_usd": {"target": 0, "trigger": [-15000, 15000], "landing": [-7000, 7000]}}},
        "universe": {"deny_buy": {"kinds": ["spot"]}, "deny_sell": {"kinds": ["spot"]}},
        "solver": {"time_limit_s": 1.0, "gap": 5e-3, "columns": 24},
        "execution": {
            "passive_seconds": 2.0,
            "book_age_s_max": 5.0,
            "participation": 0.5,
        },
    }
)
#: Bands so narrow that options are traded too, on a venue that takes combos of them.
WITH_COMBOS = Settings.model_validate(
    SETTINGS.model_dump(mode="json")
    | {
        "bands": {
            "*": {
                "delta_usd": {"target": 0, "trigger": [-15000, 15000], "landing": [-7000, 7000]},
                "gamma_usd_per_1pct": {"target": 0, "trigger": [-2500, 2500], "landing": [-1500, 1500]},
                "vega_usd_per_point": {"target": 0, "trigger": [-150, 150], "landing": [-80, 80]},
                "vega_bucket_multiple": 1.0,
            }
        }
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
    margin=MarginLimits(unproven_venues=frozenset({EVERY, VENUE, TWIN})),
    repeat=RepeatLimits(fruitless_max=1000),
    budget=BudgetLimits(),
)


@dataclass(slots=True)
class Setting:
    """A seed's market, book, venues, limits. dice: of the jumps, seeded. fed: when each batch was the venues'
    book, by its number."""

    seed: int
    market: SimulatedMarket | TwinMarket
    opening: Book
    start_ns: int
    dice: np.random.Generator
    settings: Settings = SETTINGS
    limits: Limits = LIMITS
    terms: PaperTerms = TERMS
    step_s: float = STEP_S
    fed: dict[int, int] = field(default_factory=dict)
    _steps: int = 0

    @classmethod
    def of(
        cls,
        seed: int,
        start_ns: int = START_NS,
        *,
        expiring: bool = False,
        venues: int = 1,
        combos: bool = False,
    ) -> Setting:
        """The setting of a seed. expiring: options of the book expire at the next 08:00; venues: 1 or 2.
        combos: options are traded, too, and the venues take combos of them."""
        source = _source(seed, start_ns, expiring)
        market = Market.empty(source.universe).apply(source.marks())
        valuation = value(market, SETTINGS.age_s_max)
        book = market_maker_book(market, valuation, seed, SETTINGS.age_s_max, BOOK)
        if expiring:
            book = _with_expiring(book, market.universe)
        prices = {x.key: float(valuation.forward[i]) for i, x in enumerate(market.universe.listings)}
        opening = book.opened_at(prices)
        shown = source if venues == 1 else TwinMarket(source)
        dice = np.random.default_rng([seed, 0x3A7])
        settings, terms = (WITH_COMBOS, replace(TERMS, combos=True)) if combos else (SETTINGS, TERMS)
        return cls(seed, shown, opening, start_ns, dice, settings, terms=terms)

    @property
    def venues(self) -> tuple[str, ...]:
        """Their names, the first one with the book on it."""
        return (VENUE, TWIN) if isinstance(self.market, TwinMarket) else (VENUE,)

    def step(self) -> Marks:
        """The market a step later, jumping now and then."""
        self._steps += 1
        if self._steps % JUMP_STEPS == 0:
            self.market.shock(float(self.dice.normal(0.0, JUMP_SD)))
        marks = self.market.step(self.step_s)
        self.fed[marks.seq] = marks.now_ns
        return marks

    def exchanges(self, faults: Mapping[str, Sequence[Fault]]) -> dict[str, PaperExchange]:
        """The venues by name, with the book's accounts on them. faults: by venue."""
        marks = self.market.marks()
        self.fed[marks.seq] = marks.now_ns
        found = {}
        for at, name in enumerate(self.venues):
            found[name] = PaperExchange(
                name,
                self.market.universe,
                self.terms,
                self.market.now_ns,
                book=self.opening,
                faults=faults.get(name, ()),
                seed=self.seed + at,
            )
            found[name].feed(marks)
        return found

    def no_faults(self) -> FaultDice:
        """Dice that never fall badly."""
        return FaultDice((), self.seed)

    def engine_settings(self, around: Callable[[Gate], Gate]) -> EngineSettings:
        """What the engine is told; around: put about the limits."""
        gate = LimitGate(self.limits, MappingProxyType(dict.fromkeys(self.venues, True)))
        accounts = dict.fromkeys(self.venues, "")
        combos = frozenset(self.venues) if self.terms.combos else frozenset[str]()
        return EngineSettings(
            self.settings, TAG, around(gate), accounts, largest=gate.largest, combos=combos, shut=gate.shut
        )

    def position_max(self) -> dict[tuple[str, str], Decimal]:
        """The limit of each instrument whose order unit is a dollar, order units."""
        most = Decimal(repr(self.limits.position.instrument_usd_max))
        symbol = f"{COIN}-PERPETUAL"
        return {(name, symbol): most for name in self.venues}


def _with_expiring(book: Book, universe: Universe) -> Book:
    """The book with every option of the next expiry, a few coins each way: half of them end in the money."""
    soon = [x for x in universe.listings if x.expiry_ns == min(universe.expiry_ns[universe.expiry_ns > 0])]
    options = [x for x in soon if x.contract.kind is Kind.OPTION]
    held = [Position(x, "", Decimal(3 if at % 3 else -5)) for at, x in enumerate(options)]
    return replace(book, positions=MappingProxyType({**book.positions, **{p.key: p for p in held}}))


def _source(seed: int, start_ns: int, expiring: bool) -> SimulatedMarket:
    """The market at the start; one with an expiry soon began a day earlier, when that was listed."""
    if not expiring:
        return SimulatedMarket(seed, start_ns, MARKET)
    source = SimulatedMarket(seed, start_ns - DAY_NS, EXPIRING)
    source.step(DAY_NS / NS_PER_SECOND)
    return source
