"""The command line: every verb, each with --json. Nothing heavy is imported before a verb needs it."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pricing.errors import Exit, HedgerError, InputError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from hedger.planning import Snapshot
    from hedger.settings import Settings

Verb = Callable[[argparse.Namespace], Exit]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; returns its exit code. Errors a person can mend are one line on stderr, never a traceback."""
    parser = build_parser()
    arguments = parser.parse_args(argv)
    verb: Verb | None = getattr(arguments, "verb", None)
    if verb is None:
        parser.print_help()
        return int(Exit.INVALID)
    try:
        return int(verb(arguments))
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


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--config", type=Path, metavar="FILE", help="settings (default ./config.toml, else built-in)"
    )
    common.add_argument("--json", action="store_true", help="print one JSON document and nothing else")
    common.add_argument("--debug", action="store_true", help="show the traceback of an error")
    parser = argparse.ArgumentParser(
        prog="hedger",
        description="The cheapest mix of spot, perpetual, future and option trades that brings an options "
        "book back inside its bands.",
    )
    parser.set_defaults(debug=False)
    verbs = parser.add_subparsers(title="verbs", metavar="VERB")

    def add(name: str, verb: Verb, text: str, parent: Any = verbs) -> argparse.ArgumentParser:
        made: argparse.ArgumentParser = parent.add_parser(name, parents=[common], help=text, description=text)
        made.set_defaults(verb=verb)
        return made

    demo = add("demo", run_demo, "the whole loop on a simulated market: no keys, no internet")
    demo.add_argument("--headless", action="store_true", help="plain text, no escape codes")
    demo.add_argument(
        "--minutes", type=_positive, default=30.0, metavar="N", help="market minutes (default 30)"
    )
    demo.add_argument(
        "--seed", type=_count, default=7, metavar="N", help="same seed, same result (default 7)"
    )

    risk = add("risk", run_risk, "exposures of a book, and what is missing or stale")
    _market_arguments(risk)
    risk.add_argument("--check-venue", action="store_true", help="compare our Greeks with the venue's")

    plan = add("plan", run_plan, "the hedge ticket; nothing is sent")
    _market_arguments(plan)
    plan.add_argument(
        "--band", action="append", default=[], metavar="ROW=LO,HI/LO,HI",
        help="trigger and landing of a row for a trial, in the row's unit; an empty number is an open side",
    )  # fmt: skip

    tape = verbs.add_parser("tape", help="recorded market data", description="recorded market data")
    tapes = tape.add_subparsers(title="verbs", metavar="VERB", required=True)
    importer = add("import", run_tape_import, "make a tape from recorded market data", tapes)
    importer.add_argument("source", nargs="+", type=Path, metavar="SOURCE", help="source file(s)")
    importer.add_argument("--format", required=True, choices=("deribit-chain", "deribit-tickers"))
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
    for name, verb, text in (
        ("info", run_tape_info, "what a tape holds"),
        ("verify", run_tape_verify, "check a tape's hashes, order and numbers"),
    ):
        add(name, verb, text, tapes).add_argument("tape", type=Path, metavar="TAPE")
    simulate = add("simulate", run_tape_simulate, "make a tape from the simulated market", tapes)
    simulate.add_argument("--out", required=True, type=Path, metavar="TAPE", help="folder to create")
    simulate.add_argument(
        "--minutes", type=_positive, default=30.0, metavar="N", help="market minutes (default 30)"
    )
    simulate.add_argument("--seed", type=_count, default=7, metavar="N")

    config = verbs.add_parser("config", help="the settings", description="the settings")
    configs = config.add_subparsers(title="verbs", metavar="VERB", required=True)
    add("show", run_config_show, "the merged settings with the origin of each value", configs)
    add("validate", run_config_validate, "check the settings", configs)
    add("schema", run_config_schema, "JSON Schema of config.toml", configs)

    study = verbs.add_parser(
        "study", help="measured results on recorded data", description="measured results"
    )
    studies = study.add_subparsers(title="verbs", metavar="VERB", required=True)
    plans = add(
        "plans", run_study_plans, "plan a seeded market maker's book at every snapshot of a tape", studies
    )
    plans.add_argument("tape", type=Path, metavar="TAPE")
    plans.add_argument(
        "--positions", type=_count, default=40, metavar="N", help="options per underlying (default 40)"
    )
    plans.add_argument("--seed", type=_count, default=7, metavar="N")
    plans.add_argument("--every", type=_count, default=1, metavar="N", help="take every N-th snapshot")
    return parser


def _market_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--book", required=True, type=Path, metavar="BOOK", help="positions and balances (CSV)"
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


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 0")
    return int(text)


def _print_json(document: object) -> None:
    print(json.dumps(document, allow_nan=False))


def _print(view: RenderableType) -> None:
    from rich.console import Console

    # Without a terminal Rich falls back to 80 columns, which cuts symbols short.
    Console(width=None if sys.stdout.isatty() else 140, highlight=False).print(view)


