"""A dead man's switch that the venue does not set: an alert, its end, and a lost key where that is why."""

from __future__ import annotations

from hedger.core.events import Failed, Refreshed
from hedger.core.state import Mode
from tests.hedger.rig import VENUE, Rig

WORDS = "REFUSED: the venue does not take it, observed: too little volume"


def test_a_refresh_that_was_not_taken_is_told_with_the_venues_words_and_so_is_its_end() -> None:
    rig = Rig({"BTC-PERPETUAL": "1000"}).armed()
    before = len(rig.alerts())
    told = rig.send(Failed(VENUE, "refresh", "", "REFUSED", WORDS))
    assert [a.code for a in told.alerts] == ["DEAD_MAN_OFF"]
    assert told.alerts[0].text.split()[0] == VENUE and WORDS in told.alerts[0].text
    assert rig.state.mode is Mode.ARMED  # hedging goes on: a person decides
    rig.send(Refreshed(VENUE))
    assert rig.alerts()[before:] == ["DEAD_MAN_OFF", "DEAD_MAN_ON"]


def test_a_key_that_is_refused_over_a_refresh_is_a_key_that_is_lost() -> None:
    rig = Rig({"BTC-PERPETUAL": "1000"}).armed()
    rig.send(Failed(VENUE, "refresh", "", "KEY_REFUSED", "the venue does not let this key in"))
    assert rig.state.mode is Mode.HALTED
    assert rig.alerts()[-2:] == ["DEAD_MAN_OFF", "KEY_REFUSED"]
