"""The command line: every verb, each with --json. Nothing heavy is imported before a verb needs it."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn, TextIO

from hedger.verbs import (
    dashboard_verb,
    desk_verbs,
    engine_verbs,
    journal_verbs,
    limits_verbs,
    simulate_verb,
    steering,
    venue_verbs,
)
from hedger.verbs import plan_verbs as verbs
from pricing.errors import Exit, HedgerError, InputError

Verb = Callable[[argparse.Namespace], Exit]


class Parser(argparse.ArgumentParser):
    """A parser whose faults read like every other fault; no abbreviated flags: `--mark` is not --market."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        """Refuse the command line."""
        raise InputError(
            "USAGE",
            message,
            where=self.prog,
            allowed=" ".join(self.format_usage().split()),
            not_done="nothing was started",
            fix=f"see `{self.prog} --help`",
        )


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; returns its exit code. An error a person can mend is one line on stderr, no traceback."""
    parser = build_parser()
    arguments = argparse.Namespace(debug=False)
    try:
        arguments = parser.parse_args(argv)
        verb: Verb | None = getattr(arguments, "verb", None)
        if verb is None:
            parser.print_help()
            return int(Exit.INVALID)
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            code = int(verb(arguments))
        sys.stdout.flush()  # here, where a reader that went away is no fault
        return code
    except HedgerError as error:
        if arguments.debug:
            raise
        print(error, file=sys.stderr)
        return int(error.exit_code)
    except BrokenPipeError:
        # The reader went away (`hedger risk ... | head`): not a fault of ours.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return int(Exit.DONE)
    except KeyboardInterrupt:
        print("INTERRUPTED: stopped by the user; nothing was left running", file=sys.stderr)
        return int(Exit.INTERRUPTED)
    except Exception as error:
        # The last resort of the program: a fault of ours, said in one line; --debug shows where.
        if arguments.debug:
            raise
        print(
            f"INTERNAL: {type(error).__name__}: {error}; this is a fault of the program, please report it; "
            "--debug prints the traceback",
            file=sys.stderr,
        )
        return int(Exit.INTERNAL)


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """A warning as a line for people, without the place in our code that gave it."""
    print(f"WARNING: {message}", file=sys.stderr)


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--config", type=Path, metavar="FILE", help="settings (default ./config.toml, else built-in)"
    )
    common.add_argument("--json", action="store_true", help="print one JSON document and nothing else")
    common.add_argument("--debug", action="store_true", help="show the traceback of an error")
    parser = Parser(
        prog="hedger",
        description="The cheapest mix of spot, perpetual, future and option trades that brings an options "
        "book back inside its bands.",
    )
    parser.set_defaults(debug=False)
    commands = parser.add_subparsers(title="verbs", metavar="VERB")

    def add(name: str, verb: Verb, text: str, parent: Any = commands) -> argparse.ArgumentParser:
        made: argparse.ArgumentParser = parent.add_parser(name, parents=[common], help=text, description=text)
        made.set_defaults(verb=verb)
        return made

    demo = add("demo", verbs.demo, "the whole loop on a simulated market: no keys, no internet")
    demo.add_argument(
        "--headless", action="store_true", help="plain text; the demo has no screen yet, so it always is"
    )
    demo.add_argument(
        "--minutes", type=_positive, default=30.0, metavar="N", help="market minutes (default 30)"
    )
    demo.add_argument(
        "--seed", type=_count, default=7, metavar="N", help="same seed, same result (default 7)"
    )

    risk = add("risk", verbs.risk, "exposures of a book, and what is missing or stale")
    _market_arguments(risk, book_required=False)
    risk.add_argument(
        "--check-venue",
        action="store_true",
        help="compare our Greeks with the venue's; without --book that alone",
    )

    plan = add("plan", verbs.plan, "the hedge ticket; nothing is sent")
    _market_arguments(plan)
    plan.add_argument(
        "--band",
        action="append",
        default=[],
        metavar="ROW=LO,HI/LO,HI",
        help="trigger and landing of a row for a trial, in the row's unit; an empty number is an open side",
    )

    tape = commands.add_parser("tape", help="recorded market data", description="recorded market data")
    tapes = tape.add_subparsers(title="verbs", metavar="VERB", required=True)
    importer = add("import", verbs.tape_import, "make a tape from recorded market data", tapes)
    importer.add_argument("source", nargs="+", type=Path, metavar="SOURCE", help="source file(s)")
    importer.add_argument(
        "--format",
        required=True,
        choices=(
            "deribit-chain",
            "deribit-tickers",
            "venue-messages",
            "greeks-table",
            "binance-ws",
            "tardis",
        ),
    )
    importer.add_argument("--out", required=True, type=Path, metavar="TAPE", help="folder to create")
    importer.add_argument(
        "--size-at-touch",
        metavar="BTC=10,ETH=100",
        help="option size per side, coins, where the source has none",
    )
    importer.add_argument("--perp-spread-bps", type=_not_negative, default=1.0, metavar="BPS")
    importer.add_argument("--perp-size-usd", type=_positive, default=5_000_000.0, metavar="USD")
    importer.add_argument("--future-spread-bps", type=_not_negative, default=3.0, metavar="BPS")
    importer.add_argument("--future-size-usd", type=_positive, default=1_000_000.0, metavar="USD")
    importer.add_argument("--spot-spread-bps", type=_not_negative, default=2.0, metavar="BPS")
    importer.add_argument(
        "--perp", type=Path, metavar="FILE", help="perpetual mids at the snapshots (parquet)"
    )
    importer.add_argument(
        "--every-ms", type=int, default=100, metavar="MS", help="local time of a batch of recorded streams"
    )
    importer.add_argument(
        "--levels", type=int, default=20, metavar="N", help="levels of each side of a recorded order book"
    )
    importer.add_argument(
        "--index-from-spot",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="binance-ws: the spot market's middle stands in for an index that was not recorded",
    )
    for name, verb, text in (
        ("info", verbs.tape_info, "what a tape holds"),
        ("verify", verbs.tape_verify, "check a tape's hashes, order and numbers"),
    ):
        add(name, verb, text, tapes).add_argument("tape", type=Path, metavar="TAPE")
    simulate = add("simulate", verbs.tape_simulate, "make a tape from the simulated market", tapes)
    simulate.add_argument("--out", required=True, type=Path, metavar="TAPE", help="folder to create")
    simulate.add_argument(
        "--minutes", type=_positive, default=30.0, metavar="N", help="market minutes (default 30)"
    )
    simulate.add_argument("--seed", type=_count, default=7, metavar="N")

    config = commands.add_parser("config", help="the settings", description="the settings")
    configs = config.add_subparsers(title="verbs", metavar="VERB", required=True)
    add("show", verbs.config_show, "the merged settings with the origin of each value", configs)
    add("validate", verbs.config_validate, "check the settings", configs)
    add("schema", verbs.config_schema, "JSON Schema of config.toml", configs)

    limits = commands.add_parser(
        "limits", help="the hard limits, a file of their own", description="the hard limits"
    )
    limit_verbs = limits.add_subparsers(title="verbs", metavar="VERB", required=True)
    show = add("show", limits_verbs.limits_show, "the hard limits in force, as a commented file", limit_verbs)
    show.add_argument("--file", type=Path, metavar="FILE", help="default: limits_file of the settings")
    add("validate", limits_verbs.limits_validate, "check a file of hard limits", limit_verbs).add_argument(
        "file", type=Path, metavar="FILE"
    )
    compared = add(
        "compare", limits_verbs.limits_compare, "what a new file tightens and loosens", limit_verbs
    )
    compared.add_argument("old", type=Path, metavar="OLD")
    compared.add_argument("new", type=Path, metavar="NEW")

    add("codes", limits_verbs.limits_codes, "every reason why an order is not let out", limit_verbs)

    study = commands.add_parser(
        "study", help="measured results on recorded data", description="measured results"
    )
    studies = study.add_subparsers(title="verbs", metavar="VERB", required=True)
    plans = add(
        "plans", verbs.study_plans, "plan a seeded market maker's book at every snapshot of a tape", studies
    )
    plans.add_argument("tape", type=Path, metavar="TAPE")
    plans.add_argument(
        "--positions", type=_count, default=40, metavar="N", help="options per underlying (default 40)"
    )
    plans.add_argument("--seed", type=_count, default=7, metavar="N")
    plans.add_argument("--every", type=_step, default=1, metavar="N", help="take every N-th snapshot")
    surface = add(
        "surface",
        verbs.study_surface,
        "fit the vol surface at every snapshot, against the venue's marks",
        studies,
    )
    _study_arguments(surface)
    delta = add("delta", verbs.study_delta, "compare the delta rules by what they leave unhedged", studies)
    _study_arguments(delta)
    greeks = add("greeks", verbs.study_greeks, "compare our Greeks with those the venues published", studies)
    _study_arguments(greeks)
    text = "hedging policies on simulated paths: cost against risk"
    _frontier_arguments(add("frontier", verbs.study_frontier, text, studies))
    text = "hedging policies on recorded chains: a market maker's flow carried to settlement"
    _chain_arguments(add("chain", verbs.study_chain, text, studies))
    _journal_verbs(commands, add)
    _engine_verbs(add)
    _desk_verbs(add)
    _dashboard_verb(add)
    _simulation_verb(add)
    _venue_verbs(commands, add)
    return parser


