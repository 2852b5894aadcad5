"""Limits, lists and preferences through the ticket: kept by the trades, named where they bind."""

from __future__ import annotations

import json
import math
import shutil
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from hedger.inputs import read_book
from hedger.planning import PlanStatus, make_plan
from hedger.problem.column_caps import column_caps
from hedger.problem.limit_rows import LIMIT_PRIORITY, ExtraRows
from hedger.problem.snapshot import Snapshot, take_snapshot
from hedger.settings import Settings
from pricing.contracts import Side
from risk.book import Book, Position
from risk.costs import CostSettings, MarginRates, cost_model
from tests.builders import Quote, future, listing, market_of, option, perpetual, spot
from tests.hedger.command_line import Json, hedger, make_book, make_tape, refused, ticket
from tests.hedger.own import RawMarket, black
from tests.hedger.problem.test_problem import CALL, PERP, quote, snapshot_of
from venues.simulated_law import SimulationSettings
from venues.tape import Tape


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three expiries, six strikes; the book holds one of the two coins."""
    chain = SimulationSettings(tenor_days=(4, 25, 53), strikes_per_expiry=6, futures=1)
    return make_tape(tmp_path_factory.mktemp("limits") / "tape", chain, batches=1)


@pytest.fixture(scope="module")
def raw(market: Path) -> RawMarket:
    return RawMarket.read(market)


@pytest.fixture(scope="module")
def held(raw: RawMarket, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Short options near the money of two expiries, a short perpetual, coins."""

    def nearest(part: str, right: str) -> str:
        options = [s for s in raw.listings if s.startswith("BTC-") and part in s and s.endswith(right)]
        return min(options, key=lambda s: abs(raw.listings[s]["strike"] / raw.index["BTC"] - 1))

    rows: list[tuple[str, object]] = [
        (nearest("27MAR26", "-C"), -40),
        (nearest("24APR26", "-P"), "-35.5"),
        ("BTC-PERPETUAL", -250_000),
        ("BTC", "12.5"),
        ("USDC", 1_000_000),
    ]
    return make_book(tmp_path_factory.mktemp("book") / "book.csv", rows)


def positions(book: Path) -> dict[str, float]:
    lines = [line.split(",") for line in book.read_text().splitlines()[1:]]
    return {symbol: float(quantity) for _, symbol, quantity, _ in lines}


def after(document: Json, book: Path) -> dict[str, float]:
    """Positions after the trades of a ticket."""
    found = defaultdict(float, positions(book))
    for trade in document["trades"]:
        found[trade["symbol"]] += float(trade["quantity"]) * (1 if trade["side"] == "buy" else -1)
    return found


def notional(raw: RawMarket, symbol: str, quantity: float) -> float:
    """Coins x index."""
    entry, coins = raw.listings.get(symbol), quantity
    if entry is None or entry["kind"] == "spot":
        return 0.0
    if entry["kind"] in ("perpetual", "future") and entry["payoff"] == "inverse":
        coins = quantity / raw.quotes[symbol]["mark"]
    return coins * raw.index[entry["underlying"]]


def run(capsys: Any, folder: Path, market: Path, book: Path, text: str) -> Json:
    (folder / "desk.toml").write_text(text)
    return ticket(capsys, market, book, "--config", folder / "desk.toml")


def limit(document: Json, row: str) -> Json:
    return next(x for x in document["limits"] if x["row"] == row)


# ------------------------------------------------------------------------------------------------------- rows


def test_no_limit_is_the_ticket_of_ever(market: Path, held: Path, capsys: Any, tmp_path: Path) -> None:
    plain = run(capsys, tmp_path, market, held, "")
    assert plain["status"] == "hedge" and plain["limits"] == plain["capped"] == []


