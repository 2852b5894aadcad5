"""Binance's streams: books as numbered differences, trades, touches, marks, tickers; the account's events.

A stream is `symbol@kind[@pace]` in lower case, and means nothing without the product that the socket's path
names. Spot differences follow by U = u before + 1; futures and options name the one before in `pu`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.exchanges import binance_words as words
from tests.exchanges.cex import Cex, Feed, number
from tests.exchanges.clock import MS
from tests.exchanges.core import Exchange
from tests.exchanges.server import Session
from tests.exchanges.words import BookNews, Fill, Kind, Life, Order, PostOnly, PublicTrade, Side, TimeInForce

_PATHS = (("option", "option"), ("dstream", "inverse"), ("fstream", "linear"), ("eapi", "option"))
_KINDS = frozenset(
    {"depth", "depth5", "depth10", "depth20", "trade", "aggTrade", "bookTicker", "ticker", "markPrice",
     "optionTrade", "optionTicker", "optionMarkPrice"}
)  # fmt: skip


class Streams(Cex):
    """The half of the dialect that speaks unasked."""

    def __init__(self, exchange: Exchange, limits: Mapping[str, tuple[int, float]]) -> None:
        super().__init__(exchange, limits)
        self._begun: set[int] = set()

    @staticmethod
    def product(session: Session) -> str:
        """Of a socket."""
        return next((of for part, of in _PATHS if part in session.path), "spot")

    def channel(self, session: Session, stream: str) -> str:
        """A stream's name among the feeds."""
        return f"{self.product(session)}|{stream}"

    def _symbol(self, session: Session, stream: str) -> str:
        of, name = self.product(session), stream.split("@")[0].upper()
        return words.SPOT + name if of == "spot" else name

    def known(self, session: Session, stream: str) -> bool:
        """Whether there is such a stream; unknown ones are acknowledged and stay silent, as at Binance."""
        parts = stream.split("@")
        if len(parts) < 2 or parts[1] not in _KINDS:
            return False
        if parts[1] == "optionMarkPrice":
            return self.product(session) == "option"
        i = self.exchange.instruments.get(self._symbol(session, stream))
        return i is not None and words.product(i) == self.product(session)

    def begin(self, session: Session, stream: str) -> None:
        """A feed; marks and touches are told at once, books with the next change."""
        feed = self.subscribe(session, self.channel(session, stream), stream)
        kind = stream.split("@")[1]
        if kind in ("bookTicker", "ticker", "optionTicker", "markPrice"):
            self._say(feed, self._row(kind, self._symbol(session, stream)))
        elif kind in ("depth5", "depth10", "depth20"):
            self._say(feed, self._partial(self._symbol(session, stream), int(kind.removeprefix("depth"))))
        elif kind == "optionMarkPrice":
            base = stream.split("@")[0].upper().removesuffix("USDT")
            rows = [i for i in self.exchange.instruments.values() if i.right and i.base == base]
            self._say(feed, [self._row("optionMarkPrice", i.symbol) for i in rows])

    def _say(self, feed: Feed, data: Any) -> None:
        stream = feed.arg
        combined = feed.session.state.get("combined")
        self.put(feed.session, stream, {"stream": stream, "data": data} if combined else data)

    # ---- the market

    def _of(self, symbol: str, *kinds: str) -> list[Feed]:
        """Feeds of a symbol and kind, at any pace."""
        i = self.exchange.instruments[symbol]
        heads = {f"{words.product(i)}|{words.name_of(i).lower()}@{kind}" for kind in kinds}
        found = [c for c in self._feeds if c in heads or c.rpartition("@")[0] in heads]
        return self.feeds(*found)

    def _partial(self, symbol: str, depth: int) -> dict[str, Any]:
        i, book = self.exchange.instruments[symbol], self.exchange.books[symbol]
        bids, asks = words.sides(self.exchange, symbol, depth)
        if i.kind is Kind.SPOT:
            return {"lastUpdateId": book.change_id, "bids": bids, "asks": asks}
        now = self.exchange.clock.now_ms()
        return {
            "e": "depthUpdate", "E": now, "T": now, "s": i.symbol, "U": book.change_id, "u": book.change_id,
            "pu": book.change_id - 1, "b": bids, "a": asks,
        }  # fmt: skip

    def on_book(self, news: BookNews) -> None:
        """`@depth`: what changed; `@depthN`: the best N levels."""
        i = self.exchange.instruments[news.symbol]
        rows: dict[Side, list[list[str]]] = {Side.BUY: [], Side.SELL: []}
        for side, price, now, _ in news.changes:
            rows[side].append([number(price), number(now)])
        stamp = news.ns // MS
        data: dict[str, Any] = {
            "e": "depthUpdate", "E": stamp, "s": words.name_of(i), "U": news.prev_change_id + 1,
            "u": news.change_id, "b": rows[Side.BUY], "a": rows[Side.SELL],
        }  # fmt: skip
        if i.kind is not Kind.SPOT:
            data |= {"T": stamp, "pu": news.prev_change_id}
            if i.kind is not Kind.OPTION:
                data |= {"ps": f"{i.base}{i.quote}", "st": 1}
        for feed in self._of(news.symbol, "depth"):
            self._say(feed, data)
        for depth in (5, 10, 20):
            for feed in self._of(news.symbol, f"depth{depth}"):
                self._say(feed, self._partial(news.symbol, depth))

    def on_trade(self, trade: PublicTrade) -> None:
        """`@trade`, `@aggTrade`, `@optionTrade`."""
        i, stamp = trade.instrument, trade.ns // MS
        data: dict[str, Any] = {
            "e": "trade", "E": stamp, "T": stamp, "s": words.name_of(i), "t": trade.trade_id,
            "p": number(trade.price), "q": number(trade.quantity), "m": trade.side is Side.SELL,
        }  # fmt: skip
        if i.right:
            data |= {"X": "MARKET", "S": trade.side.value.upper()}
        elif i.kind is Kind.SPOT:
            data["M"] = True
        for feed in self._of(i.symbol, "trade", "optionTrade"):
            self._say(feed, data)
        whole = {k: v for k, v in data.items() if k != "t"} | {"e": "aggTrade", "a": trade.trade_id}
        for feed in self._of(i.symbol, "aggTrade"):
            self._say(feed, whole | {"f": trade.trade_id, "l": trade.trade_id})

    def on_mark(self, symbol: str) -> None:
        """Touch, ticker and mark."""
        i = self.exchange.instruments[symbol]
        for kind in ("bookTicker", "ticker", "optionTicker", "markPrice"):
            for feed in self._of(symbol, kind):
                self._say(feed, self._row(kind, symbol))
        if i.right:
            for feed in self.feeds(f"option|{i.base.lower()}usdt@optionMarkPrice"):
                self._say(feed, [self._row("optionMarkPrice", symbol)])

    def _row(self, kind: str, symbol: str) -> dict[str, Any]:
        x, i, now = self.exchange, self.exchange.instruments[symbol], self.exchange.clock.now_ms()
        if kind == "bookTicker":
            t = words.book_ticker(x, symbol)
            row = {"u": x.books[symbol].change_id, "s": t["symbol"], "b": t["bidPrice"], "B": t["bidQty"],
                   "a": t["askPrice"], "A": t["askQty"]}  # fmt: skip
            more = {} if i.kind is Kind.OPTION else {"st": 1, "ps": f"{i.base}{i.quote}"}
            return row if i.kind is Kind.SPOT else {"e": "bookTicker", "E": now, "T": now, **row, **more}
        if kind == "optionMarkPrice":
            m, b = words.mark_row(x, symbol), words.book_ticker(x, symbol)
            return {
                "s": symbol, "mp": m["markPrice"], "E": now, "e": "markPrice",
                "i": number(x.index_price(symbol)),
                "P": "0.0000", "bo": b["bidPrice"], "ao": b["askPrice"], "bq": b["bidQty"], "aq": b["askQty"],
                "b": m["bidIV"], "a": m["askIV"], "hl": m["highPriceLimit"], "ll": m["lowPriceLimit"],
                "vo": m["markIV"], "rf": "0.0", "d": m["delta"], "t": m["theta"], "g": m["gamma"],
                "v": m["vega"],
            }  # fmt: skip
        if kind == "markPrice":
            m = words.mark_row(x, symbol)
            return {
                "e": "markPriceUpdate", "E": now, "s": symbol, "p": m["markPrice"], "i": m["indexPrice"],
                "P": m["estimatedSettlePrice"], "r": m["lastFundingRate"], "T": m["nextFundingTime"], "st": 1,
            }  # fmt: skip
        t = words.day_ticker(x, symbol)
        opened, high, low = (t.get(a, t.get(b)) for a, b in
                             (("openPrice", "open"), ("highPrice", "high"), ("lowPrice", "low")))  # fmt: skip
        row = {
            "e": "24hrTicker", "E": now, "s": t["symbol"], "p": t["priceChange"],
            "P": t["priceChangePercent"],
            "w": t["weightedAvgPrice"], "c": t["lastPrice"], "Q": t["lastQty"], "o": opened, "h": high,
            "l": low,
            "v": t["volume"], "q": t.get("quoteVolume", t.get("amount")), "O": t["openTime"],
            "C": t["closeTime"],
            "F": t["firstId"], "L": t["lastId"], "n": t.get("count", t.get("tradeCount")),
        }  # fmt: skip
        if i.kind is Kind.SPOT:
            tops = words.book_ticker(x, symbol)
            keys = {"b": "bidPrice", "B": "bidQty", "a": "askPrice", "A": "askQty"}
            return row | {"x": t["openPrice"], **{k: tops[v] for k, v in keys.items()}}
        return row if i.right else row | {"st": 1}

    # ---- the account

    def _own(self, name: str) -> list[Session]:
        """Sockets that hear of a wallet."""
        return [
            s
            for s in self.sessions.values()
            if s.state.get("user") and words.wallet(s.state["account"], s.state["user"]) == name
        ]

    def _tell(self, name: str, event: dict[str, Any]) -> None:
        for session in self._own(name):
            frame = {"subscriptionId": 0, "event": event} if session.state.get("wrapped") else event
            self.put(session, f"user.{event['e']}", frame)

    def on_order(self, order: Order) -> None:
        """An order began, was changed or ended; executions tell their own."""
        if order.life is Life.FILLED:
            return
        self._new(order)
        if order.life is Life.CANCELLED:
            self._tell(order.account, self._order_event(order, words.order_state(order), None))
        elif order.replaced:
            self._tell(order.account, self._order_event(order, "AMENDMENT", None))

    def _new(self, order: Order) -> None:
        """NEW comes before anything else of an order."""
        if order.order_id not in self._begun:
            self._begun.add(order.order_id)
            self._tell(order.account, self._order_event(order, "NEW", None))

    def on_fill(self, fill: Fill, order: Order | None) -> None:
        """TRADE."""
        if order is None:
            kind = {"liquidation": "autoclose-", "adl": "adl_autoclose"}.get(fill.why, "external-")
            order = Order(
                fill.trade_id, fill.account, f"{kind}{fill.trade_id}", fill.instrument, fill.side,
                fill.quantity,
                fill.price, TimeInForce.IOC, PostOnly.OFF, True, fill.ns, fill.ns, fill.quantity,
                fill.quantity * fill.price, fill.fee, Life.FILLED,
            )  # fmt: skip
        self._new(order)
        self._tell(fill.account, self._order_event(order, "TRADE", fill))

    def on_account(self, account: str, currency: str, symbol: str) -> None:
        """Balances and, of futures and options, the position."""
        of, x = account.rpartition("/")[2], self.exchange
        now, cash = x.clock.now_ms(), number(x.account(account).balances.get(currency))
        position = x.account(account).positions.get(symbol)
        rows = [words.position_row(x, position)] if position is not None else []
        if of == "spot":
            held = x.account(account).balances
            tops = [{"a": c, "f": number(v), "l": "0"} for c, v in held.items()]
            self._tell(account, {"e": "outboundAccountPosition", "E": now, "u": now, "B": tops})
        elif of == "option":
            own = [
                {"s": r["symbol"], "c": r["quantity"], "p": r["positionCost"], "a": r["entryPrice"]}
                for r in rows
            ]
            self._tell(account, {"e": "BALANCE_POSITION_UPDATE", "E": now, "T": now, "m": "ORDER",
                                 "B": [{"a": currency, "b": cash, "bc": "0"}], "P": own})  # fmt: skip
        else:
            own = [
                {"s": r["symbol"], "pa": r["positionAmt"], "ep": r["entryPrice"], "bep": r["breakEvenPrice"],
                 "cr": "0", "up": r["unRealizedProfit"], "mt": "cross", "iw": "0", "ps": "BOTH"}
                for r in rows
            ]  # fmt: skip
            balances = [{"a": currency, "wb": cash, "cw": cash, "bc": "0"}]
            event = {"m": "ORDER", "B": balances, "P": own}
            self._tell(account, {"e": "ACCOUNT_UPDATE", "T": now, "E": now, "a": event})

    def _order_event(self, order: Order, what: str, fill: Fill | None) -> dict[str, Any]:
        """executionReport, ORDER_TRADE_UPDATE, or the options' own form of the latter."""
        i, now, (kind, force) = order.instrument, self.exchange.clock.now_ms(), words.kind_of(order)
        new = what == "NEW"
        filled = number(order.filled) if not new else "0"
        state = "NEW" if new else words.order_state(order)
        if i.kind is Kind.OPTION:
            sign = order.side.sign
            fills = [
                {"t": str(fill.trade_id), "p": number(fill.price), "q": number(fill.quantity),
                "T": fill.ns // MS,
                 "m": "MAKER" if fill.maker else "TAKER", "f": number(fill.fee)}
            ] if fill else []  # fmt: skip
            row = {
                "T": order.created_ns // MS, "t": order.updated_ns // MS, "s": i.symbol,
                "c": words.client_id(order),
                "oid": str(order.order_id), "p": number(order.price) or "0",
                "q": number(order.quantity * sign), "stp": 0, "r": order.reduce_only, "po": force == "GTX",
                "S": state, "e": filled, "ec": number(order.filled_value) if not new else "0",
                "f": number(order.fee) if not new else "0", "tif": force, "oty": kind, "fi": fills,
            }  # fmt: skip
            return {"e": "ORDER_TRADE_UPDATE", "E": now, "o": [row]}
        row = {
            "s": words.name_of(i), "c": words.client_id(order), "S": order.side.value.upper(), "o": kind,
            "f": force,
            "q": number(order.quantity), "p": number(order.price) if order.price is not None else "0",
            "x": what,
            "X": state, "i": order.order_id, "l": number(fill.quantity) if fill else "0", "z": filled,
            "L": number(fill.price) if fill else "0", "n": number(round(fill.fee, 14)) if fill else "0",
            "N": fill.fee_currency if fill else None, "T": (fill.ns if fill else order.updated_ns) // MS,
            "m": bool(fill and fill.maker), "V": "EXPIRE_MAKER",
        }  # fmt: skip
        if i.kind is Kind.SPOT:
            made = order.created_ns // MS
            return {
                "e": "executionReport", "E": now, **row, "P": "0", "F": "0", "g": -1, "C": "", "r": "NONE",
                "t": fill.trade_id if fill else -1, "I": order.order_id * 2, "w": not order.filled,
                "M": False,
                "O": made, "W": made, "Z": number(order.filled_value) if not new else "0", "Q": "0",
                "Y": number(fill.quantity * fill.price) if fill else "0",
            }  # fmt: skip
        row |= {
            "ap": number(order.average) if order.average is not None and not new else "0", "sp": "0",
            "t": fill.trade_id if fill else 0, "b": "0", "a": "0", "R": order.reduce_only,
            "wt": "CONTRACT_PRICE",
            "ot": kind, "ps": "BOTH", "cp": False, "AP": "0", "cr": "0", "pP": False, "si": 0, "ss": 0,
            "rp": number(fill.realised) if fill else "0", "pm": "NONE", "gtd": 0,
        }  # fmt: skip
        row["N"] = row["N"] or i.settle
        return {"e": "ORDER_TRADE_UPDATE", "T": order.updated_ns // MS, "E": now, "o": row}