def _settings(arguments: argparse.Namespace) -> Settings:
    from hedger.config import load

    numeraire = getattr(arguments, "numeraire", None)
    return load(arguments.config, {"numeraire": numeraire} if numeraire else None).settings


class Stages:
    """Milliseconds per stage, by name."""

    def __init__(self) -> None:
        self.last = time.perf_counter()
        self.ms: dict[str, float] = {}

    def lap(self, stage: str) -> None:
        """Note the time since the last stage."""
        now = time.perf_counter()
        self.ms[stage] = (now - self.last) * 1e3
        self.last = now


def _snapshot(arguments: argparse.Namespace, settings: Settings, stages: Stages) -> Snapshot:
    """The book of --book in the market of --market."""
    from hedger.inputs import parse_time, read_book
    from hedger.planning import take_snapshot
    from risk.exposures import row_names
    from venues.tape import Tape

    tape = Tape.open(arguments.market)
    market = tape.market_at(parse_time(arguments.at) if arguments.at else None)
    universe = settings.with_fees(market.universe)
    if universe is not market.universe:
        from dataclasses import replace

        market = replace(market, universe=universe)
    stages.lap("read_market")
    book = read_book(arguments.book, universe, market.now_ns)
    stages.lap("read_book")
    rows = row_names(universe.underlyings)
    bands = dict(parse_band(text, rows) for text in getattr(arguments, "band", []))
    snapshot = take_snapshot(book, market, settings, bands)
    stages.lap("value_and_expose")
    return snapshot


def parse_band(text: str, rows: Sequence[str]) -> tuple[str, tuple[tuple[float, float], tuple[float, float]]]:
    """`ROW=LO,HI/LO,HI`: trigger and landing of a row, an empty number being an open side.

    >>> parse_band("delta:BTC=-1,1/-0.5,", ["delta:BTC"])
    ('delta:BTC', ((-1.0, 1.0), (-0.5, inf)))
    """
    name, _, intervals = text.partition("=")
    try:
        trigger, landing = (_band_side(part) for part in intervals.split("/"))
    except ValueError:
        raise InputError(
            "BAND_SYNTAX", "not a band", where="--band", observed=text, allowed="ROW=LO,HI/LO,HI, trigger then landing",
            fix="for example --band delta:BTC=-1.5,1.5/-0.7,0.7",
        ) from None  # fmt: skip
    if name not in rows:
        raise InputError("BAND_ROW", "no such row", where="--band", observed=name, allowed=", ".join(rows))
    return name, (trigger, landing)


def _band_side(text: str) -> tuple[float, float]:
    low, high = text.split(",")
    interval = (float(low) if low.strip() else float("-inf"), float(high) if high.strip() else float("inf"))
    if interval[0] != interval[0] or interval[1] != interval[1] or interval[0] > interval[1]:
        raise ValueError(text)
    return interval


def run_risk(arguments: argparse.Namespace) -> Exit:
    """Exposures of a book."""
    from hedger.ticket import risk_document, risk_view

    settings = _settings(arguments)
    snapshot = _snapshot(arguments, settings, Stages())
    check = None
    if arguments.check_venue:
        from hedger.check_venue import check_document, check_view

        check = check_document(arguments.market, snapshot)
    if arguments.json:
        _print_json(risk_document(snapshot) | ({"venue_check": check} if check is not None else {}))
    else:
        _print(risk_view(snapshot))
        if check is not None:
            _print(check_view(check))
    return Exit.DONE


def run_plan(arguments: argparse.Namespace) -> Exit:
    """The hedge ticket."""
    from hedger.planning import PlanStatus, make_plan
    from hedger.ticket import plan_document, ticket_view

    settings = _settings(arguments)
    stages = Stages()
    snapshot = _snapshot(arguments, settings, stages)
    plan = make_plan(snapshot, settings, stages.lap)
    if arguments.json:
        _print_json(plan_document(plan, stages.ms))
    else:
        _print(ticket_view(plan))
    return Exit.REFUSED if plan.status is PlanStatus.BLOCKED else Exit.DONE


def run_tape_import(arguments: argparse.Namespace) -> Exit:
    """Make a tape from recorded market data."""
    from venues.import_options import ImportOptions, parse_size_at_touch
    from venues.tape_import import import_tape

    sizes = parse_size_at_touch(arguments.size_at_touch) if arguments.size_at_touch is not None else {}
    options = ImportOptions(
        size_at_touch=sizes,
        perp_spread_bps=arguments.perp_spread_bps,
        perp_size_usd=arguments.perp_size_usd,
        future_spread_bps=arguments.future_spread_bps,
        future_size_usd=arguments.future_size_usd,
        spot_spread_bps=arguments.spot_spread_bps,
        perp_file=arguments.perp,
    )
    import_tape(arguments.source, arguments.format, arguments.out, options)
    return _show_tape(arguments, arguments.out)


def run_tape_info(arguments: argparse.Namespace) -> Exit:
    """What a tape holds."""
    return _show_tape(arguments, arguments.tape)


def _show_tape(arguments: argparse.Namespace, path: Path) -> Exit:
    from venues.tape import info

    document = info(path)
    if arguments.json:
        _print_json(document)
    else:
        for key, value in document.items():
            print(f"{key}: {value if isinstance(value, str | int | float) else json.dumps(value)}")
    return Exit.DONE


