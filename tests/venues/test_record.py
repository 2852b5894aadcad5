"""Recording each exchange: sound parts, gaps on record, and a replay that decides as paper did meanwhile.

What the adapter tells goes to the recorder and, as it is, to the engine on paper; afterwards the engine plays
the tape. Both must decide the same to the digest: nothing that decisions hang on is lost on the tape.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from hedger.limits_file import load_limits
from hedger.runs.recorder import Recorder
from hedger.runs.replay import replay
from hedger.settings import Settings
from pricing.contracts import Kind, Listing, Option
from pricing.daycount import iso
from pricing.errors import Exit, InputError
from pricing.market import Marks
from pricing.universe import Universe
from tests.hedger.command_line import HEADER
from tests.hedger.verbs import loopback as verbs
from tests.story.test_small_disks import small_disk
from tests.venues.cex_desk import run
from tests.venues.products import PRODUCTS, Adapter, Market, market_of
from venues import tape as tapes
from venues.base import News
from venues.market_trades import MarketTrade
from venues.simulated import SimulatedMarket
from venues.tape import Tape, Trades
from venues.tape_files import DESCRIPTION, read_description
from venues.tape_growing import GrowingTape, Outage, TapeCutShort
from venues.tape_rows import rows_of

#: A part lasts so many seconds, and until so many batches of it have come, and trades: on a machine that is
#: busy channels are joined late, and an engine would see too little of the market to trade in it. A batch
#: every so many seconds.
PART_S, BATCHES, BATCH_S, PARTS = 0.3, 5, 0.05, 3
OPTIONS = ("deribit", "okx", "bybit", "binance")
FUTURES = ("binanceusdm", "hyperliquid")


@dataclass(slots=True)
class Heard:
    """What was told, as it was told: batches, and what others traded before each."""

    universe: Universe
    batches_: list[Marks] = field(default_factory=list)
    trades_: list[list[MarketTrade]] = field(default_factory=list)
    waiting: list[MarketTrade] = field(default_factory=list)

    def take(self, news: News, at_ns: int) -> None:
        if isinstance(news, MarketTrade):
            self.waiting.append(news)
        elif isinstance(news, Marks) and (news.venue_ns > 0).any():
            at_ns = max(news.now_ns, self.batches_[-1].now_ns if self.batches_ else 0)
            self.batches_.append(replace(news, seq=len(self.batches_), now_ns=at_ns))
            self.trades_.append(self.waiting)
            self.waiting = []

    def enough(self, batches: int) -> bool:
        """Whether so many batches have come, with trades before one of them."""
        return len(self.batches_) >= batches and any(self.trades_)

    def end_at(self, batches: int, trades: int) -> None:
        """Forget what came after so many batches and trades; trades behind the last batch go with it."""
        whole = [t for found in self.trades_ for t in found] + self.waiting
        del self.batches_[batches:], self.trades_[batches:]
        self.trades_[-1] += whole[sum(map(len, self.trades_)) : trades]

    def as_tape(self) -> Tape:
        """What the engine plays a tape by, without a file in between."""
        return cast(
            Tape,
            SimpleNamespace(
                universe=self.universe,
                present=("quotes", "depth", "trades"),
                description={"options": {}},
                batches=SimpleNamespace(
                    seq=np.array([x.seq for x in self.batches_]),
                    now_ns=np.array([x.now_ns for x in self.batches_]),
                ),
                marks=lambda: iter(self.batches_),
                trades=self._trades,
            ),
        )

    def _trades(self) -> Iterator[Trades]:
        rows = {x.symbol: n for n, x in enumerate(self.universe.listings)}
        for found in self.trades_:
            yield Trades(
                rows=np.array([rows[t.symbol] for t in found], dtype=np.int64),
                venue_ns=np.array([t.venue_ns for t in found], dtype=np.int64),
                local_ns=np.array([t.time_ns for t in found], dtype=np.int64),
                trade_id=tuple(t.trade_id for t in found),
                side=np.array([1 if t.side.value == "buy" else -1 for t in found], dtype=np.int64),
                price=np.array([float(t.price) for t in found]),
                size=np.array([float(t.size) for t in found]),
            )


def recorder_of(universe: Universe, venue: str, out: Path) -> Recorder:
    return Recorder(GrowingTape(out, universe.listings, _meta()), universe, [venue], time.time_ns())


def _meta() -> dict[str, Any]:
    return {"source": [{"name": "loopback", "sha256": ""}], "options": {}, "notes": []}


async def recorded(market: Market, universe: Universe, recorder: Recorder, heard: Heard) -> None:
    """Three parts of a market that lives; its sockets are cut in the second."""
    venue, scene = market.venue, market.scene

    async def live() -> None:
        while True:
            scene.world.step(1.0, trades=4)
            await asyncio.sleep(0.03)

    async def read(adapter: Adapter) -> None:
        async for news in adapter.stream():
            recorder.take(adapter.name, news, time.time_ns())
            heard.take(news, time.time_ns())
            if isinstance(news, Marks):
                await asyncio.sleep(BATCH_S)

    venue.watch(universe, [x.symbol for x in universe.listings])
    tasks = [asyncio.create_task(live()), asyncio.create_task(read(venue))]
    try:
        for part in range(PARTS):
            before = len(heard.batches_)
            await asyncio.sleep(PART_S / 2)
            if part == 1:
                scene.host.cut_sessions()
            await asyncio.sleep(PART_S / 2)
            while not (heard.enough(before + BATCHES) or any(t.done() for t in tasks)):
                await asyncio.sleep(BATCH_S)
            assert recorder.write(time.time_ns()) or any(t.done() for t in tasks)
    finally:
        for task in tasks:
            task.cancel()
        for ended in await asyncio.gather(*tasks, return_exceptions=True):
            assert isinstance(ended, asyncio.CancelledError), ended


def universe_of(market: Market, listings: list[Listing]) -> Universe:
    """The coin's listings: an engine needs what it holds and what it may hedge with."""
    options = [x for x in listings if isinstance(x.contract, Option)]
    nearest = sorted(options, key=lambda x: (abs(x.contract.strike - 60_000), x.symbol))[:12]  # type: ignore[union-attr]
    others = [x for x in listings if x.contract.kind is not Kind.OPTION]
    return Universe.of([*nearest, *others])


