"""Binance's requests, by its own endpoints: the library signs and paces them.

Three venues with one tongue: `binance` (spot and options, each with a wallet), `binanceusdm` and
`binancecoinm`. What they have in common are the traps. An order is named by its symbol and its id, so one
whose symbol nobody remembers has to be looked for symbol by symbol. Executions come by symbol too and name
the venue's order id alone: ours is looked up behind it. A client id may be used again once its first order
has ended, so it proves less here than elsewhere (`SentIds` keeps it from happening).

The dead man's timer counts down by symbol and covers futures alone: it is set for every symbol with an order
that rests, before the order leaves. Spot has none, options one by underlying; so `binance` claims none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import ccxt

from pricing.contracts import Contract, Fees, Kind, Listing
from venues.binance_names import INVERSE_VENUE, LINEAR_VENUE, SPOT_VENUE
from venues.cex_binance_deliveries import deliveries
from venues.cex_binance_streams import PRIVATE, PUBLIC, BinanceStreams, Part, part_of
from venues.cex_dialect import Account, Channel, Heard, all_tried, bundled, told_apart
from venues.cex_parse import not_found
from venues.errors import Untrusted
from venues.key_scopes import KNOWN
from venues.order_checks import another_order
from venues.orders import AccountMargin, AccountReport, Order, OrderReport, TimeInForce, TradeReport
from venues.part_ages import FieldAges
from venues.venue_table import VenueTable
from venues.wire import binance, book_forms, margins, quick_books
from venues.wire.book_forms import BookForm
from venues.wire.fields import NS_PER_MS, Wire, items
from venues.wire.frames import Frame, each
from venues.wire.quick_books import ReadsText
from venues.wire.quotes import BookChange
from venues.wire.units import Instruments, merged

_PARTS = {
    SPOT_VENUE: (Part.SPOT, Part.OPTION),
    LINEAR_VENUE: (Part.LINEAR,),
    INVERSE_VENUE: (Part.INVERSE,),
}
_PAGE, _PAGES_MAX = 1000, 50
#: A question about executions spans a day on spot at most and seven on futures, which is also what a start
#: without an end means; options are told of without an end. Older ones than the reach are not asked for.
#: Source: developers.binance.com, "Account Trade List" of each.
_DAY_NS = 86_400 * 10**9
_SPAN_NS = {Part.SPOT: _DAY_NS, Part.LINEAR: 7 * _DAY_NS, Part.INVERSE: 7 * _DAY_NS}
_REACH_NS = 28 * _DAY_NS
_COPY_LEVELS = 1000
_OPTION_LEVELS = 20
#: What a weight of the venue's costs in requests of ours, of which 1,200 leave in a minute by default, and a
#: burst. It lets an address pass 6,000 a minute on spot, 2,400 on futures, 400 on options (`exchangeInfo`,
#: rateLimits): half is for the account, half for the market; of options three quarters are for the market,
#: whose questions repeat, while the account's are as many as there are reports and orders to look for.
_MARKET_COST = {Part.SPOT: 0.45, Part.LINEAR: 1.1, Part.INVERSE: 1.1, Part.OPTION: 4.4}
_ACCOUNT_COST = {Part.SPOT: 0.45, Part.LINEAR: 1.1, Part.INVERSE: 1.1, Part.OPTION: 1.0}
#: Weights of what one request tells, where the interfaces differ.
_DEPTH = {Part.SPOT: 50, Part.LINEAR: 20, Part.INVERSE: 20, Part.OPTION: 1}
_LISTED = {Part.SPOT: 20, Part.LINEAR: 1, Part.INVERSE: 1, Part.OPTION: 1}
_OPEN = {Part.SPOT: 80, Part.LINEAR: 40, Part.INVERSE: 40, Part.OPTION: 40}
_TRADED = {Part.SPOT: 20, Part.LINEAR: 5, Part.INVERSE: 20, Part.OPTION: 5}
_ORDER = {Part.SPOT: 4, Part.LINEAR: 1, Part.INVERSE: 1, Part.OPTION: 1}
#: What stands among a key's rights and is a time.
_STAMPS = frozenset({"createTime", "tradingAuthorityExpirationTime"})
#: Orders whose client ids are remembered by the venue's id.
_IDS_MAX = 20_000


def addresses(url: str) -> dict[str, Any]:
    """All of the library's addresses, at one address of ours, such as a loopback exchange."""
    ws = url.replace("http", "ws", 1)
    rest = {f"{p}api{kind}": f"{url}/{p}api/v1" for p in "fde" for kind in ("Public", "Private")}
    rest |= {f"fapi{kind}V{n}": f"{url}/fapi/v{n}" for kind in ("Public", "Private") for n in (2, 3)}
    rest |= {"fapiData": f"{url}/fapi/data", "dapiData": f"{url}/dapi/data"}
    rest |= {"dapiPrivateV2": f"{url}/dapi/v2", "sapi": f"{url}/sapi/v1"}
    rest |= dict.fromkeys(("public", "private"), f"{url}/api/v3")
    orders = {"spot": f"{ws}/ws-api/v3", "linear": f"{ws}/ws-fapi/v1", "inverse": f"{ws}/ws-dapi/v1"}
    streams = {"spot": f"{ws}/spot/ws", "linear": f"{ws}/fstream/ws", "inverse": f"{ws}/dstream/ws"}
    options = {"option": "public", "optionMarket": "market", "optionPrivate": "private"}
    streams |= {name: f"{ws}/option/{part}/ws" for name, part in options.items()}
    return {**rest, "ws": {**streams, "ws-api": orders}}


