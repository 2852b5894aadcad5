"""Kill drills: how long orders outlive a kill while a fault is in the way.

Each drill is a run of its own. An engine hedges under the fault; orders that are not its own come to rest at
the venue, so that nothing but the kill takes them away; then the kill is pressed, with the fault in force at
that very moment. What is timed is the venue's own log, from the kill to the end of the last order that is
open there, the engine's own and those still on their way included. A venue that can take no cancel (under
maintenance, without a session) or an engine that is not there (crashed, its disk full) can end nothing: such
a drill also tells how long after that was over it took. The kill is done when the engine has read twice from
the venue itself that no order is open.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from hedger.simulator.faults import ONE_DOWN, Deed, Due, Mix
from hedger.simulator.history_lines import Violation
from hedger.simulator.judging import check_world
from hedger.simulator.market import Setting
from hedger.simulator.world import World
from pricing.contracts import Side
from pricing.daycount import NS_PER_SECOND
from venues.orders import Order, TimeInForce, client_order_id
from venues.paper_faults import Fault, FaultKind
from venues.paper_log import Happened

S = NS_PER_SECOND
#: Without any fault.
CALM = "none"
#: Orders that rest when the kill is pressed.
SIZES = (1, 20, 200)
#: Seconds: the orders come to rest, the fault begins, the kill is pressed, faults end, and the peace after.
REST_S, FAULT_S, KILL_S, FAULTS_END_S, PEACE_S = 9.0, 9.5, 10.0, 26.0, 5.0
#: How long the venue takes nothing, and has no session, in those drills: longer than a dead man's timer.
MAINTENANCE_S, SESSION_S = 12.0, 5.0
#: The chance at each opportunity of a fault that comes with orders, messages or questions.
OFTEN = 0.5

_AT_ONCE = {
    FaultKind.SESSION_KILLED: SESSION_S,
    FaultKind.EXTERNAL: None,
    FaultKind.MAINTENANCE: MAINTENANCE_S,
    FaultKind.RELISTED: None,
    FaultKind.BROKEN_BOOK: None,
    FaultKind.LATE_FEED: None,
    FaultKind.POISON: None,
    FaultKind.SKEWED: None,
}
_BEFORE, _KILL = round(FAULT_S * S), round(KILL_S * S)


@dataclass(frozen=True, slots=True)
class Drilled:
    """One drill, seconds. ended_s: from the kill to the last order's end, inf where one is left. after_s:
    the same from when the venue could be told, and the engine was there to tell it. confirmed_s: from the
    kill until the engine had read twice that nothing is open, inf where it never did."""

    fault: str
    orders: int
    seed: int
    ended_s: float
    after_s: float
    confirmed_s: float
    violations: tuple[Violation, ...] = ()


def kill_drill(seed: int, fault: str, orders: int) -> Drilled:
    """One kill with so many orders at rest, under one fault (`CALM`: none)."""
    setting = Setting.of(seed, venues=2 if fault == ONE_DOWN else 1)
    setting.terms = replace(setting.terms, order_rate=1000.0, order_burst=2 * max(SIZES))
    world = World(setting, drill_mix(fault), FAULTS_END_S, PEACE_S)
    world.rest(_resting(setting, orders), round(REST_S * S))
    world.run()
    kill_ns = world.start_ns + _KILL
    ended_ns = _last_end(world, kill_ns)
    clear_ns = max(kill_ns, world.start_ns + _deaf_until(fault))
    clear_ns = max([clear_ns, *(t for t in world.told.begun_ns if kill_ns < t <= ended_ns)])
    confirmed_ns = world.told.confirmed_ns
    return Drilled(
        fault=fault,
        orders=orders,
        seed=seed,
        ended_s=math.inf if ended_ns is math.inf else (ended_ns - kill_ns) / S,
        after_s=math.inf if ended_ns is math.inf else max(ended_ns - clear_ns, 0) / S,
        confirmed_s=math.inf if confirmed_ns is None else (confirmed_ns - kill_ns) / S,
        violations=check_world(world),
    )


def drill_mix(fault: str) -> Mix:
    """The kill, and one fault that is in force when it is pressed.

    Raises:
        ValueError: there is no such fault.

    >>> [due.deed.value for due in drill_mix("F19").dues]
    ['kill', 'crash']
    """
    if fault != CALM and fault not in set(FaultKind) and fault not in _DEEDS:
        raise ValueError(f"no drill under {fault!r}")
    dues = (Due(_KILL, Deed.KILL), *_DEEDS.get(fault, ()))
    venue = _VENUE.get(fault, ())
    if not venue and fault in set(FaultKind):
        venue = _of_kind(FaultKind(fault))
    kinds = () if fault == CALM else (fault,)
    return Mix(kinds, venue, tuple(sorted(dues, key=lambda due: due.after_ns)))


def _of_kind(kind: FaultKind) -> tuple[Fault, ...]:
    if kind in _AT_ONCE:
        return (Fault(kind, at_ns=_BEFORE, seconds=_AT_ONCE[kind]),)
    if kind is FaultKind.DEAD_MAN:  # it fires while the kill is on its way
        return (Fault(kind, at_ns=_KILL + S // 100),)
    return (Fault(kind, OFTEN),)


#: What the world does; at one time in this order, so that a crash comes before the engine has seen the kill.
#: Who is away comes back after a while: see `hedger.simulator.world`.
_DEEDS: Mapping[str, tuple[Due, ...]] = {
    "F5": (),
    "F34": (),
    "F18": (Due(_BEFORE, Deed.CLOCK_STEP, -60, fault="F18"),),
    "F19": (Due(_KILL, Deed.CRASH, fault="F19"),),
    "F20": (Due(_KILL - 1, Deed.DISK_FULL, 1, fault="F20"),),
    "F23": (
        Due(_BEFORE, Deed.RELOAD, text='{"execution": {"participation": 0.2}}', fault="F23"),
        Due(_KILL + S // 10, Deed.BANDS, text="nonsense", fault="F23"),
    ),
    "F28": (Due(_KILL + S // 5, Deed.KILL, fault="F28"),),
    "F30": tuple(
        Due(round((3.0 + i / 2) * S), Deed.BANDS, i, f"delta:BTC={low},{low + 0.2}/{low + 0.05},{low + 0.15}",
            fault="F30")
        for i, low in enumerate((4.9, -5.1) * 7)
    ),
    "F32": tuple(Due(_KILL + i * S // 3, Deed.CRASH, fault="F32") for i in range(6)),
    "F33": (Due(_KILL, Deed.POWER_LOSS, fault="F33"),),
}  # fmt: skip
_VENUE: Mapping[str, tuple[Fault, ...]] = {
    "F5": (
        Fault(FaultKind.SESSION_KILLED, at_ns=_BEFORE, seconds=1.0),
        Fault(FaultKind.SESSION_KILLED, at_ns=_BEFORE + 2 * S, seconds=1.0),
    ),
    "F34": (Fault(FaultKind.SESSION_KILLED, at_ns=_BEFORE, seconds=MAINTENANCE_S),),
}


def _deaf_until(fault: str) -> int:
    """When the venue can be told anything again, ns after the start; 0 where it always can."""
    if fault in (FaultKind.MAINTENANCE, ONE_DOWN):
        return _BEFORE + round(MAINTENANCE_S * S)
    if fault == FaultKind.SESSION_KILLED:
        return _BEFORE + round(SESSION_S * S)
    return _BEFORE + S if fault == "F5" else 0


def _last_end(world: World, kill_ns: int) -> float:
    """When the last order ended that was open at or after the kill, ns; inf where one is left."""
    open_ids: set[str] = set()
    last = float(kill_ns)
    for fact in world.exchange.log:
        over = fact.what in (Happened.CANCELLED, Happened.EXPIRED) or (
            fact.what is Happened.FILLED and fact.left == 0
        )
        if fact.what is Happened.ACCEPTED:
            open_ids.add(fact.client_id)
        elif over and fact.client_id in open_ids:
            open_ids.discard(fact.client_id)
            last = max(last, float(fact.time_ns)) if fact.time_ns >= kill_ns else last
    return math.inf if open_ids else last


def _resting(setting: Setting, count: int) -> list[Order]:
    """Buys of the perpetual far below the market, under another engine's tag."""
    listing = next(x for x in setting.market.universe.listings if x.symbol.endswith("-PERPETUAL"))
    at = setting.market.universe.positions[listing.key]
    bid = float(setting.market.marks().bid[at])
    price = listing.quantize_price(Decimal(repr(round(bid * 0.9, 2))), Side.BUY)
    return [
        Order(
            client_order_id("old0", 1, 0, part),
            listing,
            Side.BUY,
            listing.minimum,
            price - part * listing.tick_steps.at(price),
            TimeInForce.GTC,
            post_only=True,
        )
        for part in range(count)
    ]
