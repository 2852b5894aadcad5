"""The account side of Deribit over one signed-in session: orders out, and the truth about orders when asked.

`label` is our client id. Deribit does not care whether it was used before: a label sent twice is two orders.
So an id leaves at most once from here, and whatever cannot be said to have failed is UNKNOWN and asked after.

"Recent" questions of Deribit reach back 30 minutes for orders and a day for executions. That an order is not
among them is no proof alone: executions that carry its label are looked for as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from typing import Any, TypeVar

from pricing.contracts import Listing
from pricing.daycount import NS_PER_SECOND
from venues.clock_offset import offset_ns
from venues.deliveries import delivered_between, told_from
from venues.deribit_session import DeribitSession
from venues.errors import Ambiguous, Locked, Malformed, Unreachable, Untrusted, VenueError
from venues.json_rpc import NoAnswer, NotSent, RpcError
from venues.order_checks import (
    ALREADY_DONE,
    amend_refused,
    another_order,
    check_amendment,
    refusal,
    refused_here,
    wire_number,
)
from venues.orders import (
    AccountReport,
    Order,
    OrderReport,
    OrderState,
    OrderUpdate,
    TimeInForce,
    TradeReport,
)
from venues.sent_ids import SentIds
from venues.wire import deribit as wire
from venues.wire import margins
from venues.wire.fields import NS_PER_MS, Wire, items
from venues.wire.rejects import (
    DUPLICATE,
    NOT_FOUND,
    Reason,
    judge_submit,
    key_refused,
    says_not_found,
    too_fast,
)

T = TypeVar("T")

NOT_CONNECTED = "not_connected"
TIMED_OUT = "timed_out"
#: Older executions are kept in another place, from some minutes after they happened.
_RECENT_NS = 23 * 3600 * NS_PER_SECOND
_PAGE = 1000
_PAGES_MAX = 200
#: The newest deliveries of a currency that are asked for: more positions than that expire on no day.
_DELIVERIES = 1000
#: An order that nobody finds is looked for among the executions of so long before.
_LOOK_BACK_NS = 6 * 3600 * NS_PER_SECOND
#: Executions are asked for until so long after the venue's clock was read: those of meanwhile come, too, and
#: those that it stamped before its clock was set back.
_MARGIN_MS = 600_000
_TIMES = {TimeInForce.GTC: "good_til_cancelled", TimeInForce.IOC: "immediate_or_cancel"}

ListingOf = Callable[[str], Awaitable[Listing | None]]


class DeribitAccount:
    """One account. listings: what trades now, by symbol. listing_of: finds one that does not trade any more;
    None: a combo, whose legs are reported by themselves."""

    def __init__(
        self,
        session: DeribitSession,
        listings: Mapping[str, Listing],
        listing_of: ListingOf,
        account: str = "",
    ) -> None:
        self._session, self._listings, self._listing_of = session, listings, listing_of
        self._account = account
        self._sent = SentIds()

    def note(self, update: OrderUpdate) -> None:
        """Remember the venue's id of an order that was heard of."""
        if update.venue_order_id:
            self._sent.name(update.client_id, update.venue_order_id)

    # --------------------------------------------------------------------------------------------- orders out

    async def submit(self, order: Order) -> tuple[OrderUpdate, list[object]]:
        """Send an order once. What became of it, and its executions as the reply carries them."""
        refused = refused_here(order, self._listings.get(order.listing.symbol))
        amount, price = wire_number(order.quantity), wire_number(order.price)
        if refused is None and (amount is None or price is None):
            refused = refusal(order, Reason.ARGUMENTS, "more than 15 digits")
        if order.client_id in self._sent:
            text = "this id has been sent; nothing left this time"
            return OrderUpdate(order.client_id, OrderState.UNKNOWN, code=DUPLICATE, text=text), []
        if refused is not None:
            return refused, []
        params: dict[str, Any] = {
            "instrument_name": order.listing.symbol,
            "amount": amount,
            "type": "limit",
            "price": price,
            "label": order.client_id,
            "time_in_force": _TIMES[order.time_in_force],
        }
        if order.post_only:
            params |= {"post_only": True, "reject_post_only": True}
        if order.reduce_only:
            params["reduce_only"] = True
        self._sent.add(order.client_id, order.listing, order.side)
        try:
            answer = await self._session.call(f"private/{order.side.value}", params)
            item = Wire(answer, "answer")
            update, told = wire.order_update(item.raw("order")), wire.order_report(item.raw("order"))
            trades = item.raw("trades")
            _check_taken(order, told)
        except NotSent as error:
            self._sent.never_left(order.client_id)
            return refusal(order, NOT_CONNECTED, error.what), []
        except Locked as error:
            self._sent.never_left(order.client_id)
            return refusal(order, Reason.KEY, error.what), []
        except RpcError as error:
            return _judged(order, error), []
        except VenueError as error:  # no answer, or one that makes no sense: it may be there
            code = TIMED_OUT if isinstance(error, NoAnswer) else error.code
            return OrderUpdate(order.client_id, OrderState.UNKNOWN, code=code, text=error.text()[:300]), []
        self.note(update)
        return update, trades if isinstance(trades, list) else []

    async def cancel(self, client_id: str) -> OrderUpdate:
        """Ask for an order to be cancelled."""
        try:
            venue_id = self._sent.venue_id(client_id)
            if venue_id is None:
                reports = await self._labelled(client_id)
                if not reports:
                    return OrderUpdate(client_id, OrderState.UNKNOWN, code=NOT_FOUND)
                updates = [
                    r.as_update() if r.state.terminal else await self._cancel_one(client_id, r.venue_order_id)
                    for r in reports
                ]
                return updates[0] if len(updates) == 1 else _several(client_id, len(updates))
            return await self._cancel_one(client_id, venue_id)
        except NotSent:
            return OrderUpdate(client_id, OrderState.UNKNOWN, code=NOT_CONNECTED)
        except NoAnswer:
            return OrderUpdate(client_id, OrderState.UNKNOWN, code=TIMED_OUT)
        except VenueError as error:
            return OrderUpdate(client_id, OrderState.UNKNOWN, code=error.code, text=error.text()[:300])

    async def _cancel_one(self, client_id: str, venue_id: str) -> OrderUpdate:
        try:
            answer = await self._session.call("private/cancel", {"order_id": venue_id})
        except RpcError as error:
            if not says_not_found("deribit", error.number):
                return OrderUpdate(client_id, OrderState.UNKNOWN, venue_id, code=_code(error))
            answer = await self._session.call("private/get_order_state", {"order_id": venue_id})
        report = wire.order_report(answer)
        if report.venue_order_id != venue_id:
            raise another_order(wire.VENUE, client_id, f"{venue_id} {report.venue_order_id}")
        self._check_same(client_id, report)
        return wire.order_update(answer)

    async def amend(
        self, client_id: str, price: Decimal, quantity: Decimal
    ) -> tuple[OrderUpdate, list[object]]:
        """Give a resting order another price and size. What it is then, and the executions in the reply.

        What an edit does not say about post-only and reduce-only the venue need not keep: both are said as
        they stand at the order. `amount` holds what has filled.

        Raises:
            Refused: it was not changed. VenueError: nothing was sent.
        """
        found = await self.order(client_id)
        if found is None:
            return OrderUpdate(client_id, OrderState.UNKNOWN, code=NOT_FOUND), []
        item, before = await self._asked(self._state(client_id, found.venue_order_id))
        if before.state.terminal:
            return before.as_update(ALREADY_DONE), []
        check_amendment(before, self._listings.get(before.symbol), price, quantity)
        if (before.price, before.quantity) == (price, quantity):
            return before.as_update(), []
        amount, wired = wire_number(quantity), wire_number(price)
        if amount is None or wired is None:
            raise amend_refused(client_id, Reason.ARGUMENTS, "more than 15 digits")
        post_only = item.flag("post_only")
        params: dict[str, Any] = {
            "order_id": before.venue_order_id,
            "amount": amount,
            "price": wired,
            "post_only": post_only,
            "reduce_only": item.flag("reduce_only"),
        }
        if post_only:
            params["reject_post_only"] = True
        try:
            answer = Wire(await self._session.call("private/edit", params), "answer")
            update, told = wire.order_update(answer.raw("order")), wire.order_report(answer.raw("order"))
            self._check_same(client_id, told)
            if (told.venue_order_id, told.price, told.quantity) != (before.venue_order_id, price, quantity):
                observed = f"{told.venue_order_id}: {told.quantity} at {told.price}"
                raise another_order(wire.VENUE, client_id, observed)
            trades = answer.raw("trades")
        except (NotSent, Locked):
            raise
        except RpcError as error:
            return await self._not_amended(before, error), []
        except VenueError as error:  # no answer, or one that makes no sense: it may be done
            code = TIMED_OUT if isinstance(error, NoAnswer) else error.code
            return OrderUpdate(client_id, OrderState.UNKNOWN, code=code, text=error.text()[:300]), []
        return update, trades if isinstance(trades, list) else []

    async def _not_amended(self, before: OrderReport, error: RpcError) -> OrderUpdate:
        """What an order is whose amendment was answered with an error.

        Raises:
            Refused: as it was.
        """
        client_id, verdict = before.client_id, judge_submit("deribit", error.number, error.message)
        gone = says_not_found("deribit", error.number)
        text = f"deribit {error.number} {error.message} {error.detail}".rstrip()[:300]
        unknown = OrderUpdate(client_id, OrderState.UNKNOWN, code=verdict.code, text=text)
        if verdict.state is not OrderState.REJECTED and not gone:
            return unknown
        try:
            _, report = await self._asked(self._state(client_id, before.venue_order_id))
        except VenueError:
            return unknown
        if report.state.terminal:
            return report.as_update(ALREADY_DONE)
        same = (report.price, report.quantity) == (before.price, before.quantity)
        if gone or not same:
            return unknown
        raise amend_refused(client_id, verdict.code, text)

    async def _state(self, client_id: str, venue_id: str) -> tuple[Wire, OrderReport]:
        """An order as the venue has it now, its own words and ours."""
        answer = await self._session.call("private/get_order_state", {"order_id": venue_id})
        report = wire.order_report(answer)
        if report.venue_order_id != venue_id:
            raise another_order(wire.VENUE, client_id, f"{venue_id} {report.venue_order_id}")
        self._check_same(client_id, report)
        return Wire(answer, "order"), report

    def _check_same(self, client_id: str, report: OrderReport) -> None:
        """That an answer is about the order that was asked after: what is said of another proves nothing."""
        same = self._sent.is_of(client_id, report.symbol, report.side)
        if report.client_id != client_id or not same:
            raise another_order(wire.VENUE, client_id, f"{report.client_id} {report.symbol} {report.side}")

    async def cancel_all(self) -> None:
        """Cancel every order of the account, combos and triggers included.

        Raises:
            NotSent: it did not leave. Ambiguous: nobody can say.
        """
        try:
            await self._session.call("private/cancel_all", {})
        except RpcError as error:
            raise Ambiguous(
                "CANCEL_ALL", "the venue did not do it", observed=f"{error.number} {error.message}"
            ) from None

    # ---------------------------------------------------------------------------------------------- questions

    async def resting(self) -> int:
        """How many orders are open, triggers and combos included, read or not.

        Raises:
            Unreachable: no answer. Untrusted: no sense in it.
        """
        return len(_list(await self._asked(self._session.call("private/get_open_orders", {}))))

    async def order(self, client_id: str) -> OrderReport | None:
        """One order as the venue knows it; None where neither orders nor executions know it.

        Raises:
            Unreachable: no answer. Ambiguous: more than one order carries the id. Untrusted: no sense in it.
        """
        reports = await self._asked(self._labelled(client_id))
        if len(reports) == 1:
            return reports[0]
        if reports:
            raise Ambiguous(
                "LABEL_TWICE", "more than one order carries this id", observed=f"{client_id}: {len(reports)}"
            )
        at_ns = await self._asked(self._venue_ns())
        since_ns = max(at_ns - _LOOK_BACK_NS, 0)
        found = await self._asked(self._trades(since_ns, at_ns, self._currencies(client_id)))
        if any(trade.client_id == client_id for trade in found):
            raise Ambiguous(
                "ORDER_WITHOUT_STATE", "executions know this order, orders do not", observed=client_id
            )
        return None

    async def self_trading_mode(self) -> str:
        """The venue's word for what it does with two orders of ours that meet; "" where it has none.

        Raises:
            Unreachable: no answer. Untrusted: no sense in it.
        """
        asked = self._session.call("private/get_account_summaries", {"extended": True})
        return Wire(await self._asked(asked), "get_account_summaries").text_or("self_trading_reject_mode", "")

    async def account(self, since_ns: int | None) -> AccountReport:
        """Orders, positions, balances, and the executions since; None: without executions.

        Raises:
            Unreachable: a question got no answer. Untrusted: one got an answer without sense.
        """
        return await self._asked(self._report(since_ns))

    async def _report(self, since_ns: int | None) -> AccountReport:
        # The stamp comes first: what happens while we ask is later than the report, never earlier.
        apart_ns, at_ns = await offset_ns(self._venue_ns, self._session.now_ns)
        orders, held, summaries, trades, deliveries = await asyncio.gather(
            self._session.call("private/get_open_orders", {}),
            self._session.call("private/get_positions", {"currency": "any"}),
            self._session.call("private/get_account_summaries", {}),
            self._trades(since_ns, at_ns, self._all_currencies()),
            self._deliveries(since_ns, at_ns),
        )
        currencies = Wire(summaries, "get_account_summaries").raw("summaries")
        return AccountReport(
            venue=wire.VENUE,
            account=self._account,
            venue_ns=at_ns,
            orders=tuple(wire.order_report(order) for order in _list(orders)),
            positions=wire.positions(held),
            balances=wire.balances(currencies),
            margins=margins.deribit(currencies),
            trades=tuple(sorted(trades, key=lambda t: (t.fill.time_ns, t.fill.trade_id))),
            since_ns=at_ns if since_ns is None else since_ns,
            deliveries=deliveries,
            clock_offset_ns=apart_ns,
        )

    async def _venue_ns(self) -> int:
        """The venue's clock, UTC ns: ours may be behind it, by more than anybody would allow for."""
        at_ms = await self._session.call("public/get_time", {})
        return Wire({"time": at_ms}, "get_time").stamp_ns("time")

    async def _deliveries(self, since_ns: int | None, at_ns: int) -> dict[str, Decimal]:
        """At what the contracts held here that expired since then were settled."""
        found: dict[str, Decimal] = {}
        if since_ns is None or not delivered_between(since_ns, at_ns):
            return found
        for currency in self._all_currencies():
            params = {"currency": currency, "type": "delivery", "count": _DELIVERIES}
            answer = await self._session.call("private/get_settlement_history_by_currency", params)
            for item in Wire(answer, "settlement_history").items("settlements"):
                if item.stamp_ns("timestamp") >= told_from(since_ns):
                    found[item.text("instrument_name")] = item.above_zero("index_price")
        return found

    async def _labelled(self, client_id: str) -> list[OrderReport]:
        """The orders that carry a label, whatever became of them."""
        found: dict[str, OrderReport] = {}
        for currency in self._currencies(client_id):
            params = {"currency": currency, "label": client_id}
            for order in _list(await self._session.call("private/get_order_state_by_label", params)):
                report = wire.order_report(order)
                self._check_same(client_id, report)
                found[report.venue_order_id] = report
        if len(found) == 1:
            (venue_id,) = found
            self._sent.name(client_id, venue_id)
        return list(found.values())

    async def _trades(self, since_ns: int | None, at_ns: int, currencies: list[str]) -> list[TradeReport]:
        """at_ns: the venue's clock, a moment ago."""
        if since_ns is None:
            return []
        spans = [False] if since_ns >= at_ns - _RECENT_NS else [True, False]
        found: dict[str, TradeReport] = {}
        for currency in currencies:
            for historical in spans:
                for item in await self._pages(currency, since_ns, at_ns, historical):
                    trade = await self.trade(item)
                    if trade is not None and trade.fill.time_ns >= since_ns:
                        found[trade.fill.trade_id] = trade
        return list(found.values())

    async def trade(self, item: Wire) -> TradeReport | None:
        """An execution, of whatever instrument; None for a combo's own, whose legs come by themselves."""
        symbol = item.text("instrument_name")
        listing = self._listings.get(symbol) or await self._listing_of(symbol)
        return None if listing is None else wire.trade_report(item, {symbol: listing}, self._account)

    async def _pages(self, currency: str, since_ns: int, at_ns: int, historical: bool) -> list[Wire]:
        """Every execution since, page by page; a page that does not get on is refused, not passed over."""
        start_ms, found = since_ns // NS_PER_MS, dict[str, Wire]()
        for _ in range(_PAGES_MAX):
            params = {
                "currency": currency,
                "start_timestamp": start_ms,
                "end_timestamp": at_ns // NS_PER_MS + _MARGIN_MS,
                "count": _PAGE,
                "sorting": "asc",
                "historical": historical,
            }
            method = "private/get_user_trades_by_currency_and_time"
            answer = Wire(await self._session.call(method, params), "user_trades")
            page = list(items(answer.raw("trades"), "user_trades"))
            before = len(found)
            found.update((item.name("trade_id"), item) for item in page)
            if not answer.flag("has_more"):
                return list(found.values())
            if len(found) == before:
                break
            start_ms = max(item.stamp_ns("timestamp") for item in page) // NS_PER_MS
        raise Untrusted("PAGES", "the venue's pages of executions do not come to an end", where=currency)

    def _currencies(self, client_id: str) -> list[str]:
        listing = self._sent.listing(client_id)
        if listing is None:
            return self._all_currencies()
        return sorted(
            {listing.contract.settlement, listing.contract.underlying} & set(self._all_currencies())
        )

    def _all_currencies(self) -> list[str]:
        return sorted({listing.contract.settlement for listing in self._listings.values()})

    async def _asked(self, question: Awaitable[T]) -> T:
        """A question has no effect: that nobody answered it is `Unreachable`, and may be asked again."""
        try:
            return await question
        except NoAnswer as error:
            raise Unreachable(error.code, error.what, where=error.where, observed=error.observed) from None
        except RpcError as error:
            observed = f"{error.number} {error.message}"
            if key_refused("deribit", error.number):
                raise Locked("KEY_REFUSED", "the key may not ask this", observed=observed) from None
            what = "we ask too much" if too_fast("deribit", error.number) else "the venue does not say"
            raise Unreachable("QUESTION_REFUSED", what, where=error.where, observed=observed) from None


def _judged(order: Order, error: RpcError) -> OrderUpdate:
    verdict = judge_submit("deribit", error.number, error.message)
    text = f"deribit {error.number} {error.message} {error.detail}".rstrip()
    filled = Decimal(0) if verdict.state is OrderState.REJECTED else None
    return OrderUpdate(order.client_id, verdict.state, filled=filled, code=verdict.code, text=text[:300])


def _check_taken(order: Order, told: OrderReport) -> None:
    """That what the venue says it took is what was sent."""
    sent = (order.client_id, order.listing.symbol, order.side, order.quantity, order.price)
    if sent != (told.client_id, told.symbol, told.side, told.quantity, told.price):
        observed = f"{told.client_id} {told.symbol} {told.side} {told.quantity} at {told.price}"
        raise another_order(wire.VENUE, order.client_id, observed)


def _code(error: RpcError) -> str:
    return f"deribit:{error.number}"


def _several(client_id: str, count: int) -> OrderUpdate:
    return OrderUpdate(client_id, OrderState.UNKNOWN, code="LABEL_TWICE", text=f"{count} orders carry it")


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise Malformed("MALFORMED", "not a list", observed=type(value).__name__, allowed="a list")
    return value
