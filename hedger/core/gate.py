"""What stands between a wish and an order: the settings of the engine, and the port to the limits.

The limits know no order types; the engine knows no limits. Between them stands one function: it is given the
order and all that it could need to judge it, and gives back a permission or the reason why not. In the
product that is `risk.limits.review` on the desk's limits file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from hedger.core.actions import Permission
from hedger.core.execution import Execution
from hedger.core.leg_margin import Models
from hedger.core.state import State
from hedger.problem.snapshot import Snapshot
from hedger.settings import Settings
from pricing.market import Market
from pricing.universe import FloatArray
from venues.orders import Order


class Then(StrEnum):
    """What follows from a denied order. WAIT: the reason passes in a moment, the order is tried again after a
    slice. BACK_OFF: it passes by itself, not in a moment: tries are spaced ever further. SET_ASIDE: it lasts
    and is of this side of the listing: others may do. PAUSE: a person must look before the next. END: the
    execution is over."""

    WAIT = "wait"
    BACK_OFF = "back off"
    SET_ASIDE = "set aside"
    PAUSE = "pause"
    END = "end"


@dataclass(frozen=True, slots=True)
class Denied:
    """Why an order was not let out. code: stable; text: code, what, observed against allowed, what was not
    sent, how to mend it. also: codes of the other reasons."""

    code: str
    text: str
    then: Then = Then.END
    also: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Situation:
    """All that an order can be judged by.

    state: with every order booked, open or unknown (`State.reserved`). snapshot: the last mark's; value: (m,)
    the rows now; effect: (m,) of the whole order on them. market: at this moment; row: the listing's place.
    parent: what the order's leg may still send, this order included. execution: the one it works for, with
    every leg. reduces: whether it brings the rows nearer to their landing.
    """

    state: State
    snapshot: Snapshot
    value: FloatArray
    effect: FloatArray
    market: Market
    row: int
    parent: Decimal
    execution: Execution
    reduces: bool


class Gate(Protocol):
    """The limits, as the engine asks them."""

    def __call__(self, order: Order, situation: Situation) -> Permission | Denied:
        """Let the order out, or say why not. Pure."""
        ...


class Largest(Protocol):
    """How large one order may be, as the engine asks the limits before it cuts a leg into orders."""

    def __call__(self, snapshot: Snapshot, row: int) -> Decimal:
        """The largest order on a listing that is not refused for its size, order units. Pure."""
        ...


def any_size(snapshot: Snapshot, row: int) -> Decimal:
    """No order is too large."""
    return Decimal("Infinity")


class Shut(Protocol):
    """What the limits let out in no order at all, as the engine asks them before it plans."""

    def __call__(self, snapshot: Snapshot) -> Mapping[int, str]:
        """Places of listings, and the code of the reason. Pure."""
        ...


def nothing_shut(snapshot: Snapshot) -> Mapping[int, str]:
    """Everything may be traded."""
    return {}


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """What `decide` is told beside the state and the event; the same for a whole run.

    tag: 4 to 8 of 0-9 a-z, the mark of this engine in its order ids. accounts: by venue, "" where not named.
    margin: how each venue margins the account, for the order of legs; a venue left out is estimated. combos:
    venues that take them. largest: the most that the gate lets out in one order; shut: what it never does.
    """

    desk: Settings
    tag: str
    gate: Gate
    accounts: Mapping[str, str] = field(default_factory=dict)
    margin: Models = field(default_factory=dict)
    combos: frozenset[str] = frozenset()
    largest: Largest = any_size
    shut: Shut = nothing_shut
