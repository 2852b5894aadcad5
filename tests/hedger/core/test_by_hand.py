"""Bands set by hand: over a restart, a reload and another file; who set them is never lost."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from typing import Any

import pytest

from hedger.core.actions import Alert
from hedger.core.by_hand import ByHand, HandBand
from hedger.core.by_hand_file import FileBand, file_band, file_words
from hedger.core.decide import decide
from hedger.core.decision import Decision
from hedger.core.events import Verb
from hedger.core.state import State
from hedger.desk.follow import Follower
from hedger.engine.starting import first_state
from hedger.journal.codec import dump, load
from hedger.journal.entries import Entry, Head, Kind, chained
from hedger.journal.recovery import recover
from hedger.journal.storage import MemoryStorage
from hedger.runs.paper_setup import venues_of
from hedger.settings import Settings
from pricing.valuation import Numeraire
from tests.hedger.engine.test_engine import Bench
from tests.hedger.rig import SOLVER, Rig, desk, option_symbol

WIDE = ((-900.0, 900.0), (-400.0, 400.0))
BAND = "delta:BTC=-900,900/-400,400"
PERP = "BTC-PERPETUAL"
NARROW = {"trigger": [-10, 10], "landing": [-5, 5]}
OTHER = {"delta_usd": {"trigger": [-70_000, 70_000], "landing": [-30_000, 30_000]}}


def told(decisions: list[Decision], code: str) -> list[str]:
    return [a.text for d in decisions for a in d.actions if isinstance(a, Alert) and a.code == code]


def other_file(bands: Any) -> Settings:
    """What the engine is started with, with other bands in it."""
    tree = desk().model_dump(mode="json", exclude_unset=True) | {"bands": bands}
    tree.pop("solver", None)
    return Settings.model_validate(tree).model_copy(update={"solver": SOLVER})


def stopped(*arguments: str) -> Bench:
    """An engine that was told so many bands and is gone."""
    bench = Bench()
    bench.world.settle()
    for argument in arguments:
        bench.world.command(Verb.BANDS, "calm week", "ann", argument)
    bench.world.settle()
    bench.journal.sync()
    bench.decisions.clear()
    bench.events.clear()
    return bench


def again(bench: Bench, settings: Settings | None = None) -> State:
    """Started once more, with other settings or the same; up to its first mark."""
    if settings is not None:
        bench.sending = replace(bench.sending, desk=settings)
    bench.start()
    bench.world.settle()
    bench.journal.sync()
    return bench.world.state


def test_a_band_set_by_hand_stands_over_a_restart_and_is_told_with_the_file_s() -> None:
    bench = stopped(BAND)
    state = again(bench)
    assert dict(state.overrides) == {"delta:BTC": WIDE}
    assert state.snapshot is not None
    at = state.snapshot.exposure.rows.index("delta:BTC")
    bands = state.snapshot.bands
    assert (bands.trigger_lower[at], bands.trigger_upper[at]) == WIDE[0]
    assert (bands.landing_lower[at], bands.landing_upper[at]) == WIDE[1]
    (text,) = told(bench.decisions, "BAND_BY_HAND")
    assert text.startswith("delta:BTC: trigger -900 .. 900, landing -400 .. 400 coin, set at 20")
    _, _, file = text.partition(" by ann: calm week; the file says ")
    own, _, in_coin = file.partition(" (")
    assert own == "delta_usd: trigger -100000 .. 100000, landing -50000 .. 50000"
    spot = state.snapshot.spot["BTC"]
    *edges, index = map(float, re.findall(r"-?[0-9.]*[0-9]", in_coin))
    assert edges == pytest.approx([usd / spot for usd in (-1e5, 1e5, -5e4, 5e4)], rel=1e-5)
    assert index == pytest.approx(spot, rel=1e-5) and in_coin.endswith(" USD)")
    again(bench)  # and over another one
    assert dict(bench.world.state.overrides) == {"delta:BTC": WIDE}


def test_a_band_that_was_taken_back_stays_taken_back() -> None:
    bench = stopped(BAND, "gamma:BTC=-9,9/-4,4", "delta:BTC=")
    state = again(bench)
    assert [band.row for band in state.by_hand.bands] == ["gamma:BTC"] == list(state.overrides)
    bench.world.command(Verb.BANDS, "enough", "ann", "gamma:BTC=")
    bench.world.settle()
    bench.journal.sync()
    assert again(bench).by_hand == ByHand() and again(bench).overrides == {}


def test_the_file_wins_where_its_own_band_has_changed_since() -> None:
    bench = stopped(BAND, "gamma:BTC=-9,9/-4,4")
    state = again(bench, other_file({"BTC": OTHER}))
    assert list(state.overrides) == ["gamma:BTC"]
    assert state.snapshot is not None
    at = state.snapshot.exposure.rows.index("delta:BTC")
    upper = state.snapshot.bands.trigger_upper[at]
    assert upper * state.snapshot.spot["BTC"] == pytest.approx(70_000.0)
    (text,) = told(bench.decisions, "BAND_BY_FILE")
    assert (
        "trigger -900 .. 900, landing -400 .. 400 coin, set at 20" in text and " by ann: calm week;" in text
    )
    assert "the file said delta_usd: trigger -100000 .. 100000, landing -50000 .. 50000;" in text
    assert "it says delta_usd: trigger -70000 .. 70000, landing -30000 .. 30000 now" in text
    bench.decisions.clear()
    state = again(bench, desk())  # the old file again: what was dropped does not come back
    assert list(state.overrides) == ["gamma:BTC"] and not told(bench.decisions, "BAND_BY_FILE")


def test_another_band_in_the_file_is_no_matter_to_this_one() -> None:
    bench = stopped(BAND)
    assert list(again(bench, other_file({"ETH": OTHER})).overrides) == ["delta:BTC"]
    vega = {"vega_usd_per_point": {"trigger": [-9, 9], "landing": [-4, 4]}}
    assert list(again(bench, other_file({"ETH": OTHER, "BTC": vega})).overrides) == ["delta:BTC"]


@pytest.mark.parametrize(
    ("band", "stands"),
    [
        ({"hedge_ratio": 1.0, "target": 0.0, "width": "fixed"}, True),  # what is built in, written out
        ({"trigger": [-100_000, math.nextafter(100_000, math.inf)]}, False),  # one that reads the same
        ({"hedge_ratio": 0.5}, False),
    ],
)
def test_numbers_are_compared_not_their_words(band: Any, stands: bool) -> None:
    bench = stopped(BAND)
    same = {"trigger": [-100_000, 100_000], "landing": [-50_000, 50_000]}
    state = again(bench, other_file({"BTC": {"delta_usd": same | band}}))
    assert list(state.overrides) == ["delta:BTC"] * stands
    assert len(told(bench.decisions, "BAND_BY_FILE")) == (not stands)


@pytest.mark.parametrize("bands", [{}, {"BTC": OTHER}], ids=["same file", "another"])
def test_what_a_start_makes_of_them_comes_out_the_same_again(bands: Any) -> None:
    """The first state from the record before the start, and the start's own events, give its digests."""
    bench = stopped(BAND)
    found, now_ns = recover(MemoryStorage(bench.disk), monotonic_ns=bench.source.now_ns), bench.source.now_ns
    again(bench, other_file(bands))
    bench.steps(2)
    universe = bench.source.universe
    state = first_state(
        found, universe, bench.opening, venues_of(universe), now_ns, latched=False, now_ns=now_ns
    )
    for event, decision in zip(bench.events, bench.decisions, strict=True):
        state, made = decide(state, event, bench.sending)
        assert made.digest == decision.digest
    assert state.by_hand == bench.world.state.by_hand


