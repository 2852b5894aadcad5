"""Since when the pace of hedging is kept: an engine that has not hedged yet knows how long ago it started."""

from __future__ import annotations

from hedger.core.decide import decide
from hedger.core.events import Event, Tick
from hedger.core.gate import EngineSettings
from hedger.core.usage import Usage
from hedger.engine.starting import first_state
from hedger.journal.entries import Head, JournalName
from hedger.journal.recovery import Recovered
from hedger.moment import Memory
from hedger.runs.paper_setup import fresh_state
from hedger.settings import Settings
from tests.hedger.rig import CHAIN, TAG, VENUE, Rig, book_of, desk, free
from venues.simulated import SimulatedMarket

HOUR = 3600 * 10**9
NAME = JournalName("paper", TAG)


def aged(hours: float) -> Settings:
    """A hedge is due when the last one is so long ago."""
    config = desk().model_dump(mode="json") | {"policy": {"when": {"age": {"hedge_h": hours}}}}
    return Settings.model_validate(config)


def test_a_start_says_when_it_was_and_keeps_the_hedges_of_before() -> None:
    market = SimulatedMarket(7, settings=CHAIN)
    now_ns, hedged_ns = market.now_ns, market.now_ns - 5 * HOUR
    for usage, known in ((None, None), (Usage(Rig({}).state.counters, hedged_ns=hedged_ns), hedged_ns)):
        found = Recovered(NAME, Head(0, NAME.genesis), usage=usage)
        book = book_of(market, {})
        state = first_state(found, market.universe, book, [VENUE], 0, latched=False, now_ns=now_ns)
        assert (state.memory.started_ns, state.memory.hedged_ns) == (now_ns, known)
    assert fresh_state(market.universe, book_of(market, {}), now_ns).memory == Memory(started_ns=now_ns)


def test_without_a_hedge_the_age_counts_from_the_start() -> None:
    """Two hours at most: not due after 1.9 h of nothing, due after 2.1."""
    rig = Rig({"BTC-PERPETUAL": "100"})
    found = Recovered(NAME, Head(0, NAME.genesis))
    state = first_state(
        found, rig.market.universe, rig.state.book, [VENUE], 0, latched=False, now_ns=rig.now_ns
    )
    settings = EngineSettings(aged(2.0), TAG, free)
    for seq, (hours, due) in enumerate(((0.0, False), (1.9, False), (2.1, True))):
        now_ns = rig.start_ns + round(hours * HOUR)
        marks = rig.market.step((now_ns - rig.market.now_ns) / 1e9) if hours else rig.market.marks()
        state, _ = decide(state, Event(2 * seq, now_ns, now_ns, Tick()), settings)
        state, decision = decide(state, Event(2 * seq + 1, now_ns, now_ns, marks), settings)
        assert decision.due is due and "not known" not in decision.trigger, decision.trigger
