"""Hyperliquid's requests and channels, perpetuals alone: questions to `info`, signed actions to `exchange`.

What is signed is the action's exact bytes, so numbers go without trailing zeros and keys in the documented
order; a nonce is used once, so two actions of one millisecond get two. A wallet that other programs sign with
as well is not safe: give the engine an API wallet of its own. The dead man's switch is a cancel scheduled for
a time, moved on by each refresh; the venue grants it to accounts with some volume only, and says so.

An immediate order that meets nobody is answered with an error, though it was taken and has ended: the order
itself is asked for then.

An action is done on the account that its signer acts for; the wallet in it is no word of it. Questions name
the wallet. So a key of another account would trade there, unseen here: before an account is first told, and
whenever somebody asks what the key may do, the venue itself is asked whose agent the signer is (`userRole`).
A sub-account or a vault is traded with its address signed as well, which is not done here: it is refused.
A mass cancel refuses nobody: it looks where the key acts, whatever wallet is named, and at the wallet.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import Any

import ccxt

from pricing.contracts import Contract, Fees, Listing, Side
from venues.cex_dialect import Account, Channel, Heard, all_tried, no_copies, told_apart
from venues.cex_parse import not_found, said
from venues.errors import Locked, Untrusted
from venues.order_checks import no_amends
from venues.orders import AccountReport, Order, OrderReport, TimeInForce
from venues.part_ages import FieldAges
from venues.wire import hyperliquid as wire
from venues.wire import margins, quick_books
from venues.wire.book_forms import BookForm
from venues.wire.fields import NS_PER_MS, Wire, items, only
from venues.wire.frames import Frame
from venues.wire.quick_books import ReadsText
from venues.wire.quotes import BookChange
from venues.wire.units import Instruments

_MET_NOBODY = "Order could not immediately match"
_PAGE, _PAGES_MAX = 2000, 50
_BATCH = 50
#: Books come with every block, changed or not.
_BOOK_SILENT_S_MAX = 60.0
_ACCOUNT_CHANNELS = ("orderUpdates", "userFills")


def addresses(url: str) -> dict[str, Any]:
    """All of the library's addresses, at one address of ours, such as a loopback exchange."""
    return {"public": url, "private": url, "ws": {"public": url.replace("http", "ws", 1) + "/ws"}}


