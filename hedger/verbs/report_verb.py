"""`hedger report`: an engine's journal as a page, a document and tables. It sends nothing."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hedger.verbs.flags import Commands, add_journal
from pricing.errors import Exit, InputError

if TYPE_CHECKING:
    from hedger.report.document import Around
    from hedger.report.walk import ReadJournal
    from hedger.settings import Settings

Json = dict[str, Any]
FRONTIER_BYTES_MAX = 64 * 2**20


def declare(commands: Commands) -> None:
    """The words of `report`."""
    words = commands.add("report", report, "a page with charts, a document and tables of an engine's journal")
    add_journal(words)
    text = "folder to create (default: the journal's name with .report behind it, here)"
    words.add_argument("--out", type=Path, metavar="DIR", help=text)
    words.add_argument("--tape", type=Path, metavar="TAPE", help="of a replay's journal: where its marks lie")
    text = "what `hedger study frontier --json` printed: its charts are added"
    words.add_argument("--frontier", type=Path, metavar="FILE", help=text)


def report(arguments: argparse.Namespace) -> Exit:
    """Write the report."""
    from hedger.report.walk import read_journal
    from hedger.report.write import check_out, write_report
    from hedger.runs.paper_setup import one_numeraire
    from hedger.verbs.journals import fetch_of, opened
    from hedger.verbs.reading import settings_of
    from pricing.compiled import warm_up

    journal: Path = arguments.journal
    out = Path(f"{journal.name}.report") if arguments.out is None else arguments.out
    check_out(out)
    frontier = None if arguments.frontier is None else read_frontier(arguments.frontier)
    fetch = fetch_of(arguments.tape)
    with opened(journal, "nothing was written") as storage:
        settings = one_numeraire(settings_of(arguments))
        warm_up()
        read = read_journal(storage, settings, fetch, journal.name)
    document = write_report(read, _around(arguments, settings, read, frontier), out)
    if arguments.json:
        print(json.dumps({"out": str(out), **document}, allow_nan=False))
    else:
        print(_said(document, out))
    return Exit.DONE


def _around(
    arguments: argparse.Namespace, settings: Settings, read: ReadJournal, frontier: Json | None
) -> Around:
    from hedger.journal.lock import holder
    from hedger.limits_file import load_limits
    from hedger.report.document import Around
    from hedger.report.limits_use import limits_of

    at_hand = load_limits(Path(settings.limits_file) if settings.limits_file else None)
    return Around(
        file=arguments.journal.name,
        limits=limits_of(read, at_hand),
        running=holder(arguments.journal) is not None,
        frontier=frontier,
        study="" if arguments.frontier is None else arguments.frontier.name,
    )


def _said(document: Json, out: Path) -> str:
    """What was written, for people."""
    absent = [chart for chart in document["charts"] if chart["absent"]]
    lines = [
        f"{out / document['page']['file']}: {len(document['charts']) - len(absent)} charts of "
        f"{document['events']} events; report.json and {len(document['tables'])} tables beside it"
    ]
    lines += [f"left out: {chart['title']}: {chart['absent']}" for chart in absent]
    return "\n".join([*lines, *(f"WARNING: {text}" for text in document["warnings"])])


def read_frontier(path: Path) -> Json:
    """The document of a study of policies, sound enough to be drawn.

    Raises:
        InputError: it cannot be read, or is none.
    """
    from hedger.studies.frontier_report import caption, figures

    try:
        with path.open("rb") as file:
            content = file.read(FRONTIER_BYTES_MAX + 1)
    except OSError as error:
        raise _no_frontier(path, str(error.strerror or error)) from None
    if len(content) > FRONTIER_BYTES_MAX:
        raise _no_frontier(path, f"more than {FRONTIER_BYTES_MAX} bytes")
    try:
        study = json.loads(content, parse_constant=_no_number)
        caption(study)
        drawn = figures(study)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise _no_frontier(path, f"{type(error).__name__}: {error}") from None
    if not drawn:
        raise _no_frontier(path, "a study without rows")
    found: Json = study
    return found


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is no number")


def _no_frontier(path: Path, observed: str) -> InputError:
    return InputError(
        "FRONTIER_INVALID",
        "not a study of hedging policies",
        where=f"--frontier {path}",
        observed=observed,
        allowed="what `hedger study frontier --json` prints",
        not_done="nothing was written",
        fix="`hedger study frontier --json > FILE` makes one",
    )
