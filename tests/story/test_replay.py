"""Whole-engine replays: the same tape, the same digests; the journal gives the same state; sums add up."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from hedger.journal.entries import Configuration, Kind, read
from hedger.journal.journal import open_to_read
from hedger.limits_file import load_limits
from hedger.problem.snapshot import equity_usd, take_snapshot
from hedger.runs.opening import on_one_account
from hedger.runs.refold import refold
from hedger.runs.replay import Replay, replay
from hedger.settings import Settings
from pricing.contracts import Kind as ContractKind
from pricing.errors import InputError
from risk.book import Book, Position
from tests.hedger.command_line import HEADER, change_tape, hedger, make_book, make_tape, strict_json
from venues.import_options import ImportOptions
from venues.orders import TradeReport
from venues.tape import Tape
from venues.tape_import import import_tape

ROWS = [
    ("BTC-27MAR26-68000-C", -40),
    ("ETH-27MAR26-2100-P", -500),
    ("BTC-PERPETUAL", -250_000),
    ("BTC", "12.5"),
    ("ETH", 100),
    ("USDC", 1_000_000),
]
KEYS = {"marks", "decisions", "orders", "fills", "cost_usd", "pnl_usd", "residual_usd", "digest"}


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Tape:
    """Two coins of the simulated market, ten seconds apart: nothing goes stale between two batches."""
    folder = tmp_path_factory.mktemp("story") / "tape"
    return Tape.open(make_tape(folder, seed=7, batches=20, seconds=10.0))


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_book(tmp_path_factory.mktemp("story") / "book.csv", ROWS)


def played(tape: Tape, book: Path, journal: Path | None = None, settings: Settings | None = None) -> Replay:
    return replay(tape, book, settings or Settings(), load_limits(None), journal)


@pytest.fixture(scope="module")
def first(tape: Tape, book: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Replay, Path]:
    journal = tmp_path_factory.mktemp("story") / "a.journal"
    return played(tape, book, journal), journal


def test_two_replays_are_the_same_with_and_without_a_journal(
    tape: Tape, book: Path, first: tuple[Replay, Path]
) -> None:
    again = played(tape, book)
    assert again.document == first[0].document
    strict_json(json.dumps(again.document, allow_nan=False))
    assert set(again.document) >= KEYS
    assert again.document["marks"] == len(tape.batches.seq)
    assert again.document["fills"] > 0 and again.document["mode"] == "armed"


def test_the_last_batch_of_a_tape_is_decided_too(tape: Tape, first: tuple[Replay, Path]) -> None:
    """It is still on its way to us when the tape ends, and nothing else need be in work then."""
    *_, last = tape.marks()
    market = first[0].state.market
    np.testing.assert_array_equal(market.bid[last.rows], last.bid)
    assert market.now_ns >= last.now_ns


def test_the_journal_decides_the_same_again(tape: Tape, first: tuple[Replay, Path]) -> None:
    ran, journal = first
    folded = refold(journal, tape, Settings(), load_limits(None))
    assert folded.same and folded.starts == 1 and folded.undecided == ()
    assert (folded.events, folded.decisions) == (ran.document["decisions"],) * 2
    assert folded.different == ()
    assert folded.digest == ran.document["state_digest"]


def test_positions_are_the_fold_of_the_fills_and_the_venues_own(first: tuple[Replay, Path]) -> None:
    ran, journal = first
    expected = {symbol: Decimal(str(q)) for symbol, q in ROWS if "-" in symbol}
    storage = open_to_read(journal)
    try:
        fills = [read(record) for record in storage.records(kinds=[Kind.FILL])]
    finally:
        storage.close()
    assert len(fills) == ran.document["fills"]
    for word in fills:
        assert isinstance(word, TradeReport)
        fill = word.fill
        sign = 1 if str(fill.side) == "buy" else -1
        expected[fill.listing.symbol] = expected.get(fill.listing.symbol, Decimal(0)) + sign * fill.quantity
    mine = {k[1]: p.quantity for k, p in ran.state.book.positions.items() if p.quantity}
    options = {s: q for s, q in expected.items() if q}
    spot = {s for s in options if "_" in s}  # coins bought are balances
    assert mine == {s: q for s, q in options.items() if s not in spot}


def test_the_parts_of_the_profit_add_up_to_the_change_of_the_books_worth(
    tape: Tape, first: tuple[Replay, Path]
) -> None:
    """The attribution's sum against the book valued at both ends, by the ledger alone."""
    document, state = first[0].document, first[0].state
    parts = document["attribution_usd"]
    assert math.fsum(x for name, x in parts.items() if name != "pnl") == pytest.approx(parts["pnl"], rel=1e-9)
    assert document["pnl_usd"] == pytest.approx(parts["pnl"], rel=1e-9, abs=1e-6)
    assert document["cost_usd"] == pytest.approx(-(parts["fees"] + parts["slippage"]), rel=1e-9)
    last = take_snapshot(state.book, state.market, Settings(), marked=True)
    owed = sum(float(x) * last.spot.get(currency, 1.0) for (_, _, currency), x in state.accrued.items())
    opened = state.counters.equity_open_usd
    assert document["pnl_usd"] == pytest.approx(equity_usd(last) - owed - opened, rel=1e-6, abs=0.5)
    # Ten seconds apart, second order leaves little.
    assert abs(document["residual_usd"]) < 0.01 * sum(abs(x) for x in parts.values())