def _journal_verbs(commands: Any, add: Callable[..., argparse.ArgumentParser]) -> None:
    def named(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
        text = f"the engine's record (default ./{steering.JOURNAL_FILE})"
        parser.add_argument("--journal", type=Path, default=steering.JOURNAL_FILE, metavar="FILE", help=text)
        return parser

    journal = commands.add_parser("journal", help="the engine's record", description="the engine's record")
    journals = journal.add_subparsers(title="verbs", metavar="VERB", required=True)
    show = named(add("show", journal_verbs.show, "print records", journals))
    show.add_argument("--kind", action="append", metavar="KIND", help="only these, such as fill or decision")
    show.add_argument(
        "--from", type=_count, default=-1, dest="first", metavar="SEQ", help="from this event on"
    )
    verify = named(
        add("verify", journal_verbs.verify, "check the chain of hashes; exit 1 if broken", journals)
    )
    verify.add_argument("--head", metavar="NUMBER:HASH", help="a head noted earlier that must be in it")
    text = "decide every event again, with the settings and limits of then, and compare"
    verify.add_argument("--replay", action="store_true", help=text)
    verify.add_argument("--tape", type=Path, metavar="TAPE", help="of a replay: where its marks lie")
    export = named(add("export", journal_verbs.export, "write the record as Parquet tables", journals))
    export.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder to create")

    named(add("status", steering.status, "whether an engine runs, what it may do, where it stands"))
    orders = named(add("orders", steering.orders, "orders that may still be filled"))
    orders.add_argument("--all", action="store_true", help="every order ever intended")
    orders.add_argument("--unknown", action="store_true", help="only those whose fate nobody knows")
    for name, text in (
        ("arm", "let a running engine send orders"),
        ("pause", "no new hedges; checks and cancels go on"),
        ("resume", "end a pause"),
        ("flatten", "plan the whole book, or one underlying, to zero"),
        ("reload", "let a running engine take its settings file anew; hard limits only change at a start"),
        ("kill", "stop sending at once and cancel everything; stays until unkill, over restarts"),
        ("unkill", "remove the kill latch; the engine then observes until it is armed"),
    ):
        own = {"kill": steering.kill, "unkill": steering.unkill, "reload": steering.reload}
        verb = own.get(name, steering.command)
        wish = named(add(name, verb, text))
        wish.set_defaults(wish=name)
        wish.add_argument(
            "--reason", required=name == "unkill", default="", metavar="TEXT", help="why: kept in the record"
        )
        wish.add_argument(
            "--wait-s", type=_not_negative, default=10.0, metavar="S", help="for the answer (default 10)"
        )
        if name == "flatten":
            wish.add_argument("argument", nargs="?", metavar="UNDERLYING", help="one coin alone")


def _simulation_verb(add: Callable[..., argparse.ArgumentParser]) -> None:
    text = "the engine under seeded faults in virtual time, judged by the history checker"
    simulation = add("simulate", simulate_verb.simulate, text)
    simulation.add_argument("--seeds", required=True, type=_step, metavar="N", help="how many runs")
    simulation.add_argument(
        "--first-seed", type=_count, default=0, metavar="K", help="of them (default 0): repeats a failing run"
    )
    simulation.add_argument(
        "--faults", required=True, metavar="all|F1,F7,..", help="which faults; each run draws some of them"
    )
    text = "planted bugs that the checker must find: tests/story/bugs.py of the source tree"
    simulation.add_argument("--bugs", type=Path, metavar="FILE", help=text)


def _engine_verbs(add: Callable[..., argparse.ArgumentParser]) -> None:
    text = "the engine on the wall clock: paper on a simulated market or a venue's, or live"
    run = add("run", engine_verbs.run, text)
    text = f"the engine's record (default ./{steering.JOURNAL_FILE})"
    run.add_argument("--journal", type=Path, default=steering.JOURNAL_FILE, metavar="FILE", help=text)
    run.add_argument("--minutes", type=_positive, metavar="N", help="end after so many (default: run on)")
    run.add_argument("--seed", type=_count, default=7, metavar="N", help="of that market (default 7)")
    run.add_argument("--book", type=Path, metavar="BOOK", help="positions to begin with (CSV)")
    run.add_argument("--arm", action="store_true", help="arm as soon as the accounts agree with the book")
    run.add_argument("--arm-live", action="store_true", help="the same with real orders; live needs it")
    run.add_argument("--reason", default="", metavar="TEXT", help="why it is started: kept in the record")
    run.add_argument("--no-watchdog", action="store_true", help="without the process that looks after it")

    replay = add("replay", engine_verbs.replay, "a tape through the engine and the paper venue, in tape time")
    replay.add_argument("tape", type=Path, metavar="TAPE")
    text = "positions to begin with (CSV)"
    replay.add_argument("--book", required=True, type=Path, metavar="BOOK", help=text)
    replay.add_argument("--journal", type=Path, metavar="FILE", help="record the run in a new file")
    text = "between snapshots of a chain: hourly bars of the perpetual (ts, open, symbol)"
    replay.add_argument("--perp", type=Path, metavar="FILE", help=text)
    text = "beside --perp: hourly DVOL index (ts, dvol, currency), which shifts the smiles"
    replay.add_argument("--dvol", type=Path, metavar="FILE", help=text)
    text = "what goes wrong at the paper venues: a rehearsal (default: nothing)"
    replay.add_argument("--faults", default="", metavar="all|F1,F7,..", help=text)
    text = "of latencies and faults (default 0)"
    replay.add_argument("--seed", type=_count, default=0, metavar="N", help=text)

    dog = add("watchdog", engine_verbs.watchdog, "look after a running engine; `run` starts it by itself")
    dog.add_argument("--journal", type=Path, default=steering.JOURNAL_FILE, metavar="FILE")
    dog.add_argument("--pid", required=True, type=_step, metavar="N", help="of the engine")


def _desk_verbs(add: Callable[..., argparse.ArgumentParser]) -> None:
    whatif = add(
        "whatif", desk_verbs.whatif, "the book under shocks of spot, vol and time, by full revaluation"
    )
    whatif.add_argument(
        "--book", type=Path, metavar="BOOK", help="positions and balances (CSV), with --market"
    )
    whatif.add_argument("--market", type=Path, metavar="TAPE", help="tape folder")
    whatif.add_argument("--at", metavar="TIME", help="last batch not after this time (default: the last one)")
    whatif.add_argument("--journal", type=Path, metavar="FILE", help="instead: an engine's last state")
    whatif.add_argument("--numeraire", choices=("USD", "coin"), help="overrides the configuration")
    for name, text, low in (
        ("spot", "moves in %%, such as --spot=-20,-10,0,10", -100.0),
        ("vol", "added to vols, in points, such as --vol=-5,0,5", -500.0),
        ("days", "from now, such as --days 0,1,7", 0.0),
    ):
        whatif.add_argument(f"--{name}", type=_axis(low, name != "spot"), metavar="A,B,..", help=text)
    whatif.add_argument("--metric", choices=("pnl", "delta", "gamma", "vega"), default="pnl")
    whatif.add_argument(
        "--hedged", action="store_true", help="plan, and show the book after the hedge beside it"
    )
    whatif.add_argument("--stress", metavar="all|NAME", help="falls of the past, such as march-2020")
    text = "the hedge with spreads K times as wide and sizes a K-th"
    whatif.add_argument("--liquidity", type=_factor, metavar="K", help=text)
    text = "for VaR and expected shortfall: a tape, or prices (ts, open, symbol), or returns by coin"
    whatif.add_argument("--returns", type=Path, metavar="FILE", help=text)
    text = "of a return made from prices (default 24)"
    whatif.add_argument("--horizon-hours", type=_positive, default=24.0, metavar="H", help=text)

    pnl = add("pnl", desk_verbs.pnl, "where the P&L of an engine's journal came from, day by day")
    text = "between two valuations of the book (default 60)"
    pnl.add_argument("--apart-s", type=_not_negative, default=60.0, metavar="S", help=text)
    venues = add("venues", desk_verbs.venues, "ages, gaps, reconnects, delays and orders of each venue")
    for verb in (pnl, venues):
        text = f"the engine's record (default ./{steering.JOURNAL_FILE})"
        verb.add_argument("--journal", type=Path, default=steering.JOURNAL_FILE, metavar="FILE", help=text)
    for verb in (whatif, pnl, venues):
        verb.add_argument(
            "--tape", type=Path, metavar="TAPE", help="of a replay's journal: where its marks lie"
        )


def _dashboard_verb(add: Callable[..., argparse.ArgumentParser]) -> None:
    screen = add("dashboard", dashboard_verb.dashboard, "the traders' terminal; closing it changes nothing")
    text = f"the engine's record (default ./{steering.JOURNAL_FILE})"
    screen.add_argument("--journal", type=Path, default=steering.JOURNAL_FILE, metavar="FILE", help=text)
    screen.add_argument("--control", action="store_true", help="with keys that steer; without it only looks")
    screen.add_argument("--keys", type=Path, metavar="FILE", help="other keys: a TOML file, see `?` there")
    text = "of a replay's journal: where its marks lie"
    screen.add_argument("--tape", type=Path, metavar="TAPE", help=text)


def _chain_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("tapes", type=Path, nargs="+", metavar="TAPE")
    parser.add_argument("--book", type=Path, metavar="BOOK", help="positions to begin with (CSV)")
    parser.add_argument(
        "--flow",
        type=Path,
        metavar="FLOW",
        help="customers' trades (CSV: time,venue,symbol,quantity,price; > 0 the customer bought; empty price "
        "= the mark); without it three kinds of seeded customers",
    )
    parser.add_argument("--seed", type=_count, default=7, metavar="N", help="first seed (default 7)")
    parser.add_argument("--seeds", type=_step, default=4, metavar="N", help="seeds per kind (default 4)")
    parser.add_argument("--underlying", metavar="BTC|ETH", help="one coin alone (default: all on the tapes)")
    parser.add_argument(
        "--perp", type=Path, metavar="FILE", help="hourly bars of the perpetual: ts, open, symbol"
    )
    parser.add_argument(
        "--dvol", type=Path, metavar="FILE", help="hourly DVOL, vol points: ts, dvol, currency"
    )
    parser.add_argument("--picture", type=Path, metavar="FILE", help="write an HTML page with the charts")


def _frontier_arguments(parser: argparse.ArgumentParser) -> None:
    def flag(name: str, kind: Callable[[str], Any], default: Any, metavar: str, text: str) -> None:
        parser.add_argument(name, type=kind, default=default, metavar=metavar, help=text)

    parser.add_argument(
        "--model", choices=("gbm", "heston", "jump"), default="gbm", help="how the price moves (default gbm)"
    )
    flag("--spot", _positive, 100.0, "S", "USD (default 100)")
    flag("--vol", _positive, 0.6, "VOL", "annual vol at the money, 0.6 = 60 %% (default)")
    flag("--days", _positive, 30.0, "N", "to expiry (default 30)")
    flag("--checks-per-day", _step, 48, "N", "moments at which a hedge is possible (default 48)")
    flag("--cost-bps", _costs, (1.0, 5.0, 20.0, 50.0), "A,B,..", "cost of a trade (default 1,5,20,50)")
    flag("--paths", _step, 20_000, "N", "default 20000")
    flag("--seed", _count, 7, "N", "same seed, same result (default 7)")
    flag(
        "--options",
        _legs,
        ((-1.0, 100.0),),
        "short:COINS@STRIKE,long:..",
        "calls in the book, strike in per cent of spot (default short:1@100)",
    )
    flag("--lot", _not_negative, 0.0001, "COINS", "smallest trade of ours_perp and ours_mix (default 0.0001)")
    flag("--fixed-cost-usd", _not_negative, 0.0, "USD", "of every trade, whatever its size (default 0)")
    flag("--listed-strike-pct", _positive, 105.0, "PCT", "the call that ours_mix may trade (default 105)")
    flag("--listed-spread-points", _not_negative, 1.0, "POINTS", "its spread in vol points (default 1)")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="write the charts, .html or .png")


