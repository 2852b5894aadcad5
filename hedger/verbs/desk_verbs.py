"""`hedger whatif`, `pnl` and `venues`: the desk's screens as text or JSON. They send and write nothing."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hedger.verbs.flags import Commands, add_journal, axis, factor, journal_file, not_negative, positive
from hedger.verbs.journals import NOT_SHOWN, NOT_VALUED, fetch_of, opened, say_at_hand
from hedger.verbs.printing import room, say, show_json
from pricing.errors import Exit, InputError

if TYPE_CHECKING:
    from hedger.desk.look import Look
    from hedger.desk.whatif import Question
    from hedger.settings import Settings


def declare(commands: Commands) -> None:
    """The words of `whatif`, `pnl` and `venues`."""
    shocked = commands.add(
        "whatif", whatif, "the book under shocks of spot, vol and time, by full revaluation"
    )
    _add_shocks(shocked)
    by_cause = commands.add("pnl", pnl, "where the P&L of an engine's journal came from, day by day")
    text = "between two valuations of the book (default 60)"
    by_cause.add_argument("--apart-s", type=not_negative, default=60.0, metavar="S", help=text)
    health = commands.add("venues", venues, "ages, gaps, reconnects, delays and orders of each venue")
    for words in (by_cause, health):
        add_journal(words)
    for words in (shocked, by_cause, health):
        words.add_argument(
            "--tape", type=Path, metavar="TAPE", help="of a replay's journal: where its marks lie"
        )


def _add_shocks(words: argparse.ArgumentParser) -> None:
    words.add_argument(
        "--book", type=Path, metavar="BOOK", help="positions and balances (CSV), with --market"
    )
    words.add_argument("--market", type=Path, metavar="TAPE", help="tape folder")
    words.add_argument("--at", metavar="TIME", help="last batch not after this time (default: the last one)")
    words.add_argument("--journal", type=journal_file, metavar="FILE", help="instead: an engine's last state")
    words.add_argument("--numeraire", choices=("USD", "coin"), help="overrides the configuration")
    for name, text, low in (
        ("spot", "moves in %%, such as --spot=-20,-10,0,10", -100.0),
        ("vol", "added to vols, in points, such as --vol=-5,0,5", -500.0),
        ("days", "from now, such as --days 0,1,7", 0.0),
    ):
        words.add_argument(f"--{name}", type=axis(low, name != "spot"), metavar="A,B,..", help=text)
    words.add_argument("--metric", choices=("pnl", "delta", "gamma", "vega", "margin"), default="pnl")
    words.add_argument(
        "--hedged", action="store_true", help="plan, and show the book after the hedge beside it"
    )
    words.add_argument("--stress", metavar="all|NAME", help="falls of the past, such as march-2020")
    text = "the hedge with spreads K times as wide and sizes a K-th"
    words.add_argument("--liquidity", type=factor, metavar="K", help=text)
    text = "for VaR and expected shortfall: a tape, or prices (ts, open, symbol), or returns by coin"
    words.add_argument("--returns", type=Path, metavar="FILE", help=text)
    text = "of a return made from prices (default 24)"
    words.add_argument("--horizon-hours", type=positive, default=24.0, metavar="H", help=text)


def whatif(arguments: argparse.Namespace) -> Exit:
    """The book under shocks."""
    from hedger.desk.views import whatif_text

    _say(arguments, shocked(arguments), lambda told: whatif_text(told, room()))
    return Exit.DONE


def shocked(arguments: argparse.Namespace) -> dict[str, Any]:
    """The document of `whatif`.

    Raises:
        InputError: not one book alone is named, or one that cannot be read.
    """
    from hedger.desk.whatif import whatif_document
    from hedger.verbs.reading import settings_of
    from pricing.compiled import warm_up

    _one_source(arguments)
    settings = settings_of(arguments)
    warm_up()
    of = look_of_journal if arguments.market is None else look_of_tape
    look = of(arguments, settings)
    return whatif_document(look, _question(arguments, look, settings))


def pnl(arguments: argparse.Namespace) -> Exit:
    """Where the P&L of a journal came from."""
    from hedger.desk.profit import ProfitReader
    from hedger.desk.views import profit_text
    from hedger.verbs.reading import settings_of

    settings = settings_of(arguments)
    with opened(arguments.journal, NOT_VALUED) as storage:
        reader = ProfitReader(settings, arguments.apart_s, fetch_of(arguments.tape))
        for record in storage.records():
            reader.take(record)
    say_at_hand(reader.follower)
    document = reader.close()
    _say(arguments, document, lambda told: profit_text(told, room()))
    return Exit.DONE


def venues(arguments: argparse.Namespace) -> Exit:
    """How each venue is doing."""
    from hedger.desk.venue_health import VenueReader
    from hedger.desk.views import venues_text
    from hedger.engine.heartbeat import last_beat
    from hedger.journal.lock import holder
    from hedger.verbs.reading import settings_of

    settings = settings_of(arguments)
    running = holder(arguments.journal) is not None
    with opened(arguments.journal, NOT_SHOWN) as storage:
        reader = VenueReader(settings, fetch_of(arguments.tape))
        for record in storage.records():
            reader.take(record)
    say_at_hand(reader.follower)
    # ages of an engine that ended are those of its end
    at_ns, beat = time.time_ns() if running else None, last_beat(arguments.journal)
    document = reader.document(at_ns, beat, runs=running)
    document = {"running": running, **document}
    _say(arguments, document, venues_text)
    return Exit.DONE


def _say(
    arguments: argparse.Namespace, document: dict[str, object], text: Callable[[dict[str, object]], str]
) -> None:
    if arguments.json:
        show_json(document)
    else:
        say(text(document))


# ---------------------------------------------------------------------------------------------------- what if


def _one_source(arguments: argparse.Namespace) -> None:
    """A book and a tape, or a journal; not both, and not the parts of one beside the other."""
    given = [name for name in ("book", "market", "journal") if getattr(arguments, name) is not None]
    if given not in (["book", "market"], ["journal"]):
        raise InputError(
            "WHATIF_SOURCE",
            "it is not said whose book is asked about",
            where="command line",
            observed=", ".join(f"--{name}" for name in given) or "none of --book, --market, --journal",
            allowed="--book BOOK --market TAPE, or --journal FILE",
            not_done="nothing was valued",
            fix="give a book file with a tape, or an engine's journal",
        )
    for name, needs in (("at", "market"), ("tape", "journal")):
        if getattr(arguments, name) is not None and needs not in given:
            raise InputError(
                "WHATIF_SOURCE",
                f"--{name} goes with --{needs}",
                where=f"--{name}",
                observed=", ".join(f"--{x}" for x in given),
                allowed=f"--{needs} beside it",
                not_done="nothing was valued",
                fix="leave it out",
            )


def look_of_tape(arguments: argparse.Namespace, settings: Settings) -> Look:
    """The book of a file in the market of a tape."""
    from hedger.desk.look import Look
    from hedger.planning import HedgePlan, make_plan
    from hedger.problem.snapshot import Snapshot, take_snapshot
    from hedger.verbs.reading import Stages, factors_before, snapshot_at
    from pricing.market import Market
    from pricing.oracle import remember
    from venues.tape import Tape

    tape = Tape.open(arguments.market)
    snapshot, history = snapshot_at(tape, arguments, settings, Stages())

    def retake(market: Market) -> Snapshot:
        good = remember({}, snapshot.readings.values(), snapshot.market.now_ns)
        return take_snapshot(
            snapshot.book, market, settings, rules=snapshot.rules, last_good=good, history=history
        )

    def plan(of: Snapshot) -> HedgePlan:
        factors = factors_before(tape, of, settings)
        return make_plan(of, settings, memory=settings.policy.memory(), history=history, factors=factors)

    return Look(snapshot, retake, plan, settings)


def look_of_journal(arguments: argparse.Namespace, settings: Settings) -> Look:
    """The book of an engine as its journal has it at the last record, with the settings in force there.
    settings: those at hand, where the journal does not hold its own."""
    from hedger.desk.follow import Follower
    from hedger.desk.look import look_of

    follower = Follower(settings, fetch_of(arguments.tape))
    with opened(arguments.journal, NOT_VALUED) as storage:
        for record in storage.records():
            follower.take(record)
    say_at_hand(follower)
    look = look_of(follower, _with_numeraire(follower.settings, arguments.numeraire))
    if look is None:
        raise InputError(
            "JOURNAL_NO_MARKS",
            "the journal has no marks yet: nothing in it has a worth",
            where=arguments.journal.name,
            allowed="the journal of an engine that has seen its market",
            not_done="nothing was valued",
            fix="wait for the first mark",
        )
    return look


def _with_numeraire(settings: Settings, asked: str | None) -> Settings:
    """The settings in force, in the numeraire of the command line where one is named."""
    if asked is None:
        return settings
    return type(settings).model_validate(settings.model_dump(mode="json") | {"numeraire": asked})


def _question(arguments: argparse.Namespace, look: Look, settings: Settings) -> Question:
    from hedger.desk.ladder import PLAIN_AXES, Axes
    from hedger.desk.stress_table import chosen
    from hedger.desk.whatif import Question

    axes = Axes(
        spot_pct=arguments.spot or PLAIN_AXES.spot_pct,
        vol_points=arguments.vol or PLAIN_AXES.vol_points,
        days=arguments.days or PLAIN_AXES.days,
    )
    returns = None
    if arguments.returns is not None:
        from hedger.desk.returns import read_returns

        hours, names = arguments.horizon_hours, look.snapshot.underlyings
        returns = read_returns(arguments.returns, names, hours, settings.age_s_max)
    return Question(
        metric=arguments.metric,
        axes=axes,
        hedged=arguments.hedged,
        stresses=chosen(arguments.stress) if arguments.stress else (),
        liquidity=arguments.liquidity,
        returns=returns,
    )
