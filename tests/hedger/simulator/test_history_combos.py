"""The checker on combos: a run that sends some is clean, and each way of spoiling its lines is found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from hedger.simulator.faults import Mix
from hedger.simulator.history import check, history_of
from hedger.simulator.history_lines import History
from hedger.simulator.judging import check_world
from hedger.simulator.market import VENUE, Setting
from hedger.simulator.simulate import enumerate_crashes
from hedger.simulator.world import World
from venues.paper_log import Happened

Json = dict[str, Any]


@cache
def world() -> World:
    """Half a minute of a market in which options are traded."""
    return World(Setting.of(3, combos=True), Mix(), 20.0, 31.0).run()


@cache
def history() -> History:
    done = world()
    truth = {VENUE: done.exchange.log.json_lines()}
    genesis = done.disk.name.genesis.hex()
    return history_of(truth, done.wire_lines, done.journal_lines(), done.claims, genesis)


def combos() -> set[str]:
    """Ids under which more than one contract was filled."""
    filled: dict[str, set[str]] = {}
    for fact in world().exchange.log.of(Happened.FILLED):
        filled.setdefault(fact.client_id, set()).add(fact.symbol)
    return {client_id for client_id, symbols in filled.items() if len(symbols) > 1}


def found(spoiled: History) -> set[str]:
    """The invariants broken; not the chain, which ends where a record is taken out, and not the money, which
    is compared on the run itself."""
    return {v.invariant for v in check(spoiled)} - {"I10", "I11"}


def test_a_run_with_combos_is_clean() -> None:
    assert len(combos()) >= 3
    assert [str(v) for v in check_world(world())] == []


def without_first(lines: tuple[Json, ...], is_it: Callable[[Json], bool]) -> tuple[Json, ...]:
    at = next(i for i, line in enumerate(lines) if is_it(line))
    return lines[:at] + lines[at + 1 :]


def one_leg_unfilled(h: History) -> History:
    ids = combos()
    facts = without_first(h.truth[VENUE], lambda x: x["what"] == "filled" and x["client_id"] in ids)
    return replace(h, truth={VENUE: facts})


def one_leg_not_booked(h: History) -> History:
    ids = combos()
    lines = without_first(h.journal, lambda x: x["kind"] == "fill" and x["body"]["client_id"] in ids)
    return replace(h, journal=lines)


def sent_again(h: History) -> History:
    ids = combos()
    line = next(x for x in h.wire if x["what"] == "submit" and x["client_id"] in ids)
    return replace(h, wire=(*h.wire, line))


def one_leg_not_written(h: History) -> History:
    def second(line: Json) -> bool:
        order = line["body"].get("order", {}) if line["kind"] == "intent" else {}
        return bool(order.get("combo")) and order["combo"] != order["client_id"]

    return replace(h, journal=without_first(h.journal, second))


def other_quantity(h: History) -> History:
    ids = combos()
    at = next(i for i, x in enumerate(h.wire) if x["what"] == "submit" and x["client_id"] in ids)
    line = h.wire[at] | {"quantity": "77.7"}
    return replace(h, wire=(*h.wire[:at], line, *h.wire[at + 1 :]))


@pytest.mark.parametrize(
    ("spoil", "broken"),
    [
        (one_leg_unfilled, {"I3", "I4"}),
        (one_leg_not_booked, {"I3", "I4"}),
        (sent_again, {"I1"}),
        (one_leg_not_written, {"I2"}),
        (other_quantity, {"I2"}),
    ],
)
def test_what_is_spoiled_is_found(spoil: Callable[[History], History], broken: set[str]) -> None:
    assert found(history()) == set()
    assert broken <= found(spoil(history()))


def test_a_crash_at_any_step_of_a_run_with_combos_violates_nothing() -> None:
    """At every 33rd; `hedger simulate` takes each of them."""
    steps, runs = enumerate_crashes(4, every=33)
    assert steps > 60 and len(runs) >= 3 and all(run.crashes == 1 for run in runs)
    assert [str(violation) for run in runs for violation in run.violations] == []
