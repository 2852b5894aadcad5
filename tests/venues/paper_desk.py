"""A small paper venue for tests: four listings on round terms, and short words to trade on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from pricing.contracts import Listing, Side
from pricing.market import Marks
from pricing.universe import Universe
from risk.book import Book
from tests import builders
from tests.builders import Quote, marks_of
from venues.base import News
from venues.orders import AccountReport, Order, OrderUpdate, TimeInForce, TradeReport
from venues.paper_exchange import PaperExchange, Result
from venues.paper_faults import Fault
from venues.paper_terms import Constant, FeeModel, Latencies, PaperTerms, Queue

BUY, SELL = Side.BUY, Side.SELL
GTC, IOC = TimeInForce.GTC, TimeInForce.IOC
D = Decimal
MS, SECOND = 10**6, 10**9
HOUR = 3600 * SECOND
#: 2026-02-02 06:00 UTC: two hours before a settlement.
START = 1_770_012_000 * SECOND
EIGHT = START + 2 * HOUR

PERP = builders.listing(
    builders.perpetual(), "BTC-PERPETUAL", lot="10", ticks="0:0.5", maker="-0.0001", taker="0.0005"
)
LINEAR = builders.listing(
    builders.perpetual(inverse=False), "BTC_USDC-PERPETUAL", lot="0.001", ticks="0:1", taker="0.0005"
)
CALL = builders.listing(
    replace(builders.option(60_000.0, "C", 1.0), expiry_ns=EIGHT),
    "BTC-2FEB26-60000-C",
    ticks="0:0.0001;0.005:0.0005",
    maker="0.0003",
    taker="0.0003",
    cap="0.125",
)
PUT = builders.listing(
    replace(builders.option(62_000.0, "P", 1.0, inverse=False), expiry_ns=EIGHT),
    "BTC_USDC-2FEB26-62000-P",
    lot="0.01",
    ticks="0:5",
    taker="0.0003",
    cap="0.125",
)
UNIVERSE = Universe.of([PERP, LINEAR, CALL, PUT])
TERMS = PaperTerms(fees=FeeModel.LISTING, latency=Latencies.none(), queue=Queue(), margin=None)

QUOTES: dict[str, Quote] = {
    PERP.symbol: Quote(
        PERP, 60_000.0, 60_010.0, 60_005.0, index=60_000.0, funding_rate=0.0008,
        bids=[(60_000.0, 1000.0), (59_990.0, 5000.0)], asks=[(60_010.0, 2000.0), (60_020.0, 3000.0)],
    ),
    LINEAR.symbol: Quote(LINEAR, 59_999.0, 60_001.0, 60_000.0, index=60_000.0, bid_size=2.0, ask_size=2.0),
    CALL.symbol: Quote(CALL, 0.0100, 0.0110, 0.0105, index=60_000.0, bid_size=5.0, ask_size=5.0),
    PUT.symbol: Quote(PUT, 2000.0, 2050.0, 2025.0, index=60_000.0, bid_size=3.0, ask_size=3.0),
}  # fmt: skip


def marks(now_ns: int = START, seq: int = 1, **changed: Any) -> Marks:
    """All four quotes; changed: fields by symbol with - as _ (perp, linear, call, put for short)."""
    short = {"perp": PERP, "linear": LINEAR, "call": CALL, "put": PUT}
    quotes = dict(QUOTES)
    for name, fields in changed.items():
        quotes[short[name].symbol] = replace(quotes[short[name].symbol], **fields)
    return marks_of(list(quotes.values()), [0, 1, 2, 3], now_ns, seq)


def opened(
    *,
    book: Book | None = None,
    faults: Sequence[Fault] = (),
    seed: int = 0,
    feed: bool = True,
    **terms: Any,
) -> PaperExchange:
    """A venue of these four listings, the first quotes shown."""
    exchange = PaperExchange(
        "deribit", UNIVERSE, replace(TERMS, **terms), START, book=book, faults=faults, seed=seed
    )
    if feed:
        exchange.feed(marks())
        exchange.advance(START)
    return exchange


_count = 0


def order(
    listing: Listing, side: Side, quantity: str, price: str, tif: TimeInForce = GTC, **more: Any
) -> Order:
    """An order with an id of its own unless one is given."""
    global _count
    _count += 1
    client_id = more.pop("client_id", f"hdesk-{_count}-0-0")
    return Order(client_id, listing, side, D(quantity), D(price), tif, **more)


def answer(exchange: PaperExchange, request: int, within_s: float = 60.0) -> Result:
    """Let time pass until this request has its reply; other replies and all news are dropped."""
    end = exchange.now_ns + round(within_s * SECOND)
    while True:
        for reply in exchange.take_replies():
            if reply.request == request:
                return reply.result
        assert exchange.next_ns() <= end, "no reply in time"
        exchange.advance(exchange.next_ns())


def send(exchange: PaperExchange, item: Order) -> OrderUpdate:
    """Submit and wait for the reply."""
    result = answer(exchange, exchange.submit(item, exchange.now_ns))
    assert isinstance(result, OrderUpdate)
    return result


def account(exchange: PaperExchange, since_ns: int = 0) -> AccountReport:
    """What the venue answers when asked for the account."""
    result = answer(exchange, exchange.ask_account(since_ns, exchange.now_ns))
    assert isinstance(result, AccountReport)
    return result


def fills(news: Sequence[News]) -> list[TradeReport]:
    """The executions among news."""
    return [item for item in news if isinstance(item, TradeReport)]


def latency(feed_ms: int = 0, order_ms: int = 0, response_ms: int = 0) -> Latencies:
    """Constant latencies."""
    return Latencies(Constant(feed_ms * MS), Constant(order_ms * MS), Constant(response_ms * MS))