def test_gross_and_net_notional(
    market: Path, held: Path, raw: RawMarket, capsys: Any, tmp_path: Path
) -> None:
    before = positions(held)
    gross = sum(abs(notional(raw, s, q)) for s, q in before.items())
    net = sum(notional(raw, s, q) for s, q in before.items())
    plain = run(capsys, tmp_path, market, held, "")
    free = sum(abs(notional(raw, s, q)) for s, q in after(plain, held).items())
    most = round(0.5 * (gross + min(free, 2 * gross)))
    assert most < free, "the limit would not bind"
    for key, row in (("gross_notional_usd_max", "BTC"), ("gross_notional_total_usd_max", "all")):
        found = run(capsys, tmp_path, market, held, f"[limits]\n{key} = {most}\n")
        told = limit(found, f"notional_gross:{row}")
        ends = sum(abs(notional(raw, s, q)) for s, q in after(found, held).items())
        assert found["status"] == "hedge" and found["cost_usd"] > plain["lower_bound_usd"]
        assert (told["before"], told["after"]) == (pytest.approx(gross), pytest.approx(ends))
        assert told["required"] == [None, most] and ends <= most * (1 + 1e-9)
        assert told["binding"] == "upper" and told["shadow_price_usd"] > 0 and told["slack"] == 0
    found = run(capsys, tmp_path, market, held, "[limits]\nnet_notional_usd_max = 1\n")
    told = limit(found, "notional_net:BTC")
    ends = sum(notional(raw, s, q) for s, q in after(found, held).items())
    # the book is beyond the limit already: no plan makes it worse, and none is forced to mend it
    assert told["required"] == [pytest.approx(net), 1.0]
    assert told["after"] == pytest.approx(ends) and net <= ends <= 1.0


def test_coins_of_an_expiry_and_of_a_strike(
    market: Path, held: Path, raw: RawMarket, capsys: Any, tmp_path: Path
) -> None:
    for key, of in (("expiry_coin_max", ("expiry_ns",)), ("strike_coin_max", ("expiry_ns", "strike"))):
        found = run(capsys, tmp_path, market, held, f"[limits]\n{key} = 4\n")
        sizes: dict[tuple[Any, ...], float] = defaultdict(float)
        start: dict[tuple[Any, ...], float] = defaultdict(float)
        for positions_of, into in ((after(found, held), sizes), (positions(held), start)):
            for symbol, quantity in positions_of.items():
                entry = raw.listings.get(symbol)
                if entry is not None and entry["kind"] == "option":
                    into[tuple(entry[name] for name in of)] += abs(quantity)
        for group, size in sizes.items():
            assert size <= max(4.0, start[group]) + 1e-9
        assert max(sizes.values()) > 3.5, "nothing was traded up to the limit"


def test_cash_stays_on_the_venue(
    market: Path, held: Path, raw: RawMarket, capsys: Any, tmp_path: Path
) -> None:
    """No coin may leave: what options cost is bought on the spot market, or earned by selling others."""
    text = "[limits]\nbalance_min = { simulated = { BTC = 12.5, USDC = 0 } }\n"
    found = run(capsys, tmp_path, market, held, text)
    plain = run(capsys, tmp_path, market, held, "")

    def coins(document: Json) -> float:
        """Coins after premiums, spot and fees at the limit price of every leg."""
        left = 12.5
        for trade in document["trades"]:
            entry, sign = raw.listings[trade["symbol"]], 1 if trade["side"] == "buy" else -1
            quantity, price = float(trade["quantity"]), float(trade["limit_price"])
            if entry["kind"] == "spot":
                left += sign * quantity
                continue
            left -= sign * quantity * price if entry["kind"] == "option" else 0.0
            left -= trade["cost_usd"]["fee"] / raw.index["BTC"]
        return left

    assert coins(plain) < 12.4
    assert coins(found) >= 12.5 - 1e-9
    told = limit(found, "balance:simulated:BTC")
    assert told["before"] == 12.5 and told["after"] >= 12.5 - 1e-9
    # the row reckons at the worst displayed price and with the margin of what is opened: never too much
    assert told["after"] <= coins(found) + 1e-9
    assert found["cost_usd"] > plain["cost_usd"]


