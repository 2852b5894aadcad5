"""One mark through the whole engine, bytes in to order bytes out, beside what a desk builds without one.

Ours: the perpetual's ticker as bytes -> marks -> market -> every listing valued anew -> exposures of every
row -> bands -> policy -> (hedging: plan with its certificate and alternatives, legs, limits C1 to C20, order)
-> decision with its digest -> order bytes. The next best plan, the delta hedge and the cost of waiting are
reckoned when somebody reads them. The peers (`benchmarks.chains`) do decode, Greeks, three rows, program,
order; they have no ages, index checks, lots, limits, digests or record. `test_journal` and
`test_hedging_journal` show what writing it down adds: in memory, and on a disk with its sync, beside the bare
sync of the same disk. A mark of one option (`test_option_tick`) has no peer: the chains solve for it as for
any other.

Run with `make bench`; p99.9 is told in extra_info where there are a thousand rounds.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from enum import StrEnum
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
from hedger.core.glance import Glance
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


class Bands(StrEnum):
    """Where the bands lie: out of reach; a row has just left its own by a thousandth of it; rows stand far
    outside, their triggers at four fifths of where they are."""

    WIDE = "wide"
    LEFT = "just_left"
    FAR = "far_out"


#: (trigger, landing) as shares of where a row stands.
SHARES = {Bands.LEFT: (0.999, 0.99), Bands.FAR: (0.8, 0.75)}


def settings_of(market: Market, book: Book, where: Bands) -> Settings:
    """Fifty instruments may be traded."""
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
    if where is Bands.WIDE:
        return settings
    trigger, landing = SHARES[where]
    snapshot = take_snapshot(book, market, settings, marked=True)
    for coin, spot in snapshot.spot.items():
        document["bands"][coin] = {}
        for key, greek in keys.items():
            x = abs(snapshot.exposure.row(f"{greek}:{coin}")) / row_factor(greek, spot, snapshot.numeraire)
            document["bands"][coin][key] = {
                "trigger": [-trigger * x, trigger * x],
                "landing": [-landing * x, landing * x],
            }
    return Settings.model_validate(document)


def make(positions: int, where: Bands) -> Desk:
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
    desk, venues = settings_of(market, book, where), venues_of(source.universe)
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
        return column[at : at + 1] if factor == 1.0 else column[at : at + 1] * factor

    return Marks(
        seq=full.seq, now_ns=desk.clock.now_ns(), rows=np.array([at]),
        venue_ns=np.array([desk.clock.now_ns()]),
        bid=one(full.bid, scale), bid_size=one(full.bid_size), ask=one(full.ask, scale),
        ask_size=one(full.ask_size), mark=one(full.mark, scale), mark_iv=one(full.mark_iv),
        forward=one(full.forward), index=one(full.index, scale), funding_rate=one(full.funding_rate),
        forward_kind=full.forward_kind[at : at + 1],
    )  # fmt: skip


def tick(engine: Engine, message: bytes, desk: Desk) -> tuple[Decision, bytes]:
    """One message through the engine; the orders as bytes."""
    decision = engine.step(decode(message, desk))
    orders = [action_document(a) for a in decision.actions if hasattr(a, "order")]
    return decision, json.dumps(orders).encode() if orders else b""


Desks = dict[tuple[int, Bands], Desk]


@pytest.fixture(scope="module")
def desks() -> Iterator[Desks]:
    yield {}


def desk_of(desks: Desks, positions: int, where: Bands) -> Desk:
    if (positions, where) not in desks:
        desks[positions, where] = make(positions, where)
    return desks[positions, where]


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
@pytest.mark.parametrize("name", ["ours", "naive", "off_the_shelf", "off_the_shelf_solving"])
def test_quiet(benchmark: BenchmarkFixture, desks: Desks, name: str, positions: int) -> None:
    """A millisecond passes between marks, so that ours has every option's time anew; the peers' stands still.
    `off_the_shelf` stops at its bands, `off_the_shelf_solving` solves its program with every tick."""
    benchmark.group = f"one mark, quiet, {positions:,} positions"
    if name == "ours":
        desk = desk_of(desks, positions, Bands.WIDE)
        engine = Engine(desk.state, desk.settings, desk.clock, NoRecord())
        stream = cycle(messages_of(desk))

        def one() -> tuple[Decision, bytes]:
            desk.clock.move_to(desk.clock.now_ns() + 1_000_000)
            return tick(engine, next(stream), desk)

        decision, orders = one()
        assert decision.quiet and not orders and decision.ticket is None and decision.digest
        benchmark.pedantic(one, rounds=1000, warmup_rounds=3)
        assert isinstance(engine.state.seen, Glance)
    else:
        peer = make_desk(positions, breached=name == "off_the_shelf_solving")
        chain = CHAINS[name.removesuffix("_solving")](peer)
        stream = cycle([ticker_message(peer.spot * (1 + b * 1e-4)) for b in STEPS_BPS])
        benchmark.pedantic(lambda: chain.tick(next(stream)), rounds=1000, warmup_rounds=3)
    told(benchmark)


#: How many marks are timed, by positions.
ROUNDS = {100: 1_000, 1_000: 1_000, 10_000: 100}


def option_ticks(desk: Desk) -> Iterator[Marks]:
    """One option's quote after another: its vol, mark, index and published forward have moved a little."""
    full, rng = desk.marks[0], np.random.default_rng(5)
    is_option = desk.state.market.universe.is_option
    at = np.flatnonzero(is_option[full.rows])
    for n, i in enumerate(rng.choice(at, 5_000).tolist()):
        one, step = slice(i, i + 1), 1.0 + 1e-4 * (n % 7 - 3)
        moved = {"mark_iv": 1.0 + 5.0 * (step - 1.0), "mark": step, "index": step, "forward": step}
        columns = {
            f.name: getattr(full, f.name)[one] * moved.get(f.name, 1)
            for f in fields(Marks)
            if f.name not in ("seq", "now_ns", "depth", "rows", "venue_ns", "forward_kind")
        }
        now_ns = desk.clock.now_ns()
        yield Marks(
            seq=full.seq, now_ns=now_ns, rows=full.rows[one], venue_ns=np.array([now_ns]),
            forward_kind=full.forward_kind[one], **columns,
        )  # fmt: skip


