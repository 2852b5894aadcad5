"""How far a venue's stamps are believed: no stamp, wrong or forged, may switch a comparison off.

An execution that is told while an account report is on its way may or may not be in that report. Whether it
can be missing there is first of all a matter of our own monotonic clock: a report is on its way for some
seconds at most. Within these an execution that the venue stamps after the report explains as much as it
traded, and no more; and then the account is asked for again soon.

A stamp that is further from our clock than `stamp_s_max` is wrong, or ours is. A report with such a stamp is
not taken: nobody knows what time it shows, and the next question would look for executions from there on. It
is a question that failed, not an account without positions. An execution is booked all the same, since it
happened, and told.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from hedger.core.actions import Severity
from hedger.core.gate import EngineSettings
from hedger.core.order_life import ZERO
from hedger.core.state import Booked, frozen, with_traded
from hedger.core.turn import Turn
from hedger.sections.execution import ns
from pricing.daycount import NS_PER_SECOND, iso
from risk.book import Fill
from venues.orders import AccountReport

#: A question for an account without an answer is asked again after so many times `answer_s_max`: no report is
#: on its way for longer.
ACCOUNT_PATIENCE = 5


def note_booked(turn: Turn, fill: Fill) -> None:
    """Remember an execution for as long as a report may be on its way that does not have it."""
    state, allowed_ns = turn.state, ns(turn.settings.desk.execution.reconcile.stamp_s_max)
    ahead_ns = fill.time_ns - turn.event.now_ns
    if ahead_ns > allowed_ns:
        text = (
            f"{fill.listing.venue} stamps trade {fill.trade_id} of {fill.listing.symbol} "
            f"{ahead_ns / NS_PER_SECOND:.0f} s ahead of our clock: booked, and the stamp is not believed"
        )
        turn.alert(Severity.WARNING, "TRADE_MISDATED", text)
    key = (fill.listing.venue, fill.listing.symbol)
    stamp_ns = min(fill.time_ns, turn.event.now_ns + allowed_ns)
    kept = tuple(one for one in state.booked if turn.now - one.at_ns <= on_its_way_ns(turn.settings))
    new = Booked(key[0], fill.account, key[1], fill.time_ns, turn.now, fill.signed)
    turn.state = replace(
        state,
        touched=frozen({**state.touched, key: max(state.touched.get(key, 0), stamp_ns)}),
        booked=(*kept, new),
    )
    _note_traded(turn, fill)


def _note_traded(turn: Turn, fill: Fill) -> None:
    """Remember an execution until a report has come that was asked for after it: before that, what the venue
    says of the margin may be without it."""
    venue = fill.listing.venue
    known = turn.state.venues.get(venue)
    if known is None or fill.account != turn.settings.accounts.get(venue, ""):
        return
    turn.state = turn.state.with_venue(
        venue,
        traded=None if known.traded is None else with_traded(known.traded, fill, True),
        reported=None if known.reported is None else known.reported.with_fill(fill),
    )


def on_its_way_ns(settings: EngineSettings) -> int:
    """For how long a report may be on its way."""
    return ACCOUNT_PATIENCE * ns(settings.desk.execution.watch.answer_s_max)


def perhaps_missing(turn: Turn, report: AccountReport) -> dict[str, tuple[Decimal, Decimal]]:
    """By symbol, what executions may have bought and sold that are booked here and not yet in the report,
    order units, both unsigned."""
    found: dict[str, tuple[Decimal, Decimal]] = {}
    for one in turn.state.booked:
        late = one.stamp_ns >= report.venue_ns and turn.now - one.at_ns <= on_its_way_ns(turn.settings)
        if late and (one.venue, one.account) == (report.venue, report.account):
            bought, sold = found.get(one.symbol, (ZERO, ZERO))
            found[one.symbol] = (bought + max(one.signed, ZERO), sold + max(-one.signed, ZERO))
    return found


def misdated(turn: Turn, report: AccountReport) -> str:
    """Why a report is not taken for its stamp; "" where it is."""
    off_ns = report.venue_ns - turn.event.now_ns
    if abs(off_ns) <= ns(turn.settings.desk.execution.reconcile.stamp_s_max):
        return ""
    off = f"{off_ns / NS_PER_SECOND:+z.0f} s from our clock"
    return f"{report.venue} stamps its account {iso(report.venue_ns)}, {off}"
