"""A server that cannot prove to be the venue gets nothing that is signed, by either kind of adapter.

The authority is one that this process trusts for the time of the test (`SSL_CERT_FILE`): what is refused is
refused for its own fault alone, and what has none is used.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.certificates import Authority, Kind
from tests.exchanges.deribit import deribit
from tests.exchanges.okx import okx
from tests.exchanges.server import serve
from tests.exchanges.words import ApiKey
from tests.planted import KEY, PASSPHRASE, SECRET
from venues import cex_okx
from venues.base import Venue
from venues.cex import CexSettings, CexVenue
from venues.cex_client import CexTerms
from venues.deribit import DeribitTerms, DeribitVenue
from venues.deribit_session import Login, SessionTerms
from venues.errors import NotTheVenue, Unreachable
from venues.net import Hosts
from venues.secrets import Secret

QUICK = SessionTerms(answer_s_max=1.0, connect_s_max=2.0, pause_s_first=0.02, pause_s_most=0.1)
BAD = [kind for kind in Kind if kind is not Kind.GOOD]
Make = Callable[..., Any]


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 20))


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.made(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def trusted(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Authority:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    return authority


def on_deribit(port: int, start_s_max: float = 60.0) -> DeribitVenue:
    terms = DeribitTerms(url=f"wss://127.0.0.1:{port}/ws/api/v2", start_s_max=start_s_max, session=QUICK)
    return DeribitVenue(terms, Login(Secret(KEY), Secret(SECRET)))


def on_okx(port: int, start_s_max: float = 60.0) -> CexVenue:
    return _okx(f"https://127.0.0.1:{port}", f"wss://127.0.0.1:{port}/ws/v5", start_s_max)


def _okx(rest: str, ws: str, start_s_max: float = 60.0) -> CexVenue:
    secrets = {"key": Secret(KEY), "secret": Secret(SECRET), "passphrase": Secret(PASSPHRASE)}
    terms = CexTerms("okx", Hosts.of([rest, ws]), {"rest": rest, "ws": ws}, answer_s_max=1.0, pause_ms=0.2)
    times = CexSettings(pause_s_first=0.02, pause_s_most=0.1, start_s_max=start_s_max)
    return CexVenue(cex_okx.Okx(), terms, secrets, times)


ADAPTERS = pytest.mark.parametrize("make", [on_deribit, on_okx])


@asynccontextmanager
async def listening(tls: ssl.SSLContext | None) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A server that notes every byte that it is sent, once the connection stands."""
    heard: list[bytes] = []

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, ssl.SSLError):
            while data := await reader.read(65_536):
                heard.append(data)
        writer.close()

    server = await asyncio.start_server(hear, "127.0.0.1", 0, ssl=tls)
    # what a client refuses is the server's fault, which asyncio tells the loop of
    asyncio.get_running_loop().set_exception_handler(lambda _, __: None)
    try:
        yield server.sockets[0].getsockname()[1], heard
    finally:
        server.close()
        await server.wait_closed()


async def _started(venue: Any) -> None:
    try:
        await venue.start()
    finally:
        await venue.close()


@ADAPTERS
@pytest.mark.parametrize("kind", BAD)
def test_a_server_that_cannot_prove_itself_is_told_nothing(
    trusted: Authority, make: Make, kind: Kind
) -> None:
    async def work() -> None:
        async with listening(trusted.server(kind)) as (port, heard):
            with pytest.raises(NotTheVenue) as caught:
                await _started(make(port))  # an outage would be waited out, for longer than the test may run
        assert heard == []
        error = caught.value
        assert error.code == "TLS_REFUSED" and "nothing signed was sent" in error.text()
        word = {Kind.EXPIRED: "expired", Kind.WRONG_HOST: "127.0.0.1", Kind.SELF_SIGNED: "self"}.get(kind, "")
        assert word in str(error.observed)

    run(work())


