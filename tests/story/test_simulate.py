"""The engine under faults in virtual time: a few fixed seeds of what `hedger simulate` runs without end."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

import pytest

import hedger.simulator.simulate
from hedger.cli import main
from hedger.settings import Settings
from hedger.simulator.drills import CALM, SIZES, drill_mix, kill_drill
from hedger.simulator.faults import FAULTS, Deed, Due, Mix, fault_ids, mix_of
from hedger.simulator.history import INVARIANTS
from hedger.simulator.judging import check_world
from hedger.simulator.market import SETTINGS, VENUE, Setting
from hedger.simulator.occasions import ORDERS
from hedger.simulator.report import Report, Run
from hedger.simulator.simulate import BEFORE_SETTLEMENT_NS, FAULTS_S, enumerate_crashes, judged, run_seed
from hedger.simulator.twin import TWIN
from hedger.simulator.world import World
from pricing.errors import Exit
from venues.paper_faults import Fault, FaultKind
from venues.paper_log import Happened

S = 10**9
_OPEN = {"target": 0, "trigger": [-1e12, 1e12], "landing": [-1e11, 1e11]}
#: Whatever happens, it is within the bands.
CALM_DESK = Settings.model_validate(
    SETTINGS.model_dump(mode="json")
    | {
        "bands": {
            "*": dict.fromkeys(("delta_usd", "gamma_usd_per_1pct", "vega_usd_per_point"), _OPEN)
            | {"vega_bucket_multiple": 1.0}
        }
    }
)
#: Of the catalogue those that need no socket and no process.
CATALOGUE = {f"F{i}" for i in (1, 2, 3, *range(5, 21), 23, 27, 28, 30, 31, 32, 33, 34)}
#: A few of what the command runs without end; together they draw every fault.
SEEDS = (14, 56, 98)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of a seed have half a minute for their faults: enough where one kind is asked for, or none."""
    monkeypatch.setattr(hedger.simulator.simulate, "FAULTS_S", 30.0)


def test_every_fault_that_needs_no_socket_can_be_asked_for() -> None:
    assert set(FAULTS) == CATALOGUE == set(fault_ids("all"))


@pytest.mark.parametrize("seed", SEEDS)
def test_no_invariant_is_violated_under_a_mix_of_faults(seed: int) -> None:
    run = run_seed(seed, FAULTS)
    assert [str(violation) for violation in run.violations] == []
    assert run.sent > 0
    assert set(run.kinds) <= {*run.happened, *run.missed} and run.missed == {}


def test_each_fault_is_drawn_by_a_seed_that_is_run_here() -> None:
    drawn = {name for seed in SEEDS for name in mix_of(FAULTS, seed, round(FAULTS_S * S)).kinds}
    assert drawn == set(FAULTS), f"not drawn: {set(FAULTS) - drawn}"


def test_what_is_drawn_with_a_low_rate_happens_all_the_same() -> None:
    """The lowest rate that there is, of a fault that comes with orders: once for certain."""
    run = judged(World(Setting.of(3), replace(mix_of(("F3",), 3, 20 * S, often=1e-9), dues=()), 20.0, 31.0))
    assert run.happened == {"F3": 1} and run.violations == ()


def test_faults_without_an_occasion_get_one() -> None:
    """In this seed other faults keep the engine from trading: F1, F7, F9 and F10 wait for orders in vain."""
    run = run_seed(203, FAULTS)
    assert {"F1", "F7", "F9", "F10"} <= set(run.kinds) <= set(run.happened)
    assert (run.missed, run.violations) == ({}, ())


def test_a_run_with_nothing_to_hedge_sends_orders_and_the_same_each_time() -> None:
    def world(occasions_s: float) -> World:
        setting = Setting.of(3)
        setting.settings = CALM_DESK
        lost = (Fault(FaultKind.REQUEST_LOST, at_ns=0),)
        return World(setting, Mix(("F3",), lost), 12.0, 31.0, occasions_s=occasions_s)

    still = judged(world(0.0))
    assert (still.sent, still.happened, still.missed) == (0, {}, {})
    run = judged(world(60.0))
    assert run.sent > 0 and run.happened == {"F3": 1} and run.violations == ()
    assert 12.0 < run.hours * 3600 - 31.0 <= 12.0 + 60.0
    assert judged(world(60.0)).digest == run.digest


