"""A preview says what a hedge would begin with, and leaves nothing behind."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from hedger.core.actions import Alert
from hedger.core.events import Verb
from hedger.core.gate import Denied, Then
from hedger.settings import Settings
from tests.hedger.rig import Rig, desk, free

ROWS = {"BTC-PERPETUAL": "400000"}


def settled(settings: Settings, gate: Any = free) -> Rig:
    """Marked, and the account agrees with the book; not armed."""
    rig = Rig(ROWS, settings, gate)
    rig.answer(rig.mark())
    return rig


def test_a_preview_is_the_ticket_that_a_hedge_asked_for_next_begins_with() -> None:
    rig = settled(desk())
    shown = rig.command(Verb.PREVIEW, "BTC").preview
    rig.command(Verb.ARM)
    hedged = rig.command(Verb.HEDGE, "BTC")
    assert shown is not None and shown.ticket is not None and shown.ticket.legs
    assert hedged.ticket == shown.ticket
    assert len(hedged.orders) == len(shown.verdicts) == 1


def test_a_preview_before_arming_shows_the_hedge_and_says_that_nothing_would_leave() -> None:
    rig = settled(desk())
    seen = rig.command(Verb.PREVIEW, "")
    shown = seen.preview
    assert shown is not None and shown.ticket is not None and shown.ticket.legs
    assert shown.against == "the engine only observes"
    assert [v.code for v in shown.verdicts] == [""]
    assert not seen.orders and seen.ticket is None and not seen.quiet
    assert not rig.submits()
    assert dict(shown.indexes)["BTC"] > 0.0


def test_it_leaves_nothing_behind_but_that_it_was_asked() -> None:
    rig = settled(desk())
    before = rig.state
    seen = rig.command(Verb.PREVIEW, "")
    assert seen.preview is not None and seen.preview.ticket is not None
    for field in fields(before):
        if field.name not in ("seq", "commands"):
            was, now = getattr(before, field.name), getattr(rig.state, field.name)
            assert now is was or now == was, field.name
    assert len(rig.state.commands) == len(before.commands) + 1


def test_a_flatten_is_previewed_and_is_what_a_flatten_asked_for_next_begins_with() -> None:
    rig = settled(desk())
    rig.command(Verb.ARM)
    rig.command(Verb.PAUSE)
    before, legs = rig.state, None
    for argument in ("flatten", "flatten BTC"):
        seen = rig.command(Verb.PREVIEW, argument)
        shown = seen.preview
        assert shown is not None and shown.ticket is not None and shown.ticket.legs
        assert shown.scope == argument and len(shown.verdicts) == 1
        for field in fields(before):
            if field.name not in ("seq", "commands"):
                was, now = getattr(before, field.name), getattr(rig.state, field.name)
                assert now is was or now == was, field.name
        assert not seen.orders and shown.against == "the engine is paused"
        (after,) = (x for row, x in shown.ticket.after if row == "delta:BTC")
        assert after is not None
        assert abs(after) < 0.002  # coins: the perpetual's lot of 10 USD, and the drift that is borne
        legs = shown.ticket.legs
    rig.command(Verb.RESUME)
    flattened = rig.command(Verb.FLATTEN, "BTC")
    assert flattened.ticket is not None and flattened.ticket.legs == legs and len(flattened.orders) == 1


def test_what_cannot_be_shown_says_why() -> None:
    early = Rig(ROWS, desk()).command(Verb.PREVIEW, "").preview
    assert early is not None and early.ticket is None and "no mark" in early.against
    rig = Rig(ROWS, desk())
    rig.mark()
    other = rig.command(Verb.PREVIEW, "DOGE").preview
    assert other is not None and other.ticket is None and "'DOGE' is none of BTC" in other.against
    flat = rig.command(Verb.PREVIEW, "flatten DOGE").preview
    assert flat is not None and flat.ticket is None and "'DOGE' is none of BTC" in flat.against


def test_the_limits_are_asked_and_a_refusal_pauses_nothing() -> None:
    def never(order: object, situation: object) -> Denied:
        return Denied("NO", "NO: not today", Then.PAUSE)

    rig = settled(desk(), never)
    seen = rig.command(Verb.PREVIEW, "BTC")
    assert seen.preview is not None and [v.code for v in seen.preview.verdicts] == ["NO"]
    assert not rig.state.paused and not [a for a in seen.actions if isinstance(a, Alert)]


def test_the_document_has_a_preview_only_where_one_was_asked_for() -> None:
    rig = Rig(ROWS, desk(), free)
    assert "preview" not in rig.mark().document()
    seen = rig.command(Verb.PREVIEW, "BTC")
    assert seen.document()["preview"]["scope"] == "BTC"
    assert seen.digest == seen.made_digest()


def test_a_flatten_asked_for_right_after_a_hedge_does_not_wait_for_the_next_mark() -> None:
    """The hedge's last fill is later than the marks that the book stands on; no cooldown is in force."""
    rig = settled(desk())
    rig.command(Verb.ARM)
    due = rig.mark(0.5)
    rig.now_ns += 300_000_000  # so long the venue took
    rig.answer(due)
    assert rig.state.execution is None and rig.submits()
    shown = rig.command(Verb.PREVIEW, "flatten BTC").preview
    assert shown is not None and shown.ticket is not None and shown.ticket.legs
    begun = rig.command(Verb.FLATTEN, "BTC")
    assert begun.ticket == shown.ticket and begun.orders
    assert "FLATTEN_INCOMPLETE" not in rig.alerts()
