"""What each verb does: read, call the pure half, print. Heavy imports stand inside the verb that needs it."""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pricing.errors import Exit, HedgerError, InputError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from hedger.problem.snapshot import Snapshot
    from hedger.problem.valuing import DeltaHistory
    from hedger.settings import Settings
    from pricing.market import Market
    from pricing.oracle import GoodIndex
    from pricing.surface import Surface
    from risk.band_schedule import PriceHistory
    from risk.factor_history import FactorHistory
    from venues.paper_report import PaperReport
    from venues.tape import Tape


#: A band that ends beyond this is open; leave the number out.
END_MAX = 1e15

#: How far back the indexes are followed, against whose last good value the present one may have jumped.
LOOK_BACK_S = 3600
LOOK_BACK_MAX = 60

#: What the ticket needs to show every figure whole.
VIEW_COLUMNS_MIN = 80


def show_json(document: object) -> None:
    print(json.dumps(document, allow_nan=False))


def show(view: RenderableType, *, plain: bool = False) -> None:
    """Show a view as wide as the terminal, 80 columns without one; `plain`: no escape codes even on a
    terminal."""
    from rich.console import Console

    terminal = sys.stdout.isatty() and not plain
    console = Console(force_terminal=terminal, color_system="auto" if terminal else None, highlight=False)
    # A narrower table would cut figures short, and a price cut short is another price: lines wrap instead.
    console.width = max(console.width, VIEW_COLUMNS_MIN)
    console.print(view)


def settings_of(arguments: argparse.Namespace) -> Settings:
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


def snapshot_at(
    tape: Tape, arguments: argparse.Namespace, settings: Settings, stages: Stages
) -> tuple[Snapshot, Mapping[str, PriceHistory]]:
    """The book of --book in the market of the tape, and the indexes before it."""
    from hedger.inputs import parse_time, read_book
    from hedger.problem.snapshot import take_snapshot
    from hedger.problem.valuing import valuation_rules
    from risk.exposures import row_names
    from risk.scenarios import scenario_row

    market = tape.market_at(parse_time(arguments.at) if arguments.at is not None else None)
    universe = settings.with_fees(market.universe)
    if universe is not market.universe:
        from dataclasses import replace

        market = replace(market, universe=universe)
    stages.lap("read_market")
    book = read_book(arguments.book, universe, market.now_ns)
    stages.lap("read_book")
    names = [scenario.name for scenario in settings.scenarios]
    shocked = tuple(scenario_row(u, name) for u in universe.underlyings for name in names)
    rows = row_names(universe.underlyings) + shocked
    trials = [parse_band(text, rows) for text in getattr(arguments, "band", [])]
    bands = dict(trials)
    if len(bands) < len(trials):
        names = [name for name, _ in trials]
        raise InputError(
            "BAND_TWICE",
            "a row's band is given twice",
            where="--band",
            observed=next(name for name in names if names.count(name) > 1),
            allowed="each row once",
            not_done="nothing was planned",
            fix="leave one of them",
        )
    history = _index_history(tape, market.now_ns, settings)
    rules = valuation_rules(market, settings, _delta_history(tape, market.now_ns, settings))
    snapshot = take_snapshot(
        book,
        market,
        settings,
        bands,
        rules=rules,
        last_good=_last_good(tape, market, settings),
        history=history,
    )
    stages.lap("value_and_expose")
    return snapshot, history


def _last_good(tape: Tape, market: Market, settings: Settings) -> dict[str, GoodIndex]:
    """Each underlying's last index that was not bad, from the batches before the market's.

    They are judged in order, each against what was good before it, so that a jump stays bad until something
    confirms it: the batches of the last hour (at most 60, evenly spread) and the one before those.
    """
    import numpy as np

    from pricing.oracle import read_index, remember

    before = np.unique(tape.batches.now_ns[tape.batches.now_ns < market.now_ns])
    recent = before[before >= market.now_ns - LOOK_BACK_S * 1_000_000_000]
    picked = recent[np.unique(np.linspace(0, recent.size - 1, min(recent.size, LOOK_BACK_MAX)).astype(int))]
    found: dict[str, GoodIndex] = {}
    for now_ns in [*before[before.size - recent.size - 1 :][: before.size > recent.size], *picked]:
        readings = read_index(tape.market_at(int(now_ns)), settings.oracle_settings(), found)
        found = remember(found, readings, int(now_ns))
    return found