def test_what_finds_no_occasion_even_then_says_why() -> None:
    """Nothing may be traded at all: no order, whatever is swung, and the reason is the engine's own."""
    setting = Setting.of(3)
    nothing = {"kinds": ["spot", "perpetual", "future", "option"]}
    setting.settings = Settings.model_validate(
        SETTINGS.model_dump(mode="json") | {"universe": {"deny_buy": nothing, "deny_sell": nothing}}
    )
    mix = Mix(("F1",), (Fault(FaultKind.ACK_LOST, at_ns=0),))
    run = judged(World(setting, mix, 8.0, 31.0, occasions_s=16.0))
    assert (run.sent, run.happened, run.violations) == (0, {}, ())
    assert set(run.missed) == {"F1", ORDERS}
    assert run.missed["F1"].startswith("0 orders sent, 0 fills") and "armed" in run.missed["F1"]
    text = Report(("F1",), runs=[run]).text()
    assert "FAULT_NEVER_HAPPENED: F1" in text and run.missed["F1"] in text


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("fault", ["F5", "F34"])
def test_a_fault_is_counted_under_the_id_that_asked_for_it(fault: str) -> None:
    """Both end sessions, as F8 does, and F34 loses answers, as F1 does: neither is counted as theirs."""
    run = run_seed(3, (fault,))
    assert set(run.happened) == {fault} and run.happened[fault] >= 1


def test_seeds_and_draws_in_which_nothing_came_of_it_are_told_by_name() -> None:
    run = Run(4, ("F7",), (), 3, 3, 1, 0, 0, 1, 9, 9, 0.1, {"F7": 1}, "ab")
    idle = replace(run, seed=9, sent=0, happened={})
    report = Report(("F7",), runs=[run, idle])
    document, text = report.document(), report.text()
    assert (document["seeds_without_orders"], document["drawn_and_never_happened"]) == ([9], {"F7": [9]})
    assert "SEEDS_WITHOUT_ORDERS: 1 of 2 sent none: 9" in text and "FAULT_NEVER_HAPPENED: F7" in text
    assert set(document["checked_by"]) == {f"I{n}" for n in range(1, 19)}


@pytest.mark.usefixtures("short")
def test_the_calm_run_trades_and_is_clean() -> None:
    run = run_seed(1, ())
    assert run.orders > 20 and run.fills > 20 and run.crashes == 0
    assert run.violations == ()


