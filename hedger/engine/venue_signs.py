"""What the sign of life says of venues: credits, the dead man's switch, the last word on the account.

The running engine alone knows these; the journal does not hold them, and nothing is decided by what is
written here.
"""

from __future__ import annotations

from collections.abc import Mapping

from hedger.core.state import VenueState
from hedger.engine.clock import Clock
from hedger.engine.heartbeat import VenueSign
from hedger.engine.router import Router, VenueLine
from venues.base import Paced


def signs_of(
    router: Router, lines: tuple[VenueLine, ...], venues: Mapping[str, VenueState], clock: Clock
) -> tuple[VenueSign, ...]:
    """One of each venue. venues: what the engine knows of them, by name."""
    credits, kept = router.credits, router.kept
    ahead_ns = clock.now_ns() - clock.monotonic_ns()
    found = []
    for line in lines:
        can, known = line.capabilities, venues.get(line.name, VenueState())
        paces = line.venue.paces if isinstance(line.venue, Paced) else {}
        found.append(
            VenueSign(
                venue=line.name,
                credits=float(credits[line.name]),
                burst=float(can.order_burst),
                per_s=float(can.order_rate),
                kept=float(kept[line.name]),
                paces=tuple((kind, float(left), float(of)) for kind, (left, of) in paces.items()),
                timer=can.has_dead_man,
                timer_s=None if can.timer_s is None else float(can.timer_s),
                armed=can.dead_man_s is not None,
                refreshed_ns=line.refreshed_ns,
                agreed_ns=None if known.reconciled_ns is None else known.reconciled_ns + ahead_ns,
                reconciled=reconciled(known),
            )
        )
    return tuple(found)


def reconciled(known: VenueState) -> str:
    """What came of the last question for the account; "" before the first answer.

    >>> reconciled(VenueState()), reconciled(VenueState(reconciled_ns=5)), reconciled(VenueState(drift=2))
    ('', 'agrees', 'differs')
    """
    if known.failures:
        return "no answer"
    if known.misdated:
        return "misdated"
    if known.frozen:
        return "frozen"
    if known.drift:
        return "differs"
    return "" if known.reconciled_ns is None else "agrees"
