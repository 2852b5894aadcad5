"""What is made to happen in a run on paper while people look on: the market falls, the venue drops.

All of it happens at the simulated market and at the paper venue; the engine knows of no stage. Times are
seconds from the engine's start, so that whoever looks sees the same story whenever he comes.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

from pricing.daycount import NS_PER_SECOND
from venues.paper_faults import Fault, FaultKind


@dataclass(frozen=True, slots=True)
class Move:
    """The index of a coin jumps. at_s: from the engine's start; move: of the logarithm of the index. unless:
    not once the venue has had this fault."""

    at_s: float
    coin: str
    move: float
    unless: FaultKind | None = None


@dataclass(frozen=True, slots=True)
class StagedFault:
    """A fault of the paper venue, once, at the first opportunity from `at_s` on. seconds: it lasts."""

    at_s: float
    kind: FaultKind
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Stage:
    """A story: moves of the market and faults of the venue, in the order of their times."""

    moves: tuple[Move, ...] = ()
    faults: tuple[StagedFault, ...] = ()

    def faults_from(self, start_ns: int) -> tuple[Fault, ...]:
        """The faults as the paper venue takes them. start_ns: of the engine, UTC."""
        return tuple(
            Fault(f.kind, at_ns=start_ns + round(f.at_s * NS_PER_SECOND), seconds=f.seconds)
            for f in self.faults
        )

    def moves_between(self, begun_s: float, ended_s: float, had: Container[str]) -> tuple[Move, ...]:
        """The moves from one time on, up to another without it. had: ids of the faults that the venue had."""
        return tuple(
            move
            for move in self.moves
            if begun_s <= move.at_s < ended_s and (move.unless is None or str(move.unless) not in had)
        )


#: Nothing is made to happen.
EMPTY_STAGE = Stage()
