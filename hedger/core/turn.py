"""One turn of the engine in the making: the state as it changes while an event is worked through, and what
the decision will say. It lives inside one call of `decide`; nothing of it is seen outside."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from hedger.core.actions import Action, Adjustment, Alert, AskAccount, AskOrder, Cancel, CancelAll, Severity
from hedger.core.decision import Decision, Preview, Ticket, Verdict
from hedger.core.events import Event
from hedger.core.gate import EngineSettings
from hedger.core.glance import Glance
from hedger.core.order_life import OrderRecord, concerned
from hedger.core.state import Mode, State, nothing
from hedger.core.verification import Verification
from hedger.planning import HedgePlan
from hedger.sections.execution import ns
from risk.book import Fill

#: Seconds by which a venue's clock may have been set back when executions that it owes are looked for.
CLOCK_BACK_S = 600.0


@dataclass(slots=True, eq=False)
class Turn:
    """The state so far, and what is to be done. why: what keeps rows that are out from being hedged, where
    that was asked; shown: the scope of the preview asked for, None: of none."""

    state: State
    settings: EngineSettings
    event: Event
    actions: list[Action] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    adjustments: list[Adjustment] = field(default_factory=list)
    booked: list[Fill] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    trigger: str = ""
    due: bool = False
    why: str = ""
    ticket: Ticket | None = None
    plan: HedgePlan | None = None
    verification: Verification | None = None
    shown: str | None = None
    preview: Preview | None = None

    @property
    def now(self) -> int:
        """The monotonic clock."""
        return self.event.monotonic_ns

    def alert(self, severity: Severity, code: str, text: str) -> None:
        """Tell a person."""
        self.actions.append(Alert(severity, code, text))

    def note(self, text: str) -> None:
        """Add to the decision's reason."""
        if text not in self.reasons:
            self.reasons.append(text)

    def turn_to(self, mode: Mode, reason: str) -> None:
        """Change the mode; what is in work notices by itself."""
        if mode is not self.state.mode:
            self.state = self.state.turned(mode, reason)
            self.note(f"{mode}: {reason}")

    def ask_order(self, record: OrderRecord) -> None:
        """Ask after an order, and note when."""
        for each in concerned(self.state.orders, record.order.sent_as):
            if each.live or each is record:  # one question for all legs of a combo
                self.state = self.state.with_order(_asked(each, self.now))
        self.actions.append(AskOrder(record.venue, record.order.sent_as))

    def cancel(self, record: OrderRecord) -> None:
        """Ask for a cancel, and note when."""
        self.state = self.state.with_order(_cancelled(record, self.now))
        self.actions.append(Cancel(record.venue, record.order.sent_as))

    def cancel_unknown(self, venue: str, client_id: str) -> None:
        """Ask for the cancel of an order that may not be on record."""
        record = self.state.orders.get(client_id)
        if record is not None:
            self.cancel(record)
        elif Cancel(venue, client_id) not in self.actions:
            self.actions.append(Cancel(venue, client_id))

    def cancel_each(self, client_ids: Iterable[str]) -> None:
        """Ask for several."""
        for client_id in client_ids:
            self.cancel(self.state.orders[client_id])

    def cancel_all(self, venue: str) -> None:
        """The venue's mass cancel."""
        self.state = self.state.with_venue(venue, cancel_all_ns=self.now)
        self.actions.append(CancelAll(venue))

    def ask_account(self, venue: str) -> None:
        """Ask for the account, with the trades since a while before the last report; once a turn.

        Where executions of an order are owed that filled, as the venue says, from well before the order: the
        venue's clock may have been set back since its last report, even to before our start.
        """
        known = self.state.venues[venue]
        overlap = ns(self.settings.desk.execution.reconcile.overlap_s)
        since = max(known.since_ns, known.venue_ns - overlap)
        owing = [r.wall_ns for r in self.state.orders.values() if r.venue == venue and r.least > r.booked]
        if owing:
            since = min(since, min(owing) - max(overlap, ns(CLOCK_BACK_S)))
        if not any(isinstance(a, AskAccount) and a.venue == venue for a in self.actions):
            self.actions.append(AskAccount(venue, since))
        traded = nothing() if known.traded is None else known.traded
        self.state = self.state.with_venue(venue, asked_ns=self.now, traded=traded)

    def ask_account_soon(self, venue: str) -> None:
        """Bring the next question forward."""
        known = self.state.venues.get(venue)
        if known is None:
            return
        soon = self.now + ns(self.settings.desk.execution.reconcile.soon_s)
        self.state = self.state.with_venue(venue, next_ns=min(known.next_ns, soon))

    def decision(self) -> Decision:
        """What came of it."""
        state = self.state
        exposures: tuple[tuple[str, float], ...] = ()
        breached: tuple[str, ...] = ()
        value = state.value
        seen = state.seen
        if isinstance(seen, Glance) and seen.inside and state.moved is None:
            exposures = tuple(zip(seen.rows, seen.value.tolist(), strict=True))
        elif seen is not None and value is not None:
            rows = seen.rows if isinstance(seen, Glance) else seen.exposure.rows
            exposures = tuple(zip(rows, value.tolist(), strict=True))
            out = seen.breached(value) if isinstance(seen, Glance) else seen.bands.breached(value)
            breached = tuple(rows[i] for i in np.flatnonzero(out).tolist())
        made: dict[str, Any] = dict(
            seq=self.event.seq,
            now_ns=self.event.now_ns,
            mode=state.acting,
            paused=state.paused,
            exposures=exposures,
            breached=breached,
            trigger=self.trigger,
            due=self.due,
            ticket=self.ticket,
            verdicts=tuple(self.verdicts),
            actions=tuple(self.actions),
            adjustments=tuple(self.adjustments),
            verification=self.verification,
            reason="; ".join(self.reasons),
            preview=self.preview,
            plan=self.plan,
        )
        return Decision(**made, digest=Decision(**made).made_digest())


def _asked(record: OrderRecord, now: int) -> OrderRecord:
    return replace(record, asked_ns=now, asks=record.asks + 1)


def _cancelled(record: OrderRecord, now: int) -> OrderRecord:
    return replace(record, cancel_ns=now)
