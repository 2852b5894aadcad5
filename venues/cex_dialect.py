"""What an exchange that is reached through the unified library must say for itself: its requests and streams.

A dialect speaks the venue's own endpoints (ccxt signs and paces them) and hands out our types; what the
library raises passes through, for `venues.cex` to judge. Everything about units, orders and states is in the
venue's module of `venues.wire`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Protocol

from pricing.contracts import Listing
from venues.errors import Refused, Untrusted, VenueError
from venues.orders import AccountReport, Order, OrderReport
from venues.part_ages import FieldAges
from venues.wire.book_forms import BookForm
from venues.wire.fields import Wire
from venues.wire.frames import Frame
from venues.wire.quick_books import ReadsText
from venues.wire.quotes import BookChange
from venues.wire.units import Instruments


@dataclass(frozen=True, slots=True)
class Channel:
    """One subscription. key: what the library knows it by, and what its acknowledgement is told from. message
    joins, farewell leaves; None: there is nothing to say. book: the symbol whose order book it carries.
    whole: each of its messages is the whole of that book. together: how many channels one message may join,
    or leave, along with it. tells, of: a field that each of
    its messages tells, as of `LiveQuotes.heard_ns`, and of which symbols (underlyings, of an index); "": it
    may be silent while nothing changes. silent_s_max: seconds after which it is broken when nothing comes;
    None: those after which the field is not known."""

    url: str
    key: str
    message: Mapping[str, Any]
    private: bool = False
    farewell: Mapping[str, Any] | None = None
    book: str = ""
    together: int = 1
    tells: str = ""
    of: tuple[str, ...] = ()
    silent_s_max: float | None = None
    whole: bool = False

    def telling(self, tells: str, *of: str, silent_s_max: float | None = None) -> Channel:
        """The same, with what its messages tell."""
        return replace(self, tells=tells, of=of, silent_s_max=silent_s_max)


#: What a venue refuses without a name.
UNNAMED = ""


@dataclass(frozen=True, slots=True)
class Heard:
    """A message, read. acknowledged: keys of channels that it says have begun, or names of the messages that
    joined them. refused: of those that the venue will not begin, `UNNAMED` where it does not say which, or
    refuses to sign us in; why: its code and sentence for that. ended: nothing more will come by this
    connection."""

    frame: Frame
    acknowledged: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    why: tuple[str, str] = ("", "")
    ended: bool = False


@dataclass(frozen=True, slots=True)
class Account:
    """What an account holds. strange: executions of instruments that are not listed, by name and id: nobody
    knows what a unit of them is, so they are not among the report's trades, and must be told of."""

    report: AccountReport
    strange: tuple[str, ...] = ()


class Dialect(Protocol):
    """One venue. Every `client` is one of the library's, made safe.

    dead_man_s: the venue's own timer, None where it has none. by_connection: the timer starts when the
    account's stream is lost, not when nobody refreshes it. copies_books: its streams carry changes of books
    alone, to be laid over a copy that is asked for. say_pause_s: between two messages that join or leave
    several channels, on one connection. amends: a resting order takes another price and size, under the same
    id. ages: after which its fields are not known any more. question_burst: costs of the questions that may
    leave at once after a quiet time, where the venue counts them by the minute; None: one question.
    """

    venue: str
    ages: FieldAges
    options: Mapping[str, Any]
    order_rate: float
    order_burst: int
    dead_man_s: float | None
    by_connection: bool
    copies_books: bool
    say_pause_s: float
    keep_alive_s: float | None
    amends: bool
    question_burst: float | None

    def private(self, client: Any) -> Sequence[Channel]:
        """The channels of what happens on the account."""
        ...

    def public(self, client: Any, listings: Collection[Listing]) -> Sequence[Channel]:
        """The channels of these listings' market."""
        ...

    async def summaries(self, client: Any, listings: Sequence[Listing], at_ns: int) -> Frame:
        """Quotes of options by underlying, at least of these; nothing where the venue has no options."""
        ...

    def trades(self, client: Any, listings: Collection[Listing]) -> Sequence[Channel]:
        """The channels of what others trade in these listings."""
        ...

    async def sign_in(self, client: Any, channel: Channel) -> Channel:
        """Make a private channel's connection ours; the channel as it is to be joined then."""
        ...

    async def keep_alive(self, client: Any) -> None:
        """The account's stream is still wanted."""
        ...

    async def maintenance(self, client: Any) -> tuple[tuple[int, int], ...] | None:
        """Announced windows, (first, last) in UTC nanoseconds; None where the venue announces none."""
        ...

    async def copy_book(self, client: Any, listing: Listing, at_ns: int) -> BookChange:
        """A whole book by request. Raises VenueError where the stream carries it."""
        ...

    def bundle(self, messages: Sequence[Mapping[str, Any]], number: int) -> Mapping[str, Any]:
        """Several messages that join, or several that leave, as one. number: of the bundle, whose name is
        `bundle_name` of it: by that name its answer is told, where the venue says what it answers."""
        ...

    def control(self, message: Any) -> bool:
        """Whether a message answers a request of the library's own: signing in, subscribing, a ping."""
        ...

    def followed(self, url: str) -> BookForm | None:
        """How changes of books are written in the stream at an address, where they may be laid over them as
        they come; None: all of them are read first."""
        ...

    def quick(self, url: str) -> ReadsText:
        """What reads books of the stream at an address straight from the text of a frame, where they are as
        usual; all else is decoded, and goes to `read`."""
        ...

    def read(self, url: str, message: Any, listings: Mapping[str, Listing], account: str) -> Heard:
        """One message of the stream at an address.

        Raises:
            Malformed: it is none.
        """
        ...

    async def time_ns(self, client: Any) -> int:
        """The venue's clock."""
        ...

    async def scopes(self, client: Any) -> tuple[str, ...]:
        """The venue's words for what the key may do."""
        ...

    async def prevents_self_trades(self, client: Any) -> bool | None:
        """Whether the venue says that no two orders of the account trade with each other; None where it, or a
        part of it, has no such prevention."""
        ...

    async def fee_coin(self, client: Any) -> str:
        """The coin that fees are paid in whatever a contract settles in; "" where there is none."""
        ...

    async def account_faults(self, client: Any) -> tuple[str, ...]:
        """Settings of the account there under which our orders would mean something else, and the way out."""
        ...

    async def instruments(self, client: Any, signed: bool, at_ns: int) -> Instruments:
        """Everything that is listed, with the account's fees where there is one."""
        ...

    async def place(self, client: Any, order: Order, wire_id: str) -> str:
        """Send an order once; the venue's id of it."""
        ...

    async def cancel(self, client: Any, listing: Listing, wire_id: str) -> None:
        """Ask for a cancel."""
        ...

    async def amend(
        self, client: Any, listing: Listing, report: OrderReport, price: Decimal, quantity: Decimal
    ) -> None:
        """Ask for another price and size (in all) of an order as it was just seen. Only where `amends`."""
        ...

    async def cancel_all(self, client: Any) -> int:
        """Cancel whatever is open, whether or not anything has been listed; how many orders were open when it
        looked, at least: 0 only where none was."""
        ...

    async def resting(self, client: Any) -> int:
        """How many orders are open on the account, read or not."""
        ...

    async def order(self, client: Any, listing: Listing | None, wire_id: str) -> OrderReport | None:
        """One order; None only where the venue says that it never had it."""
        ...

    async def account(
        self, client: Any, listings: Mapping[str, Listing], account: str, since_ns: int | None, at_ns: int
    ) -> Account:
        """Orders, positions, balances, executions since; None: those are not asked for. at_ns: the venue's
        clock a moment ago, which is the report's stamp."""
        ...

    async def refresh(self, client: Any, seconds: float) -> None:
        """Restart the dead man's timer."""
        ...


