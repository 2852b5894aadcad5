"""What a venue lists otherwise than when the engine was begun.

Another tick, lot or smallest order is taken up: the next plan is in it. Another contract under the same name
is none that the book could hold or the plan mean: both of its sides are left out of plans until the engine is
begun anew. What is not listed any more is left out for as long. What rests on either is cancelled.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from hedger.core.actions import Severity
from hedger.core.execution import planned_again
from hedger.core.state import State
from hedger.core.turn import Turn
from pricing.contracts import Listing
from pricing.universe import Universe
from venues.orders import VenueStatus

#: So many symbols are named in one alert.
NAMED_MAX = 5


def on_listed(turn: Turn, status: VenueStatus) -> None:
    """Take in what a venue lists otherwise, and tell of it."""
    known, universe, venue = turn.state.venues[status.venue], turn.state.market.universe, status.venue
    altered, terms = dict(known.altered), dict[int, Listing]()
    for listing in status.relisted or ():
        row = universe.positions.get(listing.key)
        if row is None:
            continue
        ours = universe.listings[row]
        altered.pop(listing.symbol, None)
        if (ours.contract, ours.size) != (listing.contract, listing.size):
            altered[listing.symbol] = _otherwise(ours, listing)
        elif (new := replace(listing, fees=ours.fees)) != ours:
            terms[row] = new
    gone = known.gone
    if status.gone is not None:
        gone = frozenset(symbol for symbol in status.gone if (venue, symbol) in universe.positions)
    before = known.altered, known.gone
    turn.state = turn.state.with_venue(venue, altered=tuple(sorted(altered.items())), gone=gone)
    _tell(turn, venue, before)
    if terms:
        _take_up(turn, venue, terms)


def _otherwise(ours: Listing, listing: Listing) -> str:
    if ours.contract == listing.contract:
        return f"one of its units is {listing.size} by now, not {ours.size}"
    return f"it is {listing.contract} by now, not {ours.contract}"


def _take_up(turn: Turn, venue: str, terms: dict[int, Listing]) -> None:
    """The market with the listings as they are now; rows stay where they are."""
    market = turn.state.market
    old = market.universe.listings
    new = Universe.of(terms.get(row, listing) for row, listing in enumerate(old))
    turn.state = replace(turn.state, market=replace(market, universe=new))
    words = [
        f"{x.symbol} (ticks {x.tick_steps}, lots of {x.lot}, at least {x.minimum})" for x in terms.values()
    ]
    turn.alert(Severity.NOTE, "LISTING_TERMS", f"{venue} trades in other steps: {_named(words)}: taken up")


def _tell(turn: Turn, venue: str, before: tuple[tuple[tuple[str, str], ...], frozenset[str]]) -> None:
    """Tell of what is left out from now on, and end what rests or works there."""
    now = turn.state.venues[venue]
    altered = [f"{symbol}: {why}" for symbol, why in now.altered if (symbol, why) not in before[0]]
    gone = sorted(now.gone - before[1])
    if altered:
        text = f"{venue} lists another contract under the same name: {_named(altered)}"
        turn.alert(Severity.CRITICAL, "LISTING_CHANGED", f"{text}; left out until the engine is begun anew")
    if gone:
        text = f"{venue} does not list {_named(gone)} any more"
        turn.alert(Severity.WARNING, "LISTING_CHANGED", f"{text}; left out until it does")
    if back := sorted(before[1] - now.gone):
        turn.note(f"{venue} lists {_named(back)} again")
    if not (altered or gone):
        return
    out = dict(left_out(turn.state))
    for record in list(turn.state.live_orders(venue)):
        if record.order.listing.key in out and record.cancel_ns is None:
            turn.cancel(record)
    execution = turn.state.execution
    if execution is None or execution.unwinding:
        return
    if any(leg.listing.key in out for leg in execution.legs):
        why = f"{venue} has changed what it lists"
        again = planned_again(execution, why, turn.settings.desk.execution)
        turn.state = replace(turn.state, execution=again)


def _named(words: Iterable[str]) -> str:
    told = list(words)
    more = f" and {len(told) - NAMED_MAX} more" if len(told) > NAMED_MAX else ""
    return ", ".join(told[:NAMED_MAX]) + more


def left_out(state: State) -> Iterator[tuple[tuple[str, str], str]]:
    """Listings on which nothing may be traded, (venue, symbol), and why."""
    for name, venue in sorted(state.venues.items()):
        yield from (((name, symbol), f"another contract by now: {why}") for symbol, why in venue.altered)
        yield from (((name, symbol), "the venue lists it no more") for symbol in sorted(venue.gone))
