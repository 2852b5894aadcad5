"""How long a kill takes: `python -m benchmarks.venue_kill [--orders 200] [--delay-ms 50] [--repeats 10]`.

Per exchange: so many orders rest on a loopback exchange in a process of its own, every message is delayed
on its way in and on its way out, and the account is emptied as `hedger kill` does where no engine runs:
connect, sign in, cancel all, read until two readings in a row show nothing. Then the same on a session that
is up already, as a running engine has one. Two times are told: until the last order ended by the exchange's
own log, and until the second reading of zero. Both by the wall clock of one machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np

from benchmarks.children import Child, child
from hedger.runs.venue_kill import ZERO_READS, cancel_at_venues
from hedger.runs.venue_market import connected
from hedger.sections.venues import VenueName
from hedger.settings import Settings
from tests.exchanges.binance import binance
from tests.exchanges.bybit import bybit
from tests.exchanges.deribit import deribit
from tests.exchanges.deribit_auth import Credits
from tests.exchanges.hyperliquid import hyperliquid
from tests.exchanges.hyperliquid_words import WALLET
from tests.exchanges.okx import okx
from tests.exchanges.server import Host, serve
from tests.exchanges.words import Side

WAIT_S_MAX = 60.0
START_S_MAX = 60.0
#: A resting order stands so far below the mark: shares of it.
_BELOW = Decimal("0.95")
#: Some venues take no order of a few dollars.
_WORTH_USD = 20


@dataclass(frozen=True, slots=True)
class Stand:
    """An exchange to be killed on. symbol: what rests there; account: of the orders; path: behind its
    address. secrets: what the configuration names, and its value there."""

    make: Callable[[], tuple[Any, Any]]
    symbol: str
    account: str
    path: str = ""
    secrets: tuple[tuple[str, str], ...] = (("key", "key"), ("secret", "secret"))


_ENDLESS = 1e9
STANDS: dict[VenueName, Stand] = {
    "deribit": Stand(
        lambda: deribit(credits=Credits(_ENDLESS, _ENDLESS, _ENDLESS, _ENDLESS)),
        "BTC-PERPETUAL",
        "desk",
        "/ws/api/v2",
    ),
    "okx": Stand(
        okx, "BTC-USDT-SWAP", "desk", secrets=(("key", "key"), ("secret", "secret"), ("passphrase", "phrase"))
    ),
    "bybit": Stand(lambda: bybit(limits={}), "BTCUSDT", "desk"),
    "binanceusdm": Stand(lambda: binance(limits={}), "BTCUSDT", "desk/linear"),
    "hyperliquid": Stand(
        hyperliquid, "BTC", "desk", secrets=(("wallet", WALLET), ("secret", "0x" + "1" * 64))
    ),
}


async def stand(name: VenueName, delay_s: float) -> None:
    """The exchange's process: a line with its port; then, for each line it is told, orders and their end.

    `rest N` puts so many orders there; `ended` says when the last of them ended, UTC ns, and how many rest.
    """
    chosen = STANDS[name]
    dialect, _ = chosen.make()
    async with serve(dialect) as host:
        host.faults.latency_s = delay_s
        print(host.port, flush=True)
        while True:
            line = await asyncio.to_thread(sys.stdin.readline)
            if not line:
                return
            verb, *terms = line.split()
            if verb == "rest":
                _rest(host, chosen, int(terms[0]))
                told: dict[str, Any] = {"resting": _resting(host, chosen)}
            else:
                ends = [row["ns"] for row in host.exchange.truth.rows if row["event"] == "cancelled"]
                told = {"ended_ns": max(ends, default=None), "resting": _resting(host, chosen)}
            print(json.dumps(told), flush=True)


def _rest(host: Host, chosen: Stand, orders: int) -> None:
    """So many small bids, two of them or so on a tick."""
    exchange = host.exchange
    instrument = exchange.instruments[chosen.symbol]
    mark = exchange.mark_price(chosen.symbol)
    dollars = mark if instrument.inverse else 1
    quantity = instrument.minimum
    while instrument.value(quantity, mark) * dollars < _WORTH_USD:
        quantity += instrument.lot
    for number in range(orders):
        tick = instrument.tick_at(mark)
        price = (mark * _BELOW / tick).to_integral_value() * tick - tick * (number % 100)
        exchange.submit(chosen.account, chosen.symbol, Side.BUY, quantity, price)


def _resting(host: Host, chosen: Stand) -> int:
    return len(host.exchange.open_orders(chosen.account))


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds from the kill to the last order's end, and to the second reading of zero."""

    ended_s: float
    zero_s: float