class Hyperliquid:
    """Hyperliquid."""

    venue = wire.VENUE
    ages = FieldAges()
    options: Mapping[str, Any] = {"fetchCurrencies": False}
    order_rate = 10.0
    order_burst = 20
    question_burst: float | None = None
    dead_man_s: float | None = 45.0
    by_connection = False
    copies_books = False
    say_pause_s = 0.0
    keep_alive_s: float | None = None
    amends = False

    def __init__(self) -> None:
        self._assets: dict[str, int] = {}
        self._nonce = 0
        self._signs_for = ""
        self._acts_on = ""

    # ------------------------------------------------------------------------------------------------ streams

    def private(self, client: Any) -> Sequence[Channel]:
        """Orders and executions of the wallet; the address alone names whose."""
        return [_channel(client, True, type=kind, user=client.walletAddress) for kind in _ACCOUNT_CHANNELS]

    def public(self, client: Any, listings: Collection[Listing]) -> Sequence[Channel]:
        """A book, and mark, oracle and funding, of each."""
        kinds = (("l2Book", "book", _BOOK_SILENT_S_MAX), ("activeAssetCtx", "mark", None))
        return [
            _channel(client, False, type=kind, coin=x.symbol).telling(tells, x.symbol, silent_s_max=most)
            for x in listings
            for kind, tells, most in kinds
        ]

    async def summaries(self, client: Any, listings: Sequence[Listing], at_ns: int) -> Frame:
        """There are no options."""
        return Frame()

    def trades(self, client: Any, listings: Collection[Listing]) -> Sequence[Channel]:
        """`trades` of each."""
        return [_channel(client, False, type="trades", coin=x.symbol) for x in listings]

    async def sign_in(self, client: Any, channel: Channel) -> Channel:
        """Nobody signs in."""
        return channel

    async def keep_alive(self, client: Any) -> None:
        """Never asked for."""

    async def maintenance(self, client: Any) -> None:
        """No windows are announced this way."""

    async def copy_book(self, client: Any, listing: Listing, at_ns: int) -> BookChange:
        """Never needed. Raises VenueError."""
        raise no_copies(self.venue)

    def bundle(self, messages: Sequence[Mapping[str, Any]], number: int) -> Mapping[str, Any]:
        """One message, one channel."""
        return messages[0]

    def control(self, message: Any) -> bool:
        """Pongs alone."""
        return isinstance(message, dict) and message.get("channel") == "pong"

    def followed(self, url: str) -> BookForm | None:
        """It tells whole books."""
        return None

    def quick(self, url: str) -> ReadsText:
        """Of none."""
        return quick_books.nothing

    def read(self, url: str, message: Any, listings: Mapping[str, Listing], account: str) -> Heard:
        """One message. Raises Malformed where it is none.

        The executions that a subscription begins with happened before it: they are asked for, not heard.
        """
        item = Wire(message, self.venue)
        data = item.raw("data")
        if isinstance(data, dict) and data.get("isSnapshot") is True:
            return Heard(Frame())
        frame = wire.read(message, listings, account)
        wanted = data.get("subscription") if isinstance(data, dict) else None
        if item.raw("channel") != "subscriptionResponse" or not isinstance(wanted, dict):
            return Heard(frame)
        assert isinstance(data, dict)
        return Heard(frame, (_key(wanted),) if data.get("method") == "subscribe" else ())

    async def time_ns(self, client: Any) -> int:
        """The stamp of an account's state; nobody's will do."""
        user = client.walletAddress or "0x" + "0" * 40
        state = await client.public_post_info({"type": "clearinghouseState", "user": user})
        return Wire(state, "clearinghouseState").stamp_ns("time")

    async def scopes(self, client: Any) -> tuple[str, ...]:
        """An agent signs for a wallet and cannot withdraw; the wallet's own key can do everything.

        Raises:
            Locked: the key is neither, or the wallet is one that nothing can be signed for here.
        """
        signer = client.eth_get_address_from_private_key(client.privateKey)
        owner = _same(signer, client.walletAddress)
        await _check_account(client, signer)
        self._signs_for = client.walletAddress
        return ("owner" if owner else "agent",)

    async def prevents_self_trades(self, client: Any) -> bool:
        """The venue cancels the resting one of two orders of an address, always."""
        return True

    async def fee_coin(self, client: Any) -> str:
        """What an order settles in pays its fee."""
        return ""

    async def account_faults(self, client: Any) -> tuple[str, ...]:
        """There is one kind of account, with one position a contract."""
        return ()

    # -------------------------------------------------------------------------------------------- instruments

    async def instruments(self, client: Any, signed: bool, at_ns: int) -> Instruments:
        """`meta`; an asset's number is its place in it, whether it trades or not."""
        meta = await client.public_post_info({"type": "meta"})
        self._learn(meta)
        told: Fees | None = None
        if signed:
            answer = await client.public_post_info({"type": "userFees", "user": client.walletAddress})
            rates = Wire(answer, "userFees")
            told = Fees(rates.decimal("userAddRate"), rates.decimal("userCrossRate"))

        def fees_of(_: Contract) -> Fees | None:
            return told

        return wire.instruments(meta, at_ns, fees_of)

    # ------------------------------------------------------------------------------------------------- orders

    async def place(self, client: Any, order: Order, wire_id: str) -> str:
        """`order`, of one."""
        force = "Alo" if order.post_only else "Ioc" if order.time_in_force is TimeInForce.IOC else "Gtc"
        asked = {
            "a": self._asset(order.listing),
            "b": order.side is Side.BUY,
            "p": format(order.price.normalize(), "f"),
            "s": format(order.quantity.normalize(), "f"),
            "r": order.reduce_only,
            "t": {"limit": {"tif": force}},
            "c": wire_id,
        }
        try:
            answer = await self._act(client, {"type": "order", "orders": [asked], "grouping": "na"})
        except ccxt.BaseError as error:
            if not said(self.venue, error)[1].startswith(_MET_NOBODY):
                raise
            return ""
        status = answer.nested("response").nested("data")
        row = only(status.raw("statuses"), "statuses")
        return row.nested("filled" if row.has("filled") else "resting").name("oid")

    async def cancel(self, client: Any, listing: Listing, wire_id: str) -> None:
        """`cancelByCloid`."""
        asked = {"asset": self._asset(listing), "cloid": wire_id}
        await self._act(client, {"type": "cancelByCloid", "cancels": [asked]})

    async def amend(
        self, client: Any, listing: Listing, report: OrderReport, price: Decimal, quantity: Decimal
    ) -> None:
        """Never asked for: `modify` cancels and places a second order, of the size that is named whatever has
        filled of the first meanwhile. Raises Refused."""
        raise no_amends(report.client_id, self.venue)

    async def cancel_all(self, client: Any) -> int:
        """List what is open, and cancel it in batches; there is no mass cancel. What rests on the wallet goes
        without waiting for the word whose account the key acts on; where it is another, that is emptied."""
        wallet = client.walletAddress
        there, account = await asyncio.gather(
            self._cancel_at(client, wallet), self._account_of_key(client), return_exceptions=True
        )
        if isinstance(account, str) and not _same(account, wallet):
            return await self._cancel_at(client, account)
        if isinstance(there, BaseException):
            raise there
        if isinstance(account, BaseException):
            raise account
        return there

    async def _cancel_at(self, client: Any, user: str) -> int:
        """Cancel what is listed of an account; how many were open. A cancel names the number of the coin,
        which is asked for where nothing has been listed."""
        if self._assets:
            rows = await self._open(client, user, 1)
        else:
            listed = self._open(client, user, 1)
            rows, meta = await asyncio.gather(listed, _hurried(client, {"type": "meta"}))
            self._learn(meta)
        known = [row for row in rows if row.text("coin") in self._assets]
        cancels = [{"a": self._assets[row.text("coin")], "o": row.whole("oid")} for row in known]
        batches = [cancels[start : start + _BATCH] for start in range(0, len(cancels), _BATCH)]
        await all_tried(
            (self._act(client, {"type": "cancel", "cancels": batch}) for batch in batches),
            lambda failure: isinstance(failure, ccxt.OrderNotFound),  # ended meanwhile; the others are done
        )
        return len(rows)

    async def resting(self, client: Any) -> int:
        """`frontendOpenOrders` of the account that the key acts on. Raises Locked where others rest on the
        wallet: they are not for this key to cancel, and must not be passed over."""
        wallet, account = client.walletAddress, await self._account_of_key(client)
        rows = await self._open(client, account, 1)
        if not rows and not _same(account, wallet) and (others := await self._open(client, wallet, 1)):
            seen = f"{len(others)} orders rest on {wallet}, and the key acts for {account}, where none does"
            raise _another_account(seen, "what rests on the wallet was not cancelled")
        return len(rows)

    async def _account_of_key(self, client: Any) -> str:
        """The account that what we sign is done on, by the venue's own word, asked for once. Raises Locked
        where there is none."""
        if self._signs_for and self._signs_for == client.walletAddress:
            return self._signs_for
        if not self._acts_on:
            signer = client.eth_get_address_from_private_key(client.privateKey)
            role = await _role(client, signer)
            match role.text("role"):
                case "user":
                    self._acts_on = signer
                case "agent":
                    self._acts_on = role.nested("data").text("user")
                case _:
                    raise _another_account(f"the signer {signer} is {_told(role)}", "no order was cancelled")
        return self._acts_on

    async def refresh(self, client: Any, seconds: float) -> None:
        """`scheduleCancel`, at least five seconds ahead."""
        at_ms = client.milliseconds() + round(max(seconds, 6.0) * 1000)
        await self._act(client, {"type": "scheduleCancel", "time": at_ms})

    def _asset(self, listing: Listing) -> int:
        number = self._assets.get(listing.symbol)
        if number is None:
            raise Untrusted("ASSET_UNKNOWN", "the venue has no number of this coin", observed=listing.symbol)
        return number

    async def _act(self, client: Any, action: Mapping[str, Any]) -> Wire:
        """Sign an action and send it once."""
        self._nonce = max(self._nonce + 1, client.milliseconds())
        signature = client.sign_l1_action(dict(action), self._nonce)
        request = {"action": dict(action), "nonce": self._nonce, "signature": signature}
        return Wire(await client.private_post_exchange(request), "exchange")

    # ---------------------------------------------------------------------------------------------- questions

    async def order(self, client: Any, listing: Listing | None, wire_id: str) -> OrderReport | None:
        """`orderStatus`; it needs no instrument."""
        asked = {"type": "orderStatus", "user": client.walletAddress, "oid": wire_id}
        try:
            answer = Wire(await client.public_post_info(asked), "orderStatus")
        except ccxt.OrderNotFound as error:
            if not_found(self.venue, error) or "unknownOid" in str(error):
                return None
            raise
        row = answer.nested("order")
        return wire.order_report(row.nested("order"), row.text("status"))

    async def account(
        self, client: Any, listings: Mapping[str, Listing], account: str, since_ns: int | None, at_ns: int
    ) -> Account:
        """`clearinghouseState`, and what `_open` and `_fills` ask for. Before the first report: whether what
        we sign is done on this account; raises Locked."""
        user = client.walletAddress
        if self._signs_for != user:
            await self.scopes(client)
        state = await client.public_post_info({"type": "clearinghouseState", "user": user})
        pending, found = await asyncio.gather(self._open(client, user), self._fills(client, since_ns))
        known, strange = told_apart(found, lambda x: x.text("coin"), "tid", listings)
        trades = [wire.execution(item, listings, account) for item in known]
        report = AccountReport(
            venue=self.venue,
            account=account,
            venue_ns=at_ns,
            orders=tuple(wire.order_report(item, "open") for item in pending),
            positions=wire.positions(state),
            balances=wire.balances(state),
            margins=margins.hyperliquid(state),
            trades=tuple(sorted(trades, key=lambda t: (t.fill.time_ns, t.fill.trade_id))),
            since_ns=at_ns if since_ns is None else since_ns,
        )
        return Account(report, strange)

    async def _open(self, client: Any, user: str, cost: int = 10) -> list[Wire]:
        """cost: less than the venue counts where a kill must not wait for it; it has 1,200 a minute."""
        asked = {"type": "frontendOpenOrders", "user": user}
        return list(items(await _hurried(client, asked, cost), "openOrders"))

    def _learn(self, meta: object) -> None:
        self._assets = {row.text("name"): n for n, row in enumerate(Wire(meta, "meta").items("universe"))}

    async def _fills(self, client: Any, since_ns: int | None) -> list[Wire]:
        """Executions since, a page after the other; a page that does not get on is refused."""
        if since_ns is None:
            return []
        start, found = since_ns // NS_PER_MS, dict[str, Wire]()
        for _ in range(_PAGES_MAX):
            asked = {"type": "userFillsByTime", "user": client.walletAddress, "startTime": start}
            rows = list(items(await client.public_post_info(asked), "userFills"))
            before = len(found)
            found.update((row.name("tid"), row) for row in rows)
            if len(rows) < _PAGE:
                return list(found.values())
            if len(found) == before:
                break
            start = max(row.stamp_ns("time") for row in rows) // NS_PER_MS
        raise Untrusted("PAGES", "the venue's pages of executions do not come to an end", where=self.venue)


