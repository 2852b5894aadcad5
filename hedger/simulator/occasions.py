"""An occasion for every fault that was drawn: what is done where a run has given it none.

Some faults come with an order, a fill or a question, and a run in which other faults keep the engine from
trading has few of them. When its time with faults is over, and something that was drawn has not happened or
no order has left at all, it goes on a little: nothing else goes wrong any more, and the desk swings the delta
band from one side to the other, so that orders are sent; each fault that is wanted is due at once. What does
not happen then either is told with the reason.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from hedger.journal.entries import DecisionRecord, Kind, Record, read
from hedger.simulator.faults import Mix
from pricing.daycount import NS_PER_SECOND
from venues.paper_faults import Fault, FaultDice

#: Instead of a fault: that an order leaves the engine.
ORDERS = "orders"
#: Between two swings of the band, and for how long in all; the first of it goes by while what came before is
#: got over.
SWING_NS = 8 * NS_PER_SECOND
OCCASIONS_S = 96.0
#: So much of an engine's reason is told, characters.
WHY_MAX = 200
#: Our clock ahead of the venue's, as after a step: it waits for the truth, and that much passes meanwhile.
CLOCK_AHEAD_NS = NS_PER_SECOND
#: Delta on one side and on the other, coins; and the band as it was.
SWINGS = ("delta:BTC=4.9,5.1/4.95,5.05", "delta:BTC=-5.1,-4.9/-5.05,-4.95")
AS_IT_WAS = "delta:BTC="
#: What was refused again and again while things went wrong counts as tries of the hour, of which there may be
#: none left: as many as it takes.
TRY_ON, POLICY_AS_IT_WAS = '{"policy": {"attempts_max": 1000}}', '{"policy": null}'


def wanted(kinds: Sequence[str], happened: Collection[str], sent: bool) -> tuple[str, ...]:
    """What was drawn and has not happened, and `ORDERS` where none was sent; of a calm run nothing.

    >>> wanted(("F1", "F7"), {"F7": 2}, sent=False), wanted((), {}, sent=False)
    (('F1', 'orders'), ())
    """
    missing = tuple(name for name in kinds if name not in happened)
    return missing if sent or not kinds else (*missing, ORDERS)


def due_at_once(mix: Mix, names: Collection[str], now_ns: int, seed: int) -> FaultDice:
    """Dice for the venue that know what of a mix is wanted, once and from now on, and nothing else."""
    plan: dict[str, Fault] = {}
    for fault in mix.venue:
        if fault.at_ns is not None and fault.id in names:
            plan.setdefault(fault.id, replace(fault, at_ns=now_ns))
    return FaultDice(tuple(plan.values()), seed)


def last_why(records: Sequence[Record]) -> str:
    """What an engine last said of a hedge that was due, "" where none was."""
    for record in reversed(records):
        found = read(record) if record.kind == Kind.DECISION else None
        told = found.document if isinstance(found, DecisionRecord) else {}
        if told.get("trigger") and told.get("reason"):
            return str(told["reason"])
    return ""


def reasons(names: Sequence[str], sent: int, fills: int, mode: str, why: str) -> Mapping[str, str]:
    """Why each of them found no occasion: what the run had of what they come with, and what the engine said
    of the last hedge that was due."""
    said = f": {why[:WHY_MAX]}" if why else ""
    text = f"{sent} orders sent, {fills} fills, band swung for {OCCASIONS_S:g} s more; engine {mode}{said}"
    return dict.fromkeys(names, text)