def _index_history(tape: Tape, now_ns: int, settings: Settings) -> Mapping[str, PriceHistory]:
    """The indexes before now that bands and triggers ask for; nothing where none looks back."""
    from hedger.problem.live_bands import index_history
    from risk.band_schedule import NO_HISTORY

    hours = settings.look_back_h()
    return index_history(tape.marks(), tape.universe, now_ns, hours) if hours else NO_HISTORY


def _delta_history(tape: Tape, now_ns: int, settings: Settings) -> DeltaHistory | None:
    """What the minimum-variance delta learns from the tape up to now; None for the other rules."""
    from hedger.problem.valuing import DeltaHistory, learn
    from pricing.delta_rules import DeltaRule
    from pricing.market import Market

    if settings.delta_rule is not DeltaRule.MINIMUM_VARIANCE:
        return None
    oldest = now_ns - round(settings.minimum_variance.window_days * 86_400e9)
    history, market = DeltaHistory(), Market.empty(settings.with_fees(tape.universe))
    for marks in tape.marks():
        if marks.now_ns > now_ns:
            break
        market = market.apply(marks)
        if marks.now_ns > oldest:
            history = learn(history, market, settings)
    return history


def factors_before(tape: Tape, snapshot: Snapshot, settings: Settings) -> FactorHistory | None:
    """Where the risk factors of the book's underlyings stood before now; None where nothing asks for them."""
    from hedger.problem.risk_term import remember
    from pricing.market import Market
    from risk.factor_history import FactorHistory

    now_ns = snapshot.market.now_ns
    if not settings.objective.looks_back:
        return None
    term = settings.risk_term
    oldest = now_ns - round((term.window_days + 2.0 * term.step_h / 24.0) * 86_400e9)
    history, market = FactorHistory(snapshot.underlyings), Market.empty(snapshot.market.universe)
    for marks in tape.marks():
        if marks.now_ns >= now_ns:
            break
        market = market.apply(marks)
        if marks.now_ns > oldest:
            history = remember(history, market, settings)
    return history


def parse_band(text: str, rows: Sequence[str]) -> tuple[str, tuple[tuple[float, float], tuple[float, float]]]:
    """`ROW=LO,HI/LO,HI`: trigger and landing of a row, an empty number being an open side.

    >>> parse_band("delta:BTC=-1,1/-0.5,", ["delta:BTC"])
    ('delta:BTC', ((-1.0, 1.0), (-0.5, inf)))
    """
    name, _, intervals = text.partition("=")
    try:
        trigger, landing = (_interval(part) for part in intervals.split("/"))
    except ValueError:
        raise InputError(
            "BAND_SYNTAX",
            "not a band",
            where="--band",
            observed=repr(text),
            allowed="ROW=LO,HI/LO,HI, trigger then landing, an empty number being an open side",
            not_done="nothing was planned",
            fix="for example --band delta:BTC=-1.5,1.5/-0.7,0.7",
        ) from None
    if name not in rows:
        raise InputError(
            "BAND_ROW",
            "no such row",
            where="--band",
            observed=repr(name),
            allowed=", ".join(rows),
            not_done="nothing was planned",
            fix="name a row as `hedger risk --json` does",
        )
    return name, (trigger, landing)


def _interval(text: str) -> tuple[float, float]:
    low, high = (part.strip() for part in text.split(","))
    interval = (_end(low) if low else -math.inf, _end(high) if high else math.inf)
    if interval[0] > interval[1]:
        raise ValueError(text)
    return interval


def _end(text: str) -> float:
    """A finite number; neither `nan`, `1_000` and digits of other scripts, nor 1e999, which would open the
    side."""
    number = float(text) if text.isascii() and "_" not in text else math.nan
    if not abs(number) <= END_MAX:
        raise ValueError(text)
    return number


def risk(arguments: argparse.Namespace) -> Exit:
    """Exposures of a book."""
    from hedger.documents import risk_document
    from hedger.studies.venue_report import check_document, check_view
    from hedger.ticket import risk_view
    from venues.tape import Tape

    settings = settings_of(arguments)
    tape = Tape.open(arguments.market)
    if arguments.book is None:
        return _check_alone(tape, arguments)
    snapshot, _ = snapshot_at(tape, arguments, settings, Stages())
    check = (
        check_document(tape, snapshot.market.now_ns, snapshot.market.universe)
        if arguments.check_venue
        else None
    )
    if arguments.json:
        show_json(risk_document(snapshot) | ({"venue_check": check} if check is not None else {}))
    else:
        show(risk_view(snapshot))
        if check is not None:
            show(check_view(check))
    return Exit.DONE