def test_margin_rows_of_a_caller(market: Path, held: Path) -> None:
    """A margin row on options bought: it binds, and where it is out it is mended before delta."""
    settings = Settings()
    found = snapshot_on(market, held, settings)
    free = make_plan(found, settings)
    bought = sum(float(t.quantity) for t in free.trades if t.listing.symbol.endswith(("-C", "-P")))
    universe = found.market.universe
    per_unit = np.where(universe.is_option, 1.0, 0.0)[None, :]
    row = ExtraRows(
        ("margin:simulated",),
        ("BTC",),
        np.array([0.0]),
        per_unit,
        np.array([-np.inf]),
        np.array([round(bought * 0.8, 1)]),
        np.array([-2]),
    )
    plan = make_plan(found, settings, extra=row)
    assert plan.status is PlanStatus.HEDGE
    told = plan.limits[0]
    assert told.row == "margin:simulated" and told.binding == 1 and told.shadow_price > 0
    net = sum(t.side.sign * float(t.quantity) for t in plan.trades if universe.is_option[t.row])
    assert told.after == pytest.approx(net) and net <= bought * 0.8 + 0.05
    # a row that no plan can meet: said, with its name, and everything else is still hedged as far as it goes
    never = ExtraRows(
        row.names, row.units, np.array([-1e9]), per_unit, np.array([0.0]), np.array([np.inf]), row.priority
    )
    plan = make_plan(found, settings, extra=never)
    assert plan.status is PlanStatus.RELAXED and "margin:simulated" in plan.reason
    assert plan.limits[0].slack > 0
    assert LIMIT_PRIORITY < -2


def snapshot_on(market: Path, book: Path, settings: Settings) -> Snapshot:

    tape = Tape.open(market)
    known = tape.market_at(None)
    return take_snapshot(read_book(book, known.universe, known.now_ns), known, settings)


# ---------------------------------------------------------------------------------------------------- columns


def test_caps_of_orders_and_positions() -> None:
    """Coins and USD, of options and of inverse perpetuals; the tightest rule counts."""
    chosen = Settings.model_validate(
        {
            "limits": {
                "instruments": [
                    {"kinds": ["option"], "order_coin_max": 3},
                    {"kinds": ["perpetual"], "order_usd_max": 1_000, "position_coin_max": 0.5},
                    {"symbols": [CALL.listing.symbol], "position_coin_max": 2, "venues": ["deribit"]},
                    {"underlyings": ["ETH"], "order_coin_max": 0},
                ]
            }
        }
    )
    caps = column_caps(snapshot_of(CALL, PERP, settings=chosen), chosen)
    assert caps.buy.tolist() == [2.0, 1_000.0] and caps.sell.tolist() == [2.0, 1_000.0]
    assert caps.buy_why == (
        "limits.instruments.2.position_coin_max 2",
        "limits.instruments.1.order_usd_max 1000",
    )


def with_position(symbol: str, quantity: object, *quotes: Quote, **values: Any) -> tuple[Snapshot, Settings]:

    chosen = Settings.model_validate(values)
    named = {q.listing.symbol: q.listing for q in quotes}
    book = Book.of(
        [Position(named[symbol], "", Decimal(str(quantity)))], {("deribit", "", "BTC"): Decimal(1)}
    )
    return take_snapshot(book, market_of(quotes), chosen), chosen


@pytest.mark.parametrize(("quantity", "buy", "sell"), [(3, 0.0, 3.0), (-3, 3.0, 0.0)])
def test_reduce_only(quantity: int, buy: float, sell: float) -> None:
    snapshot, chosen = with_position(
        CALL.listing.symbol, quantity, CALL, PERP, limits={"instruments": [{"reduce_only": True}]}
    )
    caps = column_caps(snapshot, chosen)
    assert caps.buy.tolist() == [buy, 0.0] and caps.sell.tolist() == [sell, 0.0]


def test_a_position_beyond_its_largest_may_shrink() -> None:
    snapshot, chosen = with_position(
        CALL.listing.symbol,
        7,
        CALL,
        PERP,
        limits={"instruments": [{"kinds": ["option"], "position_coin_max": 5}]},
    )
    caps = column_caps(snapshot, chosen)
    assert caps.buy[0] == 0.0 and caps.sell[0] == 12.0


