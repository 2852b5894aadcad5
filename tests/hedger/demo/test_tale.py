"""The demo's story, played by the engine in virtual time and told by what is on record of it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedger.core.decision import Decision
from hedger.core.state import State
from hedger.dashboard.narrator import LINES, strip
from hedger.demo.drill import drill
from hedger.demo.stage import DEMO_STAGE
from hedger.demo.tale import DWELL_S, STEPS, Place, StorySoFar, after, moved, seen, told
from hedger.settings import Settings
from tests.hedger.command_line import hedger
from venues.orders import OrderState

WHOLE = StorySoFar(
    report="/tmp/hedger-demo-abcdefgh/report",
    outside=("delta:BTC", "gamma:BTC", "vega:BTC"),
    ticket="16 legs for 5,991 USD",
    wanted=tuple((("simulated", f"BTC-{number}"), Decimal(1)) for number in range(16)),
    filled=16,
    parts=3,
    checked="every row is inside, every leg is filled",
    dropped=True,
    unknown="hdemo-113-0-0",
    resolved="the venue never had it",
    checked_again="every row is inside, every leg is filled",
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the demo leaves its files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


@pytest.mark.parametrize("seed", [1, 7, 8, 18, 20, 21])
def test_the_engine_plays_the_whole_story(seed: int) -> None:
    """Whatever the seed: every step comes, in order; the order of unknown fate is sent once. At 1, 18 and 20
    the first fall leaves the book inside its bands; at 21 the first ticket is filled and checked at once."""
    story, unknown_when_told = StorySoFar(), False
    first: dict[int, int] = {}
    sent: list[str] = []

    def on_turn(state: State, decision: Decision, fills: Mapping[str, int]) -> None:
        nonlocal story, unknown_when_told
        sent.extend(order.client_id for order in decision.orders)
        story = seen(after(story, decision.document()), tuple(state.orders.values()), fills)
        for number, (_, text) in enumerate(STEPS):
            if text(story) and number not in first:
                first[number] = decision.seq
        if 4 in first and first[4] == decision.seq:
            unknown_when_told = state.orders[story.unknown].state is OrderState.UNKNOWN

    last = drill(seed, Settings(), on_turn)
    assert sorted(first, key=lambda n: (first[n], n)) == list(range(len(STEPS)))
    assert unknown_when_told and sent.count(story.unknown) == 1 and len(sent) == len(set(sent))
    assert story.resolved == "the venue never had it"
    assert story.checked.startswith("every row is") and story.checked_again.startswith("every row is")
    # what it says is so: nothing is booked of that order, and nothing is left open
    assert last.orders.get(story.unknown) is None or last.orders[story.unknown].booked == 0
    assert not list(last.live_orders())
    at = {fault.kind: fault.at_s for fault in DEMO_STAGE.faults}
    assert min(at.values()) < DEMO_STAGE.moves[0].at_s < max(at.values())


def test_a_step_is_told_when_it_has_happened_and_the_last_could_be_read() -> None:
    place = Place()
    assert "starting" in told(place, StorySoFar())
    assert moved(place, StorySoFar(), 0.0) == place  # nothing has happened
    now_s = 100.0
    for number, dwell_s in enumerate(DWELL_S):
        place = moved(place, WHOLE, now_s)
        assert place == Place(number, now_s)
        assert told(place, WHOLE).startswith(f"DEMO {number + 1}/{len(STEPS)} {STEPS[number][0]}: ")
        if dwell_s:
            assert moved(place, WHOLE, now_s + dwell_s - 0.01) == place
        now_s += dwell_s
    assert moved(place, WHOLE, now_s + 1e6) == place
    assert len(DWELL_S) == len(STEPS)


@given(st.integers(0, len(STEPS) - 1), st.integers(80, 220), st.booleans())
def test_every_step_fits_its_strip(number: int, width: int, killed: bool) -> None:
    text = told(Place(number), replace(WHOLE, killed=killed))
    lines = [line.removeprefix("» ") for line, _ in strip(text, width - 2)]
    assert len(lines) <= LINES and " ".join(lines) == text
    assert all(len(line) <= width - 4 for line in lines)


def test_where_nothing_drops_nothing_is_told_of_it() -> None:
    assert not STEPS[4][1](replace(WHOLE, unknown="")) and not STEPS[4][1](replace(WHOLE, dropped=False))
    assert not STEPS[5][1](replace(WHOLE, resolved=""))
    assert "KILLED" in STEPS[7][1](StorySoFar(checked_again="inside", killed=True))


def test_a_single_leg_and_its_pieces_are_counted() -> None:
    one = replace(WHOLE, wanted=WHOLE.wanted[:1], filled=1, parts=0)
    assert STEPS[2][1](one).startswith("1 of 1 leg is filled: ")
    assert STEPS[2][1](replace(WHOLE, filled=1, parts=1)).startswith(
        "1 of 16 legs is filled, 1 of them in parts: "
    )
    assert STEPS[2][1](replace(WHOLE, filled=0, parts=0)).startswith("0 of 16 legs are filled: ")
    assert not STEPS[2][1](replace(WHOLE, filled=0, checked=""))
    some = replace(WHOLE, filled=12, parts=0, anew=True)
    assert STEPS[2][1](some).startswith("12 of 16 legs are filled, the rest was planned anew: ")
    assert "anew" not in STEPS[2][1](replace(some, filled=16))


def test_the_text_tells_the_fills_as_they_were_at_the_check(capsys: pytest.CaptureFixture[str]) -> None:
    """Seed 21: its first ticket has one leg; of seed 7's sixteen, all are filled."""
    for seed, text in ((21, "3. fills: 1 of 1 leg is filled"), (7, "3. fills: 16 of 16 legs are filled, ")):
        ran = hedger(capsys, "demo", "--minutes", "0.4", "--seed", seed)
        assert ran.code == 0 and text in " ".join(ran.out.split())
        assert "The story ends here" not in ran.out


