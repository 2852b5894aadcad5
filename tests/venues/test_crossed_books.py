"""A change that makes the sides of a book meet is laid over it from its bytes; the book is not known then,
which is told, and it begins anew."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from pricing.market import Marks
from pricing.universe import Universe
from tests.venues.cex_desk import run
from tests.venues.deribit_desk import PERPETUAL, hearing, opened, until
from tests.venues.test_cex_streams import desk
from venues.base import News
from venues.live_quotes import LiveQuotes
from venues.orders import VenueStatus


def crossing(name: str, symbol: str, last: int) -> str:
    """A change that follows on the last, with a bid above every ask."""
    stamp, number = time.time_ns() // 1_000_000, last + 1
    level = ["900000", "1"]
    messages: dict[str, Any] = {
        "deribit": {
            "jsonrpc": "2.0",
            "method": "subscription",
            "params": {
                "channel": f"book.{symbol}.100ms",
                "data": {
                    "type": "change", "timestamp": stamp, "prev_change_id": last, "instrument_name": symbol,
                    "change_id": number, "bids": [["new", 900_000.0, 10.0]], "asks": [],
                },
            },
        },
        "okx": {
            "arg": {"channel": "books", "instId": symbol},
            "action": "update",
            "data": [
                {"asks": [], "bids": [[*level, "0", "1"]], "ts": str(stamp), "checksum": 0, "prevSeqId": last,
                 "seqId": number}
            ],
        },
        "bybit": {
            "topic": f"orderbook.50.{symbol}", "type": "delta", "ts": stamp,
            "data": {"s": symbol, "b": [level], "a": [], "u": number, "seq": number},
        },
        "binanceusdm": {
            "e": "depthUpdate", "E": stamp, "T": stamp, "s": symbol, "U": number, "u": number, "pu": last,
            "b": [level], "a": [],
        },
    }  # fmt: skip
    return json.dumps(messages[name], separators=(",", ":"))


def gaps(news: list[News]) -> list[tuple[str, ...]]:
    return [x.gaps for x in news if isinstance(x, VenueStatus) and x.gaps is not None]


def hears(news: list[News]) -> bool:
    return any(isinstance(x, Marks) and x.depth for x in news)


def last_of(quotes: LiveQuotes | None, symbol: str) -> int:
    assert quotes is not None and quotes._books[symbol].broken is None
    return quotes._books[symbol].change_id


async def told_and_mended(news: list[News], quotes: LiveQuotes | None, symbol: str) -> None:
    assert quotes is not None and quotes.gaps == (symbol,) and quotes.counts.gaps == 1
    await until(lambda: gaps(news)[:1] == [(symbol,)], "that it is not known", 5.0)
    await until(lambda: quotes.gaps == () and gaps(news)[-1] == (), "that it is known again", 8.0)
    (bids, _), (asks, _) = quotes._books[symbol].ladders(1)
    assert 0.0 < bids[0] < asks[0] < 900_000.0


@pytest.mark.parametrize("name", ["okx", "bybit", "binanceusdm"])
def test_a_book_that_crosses_is_told_and_begins_anew(name: str) -> None:
    async def work() -> None:
        async with desk(name, signed=False) as found, hearing(found.venue) as news:
            symbol = found.listing.symbol
            found.venue.watch(Universe.of([found.listing]), [symbol])
            await until(lambda: hears(news), "depth", 5.0)
            news.clear()
            quotes = found.venue.quotes
            client = found.venue._streams._client
            (live,) = [x for x in found.venue._streams._live.values() if x.channel.book == symbol]
            last, hear = (
                last_of(quotes, symbol),
                client.clients[live.joined.url].handle_text_or_binary_message,
            )
            hear(crossing(name, symbol, last))
            if name == "binanceusdm":  # another copy is asked for when the next change comes, here a late one
                hear(crossing(name, symbol, last - 5))
            await told_and_mended(news, quotes, symbol)

    run(work())


def test_a_book_of_deribit_that_crosses_is_told_and_begins_anew() -> None:
    async def work() -> None:
        async with opened() as (venue, _, _), hearing(venue) as news:
            venue.watch(
                Universe.of([x for x in await venue.listings() if x.symbol == PERPETUAL]), [PERPETUAL]
            )
            await until(lambda: hears(news), "depth", 5.0)
            news.clear()
            assert venue._hear_quickly(crossing("deribit", PERPETUAL, last_of(venue.quotes, PERPETUAL)))
            await told_and_mended(news, venue.quotes, PERPETUAL)

    run(work())
