"""Hyperliquid's adapter on a loopback exchange: the trials of every venue, and what is its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.exchanges.faults import Act
from tests.exchanges.hyperliquid import Hyperliquid as Loopback
from tests.exchanges.hyperliquid import hyperliquid
from tests.exchanges.hyperliquid_signing import AGENT_KEYS, address_of
from tests.exchanges.hyperliquid_words import WALLET
from tests.exchanges.server import serve
from tests.planted import SIGNING_KEY
from tests.venues.cex_desk import Desk, opened, run
from tests.venues.trials import LAST, TRIALS, Stage, perform, perform_all
from venues.cex import CexVenue
from venues.cex_client import CexTerms
from venues.cex_hyperliquid import Hyperliquid, addresses
from venues.errors import Locked
from venues.net import Hosts
from venues.orders import OrderState
from venues.secrets import Secret


@asynccontextmanager
async def desk(symbol: str = "BTC", **terms: Any) -> AsyncIterator[Desk]:
    async with opened(Hyperliquid(), hyperliquid(limits={})[0], addresses, symbol, **terms) as found:
        yield found


@pytest.mark.parametrize("trial", TRIALS, ids=lambda trial: trial.__name__)
def test_hyperliquid_passes(trial: Callable[[Stage], Awaitable[None]]) -> None:
    async def work() -> None:
        async with desk() as found:
            await perform(trial, found.stage("0.001"))

    run(work())


def test_only_orders_cancels_and_the_timer_are_ever_signed() -> None:
    """The library's own way to its markets approves a fee for its makers and names them as referrer."""

    async def work() -> None:
        async with desk() as found:
            stage = found.stage("0.001")
            await found.venue.listings()
            await found.venue.refresh()
            await perform_all([x for x in TRIALS if x not in LAST], stage)
            signed = [c.params["action"]["type"] for c in found.host.requests if c.path.endswith("/exchange")]
            assert {"order", "cancelByCloid", "cancel", "scheduleCancel"} == set(signed)
            assert all(
                "builder" not in c.params["action"] for c in found.host.requests if c.path == "/exchange"
            )

    run(work())


def test_an_order_that_is_answered_with_nothing_is_unknown_and_found() -> None:
    async def work() -> None:
        async with desk() as found:
            found.host.faults.add(Act.EMPTY, "order")
            order = found.order("0.001")
            assert (await found.venue.submit(order)).state is OrderState.UNKNOWN
            known = await found.venue.order(order.client_id)
            assert known is not None and known.state is OrderState.OPEN

    run(work())


_MASTER = "0x" + "ab" * 20


@pytest.mark.parametrize(
    ("whose", "role", "seen"),
    [
        ("signer", {"role": "agent", "data": {"user": _MASTER}}, f"an agent of {_MASTER}"),
        ("signer", {"role": "user"}, "a user"),
        ("signer", {"role": "missing"}, "unknown to the venue"),
        ("wallet", {"role": "subAccount", "data": {"master": _MASTER}}, f"a sub-account of {_MASTER}"),
        ("wallet", {"role": "vault"}, "a vault"),
        ("wallet", {"role": "missing"}, "unknown to the venue"),
        ("wallet", {"role": "agent", "data": {"user": _MASTER}}, f"an agent of {_MASTER}"),
    ],
)
def test_a_key_that_trades_on_another_account_is_refused(whose: str, role: dict[str, Any], seen: str) -> None:
    """By the doctor, and before an account is told to whoever asks; what was seen is named."""

    async def work() -> None:
        async with desk() as found:
            dialect = found.host.dialect
            assert isinstance(dialect, Loopback)
            signers = (address_of(key) for key in AGENT_KEYS)
            dialect.roles.update(dict.fromkeys(signers if whose == "signer" else [WALLET.lower()], role))
            for question in (found.venue.scopes(), found.venue.account(0)):
                with pytest.raises(Locked, match="KEY_ACCOUNT") as caught:
                    await question
                assert seen in str(caught.value)

    run(work())


def test_an_agents_own_address_is_no_wallet() -> None:
    """Wallet and key fit each other, and nothing is ever done on that account."""

    async def work() -> None:
        async with serve(hyperliquid(limits={})[0]) as host:
            secrets = {"wallet": Secret(address_of(SIGNING_KEY)), "secret": Secret(SIGNING_KEY)}
            terms = CexTerms("hyperliquid", Hosts.of([host.url]), addresses(host.url), pause_ms=0.2)
            venue = CexVenue(Hyperliquid(), terms, secrets)
            try:
                await venue.start_to_ask()
                with pytest.raises(Locked, match="KEY_ACCOUNT") as caught:
                    await venue.scopes()
                assert f"an agent of {WALLET.lower()}" in str(caught.value)
            finally:
                await venue.close()

    run(work())


def test_whose_agent_the_key_is_is_asked_once_before_the_first_account() -> None:
    async def work() -> None:
        async with desk() as found:
            for _ in range(3):
                await found.venue.account(0)
            asked = [c.params["user"] for c in found.host.requests if c.operation == "userRole"]
            assert len(asked) == 2 and asked[0].lower() == WALLET.lower()
            assert await found.venue.scopes() == ("agent",)

    run(work())