def test_quiet_marks_send_nothing(tape: Tape, tmp_path: Path) -> None:
    small = make_book(tmp_path / "small.csv", [("BTC-27MAR26-68000-C", "0.1")])
    document = played(tape, small).document
    assert (document["orders"], document["fills"], document["hedges"]) == (0, 0, 0)
    assert document["marks"] == len(tape.batches.seq)
    assert document["cost_usd"] == 0


def test_the_command_prints_the_document_and_refuses_what_it_cannot_use(
    tape: Tape, book: Path, first: tuple[Replay, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    ran = hedger(capsys, "replay", tape.path, "--book", book, "--json")
    assert (ran.code, ran.json) == (0, first[0].document)
    text = hedger(capsys, "replay", tape.path, "--book", book)
    assert text.code == 0 and "PAPER on simulated" in text.out and "cannot be known" in text.out
    for words, code in (
        (("--book", book, "--journal", first[1]), "JOURNAL_NOT_EMPTY"),
        (("--book", tmp_path / "none.csv"), "BOOK_UNREADABLE"),
        ((), "USAGE"),
    ):
        refused = hedger(capsys, "replay", tape.path, *words)
        assert (refused.code, refused.out, refused.err.split(":")[0]) == (2, "", code)


def test_a_paper_account_takes_any_one_name_and_never_two(tape: Tape) -> None:
    """What stands on a second account would neither be traded nor compared with anything."""
    perp = next(x for x in tape.universe.listings if x.contract.kind is ContractKind.PERPETUAL)
    held = Book.of([Position(perp, "desk", Decimal(10))], {(perp.venue, "desk", "BTC"): Decimal(3)})
    assert on_one_account(held) == Book.of(
        [Position(perp, "", Decimal(10))], {(perp.venue, "", "BTC"): Decimal(3)}
    )
    two = Book.of([*held.positions.values()], {(perp.venue, "other", "BTC"): Decimal(3)})
    with pytest.raises(InputError, match="PAPER_ACCOUNTS"):
        on_one_account(two)


def test_a_replay_decides_under_every_setting_that_it_was_given(
    tape: Tape, book: Path, tmp_path: Path
) -> None:
    """The lot search's limit as well: with another one than the run had, tickets would be others."""
    given = Settings.model_validate({"solver": {"time_limit_s": 0.05, "gap": 0.0}})
    journal = tmp_path / "a.journal"
    played(tape, book, journal, given)
    storage = open_to_read(journal)
    (begun,) = [read(record) for record in storage.records(kinds=[Kind.CONFIGURATION])]
    storage.close()
    assert isinstance(begun, Configuration)
    assert json.loads(begun.settings)["solver"] == {"time_limit_s": 0.05, "gap": 0.0}
    assert refold(journal, tape, given, load_limits(None)).same


def test_a_journal_is_decided_again_with_its_own_settings(tape: Tape, first: tuple[Replay, Path]) -> None:
    other = Settings.model_validate({"age_s_max": 500.0})
    assert refold(first[1], tape, other, load_limits(None)).same
    with pytest.raises(InputError, match="TAPE_NEEDED"):
        refold(first[1], None, Settings(), load_limits(None))


def test_a_poisoned_tape_sends_nothing_on_what_makes_no_sense(tape: Tape, book: Path, tmp_path: Path) -> None:
    """From the fifth batch on BTC's index is tenfold: an order on BTC would be an order on a lie."""
    quotes = tape.frame("quotes")
    bad = (pl.col("seq") >= quotes["seq"].unique().sort()[4]) & pl.col("symbol").str.starts_with("BTC")
    lie = [
        pl.when(bad).then(pl.col(name) * 10.0).otherwise(pl.col(name)).alias(name)
        for name in ("index", "mark")
    ]
    bad_tape = change_tape(tmp_path / "bad", tape.path, quotes.with_columns(lie))
    ran = played(Tape.open(bad_tape), book, tmp_path / "j")
    storage = open_to_read(tmp_path / "j")
    try:
        intents = [record for record in storage.records(kinds=[Kind.INTENT])]
        words = [read(record) for record in intents]
    finally:
        storage.close()
    begins = int(tape.batches.now_ns[4])
    late = [w for r, w in zip(intents, words, strict=True) if r.now_ns >= begins]
    assert not [w for w in late if w.order.listing.contract.underlying == "BTC"]  # type: ignore[union-attr]
    assert ran.document["marks"] == len(tape.batches.seq)


def test_the_real_chain_goes_through_the_whole_engine(shared_data: Path, tmp_path: Path) -> None:
    """Two days of the recorded Deribit chain, six hours apart: gaps, expiries and settlements in it."""
    frame = pl.read_parquet(shared_data / "options" / "deribit_chain_6h_2026-02.parquet")
    start = frame["ts"].min()
    part = tmp_path / "part.parquet"
    frame.filter((pl.col("ts") - start).dt.total_hours() < 48).write_parquet(part)
    import_tape(
        [part], "deribit-chain", tmp_path / "chain", ImportOptions(size_at_touch={"BTC": 10.0, "ETH": 100.0})
    )
    chain = Tape.open(tmp_path / "chain")
    market = chain.market_at(int(chain.batches.now_ns[0]))
    universe = market.universe
    first_ns, last_ns = int(chain.batches.now_ns[0]), int(chain.batches.now_ns[-1])
    quoted = universe.is_option & (market.mark > 0) & (universe.expiry_ns > first_ns)
    dying = np.flatnonzero(quoted & (universe.expiry_ns < last_ns))[:4]
    living = np.flatnonzero(quoted & (universe.expiry_ns > last_ns + 20 * 86_400 * 10**9))[:40:4]
    rows = [(universe.listings[i].symbol, 3 if n % 2 else -8) for n, i in enumerate([*dying, *living])]
    mine = tmp_path / "b.csv"
    lines = [f"deribit,{symbol},{quantity}," for symbol, quantity in [*rows, ("BTC", 10), ("ETH", 100)]]
    mine.write_text("\n".join([HEADER, *lines]) + "\n")
    ran = played(chain, mine, tmp_path / "j")
    again = played(chain, mine)
    assert ran.document == again.document
    assert ran.document["mode"] == "armed"  # no drift over gaps and settlements
    held = {k[1] for k, p in ran.state.book.positions.items() if p.quantity}
    assert not held & {universe.listings[i].symbol for i in dying}
    parts = ran.document["attribution_usd"]
    assert parts is None or math.isfinite(parts["residual"])
