"""The JSON of `risk` and `plan`: every promised field, its type, and the sums that must hold."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from hedger.documents import number, plain, risk_document
from hedger.problem.snapshot import take_snapshot
from hedger.settings import Settings
from risk.book import Book, Position
from tests.builders import Quote, listing, market_of, perpetual
from tests.hedger.command_line import Json, exposures, hedger, make_book, ticket
from tests.hedger.own import RawMarket

UNITS = {"delta": "coin", "gamma": "coin/USD", "vega": "USD/vol", "theta": "USD/year"}
GREEKS = ("delta", "gamma", "vega", "theta")
PARTS = ("spread", "depth", "fee", "carry", "fixed")
ROWS = (
    "delta:{0}", "gamma:{0}", "gamma_expiring:{0}", "vega:{0}", "vega_weighted:{0}", "theta:{0}",
    "vega:{0}:0-7d", "vega:{0}:7-30d", "vega:{0}:30-90d", "vega:{0}:90-180d", "vega:{0}:180d+",
)  # fmt: skip
ISO = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
Form = dict[str, Any]

MAYBE_TEXT = (str, type(None))
MAYBE_NUMBER = (float, type(None))
INTERVAL = (list, type(None))
TRADE: Form = {
    "venue": str, "symbol": str, "side": str, "quantity": str, "unit": str, "limit_price": str,
    "expected_price": float, "cost_usd": dict, "effect": dict,
}  # fmt: skip
PLAN: Form = {
    "as_of": str, "numeraire": str, "status": str, "reason": str, "cost_usd": float, "lower_bound_usd": float,
    "gap": float, "assumptions": list, "missing": list, "timings_ms": dict, "trades": [TRADE],
    "rows": [{
        "row": str, "unit": str, "before": float, "trigger": INTERVAL, "landing": INTERVAL,
        "required": INTERVAL, "after": float, "breached": bool, "shadow_price_usd": float,
        "binding": MAYBE_TEXT, "slack": float,
    }],
    "universe": {"priced": int, "kept": int, "refused": dict},
    "runner_up": {"cost_usd": float, "trades": [TRADE]},
    "delta_only": {"cost_usd": float, "trades": [TRADE]},
}  # fmt: skip
RISK: Form = {
    "as_of": str, "numeraire": str, "missing": list,
    "rows": [{"row": str, "unit": str, "value": float, "trigger": INTERVAL, "breached": bool}],
    "underlyings": [{"underlying": str, "index": float, **dict.fromkeys(GREEKS, float)}],
    "expiries": [{
        "underlying": str, "expiry": str, "forward": float, "forward_source": str,
        **dict.fromkeys(GREEKS, float),
    }],
    "positions": [{
        "venue": str, "symbol": str, "quantity": float, "unit": str, "mark": float, "vol": MAYBE_NUMBER,
        "vol_source": MAYBE_TEXT, "age_s": MAYBE_NUMBER, **dict.fromkeys(GREEKS, MAYBE_NUMBER),
    }],
}  # fmt: skip


def check_form(document: Any, form: Any, where: str = "document") -> None:
    """Every field of the form is there with its type; a document may have more."""
    if isinstance(form, dict):
        assert isinstance(document, dict), where
        for name, inner in form.items():
            assert name in document, f"{where} has no {name}"
            check_form(document[name], inner, f"{where}.{name}")
    elif isinstance(form, list):
        assert isinstance(document, list), where
        assert document, f"{where} is empty: nothing was checked"
        for item in document:
            check_form(item, form[0], f"{where}[]")
    else:
        kinds = form if isinstance(form, tuple) else (form,)
        wanted = (*kinds, int) if float in kinds else kinds
        assert isinstance(document, wanted), f"{where} is {document!r}"
        assert bool in kinds or not isinstance(document, bool), f"{where} is {document!r}"


def check_interval(interval: list[float | None] | None) -> tuple[float, float]:
    """[lo, hi], null for an open side, null for both; returned with infinities."""
    if interval is None:
        return -math.inf, math.inf
    low, high = interval
    assert low is not None or high is not None
    closed = (-math.inf if low is None else low, math.inf if high is None else high)
    assert closed[0] <= closed[1]
    return closed


def check_plan(plan: Json, tape: Path | RawMarket) -> None:
    """What holds for every plan, whatever its status."""
    market = tape if isinstance(tape, RawMarket) else RawMarket.read(tape)
    assert ISO.fullmatch(plan["as_of"])
    moved = dict.fromkeys((row["row"] for row in plan["rows"]), 0.0)
    size = dict.fromkeys(moved, 0.0)
    for trade in plan["trades"]:
        check_trade(trade, market)
        for row, x in trade["effect"].items():
            moved[row] += x
            size[row] += abs(x)
    for row in plan["rows"]:
        name, scale = row["row"], abs(row["before"]) + size[row["row"]] + 1e-12
        assert row["before"] + moved[name] == pytest.approx(row["after"], abs=1e-12 * scale)
        trigger, landing, required = (check_interval(row[k]) for k in ("trigger", "landing", "required"))
        assert row["breached"] is (not trigger[0] <= row["before"] <= trigger[1])
        if f"{row['row'].split(':')[1]} index bad" in plan["reason"]:
            assert row["required"] is None
        else:
            assert required == (landing if row["breached"] else trigger)
        assert trigger[0] <= landing[0] and landing[1] <= trigger[1]
        outside = max(required[0] - row["after"], row["after"] - required[1], 0.0)
        if plan["status"] != "blocked":
            assert outside == pytest.approx(row["slack"], abs=1e-8 * scale)
        assert row["shadow_price_usd"] >= 0
        assert (row["shadow_price_usd"] > 0) == (row["binding"] is not None)
        if row["binding"]:
            assert math.isfinite(required[0 if row["binding"] == "lower" else 1])
        if math.isinf(trigger[0]) and math.isinf(trigger[1]):
            assert (row["trigger"], row["landing"], row["required"], row["slack"]) == (None, None, None, 0.0)
    total = sum(sum(trade["cost_usd"].values()) for trade in plan["trades"])
    if plan["status"] == "blocked":  # nothing was planned: that has no price, and not the price 0
        assert (plan["cost_usd"], plan["lower_bound_usd"]) == (None, None)
    else:
        assert total == pytest.approx(plan["cost_usd"], rel=1e-12)
        assert 0 <= plan["lower_bound_usd"] <= plan["cost_usd"]
    if plan["cost_usd"]:
        assert plan["gap"] == pytest.approx(1 - plan["lower_bound_usd"] / plan["cost_usd"], abs=1e-12)
    for name in ("runner_up", "delta_only"):
        if plan[name] is not None:
            for trade in plan[name]["trades"]:
                check_trade(trade, market)
            parts = sum(sum(trade["cost_usd"].values()) for trade in plan[name]["trades"])
            assert parts == pytest.approx(plan[name]["cost_usd"], rel=1e-12)
    if plan["runner_up"] is not None:
        assert plan["runner_up"]["cost_usd"] >= plan["cost_usd"] * (1 - 1e-12)
    everything = plan["universe"]["priced"] + sum(plan["universe"]["refused"].values())
    coins = {row.split(":")[1] for row in moved}
    assert everything == sum(x["underlying"] in coins for x in market.listings.values())
    assert plan["universe"]["kept"] <= plan["universe"]["priced"]


def check_trade(trade: Json, market: RawMarket) -> None:
    """A leg is what a venue takes: whole lots, displayed sizes, prices on tick; its cost is its own sum."""
    listing = market.listings[trade["symbol"]]
    buys = {"buy": True, "sell": False}[trade["side"]]
    quantity, limit = Decimal(trade["quantity"]), Decimal(trade["limit_price"])
    assert plain(quantity) == trade["quantity"] and plain(limit) == trade["limit_price"]
    assert quantity > 0 and quantity % Decimal(listing["lot"]) == 0
    assert quantity >= Decimal(listing["minimum"])
    levels = market.ladder(trade["symbol"], "ask" if buys else "bid")
    assert float(quantity) <= sum(size for _, size in levels) * (1 + 1e-12)
    assert float(limit) in [price for price, _ in levels]
    steps = [tuple(map(Decimal, step.split(":"))) for step in listing["tick_steps"].split(";")]
    assert limit % next(tick for above, tick in reversed(steps) if limit > above) == 0
    best, expected = levels[0][0], trade["expected_price"]
    assert best <= expected <= float(limit) if buys else best >= expected >= float(limit)
    assert set(trade["cost_usd"]) == set(PARTS)
    assert all(part >= 0 for part in trade["cost_usd"].values())
    # walk the displayed depth by hand
    left, over, fee = float(quantity), 0.0, 0.0
    for price, size in levels:
        taken = min(left, size)
        unit_over, unit_fee = market.cost(trade["symbol"], buys, price)
        over, fee, left = over + taken * unit_over, fee + taken * unit_fee, left - taken
    cost = trade["cost_usd"]
    assert cost["spread"] + cost["depth"] == pytest.approx(over, rel=1e-9, abs=1e-9)
    assert cost["fee"] == pytest.approx(fee, rel=1e-9)


def test_the_plan_has_every_field(tape: Path, book: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = ticket(capsys, tape, book)
    check_form(plan, PLAN)
    assert (plan["status"], plan["numeraire"], plan["missing"]) == ("hedge", "USD", [])
    assert plan["as_of"] == "2026-03-02T12:03:00Z"
    assert [row["row"] for row in plan["rows"]] == [r.format(c) for c in ("BTC", "ETH") for r in ROWS]
    for row in plan["rows"]:
        assert row["unit"] == UNITS[row["row"].split(":")[0].split("_")[0]]
    check_plan(plan, tape)
    assert any(row["binding"] for row in plan["rows"])
    assert all(ms >= 0 for ms in plan["timings_ms"].values())
    unbanded = [row["row"] for row in plan["rows"] if row["trigger"] is None]
    assert unbanded == [
        f"{r}:{c}" for c in ("BTC", "ETH") for r in ("gamma_expiring", "vega_weighted", "theta")
    ]


def test_the_effect_of_a_leg_counts_the_premium(
    tape: Path, book: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Against textbook Greeks: one bought for v coin moves USD delta by delta - v: the coins are gone."""
    market = RawMarket.read(tape)
    for numeraire in ("USD", "coin"):
        plan = ticket(capsys, tape, book, "--numeraire", numeraire)
        check_plan(plan, tape)
        kinds = {market.listings[trade["symbol"]]["kind"] for trade in plan["trades"]}
        assert "option" in kinds
        for trade in plan["trades"]:
            quantity = float(trade["quantity"]) * (1 if trade["side"] == "buy" else -1)
            for row, x in market.traded(trade["symbol"], numeraire).items():
                assert trade["effect"].get(row, 0.0) == pytest.approx(quantity * x, rel=1e-9, abs=1e-9)


