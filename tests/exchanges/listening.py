"""An address of the loopback interface at which requests are answered, and which can be left for a while."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web


class Listening:
    """See the module. handle: any request; tls: what is shown to whoever connects, None for plain text."""

    def __init__(
        self, handle: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]], tls: ssl.SSLContext | None
    ) -> None:
        self.port = 0
        self._tls = tls
        self._server = web.Server(handle)
        self._runner = web.ServerRunner(self._server, handle_signals=False, shutdown_timeout=0.2)
        self._site: web.TCPSite | None = None

    async def start(self, port: int) -> None:
        """Listen; port 0: any that is free."""
        await self._runner.setup()
        await self._listen(port)
        self.port = self._runner.addresses[0][1]

    async def close(self) -> None:
        """Listen no more."""
        await self._runner.cleanup()

    @asynccontextmanager
    async def away(self) -> AsyncIterator[None]:
        """Until the block ends the address is anybody's; every connection to it is gone."""
        if self._site is not None:
            await self._site.stop()
        for connection in self._server.connections:
            if connection.transport is not None:
                connection.transport.abort()
        try:
            yield
        finally:
            await self._listen(self.port)

    async def _listen(self, port: int) -> None:
        self._site = web.TCPSite(self._runner, "127.0.0.1", port, ssl_context=self._tls)
        await self._site.start()
