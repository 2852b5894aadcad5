"""A venue of the configuration as an adapter, not yet started: addresses, keys, limits.

Keys are read here, at the last moment, and live in the adapter alone. A venue without keys gives its market
and takes no order: that is how paper trading runs on live prices. It tells of the trades of others as well:
they are what fills a maker on paper.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, MutableMapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn, Protocol
from urllib.parse import urlsplit

from hedger.sections.venues import VenueConfig, VenueName
from pricing.contracts import Listing
from pricing.errors import InputError
from pricing.universe import Universe
from venues.base import Venue
from venues.deribit import LIVE_URL, SANDBOX_URL, DeribitTerms, DeribitVenue
from venues.deribit_session import Login, SessionTerms
from venues.host_table import NETWORKS
from venues.live_quotes import LiveQuotes
from venues.net import LOOPBACK, Hosts
from venues.part_ages import FieldAges
from venues.secret_shapes import check_shapes
from venues.secrets import Secret, read_secrets

if TYPE_CHECKING:
    from venues.cex import CexVenue

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

    async def start_to_ask(self) -> None:
        """Learn what is listed, to ask for the account then; no stream of it is joined, nothing is set there.
        Raises VenueError."""
        ...

    @property
    def known(self) -> Mapping[str, Listing]:
        """What was listed when that was last asked for, by symbol."""
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

    async def prevents_self_trades(self) -> bool | None:
        """Whether the venue says that no two of our orders trade with each other; None where it, or a part of
        it, has no such prevention; raises VenueError."""
        ...

    async def account_faults(self) -> tuple[str, ...]:
        """Settings of the account there under which our orders mean something else; raises VenueError."""
        ...

    async def fee_coin(self) -> str:
        """The coin that fees are paid in whatever a contract settles in; "" where there is none; raises
        VenueError."""
        ...

    async def resting(self) -> int:
        """How many orders are open on the account, whoever sent them; raises VenueError."""
        ...


class Canceller(Protocol):
    """An adapter as a kill needs it: signed in, and nothing else."""

    @property
    def name(self) -> str:
        """The venue's name."""
        ...

    async def start_to_cancel(self) -> None:
        """Sign in; nothing is listed and nothing is heard. Raises VenueError."""
        ...

    async def cancel_all(self) -> None:
        """Cancel every order of the account, whoever sent it; raises VenueError."""
        ...

    async def resting(self) -> int:
        """How many orders are open on the account; raises VenueError."""
        ...

    async def close(self) -> None:
        """End the sessions."""
        ...


def adapter(
    name: VenueName,
    config: VenueConfig,
    environment: MutableMapping[str, str] | None = None,
    *,
    start_s_max: float,
) -> Adapter:
    """The adapter of one venue; to be made inside a running event loop, and started by its caller.

    start_s_max: how long any part of its start may take, seconds; a run gives it the limit of the whole.

    Raises:
        InputError: a key is missing, readable by others, of another shape than the venue's, or only half
            given; or the address is none of the venue's, or of its other network: no key is read then.
    """
    return _made(name, config, environment, start_s_max)


def canceller(
    name: VenueName,
    config: VenueConfig,
    environment: MutableMapping[str, str] | None = None,
    *,
    start_s_max: float,
) -> Canceller:
    """The same, for a kill. Raises InputError as `adapter`."""
    return _made(name, config, environment, start_s_max)


def _made(
    name: VenueName, config: VenueConfig, environment: MutableMapping[str, str] | None, start_s_max: float
) -> DeribitVenue | CexVenue:
    hosts = reachable(name, config)
    secrets = _secrets(name, config, environment)
    if name == "deribit":
        return _deribit(config, hosts, secrets, start_s_max)
    return _cex(name, config, hosts, secrets, start_s_max)