@pytest.mark.parametrize("name", [*OPTIONS, *FUTURES])
def test_a_tape_of_the_same_minutes_decides_as_paper_did(name: str, tmp_path: Path) -> None:
    product = next(x for x in PRODUCTS if x.venue == name)
    found: list[tuple[Universe, Heard, Recorder]] = []

    async def work() -> None:
        async with market_of(product, signed=False, trades=True) as market:
            listings = [x for x in await market.venue.listings() if x.contract.underlying == "BTC"]
            universe = Settings().with_fees(universe_of(market, listings))
            recorder = recorder_of(universe, name, tmp_path / "tape")
            heard = Heard(universe)
            await recorded(market, universe, recorder, heard)
            found.append((universe, heard, recorder))

    run(work(), 30.0)
    ((universe, heard, recorder),) = found
    tape = Tape.open(tmp_path / "tape")
    assert tapes.verify(tmp_path / "tape") == []
    assert recorder.tape.parts >= PARTS and len(tape.description["hash"]) >= 1 + 2 * PARTS
    assert recorder.batches == len(tape.batches.seq) and recorder.trades == len(tape.frame("trades")) > 0
    cut = [o for o in tape.description["outages"] if "the link is" in o["reason"]]
    assert cut and all(o["to_ns"] >= o["from_ns"] > 0 for o in cut)

    held = next((x for x in universe.listings if isinstance(x.contract, Option)), None)
    held = held or next(x for x in universe.listings if x.contract.kind is Kind.PERPETUAL)
    lots = 20 / held.size if held.contract.kind is Kind.OPTION else SHORT_USD / _usd(held)
    quantity = held.quantize_quantity(lots)
    book = tmp_path / "book.csv"
    book.write_text(f"{HEADER}\n{name},{held.symbol},{-quantity},\n{name},{held.contract.settlement},50,\n")
    heard.end_at(recorder.batches, recorder.trades)
    paper = replay(heard.as_tape(), book, Settings(), load_limits(None))
    again = replay(tape, book, Settings(), load_limits(None))
    assert again.document == paper.document
    assert paper.document["fills"] > 0, paper.document


SHORT_USD = Decimal(500_000)


def _usd(listing: Listing) -> Decimal:
    """Of one order unit, about."""
    return listing.size if listing.contract.inverse else listing.size * 60_000