def run_tape_verify(arguments: argparse.Namespace) -> Exit:
    """Check a tape."""
    from venues.tape import verify

    problems = verify(arguments.tape)
    if arguments.json:
        _print_json({"tape": str(arguments.tape), "sound": not problems, "problems": problems})
    else:
        print("\n".join(problems) if problems else f"{arguments.tape}: sound")
    return Exit.NEGATIVE if problems else Exit.DONE


def run_config_show(arguments: argparse.Namespace) -> Exit:
    """The merged settings with the origin of each value."""
    from hedger.config import load, origins

    rows = origins(load(arguments.config))
    if arguments.json:
        _print_json([{"key": key, "value": value, "origin": origin} for key, value, origin in rows])
    else:
        for key, value, origin in rows:
            print(f"{key} = {json.dumps(value)}    # {origin}")
    return Exit.DONE


def run_config_validate(arguments: argparse.Namespace) -> Exit:
    """Check the settings: exit 0 when valid, 1 with the fault on stdout when not, 2 when there is no file to read."""
    from hedger.config import load

    fault: HedgerError | None = None
    try:
        load(arguments.config)
    except InputError as error:
        if error.code == "CONFIG_UNREADABLE":
            raise
        fault = error
    if arguments.json:
        _print_json({"valid": fault is None, "fault": str(fault) if fault else None})
    else:
        print(fault or "valid")
    return Exit.NEGATIVE if fault else Exit.DONE


def run_config_schema(arguments: argparse.Namespace) -> Exit:
    """JSON Schema of config.toml."""
    from hedger.settings import Settings

    print(json.dumps(Settings.model_json_schema(), indent=None if arguments.json else 2))
    return Exit.DONE


def run_demo(arguments: argparse.Namespace) -> Exit:
    """The whole loop on a simulated market."""
    from hedger import demo
    from hedger.planning import Snapshot
    from hedger.ticket import plain, risk_view, ticket_view

    settings = _settings(arguments)
    quiet = arguments.json

    def on_start(snapshot: Snapshot) -> None:
        if not quiet:
            print(f"A market maker's book on a simulated market, seed {arguments.seed}: no keys, no internet.")
            _print(risk_view(snapshot))

    def on_hedge(hedge: demo.Hedge) -> None:
        if not quiet:
            _print(ticket_view(hedge.plan))
            for fill in hedge.fills:
                listing = fill.listing
                print(
                    f"  filled: {demo.side_word(fill.side)} {plain(fill.quantity)} {listing.unit} {listing.symbol} "
                    f"at {plain(fill.price)}, fee {float(fill.fee):.6g} {fill.fee_currency}"
                )
            print(f"  verification: {'passed' if hedge.verified else 'FAILED'}, {hedge.worst_difference}\n")

    document = demo.run(
        arguments.seed,
        arguments.minutes,
        settings,
        on_hedge=on_hedge,
        on_mark=lambda minute: demo.bar(minute / arguments.minutes),
        on_start=on_start,
    )
    if sys.stderr.isatty():
        print(file=sys.stderr)
    if quiet:
        _print_json(document)
    else:
        print(demo.summary_text(document))
    return Exit.DONE


def run_tape_simulate(arguments: argparse.Namespace) -> Exit:
    """Make a tape from the simulated market."""
    from venues.simulated import SimulatedMarket, tape_frames
    from venues.tape_files import refuse_existing, write

    refuse_existing(arguments.out)
    seconds = 60.0
    market = SimulatedMarket(arguments.seed)
    listings, quotes, depth = tape_frames(market, max(round(arguments.minutes), 1), seconds)
    meta = {
        "source": [{"name": "simulated", "seed": arguments.seed}],
        "options": {"minutes": arguments.minutes, "seed": arguments.seed, "step_s": seconds},
        "notes": ["simulated market: no venue, no recording"],
    }
    write(arguments.out, listings, quotes, depth, None, meta)
    return _show_tape(arguments, arguments.out)


def run_study_plans(arguments: argparse.Namespace) -> Exit:
    """Plan a seeded market maker's book at every snapshot of a tape."""
    from hedger import study
    from venues.tape import Tape

    settings = _settings(arguments)
    tape = Tape.open(arguments.tape)

    def on_record(record: study.PlanRecord) -> None:
        print(
            f"{record.as_of} {record.status}: {record.legs} legs, {record.cost_usd:,.0f} USD, gap {record.gap:.2%}, "
            f"runner-up {record.runner_up_usd if record.runner_up_usd is None else round(record.runner_up_usd)}, "
            f"{record.value_ms + record.plan_ms:.0f} ms",
            file=sys.stderr,
        )

    every = max(arguments.every, 1)
    records = study.plan_snapshots(tape, settings, arguments.seed, arguments.positions, every, on_record)
    result = study.document(records, arguments.seed)
    if arguments.json:
        _print_json(result)
    else:
        print(study.text(result))
    return Exit.DONE
