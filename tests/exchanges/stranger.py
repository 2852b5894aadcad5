"""Somebody who is not the venue, and what he got to hear: the far end of a redirect, or who took its address.

A stranger with a certificate hears only what is said once the connection stands; without one, whatever comes:
a client that insists on encryption says hello there, and nothing else.
"""

from __future__ import annotations

import asyncio
import ssl
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from tests.certificates import Authority, Kind

#: Beside the certificates of `Kind`: an older protocol, and no encryption at all.
OLD, PLAIN = "TLS 1.1", "no TLS"
DISGUISES = (*(str(kind) for kind in Kind if kind is not Kind.GOOD), OLD, PLAIN)
#: Of records of TLS: a fault told, and the first steps of a handshake. Neither holds anything of a request.
_ALERT, _HANDSHAKE = 21, 22


@dataclass(slots=True)
class Stranger:
    """See the module. tls: he shows a certificate. met: connections that got as far as to see it; heard: what
    was said, per connection that stood."""

    port: int
    tls: bool
    met: int = 0
    heard: list[bytearray] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Of a page of his."""
        return f"http{'s' * self.tls}://127.0.0.1:{self.port}/elsewhere"

    def told(self) -> list[bytes]:
        """What was said to him that only the venue is to hear, per connection."""
        if self.tls:
            return [bytes(said) for said in self.heard]
        return [bytes(said) for said in self.heard if not _hello(bytes(said))]


def _hello(said: bytes) -> bool:
    """Whether it is nothing but records of a handshake and alerts; the last may have been broken off.

    >>> [_hello(x) for x in (bytes.fromhex("1603010002aabb"), bytes.fromhex("1703030002aabb"), b"GET /")]
    [True, False, False]
    """
    at = 0
    while at < len(said):
        if said[at] not in (_ALERT, _HANDSHAKE):
            return False
        at += 5 + int.from_bytes(said[at + 3 : at + 5], "big")
    return True


def disguise(authority: Authority, how: str) -> ssl.SSLContext | None:
    """What one of `DISGUISES` shows; None: nothing."""
    if how == PLAIN:
        return None
    if how != OLD:
        return authority.server(Kind(how))
    context = authority.server(Kind.GOOD)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


@asynccontextmanager
async def strange(port: int = 0, tls: ssl.SSLContext | None = None) -> AsyncIterator[Stranger]:
    """A stranger on 127.0.0.1 until the block ends; he answers nobody."""
    writers: list[asyncio.StreamWriter] = []

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        stranger.met += tls is None
        said = bytearray()
        stranger.heard.append(said)
        writers.append(writer)
        with suppress(ConnectionError, ssl.SSLError):
            while data := await reader.read(65_536):
                said += data
        writer.close()

    def met(*_: object) -> None:
        stranger.met += 1

    if tls is not None:
        tls.sni_callback = met  # called whether or not the client names a host
    server = await asyncio.start_server(hear, "127.0.0.1", port, ssl=tls)
    stranger = Stranger(server.sockets[0].getsockname()[1], tls is not None)
    try:
        yield stranger
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        await server.wait_closed()
