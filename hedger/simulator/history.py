"""The history checker: reads what a venue did, what crossed the wire, what the engine wrote down and what it
held to be true, and says which invariants did not hold.

It shares nothing with the engine: the standard library alone, and its own reading of the same words.

I1 an intent makes one order at most. I2 it is durable first. I3 executions are booked once. I4 positions are
their sum, and the venue's. I5 worst cases stay within limits. I6 a kill holds. I7 nothing unknown is dropped.
I8 data are fresh. I9 no order where none may leave. I10 the chain holds, and read again gives the same state.
I11 money adds up. I12 peace after faults. I17 an account told twice changes nothing. The others of I1 to I18
cannot be seen in these lines, but only in other outputs or in two runs beside each other: I15 is judged by
running a seed twice; I13, I14, I16 and I18 each have a named test.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from hedger.simulator.history_book import (
    booked_once,
    chain_holds,
    money_adds_up,
    peace_after_faults,
    position_is_the_sum,
)
from hedger.simulator.history_combos import in_ratio, leg_by_leg
from hedger.simulator.history_lines import History, Journal, Terms, Violation, read_lines
from hedger.simulator.history_orders import (
    Evidence,
    fresh_when_sent,
    killed_is_killed,
    nothing_forgotten,
    one_order_per_intent,
    reducing_reduces,
    within_limits,
    written_before_sent,
)

#: The invariants that are checked.
INVARIANTS = ("I1", "I2", "I3", "I4", "I5", "I6", "I7", "I8", "I9", "I10", "I11", "I12", "I17")
#: The one that the simulator judges by running a seed twice.
REPEATED = "I15"
#: What neither of them sees: by which test each is shown.
BY_TEST = {
    "I13": "test_i13_no_byte_that_is_written_holds_a_secret",
    "I14": "test_i14_nobody_who_looks_on_holds_up_the_loop_and_a_stopped_loop_is_killed",
    "I16": "test_i16_steps_of_the_wall_clock_change_nothing_but_stamps",
    "I18": "test_i18_paper_and_live_decide_the_same_on_the_same_messages",
}

_ORDER_CHECKS = (
    one_order_per_intent,
    written_before_sent,
    within_limits,
    killed_is_killed,
    nothing_forgotten,
    fresh_when_sent,
    reducing_reduces,
)
_BOOK_CHECKS = (booked_once, in_ratio, position_is_the_sum, chain_holds, money_adds_up, peace_after_faults)


def history_of(
    truth: Mapping[str, Iterable[str]],
    wire: Iterable[str],
    journal: Iterable[str],
    claims: Iterable[str],
    genesis: str = "",
    terms: Terms | None = None,
) -> History:
    """A history from its lines; truth by venue.

    Raises:
        HistoryError: a line is none.
    """
    return History(
        {venue: read_lines(lines, f"truth of {venue}") for venue, lines in truth.items()},
        read_lines(wire, "wire"),
        read_lines(journal, "journal"),
        read_lines(claims, "claims"),
        genesis,
        terms or Terms(),
    )


def check(history: History) -> tuple[Violation, ...]:
    """Every violation found, in the order of the invariants.

    Raises:
        HistoryError: a line does not say what it must.
    """
    journal = Journal.of(history.journal)
    history, journal = leg_by_leg(history, journal)
    evidence = Evidence(history, journal)
    found = [violation for each in _ORDER_CHECKS for violation in each(history, journal, evidence)]
    found += [violation for each in _BOOK_CHECKS for violation in each(history, journal)]
    return tuple(sorted(found, key=lambda v: INVARIANTS.index(v.invariant)))


def counted(violations: Iterable[Violation]) -> dict[str, int]:
    """How many of each invariant, those without any as 0.

    >>> counted([Violation("I3", "twice")])["I3"], counted([])["I1"]
    (1, 0)
    """
    found = Counter(v.invariant for v in violations)
    return {name: found[name] for name in INVARIANTS}
