"""An account that is set up otherwise than we trade while the engine runs: told, frozen, and free again."""

from __future__ import annotations

from decimal import Decimal

from hedger.core.actions import Alert, Severity, Submit
from hedger.core.commands import why_not_arm
from hedger.core.events import Verb
from hedger.core.state import Mode
from tests.hedger.rig import VENUE, Rig

PERPETUAL = "BTC-PERPETUAL"
FAULT = f"isolated margin of {PERPETUAL}, which no balance shows: close it, or set it to cross"
#: Far outside any band.
OUTSIDE = {PERPETUAL: "5000000"}


def test_a_position_that_turns_isolated_freezes_its_venue_once_and_as_long_as_it_is() -> None:
    rig = Rig({PERPETUAL: "10000"}).armed()
    decision = rig.send(rig.report(faults=(FAULT,)), 5.0)
    (alert,) = [a for a in decision.actions if isinstance(a, Alert)]
    assert (alert.code, alert.severity) == ("ACCOUNT_MODE", Severity.CRITICAL)
    assert FAULT in alert.text and VENUE in alert.text
    assert not rig.state.venues[VENUE].takes_orders and rig.state.venues[VENUE].frozen == FAULT
    assert rig.send(rig.report(faults=(FAULT,)), 5.0).alerts == ()
    assert rig.state.mode is Mode.ARMED  # other venues are hedged on
    over = rig.send(rig.report(), 5.0)
    assert [a.code for a in over.alerts] == ["ACCOUNT_MODE_OVER"]
    assert rig.state.venues[VENUE].takes_orders


def test_nothing_is_sent_to_a_frozen_venue_and_it_is_why_one_is_not_armed() -> None:
    rig = Rig(OUTSIDE)
    rig.mark()
    rig.send(rig.report(faults=(FAULT,)))
    assert any(FAULT in why for why in why_not_arm(rig.state))
    rig.command(Verb.ARM)
    assert "ARM_REFUSED" in rig.alerts()
    rig = Rig(OUTSIDE)
    rig.mark()
    rig.send(rig.report())
    rig.send(rig.report(faults=(FAULT,)))
    rig.command(Verb.ARM)
    for _ in range(5):
        rig.mark(1.0)
    assert not [a for d in rig.decisions for a in d.actions if isinstance(a, Submit)]


def test_balances_are_not_compared_while_a_position_is_in_none_of_them() -> None:
    """What it has gained would look like drift, and halt the engine for what it was told of already."""
    rig = Rig({PERPETUAL: "10000"}).armed()
    wrong = {currency: amount + Decimal(5) for currency, amount in rig.balances().items()}
    for _ in range(3):
        rig.send(rig.report(faults=(FAULT,), balances=wrong), 5.0)
    assert rig.state.mode is Mode.ARMED and "DRIFT" not in rig.alerts()
    rig.send(rig.report(balances=wrong), 5.0)
    assert "DRIFT" in rig.alerts()


def test_a_kill_cancels_at_a_frozen_venue_too() -> None:
    rig = Rig({PERPETUAL: "10000"}).armed()
    rig.send(rig.report(faults=(FAULT,)), 5.0)
    decision = rig.command(Verb.KILL)
    assert any(type(a).__name__ == "CancelAll" for a in decision.actions)
