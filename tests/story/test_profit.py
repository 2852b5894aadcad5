"""A month's P&L reckoned once more from the journal's export and raw quotes, without the program's pricing.

Equity by hand: coins at the index, inverse options by the textbook's formula of Black from the venue's vol
and forward, perpetuals and futures by the sum of their entries.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from statistics import NormalDist
from typing import Any

import polars as pl
import pytest

from hedger.journal.export import export
from hedger.journal.journal import open_to_read
from hedger.limits_file import load_limits
from hedger.runs.refold import refold
from hedger.runs.replay import replay
from hedger.settings import Settings
from tests.hedger.command_line import HEADER
from venues.import_options import ImportOptions
from venues.tape import Tape
from venues.tape_import import import_tape

STABLE = {"USD", "USDC", "USDT"}


@dataclass(slots=True)
class Hand:
    """A book by hand. entered: of perpetuals and futures, sum of Q/p."""

    held: dict[str, Fraction] = field(default_factory=lambda: defaultdict(Fraction))
    cash: dict[str, Fraction] = field(default_factory=lambda: defaultdict(Fraction))
    entered: dict[str, Fraction] = field(default_factory=lambda: defaultdict(Fraction))

    def take(self, row: dict[str, Any]) -> None:
        """One execution."""
        symbol, price, quantity = row["symbol"], Fraction(row["price"]), Fraction(row["quantity"])
        signed = quantity if row["side"] == "buy" else -quantity
        self.cash[row["fee_currency"]] -= Fraction(row["fee"])
        if "_" in symbol:  # spot: coins against dollars
            coin, dollar = symbol.split("_")
            self.cash[coin] += signed
            self.cash[dollar] -= signed * price
            return
        self.held[symbol] += signed
        if symbol.endswith(("-C", "-P")):
            self.cash[symbol.split("-")[0]] -= signed * price
        else:
            self.entered[symbol] += signed / price

    def settle(self, row: dict[str, Any]) -> None:
        """An expiry: an option pays its intrinsic value in coin, a future what it has gained."""
        symbol, price = row["symbol"], Fraction(row["price"])
        if not symbol.endswith(("-C", "-P")):
            self.cash[symbol.split("-")[0]] += self.entered.pop(symbol) - self.held.pop(symbol) / price
            return
        coin, _, strike, right = symbol.split("-")
        inside = price - Fraction(strike) if right == "C" else Fraction(strike) - price
        self.cash[coin] += self.held.pop(symbol) * max(inside, Fraction(0)) / price

    def worth(self, now_ns: int, quotes: dict[str, dict[str, Any]], index: dict[str, float]) -> float:
        """USD at the marks of one batch."""
        total = [float(x) * (1.0 if c in STABLE else index[c]) for c, x in self.cash.items()]
        for symbol, quantity in self.held.items():
            coin = symbol.split("-")[0]
            if symbol.endswith(("-C", "-P")):
                total.append(float(quantity) * black(symbol, quotes[symbol], now_ns) * index[coin])
            elif quantity or self.entered[symbol]:
                gain = float(self.entered[symbol]) - float(quantity) / quotes[symbol]["mark"]
                total.append(gain * index[coin])
        return math.fsum(total)


def black(symbol: str, quote: dict[str, Any], now_ns: int) -> float:
    """Coins per coin of an inverse option: Black (1976) over the forward."""
    _, expiry, strike, right = symbol.split("-")
    ends = datetime.strptime(f"{expiry} 08 +0000", "%d%b%y %H %z").timestamp()
    years, f, k = (ends - now_ns / 1e9) / (365 * 86_400), quote["forward"], float(strike)
    sd = quote["mark_iv"] * math.sqrt(years)
    d = math.log(f / k) / sd + sd / 2
    sign = 1.0 if right == "C" else -1.0
    normal = NormalDist().cdf
    return float(sign * (f * normal(sign * d) - k * normal(sign * (d - sd))) / f)


@pytest.fixture(scope="module")
def month(
    shared_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Tape, Path, Path, dict[str, Any]]:
    """February 2026, the fall of the 5th in it, with a desk that is short options: tape, journal, export."""
    folder = tmp_path_factory.mktemp("month")
    source = shared_data / "options" / "deribit_chain_6h_2026-02.parquet"
    import_tape([source], "deribit-chain", folder / "tape", ImportOptions({"BTC": 10.0, "ETH": 100.0}))
    tape = Tape.open(folder / "tape")
    first = pl.scan_parquet(folder / "tape" / "quotes.parquet").filter(pl.col("seq") == 0).collect()
    options = [
        row["symbol"]
        for row in first.sort("symbol").iter_rows(named=True)
        if row["symbol"].endswith(("-C", "-P"))
        and row["bid"]
        and row["ask"]
        and 0.2 < abs(row["venue_delta"]) < 0.8
    ]
    early = [s for s in options if s.split("-")[1] in ("6FEB26", "13FEB26", "20FEB26")][::9]
    late = [s for s in options if s.split("-")[1] in ("27MAR26", "26JUN26")][::7]
    rows = [(s, (-1) ** (i % 3 > 0) * (4 if s.startswith("BTC") else 60)) for i, s in enumerate(early + late)]
    rows += [("BTC-PERPETUAL", -400_000), ("BTC", 12), ("ETH", 150), ("USDC", 800_000)]
    book = folder / "book.csv"
    book.write_text("\n".join([HEADER, *(f"deribit,{symbol},{q}," for symbol, q in rows)]) + "\n")
    ran = replay(tape, book, Settings(), load_limits(None), folder / "journal")
    storage = open_to_read(folder / "journal")
    export(storage, folder / "out", where="journal")
    storage.close()
    return tape, folder / "journal", folder / "out", ran.document


def by_hand(tape: Tape, out: Path) -> list[tuple[int, float]]:
    """(time, equity) at every batch of the tape, and after what was traded between two of them."""
    fills = pl.read_parquet(out / "fills.parquet").sort("time_ns").to_dicts()
    moved = pl.read_parquet(out / "adjustments.parquet").to_dicts()
    hand = Hand()
    traded = {row["symbol"] for row in fills}
    for row in pl.read_parquet(out / "opening.parquet").to_dicts():
        if row["currency"] is not None:
            hand.cash[row["currency"]] += Fraction(row["amount"])
        else:
            hand.held[row["symbol"]] += Fraction(row["amount"])
            if row["paid_number"]:
                hand.entered[row["symbol"]] += Fraction(row["paid_number"])
    ever = [*{*hand.held, *traded}]
    events = [(row["time_ns"], 0, row) for row in fills] + [(row["now_ns"], 1, row) for row in moved]
    events.sort(key=lambda item: item[:2])
    found: list[tuple[int, float]] = []
    last: dict[str, dict[str, Any]] = {}
    index: dict[str, Any] = {}
    now_ns = 0
    for (_,), part in tape.frame("quotes").group_by("seq", maintain_order=True):
        before_ns, now_ns = now_ns, max(part["local_ns"].to_list())
        between = False
        while events and not events[0][1] and events[0][0] <= now_ns - 1_000_000_000:
            between = True
            hand.take(events.pop(0)[2])
        if between:
            found.append((before_ns, hand.worth(before_ns, last, index)))
        mine = part.filter(pl.col("symbol").is_in(ever))
        last |= {row["symbol"]: row for row in mine.iter_rows(named=True)}
        index = {
            c: part.filter(pl.col("symbol").str.starts_with(c))["index"].median() for c in ("BTC", "ETH")
        }
        # What the engine books on a mark it books some milliseconds after the venue's stamp of it.
        while events and events[0][0] <= now_ns + 20_000_000:
            _, settled, row = events.pop(0)
            if not settled:
                hand.take(row)
            elif row["kind"] == "settlement":
                hand.settle(row)
            else:
                hand.cash[row["currency"]] += Fraction(row["amount"])
        found.append((now_ns, hand.worth(now_ns, last, index)))
    for _, settled, row in events:
        assert not settled
        hand.take(row)
    found.append((found[-1][0], hand.worth(now_ns, last, index)))
    return found


def test_the_month_reconciles_by_hand(month: tuple[Tape, Path, Path, dict[str, Any]]) -> None:
    tape, _, out, document = month
    equity = by_hand(tape, out)
    assert document["fills"] > 0 and pl.read_parquet(out / "adjustments.parquet").height > 5
    assert document["marks_passed_over"] == 0
    assert document["pnl_usd"] == pytest.approx(equity[-1][1] - equity[0][1], abs=1.0)
    days: dict[str, float] = {}
    for (_, before), (at, after) in pairwise(equity):
        day = datetime.fromtimestamp(at / 1e9, UTC).date().isoformat()
        days[day] = days.get(day, 0.0) + after - before
    told = {day["day"]: day["pnl_usd"] for day in document["days"]}
    assert told.keys() == days.keys()
    worst = max(abs(told[day] - days[day]) for day in days)
    assert worst < 1.0


def test_what_is_traded_has_causes(month: tuple[Tape, Path, Path, dict[str, Any]]) -> None:
    """Batches lie six hours apart: of what hedges gained until the next one nothing is left to `traded`, but
    for the way from the mid to the mark at the fill itself, which is within the half spread that was paid."""
    _, _, _, document = month
    parts = document["attribution_usd"]
    assert abs(parts["traded"]) <= abs(parts["slippage"]) + abs(parts["fees"]) < 0.05 * abs(parts["delta"])
    assert document["fees_usd"] == pytest.approx(-parts["fees"], rel=1e-9)
    assert document["slippage_usd"] == pytest.approx(-parts["slippage"], rel=1e-9)


def test_fees_and_settlements_are_those_on_record(month: tuple[Tape, Path, Path, dict[str, Any]]) -> None:
    tape, _, out, document = month
    quotes = tape.frame("quotes")
    stamps = quotes.group_by("seq").agg(pl.col("local_ns").max().alias("at")).sort("at")["at"].to_list()
    index: dict[tuple[str, int], float] = {}
    for coin in ("BTC", "ETH"):
        mine = (
            quotes.filter(pl.col("symbol").str.starts_with(coin))
            .group_by("seq")
            .agg(pl.col("local_ns").max().alias("at"), pl.col("index").median())
        )
        index |= {(coin, at): x for _, at, x in mine.iter_rows()}

    def usd(currency: str, amount: float, at_ns: int) -> float:
        """At the index of the next mark, or of the last one."""
        later = next((t for t in stamps if t >= at_ns - 20_000_000), stamps[-1])
        return amount * (1.0 if currency in STABLE else index[currency, later])

    def then(currency: str, amount: float, at_ns: int) -> float:
        """At the index of the last mark before."""
        before = [t for t in stamps if t <= at_ns + 20_000_000][-1]
        return amount * (1.0 if currency in STABLE else index[currency, before])

    fills = pl.read_parquet(out / "fills.parquet").to_dicts()
    fees = -math.fsum(then(f["fee_currency"], f["fee_number"], f["time_ns"]) for f in fills)
    assert document["ledger_usd"]["fees"] == pytest.approx(fees, abs=0.01)
    assert document["attribution_usd"]["fees"] == pytest.approx(fees, abs=0.01)
    moved = pl.read_parquet(out / "adjustments.parquet")
    keys = moved.filter(pl.col("kind") == "settlement")["key"].to_list()
    assert None not in keys and len(set(keys)) == len(keys)
    paid = math.fsum(usd(m["currency"], m["amount_number"], m["now_ns"]) for m in moved.to_dicts())
    assert document["ledger_usd"]["settlement"] == pytest.approx(paid, abs=1.0)


def test_both_accounts_of_every_day_agree(month: tuple[Tape, Path, Path, dict[str, Any]]) -> None:
    document = month[3]
    for day in [*document["days"], document]:
        parts = [x for name, x in day["attribution_usd"].items() if name != "pnl"]
        ledger = [x for name, x in day["ledger_usd"].items() if name != "total"]
        assert math.fsum(parts) == pytest.approx(day["pnl_usd"], abs=1e-4)
        assert math.fsum(ledger) == pytest.approx(day["pnl_usd"], abs=1e-4)
        assert abs(day["ledger_difference_usd"]) < 1e-4
        assert abs(day["ledger_usd"]["unexplained"]) < 1e-4


def test_the_month_decides_the_same_again(month: tuple[Tape, Path, Path, dict[str, Any]]) -> None:
    tape, journal, _, document = month
    again = refold(journal, tape, Settings(), load_limits(None))
    assert again.same and again.events == document["decisions"]
    assert again.digest == document["state_digest"]
