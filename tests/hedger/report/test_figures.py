"""The report's figures: against its own Parquet reckoned again, against the run, and against the journal."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from hedger.limits_file import load_limits
from hedger.report.book_charts import exposure_charts
from hedger.report.capacity import limit_use
from hedger.report.drawing import Chart
from hedger.report.tables import SCHEMAS
from hedger.report.write import CHARTS
from hedger.runs.replay import replay
from hedger.settings import Settings
from pricing.daycount import NS_PER_DAY
from risk.limit_terms import EVERY, Limits, RateLimits
from tests.hedger.command_line import Json, hedger, make_book, make_tape
from tests.hedger.report.made import Made, report
from venues.tape import Tape

HOUR_NS, S = 3_600_000_000_000, 1_000_000_000
PARTS = ("delta", "gamma", "theta", "vega", "vanna", "volga", "charm", "basis", "traded", "slippage", "fees",
         "funding", "settlement", "residual")  # fmt: skip


@pytest.fixture(scope="module")
def exported(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The journal's own export: records and fills as the engine wrote them."""
    out = tmp_path_factory.mktemp("exported") / "out"
    from hedger.cli import main

    assert main(["journal", "export", "--journal", str(made.journal), "--out", str(out)]) == 0
    return out


def decisions(exported: Path) -> list[Json]:
    """Every decision's document, from the exported records."""
    records = pl.read_parquet(exported / "records.parquet").filter(pl.col("kind") == "decision")
    return [json.loads(body)["document"] for body in records["body"]]


# --------------------------------------------------------------------------------------- the report's Parquet


def test_rows_are_those_of_the_table(made: Made) -> None:
    by_row: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for line in made.table("exposures"):
        by_row[line["row"]].append(line)
    assert {row["row"] for row in made.document["rows"]} == set(by_row)
    for row in made.document["rows"]:
        lines = sorted(by_row[row["row"]], key=lambda line: line["from_ns"])
        known = math.fsum(line["known_s"] for line in lines)
        assert row["known_s"] == pytest.approx(known, rel=1e-12)
        assert row["outside_share"] == pytest.approx(math.fsum(x["outside_s"] for x in lines) / known)
        assert row["lowest"] == min(x["lowest"] for x in lines if x["lowest"] is not None)
        assert row["highest"] == max(x["highest"] for x in lines if x["highest"] is not None)
        assert row["last"] == lines[-1]["value"]


def test_hedges_fills_and_turnover_are_sums_of_the_tables(made: Made) -> None:
    hedges, fills, sums = made.table("hedges"), made.table("fills"), made.document["hedges"]
    assert sums["count"] == len(hedges) > 0 and made.document["fills"]["count"] == len(fills) > 0
    for name in ("expected_usd", "cost_usd", "fee_usd", "slippage_usd", "difference_usd", "turnover_usd"):
        assert sums[name] == pytest.approx(math.fsum(hedge[name] for hedge in hedges), rel=1e-12)
    for hedge in hedges:
        because = math.fsum(x for name, x in hedge.items() if name.startswith("because_"))
        assert because == pytest.approx(hedge["cost_usd"] - hedge["expected_usd"], abs=1e-6)
    turnover = math.fsum(fill["turnover_usd"] for fill in fills)
    assert made.document["fills"]["turnover_usd"] == pytest.approx(turnover, rel=1e-12)
    assert math.fsum(day["turnover_usd"] for day in made.document["turnover_days"]) == pytest.approx(turnover)
    by_kind = math.fsum(kind["turnover_usd"] for kind in made.document["fills"]["by_kind"])
    assert by_kind == pytest.approx(turnover)


