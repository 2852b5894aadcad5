"""Listings of a recording, with the terms of its own time."""

from __future__ import annotations

from pricing.contracts import Contract, Kind, Listing, Option
from venues.venue_table import Terms, VenueTable, product_of


class ListingBook:
    """The listings a recording needs, made once each, and the notes their terms call for.

    from_ns, to_ns: span of the recording. The terms are those of its end; where the venue changed them on the
    way, a note says so.
    """

    def __init__(self, venue: str, from_ns: int, to_ns: int) -> None:
        self._table = VenueTable.load(venue)
        self._from_ns = from_ns
        self._to_ns = to_ns
        self._listings: dict[str, Listing] = {}
        self._notes: dict[str, None] = {}

    def listing(self, symbol: str, contract: Contract) -> Listing:
        """The listing of a symbol. Raises InputError where the venue table has no terms for it then."""
        if symbol not in self._listings:
            first = self._table.terms(product_of(contract), contract.underlying, self._from_ns)
            listing, terms = self._table.listing(symbol, contract, self._to_ns)
            self._listings[symbol] = listing
            self._keep_notes(f"{product_of(contract)} on {contract.underlying}", first, terms)
        return self._listings[symbol]

    def listings(self) -> tuple[Listing, ...]:
        """All of them: by underlying, then kind, expiry, strike and right."""
        return tuple(sorted(self._listings.values(), key=_order))

    def notes(self) -> list[str]:
        """What the user must know about the terms, each once."""
        return list(self._notes)

    def _keep_notes(self, product: str, first: Terms, last: Terms) -> None:
        if last.note:
            self._notes[last.note] = None
        elif not last.confirmed:
            self._notes[f"terms of {product} are not confirmed: {last.source}"] = None
        if _binding(first) != _binding(last):
            since = last.effective_from.isoformat()
            note = f"terms of {product} changed on {since}, inside the recording: the later ones are used"
            self._notes[note] = None


def _binding(terms: Terms) -> tuple[object, ...]:
    """What binds an order; a better source alone is no change."""
    return terms.fees, terms.tick_steps, terms.lot, terms.minimum, terms.size


def _order(listing: Listing) -> tuple[str, Kind, int, float, str]:
    contract = listing.contract
    strike = contract.strike if isinstance(contract, Option) else 0.0
    return contract.underlying, Kind(contract.kind), listing.expiry_ns, strike, listing.symbol
