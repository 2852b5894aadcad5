"""The unified library's client, made safe: what of ccxt 4.5.90 is used, and what of it is switched off.

Used: signing, addresses, rate limits, the WebSocket transport with its pings. Not used: its markets, units,
rounding, order structures and caches. Switched off or bent, each with a test that fails when ccxt changes it:

- retries of its own (`maxRetriesOnFailure`): a retry signs an order anew and sends it again;
- its session: ours reaches the venue's hosts alone, follows no redirect, sends nothing twice (`venues.net`);
- its reading of messages: a frame is taken at the source, before ccxt sees it, and what ccxt raises over one
  stays inside (`Tap`): else one bad frame stops the receive loop, and every stream is silent for a minute.
  Books are taken before ccxt has even decoded them: decoding alone costs more than all that we do with one;
- its look at answers: over a code that is none it raises what is no error of its own (`handle_errors`);
- its rate limiter: it forgets the time in which nothing was asked (`venues.cex_pace`);
- its logging: at DEBUG it writes headers and addresses with keys and signatures (`venues.net`).

Budgets are apart: one client is for orders, one for cancels, one for the dead man's timer, one for questions
and one for streams, each with a rate limiter of its own: a cancel never stands behind any of the others.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import ccxt.pro

from venues.cex_pace import Pace
from venues.errors import Untrusted, VenueError
from venues.json_rpc import Quick, takes_nothing
from venues.net import Hosts, contain_logging, verified
from venues.pins import PINNED
from venues.secrets import Secret

CCXT_VERSION = PINNED["ccxt"]
VENUES = ("okx", "bybit", "binance", "binanceusdm", "binancecoinm", "hyperliquid")
#: What ccxt calls our secrets.
_NAMES = {
    "key": "apiKey",
    "secret": "secret",
    "passphrase": "password",
    "wallet": "walletAddress",
}

Hear = Callable[[str, Any], None]


@dataclass(frozen=True, slots=True)
class CexTerms:
    """How to reach a venue. urls: its addresses as ccxt nests them, empty for its own; hosts: of them all.
    pause_ms: between two requests of cost 1 on one client; None: what ccxt keeps for the base tier."""

    venue: str
    hosts: Hosts
    urls: Mapping[str, Any]
    sandbox: bool = False
    answer_s_max: float = 5.0
    keep_alive_ms: int = 5_000
    pause_ms: float | None = None


class Tap:
    """Takes every frame before ccxt does. hear: gets (address, message); control: which of them ccxt sees as
    well: answers to its own requests, and no data. quick: gives, by address, what sees the text of a frame
    first; what that takes nobody else sees. faults: frames that ccxt raised over."""

    def __init__(
        self,
        exchange: Any,
        hear: Hear,
        control: Callable[[Any], bool] = lambda _: True,
        quick: Callable[[str], Quick] = lambda _: takes_nothing,
    ) -> None:
        self._hear, self._control, self._quick = hear, control, quick
        self._of_ccxt = exchange.handle_message
        self._exchange, self._connection = exchange, exchange.client
        self.faults = 0
        exchange.handle_message = self.handle_message
        exchange.client = self.client

    def client(self, url: str) -> Any:
        """As ccxt calls it: the connection to an address, made where there is none.

        A frame that is no JSON ends the connection, whose channels begin anew: nobody knows what was lost
        with it. Without this it would end the receive loop alone, and the connection stays, silent. Where the
        library fails over a frame, whoever waits is told of a network's fault: its own mistakes are no news
        of ours.
        """
        known = url in (self._exchange.clients or {})
        client = self._connection(url)
        if not known:
            read, taken = client.handle_text_or_binary_message, self._quick(url)
            reject = client.reject

            def guarded(data: Any) -> None:
                if type(data) is str and taken(data):
                    return
                try:
                    read(data)
                except (json.JSONDecodeError, UnicodeDecodeError):
                    self.faults += 1
                    client.on_error(ccxt.NetworkError("a frame that cannot be decoded"))

            def rejected(result: Any, message_hash: str | None = None) -> Any:
                if not isinstance(result, ccxt.BaseError | VenueError | OSError | aiohttp.ClientError):
                    self.faults += 1
                    result = ccxt.NetworkError(
                        f"the library has failed over a frame: {type(result).__name__}"
                    )
                return reject(result, message_hash)

            client.handle_text_or_binary_message = guarded
            client.reject = rejected
        return client

    def handle_message(self, client: Any, message: Any) -> None:
        """As ccxt calls it."""
        self._hear(client.url, message)
        if not self._control(message):
            return
        try:
            self._of_ccxt(client, message)
        except Exception as error:  # whatever it is: raised from here it would end the receive loop
            self.faults += isinstance(error, ccxt.BaseError)  # of others `reject` keeps count
            client.reject(error)


def make_client(
    terms: CexTerms,
    secrets: Mapping[str, Secret],
    session: aiohttp.ClientSession,
    options: Mapping[str, Any],
    burst: float | None = None,
) -> Any:
    """A ccxt.pro client of a venue on a session of ours; to be made inside a running event loop. burst: as of
    `Pace`.

    Raises:
        Untrusted: another release of ccxt than the one whose faults are known here; or an address that the
            session may not reach.
    """
    if ccxt.pro.__version__ != CCXT_VERSION:
        raise Untrusted(
            "CCXT_VERSION",
            "another release of ccxt than the one this was tested with",
            observed=ccxt.pro.__version__,
            allowed=CCXT_VERSION,
            not_done="no client was made",
            fix="install the pinned release",
        )
    contain_logging()
    config: dict[str, Any] = {
        "session": session,
        "ssl_context": verified(),  # as the session has it; else the library reads all authorities once more
        "enableRateLimit": True,
        "timeout": round(terms.answer_s_max * 1000),
        "aiohttp_trust_env": False,
        "verbose": False,
        "options": {**options, "maxRetriesOnFailure": 0, "warnOnFetchOpenOrdersWithoutSymbol": False},
    }
    if terms.pause_ms is not None:
        config["rateLimit"] = terms.pause_ms
    exchange = getattr(ccxt.pro, terms.venue)(config)
    if terms.sandbox:
        exchange.set_sandbox_mode(True)
    if terms.urls:  # in place of the library's: of those that are not named none must remain
        exchange.urls = {**exchange.urls, "api": dict(terms.urls)}
    exchange.streaming["keepAlive"] = terms.keep_alive_ms
    exchange.throttler = Pace(exchange.tokenBucket, exchange.asyncio_loop, burst)
    exchange.handle_errors = _in_words_of_ccxt(terms.venue, exchange.handle_errors)
    exchange.timeout_on_exit = 0  # its wait for a session of its own, which there is none
    for url in _leaves(exchange.urls["api"]):
        terms.hosts.check(url.replace("{hostname}", exchange.hostname or ""))
    for name, secret in secrets.items():
        setattr(exchange, _names_of(terms.venue)[name], secret.reveal())
    check_client(exchange)
    return exchange


def _in_words_of_ccxt(venue: str, handle_errors: Callable[..., Any]) -> Callable[..., Any]:
    """ccxt's look at an answer. Over codes of a strange kind it fails like any program (a bare `ValueError`,
    a `TypeError`), which nobody who asks reckons with: it becomes an answer that makes no sense."""

    def handled(*answer: Any) -> Any:
        try:
            return handle_errors(*answer)
        except ccxt.BaseError:
            raise
        except Exception as error:
            raise ccxt.BadResponse(f"{venue}: {type(error).__name__} over an answer") from None

    return handled


def check_client(exchange: Any) -> None:
    """That nothing has switched on again what was switched off; asked before every session begins.

    Raises:
        Untrusted: something has.
    """
    wrong = {
        "retries": exchange.options.get("maxRetriesOnFailure") != 0,
        "verbose": bool(exchange.verbose),
        "session": bool(exchange.own_session),
        "proxy": any(
            getattr(exchange, name, None)
            for name in (
                "aiohttp_proxy",
                "proxyUrl",
                "httpProxy",
                "httpsProxy",
                "socksProxy",
                "wssProxy",
                "wsProxy",
            )
        ),
        "environment": bool(exchange.aiohttp_trust_env),
        "resending": bool(exchange.session is None or exchange.session._retry_connection),
    }
    if found := [name for name, is_wrong in wrong.items() if is_wrong]:
        raise Untrusted(
            "CLIENT_UNSAFE",
            "the library's client does what it must not",
            observed=", ".join(found),
            not_done="nothing was sent",
        )


def _names_of(venue: str) -> Mapping[str, str]:
    """On Hyperliquid the secret is the key that signs for a wallet."""
    return _NAMES | {"secret": "privateKey"} if venue == "hyperliquid" else _NAMES


def _leaves(tree: Any) -> list[str]:
    """All addresses in a nest of them."""
    if isinstance(tree, str):
        return [tree]
    return [leaf for value in tree.values() for leaf in _leaves(value)] if isinstance(tree, dict) else []
