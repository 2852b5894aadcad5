"""The demo: the whole loop, reproducible, its sums and its profit explained by other means."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hedger.demo.run import STEP_S, DemoHedge, DemoWatcher, run, verify
from hedger.planning import check_promise
from hedger.problem.snapshot import Snapshot
from hedger.settings import Settings
from pricing.contracts import Kind, Option, Side
from pricing.errors import HedgerError
from pricing.market import Market
from tests.hedger.command_line import Json, hedger, strict_json
from tests.warm import command
from venues.simulated import START_NS, SimulatedMarket

PARTS = ("spread", "depth", "fee", "carry", "fixed")
MINUTES = 12.0


class Kept(DemoWatcher):
    """Keeps what it is told: hedges, the first snapshot, the minutes of the marks."""

    def __init__(self) -> None:
        self.hedges: list[DemoHedge] = []
        self.starts: list[Snapshot] = []
        self.minutes: list[float] = []

    def started(self, snapshot: Snapshot) -> None:
        self.starts.append(snapshot)

    def marked(self, minute: float) -> None:
        self.minutes.append(minute)

    def hedged(self, hedge: DemoHedge) -> None:
        self.hedges.append(hedge)


@pytest.fixture(scope="module")
def short() -> tuple[Json, list[DemoHedge], list[Snapshot], list[float]]:
    """One short run: its document, hedges, first snapshot and the minutes of its marks."""
    kept = Kept()
    document = run(7, MINUTES, Settings(), kept)
    return document, kept.hedges, kept.starts, kept.minutes


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the demo leaves its files, in this process and in its own."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def in_a_process(*words: str, hash_seed: str = "") -> subprocess.CompletedProcess[str]:
    """hash_seed: of a process of its own; without one it is forked (tests/warm.py)."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("HEDGER__")}
    program = (sys.executable, "-m", "hedger") if hash_seed else (command(),)
    env |= {"PYTHONHASHSEED": hash_seed} if hash_seed else {}
    return subprocess.run([*program, *words], capture_output=True, text=True, env=env)


def test_the_summary_adds_up(short: tuple[Json, list[DemoHedge], list[Snapshot], list[float]]) -> None:
    document, hedges, starts, minutes = short
    strict_json(json.dumps(document, allow_nan=False))
    assert set(document) >= {
        "seed", "minutes", "hedges", "legs", "cost_usd", "outside_bands", "worst", "pnl_usd", "digest",
    }  # fmt: skip
    assert (document["seed"], document["minutes"], document["hedges"]) == (7, MINUTES, len(hedges))
    assert document["legs"] == sum(len(hedge.plan.trades) for hedge in hedges)
    cost = document["cost_usd"]
    assert set(cost) == {*PARTS, "total"}
    assert cost["total"] == pytest.approx(sum(cost[part] for part in PARTS), rel=1e-12)
    for part in PARTS:
        legs = [getattr(trade.cost, part) for hedge in hedges for trade in hedge.plan.trades]
        assert cost[part] == pytest.approx(sum(legs), rel=1e-12, abs=1e-9)
    assert all(0 <= share <= 1 for share in document["outside_bands"].values())
    assert set(document["outside_bands"]) == set(document["worst"])
    (start,) = starts
    first = {r: float(x) for r, x in zip(start.exposure.rows, start.exposure.value, strict=True)}
    assert all(abs(document["worst"][row]) >= abs(first[row]) for row in document["worst"])
    assert minutes == pytest.approx([i * STEP_S / 60 for i in range(round(MINUTES * 60 / STEP_S) + 1)])
    assert set(document["pnl_usd"]) == {"hedged", "unhedged"}
    assert len(document["digest"]) == 64


