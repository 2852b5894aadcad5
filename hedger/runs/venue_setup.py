"""A venue of the configuration as an adapter, not yet started: addresses, keys, limits.

Keys are read here, at the last moment, and live in the adapter alone. A venue without keys gives its market
and takes no order: that is how paper trading runs on live prices.
"""

from __future__ import annotations

from collections.abc import Collection, MutableMapping
from typing import Any, Protocol

from hedger.sections.venues import VenueConfig, VenueName
from pricing.errors import InputError
from pricing.universe import Universe
from venues.base import Venue
from venues.deribit import LIVE_URL, SANDBOX_URL, DeribitTerms, DeribitVenue
from venues.deribit_session import Login, SessionTerms
from venues.live_quotes import LiveQuotes
from venues.net import Hosts
from venues.secrets import Secret, read_secrets

#: Venues that an adapter stands behind.
CONNECTED: tuple[VenueName, ...] = (
    "deribit",
    "okx",
    "bybit",
    "binance",
    "binanceusdm",
    "binancecoinm",
    "hyperliquid",
)
#: What each signs with, where that is more or other than a key and its secret.
_SECRETS = {"okx": ("key", "secret", "passphrase"), "hyperliquid": ("wallet", "secret")}


class Adapter(Venue, Protocol):
    """A venue that must be connected before it is of use."""

    async def start(self) -> None:
        """Connect, sign in, learn what is listed; raises VenueError."""
        ...

    def watch(self, universe: Universe, symbols: Collection[str]) -> None:
        """Give marks of these, in rows of this universe."""
        ...

    @property
    def quotes(self) -> LiveQuotes | None:
        """The newest of what is watched."""
        ...

    async def time_ns(self) -> int:
        """The venue's clock, UTC ns; raises VenueError."""
        ...

    async def scopes(self) -> tuple[str, ...]:
        """The venue's words for what the key may do, none without one; raises VenueError."""
        ...

    async def prevents_self_trades(self) -> bool:
        """Whether the venue says that no two of our orders trade with each other; raises VenueError."""
        ...


def adapter(
    name: VenueName, config: VenueConfig, environment: MutableMapping[str, str] | None = None
) -> Adapter:
    """The adapter of one venue; to be made inside a running event loop, and started by its caller.

    Raises:
        InputError: a key is missing, readable by others, or only half given.
    """
    secrets = _secrets(name, config, environment)
    return _deribit(config, secrets) if name == "deribit" else _cex(name, config, secrets)


def _secrets(
    name: str, config: VenueConfig, environment: MutableMapping[str, str] | None
) -> dict[str, Secret]:
    needed = _SECRETS.get(name, ("key", "secret"))
    given = {key: getattr(config, key) for key in needed}
    missing = [key for key, reference in given.items() if not reference]
    if len(missing) == len(needed):
        return {}
    if missing:
        raise InputError(
            "VENUE_KEYS",
            "the keys of a venue are only half given",
            where=f"venues.{name}",
            observed=f"without {', '.join(missing)}",
            allowed=f"all of {', '.join(needed)}, or none of them for its market alone",
            not_done="nothing was connected",
            fix="name the references that are missing",
        )
    return read_secrets(given, f"venues.{name}", environment)


def _deribit(config: VenueConfig, secrets: dict[str, Secret]) -> Adapter:
    url = config.url or (SANDBOX_URL if config.sandbox else LIVE_URL)
    rates: dict[str, Any] = {
        key: value
        for key, value in (("order_rate", config.order_rate), ("order_burst", config.order_burst))
        if value is not None
    }
    terms = DeribitTerms(
        url=url,
        account=config.account,
        levels=config.levels,
        session=SessionTerms(answer_s_max=config.answer_s_max, dead_man_s=config.dead_man_s),
        **rates,
    )
    hosts = Hosts(Hosts.of([url]).names | frozenset(config.hosts))
    return DeribitVenue(terms, Login(secrets["key"], secrets["secret"]) if secrets else None, hosts=hosts)


def _cex(name: VenueName, config: VenueConfig, secrets: dict[str, Secret]) -> Adapter:
    # The unified library takes half a second and a hundred megabytes: only who trades there pays.
    from venues.cex import CexSettings, CexVenue
    from venues.cex_choice import CEX
    from venues.cex_client import CexTerms

    choice = CEX[name]
    own = choice.addresses(config.url) if config.url else {}
    names = Hosts.of([config.url]).names if config.url else choice.hosts
    terms = CexTerms(
        name, Hosts(names | frozenset(config.hosts)), own, config.sandbox, answer_s_max=config.answer_s_max
    )
    settings = CexSettings(
        account=config.account,
        order_rate=config.order_rate,
        order_burst=config.order_burst,
        dead_man_s=config.dead_man_s,
        levels=config.levels,
    )
    return CexVenue(choice.dialect(), terms, secrets, settings)