def test_allow_and_deny_by_side_kind_symbol_and_venue() -> None:
    quotes = [
        CALL,
        quote(option(50_000.0, "P", 30), 0.055, 0.0565, 0.0561),
        PERP,
        quote(spot(), 49_990, 50_010, 50_000),
        Quote(
            listing(perpetual(), venue="okx", symbol="BTC-USD-SWAP"), 49_999, 50_001, 50_000, index=50_000.0
        ),
    ]
    put = quotes[1].listing.symbol

    def sides(**universe: Any) -> tuple[list[bool], list[bool]]:
        chosen = Settings.model_validate({"universe": universe})
        caps = column_caps(snapshot_of(*quotes, settings=chosen), chosen)
        return (caps.buy > 0).tolist(), (caps.sell > 0).tolist()

    every = [True] * 5
    assert sides() == (every, every)
    assert sides(allow_buy={"kinds": ["perpetual"]}) == ([False, False, True, False, True], every)
    assert sides(allow_buy={"kinds": ["perpetual"], "symbols": [put]})[0] == [False, True, True, False, True]
    assert sides(allow_sell={"venues": ["okx"]}) == (every, [False] * 4 + [True])
    assert sides(allow_buy={"kinds": ["perpetual"], "venues": ["okx"]})[0] == [False] * 4 + [True]
    assert sides(deny_buy={"venues": ["okx"]})[0] == [True] * 4 + [False]
    assert sides(allow_buy={"kinds": ["option"]}, deny_buy={"symbols": [put]})[0] == [True] + [False] * 4


def test_a_cap_is_named_where_a_leg_ends_at_it(market: Path, held: Path, capsys: Any, tmp_path: Path) -> None:
    text = '[[limits.instruments]]\nkinds = ["option"]\norder_coin_max = 2\n'
    found = run(capsys, tmp_path, market, held, text)
    assert found["capped"] and all(c["cap"] == 2 for c in found["capped"])
    assert {c["why"] for c in found["capped"]} == {"limits.instruments.0.order_coin_max 2"}
    for trade in found["trades"]:
        if trade["symbol"].endswith(("-C", "-P")):
            assert float(trade["quantity"]) <= 2


# ------------------------------------------------------------------------------------------------ preferences

NEAR = quote(future(30), 49_998.0, 50_002.0, 50_000.0, lot="10", ticks="0:0.5", bid_size=1e6, ask_size=1e6)


@pytest.mark.parametrize(("bps", "kind"), [(0.0, "PERPETUAL"), (0.05, "PERPETUAL"), (5.0, "FUTURE")])
def test_a_preferred_contract_wins_within_its_basis_points(bps: float, kind: str) -> None:
    """The perpetual is 0.3 bp cheaper: half a spread of 0.1 bp against 0.4 bp; the fees are alike."""
    chosen = Settings.model_validate({"universe": {"prefer_sell": {"kinds": ["future"], "bps": bps}}})
    snapshot = snapshot_of(CALL, PERP, NEAR, settings=chosen)
    plan, plain = make_plan(snapshot, chosen), make_plan(snapshot, Settings())
    assert [kind in t.listing.symbol for t in plan.trades] == [True]
    assert plan.cost.total == pytest.approx(sum(t.cost.total for t in plan.trades))
    assert plan.lower_bound_usd == pytest.approx(plain.lower_bound_usd)  # true costs, not those preferred
    if kind == "FUTURE":
        assert plan.cost.total > plain.cost.total
        assert any("prefer" in said for said in plan.assumptions)


def test_a_preference_is_no_reason_to_trade() -> None:
    chosen = Settings.model_validate(
        {"universe": {"prefer_sell": {"kinds": ["future", "option"], "bps": 100}}}
    )
    plan = make_plan(snapshot_of(CALL, PERP, NEAR, coins=0.5, settings=chosen), chosen)
    assert plan.status is PlanStatus.NO_TRADE and plan.trades == ()


# ------------------------------------------------------------------------------------------------------ costs


