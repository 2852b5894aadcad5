"""How a simulated engine starts: as every engine does, from what the disk has."""

from __future__ import annotations

from hedger.clock import Clock
from hedger.journal import Journal
from hedger.journal_entries import Configuration
from hedger.journal_storage import Storage
from hedger.kill_latch import KillLatch
from hedger.recovery import recover
from hedger.simulate_market import VENUE, Setting
from hedger.starting import first_state, write_start
from hedger.state import State

#: What the record says of the engine's settings: they are those of `hedger.simulate_market`.
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
        (VENUE,),
        setting.start_ns,
        latched=latched,
        now_ns=now_ns,
        monotonic_ns=clock.monotonic_ns(),
    )
