"""`hedger study plans | surface | delta | greeks | frontier | chain`: measured results on recorded or
simulated data. Heavy imports stand inside the verb that needs them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hedger.verbs.flags import Commands, costs, count, legs, not_negative, positive, step
from hedger.verbs.printing import show, show_json, show_table
from hedger.verbs.reading import settings_of
from pricing.errors import Exit

if TYPE_CHECKING:
    from pricing.market import Market
    from pricing.surface import Surface


def declare(commands: Commands) -> None:
    """The words of `study`."""
    studies = commands.group("study", "measured results on recorded data")
    words = studies.add("plans", study_plans, "plan a seeded market maker's book at every snapshot of a tape")
    words.add_argument("tape", type=Path, metavar="TAPE")
    words.add_argument(
        "--positions", type=count, default=40, metavar="N", help="options per underlying (default 40)"
    )
    words.add_argument("--seed", type=count, default=7, metavar="N")
    _add_every(words)
    for name, verb, text in (
        ("surface", study_surface, "fit the vol surface at every snapshot, against the venue's marks"),
        ("delta", study_delta, "compare the delta rules by what they leave unhedged"),
        ("greeks", study_greeks, "compare our Greeks with those the venues published"),
    ):
        words = studies.add(name, verb, text)
        words.add_argument("tapes", type=Path, nargs="+", metavar="TAPE")
        _add_every(words)
        _add_page(words)
    text = "hedging policies on simulated paths: cost against risk"
    _add_frontier(studies.add("frontier", study_frontier, text))
    text = "hedging policies on recorded chains: a market maker's flow carried to settlement"
    _add_chain(studies.add("chain", study_chain, text))


def _add_every(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--every", type=step, default=1, metavar="N", help="take every N-th snapshot")


def _add_page(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--picture", type=Path, metavar="FILE", help="write an HTML page with the charts")


def _add_frontier(parser: argparse.ArgumentParser) -> None:
    def flag(name: str, kind: Callable[[str], Any], default: Any, metavar: str, text: str) -> None:
        parser.add_argument(name, type=kind, default=default, metavar=metavar, help=text)

    parser.add_argument(
        "--model", choices=("gbm", "heston", "jump"), default="gbm", help="how the price moves (default gbm)"
    )
    flag("--spot", positive, 100.0, "S", "USD (default 100)")
    flag("--vol", positive, 0.6, "VOL", "annual vol at the money, 0.6 = 60 %% (default)")
    flag("--days", positive, 30.0, "N", "to expiry (default 30)")
    flag("--checks-per-day", step, 48, "N", "moments at which a hedge is possible (default 48)")
    flag("--cost-bps", costs, (1.0, 5.0, 20.0, 50.0), "A,B,..", "cost of a trade (default 1,5,20,50)")
    flag("--paths", step, 20_000, "N", "default 20000")
    flag("--seed", count, 7, "N", "same seed, same result (default 7)")
    flag(
        "--options",
        legs,
        ((-1.0, 100.0),),
        "short:COINS@STRIKE,long:..",
        "calls in the book, strike in per cent of spot (default short:1@100)",
    )
    flag("--lot", not_negative, 0.0001, "COINS", "smallest trade of ours_perp and ours_mix (default 0.0001)")
    flag("--fixed-cost-usd", not_negative, 0.0, "USD", "of every trade, whatever its size (default 0)")
    flag("--listed-strike-pct", positive, 105.0, "PCT", "the call that ours_mix may trade (default 105)")
    flag("--listed-spread-points", not_negative, 1.0, "POINTS", "its spread in vol points (default 1)")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="write the charts, .html or .png")


def _add_chain(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("tapes", type=Path, nargs="+", metavar="TAPE")
    parser.add_argument("--book", type=Path, metavar="BOOK", help="positions to begin with (CSV)")
    parser.add_argument(
        "--flow",
        type=Path,
        metavar="FLOW",
        help="customers' trades (CSV: time,venue,symbol,quantity,price; > 0 the customer bought; empty price "
        "= the mark); without it three kinds of seeded customers",
    )
    parser.add_argument("--seed", type=count, default=7, metavar="N", help="first seed (default 7)")
    parser.add_argument("--seeds", type=step, default=4, metavar="N", help="seeds per kind (default 4)")
    parser.add_argument("--underlying", metavar="BTC|ETH", help="one coin alone (default: all on the tapes)")
    parser.add_argument(
        "--perp", type=Path, metavar="FILE", help="hourly bars of the perpetual: ts, open, symbol"
    )
    parser.add_argument(
        "--dvol", type=Path, metavar="FILE", help="hourly DVOL, vol points: ts, dvol, currency"
    )
    _add_page(parser)


def study_plans(arguments: argparse.Namespace) -> Exit:
    """Plan a seeded market maker's book at every snapshot of a tape."""
    from hedger.studies import plans as study
    from venues.tape import Tape

    settings = settings_of(arguments)
    tape = Tape.open(arguments.tape)

    def on_record(record: study.PlanRecord) -> None:
        runner_up = record.runner_up_usd
        print(
            f"{record.as_of} {record.status}: {record.legs} legs, {record.cost_usd:z,.0f} USD, "
            f"gap {record.gap:z.2%}, runner-up {'none' if runner_up is None else f'{runner_up:z,.0f}'}, "
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
        show_table(columns, rows, f"Unit: {result['unit']}")
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
        show_table(columns, rows, f"{result['measure']}; interval: {result['interval']}")
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
        show_table(columns, lines, result["measure"])
        show_table(*reasons, f"flagged: beyond the tolerance, {result['tolerance']}")
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
        show_table(*study.table(result), study.caption(result))
        show_table(*study.equal_cost_table(result), study.EQUAL_COST)
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
        show_table(columns, rows, result["unit"])
        show_table(*equal, study.EQUAL)
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