def test_margin_is_financed_where_a_position_is_opened() -> None:
    """10 % a year on 2 % of 50,000 USD a coin, for 73 hours; closing 4,000 USD of the perpetual is free."""
    snapshot, _ = with_position(PERP.listing.symbol, 4_000, CALL, PERP)
    rates = CostSettings(holding_h=73.0, margin=MarginRates(0.1, perpetual=0.02, option_sold=0.15))
    terms = snapshot.market, snapshot.valuation, [0, 1]
    free = cost_model(*terms, CostSettings(holding_h=73.0)).levels
    costs = cost_model(*terms, rates, snapshot.quantities)
    sells = costs.levels.slice_of(1, -1)
    assert costs.levels.size[sells].tolist() == [4_000.0, 996_000.0]
    year = 73 / 8760
    extra = costs.levels.carry[sells] - free.carry[free.slice_of(1, -1)]
    assert extra.tolist() == [0.0, pytest.approx(0.1 * 0.02 * year)]  # per USD
    assert costs.levels.carry[costs.levels.slice_of(1, 1)] == pytest.approx([0.1 * 0.02 * year])
    sold = costs.levels.carry[costs.levels.slice_of(0, -1)]
    assert sold == pytest.approx([0.1 * 0.15 * year * 50_000])
    assert costs.levels.carry[costs.levels.slice_of(0, 1)].tolist() == [0.0]
    # levels never fall, and what is reported is what the ladder says

    done = costs.execute(1, Side.SELL, 10_000.0)
    assert done.cost.carry == pytest.approx(6_000 * 0.1 * 0.02 * year)


def test_a_fixed_cost_of_a_venue() -> None:
    snapshot = snapshot_of(CALL, PERP)
    settings = CostSettings(fixed_usd=1.0, fixed_usd_of={"deribit": 2.5})
    costs = cost_model(snapshot.market, snapshot.valuation, [0, 1], settings)
    assert costs.fixed_usd.tolist() == [2.5, 2.5]
    elsewhere = CostSettings(fixed_usd=1.0, fixed_usd_of={"okx": 2.5})
    assert cost_model(snapshot.market, snapshot.valuation, [0], elsewhere).fixed_usd.tolist() == [1.0, 1.0]


# -------------------------------------------------------------------------------------------------- scenarios


def crash_pnl(raw: RawMarket, book: dict[str, float], spot_move: float, vol_move: float) -> float:
    """USD that a book gains in a shock: every option by the textbook, coin by coin."""
    s = raw.index["BTC"]
    total = 0.0
    for symbol, q in book.items():
        if symbol == "USDC":
            continue
        if symbol == "BTC" or raw.listings[symbol]["kind"] == "spot":
            # coins bought for dollars: the dollars do not move
            total += q * s * spot_move
            continue
        entry, row = raw.listings[symbol], raw.quotes[symbol]
        if entry["kind"] == "option":
            years, sign = (
                (entry["expiry_ns"] - raw.now_ns) / 1e9 / 31_536_000,
                1 if entry["right"] == "C" else -1,
            )
            coins = [
                black(f, entry["strike"], years, vol, sign).value / f
                for f, vol in (
                    (row["forward"], row["mark_iv"]),
                    (row["forward"] * (1 + spot_move), row["mark_iv"] + vol_move),
                )
            ]
            total += q * (coins[1] * s * (1 + spot_move) - coins[0] * s)
        else:
            f = row["mark"]
            total += q * (1 / f - 1 / (f * (1 + spot_move))) * s * (1 + spot_move)
    return total


def test_a_floor_is_a_band(market: Path, held: Path, raw: RawMarket, capsys: Any, tmp_path: Path) -> None:
    """The P&L of the crash after the ticket, revalued by hand, is above the landing; premiums move, too."""
    book = positions(held)
    before = crash_pnl(raw, book, -0.1, 0.1)
    floor = round(before * 0.9)
    assert before < floor < 0
    text = "\n".join(
        [
            "[[scenarios]]", 'name = "crash"', "spot = -0.1", "vol = 0.1", f"floor_usd = {floor}",
            "[[scenarios]]", 'name = "shown"', "spot = 0.1",
        ]
    )  # fmt: skip
    wide = "[bands.'*'.delta_usd]\ntrigger = [-1e9, 1e9]\nlanding = [-1e8, 1e8]\n"
    wide += wide.replace("delta_usd", "gamma_usd_per_1pct") + wide.replace("delta_usd", "vega_usd_per_point")
    found = run(capsys, tmp_path, market, held, text + "\n" + wide)
    rows = {row["row"]: row for row in found["rows"]}
    row = rows["pnl:BTC:crash"]
    assert row["before"] == pytest.approx(before, rel=1e-9) and row["unit"] == "USD"
    assert (
        row["breached"]
        and row["trigger"] == [floor, None]
        and row["required"] == [pytest.approx(0.9 * floor), None]
    )
    assert found["status"] == "hedge" and "pnl:BTC:crash" in found["reason"]
    premiums = 0.0
    for trade in found["trades"]:
        if raw.listings[trade["symbol"]]["kind"] == "option":
            sign = 1 if trade["side"] == "buy" else -1
            premiums += sign * float(trade["quantity"]) * raw.reference(trade["symbol"])
    ends = crash_pnl(raw, after(found, held), -0.1, 0.1) - premiums * raw.index["BTC"] * -0.1
    assert row["after"] == pytest.approx(ends, rel=1e-7)
    assert ends >= 0.9 * floor - 1.0
    assert rows["pnl:BTC:shown"]["trigger"] is None
    # the text, too; and the band of such a row can be tried on the command line
    for words in (("risk",), ("plan", "--band", f"pnl:BTC:shown={-1e6},/{-5e5},")):
        ran = hedger(capsys, *words, "--book", held, "--market", market, "--config", tmp_path / "desk.toml")
        assert ran.code == 0 and "P&L in crash" in ran.out.replace("\n", " ")


