"""Sessions that reach only who they should: hosts, encryption, redirects, and no sending twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.certificates import Authority
from venues.errors import Untrusted
from venues.net import ANSWER_BYTES_MAX, Hosts, guarded_session, never_again, verified

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 10))


@asynccontextmanager
async def server(handler: Handler) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("told", [True, False], ids=["length told", "in chunks"])
@pytest.mark.parametrize("packed", [True, False])
def test_an_answer_is_read_up_to_what_a_venue_may_send_and_no_further(told: bool, packed: bool) -> None:
    """As it is after unpacking: a small one can hold a large one."""

    async def work() -> None:
        async def handler(request: web.Request) -> web.StreamResponse:
            length = ANSWER_BYTES_MAX + (1 if request.path == "/long" else 0)
            if told and not packed:
                return web.Response(body=b"0" * length)
            answer = web.StreamResponse()
            if packed:
                answer.enable_compression()
            await answer.prepare(request)
            for start in range(0, length, 2**20):
                await answer.write(b"0" * min(2**20, length - start))
            return answer

        async with server(handler) as url, guarded_session(Hosts.of([url])) as session:
            async with session.get(f"{url}/whole") as answer:
                assert len(await answer.read()) == len(await answer.read()) == ANSWER_BYTES_MAX
            with pytest.raises(Untrusted, match="ANSWER_TOO_LONG"):
                async with session.get(f"{url}/long") as answer:
                    await answer.text()

    run(work())


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("https://evil.example/", "HOST_REFUSED"),
        ("https://www.deribit.com.evil.example/", "HOST_REFUSED"),
        ("https://www.deribit.com@evil.example/", "HOST_REFUSED"),
        ("http://www.deribit.com/", "PLAIN_REFUSED"),
        ("ws://www.deribit.com/", "PLAIN_REFUSED"),
        ("ftp://www.deribit.com/", "PLAIN_REFUSED"),
    ],
)
def test_other_hosts_and_plain_connections_are_refused(url: str, code: str) -> None:
    with pytest.raises(Untrusted, match=code):
        Hosts(frozenset({"www.deribit.com"})).check(url)


def test_listed_hosts_pass_and_a_port_that_is_named_is_meant() -> None:
    hosts = Hosts(frozenset({"www.deribit.com", "127.0.0.1:8080"}))
    hosts.check("wss://www.deribit.com/ws/api/v2")
    hosts.check("http://127.0.0.1:8080/x")
    with pytest.raises(Untrusted):
        hosts.check("http://127.0.0.1:8081/x")


def test_a_session_asks_before_it_connects() -> None:
    async def work() -> None:
        called: list[str] = []

        async def handler(request: web.Request) -> web.StreamResponse:
            called.append(request.path)
            return web.Response(text="ok")

        async with server(handler) as url, guarded_session(Hosts(frozenset({"elsewhere"}))) as session:
            with pytest.raises(Untrusted):
                await session.get(url)
            with pytest.raises(Untrusted):
                await session.ws_connect(url)
        assert called == []

    run(work())


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_redirect_is_not_followed_wherever_it_points(status: int, method: str) -> None:
    async def work() -> None:
        called: list[str] = []

        async def handler(request: web.Request) -> web.StreamResponse:
            called.append(request.path)
            return web.Response(status=status, headers={"Location": "/stolen"})

        async with server(handler) as url, guarded_session(Hosts.of([url])) as session:
            with pytest.raises(Untrusted, match="REDIRECT_REFUSED"):
                await session.request(method, f"{url}/signed", headers={"Authorization": "secret"})
        assert called == ["/signed"]

    run(work())


@pytest.mark.parametrize("guarded", [True, False])
def test_a_request_whose_connection_is_reset_is_sent_once(guarded: bool) -> None:
    """Without the guard the library sends a GET twice: the day this fails, the patch can go."""

    async def work() -> None:
        called: list[str] = []

        async def handler(request: web.Request) -> web.StreamResponse:
            called.append(request.path)
            if request.path == "/order":
                assert request.transport is not None
                request.transport.abort()
            return web.Response(text="ok")

        async with server(handler) as url:
            session = guarded_session(Hosts.of([url])) if guarded else aiohttp.ClientSession()
            async with session:
                await (await session.get(f"{url}/warm")).read()  # only a reused connection is retried
                with pytest.raises(aiohttp.ClientError):
                    await session.get(f"{url}/order")
        assert called.count("/order") == (1 if guarded else 2)

    run(work())


def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")

    async def work() -> None:
        async def handler(request: web.Request) -> web.StreamResponse:
            return web.Response(text="ok")

        async with server(handler) as url, guarded_session(Hosts.of([url])) as session:
            assert await (await session.get(url)).text() == "ok"

    run(work())


def test_a_library_without_the_switch_is_not_signed_with() -> None:
    class Changed:
        pass

    with pytest.raises(RuntimeError):
        never_again(Changed())  # type: ignore[arg-type]


def test_authorities_are_read_once_and_again_when_they_are_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (Authority.made(tmp_path, name) for name in ("first", "second"))
    file = tmp_path / "authorities"
    file.write_bytes(first.file.read_bytes())
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    before = verified()
    assert verified() is before
    file.write_bytes(first.file.read_bytes() + second.file.read_bytes())
    after = verified()
    assert (len(before.get_ca_certs()), len(after.get_ca_certs())) == (1, 2)
