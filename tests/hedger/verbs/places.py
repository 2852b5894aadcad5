"""Every exchange that an adapter stands behind, on loopback, as a configuration names it: planted keys."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hedger.sections.venues import VenueName
from tests.canary import leaked
from tests.exchanges import hyperliquid_words
from tests.exchanges.binance import binance
from tests.exchanges.bybit import bybit
from tests.exchanges.deribit import DEFAULT_SCOPES, deribit
from tests.exchanges.hyperliquid import hyperliquid
from tests.exchanges.okx import okx
from tests.exchanges.server import Host
from tests.exchanges.words import ApiKey
from tests.hedger.verbs.loopback import Loopback
from tests.planted import KEY, PASSPHRASE, SECRET

_NAMES = {"key": "env:DESK_KEY", "secret": "env:DESK_SECRET"}


@dataclass(frozen=True, slots=True)
class Place:
    """One venue. make, key: the exchange, and whom it knows; names: the references to that key. modes: how an
    account is to be set up for us, where the exchange's own way is another."""

    venue: VenueName
    make: Callable[..., Any]
    key: ApiKey = field(repr=False)
    names: Mapping[str, str]
    modes: Mapping[str, Any]
    address: Callable[[Host], str] = lambda host: host.url

    @property
    def name(self) -> str:
        """The venue's."""
        return self.venue

    @contextmanager
    def opened(self, key: ApiKey | None = None, **modes: Any) -> Iterator[Loopback]:
        """The exchange until the block ends."""
        exchange = Loopback(make=self.make, key=replace(key or self.key))
        try:
            exchange.do(lambda host: host.exchange.modes.update({**self.modes, **modes}))
            yield exchange
        finally:
            exchange.close()

    def settings(self, folder: Path, url: str, *, run: str = "", top: str = "", more: str = "") -> Path:
        """A configuration of this venue alone; more: keys of its section instead of the usual ones."""
        folder.chmod(0o700)
        named = "\n".join(f'{key} = "{ref}"' for key, ref in self.names.items())
        file = folder / "config.toml"
        # The library's own pace is for an exchange that counts requests; a loopback one takes what comes.
        pace = "" if self.name == "deribit" else "request_pause_ms = 0.2\n"
        file.write_text(f'{top}\n[run]\n{run}\n[venues.{self.name}]\nurl = "{url}"\n{pace}{more or named}\n')
        return file


PLACES = {
    place.name: place
    for place in (
        Place(
            "deribit",
            deribit,
            ApiKey(KEY, SECRET, "desk", scopes=DEFAULT_SCOPES),
            _NAMES,
            {},
            lambda host: f"{host.ws_url}/ws/api/v2",
        ),
        Place(
            "okx",
            okx,
            ApiKey(KEY, SECRET, "desk", PASSPHRASE),
            {**_NAMES, "passphrase": "env:DESK_PHRASE"},
            {},
        ),
        Place("bybit", bybit, ApiKey(KEY, SECRET, "desk"), _NAMES, {}),
        Place("binanceusdm", binance, ApiKey(KEY, SECRET, "desk"), _NAMES, {}),
        Place(
            "hyperliquid",
            hyperliquid,
            ApiKey(hyperliquid_words.WALLET, "", "desk"),
            {"wallet": "env:DESK_WALLET", "secret": "env:DESK_SIGNING_KEY"},
            {},
        ),
    )
}


#: The exchange runs in the same process; what its own server says is none of ours.
_OF_THE_EXCHANGE = ("aiohttp.access", "aiohttp.server", "aiohttp.web")
#: Names of headers and fields that carry a key, a signature or a token.
_WORDS = (
    "ok-access",
    "x-mbx-apikey",
    "x-bapi",
    "signature",
    "access_token",
    "client_signature",
    "passphrase",
)


def said_too_much(records: list[logging.LogRecord]) -> list[str]:
    """What a handler could write of these that holds a secret, a signature or a header of ours."""
    texts = list(_texts(records))
    assert texts, "nothing was logged at all: this sees nothing"
    return [text for text in texts if leaked(text) or any(word in text.lower() for word in _WORDS)]


def _texts(records: list[logging.LogRecord]) -> Iterator[str]:
    for record in records:
        if record.name.startswith(_OF_THE_EXCHANGE):
            continue
        yield f"{record.getMessage()} {record.args!r} {record.__dict__!r}"
        if record.exc_info and record.exc_info[0] is not None:
            yield "".join(traceback.format_exception(*record.exc_info))
