"""The hedge that a screen shows beside the book: planned as `hedger whatif --hedged` plans it, and for how
long it is one of the book as it stands. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hedger.desk.follow import Follower
from hedger.desk.look import Look
from hedger.planning import HedgePlan
from hedger.problem.snapshot import BandOverrides, Snapshot
from hedger.settings import Settings
from pricing.errors import HedgerError
from pricing.universe import Universe
from risk.book import Book

#: A plan is made anew once an index has moved further, or the marks are so much younger.
MOVE_BPS_MAX = 10.0
AGE_S_MAX = 30.0


@dataclass(frozen=True, slots=True, eq=False)
class Basis:
    """What a plan hangs on. spot: indexes, USD. marked_ns: of the last marks, UTC."""

    book: Book | None
    universe: Universe
    settings: Settings
    overrides: BandOverrides
    spot: Mapping[str, float]
    marked_ns: int

    def same(self, now: Basis) -> bool:
        """Whether a plan on this is one of the book, bands and settings of now, on its listings. Of another
        book it is none: what it trades may be in that already, and would count twice."""
        return (
            self.book is now.book
            and self.universe is now.universe
            and self.settings == now.settings
            and self.overrides == now.overrides
            and self.spot.keys() == now.spot.keys()
        )

    def near(self, now: Basis) -> bool:
        """Whether the market has hardly moved since."""
        young = now.marked_ns - self.marked_ns <= AGE_S_MAX * 1e9
        return young and all(_near(x, now.spot[name]) for name, x in self.spot.items())


def _near(then: float, now: float) -> bool:
    """Whether an index has hardly moved; one that is not known is as near as it was."""
    return then == now or (then != then and now != now) or 1e4 * abs(now / then - 1.0) <= MOVE_BPS_MAX


@dataclass(frozen=True, slots=True, eq=False)
class Planned:
    """plan: None where none could be made; why: the reason."""

    basis: Basis
    plan: HedgePlan | None
    why: str = ""


def basis_of(follower: Follower, snapshot: Snapshot) -> Basis:
    """What a plan of now would hang on."""
    universe = snapshot.market.universe
    return Basis(
        follower.book, universe, follower.settings, follower.overrides, snapshot.spot, follower.marked_ns
    )


def planned(look: Look, basis: Basis) -> Planned:
    """The hedge of a look, or why there is none."""
    try:
        return Planned(basis, look.plan(look.snapshot))
    except HedgerError as error:
        return Planned(basis, None, error.text())
