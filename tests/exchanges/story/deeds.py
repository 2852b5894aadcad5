"""What goes wrong in a story, done: to the exchange that fails, to the wire before it, to the engine."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from decimal import Decimal
from typing import Any

from tests.certificates import Authority
from tests.exchanges.clock import NS
from tests.exchanges.faults import Rule
from tests.exchanges.story.keeper import Keeper, until
from tests.exchanges.story.schedule import Deed
from tests.exchanges.story.stage import Stage
from tests.exchanges.stranger import disguise, strange
from tests.exchanges.words import Side

#: A stranger stays for so much longer until somebody has come, s. So often, with so long between, connections
#: are cut until one of those made anew was sent elsewhere: a busy machine takes longer than all faults.
MET_S_MAX = 10.0
CUTS_MOST, RECONNECTED_S_MAX = 5, 3.0


class Deeds:
    """See the module. stage: the exchange that fails; authority: who signs for it where all is encrypted.
    tasks: of those that take their time."""

    def __init__(self, stage: Stage, keeper: Keeper, authority: Authority | None) -> None:
        self.tasks: list[asyncio.Task[None]] = []
        self._stage, self._keeper, self._authority = stage, keeper, authority
        self._struck = keeper.told.struck
        self._rules: list[tuple[str, Rule]] = []

    def do(self, deed: Deed) -> None:
        """It happens; counted where there was something for it to happen to."""
        terms = dict(deed.terms)
        stage = self._stage
        host, place = stage.host, stage.place
        exchange = host.exchange
        match deed.verb:
            case "rule":
                rule = host.faults.add(terms.pop("act"), terms.pop("match"), **terms)
                self._rules.append((deed.fault, rule))
                return
            case "cut":
                host.cut_sessions()
            case "dark":
                self._begin(self._dark(**terms))
            case "stranger":
                self._begin(self._stranger(**terms))
            case "fill_resting":
                if not self._fill_resting(terms["share"]):
                    return
            case "outside":
                self._outside(**terms)
            case "transfer":
                self._keeper.may_accept = True
                exchange.transfer(place.account, place.cash, Decimal(terms["amount"]))
            case "book":
                self._book(terms["shape"])
            case "burst":
                for _ in range(terms["times"]):
                    stage.world.refresh()
            case "skew":
                exchange.clock.skew_ns = round(terms["seconds"] * NS)
            case "second_instance":
                self._begin(self._keeper.second_instance())
            case "other_build":
                if not self._keeper.mode():
                    return  # nobody is there to be asked
                self._begin(self._keeper.other_build())
            case "revoke":
                for key in exchange.keys.values():
                    key.revoked = True
            case "dead_man":
                if not exchange.cancel_all(place.account, why="countdown"):
                    return
            case "kill":
                self._keeper.kill()
            case _:
                raise ValueError(f"no such deed: {deed}")
        self._struck[deed.fault] += 1

    def owed(self, fault: str) -> bool:
        """Whether rules of a fault are in force, and none of them has struck yet."""
        rules = [rule for name, rule in self._rules if name == fault]
        return bool(rules) and not any(rule.bitten for rule in rules)

    def mend(self) -> None:
        """From now on the exchange is well."""
        stage = self._stage
        for act, _ in stage.host.faults.done:
            self._struck[f"act {act}"] += 1
        for rule in stage.host.faults.rules:
            rule.times = 0
        stage.host.faults.clear()
        stage.host.exchange.clock.skew_ns = 0
        stage.host.exchange.maintain(False)
        for key in stage.host.exchange.keys.values():
            if key.revoked:
                key.revoked = False
                self._keeper.end_process()  # one that was refused is tried again by a person: a new start
        stage.world.refresh()
        for name, rule in self._rules:
            self._struck[name] += rule.bitten

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        self.tasks.append(asyncio.get_running_loop().create_task(work))

    async def _dark(self, seconds: float, cut: bool) -> None:
        """Nothing is read or written; then, where `cut`, the exchange takes the connections for dead."""
        host = self._stage.host
        host.faults.black_hole = True
        await asyncio.sleep(seconds)
        host.faults.black_hole = False
        if cut:
            host.cut_sessions()

    async def _stranger(self, how: str, seconds: float) -> None:
        """Somebody is at its address who cannot prove to be it: nobody tells him anything."""
        assert self._authority is not None
        host = self._stage.host
        shown = disguise(self._authority, how)
        async with host.away(), strange(host.port, shown) as stranger:
            await asyncio.sleep(seconds)
            await until(lambda: self._keeper.killed or stranger.met > 0, MET_S_MAX)
        self._struck["act stranger met"] += stranger.met
        self._keeper.own += [f"a stranger ({how}) was told {said[:200]!r}" for said in stranger.told()]
        for _ in range(CUTS_MOST):
            if await until(lambda: self._keeper.killed or not self.owed("F26"), RECONNECTED_S_MAX):
                return
            host.cut_sessions()

    def _fill_resting(self, share: float) -> bool:
        """Somebody trades against the first of our orders that rests; False: none does."""
        exchange = self._stage.host.exchange
        resting = exchange.open_orders(self._stage.place.account)
        if not resting:
            return False
        order = resting[0]
        quantity = exchange.ahead(order) + order.remaining * Decimal(repr(share))
        lots = quantity // order.instrument.lot * order.instrument.lot
        exchange.trade(order.symbol, order.side.other, max(lots, order.instrument.minimum), order.price)
        return True

    def _outside(self, lots: int, why: str) -> None:
        exchange, place = self._stage.host.exchange, self._stage.place
        instrument = place.subject(exchange)
        mark = exchange.mark_price(instrument.symbol)
        quantity = abs(lots) * place.perpetual_lots * max(instrument.lot, instrument.minimum)
        tick = instrument.tick_at(mark)
        side = Side.BUY if lots > 0 else Side.SELL
        exchange.outside(place.account, instrument.symbol, side, quantity, mark // tick * tick, why)

    def _book(self, shape: str) -> None:
        exchange = self._stage.host.exchange
        instrument = self._stage.place.subject(exchange)
        bids, asks = self._stage.world.levels(instrument)
        if shape == "thin":
            least = instrument.minimum
            bids, asks = [(p, least) for p, _ in bids[:1]], [(p, least) for p, _ in asks[:1]]
        else:
            bids = [] if shape in ("empty", "no_bids") else bids
            asks = [] if shape in ("empty", "no_asks") else asks
        exchange.quote(instrument.symbol, bids, asks)