def test_a_journal_of_a_release_that_kept_none_has_none() -> None:
    """The command and its decision alone: in force until that engine's end, and no start takes it up."""
    bench = stopped(BAND)
    records = bench.disk.records
    assert recover(MemoryStorage(bench.disk)).by_hand != ByHand()
    kept = [Entry(Kind(r.kind), r.seq, r.now_ns, r.body, r.key) for r in records if r.kind != Kind.BANDS]
    assert len(kept) == len(records) - 1
    records[:] = chained(kept, Head(0, bench.disk.name.genesis))
    assert recover(MemoryStorage(bench.disk)).by_hand == ByHand()
    follower = Follower(desk())
    for record in records:
        follower.take(record)
    assert follower.overrides == {"delta:BTC": WIDE} and follower.by_hand == ByHand()
    number = len(records)
    assert again(bench).overrides == {}
    for record in records[number:]:
        follower.take(record)
    assert follower.overrides == {}


def test_a_reload_leaves_them_unless_it_changes_the_file_s_own() -> None:
    rig = Rig({"BTC-PERPETUAL": "10"}, desk()).armed()
    rig.command(Verb.BANDS, BAND)
    rig.command(Verb.RELOAD, json.dumps({"bands": {"ETH": OTHER}}))
    assert dict(rig.state.overrides) == {"delta:BTC": WIDE} and "RELOADED" in rig.alerts()
    rig.command(Verb.RELOAD, json.dumps({"bands": {"ETH": OTHER, "*": OTHER}}))
    assert rig.state.overrides == {} and rig.alerts().count("BAND_BY_FILE") == 1
    assert rig.state.by_hand == ByHand()


