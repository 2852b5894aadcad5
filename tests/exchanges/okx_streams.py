"""OKX's channels: books with chain and checksum, trades, tickers, marks, Greeks, and the account's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from zlib import crc32

from tests.exchanges import okx_words as words
from tests.exchanges.cex import Cex, Feed, levels, number, words_of
from tests.exchanges.clock import MS
from tests.exchanges.core import Exchange
from tests.exchanges.server import Session
from tests.exchanges.words import BookNews, Fill, Kind, Life, Order, PostOnly, PublicTrade, Side, TimeInForce

PRIVATE_CHANNELS = words_of("orders positions account balance_and_position")


class Streams(Cex):
    """The half of the dialect that speaks unasked."""

    def __init__(self, exchange: Exchange, limits: Mapping[str, tuple[int, float]]) -> None:
        super().__init__(exchange, limits)
        self._told: dict[int, tuple[Any, ...]] = {}

    def begin(self, session: Session, key: str, arg: dict[str, Any]) -> None:
        """What a channel says first."""
        name, symbol = arg["channel"], arg.get("instId", "")
        if name == "books":
            chain = {"checksum": checksum(self.exchange, symbol), "prevSeqId": -1}
            row = self._book_row(symbol, 400) | chain
            self.put(session, key, {"arg": arg, "action": "snapshot", "data": [row]})
        elif name in PRIVATE_CHANNELS:
            rows = self._account_rows(name, session.state["account"], arg)
            if rows or name == "account":
                self.put(session, key, {"arg": arg | {"uid": "1"}, "eventType": "snapshot", "data": rows})
        elif rows := self._market_rows(name, symbol or arg.get("instFamily", "")):
            self.put(session, key, {"arg": arg, "data": rows})

    def _market_rows(self, name: str, symbol: str) -> list[dict[str, Any]]:
        x = self.exchange
        match name:
            case "tickers":
                return [words.ticker_row(x, symbol)]
            case "mark-price":
                return [words.mark_row(x, symbol)]
            case "funding-rate":
                return [words.funding_row(x, symbol)]
            case "index-tickers":
                row = words.index_row(x, symbol)
                return [row] if row else []
            case "opt-summary":
                options = [i for i in x.instruments.values() if i.right and words.family(i) == symbol]
                return [words.summary_row(x, i.symbol) for i in options if i.active]
            case "books5":
                return [self._book_row(symbol, 5) | {"instId": symbol}]
            case "bbo-tbt":
                return [self._book_row(symbol, 1)]
        return []

    def _account_rows(self, name: str, account: str, arg: dict[str, Any]) -> list[dict[str, Any]]:
        """What a private channel says of the account as it is."""
        if name == "account":
            return [words.balance_row(self.exchange, account)]
        if name == "positions":
            held = self.exchange.positions(account)
            return [words.position_row(self.exchange, p) for p in held if _covers(arg, p.instrument.kind)]
        return []

    # ---- what happens

    def _book_row(self, symbol: str, depth: int) -> dict[str, Any]:
        book = self.exchange.books[symbol]
        return {
            "asks": words.side_rows(self.exchange, symbol, Side.SELL, depth),
            "bids": words.side_rows(self.exchange, symbol, Side.BUY, depth),
            "ts": str(self.exchange.clock.now_ms()),
            "seqId": book.change_id,
        }

    def on_book(self, news: BookNews) -> None:
        """`books`: what changed, with the number of the change before."""
        symbol = news.symbol
        feeds = self.feeds(f"books:{symbol}")
        if feeds:
            rows: dict[Side, list[list[str]]] = {Side.BUY: [], Side.SELL: []}
            for side, price, now, _ in news.changes:
                queue = self.exchange.books[symbol].side(side).queue(price)
                rows[side].append([number(price), number(now), "0", str(len(queue))])
            data = {
                "asks": rows[Side.SELL], "bids": rows[Side.BUY], "ts": str(news.ns // MS),
                "checksum": checksum(self.exchange, symbol), "prevSeqId": news.prev_change_id,
                "seqId": news.change_id,
            }  # fmt: skip
            for feed in feeds:
                self.put(feed.session, feed.channel, {"arg": feed.arg, "action": "update", "data": [data]})
        for name in ("books5", "bbo-tbt"):
            for feed in self.feeds(f"{name}:{symbol}"):
                rows_now = self._market_rows(name, symbol)
                self.put(feed.session, feed.channel, {"arg": feed.arg, "data": rows_now})

    def on_trade(self, trade: PublicTrade) -> None:
        """`trades`."""
        row = words.trade_row(trade) | {"count": "1", "seqId": trade.trade_seq, "source": "0"}
        for feed in self.feeds(f"trades:{trade.instrument.symbol}"):
            self.put(feed.session, feed.channel, {"arg": feed.arg, "data": [row]})

    def on_mark(self, symbol: str) -> None:
        """Tickers, marks, funding, indices and Greeks of an instrument."""
        i = self.exchange.instruments[symbol]
        keys = [f"{name}:{symbol}" for name in ("tickers", "mark-price", "funding-rate")]
        for feed in self.feeds(*keys, *(f"index-tickers:{i.base}-{q}" for q in ("USD", "USDT", "USDC"))):
            rows = self._market_rows(feed.arg["channel"], feed.arg["instId"])
            self.put(feed.session, feed.channel, {"arg": feed.arg, "data": rows})
        if i.kind is Kind.OPTION:
            for feed in self.feeds(f"opt-summary:{words.family(i)}"):
                row = words.summary_row(self.exchange, symbol)
                self.put(feed.session, feed.channel, {"arg": feed.arg, "data": [row]})

    def on_order(self, order: Order) -> None:
        """`orders`: what is not told with an execution already."""
        state = (order.life, order.filled, order.quantity, order.price)
        if self._told.get(order.order_id) != state and order.life is not Life.FILLED:
            self._told[order.order_id] = state
            self._tell_order(order.account, order.instrument.kind, words.order_row(order))

    def on_fill(self, fill: Fill, order: Order | None) -> None:
        """`orders`: an execution comes with its order; one that nobody ordered with an order of its own."""
        if order is None:
            order = Order(
                fill.trade_id, fill.account, "", fill.instrument, fill.side, fill.quantity, fill.price,
                TimeInForce.IOC, PostOnly.OFF, True, fill.ns, fill.ns, fill.quantity,
                fill.quantity * fill.price, fill.fee, Life.FILLED,
            )  # fmt: skip
        self._told[order.order_id] = (order.life, order.filled, order.quantity, order.price)
        self._tell_order(fill.account, fill.instrument.kind, words.order_row(order, fill))

    def _tell_order(self, account: str, kind: Kind, row: dict[str, Any]) -> None:
        for feed in self._private("orders", account):
            if _covers(feed.arg, kind) and feed.arg.get("instId") in (None, row["instId"]):
                self.put(feed.session, "orders", {"arg": feed.arg | {"uid": "1"}, "data": [row]})

    def on_account(self, account: str, currency: str, symbol: str) -> None:
        """`account` and `positions`."""
        for feed in self._private("account", account):
            row = words.balance_row(self.exchange, account, (currency,))
            self.put(feed.session, "account", {"arg": feed.arg | {"uid": "1"}, "data": [row]})
        position = self.exchange.account(account).positions.get(symbol)
        if position is None:
            return
        for feed in self._private("positions", account):
            if _covers(feed.arg, position.instrument.kind):
                row = words.position_row(self.exchange, position)
                self.put(feed.session, "positions", {"arg": feed.arg | {"uid": "1"}, "data": [row]})

    def _private(self, name: str, account: str) -> list[Feed]:
        keys = [c for c in self._feeds if c.split(":")[0] == name]
        return self.feeds(*keys, account=account)


def _covers(arg: dict[str, Any], kind: Kind) -> bool:
    """Whether a private channel covers a kind of instrument."""
    return arg.get("instType", "ANY") in ("ANY", words.TYPES[kind])


def checksum(exchange: Exchange, symbol: str) -> int:
    """CRC-32, signed, of the 25 best levels: bid, ask, bid, ask, ... as price:size."""
    sides = [levels(exchange, symbol, side, 25) for side in (Side.BUY, Side.SELL)]
    parts = [
        f"{number(rows[k][0])}:{number(rows[k][1])}" for k in range(25) for rows in sides if k < len(rows)
    ]
    value = crc32(":".join(parts).encode())
    return value - 2**32 if value >= 2**31 else value
