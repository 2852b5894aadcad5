"""A loopback Deribit in a process of its own that talks as much as it is told to.

`python -m benchmarks.venue_exchange --instruments 1200 --rate 2000` prints its port, then a line of JSON a
second: the frames it has sent and the CPU seconds it has used. Each update moves an instrument's mark and
its book, which is a ticker and a book message where both are subscribed to. The instruments come round in
turn, so none says more than its channel's pace lets through. With rate 0 it is only there to be traded on.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import math
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from decimal import Decimal

from tests.exchanges.clock import Clock
from tests.exchanges.core import Exchange
from tests.exchanges.deribit import DEFAULT_SCOPES, SPOTS, Deribit
from tests.exchanges.deribit_auth import Credits
from tests.exchanges.deribit_market import listing
from tests.exchanges.server import Host, serve
from tests.exchanges.words import ApiKey, Instrument
from tests.exchanges.world import YEAR_S, World

#: Of the one account; a real key of the venue has this shape.
KEY, SECRET = "benchmark", "benchmark-secret-of-the-loopback-exchange-01"
#: Two messages come of an update: a ticker and a book.
_MESSAGES_AN_UPDATE = 2
_STEP_S = 0.02
_EXPIRIES_DAYS = (2, 9, 16, 37, 65, 128)
_ENDLESS = 1e9


def exchange_of(instruments: int, seed: int = 7) -> tuple[Deribit, World]:
    """At least so many instruments, one funded account, and credits without end."""
    clock = Clock()
    strikes = 5
    while len(rows := listing(clock.now_ns(), SPOTS, days=_EXPIRIES_DAYS, strikes=strikes)) < instruments:
        strikes += 2
    exchange = Exchange(rows, clock=clock)
    world = World(exchange, SPOTS, vols={"BTC": 0.55, "ETH": 0.7}, seed=seed)
    granted = exchange.grant(ApiKey(KEY, SECRET, "desk", scopes=DEFAULT_SCOPES))
    for currency, amount in (("BTC", "10000"), ("ETH", "100000"), ("USDC", "500000000")):
        exchange.transfer(granted.account, currency, Decimal(amount))
    return Deribit(exchange, credits=Credits(_ENDLESS, _ENDLESS, _ENDLESS, _ENDLESS)), world


class Talk:
    """Updates in turn, at a rate."""

    def __init__(self, world: World, rate: float, seed: int) -> None:
        self._world, self._rate = world, rate
        self._dice = random.Random(seed)
        self._turn = self._in_turn()

    def _in_turn(self) -> Iterator[tuple[Instrument, int]]:
        """Every instrument once a round, and the number of the round."""
        named = list(self._world.exchange.instruments)
        self._dice.shuffle(named)
        for round_number in itertools.count():
            for symbol in named:
                yield self._world.exchange.instruments[symbol], round_number

    async def on(self) -> None:
        """Talk until cancelled; what could not be said in time is said as soon as it can be."""
        begun_s, said = time.monotonic(), 0
        moved_s = begun_s
        while True:
            await asyncio.sleep(_STEP_S)
            now_s = time.monotonic()
            if now_s - moved_s >= 1.0:
                self._walk(now_s - moved_s)
                moved_s = now_s
            due = int((now_s - begun_s) * self._rate / _MESSAGES_AN_UPDATE)
            for _ in range(min(due - said, 200)):
                self._update(*next(self._turn))
                said += 1

    def _walk(self, seconds: float) -> None:
        """Spots as a lognormal walk; marks and books follow when it is their turn."""
        world = self._world
        for name in world.spots:
            shock = self._dice.gauss(0.0, world.vols[name] * math.sqrt(seconds / YEAR_S))
            world.spots[name] *= math.exp(shock)
            world.exchange.set_index(name, Decimal(str(round(world.spots[name], 2))))

    def _update(self, instrument: Instrument, round_number: int) -> None:
        world = self._world
        world.exchange.set_mark(instrument.symbol, world.mark(instrument))
        bids, asks = world.levels(instrument)
        extra = instrument.lot * (round_number % 9)
        for side in (bids, asks):  # so that a book has something new to tell each time
            if side:
                side[0] = (side[0][0], side[0][1] + extra)
        world.exchange.quote(instrument.symbol, bids, asks)


def sent(host: Host) -> int:
    """Frames that have left."""
    return sum(session.sent for session in host.sessions.values())


async def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.venue_exchange", description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--instruments", type=int, default=100)
    parser.add_argument("--rate", type=float, default=0.0, help="messages a second")
    parser.add_argument("--latency-ms", type=float, default=0.0, help="each way")
    parser.add_argument("--seed", type=int, default=7)
    chosen = parser.parse_args(arguments)
    dialect, world = exchange_of(chosen.instruments, chosen.seed)
    async with serve(dialect, chosen.port) as host:
        host.faults.latency_s = chosen.latency_ms / 1e3
        print(host.port, flush=True)
        talk = asyncio.create_task(Talk(world, chosen.rate, chosen.seed).on())
        while True:
            await asyncio.sleep(1.0)
            if talk.done():
                talk.result()
            host.exchange.truth.rows.clear()  # nobody judges here, and it would grow
            told = {"frames": sent(host), "cpu_s": time.process_time()}
            print(json.dumps(told), flush=True)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main())
