"""A venue that does not let our key in any more: revoked, expired, or with fewer rights than it had.

Nobody but a person can mend that, and every further try looks like an attack there. So the engine halts:
nothing new is sent anywhere, since a hedge with one of its venues gone is not the one that was planned; what
rests is taken back by the venue's own dead man's switch. It goes on when a person arms it again.
"""

from __future__ import annotations

from hedger.core.actions import Severity
from hedger.core.events import Failed, Happening
from hedger.core.state import Mode
from hedger.core.turn import Turn
from venues.orders import OrderState, OrderUpdate, VenueStatus

#: As adapters say it: of a session, of an order that was rejected, and of a question.
KEY_REFUSED = "key_refused"


def watch_keys(turn: Turn, what: Happening) -> None:
    """Halt where this is what an event says."""
    told = _told(turn, what)
    if told is None:
        return
    venue, text = told
    if turn.state.mode.sends:
        turn.turn_to(Mode.HALTED, f"{venue} does not let our key in any more")
        text = f"{text}; nothing new is sent until the key is mended and a person arms the engine again"
        turn.alert(Severity.CRITICAL, "KEY_REFUSED", f"{venue}: {text}")


def _told(turn: Turn, what: Happening) -> tuple[str, str] | None:
    """The venue and its words; None: it is something else."""
    match what:
        case VenueStatus() if KEY_REFUSED in what.events:
            return what.venue, what.text or "the key is refused"
        case Failed() if what.code.lower() == KEY_REFUSED:
            return what.venue, what.text or "the key is refused"
        case OrderUpdate() if what.state is OrderState.REJECTED and what.code == KEY_REFUSED:
            record = turn.state.orders.get(what.client_id)
            return None if record is None else (record.venue, what.text or "an order was refused for the key")
        case _:
            return None
