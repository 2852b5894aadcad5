"""Deribit's subscriptions: which channel says what, who hears it, at what pace, the chain of books.

"raw" is told at once; "100ms" and "agg2" gather what happened and tell it at most so often. A book's first
message is a snapshot; every later one names the change it follows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tests.exchanges import deribit_own as own
from tests.exchanges import deribit_words as words
from tests.exchanges.clock import MS
from tests.exchanges.core import Exchange
from tests.exchanges.server import Session
from tests.exchanges.words import (
    HOUSE,
    AccountNews,
    BookNews,
    FillNews,
    Instrument,
    InstrumentNews,
    MarkNews,
    News,
    Order,
    OrderNews,
    PlatformNews,
    Side,
    TradeNews,
)

_PACE_NS = {"raw": 0, "100ms": 100 * MS, "agg2": 1_000 * MS}
_KINDS = frozenset({"future", "option", "spot", "any"})


@dataclass(slots=True)
class Feed:
    """One channel of one session, and what it has not said yet."""

    channel: str
    session: Session
    parts: tuple[str, ...]
    pace_ns: int
    said_ns: int = 0
    rows: list[Any] = field(default_factory=list)
    levels: dict[tuple[Side, Decimal], Decimal] = field(default_factory=dict)  # quantity before
    change_id: int = 0
    due: bool = False


def pace_of(parts: tuple[str, ...]) -> int:
    """Least time between two messages of a channel, ns."""
    return _PACE_NS.get(parts[-1], 0)


class Streams:
    """All feeds of all sessions; hears the exchange's news and keeps what each feed has to say."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self._feeds: dict[str, dict[int, Feed]] = {}
        self._books: dict[str, dict[tuple[str, int], Feed]] = {}
        self._dirty: dict[tuple[str, int], Feed] = {}

    # ---- who hears what

    def known(self, channel: str) -> bool:
        """Whether there is such a channel."""
        parts = tuple(channel.split("."))
        head, n = parts[0], len(parts)
        if head == "book":
            grouped = n == 5 and parts[3] in ("1", "10", "20")
            return (n == 3 or grouped) and parts[1] in self.exchange.instruments
        if head in ("ticker", "perpetual"):
            return n == 3 and parts[1] in self.exchange.instruments
        if head == "quote":
            return n == 2 and parts[1] in self.exchange.instruments
        if head == "trades":
            return (n == 3 and parts[1] in self.exchange.instruments) or (n == 4 and parts[1] in _KINDS)
        if head == "user":
            if n == 3:
                return parts[1] == "portfolio"
            return n > 3 and parts[1] in ("orders", "trades", "changes") and n < 6
        if head in ("deribit_price_index", "deribit_volatility_index"):
            return n == 2
        return head == "platform_state" or (head == "instrument" and n == 4)

    def subscribe(self, session: Session, channel: str) -> None:
        """Begin a feed; a book begins with its snapshot, a ticker with what it now is."""
        parts = tuple(channel.split("."))
        feed = Feed(channel, session, parts, pace_of(parts))
        self._feeds.setdefault(channel, {})[session.number] = feed
        if parts[0] == "book":
            self._books.setdefault(parts[1], {})[channel, session.number] = feed
            self._say(feed, self._snapshot(feed))
        elif parts[0] in ("ticker", "quote", "perpetual", "deribit_price_index"):
            self._say(feed, self._now(feed))
        elif parts[:2] == ("user", "portfolio"):
            held = self.exchange.account(str(session.state.get("account"))).balances
            feed.rows = [c for c in held if parts[2].upper() in (c, "ANY")]
            for data in self._messages(feed):
                self._say(feed, data)

    def unsubscribe(self, session: Session, channel: str) -> None:
        """End a feed."""
        feed = self._feeds.get(channel, {}).pop(session.number, None)
        if feed is not None and feed.parts[0] == "book":
            self._books[feed.parts[1]].pop((channel, session.number), None)
        self._dirty.pop((channel, session.number), None)

    def forget(self, session: Session) -> None:
        """End all feeds of a session."""
        for channel in self.of(session):
            self.unsubscribe(session, channel)

    def of(self, session: Session) -> list[str]:
        """The channels a session hears."""
        return [c for c, feeds in self._feeds.items() if session.number in feeds]

    # ---- what is heard

    def hear(self, news: News) -> None:
        """Keep what each feed is to say of it."""
        match news:
            case BookNews(symbol=symbol, changes=changes):
                for feed in self._books.get(symbol, {}).values():
                    for side, price, _, before in changes:
                        feed.levels.setdefault((side, price), before)
                    self._mark_due(feed)
                self._touch([f"quote.{symbol}"])
            case MarkNews(symbol=symbol):
                i = self.exchange.instruments[symbol]
                names = [f"ticker.{symbol}.{p}" for p in _PACE_NS] + [
                    f"perpetual.{symbol}.{p}" for p in _PACE_NS
                ]
                self._touch([*names, f"deribit_price_index.{words.index_name(i)}"])
            case TradeNews(trade=trade):
                row = words.public_trade(trade)
                for channel in self._over(trade.instrument, "trades"):
                    self._keep(channel, row)
            case OrderNews(order=order):
                self._keep_own(order.account, order.instrument, "orders", self._order_row(order))
            case FillNews(fill=fill, order=order):
                row = own.user_trade(fill, order)
                self._keep_own(fill.account, fill.instrument, "trades", row)
            case AccountNews(account=account, currency=currency):
                for name in (currency.lower(), currency, "any"):
                    for feed in self._feeds.get(f"user.portfolio.{name}", {}).values():
                        if feed.session.state.get("account") == account:
                            feed.rows = [*(r for r in feed.rows if r != currency), currency]
                            self._mark_due(feed)
            case InstrumentNews(instrument=i, state=state):
                row = {"timestamp": self.exchange.clock.now_ms(), "state": state, "instrument_name": i.symbol}
                for kind in (words.kind_word(i), "any"):
                    for currency in (i.settle, "any"):
                        self._keep(f"instrument.state.{kind}.{currency}", row)
            case PlatformNews(maintenance=maintenance):
                self._keep("platform_state", {"maintenance": maintenance, "price_index": "btc_usd"})

    def flush(self) -> None:
        """Say what is due."""
        now = self.exchange.steady_ns
        for key, feed in list(self._dirty.items()):
            if now - feed.said_ns < feed.pace_ns:
                continue
            del self._dirty[key]
            feed.due = False
            for data in self._messages(feed):
                self._say(feed, data)

    # ---- inside

    def _mark_due(self, feed: Feed) -> None:
        feed.due = True
        self._dirty[feed.channel, feed.session.number] = feed

    def _touch(self, channels: list[str]) -> None:
        for channel in channels:
            for feed in self._feeds.get(channel, {}).values():
                self._mark_due(feed)

    def _keep(self, channel: str, row: dict[str, Any]) -> None:
        for feed in self._feeds.get(channel, {}).values():
            feed.rows.append(row)
            self._mark_due(feed)

    @staticmethod
    def _over(i: Instrument, head: str) -> list[str]:
        """Every channel under a head that covers an instrument."""
        names = [f"{head}.{i.symbol}.{p}" for p in _PACE_NS]
        kinds, currencies = (words.kind_word(i), "any"), (i.settle, "any")
        return names + [f"{head}.{k}.{c}.{p}" for k in kinds for c in currencies for p in _PACE_NS]

    def _keep_own(self, account: str, i: Instrument, what: str, row: dict[str, Any]) -> None:
        if account == HOUSE:
            return
        for head, kept in ((f"user.{what}", row), ("user.changes", (what, row))):
            for channel in self._over(i, head):
                for feed in self._feeds.get(channel, {}).values():
                    if feed.session.state.get("account") == account:
                        feed.rows.append(kept)
                        self._mark_due(feed)

    def _order_row(self, order: Order) -> dict[str, Any]:
        return own.order_row(order, self.exchange.account(order.account))

    def _say(self, feed: Feed, data: Any) -> None:
        feed.said_ns = self.exchange.steady_ns
        feed.session.push(
            feed.channel,
            {"jsonrpc": "2.0", "method": "subscription", "params": {"channel": feed.channel, "data": data}},
        )

    def _messages(self, feed: Feed) -> list[Any]:
        """What a feed has to say now."""
        head = feed.parts[0]
        if head == "book":
            return [self._snapshot(feed)] if len(feed.parts) == 5 else self._changes(feed)
        rows, feed.rows = feed.rows, []
        if head == "trades":
            return [rows] if rows else []
        if head == "user":
            return self._own(feed, rows)
        if head in ("ticker", "quote", "perpetual", "deribit_price_index"):
            return [self._now(feed)]
        return rows

    def _own(self, feed: Feed, rows: list[Any]) -> list[Any]:
        what = feed.parts[1]
        account = self.exchange.account(str(feed.session.state.get("account")))
        if what == "portfolio":
            return [
                own.account_summary(self.exchange, account, self.exchange.summary(account.name, currency))
                for currency in rows
            ]
        if what == "orders":
            return rows if feed.pace_ns == 0 else [rows]
        if what == "trades":
            return [rows]
        return self._all_changes(account.name, rows)

    def _all_changes(self, account: str, rows: list[tuple[str, dict[str, Any]]]) -> list[Any]:
        """`user.changes`: by instrument, orders and trades and the position after them."""
        held = self.exchange.account(account).positions
        messages = []
        for symbol in dict.fromkeys(row["instrument_name"] for _, row in rows):
            mine = [(what, row) for what, row in rows if row["instrument_name"] == symbol]
            trades = [row for what, row in mine if what == "trades"]
            positions = [own.position_row(self.exchange, held[symbol])] if trades and symbol in held else []
            orders = [row for what, row in mine if what == "orders"]
            messages.append(
                {"instrument_name": symbol, "trades": trades, "orders": orders, "positions": positions}
            )
        return messages

    def _now(self, feed: Feed) -> dict[str, Any]:
        """A ticker, quote, perpetual or index as it is."""
        head, name = feed.parts[0], feed.parts[1]
        if head == "deribit_price_index":
            base = name.split("_")[0].upper()
            price = words.number(self.exchange.indices.get(base))
            return {"timestamp": self.exchange.clock.now_ms(), "price": price, "index_name": name}
        row = words.ticker(self.exchange, name)
        if head == "quote":
            keys = ("timestamp", "instrument_name", "best_ask_price", "best_bid_price", "best_ask_amount")
            return {k: row[k] for k in (*keys, "best_bid_amount")}
        if head == "perpetual":
            return {
                "timestamp": row["timestamp"],
                "index_price": row["index_price"],
                "interest": row["funding_8h"],
            }
        return row

    def _snapshot(self, feed: Feed) -> dict[str, Any]:
        symbol = feed.parts[1]
        book = self.exchange.books[symbol]
        feed.levels.clear()
        feed.change_id = book.change_id
        head = {
            "timestamp": self.exchange.clock.now_ms(),
            "instrument_name": symbol,
            "change_id": book.change_id,
        }
        if len(feed.parts) == 5:
            return head | words.book_levels(self.exchange, symbol, int(feed.parts[3]))
        levels = words.book_levels(self.exchange, symbol, None)
        return {"type": "snapshot", **head, **{k: [["new", *row] for row in v] for k, v in levels.items()}}

    def _changes(self, feed: Feed) -> list[Any]:
        """One `change` message of what differs from what was last said."""
        symbol = feed.parts[1]
        book = self.exchange.books[symbol]
        rows: dict[Side, list[list[Any]]] = {Side.BUY: [], Side.SELL: []}
        for (side, price), before in feed.levels.items():
            now = book.side(side).quantity(price)
            if now != before:
                act = "new" if not before else "change" if now else "delete"
                rows[side].append([act, float(price), float(now)])
        feed.levels.clear()
        previous, feed.change_id = feed.change_id, book.change_id
        if previous == book.change_id:
            return []
        return [
            {
                "type": "change",
                "timestamp": self.exchange.clock.now_ms(),
                "prev_change_id": previous,
                "instrument_name": symbol,
                "change_id": book.change_id,
                "bids": rows[Side.BUY],
                "asks": rows[Side.SELL],
            }
        ]