def test_every_hedge_is_filled_and_verified(
    short: tuple[Json, list[DemoHedge], list[Snapshot], list[float]],
) -> None:
    _, hedges, _, _ = short
    assert hedges
    for hedge in hedges:
        assert hedge.verified
        for trade in hedge.plan.trades:
            fills = [fill for fill in hedge.fills if fill.listing is trade.listing]
            assert sum(fill.quantity for fill in fills) == trade.quantity
            bids, asks = hedge.plan.snapshot.market.book(trade.row)
            side = asks if trade.side is Side.BUY else bids
            shown = dict(zip(side.price.tolist(), side.size.tolist(), strict=True))
            for fill in fills:
                assert fill.side is trade.side
                assert float(fill.quantity) <= shown[float(fill.price)] * (1 + 1e-12)
                worse = (
                    fill.price > trade.limit_price
                    if trade.side is Side.BUY
                    else fill.price < trade.limit_price
                )
                assert not worse
            spent = sum(float(fill.price * fill.quantity) for fill in fills)
            assert spent / float(trade.quantity) == pytest.approx(trade.expected_price, rel=1e-12)
            fee = sum(float(fill.fee) for fill in fills)
            assert {fill.fee_currency for fill in fills} == {trade.listing.contract.settlement}
            index = hedge.plan.snapshot.spot[trade.listing.contract.underlying]
            in_usd = fee * (index if trade.listing.contract.inverse else 1.0)
            assert in_usd == pytest.approx(trade.cost.fee, rel=1e-9, abs=1e-9)


def test_what_hedging_made_is_explained_by_its_fills(
    short: tuple[Json, list[DemoHedge], list[Snapshot], list[float]],
) -> None:
    """Hedged less unhedged profit, from the fills and the last marks alone.

    Each fill is worth at the end what it holds less what it paid, coins at the last index: options their
    mark, perpetuals Q/p - Q/p_end coin less the funding, spot the coin.
    """
    document, hedges, _, _ = short
    market = SimulatedMarket(7)
    last = Market.empty(market.universe).apply(market.marks())
    total = 0.0
    held: dict[int, float] = {}
    funding: dict[str, float] = {}
    ready = list(hedges)
    for step in range(round(MINUTES * 60 / STEP_S) + 1):
        if step:
            for row, quantity in held.items():  # what is held over the step pays the rate it began with
                rate, price = float(last.funding_rate[row]), float(last.mark[row])
                coin = market.universe.listings[row].contract.underlying
                funding[coin] = funding.get(coin, 0.0) + rate * quantity / price * STEP_S / (8 * 3600)
            last = last.apply(market.step(STEP_S))
        while ready and ready[0].plan.snapshot.market.now_ns < last.now_ns + STEP_S * 1e9:
            for fill in ready.pop(0).fills:
                if fill.listing.contract.kind is Kind.PERPETUAL:
                    row = market.universe.positions[fill.listing.key]
                    held[row] = held.get(row, 0.0) + float(fill.signed)
    assert not ready
    index = {name: float(x) for name, x in zip(market.universe.underlyings, last.spot(600.0), strict=True)}
    for fill in (fill for hedge in hedges for fill in hedge.fills):
        row = market.universe.positions[fill.listing.key]
        quantity, price, mark = float(fill.signed), float(fill.price), float(last.mark[row])
        contract = fill.listing.contract
        spot = index[contract.underlying]
        worth = 1.0 if fill.fee_currency in ("USD", "USDC") else spot
        if contract.kind is Kind.OPTION:
            gain = quantity * (mark - price) * spot
        elif contract.kind is Kind.SPOT:
            gain = quantity * (spot - price)
        else:
            assert contract.inverse
            gain = quantity * (1 / price - 1 / mark) * spot
        total += gain - float(fill.fee) * worth
    total -= sum(coins * index[name] for name, coins in funding.items())
    pnl = document["pnl_usd"]
    # the marks are rounded to 1e-8 coin, the model value of an option is not
    options = sum(
        abs(float(f.signed)) for h in hedges for f in h.fills if isinstance(f.listing.contract, Option)
    )
    assert pnl["hedged"] - pnl["unhedged"] == pytest.approx(
        total, abs=1e-8 * options * max(index.values()) + 1e-6
    )


def test_the_first_hedge_brings_the_book_home(
    short: tuple[Json, list[DemoHedge], list[Snapshot], list[float]],
) -> None:
    _, hedges, starts, _ = short
    (start,) = starts
    assert start.bands.breached(start.exposure.value).any()
    plan = hedges[0].plan
    assert not plan.snapshot.bands.breached(plan.after).any()


def test_the_same_seed_gives_the_same_document_in_any_process() -> None:
    other = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"  # than that of this process
    ran = in_a_process("demo", "--headless", "--json", "--minutes", "1", "--seed", "5", hash_seed=other)
    assert (ran.returncode, ran.stderr) == (0, "")
    document = strict_json(ran.stdout)
    files = {name: document.pop(name) for name in ("journal", "report", "report_fault")}
    assert files["report_fault"] is None and Path(files["report"], "report.html").exists()
    assert document == run(5, 1.0, Settings())
    assert document["digest"] != run(6, 1.0, Settings())["digest"]
    assert document["digest"] != run(5, 1.25, Settings())["digest"]


