"""The port to a venue: what the engine asks of it, whether it is paper, an exchange or a chain.

Every call may raise only the errors of `venues.errors`. An answer that never came is no answer: `submit`
returns an update in state UNKNOWN then, it does not raise.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from pricing.contracts import Listing
from pricing.market import Marks
from venues.market_trades import MarketTrade
from venues.orders import (
    AccountReport,
    ComboOrder,
    Order,
    OrderReport,
    OrderUpdate,
    TradeReport,
    VenueStatus,
)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a venue can do. combos: it takes a `ComboOrder`. order_rate: orders a second that it takes for
    long; burst: at once. has_dead_man: there is such a timer, whether or not we may set it."""

    mass_cancel: bool
    dead_man_s: float | None  # the venue cancels by itself when unrefreshed this long; None = it never does
    combos: bool
    reduce_only: bool
    post_only: bool
    order_rate: float
    order_burst: int
    has_dead_man: bool = True


#: What a venue tells of its own accord; trades of others only where they were asked for.
News = Marks | OrderUpdate | TradeReport | VenueStatus | MarketTrade


class Venue(Protocol):
    """One account on one venue."""

    @property
    def name(self) -> str:
        """The venue's name, as in `Listing.venue`."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        ...

    async def listings(self) -> Sequence[Listing]:
        """Everything that trades there."""
        ...

    def stream(self) -> AsyncIterator[News]:
        """What happens, as it happens: marks, order updates, executions, the state of the link, and trades of
        others where they are wanted."""
        ...

    async def submit(self, order: Order | ComboOrder) -> OrderUpdate:
        """Send an order once. State OPEN, FILLED, CANCELLED, REJECTED, or UNKNOWN where nobody can say; a
        combo where the venue takes none is REJECTED without leaving."""
        ...

    async def cancel(self, client_id: str) -> OrderUpdate:
        """Ask for an order to be cancelled; UNKNOWN where nobody can say."""
        ...

    async def cancel_all(self) -> None:
        """The venue's own mass cancel, of every order of the account, whoever sent it."""
        ...

    async def refresh(self) -> None:
        """We are well: restart the venue's dead man's timer, which is off until first asked; no answer."""
        ...

    async def order(self, client_id: str) -> OrderReport | None:
        """One order as the venue knows it; None only where the venue says that it never had it."""
        ...

    async def account(self, since_ns: int) -> AccountReport:
        """Orders, positions, balances, and the trades since `since_ns`."""
        ...

    async def close(self) -> None:
        """End the sessions; orders stay as they are."""
        ...
