"""What an engine told stands as long for the panel of alerts as for whoever is called."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hedger.alerts.tail import AlertTail
from hedger.desk.alert_log import alerts_document
from hedger.journal.entries import Entry, Intent, event_entry, intent_entry
from hedger.journal.journal import Journal, open_to_read
from tests.builders import NOW_NS
from tests.hedger.alerts.places import decision, mode
from tests.hedger.journal_words import NAME, event, opening, order
from venues.orders import OrderState, OrderUpdate

DAY_NS = 86_400 * 10**9
DRIFT = ("critical", "DRIFT", "deribit differs from the book without a reason: BTC +1 (its figure less ours)")
DRIFT_OVER = ("note", "DRIFT_OVER", "deribit agrees with the book again")
PNL = ("critical", "PNL_UNEXPLAINED", "+9 USD of the day's P&L are explained by nothing, allowed 5")
PNL_OVER = ("note", "PNL_EXPLAINED", "the P&L that nothing explains is back within bounds")
LINK = ("warning", "LINK_DOWN", "deribit is down: connection lost")
LINK_OVER = ("note", "LINK_UP", "deribit is up")
MODE = ("critical", "ACCOUNT_MODE", "deribit: a position is isolated; nothing is sent there until it is not")
MODE_OVER = ("note", "ACCOUNT_MODE_OVER", "deribit is set up as we trade again (was: isolated)")
TIMER = ("warning", "DEAD_MAN_OFF", "deribit did not take a refresh of its dead man's switch")
TIMER_OVER = ("note", "DEAD_MAN_ON", "deribit takes refreshes of its dead man's switch again")
PAUSED = ("critical", "PAUSED", "paused until a person resumes: turnover")
KEY = ("critical", "KEY_REFUSED", "deribit: invalid key")
ENDS: list[tuple[tuple[str, str, str], Entry]] = [
    (DRIFT, decision(1, DRIFT_OVER)),
    (PNL, decision(1, PNL_OVER)),
    (PNL, decision(1, now_ns=NOW_NS + DAY_NS)),
    (LINK, decision(1, LINK_OVER)),
    (MODE, decision(1, MODE_OVER)),
    (TIMER, decision(1, TIMER_OVER)),
    (PAUSED, mode(1, "armed")),
    (KEY, mode(1, "armed")),
]


def read(folder: Path, *entries: Entry) -> tuple[list[dict[str, Any]], list[str]]:
    """Rows of `alerts --told`, and what stands for `alerts`, of a journal that is read to its end."""
    folder.mkdir()
    journal = Journal.open(folder / "a.journal", NAME)
    journal.append(*entries)
    journal.sync()
    storage = open_to_read(folder / "a.journal")
    try:
        tail = AlertTail(storage, DAY_NS)
        while not tail.caught_up:
            tail.step(NOW_NS)
        rows = alerts_document(NAME, storage.records(), {}, NOW_NS, None)["alerts"]
        return rows, [notice.code for notice in tail.stands()]
    finally:
        storage.close()
        journal.close()


@pytest.mark.parametrize(("told", "end"), ENDS)
def test_an_alert_is_over_for_both_once_its_end_is_told(
    tmp_path: Path, told: tuple[str, str, str], end: Entry
) -> None:
    begun = (*opening(), mode(0, "halted", paused=True), decision(0, told, told))
    rows, stands = read(tmp_path / "before", *begun)
    assert [row["over_at"] for row in rows] == [None, None] and stands == [told[1]]
    rows, stands = read(tmp_path / "after", *begun, end)
    assert [row["over_at"] is None for row in rows if row["code"] == told[1]] == [False, False]
    assert stands == []


def test_another_venues_end_is_not_its_own(tmp_path: Path) -> None:
    other = ("note", "DRIFT_OVER", "okx agrees with the book again")
    rows, stands = read(tmp_path / "j", *opening(), decision(0, DRIFT), decision(1, other))
    assert rows[0]["over_at"] is None and stands == ["DRIFT"]


def test_what_begins_again_in_one_decision_stands(tmp_path: Path) -> None:
    rows, stands = read(tmp_path / "j", *opening(), decision(0, DRIFT), decision(1, DRIFT_OVER, DRIFT))
    assert [row["over_at"] is None for row in rows] == [False, True, True] and stands == ["DRIFT"]


def test_a_start_calls_nothing_over_and_what_the_next_engine_says_of_it_does(tmp_path: Path) -> None:
    """A supervisor that starts an engine again at once must not wipe out why it stopped."""
    before = (*opening(), decision(0, DRIFT), opening()[0])
    rows, stands = read(tmp_path / "started", *before)
    assert [(row["earlier"], row["over_at"]) for row in rows] == [(True, None)] and stands == []
    rows, _ = read(tmp_path / "after", *before, decision(1, DRIFT_OVER))
    assert rows[0]["earlier"] and rows[0]["over_at"] is not None


def test_an_order_of_which_nobody_knew_outlasts_a_start_until_it_is_known(tmp_path: Path) -> None:
    id = order(7).client_id
    told = ("critical", "ORDER_UNKNOWN", f"nobody could say for 10 s what became of {id}: it counts")
    begun = (*opening(), intent_entry(7, NOW_NS, Intent(order(7), 1)), decision(8, told), opening()[0])
    rows, stands = read(tmp_path / "started", *begun)
    assert [row["over_at"] for row in rows] == [None] and stands == ["ORDER_UNKNOWN"]
    known = event_entry(event(9, OrderUpdate(id, OrderState.CANCELLED)))
    rows, stands = read(tmp_path / "known", *begun, known)
    assert rows[0]["over_at"] is not None and stands == []
