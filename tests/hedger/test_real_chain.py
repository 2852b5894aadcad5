"""February 2026 on Deribit, the fall of the 5th among it: a market maker's book planned on the real chain.

Exposures are recomputed from the raw quotes with the textbook's formulas; the ticket's promises are checked.
"""

from __future__ import annotations

import math
import random
from pathlib import Path

import polars as pl
import pytest

from tests.hedger.command_line import HEADER, Json, exposures, hedger, numbers, refused, ticket
from tests.hedger.own import RawMarket
from tests.hedger.test_documents import check_plan
from venues.import_options import ImportOptions
from venues.tape_import import import_tape

OPTIONS = 40
#: Eight of the 110 snapshots; three of them on 5 February, when BTC fell from 73,000 to 63,000.
SNAPSHOTS = (
    "2026-02-01T04", "2026-02-03T15", "2026-02-05T04", "2026-02-05T15", "2026-02-05T21", "2026-02-06T04",
    "2026-02-14T09", "2026-02-28T21",
)  # fmt: skip


@pytest.fixture(scope="session")
def february(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("february") / "tape"
    source = shared_data / "options" / "deribit_chain_6h_2026-02.parquet"
    import_tape([source], "deribit-chain", path, ImportOptions({"BTC": 10.0, "ETH": 100.0}))
    return path


@pytest.fixture(scope="session")
def batches(february: Path) -> dict[str, tuple[int, int]]:
    """(seq, time) of each snapshot, by its hour."""
    quotes = pl.scan_parquet(february / "quotes.parquet")
    found = quotes.group_by("seq").agg(pl.col("local_ns").max()).sort("seq").collect()
    hours = found.with_columns(hour=pl.from_epoch("local_ns", "ns").dt.strftime("%Y-%m-%dT%H"))
    return {hour: (seq, now_ns) for seq, now_ns, hour in hours.iter_rows()}


@pytest.fixture(scope="session", params=SNAPSHOTS)
def snapshot(
    request: pytest.FixtureRequest, february: Path, batches: dict[str, tuple[int, int]]
) -> RawMarket:
    return RawMarket.read(february, batches[request.param][0])


@pytest.fixture(scope="session")
def holdings(snapshot: RawMarket) -> dict[str, float]:
    """40 random options a coin, six in ten short, coins and dollars; the same for the same snapshot."""
    dice = random.Random(snapshot.now_ns)
    held: dict[str, float] = {"USDC": 1_000_000.0}
    for coin, size in (("BTC", 1.0), ("ETH", 30.0)):
        chain = sorted(
            symbol
            for symbol, quote in snapshot.quotes.items()
            if symbol.startswith(f"{coin}-") and snapshot.listings[symbol]["kind"] == "option"
            if quote["bid"] and quote["ask"] and 0.5 <= snapshot.days(symbol) <= 200
            if 0.05 <= abs(snapshot.greeks(symbol).delta) <= 0.95
        )
        for symbol in dice.sample(chain, OPTIONS):
            lots = dice.randint(1, 150) if coin == "BTC" else dice.randint(1, 8)
            held[symbol] = round(lots * size * (0.1 if coin == "BTC" else 1.0), 1) * dice.choice(
                [-1, -1, -1, 1, 1]
            )
        held[coin] = round(2e6 / snapshot.index[coin], 4)
        held[f"{coin}-PERPETUAL"] = float(dice.randint(-50_000, 50_000)) * 10
    return held


@pytest.fixture
def book(holdings: dict[str, float], tmp_path: Path) -> Path:
    path = tmp_path / "book.csv"
    path.write_text(
        "\n".join([HEADER, *(f"deribit,{name},{amount!r}," for name, amount in holdings.items())]) + "\n"
    )
    return path


def check_finite(document: Json) -> None:
    assert all(math.isfinite(x) for x in numbers(document))


@pytest.mark.parametrize("numeraire", ["USD", "coin"])
def test_exposures_from_the_raw_quotes(
    numeraire: str,
    snapshot: RawMarket,
    holdings: dict[str, float],
    book: Path,
    february: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    wanted = snapshot.exposures(holdings, numeraire)
    risk = exposures(capsys, february, book, "--at", snapshot.now_ns, "--numeraire", numeraire)
    check_finite(risk)
    assert (risk["missing"], len(risk["rows"])) == ([], 22)
    assert {e["forward_source"] for e in risk["expiries"]} <= {"synthetic", "listed_future"}
    for row in risk["rows"]:
        assert row["value"] == pytest.approx(wanted.get(row["row"], 0.0), rel=1e-9, abs=1e-13)
    for name in ("delta:BTC", "gamma:ETH", "vega:BTC", "vega:ETH:7-30d"):
        assert wanted[name] != 0


def test_the_plan_keeps_its_promises(
    snapshot: RawMarket, book: Path, february: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = ticket(capsys, february, book, "--at", snapshot.now_ns)
    check_finite(plan)
    check_plan(plan, snapshot)
    assert plan["status"] in ("hedge", "relaxed")
    assert any(row["breached"] for row in plan["rows"])
    for row in plan["rows"]:
        if row["breached"]:
            low, high = (
                math.inf * sign if x is None else x for x, sign in zip(row["landing"], (-1, 1), strict=True)
            )
            inside = low - 1e-8 * abs(low) <= row["after"] <= high + 1e-8 * abs(high)
            assert inside or (row["slack"] > 0 and row["row"] in plan["reason"])
    assert plan["cost_usd"] >= plan["lower_bound_usd"] > 0
    # a larger gap is said: the search ran out of time, or whole lots cannot come nearer
    said = "time limit" in plan["reason"] or "whole lots leave" in plan["reason"]
    assert plan["gap"] <= 1e-3 or said or plan["status"] == "relaxed"
    if plan["runner_up"] is not None:
        assert plan["cost_usd"] <= plan["runner_up"]["cost_usd"]
        for row in plan["rows"]:  # under the same rows
            low, high = (row["required"] or (None, None))[:2]
            after = row["before"] + sum(t["effect"].get(row["row"], 0.0) for t in plan["runner_up"]["trades"])
            assert low is None or after >= low - 1e-8 * abs(low)
            assert high is None or after <= high + 1e-8 * abs(high)


def test_the_fall_is_among_the_snapshots(february: Path, batches: dict[str, tuple[int, int]]) -> None:
    index = [RawMarket.read(february, batches[hour][0]).index["BTC"] for hour in SNAPSHOTS]
    on_the_fifth = [x for hour, x in zip(SNAPSHOTS, index, strict=True) if "02-05" in hour]
    assert len(batches) == 110
    assert min(on_the_fifth) < 0.92 * max(on_the_fifth)


def test_before_the_recording_there_is_nothing(
    february: Path, batches: dict[str, tuple[int, int]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    book = tmp_path / "book.csv"
    book.write_text(f"{HEADER}\nderibit,BTC,1,\n")
    _, first_ns = min(batches.values())
    assert exposures(capsys, february, book, "--at", first_ns)["underlyings"][0]["index"] > 0
    ran = hedger(capsys, "plan", "--book", book, "--market", february, "--at", first_ns - 1)
    assert "2026-02-01T04:54:02" in refused(ran, "TIME_BEFORE_TAPE")


def test_an_option_seen_hours_ago_or_never_makes_the_book_incomplete(
    february: Path, batches: dict[str, tuple[int, int]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the venue lists new strikes and drops old ones, some of the month's listings have no quote now."""
    quotes = pl.read_parquet(february / "quotes.parquet").select("seq", "symbol", "local_ns")
    listings = pl.read_parquet(february / "listings.parquet").filter(pl.col("kind") == "option")
    seq, now_ns = batches["2026-02-14T09"]
    alive = set(listings.filter(pl.col("expiry_ns") > now_ns)["symbol"])
    here = set(quotes.filter(pl.col("seq") == seq)["symbol"])
    before = set(quotes.filter(pl.col("seq") < seq)["symbol"])
    cases = {"not_quoted": sorted(alive - here - before), "stale": sorted((alive & before) - here)}
    assert cases["not_quoted"]
    for reason, symbols in cases.items():
        for symbol in symbols[:2]:
            # at worst the option is short what the coins are long
            book, quantity = tmp_path / "book.csv", -20 if symbol.endswith("C") else 20
            coin = symbol.split("-")[0]
            book.write_text(f"{HEADER}\nderibit,{symbol},{quantity},\nderibit,{coin},30,\n")
            plan = ticket(capsys, february, book, "--at", now_ns, code=3)
            assert plan["status"] == "blocked"
            (missing,) = plan["missing"]
            assert (missing["symbol"], missing["reason"]) == (symbol, reason)
            assert missing["age_s"] is None if reason == "not_quoted" else missing["age_s"] > 600
