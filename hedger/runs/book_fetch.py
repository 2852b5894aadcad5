"""`hedger book fetch`: what a venue says that we hold, as a book file. It asks, and sends nothing else.

No stream of the account is joined: none is needed, and where the venue's dead man's switch hangs on them, one
that comes and goes might fire it.
"""

from __future__ import annotations

import asyncio
import csv
import io
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hedger.documents import plain
from hedger.runs.venue_market import in_time, venue_config
from hedger.runs.venue_setup import adapter
from hedger.sections.venues import VenueName
from hedger.settings import Settings
from pricing.contracts import Listing
from pricing.daycount import iso
from pricing.errors import InputError
from venues.errors import Unreachable
from venues.orders import AccountReport

_HEADER = ("venue", "symbol", "quantity", "average_price", "account")


async def ask(settings: Settings, name: VenueName) -> tuple[AccountReport, tuple[Listing, ...]]:
    """One account as its venue reports it, and what is listed there.

    Raises:
        InputError: the keys cannot be read, or there are none. VenueError: the venue does not answer.
    """
    config = venue_config(settings, name, keys=True)
    if not config.keyed:
        raise InputError(
            "VENUE_KEYS",
            "an account cannot be read without a key",
            where=f"venues.{name}",
            observed="no key",
            allowed="references to a key that may read the account",
            not_done="nothing was asked",
            fix="name them as env:NAME, file:PATH or keyring:SERVICE/USER",
        )
    venue = adapter(name, config, start_s_max=settings.run.start_s_max)
    try:
        await in_time(venue.start_to_ask(), settings.run.start_s_max, name)
        # Of executions nothing is asked: a book has none, and some venues tell them symbol by symbol.
        return await venue.account(None), tuple(venue.known.values())
    finally:
        await venue.close()


def fetch(settings: Settings, name: VenueName, out: Path) -> dict[str, Any]:
    """Write the account's positions and balances as a book file; the document. Flat ones are left out.

    Raises:
        InputError: the place is taken or cannot be written, or the keys cannot be used.
        VenueError: the venue does not say: nothing is written then.
    """
    if os.path.lexists(out):
        _refuse(out, "the place to write is taken", "a new name")
    report, listings = asyncio.run(ask(settings, name))
    active = {listing.symbol for listing in listings}
    rows = _rows(report)
    if not rows:
        raise Unreachable(
            "ACCOUNT_EMPTY",
            "the account holds nothing",
            where=name,
            allowed="at least one position or balance",
            not_done="no book was written",
            fix="see whether the key is of the right account",
        )
    _write(out, _text(rows))
    return {
        "book": str(out),
        "venue": name,
        "account": report.account,
        "as_of": iso(report.venue_ns),
        "positions": sum(bool(quantity) for quantity in report.positions.values()),
        "balances": sum(bool(amount) for amount in report.balances.values()),
        "open_orders": sum(not order.state.terminal for order in report.orders),
        "not_listed": sorted(s for s, quantity in report.positions.items() if quantity and s not in active),
    }


def _rows(report: AccountReport) -> list[tuple[str, str, str, str, str]]:
    """Balances first; quantities in the unit of the venue's order form, exact."""
    return [
        (report.venue, symbol, plain(amount), "", report.account)
        for held in (report.balances, report.positions)
        for symbol, amount in sorted(held.items())
        if amount
    ]


def _text(rows: Iterable[tuple[str, ...]]) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_HEADER)
    writer.writerows(rows)
    return text.getvalue()


def _write(out: Path, text: str) -> None:
    """Whole or not at all, readable by its owner alone: what a desk holds is nobody else's business."""
    new = out.with_name(f".{out.name}.new")
    try:
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        new.rename(out)
    except OSError as error:
        _refuse(out, "the book cannot be written", "a folder with rights and space", error.strerror or "")


def _refuse(out: Path, what: str, allowed: str, observed: str = "") -> None:
    raise InputError(
        "BOOK_OUT",
        what,
        where=str(out),
        observed=observed or None,
        allowed=allowed,
        not_done="no book was written",
        fix="choose another --out",
    )
