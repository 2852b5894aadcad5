"""Bands set by hand: over a restart, a reload and another file; who set them is never lost."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from hedger.core.actions import Alert
from hedger.core.by_hand import ByHand, HandBand, said_by_file
from hedger.core.decide import decide
from hedger.core.decision import Decision
from hedger.core.events import Verb
from hedger.core.state import State
from hedger.engine.starting import first_state
from hedger.journal.codec import dump, load
from hedger.journal.entries import Kind
from hedger.journal.recovery import recover
from hedger.journal.storage import MemoryStorage
from hedger.runs.paper_setup import venues_of
from hedger.settings import Settings
from tests.hedger.engine.test_engine import Bench
from tests.hedger.rig import SOLVER, Rig, desk

WIDE = ((-900.0, 900.0), (-400.0, 400.0))
BAND = "delta:BTC=-900,900/-400,400"
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
    assert text.startswith("delta:BTC: trigger -900 .. 900, landing -400 .. 400, by hand of ann at ")
    assert text.endswith(
        "calm week; the file says delta_usd: landing -50000 .. 50000, trigger -100000 .. 100000"
    )
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
    assert "trigger -900 .. 900, landing -400 .. 400, by hand of ann at " in text
    assert "the file said delta_usd: landing -50000 .. 50000, trigger -100000 .. 100000;" in text
    assert "it says delta_usd: landing -30000 .. 30000, trigger -70000 .. 70000 now" in text
    bench.decisions.clear()
    state = again(bench, desk())  # the old file again: what was dropped does not come back
    assert list(state.overrides) == ["gamma:BTC"] and not told(bench.decisions, "BAND_BY_FILE")


def test_another_band_in_the_file_is_no_matter_to_this_one() -> None:
    bench = stopped(BAND)
    assert list(again(bench, other_file({"ETH": OTHER})).overrides) == ["delta:BTC"]
    vega = {"vega_usd_per_point": {"trigger": [-9, 9], "landing": [-4, 4]}}
    assert list(again(bench, other_file({"ETH": OTHER, "BTC": vega})).overrides) == ["delta:BTC"]


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
    bench = stopped(BAND)
    del bench.disk.records[next(i for i, r in enumerate(bench.disk.records) if r.kind == Kind.COMMAND) :]
    assert recover(MemoryStorage(bench.disk)).by_hand == ByHand()


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
    file = "delta_usd: landing -50000 .. 50000, trigger -100000 .. 100000"
    band = HandBand("delta:BTC", *WIDE, "person", "because", rig.now_ns, file)
    assert rig.state.by_hand == ByHand((band,))
    assert load(ByHand, dump(ByHand, rig.state.by_hand)) == rig.state.by_hand


@pytest.mark.parametrize(
    ("bands", "row", "says"),
    [
        ({}, "theta:BTC", "no band"),
        (
            {},
            "vega:ETH:0-7d",
            "vega_bucket_multiple 2 of vega_usd_per_point: landing -4000 .. 4000, trigger -5000 .. 5000",
        ),
        (
            {"*": {"vega_buckets_usd_per_point": {"0-7d": {"trigger": [None, 5], "landing": [None, 3]}}}},
            "vega:BTC:0-7d",
            "vega_buckets_usd_per_point 0-7d: landing .. 3, trigger .. 5",
        ),
        (
            {"BTC": {"delta_usd": {"width": "risk_budget", "error_usd_per_day": 1234567.5}}},
            "delta:BTC",
            'delta_usd: error_usd_per_day 1234567.5, width "risk_budget"',
        ),
    ],
)
def test_what_the_file_says(bands: Any, row: str, says: str) -> None:
    assert said_by_file(Settings.model_validate({"bands": bands}), row) == says
    in_coins = Settings.model_validate({"bands": bands, "numeraire": "coin"})
    assert said_by_file(in_coins, row) == f"{says}; numeraire coin"