def test_room_for_errors_narrows_the_bands(market: Path, held: Path, capsys: Any, tmp_path: Path) -> None:
    plain = run(capsys, tmp_path, market, held, "")
    robust = run(capsys, tmp_path, market, held, "[robust]\nz = 2\nvol_error = 0.02\n")
    off = run(capsys, tmp_path, market, held, "[robust]\nz = 0\nvol_error = 0.5\n")
    assert off["rows"] == plain["rows"] and off["trades"] == plain["trades"]
    wide = {row["row"]: row for row in plain["rows"]}
    said = next(x for x in robust["assumptions"] if "narrowed" in x)
    for row in robust["rows"]:
        old = wide[row["row"]]
        if old["trigger"] is None:
            continue
        step = old["trigger"][1] - row["trigger"][1]
        assert step >= 0 and row["trigger"][0] - old["trigger"][0] == pytest.approx(step)
        assert old["landing"][1] - row["landing"][1] == pytest.approx(step)
        if row["row"] in ("delta:BTC", "vega:BTC"):
            assert step > 0 and row["row"] in said
            assert row["required"][0] <= row["after"] <= row["required"][1]


def test_a_tenor_has_its_own_band(market: Path, held: Path, capsys: Any, tmp_path: Path) -> None:
    """30-90d narrower than anything the total allows; the other tenors keep twice the total's. The weighted
    total has a band where it is given one."""
    text = (
        "[bands.'*']\n"
        "vega_weighted_usd_per_point = { trigger = [-900, 900], landing = [-800, 800] }\n"
        "[bands.BTC.vega_buckets_usd_per_point]\n"
        '"30-90d" = { target = 100, trigger = [-400, 500], landing = [-200, 300] }\n'
    )
    found = run(capsys, tmp_path, market, held, text)
    rows = {row["row"]: row for row in found["rows"]}
    own, other, weighted = rows["vega:BTC:30-90d"], rows["vega:BTC:7-30d"], rows["vega_weighted:BTC"]
    assert own["trigger"] == [pytest.approx(-30_000), pytest.approx(60_000)]
    assert own["landing"] == [pytest.approx(-10_000), pytest.approx(40_000)]
    assert other["trigger"] == [pytest.approx(-1e6), pytest.approx(1e6)]
    assert weighted["trigger"] == [pytest.approx(-90_000), pytest.approx(90_000)]
    for row in (own, weighted):
        assert row["breached"] and row["slack"] == 0
        assert row["landing"][0] * (1 - 1e-9) <= row["after"] <= row["landing"][1] * (1 + 1e-9)


