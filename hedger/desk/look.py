"""A book in its market, and how to look at it and plan for it again when something is otherwise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hedger.core.by_hand import NOTHING_BY_HAND, ByHand
from hedger.planning import HedgePlan
from hedger.problem.snapshot import Snapshot
from pricing.market import Market


@dataclass(frozen=True, slots=True)
class Look:
    """retake: the same book, bands and rules in another market. plan: the hedge of a snapshot, as the desk's
    settings and what is known of the past ask for it. by_hand: bands that a person has set."""

    snapshot: Snapshot
    retake: Callable[[Market], Snapshot]
    plan: Callable[[Snapshot], HedgePlan]
    by_hand: ByHand = NOTHING_BY_HAND
