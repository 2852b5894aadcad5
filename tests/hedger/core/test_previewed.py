"""A hedge sent from its preview is what was previewed, or it is not sent."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hedger.core.decision import Decision, Ticket
from hedger.core.events import Verb
from hedger.settings import Settings
from tests.hedger.rig import Rig, desk, replayed

ROWS = {"BTC-PERPETUAL": "400000"}


def armed(settings: Settings | None = None) -> Rig:
    """One whose hedge is previewed, and which hedges nothing by itself meanwhile."""
    rig = Rig(ROWS, settings or desk())
    rig.answer(rig.mark())
    rig.command(Verb.ARM)
    return rig


def ticket_of(rig: Rig, scope: str = "BTC") -> Ticket:
    shown = rig.command(Verb.PREVIEW, scope).preview
    assert shown is not None and shown.ticket is not None and shown.ticket.legs
    return shown.ticket


def carrying(ticket: Ticket, scope: str = "BTC", less_usd: float = 0.0, side: str = "") -> str:
    """The argument of a hedge as if its preview had cost so much less, or had other sides."""
    legs = [[leg.venue, leg.symbol, side or leg.side] for leg in ticket.legs]
    return f"{scope} {json.dumps({'cost_usd': ticket.cost_usd - less_usd, 'legs': legs})}"


def refusal(decision: Decision) -> str:
    """What it says of a hedge that it refuses; nothing else may have come of it."""
    (alert,) = [a for a in decision.alerts if a.code == "HEDGE_REFUSED"]
    assert not decision.orders and decision.ticket is None and alert.text in decision.reason
    return alert.text


@pytest.mark.parametrize("scope", ["BTC", ""])
def test_what_was_previewed_is_sent(scope: str) -> None:
    rig = armed()
    ticket = ticket_of(rig, scope)
    sent = rig.command(Verb.HEDGE, carrying(ticket, scope))
    assert sent.orders and sent.ticket == ticket and "HEDGE_REFUSED" not in rig.alerts()


def test_a_hedge_that_has_become_dearer_is_not_sent_and_its_new_preview_is_told() -> None:
    """With no index moved: its spread is 25 times as wide. The figures are those of the tickets."""
    rig = armed()
    before = ticket_of(rig)
    marks = rig.market.marks()
    half = 0.5 * (marks.ask - marks.bid)
    middle = 0.5 * (marks.ask + marks.bid)
    rig.command(Verb.PAUSE)
    rig.mark(bid=middle - 25.0 * half, ask=middle + 25.0 * half, depth={})
    rig.command(Verb.RESUME)
    assert rig.state.execution is None
    refused = rig.command(Verb.HEDGE, carrying(before))
    text, shown = refusal(refused), refused.preview
    assert shown is not None and shown.ticket is not None and shown.scope == "BTC"
    rise = shown.ticket.cost_usd - before.cost_usd
    assert rise > max(50.0, 0.25 * before.cost_usd)
    assert f"{shown.ticket.cost_usd:.2f} USD by now, {rise:.2f} more" in text
    assert f"the {before.cost_usd:.2f} previewed; at most 50 USD or 25 % more" in text
    assert rig.state.asked_for == "" and rig.state.execution is None and not rig.submits()
    sent = rig.command(Verb.HEDGE, carrying(shown.ticket))  # what it has become is agreed to
    assert sent.orders and sent.ticket is not None and sent.ticket.cost_usd == shown.ticket.cost_usd


@pytest.mark.parametrize(
    ("share", "usd", "less_usd", "sent"),
    [(0.0, 9.0, 8.0, True), (0.0, 7.0, 8.0, False), (100.0, 7.0, 8.0, True), (0.0, 0.0, 0.0, True)],
)
def test_it_is_refused_only_beyond_the_share_and_the_sum_alike(
    share: float, usd: float, less_usd: float, sent: bool
) -> None:
    """The ticket costs what it costs; the command says that it was so much less."""
    rig = armed(desk(preview_cost_share_max=share, preview_cost_usd_max=usd))
    done = rig.command(Verb.HEDGE, carrying(ticket_of(rig), less_usd=less_usd))
    assert bool(done.orders) == sent
    if not sent:
        assert f"at most {usd:g} USD or {100 * share:g} % more" in refusal(done)


def test_a_listing_is_not_traded_on_the_other_side_than_previewed() -> None:
    rig = armed()
    ticket = ticket_of(rig)
    (leg,) = ticket.legs
    other = {"buy": "sell", "sell": "buy"}[leg.side]
    text = refusal(rig.command(Verb.HEDGE, carrying(ticket, side=other)))
    assert f"it would {leg.side} {leg.symbol} on {leg.venue}, and was previewed to {other} it" in text


def test_a_hedge_without_a_preview_carries_none_and_costs_what_it_costs() -> None:
    rig = armed(desk(preview_cost_share_max=0.0, preview_cost_usd_max=0.0))
    assert rig.command(Verb.HEDGE, "BTC").orders and rig.state.previewed is None


def test_what_one_hedge_carried_does_not_hold_the_next() -> None:
    rig = armed()
    ticket = ticket_of(rig)
    refusal(rig.command(Verb.HEDGE, carrying(ticket, less_usd=1e6)))
    assert rig.command(Verb.HEDGE, "BTC").orders


@pytest.mark.parametrize(
    "carried",
    [
        "{",
        "{}",
        '{"cost_usd": "much", "legs": []}',
        '{"cost_usd": NaN, "legs": []}',
        '{"cost_usd": null, "legs": []}',
        '{"cost_usd": 1, "legs": {}}',
        '{"cost_usd": 1, "legs": [["v", "s", "up"]]}',
        '{"cost_usd": 1, "legs": [["v", "s"]]}',
        '{"cost_usd": 1, "legs": [["v", 1, "buy"]]}',
        '{"cost_usd": 1' + 400 * "0" + ', "legs": []}',
        '{"a":' * 3000,
    ],
)
def test_what_cannot_be_read_sends_nothing(carried: str) -> None:
    rig = armed()
    assert "what was previewed cannot be read" in refusal(rig.command(Verb.HEDGE, f"BTC {carried}"))
    assert rig.state.asked_for == ""


def test_a_refusal_is_decided_again_alike() -> None:
    rig = Rig(ROWS, desk())
    first = rig.state
    rig.answer(rig.mark())
    rig.command(Verb.ARM)
    rig.command(Verb.HEDGE, carrying(ticket_of(rig), less_usd=1e6))
    assert replayed(rig, first) == [decision.digest for decision in rig.decisions]


def test_codes_by_which_a_command_is_refused() -> None:
    assert Verb.HEDGE.refusals == ("BUILD_REFUSED", "COMMAND_LATE", "HEDGE_REFUSED")
    rig = Rig(ROWS, desk())
    refused: Any = rig.command(Verb.REDUCE)  # before any mark
    assert [a.code for a in refused.alerts] == ["ARM_REFUSED"] == [Verb.REDUCE.refusals[1]]