async def _hurried(client: Any, asked: Mapping[str, Any], cost: int = 1) -> Any:
    """A question at another cost than the library reckons with."""
    return await client.request("info", ["public"], "POST", dict(asked), config={"cost": cost})


async def _check_account(client: Any, signer: str) -> None:
    """That what the signer signs is done on the wallet's account, by the venue's own word. Raises Locked."""
    wallet = client.walletAddress
    owner, agent = await asyncio.gather(_role(client, wallet), _role(client, signer))
    if owner.text("role") != "user":
        raise _another_account(f"the wallet is {_told(owner)}")
    if _same(signer, wallet):
        return
    if agent.text("role") != "agent" or not _same(agent.nested("data").text("user"), wallet):
        raise _another_account(f"the signer {signer} is {_told(agent)}, and not an agent of {wallet}")


async def _role(client: Any, user: str) -> Wire:
    """What an address is to the venue: missing, user, agent, vault, subAccount. Asked once a session, so its
    weight of 60 out of 1,200 a minute is not waited for."""
    return Wire(await _hurried(client, {"type": "userRole", "user": user}), "userRole")


def _same(one: str, other: str) -> bool:
    """Whether two addresses are one; they are written in either case."""
    return one.lower().removeprefix("0x") == other.lower().removeprefix("0x")