def test_a_crash_at_any_step_violates_nothing() -> None:
    """At every 17th, before and after commits and sends; `hedger simulate` takes each of them."""
    steps, runs = enumerate_crashes(1, every=17)
    assert len(runs) == -(-steps // 17) >= 5 and all(run.crashes == 1 for run in runs)
    assert [str(violation) for run in runs for violation in run.violations] == []


def test_the_same_seed_gives_the_same_record() -> None:
    def journal() -> tuple[str, ...]:
        mix = mix_of(FAULTS, 5, round(30e9))
        return tuple(World(Setting.of(5), mix, 30.0, 31.0).run().journal_lines())

    first = journal()
    assert first == journal() and len(first) > 100


def test_faults_of_a_seed_do_not_hang_on_the_others_asked_for() -> None:
    until_ns = round(FAULTS_S * 1e9)
    alone = mix_of(("F5", "F28"), 3, until_ns)
    among = mix_of(FAULTS, 3, until_ns)
    assert {d for d in alone.dues if d.fault == "F28"} == {d for d in among.dues if d.fault == "F28"}


def test_faults_told_by_time_happen_at_that_time_of_the_run() -> None:
    mix = Mix(("F5",), (Fault(FaultKind.SESSION_KILLED, at_ns=20 * S, seconds=2.0),))
    world = World(Setting.of(3), mix, 30.0, 31.0).run()
    (fact,) = world.exchange.log.of(Happened.FAULT)
    assert fact.time_ns - world.start_ns == 20 * S


@pytest.mark.parametrize("fault", ["F2", "F8", "F13", "F19", "F20", "F33"])
def test_a_kill_ends_every_order_and_the_venue_says_so_twice(fault: str) -> None:
    drill = kill_drill(2, fault, max(SIZES))
    assert drill.violations == ()
    assert math.isfinite(drill.ended_s) and drill.ended_s <= drill.confirmed_s < math.inf
    # the target for 200 orders, once the venue can be told; an order of F2 is still on its way to it
    assert drill.after_s <= (10.0 if fault == "F2" else 2.0)


def test_every_fault_has_a_drill_and_it_is_in_force_at_the_kill() -> None:
    for fault in (CALM, *FAULTS):
        mix = drill_mix(fault)
        assert [due.deed for due in mix.dues].count(Deed.KILL) == (2 if fault == "F28" else 1)
        assert fault in (CALM, "F28") or mix.venue or len(mix.dues) > 1
    with pytest.raises(ValueError, match="no drill"):
        drill_mix("F4")


def test_a_world_without_faults_steps_on_when_nothing_crashes() -> None:
    world = World(Setting.of(3), Mix(), 5.0, 31.0).run()
    assert world.tally.starts == 1 and world.tally.steps > world.steps_with_faults > 0


def adjustments(world: World) -> Iterator[dict[str, str]]:
    for line in world.journal_lines():
        record = json.loads(line)
        if record["kind"] == "adjustment":
            yield record["body"]


def test_options_that_expire_are_settled_once_and_at_the_venues_price() -> None:
    """The engine is away through the last half minute of the averaging window, and sees other prices."""
    crashes = tuple(Due(t * S, Deed.POWER_LOSS) for t in range(30, 60))
    setting = Setting.of(1, BEFORE_SETTLEMENT_NS, expiring=True)
    held = {k[1]: p.quantity for k, p in setting.opening.positions.items() if "-2MAR26-" in k[1]}
    world = World(setting, Mix(dues=crashes), 90.0, 35.0).run()
    assert check_world(world) == ()
    booked = [a for a in adjustments(world) if a["kind"] == "settlement"]
    assert sorted(a["symbol"] for a in booked) == sorted(held) and len(held) == 8
    told = {f.symbol: f for f in world.exchange.log.of(Happened.SETTLED) if f.code == "expiry"}
    for symbol in held:
        mine = [a for a in adjustments(world) if a["symbol"] == symbol]
        assert Decimal(mine[-1]["price"]) == told[symbol].price
        paid = sum((Decimal(a["amount"]) for a in mine), Decimal(0))
        assert abs(paid - (told[symbol].amount or Decimal(0))) < Decimal("1e-11")
    corrected = [a for a in adjustments(world) if a["kind"] == "settlement_corrected"]
    assert {a["symbol"] for a in corrected} <= set(held) and corrected
    assert world.life is not None
    assert not {k[1] for k in world.life.engine.state.book.positions} & set(held)


def test_a_hedge_goes_on_at_the_other_venue_while_one_is_gone_with_an_order_on_its_way() -> None:
    """The first venue is gone for most of a minute just after an order left for it, and nobody can say what
    became of that order; the band of the delta then moves away, so that there is something to hedge."""
    down_s, gone_s = 20.05, 40.0
    bands = ("delta:BTC=4.9,5.1/4.95,5.05", "delta:BTC=-5.1,-4.9/-5.05,-4.95")
    swings = tuple(Due(round((down_s + 5 + 8 * i) * S), Deed.BANDS, text=bands[i % 2]) for i in range(4))
    back = Due(66 * S, Deed.BANDS, text="delta:BTC=")
    gone = Fault(FaultKind.SESSION_KILLED, at_ns=round(down_s * S), seconds=gone_s)
    mix = Mix(("F34",), (gone, Fault(FaultKind.ACK_LOST, 0.9)), (*swings, back))
    world = World(Setting.of(4, venues=2), mix, 72.0, 35.0)
    run = judged(world)
    assert [str(violation) for violation in run.violations] == []
    first, last = world.start_ns + round(down_s * S), world.start_ns + round((down_s + gone_s) * S)
    elsewhere = [f for f in world.exchanges[TWIN].log.of(Happened.FILLED) if first < f.time_ns < last]
    here = [f for f in world.exchanges[VENUE].log.of(Happened.FILLED) if first + S < f.time_ns < last]
    assert elsewhere and not here
    # not before a person has been told that nobody can say what became of the order
    assert min(f.time_ns for f in elsewhere) >= first + 9 * S


@pytest.mark.usefixtures("short")
def test_the_verb_prints_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "--seeds", "1", "--first-seed", "3", "--faults", "F16", "--json"]) == Exit.DONE
    document = json.loads(capsys.readouterr().out)
    assert (document["runs"], document["seeds"], document["faults"]) == (1, [3], ["F16"])
    assert document["violations"] == dict.fromkeys((*INVARIANTS, "I15"), 0)
    assert document["failing_seeds"] == [] and document["known_bugs"] is None
    assert (document["repeated"], document["repeated_alike"]) == (1, 1)
    assert len(document["digests"]["3"]) == len(document["sources_sha256"]) == 64
    assert document["drills"] == 2 * len(SIZES) and set(document["kill_s"]) == {CALM, "F16"}
    for kills in document["kill_s"].values():
        assert set(kills) == {str(n) for n in SIZES}
        assert all(0 <= kills[n]["ended"]["p99"] <= kills[n]["confirmed"]["max"] for n in kills)
    run = run_seed(3, ("F16",))
    assert (document["orders"], document["fills"]) == (run.orders, run.fills)
    assert document["drawn"] == {"F16": 1} and document["happened"] == run.happened


@pytest.mark.parametrize("words", [("--faults", "F4"), ("--faults", "F99,F1"), ("--faults", "")])
def test_an_unknown_fault_is_refused(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "--seeds", "1", *words]) == Exit.INVALID
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("FAULT_UNKNOWN: ") and "Traceback" not in err
