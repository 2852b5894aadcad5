"""The only kind of session that leaves this process: known hosts, verified TLS, no redirects, no proxies.

A signed request that is redirected hands its signature to whoever stands at the other end; a proxy named in
the environment reads every one of them. So a session asks before each request whether its host is on the list
of the venue, follows no redirect, takes no proxy and keeps no cookies. Plain http and ws are for the loopback
interface alone, where tests and the loopback exchanges live.

aiohttp sends a request of an idempotent method again when the connection is reset under it: an order that
goes as GET is then placed twice, and a cancel that worked reports an unknown order. That is switched off.

An answer is read up to a length that none of a venue has: `ANSWER_BYTES_MAX`.

What stands for a venue must prove it: a certificate for its host, in date, by an authority of this machine.
One that does not is no outage, and at a start nobody waits for it to pass (`tls_refused`).
"""

from __future__ import annotations

import logging
import os
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from types import SimpleNamespace
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from venues.errors import NotTheVenue, Untrusted

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_SAFE = frozenset({"https", "wss"})
_PLAIN = frozenset({"http", "ws"})
#: Loggers of libraries that write requests as they were sent, or may; each gets a level of its own.
_TALKATIVE = ("ccxt", "ccxt.base.exchange", "aiohttp.client", "aiohttp.internal", "aiohttp.websocket")
#: No answer of a venue is longer, unpacked: a whole instrument list of all currencies is 2 MB.
ANSWER_BYTES_MAX = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Hosts:
    """The hosts that a venue's session may reach. names: "host", or "host:port" for one port alone."""

    names: frozenset[str]

    @classmethod
    def of(cls, urls: Iterable[str]) -> Hosts:
        """The hosts of these addresses, with their ports where they name any.

        >>> sorted(Hosts.of(["wss://www.deribit.com/ws/api/v2", "http://127.0.0.1:8080/"]).names)
        ['127.0.0.1:8080', 'www.deribit.com']
        """
        parts = [urlsplit(url) for url in urls]
        names = [f"{p.hostname}:{p.port}" if p.port else p.hostname for p in parts if p.hostname]
        return cls(frozenset(names))

    def check(self, url: str | URL) -> None:
        """Let an address pass, or not.

        Raises:
            NotTheVenue: HOST_REFUSED, its host is not on the list; PLAIN_REFUSED, it is not encrypted.
        """
        target = URL(url) if isinstance(url, str) else url
        host, port = target.host or "", target.explicit_port
        if host not in self.names and f"{host}:{port}" not in self.names:
            raise NotTheVenue(
                "HOST_REFUSED",
                "this host is not on the venue's list",
                observed=host[:100],
                allowed=", ".join(sorted(self.names)),
                not_done="nothing was sent",
                fix="correct the venue's address; a host is only ever added in the configuration",
            )
        if target.scheme not in _SAFE and not (target.scheme in _PLAIN and host in LOOPBACK):
            raise NotTheVenue(
                "PLAIN_REFUSED",
                "the connection would not be encrypted",
                observed=f"{target.scheme}://{host}"[:100],
                allowed="https and wss; http and ws on the loopback interface alone",
                not_done="nothing was sent",
            )


class Bounded(aiohttp.ClientResponse):
    """An answer that is read so far and no further: whoever stands for a venue could fill the memory else."""

    async def read(self) -> bytes:
        """All of it.

        Raises:
            Untrusted: ANSWER_TOO_LONG; nothing of it is used.
        """
        if self._body is None:
            parts: list[bytes] = []
            size = 0
            async for part in self.content.iter_any():
                size += len(part)
                if size > ANSWER_BYTES_MAX:
                    self.close()
                    raise Untrusted(
                        "ANSWER_TOO_LONG",
                        "an answer that no venue gives",
                        where=str(self.url.host)[:100],
                        observed=f"more than {ANSWER_BYTES_MAX} bytes",
                        not_done="the answer was not used",
                    )
                parts.append(part)
            self._body = b"".join(parts)
        return await super().read()