@pytest.mark.parametrize("positions", SIZES)
@pytest.mark.parametrize("how", ["at_a_glance", "in_full"])
def test_option_tick(benchmark: BenchmarkFixture, desks: Desks, how: str, positions: int) -> None:
    """A mark that carries one option's quote, as tickers of a chain come; and what the same mark costs where
    the book is valued as a whole (before each the state is put back to one that no glance follows)."""
    benchmark.group = f"one mark of an option, quiet, {positions:,} positions"
    desk = desk_of(desks, positions, Bands.WIDE)
    engine = Engine(desk.state, desk.settings, desk.clock, NoRecord())
    stream = option_ticks(desk)

    def one() -> Decision:
        desk.clock.move_to(desk.clock.now_ns() + 1_000_000)
        if how == "in_full":
            engine.state = replace(engine.state, seen_under=None)
        return engine.step(next(stream))

    decision = one()
    assert decision.quiet and decision.ticket is None and decision.digest
    rounds = ROUNDS[positions] if how == "at_a_glance" else 50
    benchmark.pedantic(one, rounds=rounds, warmup_rounds=3)
    assert isinstance(engine.state.seen, Glance) is (how == "at_a_glance")
    told(benchmark)


class Hedging:
    """Marks that each send a hedge: every one comes to the desk's first state, numbered on, so that a journal
    takes it as a new event."""

    def __init__(self, desk: Desk, record: Recorder) -> None:
        self._desk, self._record, self._stream = desk, record, cycle(messages_of(desk))
        self._seq = desk.state.seq
        decision, orders = tick(*self.next()[0])
        assert decision.ticket is not None, decision.reason
        assert orders, [v.text for v in decision.verdicts] or decision.reason
        self.legs = len(decision.ticket.legs)

    def next(self) -> tuple[tuple[Engine, bytes, Desk], dict[str, Any]]:
        """The arguments of the next `tick`."""
        desk, state = self._desk, replace(self._desk.state, seq=self._seq)
        self._seq += 1
        return (Engine(state, desk.settings, desk.clock, self._record), next(self._stream), desk), {}


