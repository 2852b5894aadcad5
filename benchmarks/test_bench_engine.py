"""One mark through the whole engine, bytes in to order bytes out, beside what a desk builds without one.

Ours: the perpetual's ticker as bytes -> marks -> market -> every listing valued anew -> exposures of every
row -> bands -> policy -> (hedging: plan with its certificate and alternatives, legs, limits C1 to C20, order)
-> decision with its digest -> order bytes. The peers (`benchmarks.chains`) do decode, Greeks, three rows,
program, order; they have no ages, index checks, lots, limits, digests or record. `test_journal` shows what
writing it down adds: in memory, and on a disk with its sync.

Run with `make bench`; p99.9 is told in extra_info where there are a thousand rounds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.chains import CHAINS, make_desk, ticker_message
from hedger.core.decision import Decision, action_document
from hedger.core.events import Command, Verb
from hedger.core.gate import EngineSettings
from hedger.core.state import State
from hedger.engine.clock import VirtualClock
from hedger.engine.engine import Engine, NoRecord, Recorder
from hedger.engine.inbox import Inbox
from hedger.engine.recording import JournalRecorder
from hedger.engine.router import PaperLine, Router
from hedger.journal.entries import JournalName
from hedger.journal.journal import Journal
from hedger.journal.storage import MemoryDisk, MemoryStorage
from hedger.problem.snapshot import take_snapshot
from hedger.runs.paper_setup import engine_settings, fresh_state, paper_limits, venues_of
from hedger.settings import Settings
from pricing.contracts import Kind
from pricing.market import Market, Marks
from pricing.valuation import value
from risk.bands import row_factor
from risk.book import Book, Position
from risk.limit_terms import GreekLimits, Limits, PriceLimits
from venues.orders import Link, VenueStatus
from venues.paper_exchange import PaperExchange
from venues.paper_terms import FeeModel, Latencies, PaperTerms, Queue
from venues.simulated import SimulatedMarket
from venues.simulated_law import SimulationSettings

SIZES = (100, 1_000, 10_000)
MARKETS = {
    100: SimulationSettings(strikes_per_expiry=8),
    1_000: SimulationSettings(strikes_per_expiry=35),
    10_000: SimulationSettings(strikes_per_expiry=320),  # 5,000 options, held on two accounts
}
STEPS_BPS = (0.0, 0.3, -0.2, 0.5, 0.1, -0.4, 0.2, -0.1)
NAME = JournalName("paper", "bench")
TERMS = PaperTerms(fees=FeeModel.LISTING, latency=Latencies.none(), queue=Queue(), margin=None)


@dataclass(frozen=True, slots=True, eq=False)
class Desk:
    """An armed engine's state on a book of so many options, and the marks of its perpetual."""

    state: State
    settings: EngineSettings
    marks: tuple[Marks, ...]
    row: int
    clock: VirtualClock


