"""Hyperliquid's perpetuals on loopback: /info, /exchange and /ws, on the matching core.

    async with serve(hyperliquid()[0]) as host: ...      in a test
    python -m tests.exchanges.hyperliquid --port 0       from a shell; prints its port

An action must carry an EIP-712 signature and a nonce that is fresh and new. It is done on the account of
whoever signed it: of a wallet, or of the wallet that the signer is an agent of; who that is comes out of the
signature alone, so a client that believes otherwise trades on another account. Questions are answered of the
wallet that they name. Wallets are the exchange's keys; what another address is stands in `roles`. Sizes are
in coins, prices have five significant figures, refusals are sentences among the `statuses`, cloids may
repeat, the dead man's switch is `scheduleCancel` at a time in milliseconds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from tests.exchanges import hyperliquid_words as words
from tests.exchanges.cex import Cex, Said, as_object, parsed, run_shell, written
from tests.exchanges.clock import MS, NS, Clock
from tests.exchanges.core import Exchange
from tests.exchanges.hyperliquid_actions import act
from tests.exchanges.hyperliquid_info import INFO
from tests.exchanges.hyperliquid_signing import AGENT_KEYS, address_of, signer
from tests.exchanges.server import Answer, Call, Session, Trouble
from tests.exchanges.truth import Truth
from tests.exchanges.words import ApiKey, BookNews, Fill, Life, Order, PublicTrade
from tests.exchanges.world import World

_HEX32 = re.compile(r"0x[0-9a-f]{1,64}")
_DAY_MS = 86_400_000
_TYPES = frozenset(
    {
        "l2Book",
        "trades",
        "bbo",
        "allMids",
        "activeAssetCtx",
        "orderUpdates",
        "userFills",
        "clearinghouseState",
    }
)
_USER_TYPES = frozenset({"orderUpdates", "userFills", "clearinghouseState"})
LIMITS: dict[str, tuple[int, float]] = {"order": (1000, 60.0), "info": (1200, 60.0)}

_UNREADABLE = Said("err", "Failed to deserialize the JSON body into the target type", 422)
_TROUBLE = {
    Trouble.RATE: Said("rate", "Too many requests", 429),
    Trouble.BANNED: Said("rate", "Too many requests", 429),
    Trouble.INTERNAL: Said("internal", "Internal server error", 500),
    Trouble.UNAUTHORIZED: Said("err", f"User or API Wallet {words.WALLET} does not exist."),
    Trouble.UNKNOWN_ORDER: Said("unknownOid", "unknownOid"),
}


class Hyperliquid(Cex):
    """The dialect."""

    def __init__(self, exchange: Exchange, *, limits: Mapping[str, tuple[int, float]] | None = None) -> None:
        super().__init__(exchange, LIMITS if limits is None else limits)
        self._nonces: set[int] = set()
        agent = {"role": "agent", "data": {"user": words.WALLET.lower()}}
        #: What an address is that is no wallet, by the address in lower case: as `userRole` answers.
        self.roles: dict[str, dict[str, Any]] = {address_of(key): agent for key in AGENT_KEYS}

    # ---- reading

    def read_http(self, call: Call) -> Call:
        """POST of an object to /info (named by its type) or /exchange (named by its action's)."""
        body = parsed(call.body or b"null")
        call.params = body if isinstance(body, dict) else {}
        kind = call.path.strip("/")
        inner = call.params.get("action") if kind == "exchange" else call.params
        call.operation = str(inner.get("type", "")) if isinstance(inner, dict) else "unreadable"
        call.note["kind"] = kind
        return call

    def read_frame(self, session: Session, text: str) -> Call | None:
        """`ping`, `subscribe`, `unsubscribe`, or `post`, which carries a request of either kind."""
        body = parsed(text)
        if not isinstance(body, dict):
            call = Call("unreadable", {}, "WS")
            call.note["kind"] = "unreadable"
            return call
        method = str(body.get("method"))
        if method == "ping":
            session.reply(written({"channel": "pong"}))
            return None
        if method != "post":
            call = Call(method, body, "WS")
            call.note["kind"] = "feed"
            return call
        request = as_object(body.get("request"))
        payload = as_object(request.get("payload"))
        action = request.get("type") == "action"
        name = as_object(payload.get("action")).get("type", "") if action else payload.get("type", "")
        call = Call(str(name), payload, "WS", call_id=body.get("id"))
        call.note["kind"] = "exchange" if action else "info"
        return call

    # ---- performing

    def perform(self, call: Call) -> Answer | None:
        """A question, an action, or a feed."""
        return self.guarded(self._do, call, _UNREADABLE)

    def _do(self, call: Call) -> Answer:
        if call.note["kind"] == "feed" and call.session is not None:
            return self._feed(call.session, call.operation, as_object(call.params.get("subscription")))
        if call.note["kind"] == "info":
            return self._ask(call)
        if call.note["kind"] == "exchange":
            return self._act(call)
        raise _UNREADABLE

    def _ask(self, call: Call) -> Answer:
        if call.operation not in INFO and call.operation != "userRole":
            raise _UNREADABLE
        if not self.windows.take("ip", "info", self.exchange.steady_ns):
            raise _TROUBLE[Trouble.RATE]
        user = str(call.params.get("user", ""))
        if call.operation == "userRole":
            return Answer(self._role(user))
        key = self._wallet(user)
        account = "nobody" if key is None else key.account
        return Answer(INFO[call.operation](self.exchange, account, call.params))

    def _wallet(self, address: str) -> ApiKey | None:
        keys = self.exchange.keys.values()
        return next((key for key in keys if key.key.lower() == address.lower()), None)

    def _role(self, address: str) -> dict[str, Any]:
        user = {"role": "missing" if self._wallet(address) is None else "user"}
        return self.roles.get(address.lower(), user)

    def _acts_for(self, address: str) -> ApiKey:
        """The wallet on whose account an address acts. A sub-account and a vault have no key of their own."""
        role = self._role(address)
        key = {"user": self._wallet(address)}.get(role["role"])
        if role["role"] == "agent":
            key = self._wallet(role["data"]["user"])
        if key is None or key.revoked or "trade" not in key.scopes:
            raise Said("err", f"User or API Wallet {address} does not exist.")
        return key

    def _act(self, call: Call) -> Answer:
        signature, nonce = call.params.get("signature"), call.params.get("nonce")
        shaped = isinstance(signature, dict) and signature.get("v") in (27, 28)
        if not shaped or not all(_HEX32.fullmatch(str(signature.get(k))) for k in "rs"):  # type: ignore[union-attr]
            raise _UNREADABLE
        if call.params.get("vaultAddress") is not None:
            raise Said("err", f"Vault not registered: {call.params['vaultAddress']}")
        now = self.exchange.clock.now_ms()
        if not isinstance(nonce, int) or not now - 2 * _DAY_MS < nonce < now + _DAY_MS:
            raise Said("err", f"Invalid nonce: {nonce}")
        if call.operation == "approveBuilderFee":
            # Signed in another form, by the wallet itself; it moves nothing here and is taken without a look.
            return Answer(act(self.exchange, "", call.params["action"]))
        found = signer(call.params["action"], nonce, as_object(signature))
        key = self._acts_for(found or "0x" + "0" * 40)
        if nonce in self._nonces:
            raise Said("err", f"Invalid nonce: duplicate nonce {nonce}")
        self._nonces.add(nonce)
        if not self.windows.take(key.account, call.operation, self.exchange.steady_ns):
            raise _TROUBLE[Trouble.RATE]
        if call.operation == "scheduleCancel":
            return Answer(self._schedule(key.account, call.params["action"].get("time")))
        return Answer(act(self.exchange, key.account, call.params["action"]))

    def _schedule(self, account: str, time_ms: Any) -> dict[str, Any]:
        """At least five seconds ahead; without a time it is taken back."""
        if time_ms is None:
            self.exchange.arm_countdown(account, "", 0)
        else:
            seconds = (int(time_ms) * MS - self.exchange.now_ns) / NS
            if seconds < 5:
                raise Said("err", "Scheduled cancel time too early, must be at least 5 seconds from now.")
            self.exchange.arm_countdown(account, "", seconds)
        return {"status": "ok", "response": {"type": "default"}}

    # ---- feeds

    def _feed(self, session: Session, method: str, wanted: dict[str, Any]) -> Answer:
        kind, coin = str(wanted.get("type")), str(wanted.get("coin", ""))
        listed = coin in self.exchange.instruments or kind in _USER_TYPES or kind == "allMids"
        if method not in ("subscribe", "unsubscribe") or kind not in _TYPES or not listed:
            raise Said("error", f"Invalid subscription {written(wanted)}")
        channel = kind if kind in _USER_TYPES else f"{kind}:{coin}"
        if method == "unsubscribe":
            self.unsubscribe(session, channel)
        elif any(f.session is session for f in self.feeds(channel)):
            raise Said("error", f"Already subscribed: {written(wanted)}")
        else:
            if kind in _USER_TYPES:
                key = self._wallet(str(wanted.get("user", "")))
                session.state["account"] = "nobody" if key is None else key.account
            self.subscribe(session, channel, wanted)
            self._begin(session, channel, kind, coin)
        told = {"method": method, "subscription": wanted}
        return Answer({"channel": "subscriptionResponse", "data": told})

    def _begin(self, session: Session, channel: str, kind: str, coin: str) -> None:
        x = self.exchange
        if kind == "userFills":
            fills = [words.fill_row(x, f) for f in x.fills(session.state["account"])]
            data = {"isSnapshot": True, "user": words.WALLET, "fills": fills}
            self.put(session, channel, {"channel": kind, "data": data})
        elif kind == "clearinghouseState":
            self._say_state(session)
        elif kind in ("l2Book", "bbo", "activeAssetCtx", "allMids"):
            self.put(session, channel, {"channel": kind, "data": self._now(kind, coin)})

    def _now(self, kind: str, coin: str) -> dict[str, Any]:
        x = self.exchange
        if kind == "l2Book":
            return words.book(x, coin)
        if kind == "bbo":
            return words.top(x, coin)
        if kind == "allMids":
            return {"mids": words.mids(x)}
        return {"coin": coin, "ctx": words.context(x, coin)}

    def _say_state(self, session: Session) -> None:
        state = words.clearinghouse(self.exchange, session.state["account"])
        data = {"dex": "", "user": words.WALLET, "clearinghouseState": state}
        self.put(session, "clearinghouseState", {"channel": "clearinghouseState", "data": data})

    # ---- what happens

    def on_book(self, news: BookNews) -> None:
        """Books come whole."""
        for kind in ("l2Book", "bbo"):
            for feed in self.feeds(f"{kind}:{news.symbol}"):
                frame = {"channel": kind, "data": self._now(kind, news.symbol)}
                self.put(feed.session, feed.channel, frame)

    def on_mark(self, symbol: str) -> None:
        """Context and mids."""
        for kind, name in (("activeAssetCtx", f"activeAssetCtx:{symbol}"), ("allMids", "allMids:")):
            for feed in self.feeds(name):
                self.put(feed.session, feed.channel, {"channel": kind, "data": self._now(kind, symbol)})

    def on_trade(self, trade: PublicTrade) -> None:
        """`trades`."""
        for feed in self.feeds(f"trades:{trade.instrument.symbol}"):
            self.put(feed.session, feed.channel, {"channel": "trades", "data": [words.trade_row(trade)]})

    def on_order(self, order: Order) -> None:
        """`orderUpdates`; what an immediate order could not fill is told by its reply alone."""
        if order.life is Life.CANCELLED and order.why == "ioc" and not order.filled:
            return
        row = {
            "order": words.order_row(order), "status": words.status(order),
            "statusTimestamp": order.updated_ns // MS,
        }  # fmt: skip
        for feed in self.feeds("orderUpdates", account=order.account):
            self.put(feed.session, feed.channel, {"channel": "orderUpdates", "data": [row]})

    def on_fill(self, fill: Fill, order: Order | None) -> None:
        """`userFills`."""
        data = {"user": words.WALLET, "fills": [words.fill_row(self.exchange, fill)]}
        for feed in self.feeds("userFills", account=fill.account):
            self.put(feed.session, feed.channel, {"channel": "userFills", "data": data})

    def on_account(self, account: str, currency: str, symbol: str) -> None:
        """`clearinghouseState`."""
        for feed in self.feeds("clearinghouseState", account=account):
            self._say_state(feed.session)

    # ---- writing

    def write(self, call: Call, answer: Answer) -> str:
        """The bare answer; over a socket wrapped as the channel `post`."""
        said: Said | None = answer.error
        payload = answer.payload if said is None else _sentence(said)
        if call.session is None:
            return written(payload)
        if call.note["kind"] not in ("info", "exchange"):
            return written({"channel": "error", "data": said.text} if said else payload)
        kind = "error" if said and said.status >= 400 else {"info": "info"}.get(call.note["kind"], "action")
        told: Any = payload if kind != "info" else {"type": call.operation, "data": payload}
        response = {"type": kind, "payload": said.text if said and kind == "error" else told}
        return written({"channel": "post", "data": {"id": call.call_id, "response": response}})

    def trouble(self, call: Call, what: str) -> Answer:
        """Hyperliquid's words for a fault."""
        if what == Trouble.UNKNOWN_ORDER and call.note.get("kind") == "exchange":
            sentence = "Order was never placed, already canceled, or filled."
            statuses = {"type": call.operation, "data": {"statuses": [{"error": sentence}]}}
            return Answer({"status": "ok", "response": statuses})
        return Answer(None, _TROUBLE[what], _TROUBLE[what].status)


def _sentence(said: Said) -> Any:
    if said.code == "unknownOid":
        return {"status": "unknownOid"}
    return {"status": "err", "response": said.text} if said.status == 200 else said.text


SPOTS = {"BTC": 60_000.0, "ETH": 2_500.0, "SOL": 150.0}


def hyperliquid(
    *,
    clock: Clock | None = None,
    truth: Truth | None = None,
    seed: int = 7,
    key: ApiKey | None = None,
    **terms: Any,
) -> tuple[Hyperliquid, World]:
    """Hyperliquid in small with its market and one funded wallet. terms: of `Hyperliquid`."""
    clock = clock or Clock()
    exchange = Exchange(words.listing(), clock=clock, truth=truth)
    world = World(exchange, SPOTS, seed=seed)
    granted = exchange.grant(key or ApiKey(words.WALLET, "", "desk"))
    exchange.transfer(granted.account, "USDC", Decimal(5_000_000))
    return Hyperliquid(exchange, **terms), world


if __name__ == "__main__":
    run_shell("Hyperliquid", hyperliquid)
