"""All that can happen to the engine, as one union; time arrives in events, never from a clock.

`seq` numbers events in the order the engine took them, without a gap: the journal's key.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pricing.market import Marks
from venues.orders import AccountReport, OrderReport, OrderUpdate, TradeReport, VenueStatus


class Verb(StrEnum):
    """What a person, a script or a watchdog may ask of a running engine."""

    ARM = "arm"
    PAUSE = "pause"  # no new hedges; checks and cancels go on
    RESUME = "resume"
    REDUCE = "reduce"  # only what lowers the risk
    FLATTEN = "flatten"  # a plan like any other, to zero
    KILL = "kill"
    UNKILL = "unkill"
    HEDGE = "hedge"  # plan now, whatever the triggers say
    PREVIEW = "preview"  # say what a hedge would be now; nothing is sent
    BANDS = "bands"  # other bands for a row
    RELOAD = "reload"  # other settings

    @property
    def refusals(self) -> tuple[str, ...]:
        """Codes of the alerts that say that the engine did not obey."""
        # what frees the engine to send again is refused alike, be it for all orders or for some
        own = f"{(Verb.ARM if self is Verb.REDUCE else self).upper()}_REFUSED"
        return ("BUILD_REFUSED", "COMMAND_LATE", own) if self in OF_ITS_MOMENT else ("BUILD_REFUSED", own)


#: What only stops is obeyed whichever build of the program sends it.
FROM_ANY_BUILD = frozenset({Verb.PAUSE, Verb.KILL})
#: What trades, or frees the engine to, is meant for the moment at which it is asked for: once its sender
#: waits no more it is refused. What stops or looks stays asked for; so does `unkill`, which arms nothing.
OF_ITS_MOMENT = frozenset({Verb.ARM, Verb.RESUME, Verb.HEDGE, Verb.FLATTEN, Verb.BANDS, Verb.RELOAD})


@dataclass(frozen=True, slots=True)
class Command:
    """A wish from outside, with who and why. argument: the verb's own (an underlying, a band, ...).

    build: which other build of the program sent it; "": the engine's own. not_after_ns: the last moment, UTC,
    at which it is obeyed; None: it stays asked for.
    """

    id: str
    verb: Verb
    user: str
    reason: str
    argument: str = ""
    build: str = ""
    not_after_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passed and nothing else happened."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a venue said when asked for one order; report None: it says that it never had it."""

    venue: str
    client_id: str
    report: OrderReport | None


@dataclass(frozen=True, slots=True)
class Failed:
    """A question to a venue that got no answer: whatever was asked stays as unknown as it was."""

    venue: str
    what: str  # "account", "order", "cancel_all"; "refresh": the first of a row that the venue did not take
    client_id: str = ""
    code: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Refreshed:
    """A venue takes refreshes of its dead man's switch again, after one or more that it did not."""

    venue: str


#: What happened; `Event` adds when.
Happening = (
    Marks
    | TradeReport
    | OrderUpdate
    | VenueStatus
    | AccountReport
    | Answer
    | Failed
    | Refreshed
    | Tick
    | Command
)


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened. now_ns: the engine's clock when it took it, UTC nanoseconds, never falling.

    monotonic_ns: the clock that timers run on, which no step of the wall clock moves.
    """

    seq: int
    now_ns: int
    monotonic_ns: int
    what: Happening