def _venue_verbs(commands: Any, add: Callable[..., argparse.ArgumentParser]) -> None:
    def venue(parser: argparse.ArgumentParser) -> None:
        text = "such as deribit; what the configuration says of it stands in [venues.V]"
        parser.add_argument("--venue", required=True, metavar="V", help=text)

    doctor = add("doctor", venue_verbs.doctor, "whether anything stands against trading; exit 1 if so")
    text = f"the engine's record, whose folder is looked at (default ./{steering.JOURNAL_FILE})"
    doctor.add_argument("--journal", type=Path, default=steering.JOURNAL_FILE, metavar="FILE", help=text)

    book = commands.add_parser("book", help="positions and balances", description="positions and balances")
    books = book.add_subparsers(title="verbs", metavar="VERB", required=True)
    fetch = add("fetch", venue_verbs.book_fetch, "what a venue says that we hold, as a book file", books)
    venue(fetch)
    fetch.add_argument("--out", required=True, type=Path, metavar="BOOK", help="file to create (CSV)")

    record = add("record", venue_verbs.record, "a venue's market to a tape; no keys")
    venue(record)
    record.add_argument("--out", required=True, type=Path, metavar="TAPE", help="folder to create")
    record.add_argument("--minutes", type=_positive, metavar="N", help="end after so many (default: run on)")
    record.add_argument(
        "--underlying", action="append", default=[], metavar="COIN", help="only this one; may be repeated"
    )
    record.add_argument(
        "--every-ms", type=_positive, default=100.0, metavar="MS", help="from batch to batch (default 100)"
    )
    text = "the tape grows, and is sound, after each so many seconds (default 60)"
    record.add_argument("--part-s", type=_positive, default=60.0, metavar="S", help=text)


