"""Adapters from the configuration: keys by reference, all or none, and hosts as they should be."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import ccxt
import pytest

from hedger.runs.venue_setup import CONNECTED, Adapter, Canceller, adapter, canceller, reachable
from hedger.sections.venues import VenueConfig, VenueName
from pricing.errors import InputError
from tests.exchanges.deribit import deribit
from tests.exchanges.okx import okx
from tests.exchanges.server import serve
from venues.cex import CexVenue
from venues.errors import Unreachable, Untrusted
from venues.orders import AccountReport

CANARY = "canary-7f3a9c"
KEYS = VenueConfig(key="env:A", secret="env:B")


def test_deribit_from_the_configuration_answers_for_its_account() -> None:
    async def work() -> AccountReport:
        dialect, _ = deribit()
        async with serve(dialect) as host:
            config = KEYS.model_copy(update={"url": host.ws_url, "account": "main"})
            environment = {"A": "key", "B": "secret", "C": "x"}
            venue = adapter("deribit", config, environment, start_s_max=30.0)
            assert environment == {"C": "x"}
            await venue.start()
            try:
                return await venue.account(0)
            finally:
                await venue.close()

    report = asyncio.run(work())
    assert report.account == "main" and report.balances["BTC"] == 100


def test_requests_are_paced_as_the_configuration_says_and_as_the_venue_lets_everybody_without() -> None:
    def paced(config: VenueConfig) -> list[float]:
        async def work() -> list[float]:
            dialect, _ = okx()
            async with serve(dialect) as host:
                venue = adapter("okx", config.model_copy(update={"url": host.url}), {}, start_s_max=30.0)
                assert isinstance(venue, CexVenue)
                await venue.start()
                try:
                    return [client.rateLimit for client in (venue._orders, venue._cancels, venue._polls)]
                finally:
                    await venue.close()

        return asyncio.run(work())

    assert paced(VenueConfig(request_pause_ms=0.5)) == [0.5] * 3
    assert paced(VenueConfig()) == [ccxt.okx().rateLimit] * 3


@pytest.mark.parametrize("name", CONNECTED)
def test_without_keys_a_venue_takes_no_orders(name: VenueName) -> None:
    venue = asyncio.run(_made(lambda: adapter(name, VenueConfig(), {}, start_s_max=30.0)))
    assert venue.capabilities.dead_man_s is None and venue.name == name


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("deribit", VenueConfig(key="env:A")),
        ("okx", KEYS),  # the passphrase is missing
        ("deribit", VenueConfig(key="env:A", secret="env:NOT_SET")),
    ],
)
def test_keys_that_are_half_given_or_not_there_are_refused(name: VenueName, config: VenueConfig) -> None:
    with pytest.raises(InputError) as caught:
        asyncio.run(_made(lambda: adapter(name, config, {"A": CANARY, "B": CANARY}, start_s_max=30.0)))
    assert CANARY not in str(caught.value)


def test_an_address_that_is_not_encrypted_is_refused() -> None:
    async def work() -> None:
        venue = adapter("deribit", VenueConfig(url="ws://www.deribit.com/ws/api/v2"), {}, start_s_max=30.0)
        try:
            with pytest.raises(Untrusted, match="PLAIN_REFUSED"):
                await asyncio.wait_for(venue.start(), 2.0)
        finally:
            await venue.close()

    asyncio.run(work())


@pytest.mark.parametrize(
    ("name", "config", "says"),
    [
        ("deribit", {"url": "wss://evil.example/ws/api/v2"}, "evil.example"),
        ("deribit", {"url": "wss://www.deribit.com.evil.example/"}, "www.deribit.com.evil.example"),
        ("deribit", {"url": "wss://www.deribit.com@evil.example/"}, "observed: evil.example"),
        ("deribit", {"url": "www.deribit.com"}, "no host"),
        ("okx", {"url": "127.0.0.1:4000"}, "fix: begin it with https://"),
        ("okx", {"url": "https://aws.okx.com"}, 'venues.okx.hosts = ["aws.okx.com"]'),
        ("deribit", {"url": "wss://test.deribit.com/ws/api/v2"}, "venues.deribit.sandbox = true"),
        ("deribit", {"url": "wss://www.deribit.com/ws/api/v2", "sandbox": True}, "sandbox = false"),
        ("bybit", {"hosts": ("api-testnet.bybit.com",)}, "test network"),
        ("binance", {"hosts": ("api.binance.com",), "sandbox": True}, "live network"),
        ("hyperliquid", {"url": "https://api.hyperliquid-testnet.xyz", "hosts": ()}, "sandbox = true"),
    ],
)
def test_a_host_that_is_none_of_the_venues_is_refused_before_a_key_is_read(
    name: VenueName, config: dict[str, object], says: str
) -> None:
    environment = {"A": CANARY, "B": CANARY}
    given = KEYS.model_copy(update={"passphrase": "env:B", "wallet": "env:A", **config})
    with pytest.raises(InputError, match="VENUE_HOST") as caught:
        asyncio.run(_made(lambda: adapter(name, given, environment, start_s_max=30.0)))
    assert says in str(caught.value) and environment == {"A": CANARY, "B": CANARY}
    assert "allowed: " in str(caught.value) and "fix: " in str(caught.value)


@pytest.mark.parametrize(
    ("config", "reached"),
    [
        ({}, {"www.deribit.com"}),
        ({"sandbox": True}, {"test.deribit.com"}),
        ({"url": "ws://127.0.0.1:8080/x", "sandbox": True}, {"127.0.0.1:8080"}),
        ({"url": "wss://gate.desk.example:444/", "hosts": ("gate.desk.example",)},
         {"gate.desk.example:444", "gate.desk.example"}),
        ({"url": "wss://gate.desk.example:444/", "hosts": ("gate.desk.example:444",)},
         {"gate.desk.example:444"}),
        ({"hosts": ("mirror.desk.example",)}, {"www.deribit.com", "mirror.desk.example"}),
    ],
)  # fmt: skip
def test_a_session_reaches_one_network_and_what_is_added_by_name(
    config: dict[str, object], reached: set[str]
) -> None:
    assert reachable("deribit", KEYS.model_copy(update=config)).names == reached


@pytest.mark.parametrize("kind", ["market", "account"])
def test_a_start_has_the_limit_that_it_was_given_and_no_other(kind: str) -> None:
    """A host that takes connections and never says a word."""

    async def work() -> str:
        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        given = KEYS if kind == "account" else VenueConfig()
        config = given.model_copy(update={"url": f"ws://127.0.0.1:{port}/ws/api/v2"})
        words = {"A": "key", "B": "secret"}
        venue: Adapter | Canceller
        if kind == "account":
            venue = canceller("deribit", config, words, start_s_max=0.3)
            start = venue.start_to_cancel()
        else:
            venue = adapter("deribit", config, words, start_s_max=0.3)
            start = venue.start()
        try:
            with pytest.raises(Unreachable) as caught:
                await asyncio.wait_for(start, 15.0)
            return str(caught.value)
        finally:
            await venue.close()
            server.close()

    assert "none in 0.3 s" in asyncio.run(work())


async def _made(make: Callable[[], Adapter]) -> Adapter:
    return make()
