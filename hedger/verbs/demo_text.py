"""What `hedger demo` says where there is no screen: the book, each hedge, the sums, the tale of a fault."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hedger.core.decision import Decision
from hedger.core.state import State
from hedger.demo.drill import drill
from hedger.demo.run import DemoHedge, DemoWatcher
from hedger.demo.tale import FILLS, STEPS, StorySoFar, after, seen
from hedger.documents import plain
from hedger.problem.snapshot import Snapshot
from hedger.settings import Settings
from hedger.ticket import risk_view, ticket_view
from hedger.verbs.printing import show
from pricing.contracts import Side
from risk.costs import TradeCost
from venues.paper_report import PaperReport


class BarWatcher(DemoWatcher):
    """Shows on stderr how far the demo is, and prints nothing. minutes: of the market, in all."""

    def __init__(self, minutes: float) -> None:
        self._minutes = minutes

    def marked(self, minute: float) -> None:
        """The bar, so far."""
        _bar(minute / self._minutes)

    def closed(self, report: PaperReport) -> None:
        """The bar has done its work."""
        _clear_bar()


class TextWatcher(BarWatcher):
    """Prints all of it as it comes."""

    def __init__(self, minutes: float, seed: int) -> None:
        super().__init__(minutes)
        self._seed = seed

    def started(self, snapshot: Snapshot) -> None:
        """The book and its exposures."""
        print(f"A market maker's book on a simulated market, seed {self._seed}: no keys, no internet.")
        show(risk_view(snapshot), plain=True)

    def hedged(self, hedge: DemoHedge) -> None:
        """A ticket, what filled of it, and whether the book came to what it promised."""
        _clear_bar()
        show(ticket_view(hedge.plan), plain=True)
        for fill in hedge.fills:
            listing = fill.listing
            print(
                f"  filled: {_side_word(fill.side)} {plain(fill.quantity)} {listing.unit} "
                f"{listing.symbol} at {plain(fill.price)}, fee {float(fill.fee):.6g} {fill.fee_currency}"
            )
        print(f"  verification: {'passed' if hedge.verified else 'FAILED'}, {hedge.worst_difference}\n")

    def closed(self, report: PaperReport) -> None:
        """What the paper venue says of its fills."""
        super().closed(report)
        print(report.text(), end="\n\n")


def _bar(fraction: float) -> None:
    """A progress bar on a terminal's stderr, without escape codes; nothing elsewhere."""
    if sys.stderr.isatty():
        done = round(40 * min(max(fraction, 0.0), 1.0))
        line = f"[{'#' * done}{'.' * (40 - done)}] {fraction:4.0%} of the market minutes"
        print(f"\r{line}", end="", file=sys.stderr, flush=True)


def _clear_bar() -> None:
    """Take the bar off its line, so that what is printed next does not run into it."""
    if sys.stderr.isatty():
        print(f"\r{'':70}\r", end="", file=sys.stderr, flush=True)


def _side_word(side: Side) -> str:
    """The side in words."""
    return "bought" if side is Side.BUY else "sold"


def summary_text(document: dict[str, Any]) -> str:
    """The closing summary for people."""
    cost, pnl = document["cost_usd"], document["pnl_usd"]
    split = ", ".join(f"{name} {cost[name]:z,.2f}" for name in TradeCost.__slots__)
    outside = [f"{row} {share:.0%}" for row, share in document["outside_bands"].items() if share]
    worst = [f"{row} {x:.4g}" for row, x in document["worst"].items() if x]
    paragraphs = [
        f"hedges {document['hedges']}, of them verified {document['verified']}, legs {document['legs']}, "
        f"cost {cost['total']:z,.2f} USD ({split})",
        f"found outside its band, share of the marks, before hedging: {', '.join(outside) or 'none'}",
        f"worst exposures, in the rows' units: {', '.join(worst) or 'none'}",
        f"P&L with hedging {pnl['hedged']:z,.0f} USD, without {pnl['unhedged']:z,.0f} USD",
        f"digest {document['digest'][:16]} (same seed, same result)",
    ]
    head = f"Closing summary: {document['minutes']:g} market minutes, seed {document['seed']}"
    wrapped = (textwrap.fill(text, 80, initial_indent="  ", subsequent_indent="    ") for text in paragraphs)
    return "\n".join([head, *wrapped])


def tell_the_fault(seed: int, settings: Settings, journal: Path, report: Path) -> None:
    """The fault, the kill latch and what next, as the screen tells them, played in virtual time."""
    story = StorySoFar(str(report), screen=False)
    told = 0

    def on_turn(state: State, decision: Decision, fills: Mapping[str, int]) -> None:
        nonlocal story, told
        story = seen(after(story, decision.document()), tuple(state.orders.values()), fills)
        while told < len(STEPS) and (text := STEPS[told][1](story)):
            if told == FILLS and not story.checked:
                return  # printed once, with the counts that it ends with
            title = STEPS[told][0]
            line = f"{told + 1}. {title}: {text}"
            # a path is not broken
            print(
                textwrap.fill(
                    line, 80, subsequent_indent="   ", break_on_hyphens=False, break_long_words=False
                )
            )
            told += 1

    print(f"The same engine once more, and a venue that drops. Its files: {journal.parent}")
    drill(seed, settings, on_turn, journal)
    if told < len(STEPS):
        text = (
            f"The story ends here, after {told} of {len(STEPS)} steps: with this seed and these settings the "
        )
        print(textwrap.fill(f"{text}rest did not happen. Another one: `hedger demo --seed N`.", 80))