def _study_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("tapes", type=Path, nargs="+", metavar="TAPE")
    parser.add_argument("--every", type=_step, default=1, metavar="N", help="take every N-th snapshot")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="write an HTML page with the charts")


def _market_arguments(parser: argparse.ArgumentParser, *, book_required: bool = True) -> None:
    parser.add_argument(
        "--book", required=book_required, type=Path, metavar="BOOK", help="positions and balances (CSV)"
    )
    parser.add_argument("--market", required=True, type=Path, metavar="TAPE", help="tape folder")
    parser.add_argument(
        "--at", metavar="TIME", help="last batch not after this time (ISO 8601 UTC or nanoseconds)"
    )
    parser.add_argument("--numeraire", choices=("USD", "coin"), help="overrides the configuration")


def _positive(text: str) -> float:
    return _bounded(text, lambda x: x > 0, "above 0")


def _not_negative(text: str) -> float:
    return _bounded(text, lambda x: x >= 0, "at least 0")


def _bounded(text: str, good: Callable[[float], bool], words: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not (good(value) and value < 1e15):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number {words}")
    return value


def _factor(text: str) -> float:
    return _bounded(text, lambda x: 1 <= x <= 1e6, "from 1 to a million")


def _axis(low: float, reached: bool) -> Callable[[str], tuple[float, ...]]:
    """What reads up to 50 different numbers above `low` (from it on where `reached`), and puts them in order.

    >>> _axis(-100.0, False)("5,-20,0")
    (-20.0, 0.0, 5.0)
    """

    def read(text: str) -> tuple[float, ...]:
        try:
            found = sorted(float(part) for part in text.split(","))
        except ValueError:
            found = []
        good = all((low <= x if reached else low < x) and x <= 1e4 for x in found)
        if not (1 <= len(found) <= 50 and len(set(found)) == len(found) and good):
            words = "from" if reached else "above"
            raise argparse.ArgumentTypeError(
                f"{text!r} is not up to 50 different numbers {words} {low:g} to 10000 between commas"
            )
        return tuple(found)

    return read


def _costs(text: str) -> tuple[float, ...]:
    """Basis points.

    >>> _costs("1,5,20")
    (1.0, 5.0, 20.0)
    """
    try:
        costs = tuple(float(part) for part in text.split(","))
    except ValueError:
        costs = ()
    if not 1 <= len(set(costs)) == len(costs) <= 10 or not all(0 <= bps <= 1000 for bps in costs):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not up to ten different costs from 0 to 1000 basis points, such as 1,5,20,50"
        )
    return costs


def _legs(text: str) -> tuple[tuple[float, float], ...]:
    """Signed coins and strike in per cent of spot.

    >>> _legs("short:1@100,long:0.8@105")
    ((-1.0, 100.0), (0.8, 105.0))
    """
    legs = []
    for part in text.split(","):
        side, _, rest = part.strip().partition(":")
        size, _, strike = rest.partition("@")
        try:
            coins, per_cent = float(size), float(strike)
        except ValueError:
            coins = per_cent = float("nan")
        if side not in ("short", "long") or not (1e-6 <= coins <= 1e6 and 1 <= per_cent <= 10_000):
            raise argparse.ArgumentTypeError(
                f"{part!r} is not SIDE:COINS@STRIKE, such as short:1@100: side short or long, coins "
                "from 1e-6 to 1e6, strike in per cent of spot from 1 to 10000"
            )
        legs.append((-coins if side == "short" else coins, per_cent))
    return tuple(legs)


def _step(text: str) -> int:
    return _whole(text, 1)


def _count(text: str) -> int:
    return _whole(text, 0)


def _whole(text: str, least: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 18 and int(text) >= least):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least {least}")
    return int(text)
