"""What the triggers look at, what they remember, and how they answer. Frozen values and nothing else.

A `Moment` is the book as it stands; a `Memory` is the pace kept so far. Both come in as arguments, so that
the same moment and memory always give the same answer, live and in a replay.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from pricing.universe import FloatArray
from risk.band_schedule import PriceHistory


class InPlay(NamedTuple):
    """A position that expires. hours: to its expiry. strike: USD, NaN for a future. forward: USD.

    A named tuple, because a book of a thousand options makes a thousand of them with every mark.
    """

    symbol: str
    hours: float
    strike: float
    forward: float
    in_window: bool


@dataclass(frozen=True, slots=True, eq=False)
class UnderlyingMoment:
    """One underlying: its banded rows, each array (k,) in the rows' units, and what moves them.

    spot: USD. vol: at the money, per year, for moves over the next hours, NaN where unknown. delta_slope:
    change of the delta row per 1 USD of spot. mark_age_s: of the oldest mark of a position held, NaN where it
    has no age. history: of the spot, up to now.
    """

    name: str
    spot: float
    vol: float
    rows: tuple[str, ...]
    value: FloatArray
    target: FloatArray
    trigger_lower: FloatArray
    trigger_upper: FloatArray
    landing_lower: FloatArray
    landing_upper: FloatArray
    delta_slope: float
    mark_age_s: float = float("nan")
    in_play: tuple[InPlay, ...] = ()
    history: PriceHistory | None = None

    def outside_landing(self) -> frozenset[str]:
        """Rows outside their landing interval: those that a hedge could bring in."""
        out = (self.value < self.landing_lower) | (self.value > self.landing_upper)
        return frozenset(row for row, outside in zip(self.rows, out.tolist(), strict=True) if outside)


@dataclass(frozen=True, slots=True)
class Moment:
    """The book at `now_ns`, by underlying."""

    now_ns: int
    underlyings: tuple[UnderlyingMoment, ...]


@dataclass(frozen=True, slots=True)
class Push:
    """The last hedge of a row: which way it went (+1 up, -1 down) and where it left the row."""

    row: str
    way: int
    after: float


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of a plan that was sent.

    rows: those it was made for. after: where it left rows, by name; rows whose end is not known are left out.
    turnover_usd: what was traded. hedged: every row it was made for ended where it should.
    """

    rows: tuple[str, ...]
    after: Mapping[str, float]
    turnover_usd: float
    hedged: bool


@dataclass(frozen=True, slots=True)
class Memory:
    """The pace kept so far. None and empty: not known, as when the program has just started.

    started_ns: since when it is kept: the start of the engine. checked_ns: when the policy was last asked and
    no guard held it. hedged_ns: the last trade. attempts: (row, ns) of plans that did not bring the row where
    it should be. turnover: (ns, USD) of trades within the last hour. pushes: the last hedge of each row.
    shut: (row, ns, way) of rows that no plan brings in without what is set aside or has no sound quote, until
    when they wait, and which way they are to go (+1 up, -1 down).
    latched: rows that left their trigger interval and have not been inside their landing interval since.
    """

    started_ns: int | None = None
    checked_ns: int | None = None
    hedged_ns: int | None = None
    attempts: tuple[tuple[str, int], ...] = ()
    turnover: tuple[tuple[int, float], ...] = ()
    pushes: tuple[Push, ...] = ()
    latched: frozenset[str] = frozenset()
    shut: tuple[tuple[str, int, int], ...] = ()


class Scope(StrEnum):
    """What the rows of an answer mean where answers are joined.

    NAMED: these rows are the reason. GATE: a condition on all rows of the underlying. FILTER: only these may
    be hedged.
    """

    NAMED = "named"
    GATE = "gate"
    FILTER = "filter"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a trigger says, and why. yes: None where it cannot be known.

    text: a sentence, after the names of `subject` rows if it has them. rows: to be hedged, if yes.
    until_ns: when a "no" would become a "yes" by time alone. parts: the answers it is made of.
    """

    name: str
    yes: bool | None
    text: str
    rows: tuple[str, ...] = ()
    subject: tuple[str, ...] = ()
    scope: Scope = Scope.GATE
    until_ns: int | None = None
    parts: tuple[Answer, ...] = ()

    @property
    def sentence(self) -> str:
        """The reason in one sentence."""
        return f"{', '.join(self.subject)} {self.text}" if self.subject else self.text


@dataclass(frozen=True, slots=True)
class Sticky:
    """Rows that stay outside because bringing them in is not worth its cost.

    cost_usd: what bringing them in adds to the cost of the plan. worth_usd: what the risk it removes costs
    over its holding time, and so the price at which they would be hedged. per_unit_usd: that price by row,
    per unit of the row to be moved.
    """

    rows: tuple[str, ...]
    cost_usd: float
    worth_usd: float
    per_unit_usd: Mapping[str, float] = field(default_factory=dict)

    @property
    def sentence(self) -> str:
        """What a ticket says of it."""
        return (
            f"{', '.join(self.rows)} sticky: bringing it in costs {self.cost_usd:z,.2f} USD, the risk "
            f"removed is worth {self.worth_usd:z,.2f} USD; it trades at {self.worth_usd:z,.2f} USD or less"
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """What `cost_benefit` found out by pricing plans, or assumes before there is one.

    sticky: rows that are not worth their cost. worth_usd, cost_usd: of the rows kept; NaN before there is a
    plan. known: False where the risk could not be reckoned; then `reason` says why.
    """

    sticky: tuple[Sticky, ...] = ()
    sticky_rows: frozenset[str] = frozenset()
    worth_usd: float = float("nan")
    cost_usd: float = float("nan")
    known: bool = True
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a hedge is due, of which rows, and why. answers: one per underlying. guards: what holds it."""

    due: bool
    called: frozenset[str]
    reason: str
    answers: tuple[Answer, ...]
    guards: tuple[Answer, ...] = ()
    sticky: tuple[Sticky, ...] = ()
