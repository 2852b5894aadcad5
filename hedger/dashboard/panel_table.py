"""The panels: their numbers, names and commands, how often each is made anew, and what it is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum


class Panel(IntEnum):
    """A panel by the digit that shows it."""

    RISK = 1
    HEDGE = 2
    WHAT_IF = 3
    PNL = 4
    VENUES = 5
    ORDERS = 6
    ALERTS = 7


@dataclass(frozen=True, slots=True)
class PanelKind:
    """title: on its tab. stem: what its files are called by. command: what prints all of it with --json.
    every_s: it is made again at most so often. needs_all: the end of a long journal does not make it: it
    tells what ever was, causes, counts, alerts. needs_marks: it is made of the last marks, so of a journal
    read to its end."""

    title: str
    stem: str
    command: str
    every_s: float
    needs_all: bool = False
    needs_marks: bool = False


PANELS: Mapping[Panel, PanelKind] = {
    Panel.RISK: PanelKind("risk", "risk", "risk", 0.5, needs_marks=True),
    Panel.HEDGE: PanelKind("hedge", "hedge", "status --hedge", 0.25),
    Panel.WHAT_IF: PanelKind("what-if", "whatif", "whatif", 2.0, needs_marks=True),
    Panel.PNL: PanelKind("P&L", "pnl", "pnl", 1.0, needs_all=True, needs_marks=True),
    Panel.VENUES: PanelKind("venues", "venues", "venues", 1.0, needs_all=True),
    Panel.ORDERS: PanelKind("orders", "orders", "orders --all", 0.25),
    Panel.ALERTS: PanelKind("alerts", "alerts", "alerts --told", 0.5, needs_all=True),
}
TITLES = tuple(kind.title for kind in PANELS.values())


def in_json() -> str:
    """The commands that print the panels, for a message."""
    names = [f"`{kind.command}`" for kind in PANELS.values()]
    return f"{', '.join(names[:-1])} and {names[-1]}"
