"""The stranger of the stories hears what a careless client tells him, and nothing of one that looks."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

import pytest
from aiohttp import ClientError, ClientSession, ClientTimeout

from tests.certificates import Authority, Kind
from tests.exchanges.deribit import deribit
from tests.exchanges.faults import Act
from tests.exchanges.server import serve
from tests.exchanges.stranger import DISGUISES, OLD, PLAIN, disguise, strange
from venues.net import verified


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 20))


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.made(tmp_path_factory.mktemp("authority"))


async def ask(url: str, shown: ssl.SSLContext | bool) -> None:
    with suppress(ClientError, TimeoutError, OSError):
        async with ClientSession(timeout=ClientTimeout(total=0.3)) as http:
            await http.post(f"{url}/order", data="secret", ssl=shown)


@pytest.mark.parametrize("how", DISGUISES)
def test_who_looks_tells_him_nothing(how: str, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))

    async def work() -> None:
        async with strange(tls=disguise(authority, how)) as stranger:
            await ask(f"https://127.0.0.1:{stranger.port}", verified())
            assert stranger.told() == [] and (stranger.met > 0 or how == OLD)

    run(work())


@pytest.mark.parametrize("how", [how for how in DISGUISES if how != OLD])  # which nobody speaks any more
def test_who_does_not_look_is_heard(how: str, authority: Authority) -> None:
    async def work() -> None:
        async with strange(tls=disguise(authority, how)) as stranger:
            await ask(f"http{'s' * (how != PLAIN)}://127.0.0.1:{stranger.port}", False)
            (said,) = stranger.told()
            assert b"/order" in said and b"secret" in said

    run(work())


def test_an_address_that_was_left_is_taken_and_given_back(authority: Authority) -> None:
    """Connections of before are gone; a redirect of the connection itself points to where it is told."""

    async def work() -> None:
        async with serve(deribit()[0], tls=authority.server(Kind.GOOD)) as host, ClientSession() as http:
            trusted = ssl.create_default_context(cafile=str(authority.file))
            url = f"{host.ws_url}/ws/api/v2"
            before = await http.ws_connect(url, ssl=trusted)
            async with host.away(), strange(host.port, disguise(authority, Kind.SELF_SIGNED)) as stranger:
                with pytest.raises(ClientError):
                    await http.ws_connect(url, ssl=trusted)
                assert stranger.met == 1 and stranger.told() == []
                assert (await before.receive()).data is None and before.closed
            async with strange() as elsewhere:
                host.faults.elsewhere = elsewhere.url
                host.faults.add(Act.REDIRECT, "connect")
                answer = http.get(url, ssl=trusted, headers={"Upgrade": "websocket"}, allow_redirects=False)
                async with answer as told:
                    assert (told.status, told.headers["Location"]) == (302, elsewhere.url)
                assert elsewhere.met == 0
            after = await http.ws_connect(url, ssl=trusted)
            assert not after.closed
            await after.close()

    run(work())