def test_a_story_that_breaks_off_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing may be bought or sold: the breach is told, and no ticket can follow."""
    config, kinds = tmp_path / "nothing.toml", ["spot", "perpetual", "future", "option"]
    config.write_text(f"[universe.deny_buy]\nkinds = {kinds}\n[universe.deny_sell]\nkinds = {kinds}\n")
    lines = " ".join(hedger(capsys, "demo", "--minutes", "0.4", "--config", config).out.split())
    assert "1. a breach: " in lines and "2. a ticket: " not in lines
    assert "The story ends here, after 1 of 9 steps" in lines


def test_a_desks_own_bands_do_not_silence_the_demo(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "wide.toml"
    config.write_text(
        '[bands."*"]\ndelta_usd = { target = 0, trigger = [-1e9, 1e9], landing = [-1e8, 1e8] }\n'
    )
    ran = hedger(capsys, "demo", "--minutes", "0.4", "--config", config)
    lines = " ".join(ran.out.split())
    assert ran.code == 0 and "built-in bands, not those of the settings file" in lines
    assert "9. what next: " in lines


def test_the_text_tells_the_same_story(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ran = hedger(capsys, "demo", "--minutes", "0.5")
    lines = " ".join(ran.out.split())
    assert ran.code == 0 and "\x1b" not in ran.out
    for number, (title, _) in enumerate(STEPS, 1):
        assert f"{number}. {title}: " in lines
    for word in ("UNKNOWN", "RECONCILED", "K K", "`hedger kill`", "survives a restart"):
        assert word in lines
    (place,) = tmp_path.iterdir()
    assert f"This engine has ended; its report will lie in {place / 'report'}. " in lines
    assert f"The report: {place / 'report' / 'report.html'} The record: hedger journal show" in lines
    assert ran.out.rstrip().endswith("Next: `hedger init` writes your own config.toml, on paper first.")


def test_the_text_leaves_a_sound_journal_of_the_story_and_its_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What it tells is on record: the order of unknown fate, and fills as many as the report counts."""
    found = hedger(capsys, "demo", "--minutes", "0.4", "--json").json
    assert hedger(capsys, "journal", "verify", "--journal", found["journal"]).code == 0
    told = hedger(capsys, "status", "--journal", found["journal"], "--json").json
    report = json.loads(Path(found["report"], "report.json").read_text())
    assert told["fills"] == report["tables"]["fills"]["rows"] > 0
    assert not report["warnings"]
