"""Binance's channels: what is joined for a market and for an account, and what their messages acknowledge.

Books of spot and futures come as changes alone and are laid over copies; of options the best twenty levels
come whole. An account's futures and options stream is an address with a listen key in it, which must be kept
alive; spot's is a signed subscription. A socket takes 200 streams: markets are spread over several.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from pricing.contracts import Kind, Listing
from venues.cex_dialect import Channel, Heard, bundle_name, distinct
from venues.wire import binance
from venues.wire.fields import Wire
from venues.wire.frames import Frame

#: Messages by which the venue ends an account's stream.
_ENDS = frozenset({"listenKeyExpired", "eventStreamTerminated", "serverShutdown"})
_STREAMS_MAX = 180
#: Streams in one message.
_TOGETHER = 100


class Part(StrEnum):
    """One of the venue's interfaces. Its accounts, limits and addresses are its own."""

    SPOT = "spot"
    LINEAR = "linear"
    INVERSE = "inverse"
    OPTION = "option"


#: The library's names of the public and the private endpoints, and of the sockets.
PUBLIC = {
    Part.SPOT: "public",
    Part.LINEAR: "fapiPublic",
    Part.INVERSE: "dapiPublic",
    Part.OPTION: "eapiPublic",
}
PRIVATE = {
    Part.SPOT: "private",
    Part.LINEAR: "fapiPrivate",
    Part.INVERSE: "dapiPrivate",
    Part.OPTION: "eapiPrivate",
}


def part_of(listing: Listing) -> Part:
    """Which interface a listing trades by."""
    kind = listing.contract.kind
    if kind is Kind.SPOT:
        return Part.SPOT
    if kind is Kind.OPTION:
        return Part.OPTION
    return Part.INVERSE if listing.contract.inverse else Part.LINEAR


@dataclass(slots=True)
class BinanceStreams:
    """The channels of one venue. An answer names the number of a request alone. Each stream keeps to its
    connection for good."""

    venue: str
    parts: tuple[Part, ...]
    _numbers: dict[str, int] = field(default_factory=dict)

    def private(self) -> list[Channel]:
        """One stream per interface; where it is to be found is known once it has been signed in."""
        return [Channel("", f"user.{part}", {}, private=True) for part in self.parts]

    def public(self, client: Any, listings: Collection[Listing]) -> list[Channel]:
        """A book of each, marks of futures, and of options by coin."""
        found: list[Channel] = []
        for listing in listings:
            part, name = part_of(listing), listing.symbol.lower()
            if part is Part.OPTION:
                depth = self._channel(client, part, "option", f"{name}@depth20@100ms", listing.symbol)
                found.append(replace(depth, whole=True))
                marks = self._channel(client, part, "optionMarket", f"{_pair(listing)}@optionMarkPrice")
            else:
                found.append(self._channel(client, part, "public", f"{name}@depth@100ms", listing.symbol))
                if part is Part.SPOT:
                    continue
                marks = self._channel(client, part, "market", f"{name}@markPrice@1s")
            found.append(marks.telling("mark", listing.symbol))
        return distinct(found)

    def trades(self, client: Any, listings: Collection[Listing]) -> list[Channel]:
        """`aggTrade` of each; of options `optionTrade`."""
        found = []
        for listing in listings:
            part, name = part_of(listing), listing.symbol.lower()
            if part is Part.OPTION:
                found.append(self._channel(client, part, "option", f"{name}@optionTrade"))
            else:
                which = "public" if part is Part.SPOT else "market"
                found.append(self._channel(client, part, which, f"{name}@aggTrade"))
        return found

    async def sign_in(self, client: Any, channel: Channel) -> Channel:
        """A listen key, or a signature."""
        part = Part(channel.key.removeprefix("user."))
        if part is Part.SPOT:
            url = client.urls["api"]["ws"]["ws-api"]["spot"]
            method = "userDataStream.subscribe.signature"
            message = {"id": channel.key, "method": method, "params": client.sign_params({})}
            return Channel(url, channel.key, message, private=True)
        key = Wire(await self._listen(client, part), "listenKey").text("listenKey")
        kind = "optionPrivate" if part is Part.OPTION else str(part)
        return Channel(client.get_private_ws_url(kind, key), channel.key, {}, private=True)

    async def keep_alive(self, client: Any) -> None:
        """Asking for a listen key prolongs the one that there is."""
        for part in self.parts:
            if part is not Part.SPOT:
                await self._listen(client, part)

    async def _listen(self, client: Any, part: Part) -> Any:
        return await client.request("listenKey", [PRIVATE[part]], "POST", {}, config={"cost": 1})

    def read(self, message: Any, listings: Mapping[str, Listing], account: str) -> Heard:
        """One message, or several at once. Raises Malformed where it is none."""
        if isinstance(message, list):
            frame = Frame()
            for item in message:
                _add(frame, binance.read(item, self.venue, listings, account))
            return Heard(frame)
        frame = binance.read(message, self.venue, listings, account)
        item = Wire(message, self.venue)
        event = item.raw("event")
        kind = event.get("e") if isinstance(event, dict) else item.raw("e")
        if kind in _ENDS:
            return Heard(frame, ended=True)
        number = item.raw("id")
        key = bundle_name(number) if type(number) is int else number
        if kind is not None or not isinstance(key, str):
            return Heard(frame)
        return Heard(frame, refused=(key,)) if frame.refused else Heard(frame, (key,))

    def _channel(self, client: Any, part: Part, which: str, stream: str, book: str = "") -> Channel:
        key = f"{part}|{stream}"
        number = self._numbers.setdefault(key, len(self._numbers) + 1)
        kind = which if part is Part.OPTION else str(part)
        url = f"{client.get_ws_url(kind, which)}/{number // _STREAMS_MAX}"
        joins = {"method": "SUBSCRIBE", "params": [stream]}
        return Channel(url, key, joins, False, joins | {"method": "UNSUBSCRIBE"}, book, _TOGETHER)


def _pair(listing: Listing) -> str:
    return f"{listing.contract.underlying}{listing.contract.settlement}".lower()


def _add(frame: Frame, more: Frame) -> None:
    for name in ("quotes", "books", "index", "public", "orders", "trades", "unread"):
        getattr(frame, name).extend(getattr(more, name))
