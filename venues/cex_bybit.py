"""Bybit's requests and channels, v5 of a unified account, by its own endpoints; the library signs and paces.

Every question names a category, and linear ones a settlement coin besides: what is not asked for is not told.
An order is acknowledged, not accepted: what became of it comes by the topic `order`.

The dead man's switch (DCP) hangs on the account's connection: where one that subscribed to a product's `dcp`
topic is lost, and none returns within the window, that product's orders are cancelled. A product that is not
named is not covered (unnamed means derivatives: options would go without), so all three are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import Any

import ccxt

from pricing.contracts import Contract, Fees, Kind, Listing
from venues.cex_dialect import (
    UNNAMED,
    Account,
    Channel,
    Heard,
    all_tried,
    bundle_name,
    bundled,
    every_page,
    no_copies,
    told_apart,
)
from venues.cex_parse import not_found
from venues.deliveries import delivered_between, told_from
from venues.errors import VenueError
from venues.order_checks import another_order
from venues.orders import AccountReport, Order, OrderReport, TimeInForce
from venues.part_ages import FieldAges
from venues.wire import book_forms, bybit, margins, quick_books
from venues.wire.book_forms import BookForm
from venues.wire.fields import NS_PER_MS, Wire, items
from venues.wire.frames import Frame, each
from venues.wire.quick_books import ReadsText
from venues.wire.quotes import BookChange
from venues.wire.units import Instruments, merged

_CATEGORIES = ("spot", "linear", "inverse", "option")
#: What orders and positions are asked for by: linear ones by the coin that they settle in.
_SCOPES: tuple[Mapping[str, str], ...] = (
    {"category": "linear", "settleCoin": "USDT"},
    {"category": "linear", "settleCoin": "USDC"},
    {"category": "inverse"},
    {"category": "option"},
    {"category": "spot"},
)
#: How options' streams answer: topic by topic, and not by the name of the request.
_ANSWER = "COMMAND_RESP"
#: The area of rights that move money; and the margin modes in which balances hold all that is gained.
_WALLET, _CROSS_MODES = "Wallet", ("REGULAR_MARGIN", "PORTFOLIO_MARGIN")
_PRODUCTS = {"DERIVATIVES": "dcp.future", "OPTIONS": "dcp.option", "SPOT": "dcp.spot"}
#: Levels of the books that come at 20 ms; options have 25 at most.
_DEPTHS = {"spot": 50, "linear": 50, "inverse": 50, "option": 25}
#: Topics in one message: spot takes ten. And characters of topics, with quotes and commas, on one connection:
#: the venue's word is 21,000, and 2,000 topics of options, which are never as short as that.
_TOGETHER = {"spot": 10, "linear": 200, "inverse": 200, "option": 200}
_CHARACTERS_MAX = 20_000
_ORDERS_PAGE, _POSITIONS_PAGE, _FILLS_PAGE, _LISTED_PAGE = "50", "200", "100", "1000"
#: A question about executions spans seven days at most; older ones than this are not asked for.
_SPAN_NS = 7 * 86_400 * 10**9
_REACH_NS = 4 * _SPAN_NS


def addresses(url: str) -> dict[str, Any]:
    """All of the library's addresses, at one address of ours, such as a loopback exchange."""
    ws = url.replace("http", "ws", 1)
    own = f"{ws}/v5/private"
    private = {"spot": {"unified": own, "nonUnified": own}, "contract": own, "usdc": own}
    public = {category: f"{ws}/v5/public/{category}" for category in _CATEGORIES}
    sockets = {"public": public, "private": {**private, "trade": f"{ws}/v5/trade"}}
    return {**dict.fromkeys(("spot", "futures", "v2", "public", "private"), url), "ws": sockets}


