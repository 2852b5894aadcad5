"""The demo's story: what there is to see of a first hedge, a dropped venue and an order of unknown fate.

Told by what stands in decisions and orders, never by a clock: a step is told once what it speaks of has
happened, and stays told. Pure, so that a screen and a text tell the same.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from hedger.amounts import counted
from hedger.core.order_life import OrderRecord
from venues.orders import OrderState

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StorySoFar:
    """What has happened so far, each the first time; "" and empty: not yet. wanted: the legs of the first
    ticket, listing and quantity, and execution: its number; filled: of these legs, parts: of those in more
    than one piece; counted: up to its check; anew: what was left of it was planned again. report: where it
    will lie, "" where none will. screen: people look on, and leave when they like."""

    report: str = ""
    screen: bool = True
    outside: tuple[str, ...] = ()
    ticket: str = ""
    execution: int = 0
    wanted: tuple[tuple[tuple[str, str], Decimal], ...] = ()
    filled: int = 0
    parts: int = 0
    checked: str = ""
    counted: bool = False
    anew: bool = False
    dropped: bool = False
    unknown: str = ""
    resolved: str = ""
    checked_again: str = ""
    killed: bool = False


def after(story: StorySoFar, decision: Json) -> StorySoFar:
    """The story with a decision more."""
    found = story
    if decision["breached"] and not found.outside:
        found = replace(found, outside=tuple(decision["breached"]))
    ticket = decision.get("ticket")
    if ticket and ticket["legs"] and not found.ticket:
        wanted = tuple(((leg["venue"], leg["symbol"]), Decimal(leg["quantity"])) for leg in ticket["legs"])
        text = f"{counted(len(wanted), 'leg')} for {ticket['cost_usd']:z,.0f} USD"
        found = replace(found, ticket=text, wanted=wanted, execution=decision["seq"])
    codes = {action["code"] for action in decision["actions"] if action["action"] == "alert"}
    check = decision.get("verification")
    if check:
        words = _checked_words(check["inside"], check["ended"])
        if not found.checked:
            found = replace(found, checked=words, anew=check["replans"] > 0)
        elif found.resolved and not found.checked_again:
            found = replace(found, checked_again=words)
    if "LINK_DOWN" in codes:
        found = replace(found, dropped=True)
    return replace(found, killed=decision["mode"] == "killed")


def _checked_words(inside: bool, ended: str) -> str:
    """Where the rows are after a ticket, and how it ended.

    >>> _checked_words(True, "every leg is filled")
    'every row is inside, every leg is filled'
    >>> _checked_words(True, "refused: HEDGE_NO_PROGRESS")
    'every row is inside, a limit refused the rest of the ticket (HEDGE_NO_PROGRESS)'
    >>> _checked_words(True, "every row is back inside its band")
    'every row is back inside its band'
    """
    if inside and ended.startswith("every row"):
        return ended
    head, _, code = ended.partition("refused: ")
    words = ended if head or not code else f"a limit refused the rest of the ticket ({code})"
    return f"{'every row is inside' if inside else 'a row is OUTSIDE'}, {words}"


def seen(story: StorySoFar, orders: Sequence[OrderRecord], fills: Mapping[str, int]) -> StorySoFar:
    """The story with a look at the orders; fills: how many each has, by client id."""
    found = story
    if found.ticket and not found.counted:  # a ticket may be filled and checked in one turn
        filled, parts = _filled(found, orders, fills)
        found = replace(found, filled=filled, parts=parts, counted=bool(found.checked))
    lost = [order for order in orders if order.state is OrderState.UNKNOWN]
    if lost and not found.unknown:
        found = replace(found, unknown=lost[0].order.client_id)
    if found.unknown and not found.resolved:
        (order,) = (order for order in orders if order.order.client_id == found.unknown)
        if order.settled:
            never = order.booked == 0 and order.state is not OrderState.FILLED
            words = "the venue never had it" if never else f"it had filled {order.booked:f}"
            found = replace(found, resolved=words)
    return found


def _filled(story: StorySoFar, orders: Sequence[OrderRecord], fills: Mapping[str, int]) -> tuple[int, int]:
    """Legs of the first ticket that its orders have filled, and how many of them in more than one piece."""
    booked: defaultdict[tuple[str, str], Decimal] = defaultdict(Decimal)
    pieces: Counter[tuple[str, str]] = Counter()
    for record in orders:
        if record.execution == story.execution:
            key = record.order.listing.key
            booked[key] += record.booked
            pieces[key] += fills.get(record.order.client_id, 0)
    filled = [key for key, quantity in story.wanted if booked[key] >= quantity]
    return len(filled), sum(pieces[key] > 1 for key in filled)


def _book(story: StorySoFar) -> str:
    rows = ", ".join(story.outside)
    return rows and (
        f"A market maker's book on a simulated market. OUTSIDE its band: {rows}. The engine only observes; "
        "nothing leaves before it is armed."
    )


def _ticket(story: StorySoFar) -> str:
    return story.ticket and (
        f"Armed. The ticket: {story.ticket}, the cheapest mix that brings every row back at once. Legs leave "
        "one after the other, each past the hard limits."
    )


def _legs(story: StorySoFar) -> str:
    if not (story.filled or story.checked):
        return ""
    parts = f", {story.parts} of them in parts" if story.parts else ""
    parts += ", the rest was planned anew" if story.anew and story.filled < len(story.wanted) else ""
    return (
        f"{story.filled} of {counted(len(story.wanted), 'leg')} {'is' if story.filled == 1 else 'are'} "
        f"filled{parts}: the paper venue fills from what the book shows, level by level."
    )


def _checked(story: StorySoFar) -> str:
    return story.checked and (
        f"{_verdict(story.checked)} The book was valued anew after the fills and held against the ticket. "
        "Soon: a fall, and a venue that drops."
    )


def _verdict(checked: str) -> str:
    """What a check came to; OUTSIDE is a sound answer, too: the market went on while the legs were filled."""
    return f"CHECKED: {checked}; planned anew." if "OUTSIDE" in checked else f"VERIFIED: {checked}."


def _dropped(story: StorySoFar) -> str:
    return (story.unknown if story.dropped else "") and (
        f"BTC fell, a hedge left, the venue dropped: order {story.unknown} is UNKNOWN. It counts as filled "
        "AND as not filled, and is never sent twice."
    )


def _resolved(story: StorySoFar) -> str:
    return story.resolved and (
        f"RECONCILED: the venue is back and was asked until it was sure: {story.resolved}. What is still "
        "outside is planned anew."
    )


def _closed(story: StorySoFar) -> str:
    return story.checked_again and f"{_verdict(story.checked_again)} Nothing was doubled, nothing forgotten."


def _kill(story: StorySoFar) -> str:
    if not story.checked_again:
        return ""
    if story.killed:
        return (
            "KILLED: the latch is a file beside the journal. It survives every restart; only `hedger unkill "
            "--reason ..` lifts it, and then the engine observes."
        )
    return (
        "To KILL: K K on any screen, `hedger kill` in any shell. Nothing new leaves, every order is "
        "cancelled, and the latch survives a restart."
    )


def _next(story: StorySoFar) -> str:
    if not story.checked_again:
        return ""
    where = f"its report will lie in {story.report}. "
    report = (
        "`hedger report` makes a page of an engine's journal. "
        if not story.report
        else f"q leaves and ends this engine; {where}"
        if story.screen
        else f"This engine has ended; {where}"
    )
    killed = "KILLED until `hedger unkill`. " if story.killed else ""
    return f"{killed}{report}Your own desk, on paper first: `hedger init`."


#: Title and text of every step; "" while it has not come to that.
STEPS: tuple[tuple[str, Callable[[StorySoFar], str]], ...] = (
    ("a breach", _book),
    ("a ticket", _ticket),
    ("fills", _legs),
    ("verification", _checked),
    ("a fault", _dropped),
    ("reconciliation", _resolved),
    ("verification", _closed),
    ("kill", _kill),
    ("what next", _next),
)
#: The step whose counts grow until the ticket is checked.
FILLS = 2
#: A step stays for so long before the next is told, seconds.
DWELL_S = (2.5, 2.5, 2.0, 5.0, 6.0, 5.0, 4.0, 12.0, 0.0)


@dataclass(frozen=True, slots=True)
class Place:
    """Which step is told, and since when; -1: none yet."""

    step: int = -1
    since_s: float = 0.0


def moved(place: Place, story: StorySoFar, now_s: float) -> Place:
    """The place a moment later: on to the next step that has happened, once this one could be read."""
    at = place.step + 1
    if at >= len(STEPS) or not STEPS[at][1](story):
        return place
    if place.step >= 0 and now_s - place.since_s < DWELL_S[place.step]:
        return place
    return Place(at, now_s)


def told(place: Place, story: StorySoFar) -> str:
    """The step in words."""
    if place.step < 0:
        return "DEMO  the engine is starting on a simulated market, on paper: no keys, no internet"
    title, text = STEPS[place.step]
    return f"DEMO {place.step + 1}/{len(STEPS)} {title}: {text(story)}"
