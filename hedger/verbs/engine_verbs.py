"""`hedger run`, `replay` and `watchdog`: run the engine. Heavy imports stand inside the verb that needs
them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hedger.verbs.flags import Commands, add_journal, count, journal_file, positive, step
from hedger.verbs.printing import room, say, show_json
from pricing.errors import Exit, InputError

if TYPE_CHECKING:
    from hedger.limits_file import LoadedLimits
    from hedger.runs.replay import Filling
    from hedger.settings import Settings
    from pricing.market import Marks
    from pricing.universe import Universe


def declare(commands: Commands) -> None:
    """The words of `run`, `replay` and `watchdog`."""
    text = "the engine on the wall clock: paper on a simulated market or a venue's, or live"
    words = add_journal(commands.add("run", run, text))
    words.add_argument("--minutes", type=positive, metavar="N", help="end after so many (default: run on)")
    words.add_argument("--seed", type=count, default=7, metavar="N", help="of that market (default 7)")
    words.add_argument("--book", type=Path, metavar="BOOK", help="positions to begin with (CSV)")
    words.add_argument("--arm", action="store_true", help="arm as soon as the accounts agree with the book")
    words.add_argument("--arm-live", action="store_true", help="the same with real orders; live needs it")
    words.add_argument("--reason", default="", metavar="TEXT", help="why it is started: kept in the record")
    text = "live: where accounts differ from the book at the start take the venues' word; needs --reason"
    words.add_argument("--accept", action="store_true", help=text)
    words.add_argument("--no-watchdog", action="store_true", help="without the process that looks after it")
    text = "paper on venues' market: keep what it is fed as a tape, which `replay` plays again"
    words.add_argument("--record", type=Path, metavar="TAPE", help=text)
    text = "with --record: from batch to batch of a venue, at which the engine then looks (default 100)"
    words.add_argument("--every-ms", type=positive, default=100.0, metavar="MS", help=text)
    text = "with --record: the tape grows, and is sound, after each so many seconds (default 60)"
    words.add_argument("--part-s", type=positive, default=60.0, metavar="S", help=text)
    _declare_replay(commands)
    text = "look after a running engine; `run` starts it by itself"
    words = add_journal(commands.add("watchdog", watchdog, text))
    words.add_argument("--pid", required=True, type=step, metavar="N", help="of the engine")


def _declare_replay(commands: Commands) -> None:
    words = commands.add("replay", replay, "a tape through the engine and the paper venue, in tape time")
    words.add_argument("tape", type=Path, metavar="TAPE")
    text = "positions to begin with (CSV)"
    words.add_argument("--book", required=True, type=Path, metavar="BOOK", help=text)
    words.add_argument("--journal", type=journal_file, metavar="FILE", help="record the run in a new file")
    text = "between snapshots of a chain: hourly bars of the perpetual (ts, open, symbol)"
    words.add_argument("--perp", type=Path, metavar="FILE", help=text)
    text = "beside --perp: hourly DVOL index (ts, dvol, currency), which shifts the smiles"
    words.add_argument("--dvol", type=Path, metavar="FILE", help=text)
    text = "what goes wrong at the paper venues: a rehearsal (default: nothing)"
    words.add_argument("--faults", default="", metavar="all|F1,F7,..", help=text)
    text = "of latencies and faults (default: of a run's tape the run's, else 0)"
    words.add_argument("--seed", type=count, metavar="N", help=text)


def run(arguments: argparse.Namespace) -> Exit:
    """The engine on the wall clock: paper on the simulated market or on a venue's, or live."""
    from hedger.runs.lasting import set_aside
    from hedger.runs.launch import RunOptions

    settings, limits = _agreed(arguments)
    if arguments.arm_live and settings.run.mode != "live":
        raise InputError(
            "ARM_LIVE_ON_PAPER",
            "--arm-live is of live trading, and this is paper",
            where="--arm-live",
            observed=f"run.mode = {settings.run.mode!r}",
            allowed="--arm",
            not_done="nothing was started",
            fix="leave it out, or say --arm",
        )
    if arguments.accept:
        _acceptable(arguments, settings)
    options = RunOptions(
        journal=arguments.journal,
        minutes=arguments.minutes,
        seed=arguments.seed,
        arm=arguments.arm,
        book=arguments.book,
        watchdog=not arguments.no_watchdog,
        reason=arguments.reason,
        config=arguments.config,
        arm_live=arguments.arm_live,
        accept=arguments.accept,
        tape=arguments.record,
        every_ms=arguments.every_ms,
        part_s=arguments.part_s,
    )
    with set_aside():
        if settings.run.mode == "live" or settings.run.feed:
            from hedger.runs.venue_run import run_on_venues

            ran = run_on_venues(options, settings, limits)
        else:
            from hedger.runs.run import run as run_on_paper

            if options.tape is not None:
                from hedger.runs.taping import check_taping

                check_taping(False, settings.run.feed)
            ran = run_on_paper(options, settings, limits)
    if arguments.json:
        show_json(ran.document)
    else:
        print(ran.text)
        say(_summary(ran.document))
    return ran.exit