def settings_of(market: Market, book: Book, wide: bool) -> Settings:
    """Fifty instruments may be traded; bands are out of reach, or at four fifths of where the rows stand."""
    options = np.flatnonzero(market.universe.is_option)[:: max(len(market.universe) // 49, 1)][:49]
    names = [market.universe.listings[i].symbol for i in options] + ["BTC-PERPETUAL", "ETH-PERPETUAL"]
    chosen = {"allow_buy": {"symbols": names}, "allow_sell": {"symbols": names}}
    far = {"trigger": [-1e14, 1e14], "landing": [-1e13, 1e13]}
    keys = {"delta_usd": "delta", "gamma_usd_per_1pct": "gamma", "vega_usd_per_point": "vega"}
    document: dict[str, Any] = {
        "bands": {"*": dict.fromkeys(keys, far) | {"vega_bucket_multiple": 1e3}},
        "universe": chosen,
        "solver": {"time_limit_s": 60.0},
    }
    settings = Settings.model_validate(document)
    if wide:
        return settings
    snapshot = take_snapshot(book, market, settings, marked=True)
    for coin, spot in snapshot.spot.items():
        document["bands"][coin] = {}
        for key, greek in keys.items():
            x = abs(snapshot.exposure.row(f"{greek}:{coin}")) / row_factor(greek, spot, snapshot.numeraire)
            document["bands"][coin][key] = {"trigger": [-0.8 * x, 0.8 * x], "landing": [-0.75 * x, 0.75 * x]}
    return Settings.model_validate(document)


def make(positions: int, wide: bool) -> Desk:
    """A seeded book, its accounts read, armed."""
    source = SimulatedMarket(7, settings=MARKETS[positions])
    market = Market.empty(source.universe).apply(source.marks())
    forward = value(market, 600.0).forward
    rng = np.random.default_rng(7)
    options = np.flatnonzero(source.universe.is_option)
    accounts = [(i, account) for account in ("", "second") for i in options.tolist()]
    listings = source.universe.listings
    picked = [accounts[n] for n in np.sort(rng.choice(len(accounts), positions, replace=False))]
    sizes = rng.integers(1, 40, positions) * rng.choice([-1, 1], positions)
    held = [
        Position(listings[i], account, listings[i].minimum * int(n))
        for (i, account), n in zip(picked, sizes, strict=True)
    ]
    cash = {(listings[0].venue, "", coin): Decimal(n) for coin, n in (("BTC", 1000), ("ETH", 10_000))}
    book = Book.of(held, cash).opened_at({x.key: float(forward[i]) for i, x in enumerate(listings)})
    desk, venues = settings_of(market, book, wide), venues_of(source.universe)
    loose = paper_limits(limits_out_of_the_way(), venues)
    sending = engine_settings(desk, "bench", loose, venues)
    clock, inbox = VirtualClock(source.now_ns), Inbox()
    exchange = PaperExchange(venues[0], source.universe, TERMS, source.now_ns, book=book)
    line = PaperLine(exchange, clock, inbox.put)
    router = Router([line], clock, inbox.put, lambda: False)
    engine = Engine(fresh_state(source.universe, book, source.now_ns), sending, clock, NoRecord())
    inbox.put(VenueStatus(venues[0], Link.UP))
    exchange.feed(source.marks())
    while len(inbox) or exchange.next_ns() <= clock.now_ns():
        engine.drain(inbox, router)
        line.poll()
    engine.step(Command("arm", Verb.ARM, "bench", ""))
    assert str(engine.state.mode) == "armed", engine.state.reason
    row = next(i for i, x in enumerate(listings) if x.contract.kind is Kind.PERPETUAL)
    return Desk(engine.state, sending, (source.marks(),), row, clock)


def limits_out_of_the_way() -> Limits:
    """Every control is asked; none refuses a book of this size."""
    base, huge = Limits(), 1e15
    usd = dict.fromkeys(("instrument_usd_max", "underlying_usd_max", "venue_usd_max", "firm_usd_max"), huge)
    greeks = {f.name: huge for f in fields(GreekLimits)}
    return replace(
        base,
        position=replace(base.position, **usd),
        greeks={"*": GreekLimits(**greeks)},
        firm=replace(base.firm, delta_usd_max=huge),
        price=PriceLimits(*(1e4 for _ in fields(PriceLimits))),
        order=replace(base.order, notional_usd_max=huge, coin_max=huge),
    )


def decode(message: bytes, desk: Desk) -> Marks:
    """The perpetual's ticker as a batch of one."""
    data = orjson.loads(message)["params"]["data"]
    full, at = desk.marks[0], desk.row
    scale = float(data["index_price"]) / float(full.index[at])

    def one(column: Any, factor: float = 1.0) -> Any:
        return column[at : at + 1] * factor

    return Marks(
        seq=full.seq, now_ns=desk.clock.now_ns(), rows=np.array([at]),
        venue_ns=np.array([desk.clock.now_ns()]),
        bid=one(full.bid, scale), bid_size=one(full.bid_size), ask=one(full.ask, scale),
        ask_size=one(full.ask_size), mark=one(full.mark, scale), mark_iv=one(full.mark_iv),
        forward=one(full.forward), index=one(full.index, scale), funding_rate=one(full.funding_rate),
        forward_kind=full.forward_kind[at : at + 1].copy(),
    )  # fmt: skip


def tick(engine: Engine, message: bytes, desk: Desk) -> tuple[Decision, bytes]:
    """One message through the engine; the orders as bytes."""
    decision = engine.step(decode(message, desk))
    orders = [action_document(a) for a in decision.actions if hasattr(a, "order")]
    return decision, json.dumps(orders).encode() if orders else b""


@pytest.fixture(scope="module")
def desks() -> Iterator[dict[tuple[int, bool], Desk]]:
    yield {}


def desk_of(desks: dict[tuple[int, bool], Desk], positions: int, wide: bool) -> Desk:
    if (positions, wide) not in desks:
        desks[positions, wide] = make(positions, wide)
    return desks[positions, wide]


def messages_of(desk: Desk) -> list[bytes]:
    spot = float(desk.marks[0].index[desk.row])
    return [ticker_message(spot * (1 + bps * 1e-4), n) for n, bps in enumerate(STEPS_BPS)]


def told(benchmark: BenchmarkFixture) -> None:
    """Percentiles beside the table's own figures."""
    assert benchmark.stats is not None, "told before it was measured"
    data = np.array(benchmark.stats.stats.data)
    for name, q in (("p50_us", 50), ("p99_us", 99), ("p99.9_us", 99.9)):
        if q < 99.5 or data.size >= 1000:
            benchmark.extra_info[name] = round(float(np.percentile(data, q)) * 1e6, 1)


@pytest.mark.parametrize("positions", SIZES)
@pytest.mark.parametrize("name", ["ours", "naive", "off_the_shelf"])
def test_quiet(
    benchmark: BenchmarkFixture, desks: dict[tuple[int, bool], Desk], name: str, positions: int
) -> None:
    benchmark.group = f"one mark, quiet, {positions:,} positions"
    rounds = 1000 if positions <= 1_000 else 100
    if name == "ours":
        desk = desk_of(desks, positions, True)
        engine = Engine(desk.state, desk.settings, desk.clock, NoRecord())
        stream = cycle(messages_of(desk))
        decision, orders = tick(engine, next(stream), desk)
        assert decision.quiet and not orders and decision.ticket is None
        benchmark.pedantic(lambda: tick(engine, next(stream), desk), rounds=rounds, warmup_rounds=3)
    else:
        peer = make_desk(positions, breached=False)
        chain, stream = (
            CHAINS[name](peer),
            cycle([ticker_message(peer.spot * (1 + b * 1e-4)) for b in STEPS_BPS]),
        )
        benchmark.pedantic(lambda: chain.tick(next(stream)), rounds=rounds, warmup_rounds=3)
    told(benchmark)


@pytest.mark.parametrize("positions", SIZES)
@pytest.mark.parametrize("name", ["ours", "naive", "off_the_shelf"])
def test_hedging(
    benchmark: BenchmarkFixture, desks: dict[tuple[int, bool], Desk], name: str, positions: int
) -> None:
    benchmark.group = f"one mark, hedging, {positions:,} positions"
    if name == "ours":
        desk = desk_of(desks, positions, False)
        stream = cycle(messages_of(desk))

        def fresh() -> tuple[tuple[Engine, bytes, Desk], dict[str, Any]]:
            return (Engine(desk.state, desk.settings, desk.clock, NoRecord()), next(stream), desk), {}

        decision, orders = tick(*fresh()[0])
        assert decision.ticket is not None, decision.reason
        assert orders, [v.text for v in decision.verdicts] or decision.reason
        benchmark.pedantic(tick, setup=fresh, rounds=30 if positions <= 1_000 else 8, warmup_rounds=1)
    else:
        peer = make_desk(positions)
        chain, stream = (
            CHAINS[name](peer),
            cycle([ticker_message(peer.spot * (1 + b * 1e-4)) for b in STEPS_BPS]),
        )
        benchmark.pedantic(lambda: chain.tick(next(stream)), rounds=100, warmup_rounds=2)
    told(benchmark)


@pytest.mark.parametrize("where", ["ours_without", "in_memory", "on_disk"])
def test_journal(
    benchmark: BenchmarkFixture, desks: dict[tuple[int, bool], Desk], where: str, tmp_path: Path
) -> None:
    """A quiet mark at 1,000 positions with its record: batched, so the sync is one of many."""
    benchmark.group = "one mark, quiet, 1,000 positions, with its journal"
    desk = desk_of(desks, 1_000, True)
    record: Recorder = NoRecord()
    journal: Journal | None = None
    if where != "ours_without":
        journal = (
            Journal(MemoryStorage(MemoryDisk(NAME)))
            if where == "in_memory"
            else Journal.open(tmp_path / "j", NAME)
        )
        record = JournalRecorder(journal)
    engine, stream = Engine(desk.state, desk.settings, desk.clock, record), cycle(messages_of(desk))
    benchmark.pedantic(lambda: tick(engine, next(stream), desk), rounds=600, warmup_rounds=3)
    told(benchmark)
    if journal is not None:
        journal.close()
