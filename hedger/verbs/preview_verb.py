"""`hedger preview`: ask a running engine what a hedge, or a flatten, would be now, and print its answer."""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING, Any

from hedger.verbs.asking import left, refusal, refuse_unknown_coin
from hedger.verbs.printing import show_json
from pricing.errors import Exit

if TYPE_CHECKING:
    from hedger.journal.sqlite import SqliteStorage


def preview(arguments: argparse.Namespace) -> Exit:
    """Leave the question, wait until it is answered, and print the ticket; nothing is sent."""
    from hedger.core.events import Verb
    from hedger.desk.decided import decision_on
    from hedger.journal.identity import Opened
    from hedger.verbs.journals import followed

    coin = arguments.argument or ""
    arguments.argument = f"{Verb.FLATTEN} {coin}".rstrip() if arguments.flatten else coin
    traded_usd, number = None, None
    opened = Opened(arguments.journal)
    with followed(arguments.journal, "no hedge was previewed") as storage:
        refuse_unknown_coin(storage, coin, "preview")
        first = storage.head().number + 1
        id, seq, decision = left(arguments, Verb.PREVIEW, storage, opened)
        shown = None if decision is None else decision.get("preview")
        if seq is not None and shown is not None:
            found = decision_on(storage, seq, first)
            number, traded_usd = None if found is None else found.number, _traded_usd(storage, shown)
    refused = refusal(decision, Verb.PREVIEW)
    document = {"command": "preview", "id": id, "taken": seq is not None, "seq": seq, "record": number}
    document |= {"mode": None if decision is None else decision.get("mode"), "refused": refused}
    document |= {"notional_usd": traded_usd, "preview": shown}
    if arguments.json:
        show_json(document)
    elif decision is not None and shown is not None and number is not None:
        from hedger.desk.preview_text import text
        from hedger.figures import age

        old = age((time.time_ns() - decision["now_ns"]) / 1e9)
        print(text(number, decision, "", old, traded_usd))
    elif refused is None:
        print(f"preview: sent to the engine, which has not answered it within {arguments.wait_s:g} s")
    if refused is not None:
        if not arguments.json:
            print(f"{refused['code']}: {refused['text']}", file=sys.stderr)
        return Exit.REFUSED
    return Exit.NEGATIVE if shown is None or shown["ticket"] is None else Exit.DONE


def _traded_usd(storage: SqliteStorage, shown: dict[str, Any]) -> float | None:
    """What the legs of a preview trade, by the listings of the journal; None where it is not known."""
    from hedger.desk.preview_text import legs_notional_usd
    from hedger.journal.codec import CodecError
    from hedger.verbs.journals import listed
    from pricing.universe import Universe

    legs = (shown["ticket"] or {}).get("legs", ())
    spot = {name: x for name, x in shown["indexes"] if x is not None}
    try:
        return legs_notional_usd(legs, Universe.of(listed(storage)), spot)
    except CodecError:
        return None
