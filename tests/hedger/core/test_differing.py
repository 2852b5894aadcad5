"""What an account differs in is a question: whoever asks it decides what follows."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from hedger.core.differing import cash_differences, position_differences
from hedger.core.events import Event
from hedger.core.turn import Turn
from tests.hedger.rig import VENUE, Rig
from venues.orders import AccountReport

D = Decimal


def asked(rig: Rig, report: AccountReport) -> Turn:
    return Turn(rig.state, rig.settings, Event(rig.seq + 1, rig.now_ns, rig.state.monotonic_ns, report))


def test_the_comparison_says_both_kinds_of_difference_and_changes_nothing() -> None:
    rig = Rig({})
    rig.state = replace(rig.state, book=rig.state.book.pay(VENUE, "", "OKB", D(-2)))
    rig.mark(1.0)
    report = rig.report(balances={**rig.balances(), "OKB": D("1.75"), "BTC": D(3)}, positions={"X": D(1)})
    turn = asked(rig, report)
    before = turn.state
    found = cash_differences(turn, report)
    assert found is not None
    assert found.drift == (("BTC", D("3.0")),) and found.unindexed == (("OKB", D("-0.25")),)
    assert position_differences(turn, report) == (("X", D(1)),)
    assert turn.state is before and not turn.actions and not turn.reasons


def test_without_a_mark_no_balance_is_compared() -> None:
    rig = Rig({})
    report = rig.report(balances={"BTC": D(3)})
    assert cash_differences(asked(rig, report), report) is None
