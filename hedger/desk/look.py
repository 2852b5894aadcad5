"""A book in its market, and how to look at it and plan for it again when something is otherwise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hedger.core.by_hand import NOTHING_BY_HAND, ByHand
from hedger.desk.follow import Follower
from hedger.planning import HedgePlan, make_plan
from hedger.problem.snapshot import Snapshot
from hedger.settings import Settings
from pricing.market import Market


@dataclass(frozen=True, slots=True)
class Look:
    """retake: the same book, bands and rules in another market. plan: the hedge of a snapshot, as the desk's
    settings and what is known of the past ask for it; settings: those. by_hand: bands that a person has
    set."""

    snapshot: Snapshot
    retake: Callable[[Market], Snapshot]
    plan: Callable[[Snapshot], HedgePlan]
    settings: Settings
    by_hand: ByHand = NOTHING_BY_HAND


def look_of(follower: Follower, asked: Settings | None = None) -> Look | None:
    """The book of an engine as its journal was read so far; None before there are marks. asked: with other
    settings than those in force.

    Raises:
        HedgerError: it cannot be valued at all.
    """
    settings = asked or follower.settings
    snapshot = follower.snapshot(settings, bands=True, books=True)
    if snapshot is None:
        return None

    def retake(market: Market) -> Snapshot:
        return follower.retake(market, settings, bands=True)

    def plan(of: Snapshot) -> HedgePlan:
        return make_plan(of, settings, memory=settings.policy.memory())

    return Look(snapshot, retake, plan, settings, follower.by_hand)
