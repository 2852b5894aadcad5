"""A journal that is not the last word: the venues show orders of ours that it has not decided yet.

Every order's intent is durable in the journal before it leaves, so an order with our own tag and a number
above the journal's last can only be of a later state of the same journal: the file was set back to a copy
(a backup, the snapshot of a machine), or an engine runs on another copy of it. Its fills are in no book of
ours, and the ids that are given next may be those of orders that were there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from hedger.journal.recovery import Recovered
from pricing.errors import Exit, HedgerError, named
from venues.orders import AccountReport, parse_client_id

#: Numbers go on so far above the highest that is seen: what ended without a fill is not shown any more. An
#: engine that decides a thousand times a second takes eleven days for as many.
STRIDE = 10**9
NAMED_MAX = 3


class JournalBehind(HedgerError):
    """The accounts know more of this engine than its journal (exit 5)."""

    exit_code = Exit.UNRECONCILED


def go_on_from(found: Recovered, reports: Sequence[AccountReport], accept: bool) -> int:
    """The number of the last event before a start: the journal's, or with a person's word one above all that
    the accounts show.

    Raises:
        JournalBehind: they show later orders of ours, and nobody has accepted that.
    """
    later = {client_id: seq for client_id, seq in _own(reports, found.name.engine) if seq > found.last_seq}
    if not later:
        return found.last_seq
    if accept:
        return max(later.values()) + STRIDE
    last_first = sorted(later, key=lambda client_id: later[client_id], reverse=True)
    raise JournalBehind(
        "JOURNAL_BEHIND",
        "the venues show orders of this journal's engine that it does not know",
        where="the venues' accounts, by the numbers in order ids",
        observed=named(last_first, NAMED_MAX),
        allowed=f"none above {found.last_seq}, the last event of the journal",
        not_done="nothing was started, nothing was sent",
        fix="the file was set back to an older copy, or an engine runs on another one: end that, and start "
        "on the latest file; where it is lost, cancel the orders at the venue, and start with --accept "
        "--reason TEXT: the venues' word is taken for what differs, and numbers go on above these",
    )


def _own(reports: Iterable[AccountReport], tag: str) -> Iterator[tuple[str, int]]:
    """Ids with a tag, of open orders and of executions, and their numbers."""
    for report in reports:
        for client_id in (*(x.client_id for x in report.orders), *(x.client_id for x in report.trades)):
            known = parse_client_id(client_id)
            if known is not None and known[0] == tag:
                yield client_id, known[1]