def _told(role: Wire) -> str:
    """A role in words, with the account behind it; addresses are no secret."""
    match role.text("role"):
        case "missing":
            return "unknown to the venue"
        case "agent":
            return f"an agent of {role.nested('data').text('user')}"
        case "subAccount":
            return f"a sub-account of {role.nested('data').text('master')}"
        case kind:
            return f"a {kind}"


def _another_account(observed: str, not_done: str = "no account was read, no order was sent") -> Locked:
    return Locked(
        "KEY_ACCOUNT",
        "what the key signs is not done on the wallet's account",
        where="venues.hyperliquid",
        observed=observed,
        allowed="an API wallet that the wallet itself has made; the wallet no sub-account, vault or agent",
        not_done=not_done,
        fix="put the address of the master account into wallet, and the key of an API wallet made by it "
        "into secret",
    )


def _channel(client: Any, private: bool, **wanted: str) -> Channel:
    url = client.implode_hostname(client.urls["api"]["ws"]["public"])
    message = {"method": "subscribe", "subscription": wanted}
    book = wanted["coin"] if wanted["type"] == "l2Book" else ""
    return Channel(url, _key(wanted), message, private, message | {"method": "unsubscribe"}, book)


def _key(wanted: Mapping[str, Any]) -> str:
    """A wallet is named in either case."""
    return f"{wanted.get('type')}:{wanted.get('coin') or str(wanted.get('user', '')).lower()}"
