"""A paper run and its tape: `run --record`, then `replay` of the same minutes, by the commands themselves.

The market stands still but for one move, which comes early in a second; batches are taken at full seconds. So
neither what the machine takes to decide nor when it comes to its timers can change what is decided, and both
journals must tell the same hedges, order by order and fill by fill.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from hedger.journal.entries import Intent, Kind, read
from hedger.journal.journal import open_to_read
from hedger.journal.storage import JournalDamaged
from pricing.errors import HedgerError
from tests.exchanges.words import Instrument
from tests.hedger.desk import HEADER
from tests.hedger.verbs.loopback import PATIENCE_S, Loopback, document, said
from tests.hedger.verbs.places import PLACES, Place
from venues import tape as tapes
from venues.orders import TradeReport
from venues.tape import Tape

#: The lot problem is solved to its end: within a gap several tickets are as good, and a microsecond of an
#: option's life could choose between them. Spot lots are so small that the same is true of the last lot.
SURE = """
[solver]
gap = 0.0
[universe]
deny_buy = { kinds = ["option", "spot"] }
deny_sell = { kinds = ["option", "spot"] }
"""
MINUTES = "0.08"
TAPED: tuple[str, ...] = (
    "--journal", "run.journal", "--book", "book.csv", "--arm", "--no-watchdog", "--json",
    "--record", "tape", "--every-ms", "1000",
)  # fmt: skip
#: Options in order units, coins beside them: far outside the delta band.
BOOK = {"deribit": (-20, 20), "okx": (-2000, 20)}


class Still:
    """A world in which nothing happens by itself; every instrument is quoted anew."""

    def __init__(self, world: Any) -> None:
        self.world = world

    def step(self, seconds: float) -> None:
        """Time passes."""
        self.world.refresh()


@contextmanager
def still(place: Place) -> Iterator[tuple[Loopback, Any]]:
    """An exchange until the block ends, and its world."""
    worlds: list[Any] = []

    def make(**words: Any) -> tuple[Any, Still]:
        dialect, world = place.make(**words)
        worlds.append(world)
        return dialect, Still(world)

    exchange = Loopback(make=make, key=place.key, step_s=0.2)
    try:
        yield exchange, worlds[0]
    finally:
        exchange.close()


def configure(folder: Path, run: str, *markets: tuple[Place, Loopback]) -> None:
    """A configuration of these venues, without keys."""
    folder.chmod(0o700)
    names = json.dumps([place.name for place, _ in markets])
    text = f'[run]\nfeed = {names}\nunderlyings = ["BTC"]\n{run}{SURE}'
    for place, exchange in markets:
        pace = "" if place.name == "deribit" else "request_pause_ms = 0.2\n"
        text += f'\n[venues.{place.name}]\nurl = "{place.address(exchange.host)}"\n{pace}'
    (folder / "config.toml").write_text(text)


def last_call(world: Any) -> str:
    """A call on BTC near the money that expires last: whose delta time moves least."""
    listed: list[Instrument] = list(world.exchange.instruments.values())
    calls = [x for x in listed if x.index == "BTC" and x.right == "C" and x.inverse and x.strike == 60_000]
    return max(calls, key=lambda x: x.expiry_ns or 0).symbol


def book_of(folder: Path, *held: tuple[Place, str]) -> None:
    rows = [HEADER]
    for place, symbol in held:
        options, coins = BOOK[place.name]
        rows += [f"{place.name},{symbol},{options},", f"{place.name},BTC,{coins},"]
    (folder / "book.csv").write_text("\n".join(rows) + "\n")


def told(journal: Path) -> tuple[list[Any], list[Any], list[Any]]:
    """What a journal tells: decisions that began or ended a hedge, orders as they were sent, executions."""
    hedges: list[Any] = []
    orders: list[Any] = []
    fills: list[Any] = []
    with closing(open_to_read(journal)) as storage:
        for record in storage.records(kinds=[Kind.DECISION, Kind.INTENT, Kind.FILL]):
            word = read(record)
            if isinstance(word, Intent):
                order = word.order
                leg = order.listing.key, order.side, order.quantity, order.price, order.time_in_force
                orders.append((*leg, order.reduce_only))
            elif isinstance(word, TradeReport):
                fill = word.fill
                fills.append((fill.listing.key, fill.quantity, fill.price, fill.fee))
            elif record.kind == Kind.DECISION:
                found = json.loads(record.text)["document"]
                if found["ticket"] or found["verification"]:
                    ended = (found["verification"] or {}).get("ended")
                    hedges.append((found["breached"], found["trigger"], bool(found["ticket"]), ended))
    return hedges, orders, fills


@contextmanager
def moving_once(exchange: Loopback, world: Any, journal: Path) -> Iterator[None]:
    """After the first hedge, early in a second by the clock that batches are taken by, BTC falls by 2 %."""
    over, failed = threading.Event(), list[BaseException]()

    def move() -> None:
        try:
            while not any(hedge[3] for hedge in _told_so_far(journal)):
                if over.wait(0.05):
                    return
            time.sleep(1.2 - time.monotonic() % 1.0)
            exchange.do(lambda host: world.move("BTC", -0.02))
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=move, daemon=True)
    thread.start()
    yield
    over.set()
    thread.join(PATIENCE_S)
    assert not thread.is_alive() and not failed


def _told_so_far(journal: Path) -> list[Any]:
    try:
        return told(journal)[0] if journal.exists() else []
    except (HedgerError, JournalDamaged):  # it is being made
        return []


@pytest.mark.parametrize("name", ["deribit", "okx"])
def test_a_replay_of_the_tape_of_a_run_decides_as_the_run(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str
) -> None:
    place, journal = PLACES[name], tmp_path / "run.journal"
    with still(place) as (exchange, world):
        configure(tmp_path, "", (place, exchange))
        book_of(tmp_path, (place, last_call(world)))
        with moving_once(exchange, world, journal):
            ran = said(capsys, tmp_path, "run", *TAPED, "--minutes", MINUTES)
    assert ran.returncode == 0, ran.stderr
    paper = document(ran)
    assert tapes.verify(tmp_path / "tape") == []
    tape = Tape.open(tmp_path / "tape")
    assert paper["tape"]["batches"] == len(tape.batches.seq) > 3 and paper["tape"]["parts"] >= 2
    assert tape.description["options"]["armed_ns"] > int(tape.batches.now_ns[0])

    again = said(capsys, tmp_path, "replay", "tape", "--book", "book.csv", "--journal", "again", "--json")
    assert again.returncode == 0, again.stderr
    hedges, orders, fills = told(journal)
    assert [hedge[2] for hedge in hedges] == [True, False, True, False]  # two, each to its end
    assert len(orders) >= 2 and len(fills) >= 2
    assert told(tmp_path / "again") == (hedges, orders, fills)
    assert document(again)["orders"] == paper["orders"] == len(orders)
    assert document(again)["fills"] == paper["fills"] == len(fills)


def test_two_venues_are_fed_and_taped_each_its_own_in_whatever_order_they_are_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    okx, deribit = PLACES["okx"], PLACES["deribit"]
    with still(okx) as (one, one_world), still(deribit) as (other, other_world):
        configure(tmp_path, "", (okx, one), (deribit, other))
        book_of(tmp_path, (okx, last_call(one_world)), (deribit, last_call(other_world)))
        ran = said(capsys, tmp_path, "run", *TAPED, "--minutes", "0.04")
        words = ("--venue", "okx", "--venue", "deribit", "--out", "both", "--minutes", "0.03", "--json")
        recorded = said(capsys, tmp_path, "record", *words, "--underlying", "BTC")
    assert ran.returncode == 0, ran.stderr
    assert recorded.returncode == 0, recorded.stderr
    assert document(recorded)["venues"] == ["okx", "deribit"]

    first = said(capsys, tmp_path, "replay", "tape", "--book", "book.csv", "--journal", "again", "--json")
    assert first.returncode == 0, first.stderr
    # across venues some legs cost the same to a millisecond of carry: which takes the last lots may change
    ours, theirs = told(tmp_path / "run.journal"), told(tmp_path / "again")
    assert theirs[0] == ours[0] and {x[1] for x in theirs[1]} == {x[1] for x in ours[1]}
    assert {key[0] for key, *_ in told(tmp_path / "again")[1]} == {"deribit", "okx"}

    for name in ("tape", "both"):
        assert tapes.verify(tmp_path / name) == []
        tape = Tape.open(tmp_path / name)
        quotes = tape.frame("quotes")
        assert sorted(tape.description["clock_offset_ns"]) == ["deribit", "okx"]
        assert {s["name"] for s in tape.description["source"]} == {"deribit (live)", "okx (live)"}
        assert set(quotes["venue"].unique()) == {"deribit", "okx"}
        batches = quotes.filter(quotes["seq"] > 0).group_by("seq").agg(pl.col("venue").n_unique())
        assert set(batches["venue"]) == {1}
    replayed = said(capsys, tmp_path, "replay", "both", "--book", "book.csv", "--journal", "third", "--json")
    assert replayed.returncode == 0, replayed.stderr
    assert {key[0] for key, *_ in told(tmp_path / "third")[1]} == {"deribit", "okx"}


@pytest.mark.parametrize(
    ("run", "words", "code"),
    [
        ("", ("--record", "tape"), "RECORD_NEEDS_FEED"),
        ('mode = "live"', ("--record", "tape", "--arm-live"), "RECORD_NEEDS_FEED"),
        ('feed = ["deribit"]', ("--record", "."), "TAPE_EXISTS"),
        ('feed = ["deribit"]', ("--record", "no/where"), "TAPE_PARENT"),
    ],
    ids=("simulated", "live", "taken", "no folder"),
)
def test_a_tape_that_cannot_be_is_refused_before_anything_is_started(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, run: str, words: tuple[str, ...], code: str
) -> None:
    (tmp_path / "config.toml").write_text(f"[run]\n{run}\n")
    ran = said(capsys, tmp_path, "run", "--journal", "j", "--no-watchdog", *words)
    assert (ran.returncode, ran.stderr.splitlines()[-1].split(":")[0]) == (2, code)
    assert not (tmp_path / "j").exists() and not (tmp_path / "tape").exists()
