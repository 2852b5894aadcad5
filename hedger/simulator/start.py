"""How a simulated engine starts: as every engine does, from what the disk has."""

from __future__ import annotations

from hedger.core.state import State
from hedger.engine.clock import Clock
from hedger.engine.starting import first_state, write_start
from hedger.journal.entries import Configuration
from hedger.journal.journal import Journal
from hedger.journal.kill_latch import KillLatch
from hedger.journal.recovery import recover
from hedger.journal.storage import Storage
from hedger.simulator.market import Setting

#: What the record says of the engine's settings: they are those of `hedger.simulator.market`.
CONFIGURATION = Configuration("simulation", "")


def begin(storage: Storage, journal: Journal, latch: KillLatch, setting: Setting, clock: Clock) -> State:
    """The first state on a disk, new or old; it only looks, or is killed."""
    found = recover(storage, monotonic_ns=clock.monotonic_ns())
    universe = setting.market.universe
    latched, now_ns = latch.found() is not None, clock.now_ns()
    write_start(journal, found, now_ns, CONFIGURATION, universe.listings, setting.opening, latched=latched)
    return first_state(
        found,
        universe,
        setting.opening,
        setting.venues,
        setting.start_ns,
        latched=latched,
        now_ns=now_ns,
        monotonic_ns=clock.monotonic_ns(),
    )
