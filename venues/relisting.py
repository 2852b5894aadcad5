"""What a venue lists otherwise than it did: told to the engine, which was begun with what was listed then.

A venue changes ticks and lots without a word, delists, and now and then changes what one contract is. An
order in the old contracts would be another size than was decided; so the list is asked for again and again.

What it lists and we cannot read is no delisting: the terms last known stand, nothing is cancelled, and a
person is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pricing.contracts import Listing
from pricing.errors import named
from venues.orders import LISTING_UNREAD, Link, VenueStatus

#: What is listed is asked for so often, seconds.
LISTINGS_S = 600.0
#: So many symbols are named at once.
NAMED_MAX = 3


@dataclass(slots=True)
class Relisting:
    """What was listed, by symbol, as it was told last. gone: what is not listed now and has not expired;
    unread: what is, and cannot be read."""

    told: dict[str, Listing] = field(default_factory=dict)
    gone: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()

    def news(
        self,
        venue: str,
        link: Link,
        listed: Mapping[str, Listing],
        now_ns: int,
        refused: Mapping[str, str] | None = None,
    ) -> VenueStatus | None:
        """What has changed since the last time; None where nothing has, or nothing was known before.

        refused: what is listed and cannot be read, by symbol, and why; what was gone before stays so.
        """
        before, gone_before, unread_before = self.told, self.gone, self.unread
        why = refused or {}
        changed = tuple(
            x for symbol, x in listed.items() if symbol in before and not before[symbol].same_terms(x)
        )
        missing = sorted(s for s, x in before.items() if s not in listed and not 0 < x.expiry_ns <= now_ns)
        self.unread = tuple(s for s in missing if s in why and s not in gone_before)
        self.gone = tuple(s for s in missing if s not in self.unread)
        self.told = {**before, **listed}
        new = [f"{s} ({why[s]})" for s in self.unread if s not in unread_before]
        if not (changed or new or self.gone != gone_before):
            return None
        events = (LISTING_UNREAD,) if new else ()
        text = f"the terms last known stand for {named(new, NAMED_MAX)}" if new else ""
        return VenueStatus(venue, link, events, text, now_ns, relisted=changed, gone=self.gone)
