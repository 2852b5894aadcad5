"""Parts of the report by themselves: time in spans, gaps, limits, seeds and studies."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedger.report.gaps import Gap, GapKind, GapReader
from hedger.report.profit_charts import _waterfall
from hedger.report.spans import HOUR_NS, Spans
from hedger.report.tables import PARTS, union_ns
from hedger.verbs.report_verb import read_frontier
from pricing.errors import InputError
from tests.hedger.command_line import hedger
from tests.hedger.journal_words import life
from tests.hedger.report.made import report, told
from venues.orders import Link, VenueStatus

S = 1_000_000_000
T0 = 1_770_000_000 * S


def test_a_decision_holds_until_the_next_one() -> None:
    """Ten spans of a second: 2 out of its band for 3.5 s, then 1 inside; nothing after the engine stops."""
    spans = Spans(T0, T0 + 10 * S, count=10)
    spans.decided(T0 + S, [("delta:BTC", 2.0)], ["delta:BTC"])
    spans.decided(T0 + 4 * S + S // 2, [("delta:BTC", 1.0)], [])
    spans.stopped(T0 + 6 * S)
    row = spans.rows["delta:BTC"]
    assert row.outside_s.tolist() == [0, 1, 1, 1, 0.5, 0, 0, 0, 0, 0, 0]
    assert row.known_s.tolist() == [0, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0]
    assert (row.low[4], row.high[4], row.last[4]) == (1.0, 2.0, 1.0)
    assert math.isnan(row.last[0]) and math.isnan(row.last[7])


def test_rows_of_a_coin_with_something_unmarked_are_not_known() -> None:
    spans = Spans(T0, T0 + 10 * S, count=10)
    spans.valued(T0, {}, ())
    spans.decided(T0, [("delta:BTC", 2.0), ("delta:ETH", 3.0)], ["delta:BTC", "delta:ETH"])
    spans.valued(T0 + 4 * S, {}, ["BTC"])
    spans.decided(T0 + 4 * S, [("delta:BTC", 0.0), ("delta:ETH", None)], ["delta:BTC"])
    spans.stopped(T0 + 10 * S)
    btc, eth = spans.rows["delta:BTC"], spans.rows["delta:ETH"]
    assert (btc.known_s.sum(), btc.outside_s.sum(), btc.unknown_s.sum()) == (4, 4, 6)
    assert (eth.known_s.sum(), eth.outside_s.sum(), eth.unknown_s.sum()) == (4, 4, 6)
    assert 0.0 not in btc.last.tolist()  # what is known alone is no exposure
    (hour,) = spans.hours.values()
    assert (hour.known_s, hour.outside_s, hour.unknown_s) == (4, 4, 6)


STEPS = st.lists(
    st.tuples(
        st.integers(0, 3 * HOUR_NS), st.floats(-5, 5) | st.none(), st.booleans(), st.sampled_from("dvs")
    ),
    min_size=1,
    max_size=30,
)


def test_of_a_book_without_rows_all_is_known_once_it_was_valued() -> None:
    """A second before the first mark, four after it, and two of an engine that has seen none since its start;
    a position without a mark makes two more unknown."""
    spans = Spans(T0, T0 + 20 * S, count=20)
    spans.decided(T0, [], [])
    spans.valued(T0 + S, {}, ())
    spans.decided(T0 + 2 * S, [], [])
    spans.stopped(T0 + 5 * S)
    spans.decided(T0 + 6 * S, [], [])
    spans.valued(T0 + 8 * S, {}, ["BTC"])
    spans.stopped(T0 + 10 * S)
    hours = spans.hours.values()
    assert sum(x.known_s for x in hours) == 4.0 and sum(x.unknown_s for x in hours) == 5.0


@given(STEPS)
def test_all_time_is_counted_once(steps: list[tuple[int, float | None, bool, str]]) -> None:
    """Known and unknown time sum to the time in which something was decided, in spans as in hours."""
    end = T0 + sum(step[0] for step in steps)
    spans, now, since, total = Spans(T0, end, count=37), T0, None, 0
    for wait, x, outside, what in steps:
        now += wait
        if since is not None:
            total += now - since
        if what == "d":
            spans.decided(now, [("delta:BTC", x)], ["delta:BTC"] if outside else [])
            since = now
        elif what == "v":
            spans.valued(now, {}, ["BTC"] if outside else [])
            since = None if since is None else now
        else:
            spans.stopped(now)
            since = None
    spans.stopped(now)
    hours = spans.hours.values()
    assert sum(h.known_s + h.unknown_s for h in hours) == pytest.approx(total / S, abs=1e-6)
    if "delta:BTC" in spans.rows:
        row = spans.rows["delta:BTC"]
        assert row.known_s.sum() + row.unknown_s.sum() == pytest.approx(total / S, abs=1e-6)
        assert row.known_s.sum() == pytest.approx(sum(h.known_s for h in hours), abs=1e-6)
        assert (row.outside_s <= row.known_s + 1e-9).all()
        known = ~(row.low != row.low)
        assert (row.low[known] <= row.last[known]).all() and (row.last[known] <= row.high[known]).all()


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=12))
def test_a_union_counts_every_moment_once(intervals: list[tuple[int, int]]) -> None:
    assert union_ns(intervals) == len({x for a, b in intervals for x in range(a, b)})


def test_hourly_snapshots_are_no_gap_and_a_missing_one_is() -> None:
    reader = GapReader(600.0)
    for hour in (0, 1, 2, 3, 8, 9):
        reader.marked(T0 + hour * HOUR_NS)
    assert reader.close(T0 + 9 * HOUR_NS) == (
        Gap(GapKind.MARKS, "market", T0 + 3 * HOUR_NS, T0 + 8 * HOUR_NS),
    )


def test_a_feed_that_fell_silent_is_an_open_gap() -> None:
    reader = GapReader(10.0)
    for i in range(50):
        reader.marked(T0 + i * S)
    assert reader.close(T0 + 59 * S) == ()
    (gap,) = reader.close(T0 + 90 * S)
    assert (gap.kind, gap.seconds, gap.open) == (GapKind.MARKS, 41.0, True)


def test_gaps_end_when_the_engine_does() -> None:
    reader = GapReader(10.0)
    reader.status(VenueStatus("okx", Link.DOWN), T0)
    reader.valued(T0 + S, "okx BTC (stale)")
    reader.started(T0 + 2 * S, T0 + 9 * S)
    found = {
        (gap.kind, gap.what): (gap.from_ns - T0, gap.to_ns - T0, gap.open)
        for gap in reader.close(T0 + 20 * S)
    }
    assert found == {
        (GapKind.LINK, "okx"): (0, 2 * S, False),
        (GapKind.WORTH, "okx BTC (stale)"): (S, 2 * S, False),
        (GapKind.ENGINE, "engine"): (2 * S, 9 * S, False),
    }


# --------------------------------------------------------------------------------------------------- a study


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("study") / "frontier.json"
    import io
    from contextlib import redirect_stdout

    from hedger.cli import main

    said = io.StringIO()
    words = ["--paths", "20", "--days", "2", "--checks-per-day", "4", "--cost-bps", "5,20", "--json"]
    with redirect_stdout(said):
        assert main(["study", "frontier", *words]) == 0
    path.write_text(said.getvalue())
    return path


def test_a_study_is_drawn_beside_the_journal(study: Path, tmp_path: Path) -> None:
    found = report(told(tmp_path / "j", *life(1)), tmp_path / "out", "--frontier", study)
    drawn = {c["name"]: c["traces"] for c in found["charts"] if not c["absent"]}
    assert set(drawn) == {"frontier-0", "frontier-1"} and min(drawn.values()) >= 5
    assert found["frontier"]["file"] == "frontier.json"
    assert found["frontier"]["rows"] == json.loads(study.read_text())["rows"]


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"rows": []}', "nonsense", '{"rows": NaN}', "null"])
def test_what_is_no_study_is_refused_before_anything_is_read(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "f.json"
    path.write_text(text)
    ran = hedger(
        capsys, "report", "--journal", tmp_path / "none", "--out", tmp_path / "out", "--frontier", path
    )
    assert ran.code == 2 and ran.err.startswith("FRONTIER_INVALID: ") and not (tmp_path / "out").exists()
    with pytest.raises(InputError, match="FRONTIER_INVALID"):
        read_frontier(tmp_path / "missing.json")


@pytest.mark.parametrize(
    ("slippage", "said"), [(-30.5, "2 fills cost 43.00 USD"), (None, "2 fills cost an unknown amount")]
)
def test_costs_before_the_first_mark_with_a_worth_are_told_beside_the_causes(
    slippage: float | None, said: str
) -> None:
    parts = dict.fromkeys(PARTS, 0.0) | {"delta": 10.0}
    early = {"fills": 2, "fees_usd": -12.5, "slippage_usd": slippage}
    pnl = {"pnl_usd": 10.0, "harvest_usd": 0.0, "before_first_mark": early}
    assert said in _waterfall({"pnl": pnl}, parts).caption
    assert "first mark" not in _waterfall({"pnl": pnl | {"before_first_mark": None}}, parts).caption