def test_the_risk_has_every_field(tape: Path, book: Path, capsys: pytest.CaptureFixture[str]) -> None:
    risk = exposures(capsys, tape, book)
    check_form(risk, RISK)
    assert [row["row"] for row in risk["rows"]] == [r.format(c) for c in ("BTC", "ETH") for r in ROWS]
    plan = ticket(capsys, tape, book)
    for shown, planned in zip(risk["rows"], plan["rows"], strict=True):
        assert (shown["value"], shown["trigger"]) == (planned["before"], planned["trigger"])
        assert (shown["unit"], shown["breached"]) == (planned["unit"], planned["breached"])
    lines = book.read_text().splitlines()[1:]
    wanted = [(line.split(",")[1], float(line.split(",")[2])) for line in lines]
    assert [(p["symbol"], p["quantity"]) for p in risk["positions"]] == wanted
    units = {p["symbol"]: p["unit"] for p in risk["positions"]}
    assert (units["BTC-PERPETUAL"], units["BTC-27MAR26-68000-C"], units["ETH"], units["USDC"]) == (
        "USD", "BTC", "ETH", "USDC",
    )  # fmt: skip
    assert {e["expiry"][:10] for e in risk["expiries"]} == {
        "2026-03-03",
        "2026-03-27",
        "2026-04-24",
        "2026-06-26",
    }
    sources = {(e["underlying"], e["expiry"][:10]): e["forward_source"] for e in risk["expiries"]}
    assert sources["BTC", "2026-03-27"] == "synthetic"
    assert sources["BTC", "2026-04-24"] == "listed_future"


