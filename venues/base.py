"""The port to a venue: what the engine asks of it, whether it is paper, an exchange or a chain.

Every call may raise only the errors of `venues.errors`. An answer that never came is no answer: `submit`,
`cancel` and `amend` return an update in state UNKNOWN then, they do not raise.

The engine does not amend: an order that stands at the wrong price is cancelled, and a new one is sent when
the old one has ended. An order is on record under its id with one price and one size, and every control hangs
on that: what it reserves, its permission, its executions. While an amendment is on its way both the old and
the new hold, under one id, and a question that shows the old one does not prove that the new one is not on
its way. A cancel can only make an order smaller, needs no permission and passes a kill; an amendment is an
order, with none of an order's own id to find it by. Some venues acknowledge it before they have looked at it,
some cannot amend at all (Hyperliquid sends a second order, Binance has none for options), and a place in the
queue is kept by none of them at another price, which is what the engine would ask for.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol, runtime_checkable

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
    long; burst: at once. has_dead_man: there is such a timer, whether or not we may set it. timer_s: to what
    `refresh` sets it; None: it sets none. That it is tried is no proof: `dead_man_s` is the proven one.
    amends: an order may be given another price and size while it rests."""

    mass_cancel: bool
    dead_man_s: (
        float | None
    )  # the venue has said that it cancels when unrefreshed this long; None = it has not
    combos: bool
    reduce_only: bool
    post_only: bool
    order_rate: float
    order_burst: int
    has_dead_man: bool = True
    timer_s: float | None = None
    amends: bool = False


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

    async def amend(self, client_id: str, price: Decimal, quantity: Decimal) -> OrderUpdate:
        """Give a resting order another price and size; it keeps its id, and stays post-only where it was.

        quantity: all of it, what has filled included. The update is of the order as the venue has it then: in
        its price and size where the amendment was made; with a code where the order had ended before; UNKNOWN
        where nobody can say: until the venue shows the new price and size, or the order's end, the larger
        size counts.

        Raises:
            Refused: nothing was changed, for certain: by us before anything left, or by the venue in a code
                on its list; the order stands as it was.
            VenueError: nothing was sent.
        """
        ...

    async def cancel_all(self) -> None:
        """The venue's own mass cancel, of every order of the account, whoever sent it."""
        ...

    async def refresh(self) -> None:
        """We are well: restart the venue's dead man's timer, which is off until first asked.

        Raises:
            VenueError: the venue did not take it: orders may rest on when we fall silent.
        """
        ...

    async def order(self, client_id: str) -> OrderReport | None:
        """One order as the venue knows it; None only where the venue says that it never had it."""
        ...

    async def account(self, since_ns: int | None) -> AccountReport:
        """Orders, positions, balances, and the trades and deliveries since `since_ns`; None: without either,
        which are not asked for then."""
        ...

    async def close(self) -> None:
        """End the sessions; orders stay as they are."""
        ...


@runtime_checkable
class Paced(Protocol):
    """A venue that keeps questions back by a pace of its own, beside the messages that the engine counts."""

    @property
    def paces(self) -> Mapping[str, tuple[float, float]]:
        """By kind of question: what may leave at once now, and the most that may, in the venue's costs."""
        ...
