"""What the tests of the hedger share: a market on tape, books, and the command line as users see it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import polars as pl
import pytest

from hedger.cli import main
from venues.simulated import SimulatedMarket
from venues.simulated_law import SimulationSettings
from venues.simulated_tape import tape_frames
from venues.tape import write

HEADER = "venue,symbol,quantity,average_price"
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Ran:
    """What one command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document on stdout."""
        return strict_json(self.out)


def strict_json(text: str) -> Any:
    """JSON as other readers take it: no NaN, no infinity, no number too large for a float."""

    def refuse(word: str) -> NoReturn:
        raise AssertionError(f"{word} is not JSON")

    document = json.loads(text, parse_constant=refuse)
    assert all(abs(x) < 1e308 for x in numbers(document))
    return document


def numbers(document: Any) -> Iterator[float]:
    """Every number anywhere in a document."""
    if isinstance(document, dict):
        for value in document.values():
            yield from numbers(value)
    elif isinstance(document, list):
        for value in document:
            yield from numbers(value)
    elif isinstance(document, int | float) and not isinstance(document, bool):
        yield document


def hedger(capsys: pytest.CaptureFixture[str], *words: object) -> Ran:
    """Run `hedger ...` in this process."""
    capsys.readouterr()
    code = main([str(word) for word in words])
    out, err = capsys.readouterr()
    return Ran(code, out, err)


def ticket(capsys: pytest.CaptureFixture[str], tape: Path, book: Path, *more: object, code: int = 0) -> Json:
    """The plan of a book, as JSON."""
    ran = hedger(capsys, "plan", "--book", book, "--market", tape, "--json", *more)
    assert (ran.code, ran.err) == (code, "")
    document: Json = ran.json
    return document


def exposures(capsys: pytest.CaptureFixture[str], tape: Path, book: Path, *more: object) -> Json:
    """The exposures of a book, as JSON."""
    ran = hedger(capsys, "risk", "--book", book, "--market", tape, "--json", *more)
    assert (ran.code, ran.err) == (0, "")
    document: Json = ran.json
    return document


def refused(ran: Ran, code: str) -> str:
    """Check that a command refused its input as the house does, and return what it said."""
    assert ran.code == 2
    assert ran.out == ""
    assert "Traceback" not in ran.err
    assert ran.err.startswith(f"{code}: ")
    assert ran.err.count("\n") == 1 and ran.err.endswith("\n")
    for part in ("where: ", "observed: ", "allowed: ", "; nothing was ", "; fix: "):
        assert part in ran.err, f"{part!r} is missing: {ran.err}"
    return ran.err


def make_tape(
    path: Path,
    settings: SimulationSettings | None = None,
    seed: int = 3,
    batches: int = 3,
    seconds: float = 60.0,
) -> Path:
    """A tape of the simulated market, a minute between batches."""
    market = SimulatedMarket(seed, settings=settings or SimulationSettings())
    listings, quotes, depth = tape_frames(market, batches, seconds)
    write(path, listings, quotes, depth)
    return path


def change_tape(path: Path, tape: Path, quotes: pl.DataFrame) -> Path:
    """The tape with other quotes; order books of rows that are gone go too."""
    from venues.tape import Tape

    old = Tape.open(tape)
    depth = old.frame("depth").join(
        quotes.select("seq", "venue", "symbol"), on=["seq", "venue", "symbol"], how="semi"
    )
    write(path, old.universe.listings, quotes.drop("flag"), depth)
    return path


def make_book(path: Path, rows: Iterable[Sequence[object]]) -> Path:
    """A book file of (symbol, quantity) rows on the simulated venue."""
    lines = [f"simulated,{symbol},{quantity}," for symbol, quantity in rows]
    path.write_text("\n".join([HEADER, *lines]) + "\n")
    return path
