"""How a book is looked at from a shell or a notebook: a file's in the market of a tape, or an engine's by its
journal. Heavy imports stand inside the function that needs them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hedger.verbs.journals import NOT_VALUED, fetch_of, opened, say_at_hand
from pricing.errors import InputError

if TYPE_CHECKING:
    from hedger.desk.look import Look
    from hedger.desk.whatif import Question
    from hedger.settings import Settings
    from pricing.market import Market


@dataclass(frozen=True, slots=True)
class Source:
    """Whose book is asked about, each part as it was named or None. at: a time in words, market: a tape; or
    journal, with the tape of its marks. numeraire: other than the settings'."""

    book: Path | None = None
    market: Path | None = None
    at: str | None = None
    journal: Path | None = None
    tape: Path | None = None
    numeraire: str | None = None


@dataclass(frozen=True, slots=True)
class ReturnsFile:
    """Past returns, for VaR and expected shortfall. horizon_h: of a return that is made from prices."""

    path: Path
    horizon_h: float = 24.0


def whatif_of(
    source: Source, question: Question, settings: Settings, returns: ReturnsFile | None = None
) -> dict[str, Any]:
    """The document of `whatif`. settings: those at hand, in the numeraire of the source. returns: the file of
    those that the question is to have.

    Raises:
        InputError: not one book alone is named, or one that cannot be read.
    """
    from hedger.desk.whatif import whatif_document

    look = _look(source, settings)
    if returns is not None:
        from hedger.desk.returns import read_returns

        names, age_s_max = look.snapshot.underlyings, settings.age_s_max
        read = read_returns(returns.path, names, returns.horizon_h, age_s_max)
        question = replace(question, returns=read)
    return whatif_document(look, question)


def _look(source: Source, settings: Settings) -> Look:
    """Of a book and a tape, or of a journal; not of both, and not of the parts of one beside the other."""
    from pricing.compiled import warm_up

    given = [f"--{name}" for name in ("book", "market", "journal") if getattr(source, name) is not None]
    match source.book, source.market, source.journal:
        case Path() as book, Path() as market, None:
            _refuse_beside("--tape", source.tape, "--journal", given)
            warm_up()
            return look_of_tape(book, market, source.at, settings)
        case None, None, Path() as journal:
            _refuse_beside("--at", source.at, "--market", given)
            warm_up()
            return look_of_journal(journal, source.tape, source.numeraire, settings)
    raise InputError(
        "WHATIF_SOURCE",
        "it is not said whose book is asked about",
        where="command line",
        observed=", ".join(given) or "none of --book, --market, --journal",
        allowed="--book BOOK --market TAPE, or --journal FILE",
        not_done="nothing was valued",
        fix="give a book file with a tape, or an engine's journal",
    )


def _refuse_beside(name: str, value: object, needs: str, given: list[str]) -> None:
    if value is not None:
        raise InputError(
            "WHATIF_SOURCE",
            f"{name} goes with {needs}",
            where=name,
            observed=", ".join(given),
            allowed=f"{needs} beside it",
            not_done="nothing was valued",
            fix="leave it out",
        )


def look_of_tape(book: Path, market: Path, at: str | None, settings: Settings) -> Look:
    """The book of a file in the market of a tape."""
    from hedger.desk.look import Look
    from hedger.planning import HedgePlan, make_plan
    from hedger.problem.snapshot import Snapshot, take_snapshot
    from hedger.verbs.reading import Stages, factors_before, snapshot_at
    from pricing.oracle import remember
    from venues.tape import Tape

    tape = Tape.open(market)
    snapshot, history = snapshot_at(tape, book, at, settings, Stages())

    def retake(market: Market) -> Snapshot:
        good = remember({}, snapshot.readings.values(), snapshot.market.now_ns)
        return take_snapshot(
            snapshot.book, market, settings, rules=snapshot.rules, last_good=good, history=history
        )

    def plan(of: Snapshot) -> HedgePlan:
        factors = factors_before(tape, of, settings)
        return make_plan(of, settings, memory=settings.policy.memory(), history=history, factors=factors)

    return Look(snapshot, retake, plan, settings)


def look_of_journal(journal: Path, tape: Path | None, numeraire: str | None, settings: Settings) -> Look:
    """The book of an engine as its journal has it at the last record, with the settings in force there.
    settings: those at hand, where the journal does not hold its own."""
    from hedger.desk.follow import Follower
    from hedger.desk.look import look_of

    follower = Follower(settings, fetch_of(tape))
    with opened(journal, NOT_VALUED) as storage:
        for record in storage.records():
            follower.take(record)
    say_at_hand(follower)
    look = look_of(follower, _with_numeraire(follower.settings, numeraire))
    if look is None:
        raise InputError(
            "JOURNAL_NO_MARKS",
            "the journal has no marks yet: nothing in it has a worth",
            where=journal.name,
            allowed="the journal of an engine that has seen its market",
            not_done="nothing was valued",
            fix="wait for the first mark",
        )
    return look


def _with_numeraire(settings: Settings, asked: str | None) -> Settings:
    """The settings in force, in another numeraire where one is named."""
    if asked is None:
        return settings
    return type(settings).model_validate(settings.model_dump(mode="json") | {"numeraire": asked})
