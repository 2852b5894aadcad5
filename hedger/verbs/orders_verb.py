"""`hedger orders`, and what `hedger status --hedge` says of what comes next; both only read the journal."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from hedger.verbs.asking import summary_of
from hedger.verbs.printing import say, show_json
from pricing.errors import Exit, HedgerError, InputError

if TYPE_CHECKING:
    from hedger.core.order_life import OrderRecord
    from hedger.desk.follow import Follower
    from hedger.journal.recovery import Recovered

Json = dict[str, Any]


def orders(arguments: argparse.Namespace) -> Exit:
    """Orders that may still do something; --unknown those alone, --all every one ever intended."""
    from hedger.desk.order_rows import order_rows
    from hedger.journal.lock import holder
    from venues.orders import OrderState

    running = holder(arguments.journal) is not None
    recovered = summary_of(arguments.journal, running=running, whole=True)
    found = [
        order
        for order in recovered.orders.values()
        if (order.state is OrderState.UNKNOWN if arguments.unknown else arguments.all or not order.settled)
    ]
    at_ns = time.time_ns() if running else recovered.last_now_ns
    rows = order_rows(found, _market(arguments, found), at_ns)
    if arguments.json:
        show_json({"at_ns": at_ns, "orders": rows, **_fills(arguments, recovered, found)})
        return Exit.DONE
    for row in rows:
        say(_order_text(row))
    if not rows:
        say("no orders")
    return Exit.DONE


def _order_text(row: Json) -> str:
    from hedger.desk.hedging_text import ahead_words

    code = f" ({row['code']})" if row["code"] else ""
    return (
        f"{row['client_id']} {row['state']}{code}: {row['side']} {row['quantity']} {row['symbol']} on "
        f"{row['venue']} at {row['price']}, filled {row['filled']}, may still fill {row['reserved']}"
        f"{ahead_words(row)}"
    )


def _market(arguments: argparse.Namespace, orders: Iterable[OrderRecord]) -> Follower | None:
    """The market at the end of the journal, where an order rests in it; None where none does, or where its
    marks lie on a tape that is not named."""
    from hedger.desk.journal_end import market_at_end
    from hedger.desk.order_rows import rests
    from hedger.verbs.desk_verbs import fetch_of, opened

    if not any(map(rests, orders)):
        return None
    try:
        with opened(arguments.journal) as storage:
            return market_at_end(storage, fetch_of(arguments.tape))
    except InputError:
        if arguments.tape is not None:
            raise
        return None


def _fills(arguments: argparse.Namespace, recovered: Recovered, orders: Sequence[OrderRecord]) -> Json:
    """The fills of the orders, with --all every fill, and of all of them what the record says, by order."""
    from hedger.desk.lineage import lineages
    from hedger.journal.export import fill_row
    from hedger.verbs.desk_verbs import opened

    ids = {order.order.client_id: None for order in orders}
    fills = [fill_row(x) for x in recovered.fills if arguments.all or x.client_id in ids]
    ids |= {row["client_id"]: None for row in fills if row["client_id"]}
    with opened(arguments.journal) as storage:
        return {"fills": fills, "lineage": lineages(storage, ids, recovered.orders)}


def hedging(
    arguments: argparse.Namespace, recovered: Recovered, now_ns: int | None, *, latched: bool
) -> Json:
    """What comes next and why, as the dashboard's second panel shows it. now_ns: None where no engine runs.

    Raises:
        JournalDamaged: it cannot be read to its end. InputError: its marks lie on a tape that is not named.
    """
    from hedger.desk.decided import document_of, shortened
    from hedger.desk.decision_log import DecisionLog
    from hedger.desk.follow import Follower
    from hedger.desk.hedging import Hedging, hedging_document
    from hedger.desk.order_rows import order_rows
    from hedger.journal.entries import Kind
    from hedger.verbs.desk_verbs import fetch_of, opened, say_at_hand
    from hedger.verbs.reading import settings_of

    follower, log = Follower(settings_of(arguments), fetch_of(arguments.tape), depth=False), DecisionLog()
    with opened(arguments.journal) as storage:
        for record in storage.records():
            follower.take(record)
            if record.kind == Kind.DECISION:
                log.take(record.number, document_of(shortened(record)))
    say_at_hand(follower)
    snapshot, fault = None, ""
    try:
        snapshot = follower.snapshot(bands=True)
    except HedgerError as error:
        fault = error.text()
    at_ns = follower.now_ns if now_ns is None else now_ns
    live = [order for order in recovered.orders.values() if order.live]
    working = order_rows(live, follower, at_ns)
    return hedging_document(Hedging(log, snapshot, working, at_ns, follower.by_hand, latched, fault))
