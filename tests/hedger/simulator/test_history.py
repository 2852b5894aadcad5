"""The history checker on records written by hand: each invariant kept, and broken in one line.

Whole worlds with planted bugs are in tests/story; here are those invariants that no planted bug breaks, and
the reading of lines.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from hedger.journal.entries import Entry, Head, JournalName, Kind, chained
from hedger.simulator.history import INVARIANTS, check, counted, history_of
from hedger.simulator.history_lines import HistoryError, Terms
from hedger.simulator.minutes import record_line

Line = dict[str, Any]
GENESIS = hashlib.sha256(b"by hand").hexdigest()


def found(
    *,
    truth: list[Line] | None = None,
    wire: list[Line] | None = None,
    journal: list[str] | None = None,
    claims: list[Line] | None = None,
    genesis: str = "",
    terms: Terms | None = None,
) -> list[str]:
    """Which invariants are violated."""
    history = history_of(
        {"v": [json.dumps(line) for line in truth or []]},
        [json.dumps(line) for line in wire or []],
        journal or [],
        [json.dumps(line) for line in claims or []],
        genesis,
        terms,
    )
    return [violation.invariant for violation in check(history)]


def record(number: int, kind: str, body: Line, seq: int = 1) -> str:
    return json.dumps(
        {"number": number, "kind": kind, "seq": seq, "now_ns": 5, "key": None, "hash": "", "body": body}
    )


def intent(number: int, client_id: str = "hsim0-1-0-0", seq: int = 1) -> str:
    listing = {"venue": "v", "symbol": "P", "contract": {"type": "Perpetual"}}
    order = {"client_id": client_id, "listing": listing, "side": "buy", "quantity": "10"}
    return record(number, "intent", {"order": order, "execution": 1}, seq)


def decision(number: int, mode: str = "armed", seq: int = 1, quantity: str = "10") -> str:
    leg = {"venue": "v", "symbol": "P", "side": "buy", "quantity": quantity}
    document = {"mode": mode, "paused": False, "ticket": {"legs": [leg]}}
    return record(number, "decision", {"digest": "", "document": document}, seq)


def final(**more: Any) -> Line:
    base = {"ordinal": 0, "time_ns": 9, "what": "final", "seq": 1, "number": 9, "mode": "armed"}
    return base | {"positions": [], "orders": {}} | more


def test_nothing_is_wrong_with_nothing() -> None:
    assert found() == [] and set(counted(())) == set(INVARIANTS)


def test_a_line_that_is_none_is_told_with_its_place() -> None:
    with pytest.raises(HistoryError, match="journal, line 1"):
        history_of({}, [], ["{"], [])
    with pytest.raises(HistoryError, match="record 3"):
        found(journal=[record(3, "intent", {"order": {}})])


def test_i1_the_orders_of_a_leg_do_not_come_to_more_than_the_leg() -> None:
    two = [decision(1, quantity="20"), intent(2), intent(3, "hsim0-1-0-1")]
    assert found(journal=two) == []
    assert found(journal=[decision(1), *two[1:]]) == ["I1"]


def test_i9_no_order_is_decided_where_none_may_leave() -> None:
    assert found(journal=[decision(1, "reducing"), intent(2)]) == []
    for mode in ("observe", "halted", "killed"):
        assert found(journal=[decision(1, mode), intent(2)]) == ["I9"]


def chain(name: JournalName, count: int) -> list[str]:
    entries = [Entry(Kind.MODE, i, i, b'{"mode":"observe"}') for i in range(count)]
    return [record_line(r) for r in chained(entries, Head(0, name.genesis))]


def test_i10_any_change_of_a_record_breaks_the_chain() -> None:
    name = JournalName("paper", "test")
    lines, genesis = chain(name, 4), name.genesis.hex()
    assert found(journal=lines, genesis=genesis) == []
    assert found(journal=[*lines[:2], lines[3]], genesis=genesis) != []
    assert found(journal=[lines[1], lines[0], *lines[2:]], genesis=genesis) != []
    assert found(journal=[lines[0].replace("observe", "armed"), *lines[1:]], genesis=genesis) == ["I10"]
    assert found(journal=lines, genesis=JournalName("live", "test").genesis.hex()) == ["I10"]


def test_i10_what_was_durable_at_a_crash_is_there_afterwards() -> None:
    name = JournalName("paper", "test")
    lines, genesis = chain(name, 4), name.genesis.hex()
    head = f"3:{json.loads(lines[2])['hash']}"
    crash = {"ordinal": 0, "time_ns": 1, "what": "crash", "head": head}
    assert found(journal=lines, genesis=genesis, claims=[crash]) == []
    assert found(journal=lines[:2], genesis=genesis, claims=[crash]) == ["I10"]


def test_i10_a_replay_that_comes_to_another_state_is_found() -> None:
    claims = [final(state="a"), {"ordinal": 1, "time_ns": 9, "what": "replayed", "seq": 1, "state": "b"}]
    assert found(claims=claims) == ["I10"]
    claims[1]["state"] = "a"
    assert found(claims=claims) == []


def test_i11_fees_and_balances_are_compared() -> None:
    fact = {"number": 0, "time_ns": 1, "what": "external", "symbol": "P", "side": "buy", "quantity": "1"}
    fact |= {"price": "2", "fee": "0.1", "currency": "BTC", "trade_id": "t", "position": "1"}
    listing = {"venue": "v", "symbol": "P", "contract": {"type": "Perpetual"}}
    fill = {"listing": listing, "side": "buy", "quantity": "1", "price": "2", "fee": "0.1"}
    fill |= {"fee_currency": "BTC", "trade_id": "t"}
    claim = final(positions=[["v", "P", "1"]])
    assert (
        found(truth=[fact], journal=[record(1, "fill", {"client_id": "", "fill": fill})], claims=[claim])
        == []
    )
    cheaper = record(1, "fill", {"client_id": "", "fill": fill | {"fee": "0.2"}})
    assert found(truth=[fact], journal=[cheaper], claims=[claim]) == ["I3", "I11"]
    balances = {"balances": [["v", "BTC", "1"]], "venue_balances": [["v", "BTC", "2"]]}
    assert found(claims=[final(**balances)]) == ["I11"]


def test_i12_and_i17_are_what_the_world_saw() -> None:
    steady = {"ordinal": 0, "time_ns": 1, "what": "steady", "mode": "armed", "troubles": ["x is unknown"]}
    again = {"ordinal": 1, "time_ns": 2, "what": "again", "actions": ["Alert"], "changed": 0}
    assert found(claims=[steady, again]) == ["I12", "I17"]
    assert found(claims=[steady | {"troubles": []}, again | {"actions": []}]) == []
