"""The policy in the plan: what is called, what waits, what is sticky; through the command line."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedger.moment import Memory
from hedger.planning import PlanStatus, make_plan
from hedger.policy.policy import due
from hedger.policy.triggering import moment_of, required_intervals, turnover_usd
from hedger.problem.snapshot import Snapshot, take_snapshot
from hedger.settings import Settings
from risk.book import Book, Position
from tests.builders import Quote, listing, market_of, option, perpetual, spot
from tests.hedger.command_line import Json, change_tape, hedger, make_book, make_tape, refused, ticket
from tests.hedger.own import RawMarket
from venues.simulated_law import SimulationSettings
from venues.tape import Tape

SMALL = SimulationSettings(tenor_days=(4, 25, 53), strikes_per_expiry=4, futures=1)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tape(tmp_path_factory.mktemp("small") / "tape", SMALL, batches=40, seconds=60.0)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Out in delta on both coins, and in gamma and vega on one."""
    rows = [
        ("BTC-24APR26-80000-C", -90),
        ("BTC-6MAR26-65000-P", "-40.1"),
        ("BTC-PERPETUAL", 900_000),
        ("ETH", 300),
    ]
    path = tmp_path_factory.mktemp("out") / "book.csv"
    lines = [
        "venue,symbol,quantity,average_price",
        *(f"simulated,{symbol},{amount}," for symbol, amount in rows),
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def config(folder: Path, text: str) -> Path:
    path = folder / "desk.toml"
    path.write_text(text)
    return path


def when(text: str) -> str:
    return f"[policy]\nwhen = {text}\n"


def plan(
    capsys: pytest.CaptureFixture[str],
    tape: Path,
    book: Path,
    folder: Path,
    text: str,
    *more: object,
    code: int = 0,
) -> Json:
    return ticket(capsys, tape, book, "--config", config(folder, text), *more, code=code)


def by_row(document: Json) -> dict[str, Json]:
    return {row["row"]: row for row in document["rows"]}


def test_by_default_every_breach_is_hedged_and_the_document_says_why(
    small: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = ticket(capsys, small, out)
    breached = [row["row"] for row in document["rows"] if row["breached"]]
    trigger = document["trigger"]
    assert breached and trigger["due"] is True
    assert trigger["called"] == breached
    assert trigger["reason"] == f"{', '.join(breached)} outside trigger"
    assert document["reason"].startswith(trigger["reason"])
    assert [(a["underlying"], a["trigger"], a["yes"]) for a in trigger["answers"]] == [
        ("BTC", "breach", True),
        ("ETH", "breach", True),
    ]
    assert trigger["guards"] == trigger["sticky"] == []
    for row in document["rows"]:
        assert row["required"] == (row["landing"] if row["breached"] else row["trigger"]), row


def test_a_policy_that_is_not_due_trades_nothing_and_says_so(
    small: Path, out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = when('{ all = [ { breach = {} }, { calendar = { at = "0 3 sun" } } ] }')
    document = plan(capsys, small, out, tmp_path, text)
    assert (document["status"], document["trades"], document["cost_usd"]) == ("no_trade", [], 0.0)
    assert document["trigger"]["due"] is False and document["reason"].startswith("not due before")
    assert all(row["before"] == row["after"] for row in document["rows"])
    (_, calendar) = document["trigger"]["answers"][0]["parts"]
    assert calendar["yes"] is False and calendar["until"].endswith("T03:00:00Z")
    shown = hedger(capsys, "plan", "--book", out, "--market", small, "--config", tmp_path / "desk.toml")
    assert shown.code == 0 and "NO TRADE" in shown.out and "WAITS" in shown.out


def test_only_the_rows_that_are_called_are_hedged(
    small: Path, out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = plan(capsys, small, out, tmp_path, when('{ breach = { rows = ["delta:BTC"] } }'))
    rows = by_row(document)
    assert document["trigger"]["called"] == ["delta:BTC"]
    assert {t["symbol"].split("-")[0].split("_")[0] for t in document["trades"]} == {"BTC"}
    assert not any(t["symbol"].endswith(("-C", "-P")) for t in document["trades"]), "delta needs no options"
    low, high = rows["delta:BTC"]["landing"]
    assert low <= rows["delta:BTC"]["after"] <= high
    gamma = rows["gamma:BTC"]
    assert gamma["breached"] and gamma["after"] == pytest.approx(gamma["before"])
    assert rows["delta:ETH"]["after"] == rows["delta:ETH"]["before"]


def test_the_calendar_brings_rows_inside_their_trigger_to_their_landing(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """1.2 coins are about 84,000 USD: inside the trigger of 100,000, outside the landing of 50,000."""
    book = tmp_path / "book.csv"
    book.write_text("venue,symbol,quantity,average_price\nsimulated,BTC,1.2,\n")
    assert ticket(capsys, small, book)["status"] == "no_trade"
    document = plan(capsys, small, book, tmp_path, when("{ calendar = { every_min = 1 } }"))
    row = by_row(document)["delta:BTC"]
    assert document["status"] == "hedge" and not row["breached"]
    assert row["required"] == row["landing"]
    assert row["landing"][0] <= row["after"] <= row["landing"][1] < row["before"]
    book.write_text("venue,symbol,quantity,average_price\nsimulated,BTC,0.1,\n")
    centred = ticket(capsys, small, book, "--config", tmp_path / "desk.toml")
    assert centred["status"] == "no_trade" and centred["trigger"]["due"] is True
    assert "inside its landing interval" in centred["reason"]


def test_a_realised_move_is_read_from_the_tape(
    small: Path, out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The largest distance of the last index from those of the half hour before, by the tape's own rows."""
    last = RawMarket.read(small)
    past = [RawMarket.read(small, seq).index["BTC"] for seq in range(10, 41) if seq <= 39]
    far = max(abs(last.index["BTC"] / x - 1.0) for x in past)
    document: dict[bool, Json] = {}
    for acts, limit in ((True, far * 0.999), (False, far * 1.001)):
        text = when(
            '{ all = [ { breach = { rows = ["delta:BTC"] } }, '
            f"{{ realised_move = {{ window_min = 29.5, move = {limit:.12f} }} }} ] }}"
        )
        document[acts] = plan(capsys, small, out, tmp_path, text)
        assert document[acts]["trigger"]["answers"][0]["yes"] is acts
    assert (document[True]["status"], document[False]["status"]) == ("hedge", "no_trade")
    text = when("{ not = { realised_move = { window_min = 29.5, move = 0.5 } } }")
    early = plan(capsys, small, out, tmp_path, text, "--at", RawMarket.read(small, 5).now_ns)
    assert early["trigger"]["answers"][0]["yes"] is None and "not known" in early["reason"]
    assert early["status"] == "no_trade"


def test_a_hedge_that_does_not_pay_is_sticky_with_its_price(
    small: Path, out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rows are left out as the price of risk falls, and each trades at the price it is said to trade at."""
    pays = when("{ all = [ { breach = {} }, { cost_benefit = {} } ] }") + "[policy.risk]\nrisk_aversion = "
    free = ticket(capsys, small, out)
    dear = plan(capsys, small, out, tmp_path, pays + "1.0")
    assert [t["symbol"] for t in dear["trades"]] == [t["symbol"] for t in free["trades"]]
    assert dear["trigger"]["sticky"] == []
    cheap = plan(capsys, small, out, tmp_path, pays + "1e-15")
    assert cheap["status"] == "no_trade" and cheap["trigger"]["due"] is False
    assert {r for s in cheap["trigger"]["sticky"] for r in s["rows"]} == set(free["trigger"]["called"])
    for sticky in cheap["trigger"]["sticky"]:
        assert 0.0 <= sticky["trades_at_usd"] < sticky["cost_usd"]
        rows = by_row(cheap)
        for row, price in sticky["trades_at_usd_per_unit"].items():
            value, (low, high) = rows[row]["before"], rows[row]["landing"]
            assert price == pytest.approx(sticky["trades_at_usd"] / max(value - high, low - value))
    # the first row to go trades again as soon as risk is dear enough by its own figures, all else alike
    first = cheap["trigger"]["sticky"][0]
    enough = 1e-15 * first["cost_usd"] / first["trades_at_usd"] * 1.001
    back = plan(capsys, small, out, tmp_path, pays + repr(enough))
    assert not set(first["rows"]) & {r for s in back["trigger"]["sticky"] for r in s["rows"]}


def test_a_row_that_must_be_hedged_is_beside_one_that_must_pay(
    small: Path, out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (
        '[policy]\nwhen = { any = [ { breach = { rows = ["delta:*"] } }, { all = [ { breach = {} }, '
        "{ cost_benefit = {} } ] } ] }\n[policy.risk]\nrisk_aversion = 1e-15\n"
    )
    document = plan(capsys, small, out, tmp_path, text)
    assert document["status"] == "hedge"
    assert document["trigger"]["called"] == ["delta:BTC", "delta:ETH"]
    assert {r for s in document["trigger"]["sticky"] for r in s["rows"]} >= {"gamma:BTC"}
    shown = hedger(capsys, "plan", "--book", out, "--market", small, "--config", tmp_path / "desk.toml")
    assert "STICKY" in shown.out and "sticky" in shown.out


def test_a_budget_of_turnover_holds_the_plan_that_is_above_it(
    small: Path, out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    held = plan(capsys, small, out, tmp_path, "[policy]\nturnover_usd_per_h = 1000.0\n")
    assert held["status"] == "no_trade" and held["trades"] == []
    (guard,) = held["trigger"]["guards"]
    assert guard["trigger"] == "turnover" and guard["until"] is None and "at any time" in held["reason"]
    assert plan(capsys, small, out, tmp_path, "[policy]\nturnover_usd_per_h = 1e12\n")["status"] == "hedge"


def test_the_last_hedge_of_the_configuration_starts_the_cooldown(
    small: Path, out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    at = RawMarket.read(small).now_ns // 10**9 - 60

    told = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    text = f"[policy]\nlast_hedge = {told}\ncooldown_s = "
    cooling = plan(capsys, small, out, tmp_path, text + "3600.0\n")
    assert cooling["status"] == "no_trade" and cooling["trigger"]["guards"][0]["trigger"] == "cooldown"
    assert plan(capsys, small, out, tmp_path, text + "10.0\n")["status"] == "hedge"


def test_memory_given_by_a_program_holds_a_plan(small: Path) -> None:
    tape = Tape.open(small)
    market = tape.market_at(None)
    quote = next(x for x in market.universe.listings if x.symbol == "BTC-PERPETUAL")

    snapshot = take_snapshot(Book.of([Position(quote, "", Decimal(900_000))], {}), market, Settings())
    free = make_plan(snapshot, Settings())
    assert free.status is PlanStatus.HEDGE and free.turnover_usd == pytest.approx(850_000, rel=0.01)
    cooling = Settings.model_validate({"policy": {"cooldown_s": 60}})
    held = make_plan(snapshot, cooling, memory=Memory(hedged_ns=market.now_ns))
    assert held.status is PlanStatus.NO_TRADE and not held.trades and "cooldown" in held.reason


# --------------------------------------------------------------------------------------------- the intervals


def snapshot_of(**bands: Any) -> Snapshot:
    quote = Quote(listing(perpetual(), lot="10"), 49_999.5, 50_000.5, 50_000.0, index=50_000.0)

    return take_snapshot(
        Book.of([Position(quote.listing, "", Decimal(400_000))], {}), market_of([quote]), Settings(**bands)
    )


def test_a_row_that_is_not_called_may_stay_where_it_is_and_move_a_little() -> None:
    """Eight coins against a trigger of 2 and a landing of 1."""
    snapshot = snapshot_of()
    i = snapshot.exposure.rows.index("delta:BTC")
    lower, upper = required_intervals(snapshot, frozenset())
    assert (lower[i], upper[i]) == (-2.0, 9.0)
    lower, upper = required_intervals(snapshot, frozenset({"delta:BTC"}))
    assert (lower[i], upper[i]) == (-1.0, 1.0)
    others = np.arange(lower.size) != i
    np.testing.assert_array_equal(lower[others], snapshot.bands.trigger_lower[others])
    np.testing.assert_array_equal(upper[others], snapshot.bands.trigger_upper[others])


def test_what_a_trade_turns_over() -> None:
    """Options and spot: the price paid; perpetuals: the notional, at the index where settled in coin."""
    call = Quote(listing(option(52_000.0, "C", 30)), 0.03, 0.04, 0.035, 0.6, 51_000.0, 50_000.0)
    linear = Quote(
        listing(option(52_000.0, "C", 30, inverse=False)), 1500.0, 1600.0, 1550.0, 0.6, 51_000.0, 50_000.0
    )
    coin = Quote(listing(spot(), lot="0.001"), 49_990.0, 50_010.0, 50_000.0, index=50_000.0)
    perp = Quote(listing(perpetual(), lot="10"), 49_999.5, 50_000.5, 50_000.0, index=50_000.0)
    flat = Quote(listing(perpetual(inverse=False), lot="0.001"), 49_999.5, 50_000.5, 50_000.0, index=50_000.0)
    market = market_of([call, linear, coin, perp, flat])
    snapshot = take_snapshot(Book.of([], {}), market, Settings())
    expected = {
        call: (0.04, -2.0, 4_000.0),
        linear: (1600.0, 2.0, 3_200.0),
        coin: (50_010.0, 0.5, 25_005.0),
        perp: (50_000.0, -70_000.0, 70_000.0),
        flat: (50_000.0, 0.3, 15_000.0),
    }
    for quote, (price, quantity, usd) in expected.items():
        row = market.universe.positions[quote.listing.key]
        assert turnover_usd(snapshot, row, price, quantity) == pytest.approx(usd, rel=1e-12)


def test_an_underlying_whose_index_is_bad_is_not_asked_about() -> None:
    assert [u.name for u in moment_of(snapshot_of()).underlyings] == ["BTC"]
    quote = Quote(listing(perpetual(), lot="10"), 49_999.5, 50_000.5, 50_000.0)

    blind = take_snapshot(
        Book.of([Position(quote.listing, "", Decimal(400_000))], {}), market_of([quote]), Settings()
    )
    assert math.isnan(blind.spot["BTC"])
    assert moment_of(blind).underlyings == ()


# ------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("[policy]\nwhen = { breech = {} }\n", "CONFIG_UNKNOWN_KEY", "policy.when.breech"),
        (
            "[policy]\nwhen = { any = [ { breach = {} }, {} ] }\n",
            "CONFIG_INVALID",
            "a condition holds one of",
        ),
        ('[policy]\nwhen = { calendar = { at = "0 25 *" } }\n', "CONFIG_INVALID", "hour '25'"),
        (
            "[policy]\nwhen = { calendar = { every_min = 0 } }\n",
            "CONFIG_INVALID",
            "policy.when.calendar.every_min",
        ),
        ('[policy]\nwhen = "breach"\n', "CONFIG_INVALID", "policy.when"),
        ("[policy]\nwhen = { not = { cost_benefit = {} } }\n", "CONFIG_INVALID", "may not stand under not"),
        (
            "[policy]\nwhen = " + "{ not = " * 60 + "{ breach = {} }" + " }" * 60 + "\n",
            "CONFIG_INVALID",
            "nested at most",
        ),
        ("[policy]\ncooldown = 3\n", "CONFIG_UNKNOWN_KEY", "policy.cooldown"),
        ("[policy]\ncooldown_s = -1\n", "CONFIG_INVALID", "policy.cooldown_s"),
        ("[policy.risk]\nrisk_aversion = 0\n", "CONFIG_INVALID", "policy.risk.risk_aversion"),
        ("[policy]\nlast_hedge = 2026-01-01T00:00:00\n", "CONFIG_INVALID", "policy.last_hedge"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(
    text: str,
    code: str,
    said: str,
    small: Path,
    out: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    ran = hedger(capsys, "plan", "--book", out, "--market", small, "--config", config(tmp_path, text))
    assert said in refused(ran, code)


def test_the_policy_in_force_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = when("{ any = [ { breach = {} }, { age = { hedge_h = 24 } } ] }")
    shown = hedger(capsys, "config", "show", "--json", "--config", config(tmp_path, text))
    rows = {row["key"]: row for row in shown.json}
    assert rows["policy.when.any"]["value"][1] == {"age": {"mark_s": None, "hedge_h": 24.0}}
    assert rows["policy.when.any"]["origin"].endswith("desk.toml")
    assert rows["policy.cooldown_s"]["origin"] == "default"


# ------------------------------------------------------------------------------------------ cost of waiting


def test_the_drift_of_a_book_is_that_of_its_formulas_a_day_later(
    small: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The tape's own quotes with its clock put a day on; no option of the book expires by then."""
    now = RawMarket.read(small)
    held = {line.split(",")[1]: float(line.split(",")[2]) for line in out.read_text().splitlines()[1:]}
    before, later = now.exposures(held), replace(now, now_ns=now.now_ns + 86_400 * 10**9).exposures(held)
    document = ticket(capsys, small, out)
    waiting = document["waiting"]
    assert waiting["horizon_h"] == 24.0
    drift = waiting["drift"]
    for row in before.keys() | later.keys():
        expected = later.get(row, 0.0) - before.get(row, 0.0)
        assert drift[row] == pytest.approx(expected, rel=1e-7, abs=1e-9 * abs(before.get(row, 0.0))), row
    assert waiting["cost_now_usd"] == document["cost_usd"]
    assert waiting["net_usd"] == pytest.approx(
        waiting["expected_cost_later_usd"] + waiting["risk_cost_usd"] - waiting["cost_now_usd"]
    )
    assert 0 < waiting["risk_cost_usd"] < waiting["risk_carried_usd"]


def test_coins_alone_cost_as_much_later_and_their_risk_meanwhile(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Coins have no gamma and do not drift: half a day later they cost the same, and the risk is
    1/2 x aversion x (D^2 - D'^2) sigma^2 / 730 with sigma read at the money of the nearest expiry."""
    book = tmp_path / "book.csv"
    book.write_text("venue,symbol,quantity,average_price\nsimulated,BTC,5,\n")
    text = "[policy]\nwaiting_h = 12\n[policy.risk]\nrisk_aversion = 2e-5\n"
    document = plan(capsys, small, book, tmp_path, text)
    waiting, row = document["waiting"], by_row(document)["delta:BTC"]
    assert waiting["expected_cost_later_usd"] == pytest.approx(document["cost_usd"])
    now = RawMarket.read(small)
    calls = [
        s for s, x in now.listings.items() if x["right"] == "C" and s.startswith("BTC") and s in now.quotes
    ]
    near = [s for s in calls if now.days(s) == min(now.days(x) for x in calls)]
    strikes, vols = zip(
        *sorted((now.listings[s]["strike"], now.quotes[s]["mark_iv"]) for s in near), strict=True
    )
    sigma = float(np.interp(now.quotes[near[0]]["forward"], strikes, vols))
    removed = (row["before"] ** 2 - row["after"] ** 2) * now.index["BTC"] ** 2
    assert waiting["risk_cost_usd"] == pytest.approx(1e-5 * removed * sigma**2 / 730, rel=1e-6)
    assert waiting["excess"]["delta:BTC"]["now"] == pytest.approx(row["before"] - row["landing"][1])
    assert waiting["excess"]["delta:BTC"]["later"] == pytest.approx(row["before"] - row["landing"][1])


def test_a_blocked_plan_knows_nothing_of_waiting(
    tape: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A position that was quoted in the first batch only is missing a minute later."""
    symbol = "BTC-24APR26-65000-P"
    quotes = Tape.open(tape).frame("quotes")
    other = change_tape(
        tmp_path / "tape", tape, quotes.filter((pl.col("symbol") != symbol) | (pl.col("seq") == 1))
    )
    book = make_book(tmp_path / "book.csv", [(symbol, -1), ("BTC", 1)])
    document = plan(capsys, other, book, tmp_path, "age_s_max = 100\n", code=3)
    assert document["status"] == "blocked" and document["waiting"] is None


@given(st.lists(st.floats(-15, 15), min_size=1, max_size=8), st.floats(0, 9))
def test_calling_every_breach_is_what_the_bands_require(values: list[float], landing: float) -> None:
    """The default policy asks for what bands ask for: landing where breached, trigger elsewhere."""
    snapshot = snapshot_of()
    m = len(snapshot.exposure.rows)
    value = np.resize(np.array(values), m)
    bands = snapshot.bands
    low, high = np.full(m, -10.0), np.full(m, 10.0)
    bands = replace(
        bands,
        trigger_lower=low,
        trigger_upper=high,
        landing_lower=low * 0 - landing,
        landing_upper=high * 0 + landing,
    )
    moved = replace(snapshot, bands=bands, exposure=replace(snapshot.exposure, value=value))
    called = due(moment_of(moved), Settings().policy, Memory()).called
    for found, asked in zip(required_intervals(moved, called), bands.required(value), strict=True):
        np.testing.assert_array_equal(found, asked)
