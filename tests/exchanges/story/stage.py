"""An exchange of a story while it is being served; what all of them hold; and what a story came to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from hedger.simulator.history_lines import Violation
from tests.exchanges.server import Host
from tests.exchanges.story.lines import Stamped
from tests.exchanges.story.place import Place
from tests.exchanges.story.schedule import Schedule
from tests.exchanges.world import World


@dataclass(slots=True)
class Told:
    """What a story came to."""

    schedule: Schedule
    struck: Counter[str] = field(default_factory=Counter)
    orders: int = 0
    fills: int = 0
    elsewhere: int = 0  # of them on another venue while one failed
    starts: int = 0
    crashes: int = 0
    seconds: float = 0.0
    violations: tuple[Violation, ...] = ()


@dataclass(slots=True, eq=False)
class Stage:
    """One exchange of a story, being served."""

    place: Place
    host: Host
    world: World
    truth: Stamped
    first: int = 0  # row of its log at which the story begins


def apart(stages: Sequence[Stage], claim: dict[str, Any]) -> list[str]:
    """Where the exchanges hold something else than the engine says."""
    ours = {(v, s): Decimal(q) for v, s, q in claim["positions"]}
    theirs = {}
    for stage in stages:
        for position in stage.host.exchange.positions(stage.place.account):
            named = stage.place.symbol(position.instrument)
            if named is not None:
                theirs[stage.place.venue, named] = position.quantity
    return [] if ours == theirs else [f"the book is not what the venue holds: {ours} and {theirs}"]


def marks(stages: Sequence[Stage]) -> dict[tuple[str, str], float]:
    """Of every instrument that the adapters list, by venue and the adapter's name."""
    found = {}
    for stage in stages:
        for instrument in stage.host.exchange.instruments.values():
            if (named := stage.place.symbol(instrument)) is not None:
                found[stage.place.venue, named] = float(stage.host.exchange.mark_price(instrument.symbol))
    return found


def balances(stages: Sequence[Stage]) -> list[list[str]]:
    """Rows of venue, currency and margin balance."""
    found = []
    for stage in stages:
        for currency in stage.place.currencies:
            told = stage.host.exchange.summary(stage.place.account, currency).margin_balance
            found.append([stage.place.venue, currency, str(told)])
    return found
