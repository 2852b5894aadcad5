"""A paper run and its tape: `run --record`, then `replay` of the same minutes, by the commands themselves.

The market moves all the while, batches come at the default pace, and nothing is done to make tickets unique:
both journals must tell the same hedges, order by order and fill by fill, and end in the same state, on one
venue and on two.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from hedger.journal.entries import Intent, Kind, read
from hedger.journal.journal import open_to_read
from hedger.journal.storage import JournalDamaged
from pricing.errors import HedgerError
from tests.exchanges.words import Instrument
from tests.hedger.command_line import HEADER
from tests.hedger.verbs.loopback import PATIENCE_S, Loopback, document, said
from tests.hedger.verbs.places import PLACES, Place
from venues import tape as tapes
from venues.orders import TradeReport
from venues.tape import Tape

MINUTES = "0.07"
TAPED: tuple[str, ...] = (
    "--journal", "run.journal", "--book", "book.csv", "--arm", "--no-watchdog", "--json",
    "--record", "tape",
)  # fmt: skip
#: Options in order units, coins beside them: far outside the delta band.
BOOK = {"deribit": (-20, 20), "okx": (-2000, 20)}


@contextmanager
def moving(place: Place) -> Iterator[tuple[Loopback, Any]]:
    """An exchange whose market moves ten times a second until the block ends, and its world."""
    worlds: list[Any] = []

    def make(**words: Any) -> tuple[Any, Any]:
        dialect, world = place.make(**words)
        worlds.append(world)
        return dialect, world

    exchange = Loopback(make=make, key=place.key, step_s=0.1)
    try:
        yield exchange, worlds[0]
    finally:
        exchange.close()


def configure(folder: Path, *markets: tuple[Place, Loopback]) -> None:
    """A configuration of these venues, without keys."""
    folder.chmod(0o700)
    names = json.dumps([place.name for place, _ in markets])
    text = f'[run]\nfeed = {names}\nunderlyings = ["BTC"]\n'
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


def fall(world: Any, host: Any) -> None:
    world.move("BTC", -0.02)


@contextmanager
def falling(journal: Path, *markets: tuple[Loopback, Any]) -> Iterator[None]:
    """After the first hedge BTC falls by 2 %, beside all that it does by itself."""
    over, failed = threading.Event(), list[BaseException]()

    def move() -> None:
        try:
            while not any(hedge[3] for hedge in _told_so_far(journal)):
                if over.wait(0.05):
                    return
            for exchange, world in markets:
                exchange.do(partial(fall, world))
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


def the_same(capsys: pytest.CaptureFixture[str], folder: Path, paper: dict[str, Any]) -> list[Any]:
    """A replay of the tape in the folder decides as the run; the orders of both."""
    assert tapes.verify(folder / "tape") == []
    words = ("replay", "tape", "--book", "book.csv", "--journal", "again", "--json")
    again = document(said(capsys, folder, *words))
    assert again["followed"]["whole"], again["followed"]["left"]
    hedges, orders, fills = told(folder / "run.journal")
    assert hedges and orders and fills
    assert told(folder / "again") == (hedges, orders, fills)
    assert (again["orders"], again["fills"]) == (paper["orders"], paper["fills"]) == (len(orders), len(fills))
    verified = said(
        capsys,
        folder,
        "journal",
        "verify",
        "--replay",
        "--journal",
        "run.journal",
        "--tape",
        "tape",
        "--json",
    )
    assert verified.returncode == 0, verified.stdout
    assert again["state_digest"] == document(verified)["replayed"]["state_digest"]
    compared = document(verified)["compared"]
    assert (compared["orders"], compared["fills"], compared["difference"]) == (len(orders), len(fills), "")
    assert compared["hedges"] == sum(hedge[2] for hedge in hedges)
    return orders


def dearer(tape: Path, to: Path) -> None:
    """The same tape, but for its prices: whoever trades on it pays a percent more."""
    old = Tape.open(tape)
    frames = {name: old.frame(name) for name in old.present}
    worse = pl.when(pl.col("side") == "ask").then(1.01).otherwise(0.99)
    tapes.write(
        to,
        old.universe.listings,
        frames["quotes"].with_columns(pl.col("ask") * 1.01, pl.col("bid") * 0.99),
        frames["depth"].with_columns(pl.col("price") * worse),
        frames["trades"],
        old.description,
        frames["timetable"],
    )


def test_a_replay_of_the_tape_of_a_run_decides_as_the_run(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """On one venue; another one is among the two below."""
    place, journal = PLACES["deribit"], tmp_path / "run.journal"
    with moving(place) as (exchange, world):
        configure(tmp_path, (place, exchange))
        book_of(tmp_path, (place, last_call(world)))
        with falling(journal, (exchange, world)):
            ran = said(capsys, tmp_path, "run", *TAPED, "--minutes", MINUTES)
    assert ran.returncode == 0, ran.stderr
    paper = document(ran)
    tape = Tape.open(tmp_path / "tape")
    assert paper["tape"]["batches"] == len(tape.batches.seq) > 10 and paper["tape"]["parts"] >= 2
    assert tape.description["options"]["armed_ns"] > int(tape.batches.now_ns[0])
    the_same(capsys, tmp_path, paper)

    dearer(tmp_path / "tape", tmp_path / "dearer")
    words = ("journal", "verify", "--replay", "--journal", "run.journal", "--tape", "dearer", "--json")
    otherwise = said(capsys, tmp_path, *words)
    assert otherwise.returncode == 1 and document(otherwise)["replayed"]["same"]
    assert (
        "the run " in document(otherwise)["compared"]["difference"]
        and document(otherwise)["compared"]["left"]
    )

    rows = (tmp_path / "book.csv").read_text().splitlines()
    (tmp_path / "more.csv").write_text("\n".join(row.replace(",20,", ",40,") for row in rows) + "\n")
    other = document(said(capsys, tmp_path, "replay", "tape", "--book", "more.csv", "--json"))
    assert not other["followed"]["whole"] and "account" in other["followed"]["left"]
    assert other["mode"] == "armed" and other["marks"] == len(tape.batches.seq)
    assert other["orders"] > 0


def test_two_venues_are_fed_and_taped_each_its_own_in_whatever_order_they_are_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    okx, deribit = PLACES["okx"], PLACES["deribit"]
    with moving(okx) as (one, one_world), moving(deribit) as (other, other_world):
        configure(tmp_path, (okx, one), (deribit, other))
        book_of(tmp_path, (okx, last_call(one_world)), (deribit, last_call(other_world)))
        with falling(tmp_path / "run.journal", (one, one_world), (other, other_world)):
            ran = said(capsys, tmp_path, "run", *TAPED, "--minutes", MINUTES)
        words = ("--venue", "okx", "--venue", "deribit", "--out", "both", "--minutes", "0.03", "--json")
        recorded = said(capsys, tmp_path, "record", *words, "--underlying", "BTC")
    assert ran.returncode == 0, ran.stderr
    assert recorded.returncode == 0, recorded.stderr
    assert document(recorded)["venues"] == ["okx", "deribit"]
    the_same(capsys, tmp_path, document(ran))

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
    assert document(replayed)["followed"] is None
    assert document(replayed)["marks"] == len(Tape.open(tmp_path / "both").batches.seq)


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