def test_a_band_on_a_scenario_that_is_gone_goes_with_it() -> None:
    """A row that no book has any more would leave the book without a value."""
    settings = desk().model_copy(update={"solver": SOLVER})
    crash = {"name": "crash", "spot": -0.2, "floor_usd": -1e6}
    rig = Rig({"BTC-PERPETUAL": "10"}, settings).armed()
    rig.command(Verb.RELOAD, json.dumps({"scenarios": [crash]}))
    rig.command(Verb.BANDS, "pnl:BTC:crash=-2000000,/-1500000,")
    assert list(rig.state.overrides) == ["pnl:BTC:crash"]
    rig.command(Verb.RELOAD, json.dumps({"scenarios": None}))
    assert rig.state.overrides == {} and rig.state.fault == "" and rig.alerts().count("BAND_BY_FILE") == 1


def test_who_set_it_is_that_of_the_command_and_what_was_refused_sets_nothing() -> None:
    rig = Rig({"BTC-PERPETUAL": "10"}, desk()).armed()
    rig.command(Verb.BANDS, BAND)
    rig.command(Verb.BANDS, "delta:BTC=nonsense")
    rig.command(Verb.BANDS, "delta:ZZZ=-1,1/-1,1")
    edges = {"trigger.low": -1e5, "trigger.high": 1e5, "landing.low": -5e4, "landing.high": 5e4}
    plain = {"target": 0.0, "hedge_ratio": 1.0, "uncertainty_sds": 0.0}
    file = FileBand(Numeraire.USD, "delta_usd", edges | plain, {"width": "fixed"})
    band = HandBand("delta:BTC", *WIDE, "person", "because", rig.now_ns, file)
    assert rig.state.by_hand == ByHand((band,))
    assert load(ByHand, dump(ByHand, rig.state.by_hand)) == rig.state.by_hand


@pytest.mark.parametrize(
    ("bands", "row", "says", "in_row_unit"),
    [
        ({}, "theta:BTC", "no band", ""),
        (
            {},
            "vega:ETH:0-7d",
            "vega_bucket_multiple 2 of vega_usd_per_point: trigger -5000 .. 5000, landing -4000 .. 4000",
            " (trigger -1000000 .. 1000000, landing -800000 .. 800000 USD/vol)",
        ),
        (
            {"*": {"vega_buckets_usd_per_point": {"0-7d": {"trigger": [None, 5], "landing": [None, 3]}}}},
            "vega:BTC:0-7d",
            "vega_buckets_usd_per_point 0-7d: trigger .. 5, landing .. 3",
            " (trigger .. 500, landing .. 300 USD/vol)",
        ),
        (
            {"BTC": {"delta_usd": {"width": "risk_budget", "error_usd_per_day": 1234567.5}}},
            "delta:BTC",
            "delta_usd: error_usd_per_day 1234567.5, uncertainty_sds 2, width risk_budget",
            "",
        ),
        (
            {"BTC": {"gamma_usd_per_1pct": {"target": 500, "trigger": [-2500, 5000], "landing": [-1, 1]}}},
            "gamma:BTC",
            "gamma_usd_per_1pct: trigger -2500 .. 5000, landing -1 .. 1, target 500",
            " (trigger -8e-05 .. 0.00022, landing 1.996e-05 .. 2.004e-05 coin/USD at 50000 USD)",
        ),
        (
            {"BTC": {"delta_usd": {"hedge_ratio": 0.5, "trigger": [-9, 9], "landing": [-4, 4]}}},
            "delta:BTC",
            "delta_usd: trigger -9 .. 9, landing -4 .. 4, hedge_ratio 0.5",
            "",  # what it comes to hangs on the book
        ),
    ],
)
def test_what_the_file_says(bands: Any, row: str, says: str, in_row_unit: str) -> None:
    """In the row's unit at 50,000 USD: gamma 100 / 50000^2 a USD, vega 100 a USD."""
    file = file_band(Settings.model_validate({"bands": bands}), row)
    assert file_words(file, row, 50_000.0) == says + in_row_unit
    assert file_words(file, row) == says + (in_row_unit if "vega" in row else "")
    in_coins = file_band(Settings.model_validate({"bands": bands, "numeraire": "coin"}), row)
    assert in_coins != file and file_words(in_coins, row) == f"{says}, numeraire coin"


def reason(rig: Rig, argument: str) -> str:
    return rig.command(Verb.BANDS, argument).reason


