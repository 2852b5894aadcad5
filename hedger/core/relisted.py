"""What a venue lists otherwise than when the engine was begun.

Another tick, lot or smallest order is taken up at once: by a hedge in work, by its way back, and by the next
plan. Where what a leg has left comes to another size in the new steps, the rest is planned anew. Another
contract under the same name is none that the book could hold or the plan mean: both of its sides are left out
of plans until the engine is begun anew. What is not listed any more is left out for as long. What rests on
either is cancelled.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from hedger.core.actions import Severity
from hedger.core.execution import planned_again, taken_up
from hedger.core.state import State, frozen
from hedger.core.turn import Turn
from pricing.contracts import Listing
from pricing.errors import named
from pricing.universe import Universe
from venues.orders import VenueStatus

#: So many symbols are named in one alert.
NAMED_MAX = 5


def on_listed(turn: Turn, status: VenueStatus) -> Collection[tuple[str, str]]:
    """Take in what a venue lists otherwise, and tell of it; which listings it trades in other steps."""
    known, universe, venue = turn.state.venues[status.venue], turn.state.market.universe, status.venue
    altered, terms = dict(known.altered), dict[int, Listing]()
    for listing in status.relisted or ():
        row = universe.positions.get(listing.key)
        if row is None:
            continue
        ours = universe.listings[row]
        altered.pop(listing.symbol, None)
        if not ours.same_contract(listing):
            altered[listing.symbol] = _otherwise(ours, listing)
        elif not ours.same_terms(listing):
            terms[row] = replace(listing, fees=ours.fees)
    gone = known.gone
    if status.gone is not None:
        gone = frozenset(symbol for symbol in status.gone if (venue, symbol) in universe.positions)
    before = known.altered, known.gone
    turn.state = turn.state.with_venue(venue, altered=tuple(sorted(altered.items())), gone=gone)
    _tell(turn, venue, before)
    if terms:
        _take_up(turn, venue, terms)
    return {listing.key for listing in terms.values()}


def _otherwise(ours: Listing, listing: Listing) -> str:
    if ours.contract == listing.contract:
        return f"one of its units is {listing.size} by now, not {ours.size}"
    return f"it is {listing.contract} by now, not {ours.contract}"


def _take_up(turn: Turn, venue: str, terms: dict[int, Listing]) -> None:
    """The market with the listings as they are now; rows stay where they are."""
    market = turn.state.market
    old = market.universe.listings
    new = Universe.of(terms.get(row, listing) for row, listing in enumerate(old))
    keys = {listing.key: listing for listing in terms.values()}
    unfit = {key: x for key, x in turn.state.unfit.items() if key[:2] not in keys}  # of the old steps
    turn.state = replace(turn.state, market=replace(market, universe=new), unfit=frozen(unfit))
    _go_on_in(turn, venue, keys)
    words = [
        f"{x.symbol} (ticks {x.tick_steps}, lots of {x.lot}, at least {x.minimum})" for x in terms.values()
    ]
    text = f"{venue} trades in other steps: {named(words, NAMED_MAX)}: taken up"
    turn.alert(Severity.NOTE, "LISTING_TERMS", text)


def _go_on_in(turn: Turn, venue: str, terms: Mapping[tuple[str, str], Listing]) -> None:
    """The execution in work goes on in the new steps."""
    execution = turn.state.execution
    if execution is None:
        return
    again = taken_up(execution, terms)
    owed = [leg.left for leg in execution.legs if leg.left > 0]
    left = [new.left for old, new in zip(execution.legs, again.legs, strict=True) if old.left > 0]
    if left != owed and not execution.unwinding:
        again = planned_again(again, f"{venue} trades in other steps", turn.settings.desk.execution)
    turn.state = replace(turn.state, execution=again)


def _tell(turn: Turn, venue: str, before: tuple[tuple[tuple[str, str], ...], frozenset[str]]) -> None:
    """Tell of what is left out from now on, and end what rests or works there."""
    now = turn.state.venues[venue]
    altered = [f"{symbol}: {why}" for symbol, why in now.altered if (symbol, why) not in before[0]]
    gone = sorted(now.gone - before[1])
    if altered:
        text = f"{venue} lists another contract under the same name: {named(altered, NAMED_MAX)}"
        turn.alert(Severity.CRITICAL, "LISTING_CHANGED", f"{text}; left out until the engine is begun anew")
    if gone:
        text = f"{venue} does not list {named(gone, NAMED_MAX)} any more"
        turn.alert(Severity.WARNING, "LISTING_CHANGED", f"{text}; left out until it does")
    if back := sorted(before[1] - now.gone):
        turn.note(f"{venue} lists {named(back, NAMED_MAX)} again")
    if not (altered or gone):
        return
    out = dict(untradable(turn.state))
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


def untradable(state: State) -> Iterator[tuple[tuple[str, str], str]]:
    """Listings on which nothing may be traded, (venue, symbol), and why."""
    for name, venue in sorted(state.venues.items()):
        yield from (((name, symbol), f"another contract by now: {why}") for symbol, why in venue.altered)
        yield from (((name, symbol), "the venue lists it no more") for symbol in sorted(venue.gone))
