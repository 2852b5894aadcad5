"""uvloop's event loop, with a socket that is closed once.

uvloop 0.22.1 (issue 738, mended upstream by 740 in no release yet): where a connection on a socket that is
given is cancelled, as aiohttp does when connecting takes too long, the loop closes the file descriptor, and
the socket closes the same number again when it is collected. By then the number may be that of another
connection: of another venue's, or of the journal. What follows is "Bad file descriptor" on a connection that
nobody touched, "File descriptor is used by transport", or an abort of the process, and it comes when it does
most harm: while one venue is slow to be reached and the others are traded on. Here the socket lets go of the
descriptor as soon as the loop has failed with it.

To be dropped with the release of uvloop that does it itself; a test fails then.
"""

from __future__ import annotations

import asyncio
from socket import socket
from typing import Any

import uvloop


class SafeLoop(uvloop.Loop):
    """See the module."""

    async def create_connection(
        self,
        protocol_factory: Any,
        host: Any = None,
        port: Any = None,
        *,
        sock: socket | None = None,
        **terms: Any,
    ) -> Any:
        """As uvloop's. The socket is the loop's from here on, whatever comes of it."""
        try:
            return await super().create_connection(protocol_factory, host, port, sock=sock, **terms)
        except BaseException:
            if sock is not None:
                sock.detach()
            raise


def new_event_loop() -> asyncio.AbstractEventLoop:
    """A loop of this kind."""
    loop: asyncio.AbstractEventLoop = SafeLoop()
    return loop