def settings(name: VenueName, port: int) -> Settings:
    """Of the one venue, with its keys by reference; whoever reads a key takes it out of the environment."""
    chosen = STANDS[name]
    keys = {}
    for key, value in chosen.secrets:
        os.environ[f"BENCH_{key.upper()}"] = value
        keys[key] = f"env:BENCH_{key.upper()}"
    scheme = "ws" if name == "deribit" else "http"
    url = f"{scheme}://127.0.0.1:{port}{chosen.path}"
    return Settings.model_validate({"venues": {name: {"url": url, **keys}}})


def asked(exchange: Child, words: str) -> dict[str, Any]:
    """One line to the exchange, and its answer.

    Raises:
        SystemExit: it does not answer.
    """
    exchange.say(words)
    line = exchange.line(START_S_MAX)
    if line is None:
        raise SystemExit("the exchange does not answer")
    found: dict[str, Any] = json.loads(line)
    return found


def alone(exchange: Child, desk: Settings, orders: int) -> Times:
    """As `hedger kill` without an engine: a session of its own."""
    assert asked(exchange, f"rest {orders}")["resting"] == orders
    begun_ns = time.time_ns()
    left = cancel_at_venues(desk, WAIT_S_MAX)
    if left.faults:
        raise SystemExit(f"the kill failed: {next(iter(left.faults.values()))}")
    return _times(exchange, begun_ns, time.time_ns(), left.live)


def _times(exchange: Child, begun_ns: int, zero_ns: int, left: int) -> Times:
    told = asked(exchange, "ended")
    if left or told["resting"]:
        raise SystemExit(f"orders rest after the kill: {left} by what was read, {told['resting']} in truth")
    return Times((told["ended_ns"] - begun_ns) / 1e9, (zero_ns - begun_ns) / 1e9)


async def with_session(
    exchange: Child, desk: Settings, name: VenueName, orders: int, repeats: int
) -> list[Times]:
    """On a session that is up, again and again: cancel all, then read until two readings show nothing."""
    found = []
    async with connected(desk, [name], keys=True) as (venue,):
        for _ in range(repeats):
            await asyncio.to_thread(asked, exchange, f"rest {orders}")
            await asyncio.sleep(0.5)  # the stream tells of all these first
            begun_ns, zeros, left = time.time_ns(), 0, orders
            while zeros < ZERO_READS and time.time_ns() - begun_ns < WAIT_S_MAX * 1e9:
                await venue.cancel_all()
                report = await venue.account(await venue.time_ns())
                left = sum(not order.state.terminal for order in report.orders)
                zeros = 0 if left else zeros + 1
            zero_ns = time.time_ns()
            found.append(await asyncio.to_thread(_times, exchange, begun_ns, zero_ns, left))
    return found


def _line(name: str, how: str, times: Sequence[Times]) -> str:
    ended, zero = (
        "/".join(f"{x * 1e3:.0f}" for x in np.quantile(values, [0.5, 0.99]))
        for values in ([t.ended_s for t in times], [t.zero_s for t in times])
    )
    return f"{name:>12} {how:>16} {len(times):>8} {ended:>20} {zero:>20}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.venue_kill", description=__doc__)
    parser.add_argument("--venues", nargs="*", choices=list(STANDS), default=list(STANDS))
    parser.add_argument("--orders", type=int, default=200)
    parser.add_argument("--delay-ms", type=float, default=50.0, help="of every message, each way")
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--stand", choices=list(STANDS), help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.stand is not None:
        asyncio.run(stand(chosen.stand, chosen.delay_ms / 1e3))
        return 0
    print(f"{chosen.orders} orders, {chosen.delay_ms:g} ms each way; times in ms")
    print(f"{'venue':>12} {'session':>16} {'repeats':>8} {'last end p50/p99':>20} {'second 0 p50/p99':>20}")
    for name in chosen.venues:
        words = ("--stand", name, "--delay-ms", str(chosen.delay_ms))
        with child("benchmarks.venue_kill", *words) as exchange:
            port = exchange.line(START_S_MAX)
            if port is None:
                raise SystemExit(f"{name}: the exchange did not start")
            own = [alone(exchange, settings(name, int(port)), chosen.orders) for _ in range(chosen.repeats)]
            print(_line(name, "its own", own), flush=True)
            desk = settings(name, int(port))
            up = asyncio.run(with_session(exchange, desk, name, chosen.orders, chosen.repeats))
            print(_line(name, "already up", up), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
