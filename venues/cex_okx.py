"""OKX's requests and channels, v5, by its own endpoints: the library signs and paces them.

An order is acknowledged, not accepted: what became of it comes by the channel `orders`. There is no mass
cancel of ordinary orders: the kill lists what is open and cancels it in batches, until nothing is. The dead
man's timer counts in seconds here (the library's own method takes milliseconds: 10 of them switch it off).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Collection, Mapping, Sequence
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
    bundled,
    distinct,
    no_copies,
    told_apart,
)
from venues.cex_parse import not_found
from venues.deliveries import delivered_between, told_from
from venues.errors import Untrusted
from venues.order_checks import another_order
from venues.orders import AccountReport, Order, OrderReport, TimeInForce
from venues.part_ages import FieldAges
from venues.wire import book_forms, margins, okx, quick_books
from venues.wire.book_forms import BookForm
from venues.wire.deliveries import okx_bills
from venues.wire.fields import NS_PER_MS, Wire, items, only
from venues.wire.frames import Frame, each
from venues.wire.quick_books import ReadsText
from venues.wire.quotes import BookChange
from venues.wire.units import Instruments

_TYPES = ("SPOT", "SWAP", "FUTURES", "OPTION")
_PAGE, _PAGES_MAX = 100, 100
#: Channels in one message: the venue takes 480 messages an hour, and 64 KB in one.
_TOGETHER = 50
_BATCH = 20
#: A book without changes is told again after a minute.
_BOOK_SILENT_S_MAX = 90.0
#: The venue takes 300 cancels in two seconds; the library's own pace is for 300 batches.
_PAGES_AT_ONCE, _CANCELS_S = 3, 2.0
#: The venue lets the dead man's switch be set once a second.
_TIMER_S = 1.05
_RECENT_NS = 3 * 86_400 * 10**9  # `fills` and `bills` reach back so far at least, their histories 3 months
#: How a sentence names a channel.
_NAMED = re.compile(r"\b(channel|instType|instId|instFamily):([^,\s]+)")
_FEE_KEYS = {"USDT": ("makerU", "takerU"), "USDC": ("makerUSDC", "takerUSDC")}


def addresses(url: str) -> dict[str, Any]:
    """All of the library's addresses, at one address of ours, such as a loopback exchange."""
    return {"rest": url, "ws": url.replace("http", "ws", 1) + "/ws/v5"}