def _acceptable(arguments: argparse.Namespace, settings: Settings) -> None:
    """--accept is of accounts, and a person's word with its reason."""
    if settings.run.mode != "live":
        raise InputError(
            "ACCEPT_ON_PAPER",
            "--accept is of venues' accounts, and this is paper",
            where="--accept",
            observed=f"run.mode = {settings.run.mode!r}",
            allowed="live trading, where accounts can differ from the book",
            not_done="nothing was started",
            fix="leave it out",
        )
    if not arguments.reason.strip():
        raise InputError(
            "REASON_NEEDED",
            "the book is changed to the venues' accounts by a person's word, which is kept with its reason",
            where="hedger run --accept",
            observed="no --reason",
            allowed="a sentence",
            not_done="nothing was started, nothing was accepted",
            fix="add --reason TEXT",
        )


def replay(arguments: argparse.Namespace) -> Exit:
    """A tape through the engine, in tape time."""
    from hedger.margin_models import without_table
    from hedger.runs.lasting import set_aside
    from hedger.runs.paper_setup import venues_of
    from hedger.runs.replay import replay as play
    from venues.paper_faults import fault_kinds, seeded_faults
    from venues.tape import Tape

    settings, limits = _agreed(arguments, tape=True)
    tape = Tape.open(arguments.tape)
    tenth = 0

    def on_mark(done: int, total: int) -> None:
        nonlocal tenth
        if 10 * done // total > tenth:
            tenth = 10 * done // total
            print(f"{10 * tenth} % of {total} batches", file=sys.stderr)

    between = _between(arguments, settings)
    if text := without_table(settings.paper, venues_of(tape.universe), int(tape.batches.now_ns[0])):
        print(text, file=sys.stderr)
    with set_aside():
        found = play(
            tape,
            arguments.book,
            settings,
            limits,
            arguments.journal,
            on_mark,
            seed=arguments.seed,
            between=between,
            faults=seeded_faults(fault_kinds(arguments.faults), arguments.seed or 0),
        )
    if arguments.json:
        show_json(found.document)
        return Exit.DONE
    for report in found.reports:
        print(report.text())
    say(_summary(found.document))
    return Exit.DONE