def test_without_a_terminal_it_is_plain_text(folder: Path) -> None:
    ran = in_a_process("demo", "--minutes", "1", "--seed", "7")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "\x1b" not in ran.stdout
    assert max(len(line) for line in ran.stdout.splitlines() if str(folder) not in line) <= 100
    words = (
        "seed 7",
        "EXPOSURES",
        "HEDGE TICKET",
        "filled: bought",
        "verification: passed",
        "Closing summary",
    )
    for text in words:
        assert text in ran.stdout


def test_the_command_prints_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    ran = hedger(capsys, "demo", "--headless", "--json", "--minutes", "0.5", "--seed", "1")
    assert (ran.code, ran.err) == (0, "")
    assert ran.json["minutes"] == 0.5
    assert ran.out.count("\n") == 1


@pytest.mark.parametrize(
    "words", [("--minutes", "0"), ("--minutes", "nan"), ("--seed", "-1"), ("--seed", "1.5")]
)
def test_bad_words_are_refused(words: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    ran = hedger(capsys, "demo", *words)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("USAGE: ")


def test_a_hedge_that_fails_its_verification_fails_the_command(
    short: tuple[Json, list[DemoHedge], list[Snapshot], list[float]], capsys: pytest.CaptureFixture[str]
) -> None:
    document, hedges, _, _ = short
    assert document["verified"] == document["hedges"] == len(hedges)
    plan = hedges[0].plan
    assert not verify(replace(plan, after=plan.after * 1.01), plan.snapshot)[0]
    check_promise(plan)
    with pytest.raises(HedgerError, match="PLAN_UNSOUND"):
        check_promise(replace(plan, after=plan.after + 10.0))
    assert hedger(capsys, "demo", "--minutes", 1, "--json").code == 0


def test_a_hedge_that_the_market_moved_away_from_is_verified_by_what_was_paid() -> None:
    """Seed 3: a new batch comes amid the second hedge, and a leg is filled dearer than on the ticket."""
    kept = Kept()
    document, hedges = run(3, 0.5, Settings(), kept), kept.hedges
    assert document["verified"] == document["hedges"] == len(hedges) == 2
    expected = {trade.listing.key: trade.expected_price for trade in hedges[1].plan.trades}
    dearer = [f for f in hedges[1].fills if float(f.price) > expected[f.listing.key] * (1 + 1e-9)]
    assert dearer and all(fill.side is Side.BUY for fill in dearer)


def test_the_coin_numeraire_runs_too() -> None:
    kept = Kept()
    document, hedges = run(3, 2.0, Settings.model_validate({"numeraire": "coin"}), kept), kept.hedges
    assert hedges and all(hedge.verified for hedge in hedges)
    assert document["hedges"] == len(hedges)


def test_an_expiry_inside_the_run_settles() -> None:
    """From 19:00 over the 08:00 expiry, through its averaging window; the book stays whole."""
    start_ns = int(datetime(2026, 3, 2, 19, tzinfo=UTC).timestamp()) * 10**9
    kept = Kept()
    run(7, 14 * 60.0, Settings(), kept, start_ns=start_ns, step_s=900.0)
    hedges, starts = kept.hedges, kept.starts
    expiry_ns = int(datetime(2026, 3, 3, 8, tzinfo=UTC).timestamp()) * 10**9
    expiring = {
        key
        for key, p in starts[0].book.positions.items()
        if getattr(p.listing.contract, "expiry_ns", 0) == expiry_ns
    }
    assert expiring
    before = [h for h in hedges if h.plan.snapshot.market.now_ns < expiry_ns]
    after = [h for h in hedges if h.plan.snapshot.market.now_ns >= expiry_ns]
    assert before and after
    assert all(expiring <= set(h.plan.snapshot.book.positions) for h in before)
    for hedge in after:
        assert hedge.plan.snapshot.missing == ()
        assert not expiring & set(hedge.plan.snapshot.book.positions)
    assert all(hedge.verified for hedge in hedges)


def test_the_demo_starts_where_the_market_does(
    short: tuple[Json, list[DemoHedge], list[Snapshot], list[float]],
) -> None:
    _, _, starts, _ = short
    assert starts[0].market.now_ns == START_NS
    assert Path.cwd() != Path(__file__).parent  # and reads nothing of the repository
