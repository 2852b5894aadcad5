"""`hedger risk` and `plan`: a book in the market of a tape. Heavy imports stand inside the verb that needs
them.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hedger.verbs.flags import Commands, journal_file
from hedger.verbs.printing import say, show, show_json
from hedger.verbs.reading import Stages, factors_before, settings_of, snapshot_at
from pricing.errors import Exit, InputError

if TYPE_CHECKING:
    from hedger.planning import HedgePlan
    from hedger.settings import Settings
    from venues.tape import Tape


def declare(commands: Commands) -> None:
    """The words of `risk` and `plan`."""
    words = commands.add("risk", risk, "exposures of a book, and what is missing or stale")
    _add_market(words, required=False)
    text = "instead: an engine's last state, as the dashboard's first panel has it"
    words.add_argument("--journal", type=journal_file, metavar="FILE", help=text)
    text = "of a replay's journal: where its marks lie"
    words.add_argument("--tape", type=Path, metavar="TAPE", help=text)
    words.add_argument(
        "--check-venue",
        action="store_true",
        help="compare our Greeks with the venue's; without --book that alone",
    )
    words = commands.add("plan", plan, "the hedge ticket; nothing is sent")
    _add_market(words, required=True)
    words.add_argument(
        "--band",
        action="append",
        default=[],
        metavar="ROW=LO,HI/LO,HI",
        help="trigger and landing of a row for a trial, in the row's unit; an empty number is an open side",
    )


def _add_market(parser: argparse.ArgumentParser, *, required: bool) -> None:
    parser.add_argument(
        "--book", required=required, type=Path, metavar="BOOK", help="positions and balances (CSV)"
    )
    parser.add_argument("--market", required=required, type=Path, metavar="TAPE", help="tape folder")
    parser.add_argument(
        "--at", metavar="TIME", help="last batch not after this time (ISO 8601 UTC or nanoseconds)"
    )
    parser.add_argument("--numeraire", choices=("USD", "coin"), help="overrides the configuration")


def risk(arguments: argparse.Namespace) -> Exit:
    """Exposures of a book."""
    from hedger.documents import risk_document
    from hedger.studies.venue_report import check_document, check_view
    from hedger.ticket import risk_view
    from venues.tape import Tape

    settings = settings_of(arguments)
    if _of_journal(arguments):
        return _risk_of_journal(arguments, settings)
    tape = Tape.open(arguments.market)
    if arguments.book is None:
        return _check_alone(tape, arguments)
    snapshot, _ = snapshot_at(tape, arguments.book, arguments.at, settings, Stages())
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


def _of_journal(arguments: argparse.Namespace) -> bool:
    """Whether a journal is asked about, and not a tape.

    Raises:
        InputError: neither is named, or parts of both.
    """
    of_tape = ("market", "book", "at")
    given = [f"--{x}" for x in (*of_tape, "journal", "tape") if getattr(arguments, x) is not None]
    given += ["--check-venue"] * arguments.check_venue
    if "--journal" in given and set(given) <= {"--journal", "--tape"}:
        return True
    if "--market" in given and not set(given) & {"--journal", "--tape"}:
        return False
    raise InputError(
        "RISK_SOURCE",
        "it is not said whose book is asked about",
        where="command line",
        observed=", ".join(given) or "neither --market nor --journal",
        allowed="--market TAPE with --book BOOK or --check-venue, or --journal FILE",
        not_done="nothing was valued",
        fix="give a tape with a book file, or an engine's journal",
    )


def _risk_of_journal(arguments: argparse.Namespace, settings: Settings) -> Exit:
    """The same of an engine's book, with what the dashboard's first panel shows of it beside."""
    from hedger.desk.risk_tree import risk_tree
    from hedger.documents import risk_document
    from hedger.ticket import risk_view
    from hedger.verbs.looking import look_of_journal

    look = look_of_journal(arguments.journal, arguments.tape, arguments.numeraire, settings)
    snapshot = look.snapshot
    plain, tree = risk_document(snapshot), risk_tree(snapshot, look.by_hand)
    if not arguments.json:
        show(risk_view(snapshot))
        for row in tree["rows"]:
            if row["by_hand"]:
                say(f"BY HAND {row['by_hand']}; the file says {row['file']}")
        return Exit.DONE
    rows = [{**row, **of} for row, of in zip(plain["rows"], tree["rows"], strict=True)]
    show_json({**plain, **tree, "rows": rows})
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
    from hedger.planning import PlanStatus
    from hedger.ticket import ticket_view

    settings = settings_of(arguments)
    plan, stages = planned(arguments.book, arguments.market, arguments.at, settings, arguments.band)
    if arguments.json:
        show_json(plan_document(plan, stages.ms))
    else:
        show(ticket_view(plan))
    return Exit.REFUSED if plan.status is PlanStatus.BLOCKED else Exit.DONE


def planned(
    book: Path, market: Path, at: str | None, settings: Settings, band: Sequence[str] = ()
) -> tuple[HedgePlan, Stages]:
    """The hedge of a book's file in the market of a tape, and what each stage took. at, band: as for
    `snapshot_at`.

    Raises:
        InputError: a file, a time or a band that cannot be read.
    """
    from hedger.planning import make_plan, read_beside
    from venues.tape import Tape

    stages = Stages()
    tape = Tape.open(market)
    snapshot, history = snapshot_at(tape, book, at, settings, stages, band)
    factors = factors_before(tape, snapshot, settings)
    stages.lap("factor_history")
    plan = make_plan(snapshot, settings, stages.lap, settings.policy.memory(), history, factors=factors)
    read_beside(plan, stages.lap)
    return plan, stages