def test_the_pnl_is_the_last_valuations_and_its_parts_sum_to_it(made: Made) -> None:
    pnl, valuations = made.document["pnl"], made.table("valuations")
    last = [v for v in valuations if v["pnl_usd"] is not None][-1]
    assert pnl["pnl_usd"] == last["pnl_usd"]
    assert math.fsum(last[f"{part}_usd"] for part in PARTS) == pytest.approx(last["pnl_usd"], rel=1e-9)
    assert pnl["attribution_usd"] == {part: last[f"{part}_usd"] for part in PARTS}
    first = next(v for v in valuations if v["equity_usd"] is not None)
    assert last["equity_usd"] - first["equity_usd"] == pytest.approx(last["pnl_usd"], rel=1e-6)


def test_the_worst_hours_are_the_hours_with_the_largest_losses(made: Made) -> None:
    gained: dict[int, float] = defaultdict(float)
    before = 0.0
    for v in made.table("valuations"):
        if v["pnl_usd"] is not None:
            gained[v["now_ns"] // HOUR_NS * HOUR_NS] += v["pnl_usd"] - before
            before = v["pnl_usd"]
    lost = sorted((x, hour) for hour, x in gained.items() if x < 0)[:10]
    assert [(h["pnl_usd"], h["hour_ns"]) for h in made.document["worst_hours"]] == [
        (pytest.approx(x), hour) for x, hour in lost
    ]
    turnover: dict[int, float] = defaultdict(float)
    for fill in made.table("fills"):
        turnover[fill["now_ns"] // HOUR_NS * HOUR_NS] += fill["turnover_usd"]
    for hour in made.table("hours"):
        assert hour["turnover_usd"] == pytest.approx(turnover[hour["hour_ns"]])


def test_the_use_of_limits_is_the_worst_of_the_tables(made: Made) -> None:
    exposures, usage = made.table("exposures"), made.table("usage")
    lines = {line["limit"]: line for line in made.document["limits"]}
    worst = max(
        max(abs(x["lowest"]), abs(x["highest"])) * x["scale"]
        for x in exposures
        if x["row"] == "delta:BTC" and x["lowest"] is not None
    )
    assert lines["delta:BTC"]["worst"] == pytest.approx(worst)
    assert lines["delta:BTC"]["share"] == pytest.approx(worst / 25_000_000)  # the built-in limit
    assert lines["fees of the day"]["worst"] == max(x["fees_usd"] for x in usage)
    losses = [max(-x["pnl_low_usd"], 0.0) for x in usage if x["pnl_low_usd"] is not None]
    (opened,) = {x["equity_open_usd"] for x in usage}  # of one day
    losses += [max(opened - x["equity_usd"], 0.0) for x in made.table("valuations")]
    assert lines["loss of the day"]["worst"] == pytest.approx(max(losses))
    assert lines["loss of the day"]["allowed"] == 1_000_000


def test_budgets_go_on_to_the_end_of_the_record(made: Made) -> None:
    """There they stand as the engine's own last state has them; the window of orders has passed by then."""
    use, counters = made.table("limit_use"), made.run.state.counters
    last = {x["limit"]: x for x in use if x["now_ns"] == made.document["journal"]["to_ns"]}
    assert max(x["now_ns"] for x in made.table("usage")) < made.document["journal"]["to_ns"]
    assert last["fees of the day"]["use"] == counters.fees_usd > 0
    assert last["slippage of the day"]["use"] == counters.slippage_usd
    assert last["loss of the day"]["use"] == pytest.approx(max(-counters.pnl_low_usd, 0.0))
    assert last["simulated, orders in 60 s"]["use"] == 0
    assert last["simulated, credits of a burst"]["use"] == 0


def test_what_a_window_holds_falls_when_it_has_passed() -> None:
    """Three orders within a second and one 100 s later, 60 s a window; 2 credits a second come back."""
    limits = Limits(rate={EVERY: RateLimits(orders_per_s=2.0, burst=10, window_s=60.0)})
    empty = {name: pl.DataFrame(schema=dict(SCHEMAS[name])) for name in ("usage", "valuations")}
    exposures = pl.DataFrame(schema={"row": pl.String})
    sent = [1000 * S, 1000 * S, 1001 * S, 1101 * S]
    made = limit_use(
        [], {"here": sent}, exposures, empty["usage"], empty["valuations"], limits, 10 * S, 1121 * S
    )
    told = {
        limit: [(x["now_ns"] / S, x["use"]) for x in made.filter(pl.col("limit") == limit).to_dicts()]
        for limit in made["limit"].unique()
    }
    assert told["here, orders in 60 s"] == [(1000, 3), (pytest.approx(1061), 0), (1100, 1), (1121, 1)]
    assert told["here, credits of a burst"] == [(1000, 2), (pytest.approx(1061), 0), (1100, 1), (1121, 0)]


def test_a_budget_of_yesterday_is_none_of_today() -> None:
    day, late = NS_PER_DAY, 20_000 * NS_PER_DAY + 86_000 * S
    usage = pl.DataFrame(
        [{"now_ns": late, "day": 20_000, "fees_usd": 12.0, "slippage_usd": 3.0, "pnl_low_usd": -5.0}],
        schema=dict(SCHEMAS["usage"]),
    )
    valuations = pl.DataFrame(schema=dict(SCHEMAS["valuations"]))
    for to_ns, left in ((late + 300 * S, 12.0), (late + day, 0.0)):
        made = limit_use(
            [], {}, pl.DataFrame(schema={"row": pl.String}), usage, valuations, Limits(), S, to_ns
        )
        fees = made.filter(pl.col("limit") == "fees of the day")
        assert [(x["now_ns"], x["use"]) for x in fees.to_dicts()] == [(late, 12.0), (to_ns, left)]


def test_all_charts_of_time_have_the_record_s_span(made: Made) -> None:
    tables = {path.stem: pl.read_parquet(path) for path in made.out.glob("*.parquet")}
    ends = [made.document["journal"][name] / 1e6 for name in ("from_ns", "to_ns")]
    ranges: dict[str, tuple[float, float]] = {}
    bars: dict[str, list[Any]] = {}
    for one in (one for chart in CHARTS for one in chart(made.document, tables)):
        if not isinstance(one, Chart):
            continue
        axes = [axis for axis in one.figure.select_xaxes() if axis.type == "date"]
        ranges |= {f"{one.name} {i}": axis.range for i, axis in enumerate(axes)}
        if one.name in ("turnover", "hours"):
            bars[one.name] = [bar for bar in one.figure.data if bar.type == "bar"]
    assert {name.split()[0] for name in ranges} >= {
        "turnover", "hours", "gaps", "profit", "limits-time", "hedges-BTC", "exposures-BTC",
    }  # fmt: skip
    (span,) = set(ranges.values())
    room = 0.01 * (ends[1] - ends[0])
    assert span == pytest.approx((ends[0] - room, ends[1] + room))
    for bar in (bar for of in bars.values() for bar in of):
        for x, offset, width in zip(bar.x, bar.offset, bar.width, strict=True):
            assert ends[0] <= x + offset < x + offset + width <= ends[1]


def test_a_record_of_one_mark_has_lines_that_can_be_seen(tmp_path: Path) -> None:
    """A tenth of a coin at its index, which stands from the first moment to the end of the record."""
    tape = make_tape(tmp_path / "tape", seed=7, batches=1)
    book = make_book(tmp_path / "book.csv", [("BTC", "0.1"), ("USDC", 1000)])
    replay(Tape.open(tape), book, Settings(), load_limits(None), tmp_path / "j")
    document = report(tmp_path / "j", tmp_path / "out", "--tape", tape)
    tables = {path.stem: pl.read_parquet(path) for path in (tmp_path / "out").glob("*.parquet")}
    chart = next(one for one in exposure_charts(document, tables) if isinstance(one, Chart))
    (line,) = (x for x in chart.figure.data if x.name == "exposure" and x.yaxis == "y")
    index = Tape.open(tape).frame("quotes").filter(pl.col("symbol") == "BTC-PERPETUAL")["index"][0]
    assert list(line.x) == pytest.approx([document["journal"][name] / 1e6 for name in ("from_ns", "to_ns")])
    assert list(line.y) == pytest.approx([0.1 * index] * 2)


def test_the_use_of_positions_and_of_the_order_rate_by_hand(made: Made) -> None:
    """At the first moment the book is that of its file: options and coins count at the index, the inverse
    perpetual at its dollars; the built-in limits are those of the tables in `risk.limit_terms`."""
    use = made.table("limit_use")
    prices = made.table("prices")
    first_ns = min(x["now_ns"] for x in prices)
    index = {x["underlying"]: x["index_usd"] for x in prices if x["now_ns"] == first_ns}
    first = {x["limit"]: x for x in use if x["control"] == "position" and x["now_ns"] == first_ns}
    btc, eth = 40 * index["BTC"] + 250_000, 500 * index["ETH"]
    assert first["all of BTC"]["use"] == pytest.approx(btc, rel=1e-3)  # forward and index differ
    assert first["all of ETH"]["use"] == pytest.approx(eth)
    for limit in ("all on simulated", "everything"):
        assert first[limit]["use"] == pytest.approx(btc + eth, rel=1e-3)
    assert first["largest instrument"]["use"] == pytest.approx(40 * index["BTC"])
    assert first["largest instrument"]["note"] == "simulated BTC-27MAR26-68000-C"
    assert first["largest instrument"]["share"] == pytest.approx(40 * index["BTC"] / 100_000_000)
    rate = [x for x in use if x["limit"] == "simulated, orders in 60 s"]
    assert sum(x["use"] for x in rate) >= made.document["orders"] > 0 and rate[0]["allowed"] == 300
    assert {x["control"] for x in use} == {"position", "margin", "order rate", "Greek", "budget of the day"}
    assert all(x["use"] is None and "no margin model" in x["note"] for x in use if x["control"] == "margin")


def test_the_configuration_of_the_run_is_told(made: Made) -> None:
    settings, (start,) = made.document["settings"], made.document["starts"]
    assert made.document["seed"] == start["seed"] == 0  # of the replay's latencies
    assert settings["sha256"] == start["settings_sha256"] and len(start["settings_sha256"]) == 64
    assert [turn["how"] for turn in settings["in_force"]] == ["start"]
    page = (made.out / "report.html").read_text()
    assert "settings in force" in page and start["settings_sha256"][:16] in page


# ------------------------------------------------------------------------------ the run and the record itself


def test_the_report_tells_what_the_run_told(made: Made) -> None:
    run, document = made.run.document, made.document
    assert (document["fills"]["count"], document["orders"]) == (run["fills"], run["orders"])
    assert (document["hedges"]["count"], document["decisions"]) == (run["hedges"], run["decisions"])
    assert document["hedges"]["expected_usd"] == pytest.approx(run["expected_cost_usd"], rel=1e-8)
    assert document["refused"] == run["refused"]
    assert {a["code"]: a["count"] for a in document["alerts"]} == run["alerts"]
    owed = run["attribution_usd"]["funding"] - document["pnl"]["attribution_usd"]["funding"]
    assert document["pnl"]["pnl_usd"] == pytest.approx(run["pnl_usd"] - owed, rel=1e-9)
    assert document["settings"]["same_as_run"] is True
    assert document["revaluation"]["worst_share"] < 1e-7  # the record's exposures have nine digits


def test_fills_are_those_of_the_journals_export(made: Made, exported: Path) -> None:
    """Turnover by the words of each market: options and spot their price, the perpetual its notional."""
    mine = {fill["trade_id"]: fill for fill in made.table("fills")}
    theirs = pl.read_parquet(exported / "fills.parquet").to_dicts()
    assert set(mine) == {fill["trade_id"] for fill in theirs}
    for fill in theirs:
        told = mine[fill["trade_id"]]
        assert (told["quantity"], told["price"], told["fee"]) == (
            fill["quantity"],
            fill["price"],
            fill["fee"],
        )
        quantity, price = Decimal(fill["quantity"]), Decimal(fill["price"])
        if fill["symbol"].endswith("-PERPETUAL") or fill["symbol"].count("-") == 1:  # or a dated future
            expected = float(quantity) * told["index_usd"] / float(price)  # inverse: quantity is in USD
        elif fill["symbol"].endswith("_USDC"):
            expected = float(quantity * price)
        else:
            expected = float(quantity * price) * told["index_usd"]
        assert told["turnover_usd"] == pytest.approx(expected, rel=1e-12)
        paid = float(Decimal(fill["fee"])) * (1.0 if fill["fee_currency"] == "USDC" else told["index_usd"])
        if fill["fee_currency"] in ("USDC", told["underlying"]):
            assert told["fee_usd"] == pytest.approx(paid, abs=1e-9)


def test_time_outside_is_that_of_the_decisions_on_record(made: Made, exported: Path) -> None:
    """Every decision holds until the next: the engine's own `breached`, summed up by hand."""
    outside: dict[str, float] = defaultdict(float)
    seen: dict[str, list[float]] = defaultdict(list)
    story = decisions(exported)
    for now, until_ns in zip(story, [x["now_ns"] for x in [*story[1:], story[-1]]], strict=True):
        values = {row: x for row, x in now["exposures"] if x is not None}
        for row, x in values.items():
            seen[row].append(x)
        for row in now["breached"]:
            outside[row] += (until_ns - now["now_ns"]) / 1e9
    for row in made.document["rows"]:
        assert row["unknown_s"] == 0
        assert row["outside_s"] == pytest.approx(outside[row["row"]], abs=1e-6)
        assert (row["lowest"], row["highest"]) == (min(seen[row["row"]]), max(seen[row["row"]]))
    assert max(row["outside_s"] for row in made.document["rows"]) > 0


def test_bands_are_those_of_the_settings_in_the_desks_units(made: Made) -> None:
    """The built-in delta band is 100,000 USD either way, its landing 50,000."""
    for line in made.table("exposures"):
        if line["row"].startswith("delta:") and line["scale"] is not None:
            ends = [line[name] * line["scale"] for name in ("trigger_low", "trigger_high")]
            assert ends == pytest.approx([-100_000, 100_000])
            ends = [line[name] * line["scale"] for name in ("landing_low", "landing_high")]
            assert ends == pytest.approx([-50_000, 50_000])
        if line["row"].startswith("theta:"):
            assert line["trigger_low"] is None and line["trigger_high"] is None


# ------------------------------------------------------------------------------------------------ the folder


def test_the_same_journal_gives_the_same_files(made: Made, tmp_path: Path) -> None:
    again = report(made.journal, tmp_path / "again", "--tape", made.tape)
    assert again["tables"] == made.document["tables"] and again["page"] == made.document["page"]


def test_whatever_settings_are_at_hand_the_report_has_those_of_the_run(made: Made, tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(
        '[bands."*"]\ndelta_usd = {target = 0, trigger = [-7000, 7000], landing = [-5000, 5000]}\n'
    )
    found = report(made.journal, tmp_path / "other", "--tape", made.tape, "--config", config)
    assert found["settings"]["same_as_run"] is True
    assert found["tables"] == made.document["tables"] and found["page"] == made.document["page"]


def test_people_are_told_where_it_is_and_what_was_left_out(
    made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = hedger(capsys, "report", "--journal", made.journal, "--tape", made.tape, "--out", tmp_path / "o")
    assert ran.code == 0 and ran.err == ""
    assert str(tmp_path / "o" / "report.html") in ran.out and "left out: " in ran.out