def reachable(name: VenueName, config: VenueConfig) -> Hosts:
    """The hosts that a venue's sessions may reach: of its live or of its test network, and what the
    configuration adds by name.

    Raises:
        InputError: VENUE_HOST, the address is none of the venue's, or a host belongs to its other network.
    """
    networks, extra = NETWORKS[name], frozenset(config.hosts)
    if config.url and "://" not in config.url:
        raise InputError(
            "VENUE_HOST",
            "an address without a scheme names no host",
            where=f"venues.{name}",
            observed=config.url,
            allowed="https://HOST, or http://HOST:PORT of the loopback interface",
            not_done="no key was read, nothing was connected",
            fix="begin it with https://, or with http:// on the loopback interface",
        )
    own, other = networks.of(config.sandbox), networks.of(not config.sandbox)
    host, asked = urlsplit(config.url).hostname or "", Hosts.of([config.url]).names
    if crossed := sorted(({host} | extra) & (other - own)):
        network, word = ("live", "false") if config.sandbox else ("test", "true")
        _refuse_host(
            name,
            f"a host of the venue's {network} network, where sandbox = {str(config.sandbox).lower()}",
            ", ".join(crossed),
            own,
            f"set venues.{name}.sandbox = {word}, with keys of that network, or correct the host",
        )
    if config.url and host not in own | extra | LOOPBACK and not asked & extra:
        _refuse_host(
            name,
            "an address that is none of the venue's",
            host or "no host",
            own | extra,
            f'correct it; a host that is to get signed orders is named: venues.{name}.hosts = ["{host}"]',
        )
    return Hosts((asked or own) | extra)


def _refuse_host(name: str, what: str, observed: str, allowed: Collection[str], fix: str) -> NoReturn:
    raise InputError(
        "VENUE_HOST",
        what,
        where=f"venues.{name}",
        observed=observed,
        allowed=f"{', '.join(sorted(allowed))}; the loopback interface",
        not_done="no key was read, nothing was connected",
        fix=fix,
    )


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
    found = read_secrets(given, f"venues.{name}", environment)
    check_shapes(name, found, given)
    return found


def _deribit(
    config: VenueConfig, hosts: Hosts, secrets: dict[str, Secret], start_s_max: float
) -> DeribitVenue:
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
        start_s_max=start_s_max,
        trades=not secrets,
        ages=_ages(config, FieldAges()),
        session=SessionTerms(answer_s_max=config.answer_s_max, dead_man_s=config.dead_man_s),
        **rates,
    )
    return DeribitVenue(terms, Login(secrets["key"], secrets["secret"]) if secrets else None, hosts=hosts)


def _cex(
    name: VenueName, config: VenueConfig, hosts: Hosts, secrets: dict[str, Secret], start_s_max: float
) -> CexVenue:
    # The unified library takes half a second and a hundred megabytes: only who trades there pays.
    from venues.cex import CexSettings, CexVenue
    from venues.cex_choice import CEX
    from venues.cex_client import CexTerms

    choice = CEX[name]
    dialect = choice.dialect()
    own = choice.addresses(config.url) if config.url else {}
    terms = CexTerms(
        name,
        hosts,
        own,
        config.sandbox,
        answer_s_max=config.answer_s_max,
        pause_ms=config.request_pause_ms,
    )
    settings = CexSettings(
        account=config.account,
        order_rate=config.order_rate,
        order_burst=config.order_burst,
        dead_man_s=config.dead_man_s,
        levels=config.levels,
        start_s_max=start_s_max,
        trades=not secrets,
        ages=_ages(config, dialect.ages),
    )
    return CexVenue(dialect, terms, secrets, settings)


def _ages(config: VenueConfig, own: FieldAges) -> FieldAges:
    """The venue's own, but for those that are given."""
    given = {
        "mark_s": config.mark_age_s_max,
        "vol_s": config.vol_age_s_max,
        "forward_s": config.forward_age_s_max,
        "index_s": config.index_age_s_max,
        "funding_s": config.funding_age_s_max,
    }
    return replace(own, **{name: seconds for name, seconds in given.items() if seconds is not None})