# -------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    "text",
    [
        '[[scenarios]]\nname = "a"\n[[scenarios]]\nname = "a"\n',
        '[[scenarios]]\nname = "a:b"\n',
        '[[scenarios]]\nname = "a"\nspot = -1.0\n',
        '[[scenarios]]\nname = "a"\nfloor_usd = 5\n',
        '[[scenarios]]\nname = "a"\nlanding_share = 1.0\n',
        "[[scenarios]]\nspot = 0.1\n",
        "[limits]\ngross_notional_usd_max = -1\n",
        "[limits]\nstrike_coin_max = nan\n",
        "[limits]\nbalance_min = { deribit = { BTC = inf } }\n",
        "[limits]\nbalance_min = { deribit = 3 }\n",
        '[[limits.instruments]]\nkinds = ["swap"]\n',
        '[[limits.instruments]]\nreduce_only = "yes"\n',
        "[[limits.instruments]]\norder_coin_max = inf\n",
        "[universe.prefer_buy]\nbps = -1\n",
        "[robust]\nz = -1\n",
        "[costs]\nfixed_usd_of = { deribit = -1 }\n",
        "[costs.margin]\nperpetual = 2\n",
    ],
)
def test_settings_that_make_no_sense_are_refused(
    text: str, market: Path, held: Path, capsys: Any, tmp_path: Path
) -> None:
    (tmp_path / "desk.toml").write_text(text)
    ran = hedger(capsys, "plan", "--book", held, "--market", market, "--config", tmp_path / "desk.toml")
    refused(ran, "CONFIG_INVALID")


@pytest.mark.parametrize(
    "where",
    ["[universe.allow_buy]", "[universe.deny_sell]", "[universe.prefer_buy]", "[[limits.instruments]]"],
)
def test_symbols_written_another_way_are_refused(
    where: str, market: Path, held: Path, capsys: Any, tmp_path: Path
) -> None:
    """A misspelt symbol in a list would leave a desk without the limit it believes to have."""
    (tmp_path / "desk.toml").write_text(f'{where}\nsymbols = ["btc-perpetual"]\n')
    ran = hedger(capsys, "plan", "--book", held, "--market", market, "--config", tmp_path / "desk.toml")
    said = refused(ran, "DENY_SYMBOL" if "deny" in where else "CONFIG_NAME")
    assert "btc-perpetual" in said and where.strip("[]") in said


@pytest.mark.parametrize(
    "text",
    [
        '[universe.allow_buy]\nvenues = ["Simulated"]\n',
        '[[limits.instruments]]\nunderlyings = ["btc"]\n',
        "[limits]\nbalance_min = { simulated = { btc = 1 } }\n",
        "[limits]\nbalance_min = { SIMULATED = { BTC = 1 } }\n",
    ],
)
def test_venues_and_coins_written_another_way_are_refused(
    text: str, market: Path, held: Path, capsys: Any, tmp_path: Path
) -> None:
    (tmp_path / "desk.toml").write_text(text)
    ran = hedger(capsys, "plan", "--book", held, "--market", market, "--config", tmp_path / "desk.toml")
    refused(ran, "CONFIG_NAME")


def test_names_of_another_market_are_told(market: Path, held: Path, capsys: Any, tmp_path: Path) -> None:
    text = "[limits]\nbalance_min = { okx = { SOL = 1 } }\n"
    said = run(capsys, tmp_path, market, held, text)["assumptions"]
    assert any("okx: not on this market" in x for x in said)
    assert any("SOL: not on this market" in x for x in said)


@pytest.mark.parametrize("numeraire", ["USD", "coin"])
def test_a_coin_without_an_index_leaves_the_limits_sound(numeraire: str) -> None:
    """Held, it blocks the plan; not held, the other coin is hedged as if it were not there."""

    dark = Quote(listing(perpetual("ETH")), 1_999.0, 2_001.0, 2_000.0)
    chosen = Settings.model_validate(
        {
            "numeraire": numeraire,
            "scenarios": [{"name": "c", "spot": -0.2, "floor_usd": -1_000}],
            "limits": {
                "gross_notional_usd_max": 1e6,
                "gross_notional_total_usd_max": 1e6,
                "net_notional_usd_max": 1e6,
                "net_notional_total_usd_max": 1e6,
                "expiry_coin_max": 4,
                "strike_coin_max": 4,
                "balance_min": {"deribit": {"BTC": 1}},
                "instruments": [{"order_usd_max": 1e6}],
            },
            "robust": {"z": 1},
        }
    )
    known = market_of([CALL, PERP, dark])
    short = Position(CALL.listing, "", Decimal(-30))
    cash = {("deribit", "", "BTC"): Decimal(10)}
    alone = make_plan(take_snapshot(Book.of([short], cash), known, chosen), chosen)
    assert alone.status in (PlanStatus.HEDGE, PlanStatus.RELAXED)
    assert all(np.isfinite((x.before, x.after, x.shadow_price)).all() for x in alone.limits)
    both = Book.of([short, Position(dark.listing, "", Decimal(1_000))], cash)
    assert make_plan(take_snapshot(both, known, chosen), chosen).status is PlanStatus.BLOCKED


