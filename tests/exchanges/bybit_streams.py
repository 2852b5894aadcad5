"""Bybit's topics: books by depth, tickers, trades; the account's orders, executions, positions, wallet."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from tests.exchanges import bybit_words as words
from tests.exchanges.cex import Cex, Feed, Said, number
from tests.exchanges.core import Exchange
from tests.exchanges.server import Session
from tests.exchanges.words import BookNews, Fill, Instrument, Life, Order, PublicTrade, Side

_PRIVATE_TOPICS = frozenset({"order", "execution", "position", "wallet", "dcp"})
_DEPTHS = frozenset({"1", "25", "50", "100", "200", "500", "1000"})
_SPOT_URL = "/v5/public/spot"
DCP_TOPICS = {"dcp.future": "DERIVATIVES", "dcp.option": "OPTIONS", "dcp.spot": "SPOT"}


class Streams(Cex):
    """The half of the dialect that speaks unasked."""

    def __init__(self, exchange: Exchange, limits: Mapping[str, tuple[int, float]]) -> None:
        super().__init__(exchange, limits)
        self._due: dict[tuple[str, str], int] = {}  # (account, product): when its orders end

    def _symbol(self, session: Session, name: str) -> str:
        return words.SPOT + name if session.path == _SPOT_URL else name

    def known(self, session: Session, topic: str) -> bool:
        parts = topic.split(".")
        if session.path == "/v5/private":
            if "account" not in session.state:
                raise Said(10003, "error:request expired or not authorized")
            return parts[0] in _PRIVATE_TOPICS and (parts[0] != "dcp" or topic in DCP_TOPICS)
        symbol = self._symbol(session, parts[-1])
        i = self.exchange.instruments.get(symbol)
        if parts[0] == "publicTrade" and session.path.endswith("option"):
            return any(x.base == parts[-1] for x in self.exchange.instruments.values())
        if i is None or words.category(i) != session.path.rpartition("/")[2]:
            return False
        if parts[0] == "orderbook":
            return len(parts) == 3 and parts[1] in _DEPTHS
        return parts[0] in ("tickers", "publicTrade") and len(parts) == 2

    def begin(self, session: Session, topic: str) -> None:
        feed = self.subscribe(session, channel_of(session, topic), {"topic": topic, "u": 0})
        parts = topic.split(".")
        if parts[0] == "orderbook":
            feed.arg["symbol"] = self._symbol(session, parts[-1])
            self._book(feed)
        elif parts[0] == "tickers":
            self._ticker(feed, self._symbol(session, parts[-1]))
        elif parts[0] == "dcp":
            self._due.pop((session.state["account"], DCP_TOPICS[topic]), None)

    # ---- what happens

    def _book(self, feed: Feed) -> None:
        """A snapshot first, then what changed within the depth; u counts the messages of the feed."""
        arg, topic = feed.arg, feed.arg["topic"]
        depth, symbol = int(topic.split(".")[1]), arg["symbol"]
        rows, before = words.book_rows(self.exchange, symbol, depth), arg.get("rows")
        arg["rows"] = rows
        changes = rows
        if before is not None:
            changes = {s: _changes(before[s], rows[s]) for s in Side}
            if not any(changes.values()):
                return
        arg["u"] = arg["u"] + 1 if before is not None else self.exchange.books[symbol].change_id
        now = self.exchange.clock.now_ms()
        i = self.exchange.instruments[symbol]
        data = {
            "s": words.name_of(i), "b": changes[Side.BUY], "a": changes[Side.SELL], "u": arg["u"],
            "seq": self.exchange.books[symbol].change_id,
        }  # fmt: skip
        kind = "snapshot" if before is None else "delta"
        self.put(
            feed.session, feed.channel, {"topic": topic, "type": kind, "ts": now, "data": data, "cts": now}
        )

    def _ticker(self, feed: Feed, symbol: str) -> None:
        """Derivatives: a snapshot, then the fields that changed; options and spot: always whole."""
        i, topic = self.exchange.instruments[symbol], feed.arg["topic"]
        row, before = words.ticker_row(self.exchange, symbol), feed.arg.get("row")
        feed.arg["row"] = row
        now = self.exchange.clock.now_ms()
        frame: dict[str, Any] = {"topic": topic, "type": "snapshot", "data": row, "cs": now, "ts": now}
        if words.category(i) == "option":
            frame["id"] = f"{topic}-{self.exchange.books[symbol].change_id}-{now}"
            del frame["cs"]
        elif words.category(i) != "spot" and before is not None:
            changed = {k: v for k, v in row.items() if before.get(k) != v}
            if not changed:
                return
            frame |= {"type": "delta", "data": {"symbol": row["symbol"], **changed}}
        self.put(feed.session, feed.channel, frame)

    def on_book(self, news: BookNews) -> None:
        """`orderbook.N.SYMBOL`."""
        i = self.exchange.instruments[news.symbol]
        name = words.name_of(i)
        for feed in self.feeds(*(f"{words.category(i)}|orderbook.{d}.{name}" for d in _DEPTHS)):
            self._book(feed)

    def on_mark(self, symbol: str) -> None:
        """`tickers.SYMBOL`."""
        i = self.exchange.instruments[symbol]
        for feed in self.feeds(f"{words.category(i)}|tickers.{words.name_of(i)}"):
            self._ticker(feed, symbol)

    def on_trade(self, trade: PublicTrade) -> None:
        """`publicTrade`: by symbol, of options by coin."""
        i = trade.instrument
        name = i.base if i.right else words.name_of(i)
        for feed in self.feeds(f"{words.category(i)}|publicTrade.{name}"):
            topic, now = feed.arg["topic"], self.exchange.clock.now_ms()
            frame: dict[str, Any] = {"topic": topic, "type": "snapshot", "ts": now}
            if i.right:
                frame["id"] = f"{topic}-{trade.trade_id}-{now}"
            self.put(feed.session, feed.channel, frame | {"data": [words.trade_news(trade)]})

    def on_order(self, order: Order) -> None:
        """`order`."""
        self._tell("order", order.account, order.instrument, words.order_news(order))

    def on_fill(self, fill: Fill, order: Order | None) -> None:
        """`execution`, and the order as it then is (the last of it comes as the order ends)."""
        self._tell("execution", fill.account, fill.instrument, words.fill_news(fill, order))
        if order is not None and order.life is Life.OPEN and order.remaining and not fill.maker:
            self._tell("order", fill.account, fill.instrument, words.order_news(order))

    def on_account(self, account: str, currency: str, symbol: str) -> None:
        """`wallet` and `position`."""
        self._tell("wallet", account, None, words.wallet_row(self.exchange, account, (currency,)))
        position = self.exchange.account(account).positions.get(symbol)
        if position is not None:
            self._tell("position", account, position.instrument, words.position_news(self.exchange, position))

    def _tell(self, topic: str, account: str, i: Instrument | None, row: dict[str, Any]) -> None:
        narrow = [f"{topic}.{words.category(i)}"] if i is not None else []
        for feed in self.feeds(topic, *narrow, account=account):
            now = self.exchange.clock.now_ms()
            head = {"topic": feed.channel, "id": f"loopback-{now}-{len(self.exchange.truth.rows)}"}
            self.put(feed.session, feed.channel, head | {"creationTime": now, "data": [row]})


def channel_of(session: Session, topic: str) -> str:
    """A topic's name among the feeds: public ones are told apart by their category."""
    return topic if session.path == "/v5/private" else f"{session.path.rpartition('/')[2]}|{topic}"


def _changes(before: list[list[str]], now: list[list[str]]) -> list[list[str]]:
    """Levels that differ; those that left are told with size 0."""
    old, new = {p: q for p, q in before}, {p: q for p, q in now}
    gone = [[p, number(Decimal(0))] for p in old if p not in new]
    return [[p, q] for p, q in now if old.get(p) != q] + gone