class Binance:
    """One of the three venues."""

    options: Mapping[str, Any] = {"fetchCurrencies": False}
    order_rate = 10.0
    order_burst = 30
    question_burst: float | None = 100.0  # of a minute's 1,200
    by_connection = False
    copies_books = True
    say_pause_s = 0.5  # five messages a second on spot, ten elsewhere, pings among them
    keep_alive_s: float | None = 1_500.0
    #: Marks come every second; those of options that nobody subscribes to are asked for every 5 s.
    ages = FieldAges(mark_s=20.0, vol_s=20.0, forward_s=20.0, index_s=20.0, funding_s=20.0)

    def __init__(self, venue: str = LINEAR_VENUE) -> None:
        self.venue, self.parts = venue, _PARTS[venue]
        self.dead_man_s: float | None = None if venue == SPOT_VENUE else 45.0
        self.amends = venue != SPOT_VENUE  # options take none, spot a smaller size alone
        self._streams = BinanceStreams(venue, self.parts)
        self._watched: dict[str, Listing] = {}
        self._listed: dict[str, Listing] = {}
        self._used: dict[str, Listing] = {}
        self._armed: set[str] = set()
        self._timer_ms = 0
        self._client_ids: dict[str, str] = {}

    # ------------------------------------------------------------------------------------------------ streams

    def private(self, client: Any) -> Sequence[Channel]:
        """One stream per interface."""
        return self._streams.private()

    def public(self, client: Any, listings: Collection[Listing]) -> Sequence[Channel]:
        """Books and marks."""
        self._watched = {x.symbol: x for x in listings}
        return self._streams.public(client, listings)

    async def summaries(self, client: Any, listings: Sequence[Listing], at_ns: int) -> Frame:
        """`ticker` and `mark` of every option at once: the touch without sizes, the mark and its vol."""
        frame = Frame()
        if Part.OPTION in self.parts and listings:
            touches = await self._public(client, Part.OPTION, "ticker", {}, 5)
            each(frame, touches, "ticker", binance.option_ticker)
            marks = await self._public(client, Part.OPTION, "mark", {}, 5)
            each(frame, marks, "mark", lambda x: binance.option_mark_row(x, at_ns))
        return frame

    def trades(self, client: Any, listings: Collection[Listing]) -> Sequence[Channel]:
        """What others trade."""
        return self._streams.trades(client, listings)

    async def sign_in(self, client: Any, channel: Channel) -> Channel:
        """A listen key, or a signature."""
        return await self._streams.sign_in(client, channel)

    async def keep_alive(self, client: Any) -> None:
        """Listen keys end after an hour."""
        await self._streams.keep_alive(client)

    async def maintenance(self, client: Any) -> None:
        """No windows are announced this way."""

    async def copy_book(self, client: Any, listing: Listing, at_ns: int) -> BookChange:
        """`depth`."""
        part = part_of(listing)
        asked = {"symbol": listing.symbol, "limit": _OPTION_LEVELS if part is Part.OPTION else _COPY_LEVELS}
        result = await self._public(client, part, "depth", asked, _DEPTH[part])
        return binance.depth(listing.symbol, result, at_ns)

    def bundle(self, messages: Sequence[Mapping[str, Any]], number: int) -> Mapping[str, Any]:
        """`params`, under an `id`."""
        return bundled(messages, "params") | {"id": number}

    def control(self, message: Any) -> bool:
        """The library need not see any of it."""
        return False

    def followed(self, url: str) -> BookForm | None:
        """Changes of futures."""
        return book_forms.BINANCE

    def quick(self, url: str) -> ReadsText:
        """Of `depthUpdate` of futures."""
        return quick_books.binance

    def read(self, url: str, message: Any, listings: Mapping[str, Listing], account: str) -> Heard:
        """One message. Raises Malformed where it is none."""
        return self._streams.read(message, listings, account)

    async def time_ns(self, client: Any) -> int:
        """`time`."""
        now = Wire(await self._public(client, self.parts[0], "time", {}, 1), "time")
        return now.stamp_ns("serverTime")

    async def scopes(self, client: Any) -> tuple[str, ...]:
        """`account/apiRestrictions`: what is switched on. Of the words that move money each must be there:
        that one is missing is no word that it is off."""
        found = await client.request("account/apiRestrictions", ["sapi"], "GET", {}, config={"cost": 1})
        told = Wire(found, "apiRestrictions")
        rights = dict.fromkeys((*sorted(KNOWN[self.venue].moves_money), *told.payload))
        for key in rights:
            if key not in _STAMPS and not isinstance(told.raw(key), bool):
                told.refuse(key, "not true or false", told.raw(key), "true or false")
        return tuple(key for key in rights if told.raw(key) is True)

    async def prevents_self_trades(self, client: Any) -> bool | None:
        """Every order of spot and futures asks for it; options have no such word."""
        return None if Part.OPTION in self.parts else True

    async def fee_coin(self, client: Any) -> str:
        """BNB where a part pays with it: spot by `bnbBurn` of the wallet, USD-M by `feeBurn`; the other parts
        have no such word. Source: developers.binance.com, "Get BNB Burn Status"."""
        told: list[object] = []
        if Part.SPOT in self.parts:
            asked = await client.request("bnbBurn", ["sapi"], "GET", {}, config={"cost": 1})
            told.append(Wire(asked, "bnbBurn").raw("spotBNBBurn"))
        if Part.LINEAR in self.parts:
            asked = await self._ask(client, Part.LINEAR, "GET", "feeBurn", {}, 30)
            told.append(Wire(asked, "feeBurn").raw("feeBurn"))
        return "BNB" if any(x is not False for x in told) else ""

    async def account_faults(self, client: Any) -> tuple[str, ...]:
        """Of the futures `positionSide/dual`: two positions a contract, or one; `positionRisk`: what is
        margined by itself; `multiAssetsMargin`: whether losses in one asset are met from another."""
        faults: list[str] = []
        for part in self.parts:
            if part not in (Part.LINEAR, Part.INVERSE):
                continue
            told = Wire(await self._ask(client, part, "GET", "positionSide/dual", {}, 30), "positionSide")
            if told.raw("dualSidePosition") is not False:
                faults.append("hedge mode, where a sale opens a second position: set one-way mode")
            faults += self._isolated(await self._ask(client, part, "GET", "positionRisk", {}, 5))
            if part is Part.LINEAR:
                asked = await self._ask(client, part, "GET", "multiAssetsMargin", {}, 30)
                if Wire(asked, "multiAssetsMargin").raw("multiAssetsMargin") is not False:
                    faults.append("multi-assets mode, where balances are not what they say: set single-asset")
        return tuple(faults)

    def _isolated(self, risk: object) -> tuple[str, ...]:
        """The fault of symbols with a margin of their own, of `positionRisk`: where something is held, or of
        the coins that we trade."""
        coins = {currency for _, currency in VenueTable.load(self.venue).terms_by_product}
        found = []
        for row in items(risk, "positionRisk"):
            symbol, margin = row.text("symbol"), row.text("marginType").lower()
            listing = self._listed.get(symbol)
            ours = listing is not None and listing.contract.underlying in coins
            if margin not in ("cross", "crossed") and (ours or row.decimal("positionAmt")):
                found.append(symbol)
        names = ", ".join(found[:5])
        words = f"isolated margin of {names}, which no balance shows: set cross margin there"
        return (words,) if found else ()

    # -------------------------------------------------------------------------------------------- instruments

    async def instruments(self, client: Any, signed: bool, at_ns: int) -> Instruments:
        """`exchangeInfo` of every interface."""
        found: list[Instruments] = []
        for part in self.parts:
            info = Wire(await self._public(client, part, "exchangeInfo", {}, _LISTED[part]), "exchangeInfo")
            rows = info.raw("optionSymbols" if part is Part.OPTION else "symbols")
            told = await self._rates(client, part, rows) if signed else _nobody_said
            found.append(binance.instruments(self.venue, rows, at_ns, told))
        known = merged(found)
        self._listed = {x.symbol: x for x in known.listings}
        return known

    async def _rates(self, client: Any, part: Part, rows: object) -> Callable[[Contract], Fees | None]:
        """Spot has one rate for all. Futures are asked for by symbol, each dear: those of the venue table's
        coins alone. Options are charged by the table."""
        if part is Part.OPTION:
            return _nobody_said
        if part is Part.SPOT:
            account = await self._ask(client, part, "GET", "account", {}, 20)
            told = Wire(account, "account").nested("commissionRates")
            fees = Fees(told.decimal("maker"), told.decimal("taker"))
            return lambda _: fees
        coins = {currency for _, currency in VenueTable.load(self.venue).terms_by_product}
        perpetuals = [
            row
            for row in items(rows, "symbols")
            if row.raw("contractType") == "PERPETUAL" and row.raw("baseAsset") in coins
        ]
        rates: dict[tuple[str, str], Fees] = {}
        for row in perpetuals:
            asked = {"symbol": row.text("symbol")}
            told = Wire(await self._ask(client, part, "GET", "commissionRate", asked, 20), "commissionRate")
            rates[row.text("baseAsset"), row.text("marginAsset")] = Fees(
                told.decimal("makerCommissionRate"), told.decimal("takerCommissionRate")
            )
        return lambda contract: rates.get((contract.underlying, contract.settlement))

    # ------------------------------------------------------------------------------------------------- orders

    async def place(self, client: Any, order: Order, wire_id: str) -> str:
        """`order`."""
        part, listing = part_of(order.listing), order.listing
        self._used[listing.symbol] = listing
        immediate = order.time_in_force is TimeInForce.IOC
        if not immediate and self._timer_ms and listing.symbol not in self._armed:
            await self._arm(client, part, listing.symbol)
        request: dict[str, Any] = {
            "symbol": listing.symbol,
            "side": order.side.value.upper(),
            "type": "LIMIT",
            "timeInForce": "IOC" if immediate else "GTC",
            "quantity": format(order.quantity, "f"),
            "price": format(order.price, "f"),
            _ID_KEYS[part]: wire_id,
        }
        if order.post_only and part is Part.SPOT:
            request["type"] = "LIMIT_MAKER"
            del request["timeInForce"]
        elif order.post_only and part is Part.OPTION:
            request["postOnly"] = "true"
        elif order.post_only:
            request["timeInForce"] = "GTX"
        if part is not Part.OPTION:
            request["selfTradePreventionMode"] = "EXPIRE_TAKER"
        if order.reduce_only:
            request["reduceOnly"] = "true"
        told = Wire(await self._ask(client, part, "POST", "order", request, 1), "order")
        if (told.raw("clientOrderId"), told.raw("symbol")) != (wire_id, listing.symbol):
            observed = f"{told.raw('clientOrderId')} {told.raw('symbol')}"
            raise another_order(self.venue, order.client_id, observed)
        self._remember(told.name("orderId"), wire_id)
        return told.name("orderId")

    async def cancel(self, client: Any, listing: Listing, wire_id: str) -> None:
        """`order` with DELETE."""
        part = part_of(listing)
        asked = {"symbol": listing.symbol, _NAMED_BY[part]: wire_id}
        await self._ask(client, part, "DELETE", "order", asked, 1)

    async def amend(
        self, client: Any, listing: Listing, report: OrderReport, price: Decimal, quantity: Decimal
    ) -> None:
        """`order` with PUT: price and quantity both, the latter with what has filled. The venue ends an order
        that is amended to no more than has filled, and a post-only one that would take."""
        request = {
            "symbol": listing.symbol,
            "side": report.side.value.upper(),
            "orderId": report.venue_order_id,
            "quantity": format(quantity, "f"),
            "price": format(price, "f"),
        }
        await self._ask(client, part_of(listing), "PUT", "order", request, 1)

    async def cancel_all(self, client: Any) -> int:
        """Look what is open, and cancel it by symbol, which is how the venue does it."""
        seen: list[int] = []

        async def swept(part: Part) -> None:
            found = await self._open(client, part, hurried=True)
            seen.append(len(found))
            symbols = dict.fromkeys(item.text("symbol") for item in found)
            await all_tried(
                (self._ask(client, part, "DELETE", _CANCEL_ALL[part], {"symbol": s}, 1) for s in symbols),
                lambda failure: not_found(self.venue, failure),
            )

        await all_tried(map(swept, self.parts), lambda failure: False)
        return sum(seen)

    async def resting(self, client: Any) -> int:
        """`openOrders` of every interface."""
        open_orders = (self._open(client, part, hurried=True) for part in self.parts)
        return sum(map(len, await asyncio.gather(*open_orders)))

    async def refresh(self, client: Any, seconds: float) -> None:
        """`countdownCancelAll` of every symbol where an order rests. Where none does, of one symbol: there is
        nothing there to cancel, and the venue has said whether it takes timers from us."""
        self._timer_ms = round(seconds * 1000)
        (part,) = self.parts
        resting = sorted({item.text("symbol") for item in await self._open(client, part)})
        lasting = min(
            self._listed.values(), key=lambda x: x.contract.kind is not Kind.PERPETUAL, default=None
        )
        self._armed = set()
        for symbol in resting or ([] if lasting is None else [lasting.symbol]):
            await self._arm(client, part, symbol)

    async def _arm(self, client: Any, part: Part, symbol: str) -> None:
        asked = {"symbol": symbol, "countdownTime": str(self._timer_ms)}
        await self._ask(client, part, "POST", "countdownCancelAll", asked, 10)
        self._armed.add(symbol)

    # ---------------------------------------------------------------------------------------------- questions

    async def order(self, client: Any, listing: Listing | None, wire_id: str) -> OrderReport | None:
        """`order` by symbol and id; without a symbol, what is open and then every symbol that it may be."""
        if listing is None:
            for part in self.parts:
                for item in await self._open(client, part):
                    if item.raw("clientOrderId") == wire_id:
                        return binance.order_report(item)
        candidates = (listing,) if listing is not None else await self._candidates(client)
        for candidate in candidates:
            part = part_of(candidate)
            asked = {"symbol": candidate.symbol, _NAMED_BY[part]: wire_id}
            try:
                answer = await self._ask(client, part, "GET", "order", asked, _ORDER[part])
            except ccxt.BaseError as error:
                if not not_found(self.venue, error):
                    raise
                continue
            return binance.order_report(Wire(answer, "order"))
        return None

    async def _candidates(self, client: Any) -> list[Listing]:
        """What an order may have been for: whatever is followed, was used, or is held; else all that is
        listed."""
        if not self._watched:
            return list(self._listed.values())
        held = {s for part in self.parts for s in (await self._held(client, part))[0]}
        known = self._watched | self._used | {s: self._listed[s] for s in held if s in self._listed}
        return list(known.values())

    async def account(
        self, client: Any, listings: Mapping[str, Listing], account: str, since_ns: int | None, at_ns: int
    ) -> Account:
        """Part by part; executions since 0 are the newest page of each symbol."""
        since_ns = max(since_ns, at_ns - _REACH_NS) if since_ns else since_ns
        pending: list[OrderReport] = []
        positions: dict[str, Decimal] = {}
        balances: dict[str, Decimal] = {}
        told: dict[str, AccountMargin] = {}
        free: Mapping[str, float] | None = None
        trades: list[TradeReport] = []
        settled: dict[str, Decimal] = {}
        strange: tuple[str, ...] = ()
        faults: tuple[str, ...] = ()
        for part in self.parts:
            rows, (held, wrong), money = await asyncio.gather(
                self._open(client, part), self._held(client, part), self._money(client, part)
            )
            pending += [binance.order_report(row) for row in rows]
            positions |= held
            faults += wrong
            told |= money.margins
            free = money.cash if free is None else free
            for currency, amount in money.balances.items():
                balances[currency] = balances.get(currency, Decimal(0)) + amount
            symbols = {row.text("symbol") for row in rows} | held.keys()
            symbols |= {s for s, x in (self._used | self._watched).items() if part_of(x) is part}
            symbols |= {s for s, x in listings.items() if part is Part.SPOT and _held_pair(x, money.balances)}
            found = await self._fills(client, part, sorted(symbols), since_ns, at_ns)
            known, others = told_apart(found, lambda x: x.text("symbol"), _TRADE_ID[part], listings)
            strange += others
            read = binance.option_execution if part is Part.OPTION else binance.execution
            ids = await self._ids_of(client, part, known)
            trades += [read(item, ids, listings, account) for item in known]
            settled |= await deliveries(client, part, listings, since_ns, at_ns)
        report = AccountReport(
            venue=self.venue,
            account=account,
            venue_ns=at_ns,
            orders=tuple(pending),
            positions=positions,
            balances=balances,
            trades=tuple(sorted(trades, key=lambda t: (t.fill.time_ns, t.fill.trade_id))),
            since_ns=at_ns if since_ns is None else since_ns,
            deliveries=settled,
            faults=faults,
            margins=told,
            cash=free,
        )
        return Account(report, strange)

    async def _open(self, client: Any, part: Part, hurried: bool = False) -> list[Wire]:
        """hurried: at less than the venue counts, where a kill must not wait for it."""
        weight = 1 if hurried else _OPEN[part]
        return list(items(await self._ask(client, part, "GET", "openOrders", {}, weight), "openOrders"))

    async def _held(self, client: Any, part: Part) -> tuple[dict[str, Decimal], tuple[str, ...]]:
        """Positions, and what is wrong with how they are margined."""
        if part is Part.SPOT:
            return {}, ()
        if part is Part.OPTION:
            return binance.option_positions(await self._ask(client, part, "GET", "position", {}, 5)), ()
        risk = await self._ask(client, part, "GET", "positionRisk", {}, 5)
        return binance.positions(risk), self._isolated(risk)

    async def _money(self, client: Any, part: Part) -> _Money:
        if part is Part.SPOT:
            told = Wire(await self._ask(client, part, "GET", "account", {}, 20), "account").raw("balances")
            return _Money(binance.spot_balances(told), cash=margins.binance_cash(told))
        if part is Part.OPTION:
            told = Wire(await self._ask(client, part, "GET", "marginAccount", {}, 3), "marginAccount").raw(
                "asset"
            )
            return _Money(binance.option_balances(told), margins.binance_options(told))
        balances = binance.futures_balances(await self._ask(client, part, "GET", "balance", {}, 5))
        if part is Part.INVERSE:
            account = await self._ask(client, part, "GET", "account", {}, 5)
            return _Money(balances, margins.binance_coinm(account))
        # Of the versions of this answer the second alone says whether all assets are one pool.
        config = {"cost": 5 * _ACCOUNT_COST[part]}
        account = await client.request("account", ["fapiPrivateV2"], "GET", {}, config=config)
        return _Money(balances, margins.binance_usdm(account))

    async def _fills(
        self, client: Any, part: Part, symbols: Sequence[str], since_ns: int | None, at_ns: int
    ) -> list[Wire]:
        """Executions since, symbol by symbol (options: all at once); of 0, the newest page."""
        found: list[Wire] = []
        if since_ns is None:
            return found
        for scope in [{}] if part is Part.OPTION else [{"symbol": s} for s in symbols]:
            for begin_ns, end_ns in _windows(part, since_ns, at_ns):
                found += await self._fills_within(client, part, scope, begin_ns, end_ns)
        return [row for row in found if row.stamp_ns("time") >= since_ns]

    async def _fills_within(
        self, client: Any, part: Part, scope: Mapping[str, str], begin_ns: int, end_ns: int | None
    ) -> Iterable[Wire]:
        """Executions of one span, oldest first, a page after the other: each from the last one's time on, as
        a number and a time are not taken together, and a number alone means the last days only."""
        path = "myTrades" if part is Part.SPOT else "userTrades"
        until = {} if end_ns is None else {"endTime": str(end_ns // NS_PER_MS)}
        seen: dict[str, Wire] = {}
        for _ in range(_PAGES_MAX):
            since = {"startTime": str(begin_ns // NS_PER_MS)} if begin_ns else {}
            asked = {"limit": _PAGE, **scope, **since, **until}
            rows = list(items(await self._ask(client, part, "GET", path, asked, _TRADED[part]), path))
            before = len(seen)
            seen.update((f"{row.text('symbol')}:{row.name(_TRADE_ID[part])}", row) for row in rows)
            if len(rows) < _PAGE or not begin_ns:
                return seen.values()
            if len(seen) == before:
                break
            begin_ns = max(row.stamp_ns("time") for row in rows)
        raise Untrusted("PAGES", "the venue's pages do not come to an end", where=path)

    async def _ids_of(self, client: Any, part: Part, fills: Sequence[Wire]) -> Mapping[str, str]:
        """Our ids by the venue's, which is all that executions name; of no order, no id."""
        wanted = {row.name("orderId"): row.text("symbol") for row in fills}
        for order_id, symbol in wanted.items():
            if order_id in self._client_ids:
                continue
            asked = {"symbol": symbol, "orderId": order_id}
            try:
                told = Wire(await self._ask(client, part, "GET", "order", asked, _ORDER[part]), "order")
            except ccxt.BaseError as error:
                if not not_found(self.venue, error):
                    raise
                continue
            if told.name("orderId") != order_id:
                raise another_order(self.venue, order_id, told.name("orderId"))
            self._remember(order_id, binance.order_report(told).client_id)
        return self._client_ids

    def _remember(self, order_id: str, client_id: str) -> None:
        self._client_ids[order_id] = client_id
        if len(self._client_ids) > _IDS_MAX:
            del self._client_ids[next(iter(self._client_ids))]

    async def _public(self, client: Any, part: Part, path: str, asked: Mapping[str, Any], weight: int) -> Any:
        """weight: as the venue counts it."""
        cost = weight * _MARKET_COST[part]
        return await client.request(path, [PUBLIC[part]], "GET", dict(asked), config={"cost": cost})

    async def _ask(
        self, client: Any, part: Part, verb: str, path: str, asked: Mapping[str, Any], weight: int
    ) -> Any:
        """weight: as the venue counts it."""
        cost = weight * _ACCOUNT_COST[part]
        return await client.request(path, [PRIVATE[part]], verb, dict(asked), config={"cost": cost})


@dataclass(frozen=True, slots=True)
class _Money:
    """What a part's wallet holds: balances as booked; margins and cash as in `AccountReport`."""

    balances: Mapping[str, Decimal]
    margins: Mapping[str, AccountMargin] = field(default_factory=dict)
    cash: Mapping[str, float] | None = None


_ID_KEYS = {Part.OPTION: "clientOrderId"} | dict.fromkeys(
    (Part.SPOT, Part.LINEAR, Part.INVERSE), "newClientOrderId"
)
_NAMED_BY = {Part.OPTION: "clientOrderId"} | dict.fromkeys(
    (Part.SPOT, Part.LINEAR, Part.INVERSE), "origClientOrderId"
)
_CANCEL_ALL = {Part.SPOT: "openOrders"} | dict.fromkeys(
    (Part.LINEAR, Part.INVERSE, Part.OPTION), "allOpenOrders"
)
_TRADE_ID = {Part.OPTION: "tradeId"} | dict.fromkeys((Part.SPOT, Part.LINEAR, Part.INVERSE), "id")


def _held_pair(listing: Listing, cash: Mapping[str, Decimal]) -> bool:
    """A pair whose coin is held may have been traded by somebody else."""
    return part_of(listing) is Part.SPOT and listing.contract.underlying in cash


def _nobody_said(_: Contract) -> Fees | None:
    return None


def _windows(part: Part, since_ns: int, at_ns: int) -> Iterator[tuple[int, int | None]]:
    """From when to when to ask for executions, one question's span after the other; the last has no end: what
    happens meanwhile is in it."""
    begin_ns, span_ns = since_ns, _SPAN_NS.get(part)
    while span_ns is not None and begin_ns and begin_ns + span_ns <= at_ns:
        yield begin_ns, begin_ns + span_ns - NS_PER_MS
        begin_ns += span_ns
    yield begin_ns, None