def _check_alone(tape: Tape, arguments: argparse.Namespace) -> Exit:
    """`risk --check-venue` without a book: the comparison alone."""
    from hedger.inputs import parse_time
    from hedger.studies.venue_report import check_document, check_view
    from pricing.daycount import iso

    if not arguments.check_venue:
        raise InputError(
            "BOOK_NOT_GIVEN",
            "no book is named",
            where="--book",
            allowed="a CSV of positions and balances; it may be left out with --check-venue alone",
            not_done="nothing was read",
            fix="add --book BOOK",
        )
    now_ns = tape.market_at(parse_time(arguments.at) if arguments.at is not None else None).now_ns
    check = check_document(tape, now_ns, tape.universe)
    if arguments.json:
        show_json({"as_of": iso(now_ns), "venue_check": check})
    else:
        show(check_view(check))
    return Exit.DONE


def plan(arguments: argparse.Namespace) -> Exit:
    """The hedge ticket."""
    from hedger.documents import plan_document
    from hedger.planning import PlanStatus, make_plan, read_beside
    from hedger.ticket import ticket_view
    from venues.tape import Tape

    settings = settings_of(arguments)
    stages = Stages()
    tape = Tape.open(arguments.market)
    snapshot, history = snapshot_at(tape, arguments, settings, stages)
    factors = factors_before(tape, snapshot, settings)
    stages.lap("factor_history")
    plan = make_plan(snapshot, settings, stages.lap, settings.policy.memory(), history, factors=factors)
    read_beside(plan, stages.lap)
    if arguments.json:
        show_json(plan_document(plan, stages.ms))
    else:
        show(ticket_view(plan))
    return Exit.REFUSED if plan.status is PlanStatus.BLOCKED else Exit.DONE


def tape_import(arguments: argparse.Namespace) -> Exit:
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
        every_ms=arguments.every_ms,
        levels=arguments.levels,
        index_from_spot=arguments.index_from_spot,
    )
    import_tape(arguments.source, arguments.format, arguments.out, options)
    return _show_tape(arguments, arguments.out)


def tape_info(arguments: argparse.Namespace) -> Exit:
    """What a tape holds."""
    return _show_tape(arguments, arguments.tape)


def _show_tape(arguments: argparse.Namespace, path: Path) -> Exit:
    from venues.tape import info

    document = info(path)
    if arguments.json:
        show_json(document)
    else:
        for key, value in document.items():
            print(f"{key}: {value if isinstance(value, str | int | float) else json.dumps(value)}")
    return Exit.DONE


def tape_verify(arguments: argparse.Namespace) -> Exit:
    """Check a tape."""
    from venues.tape import verify

    problems = verify(arguments.tape)
    if arguments.json:
        show_json({"tape": str(arguments.tape), "sound": not problems, "problems": problems})
    else:
        print("\n".join(problems) if problems else f"{arguments.tape}: sound")
    return Exit.NEGATIVE if problems else Exit.DONE


def config_show(arguments: argparse.Namespace) -> Exit:
    """The merged settings with the origin of each value."""
    from hedger.config import load, origins

    rows = origins(load(arguments.config))
    if arguments.json:
        show_json([{"key": key, "value": value, "origin": origin} for key, value, origin in rows])
    else:
        for key, value, origin in rows:
            print(f"{key} = {json.dumps(value)}    # {origin}")
    return Exit.DONE


def config_validate(arguments: argparse.Namespace) -> Exit:
    """Check the settings: 0 when valid, 1 with the fault on stdout when not, 2 without a file."""
    from hedger.config import load

    fault: HedgerError | None = None
    try:
        load(arguments.config)
    except InputError as error:
        if error.code == "CONFIG_UNREADABLE":
            raise
        fault = error
    if arguments.json:
        show_json({"valid": fault is None, "fault": str(fault) if fault else None})
    else:
        print(fault or "valid")
    return Exit.NEGATIVE if fault else Exit.DONE


def config_schema(arguments: argparse.Namespace) -> Exit:
    """JSON Schema of config.toml."""
    from hedger.settings import Settings

    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Settings.model_json_schema()}
    print(json.dumps(schema, allow_nan=False, indent=None if arguments.json else 2))
    return Exit.DONE


