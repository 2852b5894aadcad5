"""The client ids that have left this process: none leaves twice, and their memory is bounded.

An id is made of the decision that it comes from, and decisions are counted upwards. So the oldest decision is
forgotten first, and with it goes a floor: an id of that decision or an earlier one is taken as sent, whether
it was or not. It can therefore not leave any more, which is what makes forgetting it safe. Ids that are not
of our form have no decision and are kept.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

from pricing.contracts import Listing, Side
from venues.orders import parse_client_id

#: So many are remembered: at five orders a second, those of some three hours.
REMEMBERED_IDS = 50_000


@dataclass(slots=True)
class SentIds:
    """Ids by what was ordered. most: how many are remembered."""

    most: int = REMEMBERED_IDS
    _listings: dict[str, Listing] = field(default_factory=dict)
    _sides: dict[str, Side] = field(default_factory=dict)
    _venue_ids: dict[str, str] = field(default_factory=dict)
    _oldest: list[tuple[int, str]] = field(default_factory=list)
    _floors: dict[str, int] = field(default_factory=dict)

    def __contains__(self, client_id: str) -> bool:
        """Whether it has been sent, or is too old for anybody to know that it has not."""
        if client_id in self._listings:
            return True
        parsed = parse_client_id(client_id)
        return parsed is not None and parsed[1] <= self._floors.get(parsed[0], -1)

    def __len__(self) -> int:
        """How many are remembered."""
        return len(self._listings)

    def add(self, client_id: str, listing: Listing, side: Side) -> None:
        """It is about to leave."""
        self._listings[client_id], self._sides[client_id] = listing, side
        parsed = parse_client_id(client_id)
        if parsed is not None:
            heapq.heappush(self._oldest, (parsed[1], client_id))
        while len(self._listings) > self.most and self._oldest:
            self._forget_oldest()

    def never_left(self, client_id: str) -> None:
        """It did not leave after all, which is certain: it may be sent."""
        if self._listings.pop(client_id, None) is not None:
            del self._sides[client_id]
            self._oldest = [entry for entry in self._oldest if entry[1] != client_id]
            heapq.heapify(self._oldest)

    def listing(self, client_id: str) -> Listing | None:
        """What was ordered; None where that is not known (any more)."""
        return self._listings.get(client_id)

    def is_of(self, client_id: str, symbol: str, side: Side) -> bool:
        """Whether an order of this symbol and side can be the one with this id, as far as is remembered."""
        listing = self._listings.get(client_id)
        return listing is None or (listing.symbol, self._sides[client_id]) == (symbol, side)

    def venue_id(self, client_id: str) -> str | None:
        """The venue's id of it; None where that is not known."""
        return self._venue_ids.get(client_id)

    def name(self, client_id: str, venue_id: str) -> None:
        """The venue has told its own id of one that is remembered."""
        if client_id in self._listings:
            self._venue_ids[client_id] = venue_id

    def _forget_oldest(self) -> None:
        seq, client_id = heapq.heappop(self._oldest)
        self._venue_ids.pop(client_id, None)
        del self._listings[client_id], self._sides[client_id]
        parsed = parse_client_id(client_id)
        assert parsed is not None
        self._floors[parsed[0]] = max(seq, self._floors.get(parsed[0], -1))