def _between(arguments: argparse.Namespace, settings: Settings) -> Filling | None:
    """What fills the hours between the snapshots of a chain; None: nothing was given that could."""
    from hedger.studies.chain_between import Between
    from hedger.studies.chain_inputs import read_dvol, read_perp

    not_done = "nothing was replayed"
    if arguments.perp is None:
        if arguments.dvol is not None:
            raise InputError(
                "DVOL_WITHOUT_PERP",
                "the DVOL index moves vols between snapshots, and nothing moves prices there",
                where="--dvol",
                observed="no --perp",
                allowed="--dvol beside --perp",
                not_done=not_done,
                fix="give the perpetual's hourly prices, too, or leave --dvol out",
            )
        return None
    dvol = {} if arguments.dvol is None else read_dvol(arguments.dvol, not_done)

    def filling(universe: Universe, batches: Iterator[Marks]) -> Iterator[Marks]:
        perp = read_perp(arguments.perp, universe.underlyings, not_done)
        found = Between(universe, settings.age_s_max, perp, dvol)
        still = [name for name in universe.underlyings if name not in found.coins]
        if still:
            print(
                f"between snapshots {', '.join(found.coins) or 'nothing'} moves; {', '.join(still)} grows "
                "old there, and a book that holds it is incomplete until the next snapshot",
                file=sys.stderr,
            )
        return found.filled(batches)

    return filling


def watchdog(arguments: argparse.Namespace) -> Exit:
    """Look after an engine."""
    from hedger.build import this_build
    from hedger.config import load
    from hedger.engine.logs import Log
    from hedger.engine.watchdog import watch
    from hedger.journal.kill_latch import FileLatch
    from hedger.journal.lock import build_of, holder

    settings = load(arguments.config).settings
    latch, log = FileLatch(arguments.journal), Log(name="hedger.watchdog")
    engine = build_of(holder(arguments.journal))
    if engine and engine != this_build():
        # It only stops an engine, and one that nobody looks after is worse off than one that is stopped.
        text = f"the engine is of build {engine}, this watchdog of {this_build()}"
        log.say("another build", level=30, version=this_build(), text=text)
    code = watch(arguments.journal, arguments.pid, settings.run.watchdog, latch, log)
    if arguments.json:
        show_json({"ended_in_order": code is Exit.DONE, "killed": latch.found() is not None})
    return code


def _agreed(arguments: argparse.Namespace, *, tape: bool = False) -> tuple[Settings, LoadedLimits]:
    """Settings and hard limits, which must be able to hold both."""
    from hedger.config import load
    from hedger.limits_file import load_limits
    from hedger.runs.agreement import agreed

    loaded = load(arguments.config)
    settings = loaded.settings
    limits = load_limits(Path(settings.limits_file) if settings.limits_file else None)
    return agreed(settings, limits, loaded.origin, tape=tape), limits


def _summary(document: dict[str, Any]) -> str:
    """The figures for people; what is not known says so."""
    from hedger.amounts import amount
    from hedger.desk.profit import APART_S
    from hedger.profit import APART_NS, table
    from pricing.daycount import NS_PER_SECOND

    def usd(name: str) -> str:
        x = document.get(name)
        return "unknown" if x is None else f"{amount(x, 2)} USD"

    refused = ", ".join(f"{code} {n}" for code, n in document["refused"].items()) or "none"
    lines = [
        f"marks {document['marks']}, decisions {document['decisions']}, "
        f"hedges {document['hedges']}, orders {document['orders']}, fills {document['fills']}",
        f"refused by the limits: {refused}",
        f"cost {usd('cost_usd')} (fees {usd('fees_usd')}, slippage {usd('slippage_usd')})",
        f"P&L {usd('pnl_usd')}, of it unexplained {usd('residual_usd')} (valued at each fill and at marks "
        f"{APART_NS / NS_PER_SECOND:g} s or more apart; `hedger pnl`: {APART_S:g} s, so it has another)",
        f"mode {document['mode']}" + (f": {document['reason']}" if document.get("reason") else ""),
        f"digest {document['digest'][:16]}",
    ]
    lines += [
        f"accepted as {x['venue']} says: {x['what']} {Decimal(x['amount']):+f}"
        for x in document.get("accepted", ())
    ]
    told = table(document, room())
    if told:
        lines.insert(3, told)
        lines.insert(4, f"ledger less causes: {usd('ledger_difference_usd')} (rounding, or a fault)")
    return "\n".join(lines)
