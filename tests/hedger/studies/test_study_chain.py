"""The study on recorded chains: no look at what comes, a ledger that agrees, prices that were displayed."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from hedger.settings import Settings
from hedger.studies import chain_tapes as study
from hedger.studies.chain_inputs import Series, read_flow
from hedger.studies.chain_market import contracts_of
from hedger.studies.chain_mix import MixSettings
from hedger.studies.chain_walk import DayEnd, Fills
from pricing.contracts import Option, Side
from risk.book import Book, Fill
from tests.hedger.command_line import Json, hedger, make_book, make_tape, refused, strict_json
from venues.simulated import START_NS
from venues.tape import Tape

HOUR_NS = 3_600 * 10**9
BATCHES = 22


def chain_tape(path: Path, batches: int) -> Path:
    """The simulated market every six hours."""
    return make_tape(path, batches=batches, seconds=6 * 3600.0)


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return chain_tape(tmp_path_factory.mktemp("chain") / "tape", BATCHES)


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same market, recorded until the middle."""
    return chain_tape(tmp_path_factory.mktemp("half") / "tape", BATCHES // 2)


def hourly(until_ns: int) -> dict[str, Series]:
    """A perpetual that wanders, whatever the tape does."""
    at = np.arange(START_NS + HOUR_NS // 2, until_ns, HOUR_NS)
    wander = np.cumsum(np.random.default_rng(5).normal(0.0, 0.004, 1000))[: at.size]
    return {"BTC": Series(at, 68_000.0 * np.exp(wander))}


def walked(
    tape: Path, question: study.Question | None = None, **also: Any
) -> tuple[list[study.Coin], list[tuple[str, Fills]]]:
    seen: list[tuple[str, Fills]] = []
    asked = question or study.Question(("BTC", "ETH"), seed=3, seeds=1)
    coins = study.walk_tapes(
        [Tape.open(tape)], Settings(), asked, on_fills=lambda name, fills: seen.append((name, fills)), **also
    )
    return coins, seen


@pytest.fixture(scope="module")
def whole(chain: Path) -> tuple[list[study.Coin], list[tuple[str, Fills]]]:
    return walked(chain)


def same(a: DayEnd, b: DayEnd) -> bool:
    names = ("wealth", "cost", "trades", "parts", "edge")
    return all(np.array_equal(getattr(a, name), getattr(b, name), equal_nan=True) for name in names)


@pytest.mark.parametrize("with_hours", [False, True])
def test_half_a_tape_is_the_first_half_of_the_study(chain: Path, half: Path, with_hours: bool) -> None:
    end = int(Tape.open(half).batches.now_ns[-1])
    far = study.Question(("BTC", "ETH"), 3, 1, perp=hourly(end + 10**15) if with_hours else None)
    near = study.Question(("BTC", "ETH"), 3, 1, perp=hourly(end + 1) if with_hours else None)
    long, long_fills = walked(chain, far)
    short, short_fills = walked(half, near)
    until = [x for x in long_fills if x[1].now_ns <= end]
    assert len(until) == len(short_fills) > BATCHES // 2
    assert any(fills.options for _, fills in short_fills)
    for (name, a), (other, b) in zip(until, short_fills, strict=True):
        assert (name, a.now_ns) == (other, b.now_ns)
        assert np.array_equal(a.perp_usd, b.perp_usd)
        assert a.options.keys() == b.options.keys()
        for key, mine in a.options.items():
            assert all(np.array_equal(x, y) for x, y in zip(mine, b.options[key], strict=True))
    for x, y in zip(long, short, strict=True):
        # the last day of the short walk goes on in the long one
        assert len(y.walk.days) >= 2
        assert all(same(a, b) for a, b in zip(x.walk.days, y.walk.days[:-1], strict=False))
        assert y.walk.marks_between == (0 if not with_hours or y.contracts.underlying == "ETH" else 60)


def test_ledger_and_steps_agree_at_every_step(chain: Path) -> None:
    end = int(Tape.open(chain).batches.now_ns[-1])
    question = study.Question(("BTC", "ETH"), 3, 2, perp=hourly(end))
    for coin in walked(chain, question)[0]:
        assert coin.walk.settled > 0
        assert coin.walk.worst_gap_usd <= 1e-6
        assert np.abs(coin.walk.wealth).max() > 1e3


def raw_batches(tape: Path) -> list[dict[str, Json]]:
    quotes = Tape.open(tape).frame("quotes").sort("seq")
    return [
        {row["symbol"]: row for row in batch.iter_rows(named=True)}
        for (_,), batch in quotes.group_by("seq", maintain_order=True)
    ]


def test_options_trade_at_the_touch_and_no_more_than_displayed(
    chain: Path, whole: tuple[list[study.Coin], list[tuple[str, Fills]]]
) -> None:
    coins, seen = whole
    symbols = {coin.contracts.underlying: coin.contracts.symbols for coin in coins}
    by_time = {next(iter(batch.values()))["local_ns"]: batch for batch in raw_batches(chain)}
    count = 0
    for name, fills in seen:
        batch = by_time[fills.now_ns]
        for at, quantity, price, fee in fills.options.values():
            for number, coins_bought, paid, charged in zip(at, quantity, price, fee, strict=True):
                quote = batch[symbols[name][number]]
                side = "ask" if coins_bought > 0 else "bid"
                assert paid == quote[side]
                assert abs(coins_bought) <= quote[f"{side}_size"] * (1 + 1e-12)
                rate = min(0.0003, 0.125 * quote[side])
                assert charged == pytest.approx(abs(coins_bought) * rate, rel=1e-12)
                count += 1
        perp = batch[f"{name}-PERPETUAL"]
        bought = fills.perp_usd > 0
        assert (fills.perp_price[bought] == perp["ask"]).all()
        assert (fills.perp_price[fills.perp_usd < 0] == perp["bid"]).all()
    assert count > 50


def flow_file(path: Path, chain: Path) -> Path:
    """Three trades: a long option, one that expires under way, and a sale at a price."""
    batches = raw_batches(chain)
    universe = Tape.open(chain).universe
    end = int(Tape.open(chain).batches.now_ns[-1])
    options = [
        (x.symbol, x.contract)
        for x in universe.listings
        if isinstance(x.contract, Option) and x.contract.underlying == "BTC" and x.symbol in batches[1]
    ]
    spot = batches[1]["BTC-PERPETUAL"]["mark"]
    near = [(name, x) for name, x in options if START_NS + 20 * HOUR_NS < x.expiry_ns < end]
    far = [(name, x) for name, x in options if x.expiry_ns > end + 20 * 24 * HOUR_NS]
    dear, _ = min(near, key=lambda x: abs(x[1].strike - 0.97 * spot) + (x[1].right.sign < 0) * 1e6)
    plain, _ = min(far, key=lambda x: abs(x[1].strike - spot))
    price = batches[1][plain]["mark"]
    path.write_text(
        "time,venue,symbol,quantity,price\n"
        f"{START_NS + 7 * HOUR_NS},simulated,{plain},25,\n"
        f"{START_NS + 7 * HOUR_NS},simulated,{dear},-12.5,\n"
        f"{START_NS + 31 * HOUR_NS},simulated,{plain},-4,{price + 0.001!r}\n"
    )
    return path


def test_the_exact_ledger_says_the_same(chain: Path, tmp_path: Path) -> None:
    """Every fill of two lanes booked in the exact ledger of `risk.book`, valued from the raw quotes."""
    tape = Tape.open(chain)
    contracts = contracts_of([tape.universe], "BTC")
    path = flow_file(tmp_path / "flow.csv", chain)
    question = study.Question(("BTC",), flow=read_flow(path, [contracts]))
    (coin,), seen = walked(chain, question)
    walk = coin.walk
    listings = {x.symbol: x for x in tape.universe.listings}
    batches = raw_batches(chain)
    trades = [line.split(",") for line in path.read_text().splitlines()[1:]]
    chosen = [i for i, lane in enumerate(walk.lanes) if lane.policy in ("calendar", "ours_mix")]
    worst = 0.0
    for lane in chosen:
        book = Book.of([], {})
        last_ns, spot = 0, math.nan
        for batch, (_, fills) in zip(batches, seen, strict=True):
            now_ns = fills.now_ns
            alive = [s for s in batch if isinstance(listings[s].contract, Option) and s.startswith("BTC")]
            nearest = min(listings[s].expiry_ns for s in alive)
            spot = next(
                batch[s]["forward"] for s in alive
                if listings[s].expiry_ns == nearest
            )  # fmt: skip
            for key, position in list(book.positions.items()):
                contract = position.listing.contract
                if isinstance(contract, Option) and contract.expiry_ns <= now_ns:
                    book = book.settle(key, Decimal(repr(spot)))
            for time, _, symbol, quantity, price in trades:
                if last_ns < int(time) <= now_ns:
                    paid = price or repr(batch[symbol]["mark"])
                    side = Side.SELL if float(quantity) > 0 else Side.BUY
                    size = abs(Decimal(quantity))
                    book = book.apply(Fill(listings[symbol], side, size, Decimal(paid), Decimal(0), "BTC"))
            done: list[tuple[str, float, float, float]] = []
            if (0, lane) in fills.options:
                for number, q, p, fee in zip(*fills.options[0, lane], strict=True):
                    done.append((contracts.symbols[number], q, p, fee))
            usd = float(fills.perp_usd[0, lane])
            if usd:
                touch = float(fills.perp_price[0, lane])
                done.append(("BTC-PERPETUAL", usd, touch, abs(usd) * 0.0005 / touch))
            for symbol, q, p, fee in done:
                side = Side.BUY if q > 0 else Side.SELL
                listing = listings[symbol]
                exact = abs(listing.quantize_quantity(float(q)))
                fill = Fill(listing, side, exact, Decimal(repr(float(p))), Decimal(repr(float(fee))), "BTC")
                book = book.apply(fill)
            last_ns = now_ns
        perp = batches[-1]["BTC-PERPETUAL"]["mark"]
        prices = {("simulated", "BTC-PERPETUAL"): perp}
        coins = book.balances(prices).get("BTC", Fraction(0))
        equity = float(coins) * spot
        for position in book.positions.values():
            if isinstance(position.listing.contract, Option):
                equity += float(position.quantity) * batches[-1][position.listing.symbol]["mark"] * spot
        worst = max(worst, abs(equity - walk.wealth[0, lane]))
        assert abs(walk.wealth[0, lane]) > 1.0
    assert walk.settled == 1
    assert worst < 1e-6


def test_flow_and_hedges_do_not_touch_each_other(chain: Path) -> None:
    """Books of one customer are the same whatever our policies do, and differ between seeds."""
    quiet = study.Question(("BTC",), 3, 2, mix=MixSettings(budgets=(0.1,)))
    loud = study.Question(("BTC",), 3, 2, mix=MixSettings(budgets=(2.0,)))
    a, b = walked(chain, quiet)[0][0].walk, walked(chain, loud)[0][0].walk
    assert np.array_equal(a.book, b.book)
    assert np.array_equal(a.edge, b.edge) and (a.edge > 0).all()
    assert not np.array_equal(a.book[0], a.book[1])
    assert not np.array_equal(a.hedges, b.hedges)


def test_spending_follows_its_budget_and_centring_costs_most(
    whole: tuple[list[study.Coin], list[tuple[str, Fills]]],
) -> None:
    for coin in whole[0]:
        cost = {
            lane.policy + str(dict(lane.parameters)): x
            for lane, x in zip(coin.walk.lanes, coin.walk.cost.T, strict=True)
        }
        c0 = cost["calendar{'every_h': None}"]
        assert (cost["none{}"] == 0).all()
        for name, spent in cost.items():
            if name.startswith(("fixed_edge", "whalley_wilmott{", "calendar")):
                assert (spent <= c0 * (1 + 1e-6)).all(), name
        half, full = (cost["ours_mix{'budget': %s}" % b] for b in (0.5, 1.0))  # noqa: UP031
        assert (half < full).all()


def test_the_document(chain: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    ran = hedger(capsys, "study", "chain", chain, "--seeds", 1, "--json", "--picture", page)
    assert ran.code == 0 and "snapshots" in ran.err
    document = strict_json(ran.out)
    policies = {"none", "calendar", "fixed_edge", "fixed_centre", "leland", "whalley_wilmott",
                "whalley_wilmott_centre", "zakamouline", "ours_perp", "ours_mix"}  # fmt: skip
    assert {row["policy"] for row in document["rows"]} == policies
    assert {row["underlying"] for row in document["rows"]} == {"BTC", "ETH"}
    for row in document["rows"]:
        if row["policy"] == "zakamouline":
            assert row["sd_net"] is None and "gammas of both signs" in row["refused"]
            continue
        assert row["worst_day"] <= row["es5_net"] * (1 - 1e-12 * math.copysign(1, row["es5_net"])) + 1e-9
        assert row["sd_net"] > 0
        assert sum(row["shares"].values()) == pytest.approx(1.0, abs=1e-9)
        if row["policy"] == "none":
            assert row["mean_cost"] == row["trades"] == 0 and row["sd_gross"] == row["sd_net"]
    assert document["coins"][0]["settlements"]["status"] == "assumed"
    assert page.read_text().count("cost against risk") == 2
    again = hedger(capsys, "study", "chain", chain, "--seeds", 1, "--json")
    assert strict_json(again.out) == document
    shown = hedger(capsys, "study", "chain", chain, "--seeds", 1, "--underlying", "ETH")
    assert shown.code == 0 and "zakamouline" in shown.out and "positions still open at the end" in shown.out


def test_one_sided_gammas_are_hedged_by_zakamouline(
    chain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    end = int(Tape.open(chain).batches.now_ns[-1])
    first = raw_batches(chain)[0]
    strikes = [
        x.symbol for x in Tape.open(chain).universe.listings
        if isinstance(x.contract, Option) and x.contract.underlying == "BTC" and x.symbol in first
        and x.contract.expiry_ns > end + 10 * 24 * HOUR_NS and first[x.symbol]["mark"] > 0.01
    ][:3]  # fmt: skip
    book = make_book(
        tmp_path / "book.csv", [*((s, -20) for s in strikes), ("BTC", 3), ("BTC-PERPETUAL", 500_000)]
    )
    flow = tmp_path / "flow.csv"
    flow.write_text("time,venue,symbol,quantity,price\n")
    ran = hedger(
        capsys, "study", "chain", chain, "--book", book, "--flow", flow, "--underlying", "BTC", "--json"
    )
    assert ran.code == 0
    rows = [row for row in ran.json["rows"] if row["policy"] == "zakamouline"]
    assert len(rows) == 4 and all(row["sd_net"] > 0 and "refused" not in row for row in rows)
    none = next(row for row in ran.json["rows"] if row["policy"] == "none")
    centred = next(row for row in ran.json["rows"] if row["policy"] == "calendar")
    assert all(row["sd_net"] < none["sd_net"] for row in rows)
    assert centred["sd_net"] < 0.7 * none["sd_net"]


def test_a_book_of_one_coin_leaves_the_other_empty(
    chain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both coins are walked; what a book does not hold is nothing, not a fault."""
    book = make_book(tmp_path / "book.csv", [("BTC", 3), ("BTC-PERPETUAL", 500_000)])
    flow = tmp_path / "flow.csv"
    flow.write_text("time,venue,symbol,quantity,price\n")
    ran = hedger(capsys, "study", "chain", chain, "--book", book, "--flow", flow, "--json")
    assert ran.code == 0
    assert [coin["underlying"] for coin in ran.json["coins"]] == ["BTC", "ETH"]
    none = [row for row in ran.json["rows"] if row["policy"] == "none"]
    assert none and all(row["mean_cost"] == 0.0 for row in none)


def test_one_snapshot_is_no_walk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ran = hedger(capsys, "study", "chain", chain_tape(tmp_path / "tape", 1), "--seeds", 1)
    assert ran.code == 2 and "TAPE_WITHOUT_CHAIN" in ran.err and "1 snapshots" in ran.err


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--underlying", "SOL"], "TAPE_WITHOUT_CHAIN"),
        (["--perp", "none.parquet"], "FILE_UNREADABLE"),
        (["--flow", "none.csv"], "FLOW_UNREADABLE"),
        (["--picture", "page.txt"], "PICTURE_NOT_WRITTEN"),
        (["--book", "none.csv"], "BOOK_UNREADABLE"),
    ],
)
def test_mistakes_on_the_command_line(
    words: list[str], code: str, chain: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = hedger(capsys, "study", "chain", chain, "--seeds", 1, *words)
    assert ran.code == 2 and ran.out == "" and "Traceback" not in ran.err
    assert f"{code}: " in ran.err


@pytest.mark.parametrize(
    "lines",
    [
        "time,symbol\n",
        "time,venue,symbol,quantity,price\n2026-03-02,simulated,BTC-1JAN20-1-C,1,\n",
        "time,venue,symbol,quantity,price\n2026-03-02,simulated,{known},nan,\n",
        "time,venue,symbol,quantity,price\n2026-03-02,simulated,{known},0,\n",
        "time,venue,symbol,quantity,price\n2026-03-02,simulated,{known},1,-0.1\n",
        "time,venue,symbol,quantity,price\n2026-03-02,simulated,{known}\n",
    ],
)
def test_a_flow_that_is_none(
    lines: str, chain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known = next(x.symbol for x in Tape.open(chain).universe.listings if isinstance(x.contract, Option))
    path = tmp_path / "flow.csv"
    path.write_text(lines.format(known=known))
    refused(hedger(capsys, "study", "chain", chain, "--flow", path), "FLOW_INVALID")


@pytest.mark.parametrize(
    ("table", "code"),
    [
        (pl.DataFrame({"ts": ["a"], "open": [1.0]}), "FILE_TYPE"),
        (pl.DataFrame({"ts": [1], "price": [1.0]}), "FILE_COLUMNS"),
        (pl.DataFrame({"ts": [1, 1], "open": [1.0, 2.0]}).with_columns(pl.from_epoch("ts")), "FILE_VALUE"),
        (pl.DataFrame({"ts": [1, 2], "open": [1.0, -2.0]}).with_columns(pl.from_epoch("ts")), "FILE_VALUE"),
    ],
)
def test_hourly_prices_that_are_none(
    table: pl.DataFrame, code: str, chain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "perp.parquet"
    table.write_parquet(path)
    refused(hedger(capsys, "study", "chain", chain, "--perp", path), code)


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("--perp", "ts,open,open\n2026-03-01T00:00:00,70000,7\n"),
        ("--dvol", "ts,dvol,currency,dvol\n2026-03-01T00:00:00,50,BTC,5\n"),
    ],
)
def test_a_column_that_stands_twice(
    option: str, text: str, chain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "prices.csv"
    path.write_text(text)
    said = refused(hedger(capsys, "study", "chain", chain, option, path), "COLUMN_TWICE")
    assert str(path) in said and "; nothing was walked; " in said


def test_a_month_of_the_recorded_chain(
    shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = shared_data / "options" / "deribit_chain_6h_2026-02.parquet"
    tape = tmp_path / "tape"
    made = hedger(capsys, "tape", "import", source, "--format", "deribit-chain", "--out", tape,
                  "--size-at-touch", "BTC=10,ETH=100")  # fmt: skip
    assert made.code == 0
    ran = hedger(capsys, "study", "chain", tape, "--seeds", 1, "--json")
    assert ran.code == 0
    document = ran.json
    assert all(coin["ledger_gap_usd"] <= 1e-6 and coin["snapshots"] == 110 for coin in document["coins"])
    mixed = next(
        x for x in document["pooled"] if x["policy"] == "ours_mix" and x["parameters"]["budget"] == 1.0
    )
    # dearer than its budget by no more than what a month leaves to the controller, and worth it
    assert mixed["cost_over_c0"] < 1.15
    assert mixed["sd_ratio"] < 0.75
    assert json.dumps(document, allow_nan=False)


def test_a_tape_too_short_to_tell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tape = chain_tape(tmp_path / "tape", 2)
    ran = hedger(capsys, "study", "chain", tape, "--seeds", 1, "--json")
    assert ran.code == 0
    assert all(
        row["sd_net"] is None and "fewer than three days" in row["refused"] for row in ran.json["rows"]
    )
    assert ran.json["at_equal_cost"] == ran.json["pooled"] == []


def test_the_order_of_tapes_does_not_matter_and_each_moment_counts_once(
    chain: Path, half: Path, whole: tuple[list[study.Coin], list[tuple[str, Fills]]]
) -> None:
    """The second tape begins where the first one does: what both hold is walked once."""
    question = study.Question(("BTC",), 3, 1)
    for paths in ([half, chain], [chain, half]):
        (coin,) = study.walk_tapes([Tape.open(path) for path in paths], Settings(), question)
        assert coin.walk.snapshots == BATCHES
        assert np.array_equal(coin.walk.wealth, whole[0][0].walk.wealth)