def fill(disk: Path) -> Path:
    """Not a byte is left, once nobody frees any."""
    ballast = disk / "ballast"
    with ballast.open("ab", buffering=0) as file:
        for size in (65_536, 512):
            with suppress(OSError):
                while True:
                    file.write(b"x" * size)
    return ballast


def unnamed(path: Path) -> set[str]:
    """Files in a tape's folder that its description does not name."""
    return {file.name for file in path.iterdir()} - {DESCRIPTION, *read_description(path)["hash"]}


@pytest.mark.parametrize("silence", [False, True])
def test_a_disk_that_is_full_ends_a_tape_and_what_stands_is_said(tmp_path: Path, silence: bool) -> None:
    """A later part would leave a gap that nobody sees: it is refused, though there is room again."""
    market, out = SimulatedMarket(7, 1_770_000_000_000_000_000), Outage(1, 2, "silence")
    with small_disk(tmp_path) as disk:
        path, shown = disk / "tape", []
        tape = GrowingTape(path, market.universe.listings, _meta())

        def add() -> None:
            marks = [market.step(1.0) for _ in range(3)]
            shown.append(marks)
            first = 3 * (len(shown) - 1)
            tape.add(*rows_of(market.universe, [(m.now_ns, m) for m in marks], first), [out])

        add()
        add()
        ballast = fill(disk)
        with pytest.raises(TapeCutShort) as refused:
            if silence:
                tape.note([out] * 50_000)
            else:
                add()
        last = iso(shown[1][-1].now_ns)
        assert refused.value.code == "TAPE_CUT_SHORT" and refused.value.exit_code == Exit.NEGATIVE
        assert f"2 parts with 6 batches up to {last} are written and stand" in refused.value.text()
        assert "nothing was written" not in refused.value.text() and "No space" in refused.value.text()
        ballast.unlink()
        with pytest.raises(TapeCutShort, match="2 parts with 6 batches"):
            add()
        assert tapes.verify(path) == [] and unnamed(path) == set()
        assert [marks.now_ns for marks in Tape.open(path).marks()] == [m.now_ns for p in shown[:2] for m in p]


def test_a_tape_whose_first_part_finds_no_room_is_not_begun_with_its_second(tmp_path: Path) -> None:
    market = SimulatedMarket(7, 1_770_000_000_000_000_000)
    with small_disk(tmp_path) as disk:
        tape = GrowingTape(disk / "tape", market.universe.listings, _meta())
        ballast = fill(disk)
        for _ in range(2):
            marks = market.step(1.0)
            with pytest.raises(InputError, match=r"TAPE_WRITE: .*No space.*; nothing was written;"):
                tape.add(*rows_of(market.universe, [(marks.now_ns, marks)], 0), [])
            ballast.unlink(missing_ok=True)
        assert list(disk.iterdir()) == []


def test_a_recorder_on_a_disk_that_fills_ends_and_says_what_stands(tmp_path: Path) -> None:
    with small_disk(tmp_path) as disk, verbs.loopback() as exchange:
        verbs.settings(tmp_path, f"{exchange.host.ws_url}/ws/api/v2")
        path = disk / "tape"
        words = ("--venue", "deribit", "--part-s", "0.4", "--every-ms", "50", "--underlying", "BTC")
        with verbs.started(tmp_path, "record", "--out", str(path), *words, warm=True) as process:
            end = time.monotonic() + verbs.PATIENCE_S
            while not path.is_dir() or len(read_description(path)["hash"]) < 5:  # listings; two parts
                assert time.monotonic() < end and process.poll() is None, (tmp_path / "err").read_text()
                time.sleep(0.05)
            fill(disk)
            code = process.wait(verbs.PATIENCE_S)
        said = (tmp_path / "err").read_text()
        assert code == Exit.NEGATIVE and "Traceback" not in said, said
        last = said.splitlines()[-1]
        found = re.search(r"; ([0-9]+) parts with ([0-9]+) batches up to \S+ are written and stand", last)
        assert last.startswith("TAPE_CUT_SHORT: ") and found is not None and "No space" in last, last
        counts = read_description(path)
        parts = sum(name.startswith("quotes") for name in counts["hash"])
        assert (int(found[1]), int(found[2])) == (parts, counts["counts"]["batches"])
        assert tapes.verify(path) == [] and unnamed(path) == set()