def demo(arguments: argparse.Namespace) -> Exit:
    """The whole loop on a simulated market."""
    from hedger.documents import plain
    from hedger.runs import demo
    from hedger.ticket import risk_view, ticket_view

    settings = settings_of(arguments)
    quiet = arguments.json

    def on_start(snapshot: Snapshot) -> None:
        if not quiet:
            print(
                f"A market maker's book on a simulated market, seed {arguments.seed}: no keys, no internet."
            )
            show(risk_view(snapshot), plain=True)

    def on_hedge(hedge: demo.Hedge) -> None:
        if not quiet:
            demo.clear_bar()
            show(ticket_view(hedge.plan), plain=True)
            for fill in hedge.fills:
                listing = fill.listing
                print(
                    f"  filled: {demo.side_word(fill.side)} {plain(fill.quantity)} {listing.unit} "
                    f"{listing.symbol} at {plain(fill.price)}, fee {float(fill.fee):.6g} {fill.fee_currency}"
                )
            print(f"  verification: {'passed' if hedge.verified else 'FAILED'}, {hedge.worst_difference}\n")

    def on_close(report: PaperReport) -> None:
        demo.clear_bar()
        if not quiet:
            print(report.text(), end="\n\n")

    document = demo.run(
        arguments.seed,
        arguments.minutes,
        settings,
        on_hedge=on_hedge,
        on_mark=lambda minute: demo.bar(minute / arguments.minutes),
        on_start=on_start,
        on_close=on_close,
    )
    if quiet:
        show_json(document)
    else:
        print(demo.summary_text(document))
    return Exit.DONE if document["verified"] == document["hedges"] else Exit.NEGATIVE


def tape_simulate(arguments: argparse.Namespace) -> Exit:
    """Make a tape from the simulated market."""
    from venues.simulated import SimulatedMarket
    from venues.simulated_tape import tape_frames
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


def study_plans(arguments: argparse.Namespace) -> Exit:
    """Plan a seeded market maker's book at every snapshot of a tape."""
    from hedger.studies import plans as study
    from venues.tape import Tape

    settings = settings_of(arguments)
    tape = Tape.open(arguments.tape)

    def on_record(record: study.PlanRecord) -> None:
        runner_up = record.runner_up_usd
        print(
            f"{record.as_of} {record.status}: {record.legs} legs, {record.cost_usd:,.0f} USD, "
            f"gap {record.gap:.2%}, runner-up {'none' if runner_up is None else f'{runner_up:,.0f}'}, "
            f"{record.value_ms + record.plan_ms:.0f} ms",
            file=sys.stderr,
        )

    records = study.plan_snapshots(
        tape, settings, arguments.seed, arguments.positions, arguments.every, on_record
    )
    result = study.document(records, arguments.seed)
    if arguments.json:
        show_json(result)
    else:
        print(study.text(result))
    return Exit.DONE


def study_surface(arguments: argparse.Namespace) -> Exit:
    """Fit the surface at every snapshot of the tapes and compare it with the venue's mark vols."""
    from hedger.studies import surface as study
    from hedger.studies.picture import check_page, write_page
    from pricing.compiled import warm_up
    from venues.tape import Tape

    settings = settings_of(arguments)
    if arguments.picture is not None:
        check_page(arguments.picture)
    warm_up()
    records: list[study.SurfaceRecord] = []
    worst = None

    def on_worst(market: Market, surface: Surface, record: study.SurfaceRecord) -> None:
        nonlocal worst
        if worst is None or record.p95 >= worst[2].p95:
            worst = (market, surface, record)

    tapes = [Tape.open(path) for path in arguments.tapes]
    for path, tape in zip(arguments.tapes, tapes, strict=True):
        print(f"{path} ...", file=sys.stderr)
        records += study.measure(tape, settings, arguments.every, on_worst=on_worst)
    result = study.document(records)
    columns, rows = study.table(result)
    if arguments.json:
        show_json(result)
    else:
        _print_table(columns, rows, f"Unit: {result['unit']}")
    if arguments.picture is not None:
        title = "The volatility surface against the venue's mark vols"
        write_page(
            arguments.picture, title, f"{len(records)} snapshots, each of one coin. Unit: {result['unit']}.",
            study.figures(result, worst), [("Summary", columns, rows)],
        )  # fmt: skip
    return Exit.DONE


