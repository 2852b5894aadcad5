"""Where each venue is reached: its own hosts, live and of its test network, and never both in one session.

A key of one network is worth nothing on the other, and an order meant for the test network is real on the
live one. So a session is given the hosts of one of them alone. Nothing is looked up: whoever calls these
hosts proves to be them by certificate (`venues.net`).

Sources: docs.deribit.com "environments"; okx.com/docs-v5 "demo trading services", whose REST host is the live
one, with a header that ccxt sets (`x-simulated-trading`); bybit-exchange.github.io v5 "integration guidance";
developers.binance.com "testnet"; hyperliquid.gitbook.io "API"; and the addresses of ccxt 4.5.90, which a test
compares.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Networks:
    """A venue's hosts. live: real money; test: its test network, or what it calls demo."""

    live: frozenset[str]
    test: frozenset[str]

    def of(self, sandbox: bool) -> frozenset[str]:
        """Those of one network."""
        return self.test if sandbox else self.live


def _under(domain: str, *names: str) -> frozenset[str]:
    return frozenset(f"{name}.{domain}" for name in names)


_BINANCE = Networks(
    live=_under(
        "binance.com",
        *("api", "api1", "fapi", "dapi", "eapi", "papi", "stream", "fstream", "dstream", "nbstream"),
        *("ws-api", "ws-fapi", "ws-dapi", "www"),
    ),
    test=frozenset({"testnet.binance.vision", "testnet.binancefuture.com"})
    | _under("testnet.binance.vision", "stream", "ws-api")
    | _under("binancefuture.com", "fstream", "dstream"),
)

NETWORKS: Mapping[str, Networks] = {
    "deribit": Networks(_under("deribit.com", "www"), _under("deribit.com", "test")),
    "okx": Networks(_under("okx.com", "www", "my", "app", "ws"), _under("okx.com", "www", "wspap")),
    "bybit": Networks(
        _under("bybit.com", "api", "stream"), _under("bybit.com", "api-testnet", "stream-testnet")
    ),
    **dict.fromkeys(("binance", "binanceusdm", "binancecoinm"), _BINANCE),
    "hyperliquid": Networks(_under("hyperliquid.xyz", "api"), _under("hyperliquid-testnet.xyz", "api")),
}
