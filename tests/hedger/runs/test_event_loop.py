"""A connection that is cancelled closes its descriptor once, and no other's."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import pytest
import uvloop

from hedger.runs.launch import loop_factory

Factory = Callable[[], asyncio.AbstractEventLoop]


def descriptor_after_a_cancel(factory: Factory | None) -> int:
    """Of a socket whose connection was given up: -1 where it has let go of it."""

    async def scene() -> int:
        loop = asyncio.get_running_loop()
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
        sock = socket.socket()
        sock.setblocking(False)
        await loop.sock_connect(sock, server.sockets[0].getsockname())
        task = loop.create_task(loop.create_connection(asyncio.Protocol, sock=sock))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        left = sock.fileno()
        if left >= 0:
            sock.detach()
        server.close()
        return left

    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(scene())


def test_a_connection_given_up_lets_go_of_its_descriptor() -> None:
    assert descriptor_after_a_cancel(loop_factory()) == -1


def test_uvloop_itself_still_needs_it() -> None:
    """Where this fails, uvloop has mended its issue 738: hedger.runs.event_loop can go."""
    assert descriptor_after_a_cancel(uvloop.new_event_loop) >= 0
