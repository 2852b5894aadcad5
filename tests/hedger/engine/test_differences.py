"""What reconciliation finds is on record as it stands, and so is its end: what `hedger status` tells."""

from __future__ import annotations

from decimal import Decimal

from hedger.core.events import Verb
from hedger.engine.recording import newly_different
from hedger.journal.entries import Differences
from tests.hedger.rig import VENUE, Rig

MORE = (("BTC-PERPETUAL", Decimal(5000)),)


def told(rig: Rig, step: str) -> list[Differences]:
    """What a step of the engine writes down."""
    before = rig.state
    if step == "report":
        rig.send(rig.report(), 1.0)
    elif step == "accept":
        rig.command(Verb.ARM, "accept")
    else:
        rig.tick(1.0)
    return list(newly_different(before, rig.state))


def test_differences_are_written_when_they_are_found_when_they_halt_and_when_they_are_over() -> None:
    rig = Rig({"BTC-PERPETUAL": "400000"}).armed()
    assert told(rig, "report") == []
    rig.truth.positions["BTC-PERPETUAL"] += 5000
    assert told(rig, "report") == [Differences(VENUE, MORE, (), 1)]
    assert told(rig, "tick") == []
    assert told(rig, "report") == [Differences(VENUE, MORE, (), 2)]
    assert told(rig, "report") == []  # and so on: nothing new
    rig.truth.positions["BTC-PERPETUAL"] += 10
    (other,) = told(rig, "report")
    assert other.positions == (("BTC-PERPETUAL", Decimal(5010)),)
    assert told(rig, "accept") == [Differences(VENUE, (), (), 0)]
    assert "DRIFT_OVER" in rig.alerts()
    assert told(rig, "report") == []


def test_a_lie_that_passes_is_over_on_record() -> None:
    rig = Rig({"BTC-PERPETUAL": "400000"}).armed()
    rig.truth.positions["BTC-PERPETUAL"] += 5000
    told(rig, "report")
    rig.truth.positions["BTC-PERPETUAL"] -= 5000
    assert told(rig, "report") == [Differences(VENUE, (), (), 0)]