def told_apart(
    found: Iterable[Wire], symbol_of: Callable[[Wire], str], id_of: str, listings: Mapping[str, Listing]
) -> tuple[list[Wire], tuple[str, ...]]:
    """Executions of what is listed, and the names of the others: "symbol id"."""
    known: list[Wire] = []
    strange: list[str] = []
    for item in found:
        symbol = symbol_of(item)
        if symbol in listings:
            known.append(item)
        else:
            strange.append(f"{symbol} {item.name(id_of)}")
    return known, tuple(strange)


def distinct(channels: Iterable[Channel]) -> list[Channel]:
    """Each once; one that was asked for several symbols tells of all of them."""
    found: dict[str, list[Channel]] = {}
    for channel in channels:
        found.setdefault(channel.key, []).append(channel)
    return [replace(same[0], of=tuple(name for x in same for name in x.of)) for same in found.values()]


def bundle_name(number: int) -> str:
    """What a bundle of messages is called in its answer.

    >>> bundle_name(7)
    '#7'
    """
    return f"#{number}"


def bundled(messages: Sequence[Mapping[str, Any]], under: str) -> dict[str, Any]:
    """Messages that differ in the list under one key, as one.

    >>> bundled([{"op": "subscribe", "args": ["a"]}, {"op": "subscribe", "args": ["b", "c"]}], "args")
    {'op': 'subscribe', 'args': ['a', 'b', 'c']}
    """
    return {**messages[0], under: [x for message in messages for x in message[under]]}


def no_copies(venue: str) -> VenueError:
    """The answer of a dialect whose streams carry whole books."""
    return Refused("NO_COPIES", "the stream begins with the whole book", where=venue)


async def all_tried(work: Iterable[Awaitable[object]], passes: Callable[[BaseException], bool]) -> None:
    """Do all of it, whatever becomes of some; then raise the first failure that does not pass."""
    for done in await asyncio.gather(*work, return_exceptions=True):
        if isinstance(done, BaseException) and not passes(done):
            raise done


async def every_page(
    page: Callable[[str], Awaitable[tuple[list[Wire], str]]], where: str, pages_max: int = 200
) -> list[Wire]:
    """Every row of a list that comes in pages. page: gets the cursor ("" at first), gives rows and the next
    cursor, "" after the last.

    Raises:
        Untrusted: the pages do not come to an end.
    """
    found: list[Wire] = []
    cursor, seen = "", {""}
    for _ in range(pages_max):
        rows, cursor = await page(cursor)
        found += rows
        if not cursor:
            return found
        if cursor in seen:
            break
        seen.add(cursor)
    raise Untrusted("PAGES", "the venue's pages do not come to an end", where=where)