@pytest.mark.parametrize("numeraire", ["USD", "coin"])
def test_exposures_are_those_of_the_textbook(
    numeraire: str, tape: Path, book: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    amounts = {x.split(",")[1]: float(x.split(",")[2]) for x in book.read_text().splitlines()[1:]}
    market = RawMarket.read(tape)
    wanted = market.exposures(amounts, numeraire)
    risk = exposures(capsys, tape, book, "--numeraire", numeraire)
    assert risk["numeraire"] == numeraire
    for row in risk["rows"]:
        assert row["value"] == pytest.approx(wanted.get(row["row"], 0.0), rel=1e-9, abs=1e-12)
        if numeraire == "coin":
            assert row["unit"] == "coin"
    assert wanted["gamma_expiring:BTC"] != 0
    for und in risk["underlyings"]:
        name = und["underlying"]
        assert und["index"] == pytest.approx(market.index[name], rel=1e-12)
        assert und["delta"] == pytest.approx(wanted[f"delta:{name}"], rel=1e-9)
        both = wanted[f"gamma:{name}"] + wanted.get(f"gamma_expiring:{name}", 0.0)
        assert und["gamma"] == pytest.approx(both, rel=1e-9)
        # the parts add up to the whole
        expiring = [e for e in risk["expiries"] if e["underlying"] == name]
        assert sum(e["vega"] for e in expiring) == pytest.approx(und["vega"], rel=1e-9)
        assert sum(e["theta"] for e in expiring) == pytest.approx(und["theta"], rel=1e-9)


def test_positions_add_up_to_the_rows(tape: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On one coin, cash included, in both numeraires."""
    rows = [("BTC-27MAR26-68000-C", -40), ("BTC-PERPETUAL", -250_000), ("BTC", "12.5"), ("USDC", 1_000_000)]
    book = make_book(tmp_path / "book.csv", rows)
    for numeraire in ("USD", "coin"):
        risk = exposures(capsys, tape, book, "--numeraire", numeraire)
        values = {row["row"]: row["value"] for row in risk["rows"]}
        for greek in GREEKS:
            assert sum(p[greek] for p in risk["positions"]) == pytest.approx(
                values[f"{greek}:BTC"], rel=1e-12
            )


@pytest.mark.parametrize("numeraire", ["USD", "coin"])
def test_positions_add_up_after_futures_have_moved(numeraire: str) -> None:
    """A cash row is the margin balance: what perpetuals have gained since they were opened is in it, on the
    account and in the currency that they settle in."""
    inverse = Quote(listing(perpetual(), lot="10"), 50_099.5, 50_100.5, 50_100.0, index=50_000.0)
    linear = Quote(listing(perpetual(inverse=False)), 50_049.5, 50_050.5, 50_050.0, index=50_000.0)
    held = [
        Position(inverse.listing, "", Decimal(5_010)),
        Position(inverse.listing, "hot", Decimal(-20_040)),
        Position(linear.listing, "", Decimal(3)),
    ]
    cash = {("deribit", "", "BTC"): Decimal(2), ("deribit", "", "USDC"): Decimal(1_000)}
    book = Book.of(held, cash).opened_at({inverse.listing.key: 40_000.0, linear.listing.key: 48_000.0})
    settings = Settings.model_validate({"numeraire": numeraire})
    document = risk_document(take_snapshot(book, market_of([inverse, linear]), settings, marked=True))
    rows = {(p["symbol"], p["account"]): p for p in document["positions"]}
    coins = {"": 2 + 5_010 * (1 / 40_000 - 1 / 50_100), "hot": -20_040 * (1 / 40_000 - 1 / 50_100)}
    dollars = 1_000 + 3 * (50_050 - 48_000)
    for account, amount in coins.items():
        assert rows["BTC", account]["quantity"] == pytest.approx(amount, rel=1e-12)
    assert rows["USDC", ""]["quantity"] == pytest.approx(dollars, rel=1e-12)
    balance = sum(coins.values()) if numeraire == "USD" else -dollars / 50_000
    delta = balance + (5_010 - 20_040) / 50_100 + 3 * 50_050 / 50_000
    assert math.fsum(p["delta"] for p in rows.values()) == pytest.approx(delta, rel=1e-12)
    assert document["underlyings"][0]["delta"] == pytest.approx(delta, rel=1e-12)


def test_stable_balances_are_counted_where_the_desk_says(
    tape: Path, book: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def deltas(text: str) -> tuple[dict[str, float], Any]:
        config = tmp_path / "config.toml"
        config.write_text(text)
        risk = exposures(capsys, tape, book, "--numeraire", "coin", "--config", config)
        usdc = next(p for p in risk["positions"] if p["symbol"] == "USDC")
        return {row["row"]: row["value"] for row in risk["rows"]}, usdc["delta"]

    each, unknown = deltas("")
    once, known = deltas('stable_underlying = "BTC"')
    index = RawMarket.read(tape).index
    assert each["delta:BTC"] == pytest.approx(once["delta:BTC"], rel=1e-12)
    assert once["delta:ETH"] - each["delta:ETH"] == pytest.approx(1_000_000 / index["ETH"], rel=1e-9)
    assert unknown is None
    assert known == pytest.approx(-1_000_000 / index["BTC"], rel=1e-12)


def test_a_book_of_dollars_alone_has_no_rows(
    tape: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    book = make_book(tmp_path / "book.csv", [("USDC", 5)])
    for numeraire in ("USD", "coin"):
        risk = exposures(capsys, tape, book, "--numeraire", numeraire)
        assert (risk["numeraire"], risk["rows"], risk["underlyings"]) == (numeraire, [], [])
        plan = ticket(capsys, tape, book, "--numeraire", numeraire)
        assert (plan["status"], plan["trades"], plan["cost_usd"], plan["rows"]) == ("no_trade", [], 0.0, [])


def test_a_coin_that_is_not_held_is_left_out(
    tape: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    risk = exposures(capsys, tape, make_book(tmp_path / "book.csv", [("ETH", 1)]))
    assert {row["row"].split(":")[1] for row in risk["rows"]} == {"ETH"}
    assert [und["underlying"] for und in risk["underlyings"]] == ["ETH"]


def test_the_terminal_says_the_same(tape: Path, book: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ran = hedger(capsys, "risk", "--book", book, "--market", tape)
    assert ran.code == 0
    risk = exposures(capsys, tape, book)
    out = [line for line in ran.out.splitlines() if line.lstrip().startswith("OUT")]
    assert len(out) == sum(row["breached"] for row in risk["rows"])


def test_numbers_that_are_none() -> None:
    assert [number(x) for x in (1.5, math.nan, math.inf, -math.inf, 0)] == [1.5, None, None, None, 0.0]


@pytest.mark.parametrize(
    ("amount", "text"),
    [("1E+4", "10000"), ("0.10", "0.1"), ("-0.000", "0"), ("120", "120"), ("1E-7", "0.0000001")],
)
def test_decimals_as_venues_take_them(amount: str, text: str) -> None:
    assert plain(Decimal(amount)) == text
