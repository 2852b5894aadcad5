"""`hedger whatif`, `pnl` and `venues`: the desk's screens as text or JSON. They send and write nothing."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pricing.errors import Exit, InputError

if TYPE_CHECKING:
    from hedger.desk.follow import Fetch
    from hedger.desk.look import Look
    from hedger.desk.whatif import Question
    from hedger.journal.entries import Record
    from hedger.settings import Settings


def whatif(arguments: argparse.Namespace) -> Exit:
    """The book under shocks."""
    from hedger.desk.views import whatif_text
    from hedger.desk.whatif import whatif_document
    from pricing.compiled import warm_up

    _one_source(arguments)
    from hedger.verbs.plan_verbs import settings_of

    settings = settings_of(arguments)
    warm_up()
    look = _of_journal(arguments, settings) if arguments.market is None else _of_tape(arguments, settings)
    document = whatif_document(look, _question(arguments, look, settings))
    _say(arguments, document, whatif_text)
    return Exit.DONE


def pnl(arguments: argparse.Namespace) -> Exit:
    """Where the P&L of a journal came from."""
    from hedger.desk.profit import profit_document
    from hedger.desk.views import profit_text
    from hedger.verbs.plan_verbs import settings_of

    settings = settings_of(arguments)
    with _records(arguments.journal) as records:
        document = profit_document(records, settings, arguments.apart_s, fetch_of(arguments.tape))
    _say(arguments, document, profit_text)
    return Exit.DONE


def venues(arguments: argparse.Namespace) -> Exit:
    """How each venue is doing."""
    from hedger.desk.venue_health import venues_document
    from hedger.desk.views import venues_text
    from hedger.engine.heartbeat import last_beat
    from hedger.journal.lock import holder
    from hedger.verbs.plan_verbs import settings_of

    settings = settings_of(arguments)
    running = holder(arguments.journal) is not None
    with _records(arguments.journal) as records:
        document = venues_document(
            records,
            settings.age_s_max,
            time.time_ns() if running else None,  # ages of an engine that ended are those of its end
            last_beat(arguments.journal),
            fetch_of(arguments.tape),
        )
    document = {"running": running, **document}
    _say(arguments, document, venues_text)
    return Exit.DONE


def _say(
    arguments: argparse.Namespace, document: dict[str, object], text: Callable[[dict[str, object]], str]
) -> None:
    print(json.dumps(document, allow_nan=False) if arguments.json else text(document))


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


def _of_tape(arguments: argparse.Namespace, settings: Settings) -> Look:
    """The book of a file in the market of a tape."""
    from hedger.desk.look import Look
    from hedger.planning import HedgePlan, make_plan
    from hedger.problem.snapshot import Snapshot, take_snapshot
    from hedger.verbs.plan_verbs import Stages, factors_before, snapshot_at
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

    return Look(snapshot, retake, plan)


def _of_journal(arguments: argparse.Namespace, settings: Settings) -> Look:
    """The book of an engine as its journal has it at the last record."""
    from hedger.desk.follow import Follower
    from hedger.desk.look import Look
    from hedger.planning import HedgePlan, make_plan
    from hedger.problem.snapshot import Snapshot
    from pricing.market import Market

    follower = Follower(settings.age_s_max, fetch_of(arguments.tape))
    with _records(arguments.journal) as records:
        for record in records:
            follower.take(record)
    snapshot = follower.snapshot(settings, bands=True)
    if snapshot is None:
        raise InputError(
            "JOURNAL_NO_MARKS",
            "the journal has no marks yet: nothing in it has a worth",
            where=arguments.journal.name,
            allowed="the journal of an engine that has seen its market",
            not_done="nothing was valued",
            fix="wait for the first mark",
        )

    def retake(market: Market) -> Snapshot:
        return follower.retake(market, settings, bands=True)

    def plan(of: Snapshot) -> HedgePlan:
        return make_plan(of, settings, memory=settings.policy.memory())

    return Look(snapshot, retake, plan)


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


# --------------------------------------------------------------------------------------------------- journals


@contextmanager
def _records(path: Path) -> Iterator[Iterator[Record]]:
    """A journal's records as of one moment.

    Raises:
        InputError: it is no journal. JournalDamaged: it cannot be read to its end.
    """
    from hedger.journal.codec import CodecError
    from hedger.journal.journal import open_to_read
    from hedger.journal.storage import JournalDamaged, StorageFailed

    storage = open_to_read(path)
    try:
        with storage.steady():
            yield storage.records()
    except (StorageFailed, CodecError) as error:
        raise JournalDamaged(
            "JOURNAL_DAMAGED",
            "the journal cannot be read to its end",
            where=path.name,
            observed=error,
            not_done="nothing was valued",
            fix="`hedger journal verify` says how far it is sound",
        ) from error
    finally:
        storage.close()


def fetch_of(path: Path | None) -> Fetch:
    """What finds the marks that a journal only names, on the tape at hand."""
    from hedger.desk.follow import no_tape

    if path is None:
        return no_tape
    from hedger.journal.entries import MarksOnTape
    from hedger.runs.refold import batches_of
    from hedger.runs.replay import tape_sha256
    from pricing.market import Marks
    from venues.tape import Tape

    tape = Tape.open(path)
    find, sha = batches_of(tape), tape_sha256(tape)

    def fetch(what: MarksOnTape) -> Marks:
        if what.tape != sha:
            raise InputError(
                "JOURNAL_OTHER",
                "the journal was written on another tape",
                where=f"--tape {path}",
                observed=sha[:16],
                allowed=what.tape[:16],
                not_done="nothing was valued",
                fix="give the tape of then",
            )
        return find(what)

    return fetch
