"""`hedger whatif`, `pnl` and `venues`: the desk's screens as text or JSON. They send and write nothing."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from hedger.desk.ladder_metrics import METRICS
from hedger.verbs.flags import Commands, add_journal, axis, factor, journal_file, not_negative, positive
from hedger.verbs.journals import NOT_SHOWN, NOT_VALUED, fetch_of, opened, say_at_hand
from hedger.verbs.printing import room, say, show_json
from pricing.errors import Exit

if TYPE_CHECKING:
    from hedger.desk.whatif import Question


def declare(commands: Commands) -> None:
    """The words of `whatif`, `pnl` and `venues`."""
    shocks = commands.add(
        "whatif", whatif, "the book under shocks of spot, vol and time, by full revaluation"
    )
    _add_shocks(shocks)
    by_cause = commands.add("pnl", pnl, "where the P&L of an engine's journal came from, day by day")
    text = "between two valuations of the book (default 60)"
    by_cause.add_argument("--apart-s", type=not_negative, default=60.0, metavar="S", help=text)
    health = commands.add("venues", venues, "ages, gaps, reconnects, delays and orders of each venue")
    for words in (by_cause, health):
        add_journal(words)
    for words in (shocks, by_cause, health):
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
    words.add_argument("--metric", choices=METRICS, default="pnl")
    words.add_argument(
        "--hedged", action="store_true", help="plan, and show the book after the hedge beside it"
    )
    text = "falls of the past, such as march-2020, and the scenarios of the settings"
    words.add_argument("--stress", metavar="all|NAME", help=text)
    text = "the hedge with spreads K times as wide and sizes a K-th"
    words.add_argument("--liquidity", type=factor, metavar="K", help=text)
    text = "for VaR and expected shortfall: a tape, or prices (ts, open, symbol), or returns by coin"
    words.add_argument("--returns", type=Path, metavar="FILE", help=text)
    text = "of a return made from prices (default 24)"
    words.add_argument("--horizon-hours", type=positive, default=24.0, metavar="H", help=text)


def whatif(arguments: argparse.Namespace) -> Exit:
    """The book under shocks."""
    from hedger.desk.views import whatif_text
    from hedger.verbs.looking import ReturnsFile, Source, whatif_of
    from hedger.verbs.reading import settings_of

    a = arguments
    source = Source(a.book, a.market, a.at, a.journal, a.tape, a.numeraire)
    returns = None if a.returns is None else ReturnsFile(a.returns, a.horizon_hours)
    document = whatif_of(source, _question(a), settings_of(a), returns)
    _say(arguments, document, lambda told: whatif_text(told, room()))
    return Exit.DONE


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
        reader = VenueReader(settings, fetch_of(arguments.tape, needed=False))
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


def _question(arguments: argparse.Namespace) -> Question:
    from hedger.desk.ladder import Axes
    from hedger.desk.whatif import Question

    axes = Axes.of(arguments.spot or (), arguments.vol or (), arguments.days or ())
    return Question(
        metric=arguments.metric,
        axes=axes,
        hedged=arguments.hedged,
        stress=arguments.stress,
        liquidity=arguments.liquidity,
    )