def contain_logging() -> None:
    """Keep keys, signatures and headers out of logs, whatever level the rest of the process logs at."""
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)


def guarded_session(
    hosts: Hosts, *, timeout_s: float = 10.0, connections_max: int = 8
) -> aiohttp.ClientSession:
    """A session that reaches these hosts and no others; to be made inside a running event loop."""
    contain_logging()
    trace = aiohttp.TraceConfig()

    async def on_start(
        _: aiohttp.ClientSession, __: SimpleNamespace, params: aiohttp.TraceRequestStartParams
    ) -> None:
        hosts.check(params.url)

    async def on_redirect(
        _: aiohttp.ClientSession, __: SimpleNamespace, params: aiohttp.TraceRequestRedirectParams
    ) -> None:
        raise NotTheVenue(
            "REDIRECT_REFUSED",
            "the venue redirects, which a venue does not do",
            observed=str(params.url.host)[:100],
            not_done="the redirect was not followed",
        )

    trace.on_request_start.append(on_start)
    trace.on_request_redirect.append(on_redirect)
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=connections_max, ssl=verified()),
        timeout=aiohttp.ClientTimeout(total=timeout_s),
        trust_env=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        trace_configs=[trace],
        response_class=Bounded,
    )
    never_again(session)
    return session


def verified() -> ssl.SSLContext:
    """What a connection must show: TLS 1.2 or newer, a certificate for this host that this machine trusts.

    One context for all sessions, since reading a machine's authorities takes longer than all else that a
    session needs to begin; made anew where they are others than before.
    """
    paths = ssl.get_default_verify_paths()  # as the environment names them now
    return _trusting(*(_as_of(path) for path in (paths.cafile, paths.capath)))


def _as_of(path: str | None) -> tuple[str, int, int] | None:
    """A file or folder of authorities, when it was written and how large it is; None: there is none."""
    try:
        found = os.stat(path) if path is not None else None
    except OSError:
        return None
    return None if path is None or found is None else (path, found.st_mtime_ns, found.st_size)


@lru_cache(maxsize=4)
def _trusting(*_: tuple[str, int, int] | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not context.check_hostname or context.verify_mode is not ssl.CERT_REQUIRED:
        raise RuntimeError(
            "the default context of this Python verifies nothing; nothing may be signed with it"
        )
    return context


def tls_refused(error: BaseException, where: str) -> NotTheVenue | None:
    """The error for a connection that was refused for its certificate or protocol, None for any other fault.

    error: as the transport raised it, or anything that was raised from it or carries it.
    """
    found = _tls_error(error)
    if found is None:
        return None
    why = getattr(found, "certificate_error", found)
    told = getattr(why, "verify_message", "") or getattr(why, "reason", "") or type(why).__name__
    return NotTheVenue(
        "TLS_REFUSED",
        "what answers there does not prove that it is the venue",
        where=where,
        observed=str(told)[:150],
        allowed="TLS 1.2 or newer, and a certificate for this host, in date, that this machine trusts",
        not_done="nothing signed was sent",
        fix="see what stands between here and the venue, this machine's clock and its authorities; "
        "it cannot be switched off",
    )


def _tls_error(error: BaseException | None, depth_max: int = 8) -> BaseException | None:
    """The fault of TLS in what an error was raised from, or carries: libraries wrap it in their own."""
    if error is None or depth_max == 0:
        return None
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError):
        return error
    carried = [x for x in error.args if isinstance(x, BaseException)]
    inner = (_tls_error(x, depth_max - 1) for x in (error.__cause__, error.__context__, *carried))
    return next((x for x in inner if x is not None), None)


def never_again(session: aiohttp.ClientSession) -> None:
    """Switch off the session's own resending.

    Raises:
        RuntimeError: this release of aiohttp has no such switch any more; nothing may be signed with it.
    """
    if not hasattr(session, "_retry_connection"):
        raise RuntimeError("aiohttp has changed: its resending of idempotent requests cannot be switched off")
    session._retry_connection = False