def test_a_band_that_no_lot_lands_in_is_refused_with_the_least_that_is_allowed() -> None:
    """10 USD is the perpetual's smallest trade: its delta at the index of now, coins."""
    rig = Rig({"BTC-PERPETUAL": "10"}, desk()).armed()
    assert rig.state.snapshot is not None
    forward = float(rig.state.snapshot.valuation.forward[rig.market.universe.positions["simulated", PERP]])
    lot = 10.0 / forward
    for room, refused in ((0.9 * lot, True), (1.1 * lot, False)):
        said = reason(rig, f"delta:BTC=-1,1/{-1 + room:.12f},0.5")
        assert ("delta:BTC" in rig.state.overrides) is not refused
        assert ("would be hedged without end" in said) is refused
        if refused:
            observed, least = map(
                float, re.findall(r"trigger ([0-9.e-]+) coin; .* least ([0-9.]+),", said)[0]
            )
            assert (observed, least) == pytest.approx((room, lot), rel=1e-5)
            assert "the smallest trade of BTC-PERPETUAL; widen the trigger or narrow the landing" in said
            assert rig.alerts()[-1] == "BANDS_REFUSED"
    assert "without end" in reason(rig, "delta:BTC=-0.0001,0.0001/0,0")  # narrower than a lot as a whole
    assert "without end" in reason(rig, "gamma:BTC=-1e-30,1e-30/0,0")
    assert "without end" not in reason(rig, "delta:BTC=,1/,0.5")  # an open side has room enough


def test_a_landing_that_lots_step_over_is_refused_with_its_width() -> None:
    """An option makes delta any number; from 50 contracts of 10 USD, contracts lead to nothing exactly."""
    rig = Rig({"BTC-PERPETUAL": "500"}, desk()).armed()
    assert "without end" not in reason(rig, "delta:BTC=-1,1/0,0")
    assert "delta:BTC" in rig.state.overrides
    rig = Rig({"BTC-PERPETUAL": "500", option_symbol(rig.market): "0.1"}, desk()).armed()
    assert rig.state.snapshot is not None
    lot = 10.0 / float(rig.state.snapshot.valuation.forward[rig.market.universe.positions["simulated", PERP]])
    said = reason(rig, "delta:BTC=-1,1/0,0")
    assert "delta:BTC=-1,1/0,0 would be hedged without end: landing 0 coin wide; allowed: at least" in said
    assert "the smallest trade of BTC-PERPETUAL; widen the landing" in said
    assert rig.alerts()[-1] == "BANDS_REFUSED" and "delta:BTC" not in rig.state.overrides
    assert float(re.findall(r"at least ([0-9.]+),", said)[0]) == pytest.approx(lot, rel=1e-5)
    assert "without end" not in reason(rig, f"delta:BTC=-1,1/0,{1.01 * lot:.12f}")
    assert "without end" not in reason(rig, "delta:BTC=-1,1/0,")  # open on one side


def test_a_file_s_band_that_no_lot_lands_in_is_told_at_arming_and_at_a_reload() -> None:
    rig = Rig({"BTC-PERPETUAL": "10"}, other_file({"BTC": {"delta_usd": NARROW}})).armed()
    assert rig.alerts().count("BAND_NARROW") == 1
    rig.command(Verb.RELOAD, json.dumps({"bands": {"BTC": OTHER}}))
    assert rig.alerts().count("BAND_NARROW") == 1
    rig.command(Verb.RELOAD, json.dumps({"bands": {"BTC": {"delta_usd": NARROW}}}))
    assert rig.alerts().count("BAND_NARROW") == 2


def test_the_answer_says_what_was_and_what_is_by_whom_and_how_long() -> None:
    rig = Rig({"BTC-PERPETUAL": "10"}, desk()).armed()
    said = reason(rig, BAND)
    assert (
        "delta:BTC: the settings file's own, delta_usd: trigger -100000 .. 100000, landing -50000 .." in said
    )
    assert " USD) -> trigger -900 .. 900, landing -400 .. 400 coin, set at 20" in said
    assert said.endswith(
        " by person: because; it stands over restarts, until the file says something else of the row"
    )
    said = reason(rig, "delta:BTC=,800/,300")
    assert "delta:BTC: trigger -900 .. 900, landing -400 .. 400 coin, set at 20" in said
    assert (
        " by person: because -> trigger .. 800, landing .. 300 coin (open below: never triggers there)"
        in said
    )
    said = reason(rig, "delta:BTC=")
    assert " by person: because -> the settings file's own, delta_usd: trigger -100000" in said
    assert "over restarts" not in said
    assert "(open: never triggers)" in reason(rig, "delta:BTC=,/,")