@pytest.mark.parametrize("positions", SIZES)
@pytest.mark.parametrize("name", ["ours_just_left", "ours_far_out", "naive", "off_the_shelf", "at_its_bands"])
def test_hedging(benchmark: BenchmarkFixture, desks: Desks, name: str, positions: int) -> None:
    """Two readings of the off-the-shelf chain: it solves its program, as it does here with every tick; or its
    rows are inside their bands and it stops there, which is the least that any chain does."""
    benchmark.group = f"one mark, hedging, {positions:,} positions"
    rounds = ROUNDS[positions]
    if name.startswith("ours"):
        hedging = Hedging(desk_of(desks, positions, Bands(name.removeprefix("ours_"))), NoRecord())
        benchmark.extra_info["legs"] = hedging.legs
        benchmark.pedantic(tick, setup=hedging.next, rounds=rounds, warmup_rounds=3)
    else:
        peer = make_desk(positions, breached=name != "at_its_bands")
        chain = CHAINS["off_the_shelf" if name == "at_its_bands" else name](peer)
        stream = cycle([ticker_message(peer.spot * (1 + b * 1e-4)) for b in STEPS_BPS])
        benchmark.pedantic(lambda: chain.tick(next(stream)), rounds=rounds, warmup_rounds=3)
    told(benchmark)


def recorder(where: str, folder: Path) -> tuple[Recorder, Journal | None]:
    """No record, one in memory, or one on a disk with its sync."""
    if where == "ours_without":
        return NoRecord(), None
    journal = (
        Journal(MemoryStorage(MemoryDisk(NAME))) if where == "in_memory" else Journal.open(folder / "j", NAME)
    )
    return JournalRecorder(journal), journal


@pytest.mark.parametrize("where", ["ours_without", "in_memory", "on_disk"])
def test_journal(benchmark: BenchmarkFixture, desks: Desks, where: str, tmp_path: Path) -> None:
    """A quiet mark at 1,000 positions with its record: batched, so the sync is one of many."""
    benchmark.group = "one mark, quiet, 1,000 positions, with its journal"
    desk = desk_of(desks, 1_000, Bands.WIDE)
    record, journal = recorder(where, tmp_path)
    engine, stream = Engine(desk.state, desk.settings, desk.clock, record), cycle(messages_of(desk))
    benchmark.pedantic(lambda: tick(engine, next(stream), desk), rounds=1_000, warmup_rounds=3)
    told(benchmark)
    if journal is not None:
        journal.close()


@pytest.mark.parametrize("where", ["ours_without", "in_memory", "on_disk", "bare_fsync"])
def test_hedging_journal(benchmark: BenchmarkFixture, desks: Desks, where: str, tmp_path: Path) -> None:
    """A mark that sends an order, and its record, durable before the order leaves: in memory what encoding
    and hashing cost, on the disk with the sync, and the sync alone: the same bytes and one fsync."""
    benchmark.group = "one mark, hedging, 1,000 positions, with its journal"
    desk = desk_of(desks, 1_000, Bands.LEFT)
    if where == "bare_fsync":
        record, journal = recorder("in_memory", tmp_path)
        assert journal is not None
        Hedging(desk, record)
        journal.sync()
        content = b"".join(found.body for found in journal.records())
        descriptor = os.open(tmp_path / "bare", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

        def synced() -> None:
            os.write(descriptor, content)
            os.fsync(descriptor)

        benchmark.extra_info["bytes"] = len(content)
        benchmark.pedantic(synced, rounds=1_000, warmup_rounds=3)
        os.close(descriptor)
    else:
        record, journal = recorder(where, tmp_path)
        hedging = Hedging(desk, record)
        benchmark.pedantic(tick, setup=hedging.next, rounds=1_000, warmup_rounds=3)
    told(benchmark)
    if journal is not None:
        journal.close()