class Okx:
    """OKX. margin: how positions are margined, "cross" or "isolated"."""

    venue = okx.VENUE
    ages = FieldAges(mark_s=25.0, index_s=75.0, funding_s=240.0)
    options: Mapping[str, Any] = {"fetchCurrencies": False}
    order_rate = 30.0
    order_burst = 60
    question_burst: float | None = None
    dead_man_s: float | None = 45.0
    by_connection = False
    copies_books = False
    say_pause_s = 0.0  # the library's own pace is 110 ms
    keep_alive_s: float | None = None
    amends = True

    def __init__(self, margin: str = "cross") -> None:
        self._margin = margin

    # ------------------------------------------------------------------------------------------------ streams

    def private(self, client: Any) -> Sequence[Channel]:
        """Orders of every type; an execution comes with its order."""
        return [_channel(client, True, channel="orders", instType="ANY")]

    def public(self, client: Any, listings: Collection[Listing]) -> Sequence[Channel]:
        """Books and marks of each; vols by family, indices by underlying, funding of perpetuals."""
        found: list[Channel] = []
        for listing in listings:
            contract, symbol = listing.contract, listing.symbol
            book = _channel(client, False, channel="books", instId=symbol)
            found.append(book.telling("book", symbol, silent_s_max=_BOOK_SILENT_S_MAX))
            if contract.kind is Kind.SPOT:
                continue
            mark = _channel(client, False, channel="mark-price", instId=symbol)
            found.append(mark.telling("mark", symbol))
            quote = "USD" if contract.inverse else contract.settlement
            pair = f"{contract.underlying}-{quote}"
            index = _channel(client, False, channel="index-tickers", instId=pair)
            found.append(index.telling("index", contract.underlying))
            if contract.kind is Kind.OPTION:
                vols = _channel(client, False, channel="opt-summary", instFamily=pair)
                found.append(vols.telling("mark_iv", symbol))
            if contract.kind is Kind.PERPETUAL:
                rates = _channel(client, False, channel="funding-rate", instId=symbol)
                found.append(rates.telling("funding_rate", symbol))
        return distinct(found)

    async def summaries(self, client: Any, listings: Sequence[Listing], at_ns: int) -> Frame:
        """Touch, mark, vol and forward by family."""
        frame = Frame()
        for family in sorted({f"{x.contract.underlying}-USD" for x in listings}):
            asked = {"instType": "OPTION", "instFamily": family}
            told = {
                "tickers": client.public_get_market_tickers(asked),
                "mark-price": client.public_get_public_mark_price(asked),
                "opt-summary": client.public_get_public_opt_summary({"instFamily": family}),
            }
            for channel, request in told.items():
                each(frame, await _data(request), channel, lambda x, c=channel: okx.quote(c, x))  # type: ignore[misc]
        return frame

    def trades(self, client: Any, listings: Collection[Listing]) -> Sequence[Channel]:
        """`trades` of each."""
        return [_channel(client, False, channel="trades", instId=x.symbol) for x in listings]

    async def sign_in(self, client: Any, channel: Channel) -> Channel:
        """One signing in per connection."""
        await client.authenticate()
        return channel

    async def keep_alive(self, client: Any) -> None:
        """Never asked for."""

    async def maintenance(self, client: Any) -> tuple[tuple[int, int], ...]:
        """`system/status`: what is announced, and what has begun, in one request: the venue takes one in five
        seconds."""
        rows = items(await _data(client.public_get_system_status()), "status")
        return tuple((row.stamp_ns("begin"), row.stamp_ns("end")) for row in rows)

    async def copy_book(self, client: Any, listing: Listing, at_ns: int) -> BookChange:
        """Never needed. Raises VenueError."""
        raise no_copies(self.venue)

    def bundle(self, messages: Sequence[Mapping[str, Any]], number: int) -> Mapping[str, Any]:
        """`args`; each is answered by itself."""
        return bundled(messages, "args")

    def control(self, message: Any) -> bool:
        """That we are signed in, and pongs. Refusals are ours to judge: over one channel that the venue
        refuses the library gives up every other one of the connection."""
        return not isinstance(message, dict) or message.get("event") == "login"

    def followed(self, url: str) -> BookForm | None:
        """The channel `books`."""
        return book_forms.OKX

    def quick(self, url: str) -> ReadsText:
        """Of the channel `books`."""
        return quick_books.okx

    def read(self, url: str, message: Any, listings: Mapping[str, Listing], account: str) -> Heard:
        """One message. Raises Malformed where it is none."""
        if isinstance(message, str):  # "pong"
            return Heard(okx.read({}, {}))
        frame = okx.read(message, listings, account)
        if frame.refused is not None:
            return Heard(frame, refused=(_refused_key(message),), why=frame.refused)
        arg = message.get("arg")
        began = message.get("event") == "subscribe" and isinstance(arg, dict)
        return Heard(frame, (_key(arg),) if began else ())

    # --------------------------------------------------------------------------------------------- who we are

    async def time_ns(self, client: Any) -> int:
        """`public/time`."""
        row = only(await _data(client.public_get_public_time()), "time")
        return row.stamp_ns("ts")

    async def scopes(self, client: Any) -> tuple[str, ...]:
        """`account/config`, perm."""
        row = only(await _data(client.private_get_account_config()), "account config")
        return tuple(row.text("perm").split(","))

    async def prevents_self_trades(self, client: Any) -> bool:
        """`account/config`, acctStpMode: one of three that all do, for every account since March 2024."""
        row = only(await _data(client.private_get_account_config()), "account config")
        return row.text_or("acctStpMode", "") in ("cancel_maker", "cancel_taker", "cancel_both")

    async def fee_coin(self, client: Any) -> str:
        """What an order settles in pays its fee."""
        return ""

    async def account_faults(self, client: Any) -> tuple[str, ...]:
        """`account/config`, acctLv: 1 is spot alone; posMode: net, or two positions a contract; of what is
        held, `account/positions`, mgnMode: a position with a margin of its own is in no balance."""
        row = only(await _data(client.private_get_account_config()), "account config")
        level, mode, faults = row.text("acctLv"), row.text("posMode"), []
        if level not in ("2", "3", "4"):
            faults.append(f"account level {level}, which holds no derivatives: set futures mode or higher")
        if mode != "net_mode":
            faults.append(f"position mode {mode}, where a sale opens a second position: set net mode")
        return (*faults, *_isolated(await _data(client.private_get_account_positions())))

    # -------------------------------------------------------------------------------------------- instruments

    async def instruments(self, client: Any, signed: bool, at_ns: int) -> Instruments:
        """All four types; options by family, as the venue wants it."""
        rows: list[Any] = []
        for kind in ("SPOT", "SWAP", "FUTURES"):
            rows += await _data(client.public_get_public_instruments({"instType": kind}))
        families = await _data(client.public_get_public_underlying({"instType": "OPTION"}))
        for family in families[0] if families and isinstance(families[0], list) else []:
            rows += await _data(client.public_get_public_instruments({"instType": "OPTION", "uly": family}))
        fees_of = await self._fees(client) if signed else _nobody_said
        return okx.instruments(rows, at_ns, fees_of)

    async def _fees(self, client: Any) -> Callable[[Contract], Fees | None]:
        rates: dict[str, Wire] = {}
        for kind in _TYPES:
            for row in await _data(client.private_get_account_trade_fee({"instType": kind})):
                rates[kind] = Wire(row, f"trade-fee {kind}")

        def fees_of(contract: Contract) -> Fees | None:
            row = rates.get(
                {"PERPETUAL": "SWAP", "FUTURE": "FUTURES"}.get(contract.kind.name, contract.kind.name)
            )
            if row is None:
                return None
            linear = contract.kind in (Kind.PERPETUAL, Kind.FUTURE) and not contract.inverse
            maker, taker = _FEE_KEYS.get(contract.settlement, ("", "")) if linear else ("maker", "taker")
            if not (row.has(maker) and row.has(taker)):
                return None
            return Fees(-row.decimal(maker), -row.decimal(taker))  # negative where it is paid

        return fees_of

    # ------------------------------------------------------------------------------------------------- orders

    async def place(self, client: Any, order: Order, wire_id: str) -> str:
        """`trade/order`."""
        spot = order.listing.contract.kind is Kind.SPOT
        immediate = "ioc" if order.time_in_force is TimeInForce.IOC else "limit"
        request = {
            "instId": order.listing.symbol,
            "tdMode": "cash" if spot else self._margin,
            "side": order.side.value,
            "ordType": "post_only" if order.post_only else immediate,
            "sz": format(order.quantity, "f"),
            "px": format(order.price, "f"),
            "clOrdId": wire_id,
        }
        if order.reduce_only:
            request["reduceOnly"] = "true"
        row = only(await _data(client.private_post_trade_order(request)), "order")
        if row.raw("clOrdId") != wire_id:
            raise another_order(self.venue, order.client_id, str(row.raw("clOrdId")))
        return row.name("ordId")

    async def cancel(self, client: Any, listing: Listing, wire_id: str) -> None:
        """`trade/cancel-order`: taken, not yet done."""
        await client.private_post_trade_cancel_order({"instId": listing.symbol, "clOrdId": wire_id})

    async def amend(
        self, client: Any, listing: Listing, report: OrderReport, price: Decimal, quantity: Decimal
    ) -> None:
        """`trade/amend-order`: taken, not yet done. Without `cxlOnFail` the order stands where it is refused;
        `newSz` holds what has filled."""
        request = {
            "instId": listing.symbol,
            "ordId": report.venue_order_id,
            "newSz": format(quantity, "f"),
            "newPx": format(price, "f"),
        }
        await client.private_post_trade_amend_order(request)

    async def cancel_all(self, client: Any) -> int:
        """List what is open, and cancel it twenty at a time: a page's orders while the next page is asked."""
        work: list[asyncio.Future[Any]] = []
        pages = 0

        async def page(after: Mapping[str, str]) -> list[Any]:
            nonlocal pages
            if pages and pages % _PAGES_AT_ONCE == 0:
                await asyncio.sleep(_CANCELS_S)
            pages += 1
            rows = await _data(client.private_get_trade_orders_pending({"limit": str(_PAGE), **after}))
            asked = [
                {"instId": item.text("instId"), "ordId": item.name("ordId")} for item in items(rows, "orders")
            ]
            for start in range(0, len(asked), _BATCH):
                batch = asked[start : start + _BATCH]
                work.append(asyncio.ensure_future(client.private_post_trade_cancel_batch_orders(batch)))
            return rows

        try:
            return len(await _pages(page, "ordId"))
        finally:  # a page that did not come keeps no other from being cancelled
            await all_tried(work, lambda failure: not_found(self.venue, failure))

    async def resting(self, client: Any) -> int:
        """`trade/orders-pending`."""
        return len(await self._pending(client))

    async def refresh(self, client: Any, seconds: float) -> None:
        """`trade/cancel-all-after`, 10 to 120 seconds. The venue takes one a second (OKX v5, "cancel all
        after"): where a check has just set it, an engine that begins waits for its turn, once."""
        asked = {"timeOut": str(min(max(round(seconds), 10), 120))}
        try:
            await client.private_post_trade_cancel_all_after(asked)
        except ccxt.RateLimitExceeded:
            await asyncio.sleep(_TIMER_S)
            await client.private_post_trade_cancel_all_after(asked)

    # ---------------------------------------------------------------------------------------------- questions

    async def order(self, client: Any, listing: Listing | None, wire_id: str) -> OrderReport | None:
        """`trade/order` where the instrument is known, else among what is open and what is done."""
        if listing is not None:
            try:
                rows = await _data(
                    client.private_get_trade_order({"instId": listing.symbol, "clOrdId": wire_id})
                )
                return okx.order_report(only(rows, "order"))
            except ccxt.BaseError as error:
                if not not_found(self.venue, error):
                    raise
        found = _named(await self._pending(client), wire_id)
        for kind in _TYPES if listing is None else (_type_of(listing),):
            if found is None:
                found = _named(await self._ended(client, kind), wire_id)
        return None if found is None else okx.order_report(found)

    async def account(
        self, client: Any, listings: Mapping[str, Listing], account: str, since_ns: int | None, at_ns: int
    ) -> Account:
        """`account/positions`, `account/balance` and what `_pending` and `_fills` ask for."""
        pending, held, money, config, found, deliveries = await asyncio.gather(
            self._pending(client),
            _data(client.private_get_account_positions()),
            _data(client.private_get_account_balance()),
            _data(client.private_get_account_config()),
            self._fills(client, since_ns, at_ns),
            self._deliveries(client, since_ns, at_ns),
        )
        known, strange = told_apart(found, lambda x: x.text("instId"), "tradeId", listings)
        trades = [okx.execution(item, listings, account) for item in known]
        balances = okx.balances(money, held)
        report = AccountReport(
            venue=self.venue,
            account=account,
            venue_ns=at_ns,
            orders=tuple(okx.order_report(item) for item in pending),
            positions=okx.positions(held),
            balances=balances,
            margins=margins.okx(money, balances, only(config, "account config").text("acctLv")),
            trades=tuple(sorted(trades, key=lambda t: (t.fill.time_ns, t.fill.trade_id))),
            since_ns=at_ns if since_ns is None else since_ns,
            deliveries=deliveries,
            faults=_isolated(held),
        )
        return Account(report, strange)

    async def _deliveries(self, client: Any, since_ns: int | None, at_ns: int) -> dict[str, Decimal]:
        """At what the contracts held here that expired since then were settled: bills of type 3."""
        if since_ns is None or not delivered_between(since_ns, at_ns):
            return {}
        asked = {"type": "3", "begin": str(told_from(since_ns) // NS_PER_MS), "limit": str(_PAGE)}
        recent = since_ns >= at_ns - _RECENT_NS

        async def page(after: Mapping[str, str]) -> list[Any]:
            if recent:
                return await _data(client.private_get_account_bills({**asked, **after}))
            return await _data(client.private_get_account_bills_archive({**asked, **after}))

        return okx_bills([row.payload for row in await _pages(page, "billId")])

    async def _pending(self, client: Any) -> list[Wire]:
        async def page(after: Mapping[str, str]) -> list[Any]:
            return await _data(client.private_get_trade_orders_pending({"limit": str(_PAGE), **after}))

        return await _pages(page, "ordId")

    async def _ended(self, client: Any, kind: str) -> list[Wire]:
        """Of the last seven days: a page is no proof that the venue never had an order."""

        async def page(after: Mapping[str, str]) -> list[Any]:
            asked = {"instType": kind, "limit": str(_PAGE), **after}
            return await _data(client.private_get_trade_orders_history(asked))

        return await _pages(page, "ordId")

    async def _fills(self, client: Any, since_ns: int | None, at_ns: int) -> list[Wire]:
        if since_ns is None:
            return []
        begin = {"begin": str(since_ns // NS_PER_MS), "limit": str(_PAGE)}
        recent = since_ns >= at_ns - _RECENT_NS
        found: list[Wire] = []
        for kind in (None,) if recent else _TYPES:

            async def page(after: Mapping[str, str], kind: str | None = kind) -> list[Any]:
                if kind is None:
                    return await _data(client.private_get_trade_fills({**begin, **after}))
                return await _data(
                    client.private_get_trade_fills_history({"instType": kind, **begin, **after})
                )

            found += await _pages(page, "billId")
        return found


def _isolated(held: object) -> tuple[str, ...]:
    """The fault of the positions that are not margined with the rest, of `account/positions`."""
    rows = items(held, "positions")
    own = [row.text("instId") for row in rows if row.decimal("pos") and row.text("mgnMode") != "cross"]
    names = ", ".join(own[:5])
    words = f"isolated margin of {names}, which no balance shows: close it, or set it to cross"
    return (words,) if own else ()


def _named(found: Sequence[Wire], wire_id: str) -> Wire | None:
    """The order with an id of ours."""
    return next((item for item in found if item.raw("clOrdId") == wire_id), None)


def _type_of(listing: Listing) -> str:
    kind = listing.contract.kind.name
    return {"PERPETUAL": "SWAP", "FUTURE": "FUTURES"}.get(kind, kind)


def _nobody_said(_: Contract) -> Fees | None:
    return None


def _channel(client: Any, private: bool, **arg: str) -> Channel:
    url = client.get_url(arg["channel"], "private" if private else "public")
    book = arg["instId"] if arg["channel"] == "books" else ""
    farewell = {"op": "unsubscribe", "args": [arg]}
    return Channel(url, _key(arg), {"op": "subscribe", "args": [arg]}, private, farewell, book, _TOGETHER)


def _key(arg: Mapping[str, Any]) -> str:
    return ":".join(str(arg[k]) for k in ("channel", "instType", "instId", "instFamily") if arg.get(k))


def _refused_key(message: Mapping[str, Any]) -> str:
    """Which channel an error speaks of, by its `arg` or its sentence, as in "Wrong URL or
    channel:books,instId:BTC-USDT doesn't exist"; `UNNAMED` where it speaks of none."""
    arg = message.get("arg")
    if isinstance(arg, dict):
        return _key(arg)
    said = message.get("msg")
    return _key(dict(_NAMED.findall(said))) if isinstance(said, str) else UNNAMED


async def _data(request: Any) -> list[Any]:
    """The `data` of an answer.

    Raises:
        Malformed: there is none.
    """
    item = Wire(await request, "okx")
    data = item.raw("data")
    if not isinstance(data, list):
        item.refuse("data", "not a list", data, "a list")
    return data


async def _pages(page: Callable[[Mapping[str, str]], Any], key: str) -> list[Wire]:
    """Every row, from the newest back; a page that does not get on is refused, not passed over."""
    found: dict[str, Wire] = {}
    after: dict[str, str] = {}
    for _ in range(_PAGES_MAX):
        rows = list(items(await page(after), key))
        before = len(found)
        found.update((row.name(key), row) for row in rows)
        if len(rows) < _PAGE:
            return list(found.values())
        if len(found) == before:
            break
        after = {"after": rows[-1].name(key)}
    raise Untrusted("PAGES", "the venue's pages do not come to an end", where=key)
