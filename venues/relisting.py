"""What a venue lists otherwise than it did: told to the engine, which was begun with what was listed then.

A venue changes ticks and lots without a word, delists, and now and then changes what one contract is. An
order in the old contracts would be another size than was decided; so the list is asked for again and again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pricing.contracts import Listing
from venues.orders import Link, VenueStatus


def same_contract(one: Listing, other: Listing) -> bool:
    """Whether a unit of both is the same thing."""
    return (one.contract, one.size) == (other.contract, other.size)


def same_terms(one: Listing, other: Listing) -> bool:
    """Whether both trade alike; fees are the account's own, and no matter here."""
    steps = one.tick_steps, one.lot, one.minimum
    return same_contract(one, other) and steps == (other.tick_steps, other.lot, other.minimum)


@dataclass(slots=True)
class Relisting:
    """What was listed, by symbol, as it was told last. gone: what is not listed now and has not expired."""

    told: dict[str, Listing] = field(default_factory=dict)
    gone: tuple[str, ...] = ()

    def news(self, venue: str, link: Link, listed: Mapping[str, Listing], now_ns: int) -> VenueStatus | None:
        """What has changed since the last time; None where nothing has, or nothing was known before."""
        before, gone_before = self.told, self.gone
        changed = tuple(
            x for symbol, x in listed.items() if symbol in before and not same_terms(before[symbol], x)
        )
        missing = (x for symbol, x in before.items() if symbol not in listed)
        self.gone = tuple(sorted(x.symbol for x in missing if not 0 < x.expiry_ns <= now_ns))
        self.told = {**before, **listed}
        if not changed and self.gone == gone_before:
            return None
        return VenueStatus(venue, link, venue_ns=now_ns, relisted=changed, gone=self.gone)