@ADAPTERS
@pytest.mark.parametrize("oldest", ["TLS 1.1", "no TLS"])
def test_an_older_protocol_and_none_at_all_are_refused(trusted: Authority, make: Make, oldest: str) -> None:
    async def work() -> None:
        context = trusted.server(Kind.GOOD)
        if oldest == "TLS 1.1":
            with pytest.warns(DeprecationWarning):
                context.minimum_version, context.maximum_version = (
                    ssl.TLSVersion.TLSv1,
                    ssl.TLSVersion.TLSv1_1,
                )
        async with listening(context if oldest == "TLS 1.1" else None) as (port, heard):
            with pytest.raises((NotTheVenue, Unreachable)):  # a server may hang up and say nothing
                await _started(make(port, start_s_max=0.5))
        assert all(KEY.encode() not in data for data in heard)  # of what is not encrypted: a hello alone
        assert all(data[:1] == b"\x16" for data in heard)

    run(work())


@pytest.mark.parametrize("make", [on_deribit, on_okx])
def test_a_server_that_proves_itself_is_used(trusted: Authority, make: Make) -> None:
    async def work() -> None:
        key = ApiKey(KEY, SECRET, "desk", PASSPHRASE, scopes=("account:read_write", "trade:read_write"))
        dialect, _ = (
            deribit(key=key) if make is on_deribit else okx(key=ApiKey(KEY, SECRET, "desk", PASSPHRASE))
        )
        async with serve(dialect, tls=trusted.server(Kind.GOOD)) as host:
            venue: Any = make(host.port)
            try:
                await venue.start()
                port: Venue = venue
                assert (await port.account(0)).balances["BTC"] > 0
            finally:
                await venue.close()

    run(work())


def test_streams_at_an_impostor_are_no_outage_where_the_rest_is_the_venue(trusted: Authority) -> None:
    """The two may be different hosts: each has to prove itself."""

    async def work() -> None:
        dialect, _ = okx(key=ApiKey(KEY, SECRET, "desk", PASSPHRASE))
        async with (
            serve(dialect, tls=trusted.server(Kind.GOOD)) as host,
            listening(trusted.server(Kind.EXPIRED)) as (port, heard),
        ):
            with pytest.raises(NotTheVenue, match="TLS_REFUSED"):
                await _started(_okx(host.url, f"wss://127.0.0.1:{port}/ws/v5"))
        assert heard == []

    run(work())


def test_a_certificate_that_is_exchanged_while_it_runs_is_told_and_signed_for_no_more(
    trusted: Authority,
) -> None:
    async def work() -> None:
        key = ApiKey(KEY, SECRET, "desk", scopes=("account:read_write", "trade:read_write"))
        async with serve(deribit(key=key)[0], tls=trusted.server(Kind.GOOD)) as host:
            port, venue = host.port, on_deribit(host.port)
            await venue.start()
        async with _again(port, trusted.server(Kind.WRONG_HOST)) as heard:
            await asyncio.sleep(0.5)
            with pytest.raises(Unreachable):
                await venue.account(0)
            await venue.close()
        assert heard == []

    run(work())


@asynccontextmanager
async def _again(port: int, tls: ssl.SSLContext) -> AsyncIterator[list[bytes]]:
    """Somebody else at the address of a server that has gone."""
    heard: list[bytes] = []

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, ssl.SSLError):
            if data := await reader.read(65_536):
                heard.append(data)
        writer.close()

    asyncio.get_running_loop().set_exception_handler(lambda _, __: None)
    server = await asyncio.start_server(hear, "127.0.0.1", port, ssl=tls)
    try:
        yield heard
    finally:
        server.close()
        await server.wait_closed()


def test_the_authorities_are_asked_for_by_the_machine_alone(tmp_path: Path) -> None:
    """Without the test's authority its good certificate is one of nobody."""

    async def work() -> None:
        async with listening(Authority.made(tmp_path).server(Kind.GOOD)) as (port, heard):
            with pytest.raises(NotTheVenue):
                await _started(on_deribit(port))
        assert heard == []

    run(work())
