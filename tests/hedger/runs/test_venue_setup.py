"""Adapters from the configuration: keys by reference, all or none, and hosts as they should be."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from hedger.runs.venue_setup import CONNECTED, Adapter, adapter
from hedger.sections.venues import VenueConfig, VenueName
from pricing.errors import InputError
from tests.exchanges.deribit import deribit
from tests.exchanges.server import serve
from venues.errors import Untrusted
from venues.orders import AccountReport

CANARY = "canary-7f3a9c"
KEYS = VenueConfig(key="env:A", secret="env:B")


def test_deribit_from_the_configuration_answers_for_its_account() -> None:
    async def work() -> AccountReport:
        dialect, _ = deribit()
        async with serve(dialect) as host:
            config = KEYS.model_copy(update={"url": host.ws_url, "account": "main"})
            environment = {"A": "key", "B": "secret", "C": "x"}
            venue = adapter("deribit", config, environment)
            assert environment == {"C": "x"}
            await venue.start()
            try:
                return await venue.account(0)
            finally:
                await venue.close()

    report = asyncio.run(work())
    assert report.account == "main" and report.balances["BTC"] == 100


@pytest.mark.parametrize("name", CONNECTED)
def test_without_keys_a_venue_takes_no_orders(name: VenueName) -> None:
    venue = asyncio.run(_made(lambda: adapter(name, VenueConfig(), {})))
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
        asyncio.run(_made(lambda: adapter(name, config, {"A": CANARY, "B": CANARY})))
    assert CANARY not in str(caught.value)


def test_an_address_that_is_not_encrypted_is_refused() -> None:
    async def work() -> None:
        venue = adapter("deribit", VenueConfig(url="ws://www.deribit.com/ws/api/v2"), {})
        try:
            with pytest.raises(Untrusted, match="PLAIN_REFUSED"):
                await asyncio.wait_for(venue.start(), 2.0)
        finally:
            await venue.close()

    asyncio.run(work())


async def _made(make: Callable[[], Adapter]) -> Adapter:
    return make()