def test_nothing_to_trade_with(market: Path, held: Path, capsys: Any, tmp_path: Path) -> None:
    kinds = json.dumps(["spot", "perpetual", "future", "option"])
    text = f"[universe]\ndeny_buy.kinds = {kinds}\ndeny_sell.kinds = {kinds}\n"
    found = run(capsys, tmp_path, market, held, text)
    assert (found["status"], found["trades"], found["universe"]["priced"]) == ("relaxed", [], 0)
    assert "no column moves this row" in found["reason"]
    assert all(row["slack"] > 0 for row in found["rows"] if row["breached"])


def test_a_row_that_no_column_can_move(market: Path, held: Path, capsys: Any, tmp_path: Path) -> None:
    """Perpetuals alone: delta is mended, gamma and vega say that nothing moves them."""
    found = run(
        capsys,
        tmp_path,
        market,
        held,
        '[universe]\ndeny_buy.kinds = ["option"]\ndeny_sell.kinds = ["option"]\n',
    )
    rows = {row["row"]: row for row in found["rows"]}
    assert found["status"] == "relaxed" and rows["delta:BTC"]["slack"] == 0
    assert "gamma:BTC" in found["reason"] and "no column moves this row" in found["reason"]
    assert [t["symbol"] for t in found["trades"]] != []


def test_lots_larger_than_every_size_and_depth_of_nothing(
    market: Path, held: Path, capsys: Any, tmp_path: Path
) -> None:
    """A sliver of a lot displayed everywhere: no trade, and the reason. No size known: no universe."""
    quotes = Tape.open(market).frame("quotes")
    tiny = quotes.with_columns(bid_size=pl.lit(1e-6), ask_size=pl.lit(1e-6))
    found = run(capsys, tmp_path, flat(tmp_path / "tiny", market, tiny), held, "")
    assert found["status"] == "relaxed" and found["trades"] == []
    assert "displayed" in found["reason"]
    none = quotes.with_columns(bid_size=pl.lit(None, pl.Float64), ask_size=pl.lit(None, pl.Float64))
    found = run(capsys, tmp_path, flat(tmp_path / "none", market, none), held, "")
    assert found["status"] == "relaxed" and found["trades"] == [] and found["universe"]["priced"] == 0
    assert found["universe"]["refused"]["no_size"] > 0


@pytest.mark.parametrize("number", [0.0, -5.0, math.nan])
def test_depth_of_nothing_or_less_is_no_tape(
    number: float, market: Path, held: Path, capsys: Any, tmp_path: Path
) -> None:
    """What no recorder of ours writes, put there by hand."""
    tape = tmp_path / "tape"
    shutil.copytree(market, tape)
    quotes = pl.read_parquet(tape / "quotes.parquet")
    quotes.with_columns(bid_size=pl.lit(number)).write_parquet(tape / "quotes.parquet")
    ran = hedger(capsys, "plan", "--book", held, "--market", tape, "--json")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("TAPE_") and "Traceback" not in ran.err


def flat(path: Path, tape: Path, quotes: pl.DataFrame) -> Path:
    """The tape with other quotes and no order books."""
    from venues.tape import write

    write(path, Tape.open(tape).universe.listings, quotes.drop("flag"), None)
    return path


def test_limits_that_leave_nothing_say_so(market: Path, held: Path, capsys: Any, tmp_path: Path) -> None:
    """Gross notional at what it is: closing is all that is left, and rows stay out with the limit named."""
    text = "[limits]\ngross_notional_usd_max = 0\nbalance_min = { simulated = { BTC = 1e6, USDC = 1e9 } }\n"
    found = run(capsys, tmp_path, market, held, text)
    assert found["status"] in ("relaxed", "hedge")
    for told in found["limits"]:
        low, high = (x if x is not None else math.inf for x in told["required"])
        assert told["slack"] == 0
        assert told["after"] <= high * (1 + 1e-9) or told["required"][1] is None
        if told["required"][0] is not None:
            assert told["after"] >= low * (1 - 1e-9)
