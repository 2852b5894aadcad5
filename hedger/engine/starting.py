"""There is one start, and it is a recovery: from what the journal says to the engine's first state.

A journal without records is begun with what the engine runs with, the listings and the book. On any other
the book is what stood before the first fill and everything booked since; orders whose fate is not known are
on record as such and are asked after; nothing is sent before the venues' accounts agree and a person arms
the engine, and not while the kill latch is set.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from hedger.core.actions import AdjustmentKind
from hedger.core.adjusting import adjusted
from hedger.core.deliveries import with_settled
from hedger.core.order_life import OrderRecord
from hedger.core.state import Mode, Settled, State, frozen
from hedger.core.trades_seen import TradesSeen
from hedger.core.usage import counters_after, hedges_after, memory_after
from hedger.journal.entries import (
    Configuration,
    ModeChange,
    book_entry,
    configuration_entry,
    listings_entry,
    mode_entry,
)
from hedger.journal.journal import Journal
from hedger.journal.recovery import Recovered
from pricing.contracts import Listing
from pricing.daycount import NS_PER_DAY, NS_PER_SECOND
from pricing.errors import InputError
from pricing.universe import Universe
from risk.book import Book, PositionKey
from venues.orders import TradeReport

#: Orders that ended are kept so long over a restart, as in a running engine by default (`forget_s`).
RECENT_NS = 3600 * NS_PER_SECOND


def write_start(
    journal: Journal,
    found: Recovered,
    now_ns: int,
    configuration: Configuration,
    listings: Sequence[Listing],
    book: Book,
    *,
    latched: bool = False,
) -> None:
    """Note a start: with what and in which mode, on a new journal with the listings and the book as well,
    on another with the listings where a venue has other terms by now.

    Raises:
        InputError: the journal was begun on other listings.
        JournalUnwritable: it cannot be noted.
    """
    _refuse_other_market(found, configuration, listings)
    entries = [configuration_entry(found.last_seq, max(now_ns, found.last_now_ns), configuration)]
    if found.opening is None:
        entries.append(listings_entry(found.last_seq, now_ns, listings))
        entries.append(book_entry(found.last_seq, now_ns, book))
    elif tuple(listings) != found.relisted:  # other terms by now: what is decided from here on is in them
        entries.append(listings_entry(found.last_seq, max(now_ns, found.last_now_ns), listings))
    then = other_build(found, configuration.version)
    why = f"started; until then build {then} wrote this journal" if then else "started"
    mode = ModeChange(str(Mode.KILLED if latched else Mode.OBSERVE), False, configuration.user, why)
    entries.append(mode_entry(found.last_seq, max(now_ns, found.last_now_ns), mode))
    journal.append(*entries)


def other_build(found: Recovered, now: str) -> str:
    """The build that the journal was last started with, where that is not the one of now; else ""."""
    then = found.configuration
    return "" if then is None or then.version == now else then.version


def _refuse_other_market(found: Recovered, now: Configuration, listings: Sequence[Listing]) -> None:
    then = found.configuration
    observed = allowed = ""
    if then is not None and then.tape_sha256 != now.tape_sha256:
        observed, allowed = f"source {now.tape_sha256[:16]}", f"source {then.tape_sha256[:16]}"
    elif found.opening is not None and [x.key for x in found.listings] != [x.key for x in listings]:
        observed, allowed = f"{len(listings)} listings", f"the {len(found.listings)} of then"
    if observed:
        raise InputError(
            "JOURNAL_OTHER_MARKET",
            "the journal was begun on another market",
            observed=observed,
            allowed=allowed,
            not_done="nothing was started",
            fix="give the same market (the same --seed), or name another --journal",
        )


def first_state(
    found: Recovered,
    universe: Universe,
    opening: Book,
    venues: Collection[str],
    since_ns: int,
    *,
    latched: bool,
    now_ns: int = 0,
    monotonic_ns: int = 0,
) -> State:
    """The state before the first event of a start: it only looks, or is killed.

    Args:
        opening: the book of a journal without one. since_ns: the venue's time from which to ask for trades.
    """
    now_ns = max(now_ns, found.last_now_ns)
    trades = TradesSeen()
    for report in found.fills:
        # A stamp in the future, which is wrong, would have all the others forgotten.
        trades = trades.add(report.key, min(report.fill.time_ns, now_ns))
    today = any(report.fill.time_ns // NS_PER_DAY == now_ns // NS_PER_DAY for report in found.fills)
    book, settled = _folded(found, opening)
    return State.fresh(
        universe,
        book,
        dict.fromkeys(venues, since_ns),
        seq=found.last_seq,
        now_ns=now_ns,
        monotonic_ns=monotonic_ns,
        mode=Mode.KILLED if latched else Mode.OBSERVE,
        reason="the kill latch is set" if latched else "started",
        trades=trades,
        orders=frozen(orders_after(found, now_ns, monotonic_ns)),
        commands=found.commands,
        settled=frozen(settled),
        counters=counters_after(found.usage, today, now_ns),
        memory=replace(memory_after(found.usage), started_ns=now_ns),
        hedges=hedges_after(found.usage, now_ns, monotonic_ns),
        by_hand=found.by_hand,
    )


def orders_after(found: Recovered, now_ns: int, monotonic_ns: int) -> dict[str, OrderRecord]:
    """Orders from which something may still come, and those that ended lately: they count in the rate of
    messages, and nothing is decided twice. What ended counts as old as it is; what is open is looked after
    from now on."""
    kept = {}
    for client_id, record in found.orders.items():
        age_ns = max(now_ns - record.wall_ns, 0)
        if not record.settled:
            kept[client_id] = record
        elif age_ns < RECENT_NS:
            then_ns = monotonic_ns - age_ns
            kept[client_id] = replace(record, since_ns=then_ns, done_ns=then_ns)
    return kept


def booked_since(found: Recovered, opening: Book) -> Book:
    """The book: what stood before the first fill, and every fill and adjustment since, each once."""
    return _folded(found, opening)[0]


def _folded(found: Recovered, opening: Book) -> tuple[Book, dict[PositionKey, Settled]]:
    """The book, and what expired of late with what it was booked at."""
    book = opening if found.opening is None else found.opening
    listings = {listing.key: listing for listing in found.listings}
    settled: dict[PositionKey, Settled] = {}
    for word in found.ledger:
        if isinstance(word, TradeReport):
            book = book.apply(word.fill)
            continue
        key = (word.venue, word.symbol, word.account)
        if word.kind is AdjustmentKind.SETTLEMENT:
            settled = with_settled(settled, key, Settled(book.positions[key], word.price), found.last_now_ns)
        elif word.kind is AdjustmentKind.SETTLEMENT_CORRECTED and key in settled:
            settled[key] = replace(settled[key], price=word.price)
        book = adjusted(book, word, listings)
    return book, settled