def study_delta(arguments: argparse.Namespace) -> Exit:
    """Hedge every option of the tapes under every delta rule and compare what is left."""
    from hedger.studies import delta as study
    from hedger.studies.picture import check_page, write_page
    from pricing.compiled import warm_up
    from venues.tape import Tape

    settings = settings_of(arguments)
    if arguments.picture is not None:
        check_page(arguments.picture)
    warm_up()
    tapes = [Tape.open(path) for path in arguments.tapes]
    names = iter(arguments.tapes)
    found = list(
        study.trials(tapes, settings, arguments.every, lambda _: print(f"{next(names)} ...", file=sys.stderr))
    )
    result = study.document(found)
    columns, rows = study.table(result)
    if arguments.json:
        show_json(result)
    else:
        _print_table(columns, rows, f"{result['measure']}; interval: {result['interval']}")
        for sentence in result["conclusions"]:
            show(sentence)
    if arguments.picture is not None:
        introduction = f"{result['trials']} intervals on {result['days']} days. {result['measure']}. "
        introduction += " ".join(result["conclusions"])
        tables = [("All deltas together", columns, rows)]
        write_page(arguments.picture, "Which delta hedges best", introduction, study.figures(result), tables)
    return Exit.DONE


def study_greeks(arguments: argparse.Namespace) -> Exit:
    """Hold our Greeks against the venues' at every batch of the tapes."""
    from hedger.studies import greeks as study
    from hedger.studies.picture import check_page, write_page
    from pricing.compiled import warm_up
    from venues.tape import Tape

    if arguments.picture is not None:
        check_page(arguments.picture)
    warm_up()
    rows: list[dict[str, Any]] = []
    tapes = [Tape.open(path) for path in arguments.tapes]
    for path, tape in zip(arguments.tapes, tapes, strict=True):
        print(f"{path} ...", file=sys.stderr)
        rows += study.measure(tape, arguments.every)
    result = study.document(rows)
    columns, lines = study.table(result)
    reasons = study.reasons_table(result)
    if arguments.json:
        show_json(result)
    else:
        _print_table(columns, lines, result["measure"])
        _print_table(*reasons, f"flagged: beyond the tolerance, {result['tolerance']}")
    if arguments.picture is not None:
        tables = [("Differences", columns, lines), ("What is flagged", *reasons)]
        introduction = f"{result['measure']}. Flagged: beyond the tolerance, which is {result['tolerance']}."
        write_page(
            arguments.picture, "Our Greeks against the venues'", introduction, study.figures(result), tables
        )
    return Exit.DONE


def study_frontier(arguments: argparse.Namespace) -> Exit:
    """Hedge simulated paths under every policy and compare cost with risk."""
    from hedger.studies import frontier_report as study

    setup = study.setup(arguments)
    if arguments.picture is not None:
        study.picture_kind(arguments.picture)  # a wrong name is said before the work
    last = 0

    def on_progress(share: float) -> None:
        nonlocal last
        if int(10 * share) > last:
            last = int(10 * share)
            print(f"{10 * last} % of {setup.paths} paths", file=sys.stderr)

    result = study.measure(setup, on_progress)
    if arguments.picture is not None:
        study.write_picture(result, arguments.picture)
    if arguments.json:
        show_json(result)
    else:
        _print_table(*study.table(result), study.caption(result))
        _print_table(*study.equal_cost_table(result), study.EQUAL_COST)
    return Exit.DONE


def study_chain(arguments: argparse.Namespace) -> Exit:
    """Carry a market maker's flow over recorded chains under every policy."""
    from hedger.studies import chain as study
    from hedger.studies.chain_tapes import question_of, walk_tapes
    from hedger.studies.picture import check_page, write_page
    from pricing.compiled import warm_up
    from venues.tape import Tape

    settings = settings_of(arguments)
    if arguments.picture is not None:
        check_page(arguments.picture)
    tapes = [Tape.open(path) for path in arguments.tapes]
    question = question_of(arguments, tapes)
    warm_up()
    coins = walk_tapes(tapes, settings, question, lambda text: print(text, file=sys.stderr))
    result = study.document(coins, question)
    columns, rows = study.table(result)
    equal = study.equal_table(result)
    if arguments.json:
        show_json(result)
    else:
        _print_table(columns, rows, result["unit"])
        _print_table(*equal, study.EQUAL)
        for text in result["assumptions"]:
            show(f"assumed: {text}")
    if arguments.picture is not None:
        introduction = (
            f"{result['paths']} books. {result['unit']}. Assumed: {'; '.join(result['assumptions'])}."
        )
        tables = [("At equal cost", *equal), ("Every policy", columns, rows)]
        title = "Hedging policies on recorded chains"
        write_page(arguments.picture, title, introduction, study.figures(result), tables)
    return Exit.DONE


def _print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], caption: str) -> None:
    from rich.table import Table

    table = Table(caption=caption, caption_justify="left", box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for number, name in enumerate(columns):
        table.add_column(name, justify="right" if number else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    show(table)
