"""`hedger orders`: what may still do something, and what came of it; it only reads the journal."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from hedger.verbs.journals import NOT_SHOWN, fetch_of, opened, whole_summary
from hedger.verbs.printing import say, show_json
from pricing.errors import Exit, InputError

if TYPE_CHECKING:
    from hedger.core.order_life import OrderRecord
    from hedger.desk.follow import Follower
    from hedger.journal.recovery import Recovered
    from hedger.journal.sqlite import SqliteStorage

Json = dict[str, Any]


def orders(arguments: argparse.Namespace) -> Exit:
    """Orders that may still do something; --unknown those alone, --all every one ever intended."""
    with opened(arguments.journal, NOT_SHOWN) as storage:
        document = _document(arguments, storage)
    if arguments.json:
        show_json(document)
        return Exit.DONE
    for row in document["orders"]:
        say(_order_text(row))
    if not document["orders"]:
        say("no orders")
    return Exit.DONE


def _document(arguments: argparse.Namespace, storage: SqliteStorage) -> Json:
    """It as JSON; fills and lineage, which the text does not show, where JSON is asked for."""
    from hedger.desk.order_rows import order_rows
    from hedger.journal.lock import holder
    from venues.orders import OrderState

    running = holder(arguments.journal) is not None
    recovered = whole_summary(storage, arguments.journal, running=running)
    found = [
        order
        for order in recovered.orders.values()
        if (order.state is OrderState.UNKNOWN if arguments.unknown else arguments.all or not order.settled)
    ]
    at_ns = time.time_ns() if running else recovered.last_now_ns
    rows = order_rows(found, _at_end(arguments, storage, found), at_ns)
    more = _fills(arguments, storage, recovered, found) if arguments.json else {}
    return {"at_ns": at_ns, "orders": rows, **more}


def _order_text(row: Json) -> str:
    from hedger.desk.hedging_text import ahead_words

    code = f" ({row['code']})" if row["code"] else ""
    return (
        f"{row['client_id']} {row['state']}{code}: {row['side']} {row['quantity']} {row['symbol']} on "
        f"{row['venue']} at {row['price']}, filled {row['filled']}, may still fill {row['reserved']}"
        f"{ahead_words(row)}"
    )


def _at_end(
    arguments: argparse.Namespace, storage: SqliteStorage, orders: Iterable[OrderRecord]
) -> Follower | None:
    """Who has followed the market to the end of the journal, where an order rests in it; None where none
    does, or where its marks lie on a tape that is not named."""
    from hedger.desk.journal_end import follower_at_end
    from hedger.desk.order_rows import rests

    if not any(map(rests, orders)):
        return None
    try:
        return follower_at_end(storage, fetch_of(arguments.tape))
    except InputError:
        if arguments.tape is not None:
            raise
        return None


def _fills(
    arguments: argparse.Namespace,
    storage: SqliteStorage,
    recovered: Recovered,
    orders: Sequence[OrderRecord],
) -> Json:
    """The fills of the orders, with --all every fill, and of all of them what the record says, by order."""
    from hedger.desk.lineage import lineages
    from hedger.journal.rows import fill_row

    ids = {order.order.client_id: None for order in orders}
    fills = [fill_row(x) for x in recovered.fills if arguments.all or x.client_id in ids]
    ids |= {row["client_id"]: None for row in fills if row["client_id"]}
    return {"fills": fills, "lineage": lineages(storage, ids, recovered.orders)}