class Bybit:
    """Bybit. option_coins: whose options are listed; the venue must be asked for each."""

    venue = bybit.VENUE
    ages = FieldAges()
    options: Mapping[str, Any] = {"fetchCurrencies": False, "enableUnifiedAccount": True}
    order_rate = 10.0
    order_burst = 10
    question_burst: float | None = None
    dead_man_s: float | None = 45.0
    by_connection = True
    copies_books = False
    say_pause_s = 0.1
    keep_alive_s: float | None = None
    amends = True

    def __init__(self, option_coins: Sequence[str] = ("BTC", "ETH", "SOL")) -> None:
        self._option_coins = tuple(option_coins)
        self._connections: dict[str, int] = {}
        self._written: dict[tuple[str, int], int] = {}
        self._hours: dict[str, float] = {}

    # ------------------------------------------------------------------------------------------------ streams

    def private(self, client: Any) -> Sequence[Channel]:
        """Orders and executions of every category; and that this connection must not be lost."""
        url = client.implode_hostname(client.urls["api"]["ws"]["private"]["contract"])
        return [_channel(url, topic, topic, True) for topic in ("order", "execution", *_PRODUCTS.values())]

    def public(self, client: Any, listings: Collection[Listing]) -> Sequence[Channel]:
        """A book and a ticker of each; spot tickers say nothing that the book does not."""
        found = []
        for listing in listings:
            category, name = _category(listing), _name(listing)
            topic = f"orderbook.{_DEPTHS[category]}.{name}"
            found.append(self._public(client, category, topic, listing.symbol))
            if category != "spot":
                ticker = self._public(client, category, f"tickers.{name}")
                found.append(ticker.telling("mark", listing.symbol))
        return found

    def _public(self, client: Any, category: str, topic: str, book: str = "") -> Channel:
        """A connection takes so many characters of topics; a topic keeps to its own for good. Connections are
        told apart behind the `#`, which no address takes along."""
        key = f"{category}|{topic}"
        at = self._connections.get(key)
        if at is None:
            at = max((n for c, n in self._written if c == category), default=0)
            at += self._written.get((category, at), 0) + len(topic) > _CHARACTERS_MAX
            self._connections[key] = at
            self._written[category, at] = self._written.get((category, at), 0) + len(topic) + 3
        url = client.implode_hostname(client.urls["api"]["ws"]["public"][category])
        return _channel(f"{url}#{at}" if at else url, topic, key, False, book, _TOGETHER[category])

    async def summaries(self, client: Any, listings: Sequence[Listing], at_ns: int) -> Frame:
        """`tickers` of options by coin: everything but the book."""
        frame, stamp = Frame(), at_ns // NS_PER_MS
        for coin in sorted({x.contract.underlying for x in listings}):
            asked = {"category": "option", "baseCoin": coin}
            told = await _result(client.public_get_v5_market_tickers(asked))
            each(
                frame,
                told.raw("list"),
                "tickers",
                lambda x: bybit.ticker(Wire({"data": x.payload, "ts": stamp}, "tickers"), "option", {}),
            )
        return frame

    def trades(self, client: Any, listings: Collection[Listing]) -> Sequence[Channel]:
        """`publicTrade` of each, of options by coin."""
        found: dict[str, Channel] = {}
        for listing in listings:
            category = _category(listing)
            name = listing.contract.underlying if category == "option" else _name(listing)
            channel = self._public(client, category, f"publicTrade.{name}")
            found[channel.key] = channel
        return list(found.values())

    async def sign_in(self, client: Any, channel: Channel) -> Channel:
        """One signing in per connection."""
        await client.authenticate(channel.url)
        return channel

    async def keep_alive(self, client: Any) -> None:
        """Never asked for."""

    async def maintenance(self, client: Any) -> tuple[tuple[int, int], ...]:
        """`system/status`: what is announced, and what has begun."""
        answer = await _result(client.public_get_v5_system_status())
        wanted = [row for row in answer.items("list") if row.raw("state") in ("scheduled", "ongoing")]
        return tuple((row.stamp_ns("begin"), row.stamp_ns("end")) for row in wanted)

    async def copy_book(self, client: Any, listing: Listing, at_ns: int) -> BookChange:
        """Never needed. Raises VenueError."""
        raise no_copies(self.venue)

    def bundle(self, messages: Sequence[Mapping[str, Any]], number: int) -> Mapping[str, Any]:
        """`args`, under a `req_id`."""
        return bundled(messages, "args") | {"req_id": bundle_name(number)}

    def control(self, message: Any) -> bool:
        """That we are signed in, and pongs; data has a topic. What we join, and every refusal, is ours to
        judge: over one topic that the venue refuses the library gives up all of the connection."""
        if not isinstance(message, dict):
            return True
        ours = message.get("op") in ("subscribe", "unsubscribe") or message.get("type") == _ANSWER
        refused = message.get("success") is False or message.get("retCode") not in (None, 0)
        return "topic" not in message and not ours and not refused

    def followed(self, url: str) -> BookForm | None:
        """Pairs have names of ours, which stand in no frame."""
        return book_forms.BYBIT if _category_of(url) in ("linear", "inverse") else None

    def quick(self, url: str) -> ReadsText:
        """Of `orderbook`; the category is in the address."""
        category = _category_of(url)
        if category == "spot":
            return _quick_spot
        return quick_books.bybit if category else quick_books.nothing

    def read(self, url: str, message: Any, listings: Mapping[str, Listing], account: str) -> Heard:
        """One message; the category of public ones is in the address. Raises Malformed where it is none."""
        category = _category_of(url)
        frame = bybit.read(message, category, listings, account, self._hours)
        if message.get("type") == _ANSWER:
            data = Wire(message, "answer").nested("data")
            began, failed = (
                tuple(f"{category}|{x}" for x in _texts(data.raw(k))) for k in ("successTopics", "failTopics")
            )
            return Heard(frame, began, failed)
        key, op = message.get("req_id"), message.get("op")
        ours = op == "subscribe" and isinstance(key, str)
        if frame.refused is not None and op not in ("unsubscribe", "ping", "pong"):
            name = str(key) if ours else UNNAMED  # a refusal to sign in need not say what it answers
            return Heard(frame, refused=(name,), why=frame.refused)
        return Heard(frame, (str(key),)) if ours and message.get("success") is True else Heard(frame)

    async def time_ns(self, client: Any) -> int:
        """`market/time`."""
        return Wire(await client.public_get_v5_market_time(), "time").stamp_ns("time")

    async def scopes(self, client: Any) -> tuple[str, ...]:
        """`user/query-api`: "area:right" of each, or that it reads alone. The wallet's must be there: that
        they are missing is no word that there are none."""
        told = await _result(client.private_get_v5_user_query_api())
        if (alone := told.whole("readOnly")) not in (0, 1):
            told.refuse("readOnly", "neither 0 nor 1", alone, "0 or 1")
        rights = told.nested("permissions")
        for area in dict.fromkeys((_WALLET, *rights.payload)):
            found = rights.raw(area)
            if not isinstance(found, list) or not all(isinstance(right, str) for right in found):
                rights.refuse(area, "not a list of rights", found, "a list of texts")
        if alone:
            return ("read_only",)
        return tuple(f"{area}:{right}" for area, found in rights.payload.items() for right in found)

    async def prevents_self_trades(self, client: Any) -> bool:
        """Every order asks for it (`smpType`), and the venue heeds that for any user, between orders of one
        UID; a group (`smpGroup`) spreads it over several. Source: bybit-exchange.github.io/docs/v5/smp."""
        return True

    async def fee_coin(self, client: Any) -> str:
        """What an order settles in pays its fee."""
        return ""

    async def account_faults(self, client: Any) -> tuple[str, ...]:
        """`account/info`, unifiedMarginStatus: 3 to 6 unified, marginMode: not isolated; `position/list`,
        positionIdx: 0 one-way."""
        told, faults = await _result(client.private_get_v5_account_info()), []
        if told.whole("unifiedMarginStatus") not in (3, 4, 5, 6):
            faults.append("a classic account, where each product has its own: upgrade it to a unified one")
        faults += _isolated(told)
        asked = {"category": "linear", "symbol": "BTCUSDT"}  # told where nothing is held, too
        held = await _result(client.private_get_v5_position_list(asked))
        rows = list(held.items("list"))
        if not rows:
            held.refuse("list", "no word of a position", "nothing", "one row, or two in hedge mode")
        if any(row.whole("positionIdx") != 0 for row in rows):
            faults.append("hedge mode, where a sale opens a second position: set one-way mode")
        return tuple(faults)

    # -------------------------------------------------------------------------------------------- instruments

    async def instruments(self, client: Any, signed: bool, at_ns: int) -> Instruments:
        """All four categories; options by coin, as the venue wants it."""
        parts: list[Instruments] = []
        for category in _CATEGORIES:
            coins: Sequence[str] = self._option_coins if category == "option" else ("",)
            for coin in coins:
                scope = {"category": category, "limit": _LISTED_PAGE} | ({"baseCoin": coin} if coin else {})
                rows = await _all(client.public_get_v5_market_instruments_info, scope, "instruments")
                rates = await self._rates(client, category, coin) if signed else {}
                parts += _with_rates(category, rows, rates, at_ns)
        return merged(parts)

    async def _rates(self, client: Any, category: str, coin: str) -> dict[str, Fees]:
        """What the account pays, by symbol; of options by coin."""
        scope = {"category": category} | ({"baseCoin": coin} if coin else {})
        answer = await _result(client.private_get_v5_account_fee_rate(scope))
        return {
            coin or row.text("symbol"): Fees(row.decimal("makerFeeRate"), row.decimal("takerFeeRate"))
            for row in answer.items("list")
        }

    # ------------------------------------------------------------------------------------------------- orders

    async def place(self, client: Any, order: Order, wire_id: str) -> str:
        """`order/create`."""
        immediate = "IOC" if order.time_in_force is TimeInForce.IOC else "GTC"
        request: dict[str, Any] = {
            "category": _category(order.listing),
            "symbol": _name(order.listing),
            "side": order.side.value.capitalize(),
            "orderType": "Limit",
            "qty": format(order.quantity, "f"),
            "price": format(order.price, "f"),
            "timeInForce": "PostOnly" if order.post_only else immediate,
            "orderLinkId": wire_id,
            "smpType": "CancelTaker",
        }
        if order.reduce_only:
            request["reduceOnly"] = True
        told = await _result(client.private_post_v5_order_create(request))
        if told.raw("orderLinkId") != wire_id:
            raise another_order(self.venue, order.client_id, str(told.raw("orderLinkId")))
        return told.name("orderId")

    async def cancel(self, client: Any, listing: Listing, wire_id: str) -> None:
        """`order/cancel`: taken, not yet done."""
        request = {"category": _category(listing), "symbol": _name(listing), "orderLinkId": wire_id}
        await client.private_post_v5_order_cancel(request)

    async def amend(
        self, client: Any, listing: Listing, report: OrderReport, price: Decimal, quantity: Decimal
    ) -> None:
        """`order/amend`: taken, not yet done. `qty` is the order's after it, what has filled included."""
        request = {
            "category": _category(listing),
            "symbol": _name(listing),
            "orderId": report.venue_order_id,
            "qty": format(quantity, "f"),
            "price": format(price, "f"),
        }
        await client.private_post_v5_order_amend(request)

    async def cancel_all(self, client: Any) -> int:
        """Look what is open, and use the venue's mass cancel wherever something is, or nobody says."""
        seen: list[int] = []

        async def swept(scope: Mapping[str, str]) -> None:
            failure: Exception | None = None
            some = 0
            try:
                asked = {**scope, "openOnly": "0", "limit": _ORDERS_PAGE}
                answer = await _result(_hurried(client, "GET", "v5/order/realtime", asked))
                some = sum(1 for _ in answer.items("list"))
            except (ccxt.BaseError, VenueError) as error:
                failure = error
            seen.append(some)
            if failure is not None or some:
                await _hurried(client, "POST", "v5/order/cancel-all", scope)
            if failure is not None:
                raise failure

        await all_tried(map(swept, _SCOPES), lambda failure: not_found(self.venue, failure))
        return sum(seen)

    async def resting(self, client: Any) -> int:
        """`order/realtime` of every category."""
        return sum(map(len, await asyncio.gather(*(self._open(client, scope) for scope in _SCOPES))))

    async def refresh(self, client: Any, seconds: float) -> None:
        """`order/disconnected-cancel-all` of every product: half of the time, 3 to 300 seconds."""
        window = min(max(round(seconds / 2.0), 3), 300)
        for product in _PRODUCTS:
            await client.private_post_v5_order_disconnected_cancel_all(
                {"product": product, "timeWindow": window}
            )

    # ---------------------------------------------------------------------------------------------- questions

    async def order(self, client: Any, listing: Listing | None, wire_id: str) -> OrderReport | None:
        """`order/realtime`, which keeps what ended lately, then `order/history`."""
        scopes = _SCOPES
        if listing is not None:
            scopes = ({"category": _category(listing), "symbol": _name(listing)},)
        for ask in (client.private_get_v5_order_realtime, client.private_get_v5_order_history):
            for scope in scopes:
                try:
                    answer = await _result(ask({**scope, "orderLinkId": wire_id}))
                except ccxt.BaseError as error:
                    if not not_found(self.venue, error):
                        raise
                    continue
                for item in answer.items("list"):
                    if item.raw("orderLinkId") != wire_id:
                        raise another_order(self.venue, wire_id, str(item.raw("orderLinkId")))
                    return bybit.order_report(item, scope["category"])
        return None

    async def account(
        self, client: Any, listings: Mapping[str, Listing], account: str, since_ns: int | None, at_ns: int
    ) -> Account:
        """Category by category; executions reach back as far as the venue keeps them."""
        since_ns = None if since_ns is None else max(since_ns, at_ns - _REACH_NS)
        held = [dict(scope) for scope in _SCOPES if scope["category"] != "spot"]
        pending, positions, wallet, mode, fills, settled = await asyncio.gather(
            asyncio.gather(*(self._open(client, scope) for scope in _SCOPES)),
            asyncio.gather(*(self._positions(client, scope) for scope in held)),
            _result(client.private_get_v5_account_wallet_balance({"accountType": "UNIFIED"})),
            _result(client.private_get_v5_account_info()),
            asyncio.gather(*(self._fills(client, name, since_ns, at_ns) for name in _CATEGORIES)),
            asyncio.gather(*(self._deliveries(client, x, since_ns, at_ns) for x in _CATEGORIES[1:])),
        )
        rows = [row for part in positions for row in part]
        futures = [
            {**row, **({"settleCoin": scope["settleCoin"]} if "settleCoin" in scope else {})}
            for scope, part in zip(held, positions, strict=True)
            for row in part
            if scope["category"] != "option"
        ]
        known, strange = told_apart([i for part in fills for i in part], _symbol, "execId", listings)
        trades = [t for item in known if (t := bybit.execution(item, listings, account)) is not None]
        report = AccountReport(
            venue=self.venue,
            account=account,
            venue_ns=at_ns,
            orders=tuple(
                bybit.order_report(item, scope["category"])
                for scope, part in zip(_SCOPES, pending, strict=True)
                for item in part
            ),
            positions=bybit.positions(rows),
            balances=bybit.balances(wallet.raw("list"), futures, listings),
            margins=margins.bybit(wallet.raw("list"), mode.text("marginMode")),
            trades=tuple(sorted(trades, key=lambda t: (t.fill.time_ns, t.fill.trade_id))),
            since_ns=at_ns if since_ns is None else since_ns,
            deliveries={symbol: price for part in settled for symbol, price in part.items()},
            faults=_isolated(mode),
        )
        return Account(report, strange)

    async def _open(self, client: Any, scope: Mapping[str, str]) -> list[Wire]:
        asked = {**scope, "openOnly": "0", "limit": _ORDERS_PAGE}
        return await _all(client.private_get_v5_order_realtime, asked, "orders")

    async def _positions(self, client: Any, scope: Mapping[str, str]) -> list[Any]:
        asked = {**scope, "limit": _POSITIONS_PAGE}
        return [row.payload for row in await _all(client.private_get_v5_position_list, asked, "positions")]

    async def _fills(self, client: Any, category: str, since_ns: int | None, at_ns: int) -> list[Wire]:
        """Trades since, span by span; payments that come among them are no trades."""
        found: dict[str, Wire] = {}
        start = at_ns + 1 if since_ns is None else since_ns
        while start <= at_ns:
            asked = {
                "category": category,
                "startTime": str(start // NS_PER_MS),
                "endTime": str((start + _SPAN_NS) // NS_PER_MS),
                "limit": _FILLS_PAGE,
            }
            for item in await _all(client.private_get_v5_execution_list, asked, "executions"):
                if not bybit.is_payment(item):
                    found[item.name("execId")] = Wire({"category": category, **item.payload}, item.where)
            start += _SPAN_NS
        return list(found.values())

    async def _deliveries(
        self, client: Any, category: str, since_ns: int | None, at_ns: int
    ) -> dict[str, Decimal]:
        """At what the contracts held here that expired since then were settled."""
        if since_ns is None or not delivered_between(since_ns, at_ns):
            return {}
        asked = {"category": category, "startTime": str(told_from(since_ns) // NS_PER_MS), "limit": "50"}
        rows = await _all(client.private_get_v5_asset_delivery_record, asked, "deliveries")
        return {row.text("symbol"): row.above_zero("deliveryPrice") for row in rows}


def _with_rates(
    category: str, rows: Sequence[Wire], rates: Mapping[str, Fees], at_ns: int
) -> list[Instruments]:
    """Instruments, each with its own rate; those without one together, by the table."""
    by_rate: dict[Fees | None, list[Any]] = {}
    for row in rows:
        names = (row.raw("symbol"), row.raw("baseCoin") if category == "option" else None)
        fees = next((rates[n] for n in names if isinstance(n, str) and n in rates), None)
        by_rate.setdefault(fees, []).append(row.payload)
    found = []
    for fees, group in by_rate.items():

        def fees_of(_: Contract, fees: Fees | None = fees) -> Fees | None:
            return fees

        found.append(bybit.instruments(category, group, at_ns, fees_of))
    return found


def _category(listing: Listing) -> str:
    kind = listing.contract.kind
    if kind is Kind.SPOT:
        return "spot"
    if kind is Kind.OPTION:
        return "option"
    return "inverse" if listing.contract.inverse else "linear"


def _quick_spot(text: str) -> BookChange | None:
    """Pairs have names of ours."""
    change = quick_books.bybit(text)
    return None if change is None else change._replace(symbol=bybit.symbol_of("spot", change.symbol))


def _name(listing: Listing) -> str:
    """A symbol as the venue has it."""
    return listing.symbol.replace("/", "")


def _symbol(item: Wire) -> str:
    return bybit.symbol_of(item.text("category"), item.text("symbol"))


def _category_of(url: str) -> str:
    """Of a public stream's address; none for another's."""
    category = url.partition("#")[0].rpartition("/")[2]
    return category if category in _CATEGORIES else ""


def _isolated(info: Wire) -> tuple[str, ...]:
    """The fault of an account whose positions are margined one by one, of `account/info`."""
    mode = info.text("marginMode")
    words = f"margin mode {mode}, which no balance shows: set cross or portfolio margin"
    return () if mode in _CROSS_MODES else (words,)


def _texts(value: object) -> list[str]:
    return [x for x in value if isinstance(x, str)] if isinstance(value, list) else []


def _channel(url: str, topic: str, key: str, private: bool, book: str = "", together: int = 1) -> Channel:
    joins = {"op": "subscribe", "req_id": key, "args": [topic]}
    leaves = {"op": "unsubscribe", "req_id": f"-{key}", "args": [topic]}
    return Channel(url, key, joins, private, leaves, book, together)


async def _hurried(client: Any, verb: str, path: str, asked: Mapping[str, str]) -> Any:
    """A request of a kill. The library lets one mass cancel pass a second, the venue ten, and fifty looks: it
    would take five seconds over five categories."""
    return await client.request(path, ["private"], verb, dict(asked), config={"cost": 1})


async def _result(request: Any) -> Wire:
    """The `result` of an answer. Raises Malformed where there is none."""
    return Wire(await request, "bybit").nested("result")


async def _all(ask: Any, scope: Mapping[str, str], where: str) -> list[Wire]:
    """Every row of a list. Raises Untrusted where its pages do not end."""

    async def page(cursor: str) -> tuple[list[Wire], str]:
        answer = await _result(ask({**scope, **({"cursor": cursor} if cursor else {})}))
        return list(items(answer.raw("list"), where)), answer.text_or("nextPageCursor", "")

    return await every_page(page, where)
