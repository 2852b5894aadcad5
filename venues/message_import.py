"""Importer of `venue-messages`: websocket recordings of Deribit, OKX, Bybit and Binance options.

A JSON document (`.json`: a message, a list of them, or an object of lists), or a text of lines
`<unix seconds>: <JSON>` or `<JSON>` with what came in; other lines (what was sent, connections) are passed
over and counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from pricing.daycount import NS_PER_SECOND
from venues.import_options import Imported, ImportOptions
from venues.option_messages import OptionMessages
from venues.source_files import parse_json, read_json, read_text, refuse, sha256_of
from venues.ticker_rows import STAMPS_MS, Row, listings_of, number_batches, quotes_of

_RECEIVED = re.compile(r"(?P<stamp>[0-9]{9,11}(?:\.[0-9]{1,9})?): (?P<json>[\[{].*)")


def import_venue_messages(sources: Sequence[Path], options: ImportOptions) -> Imported:
    """Read recordings as one: listings, quotes, and what tape.json keeps. A message that is sent again with
    the same stamp counts once.

    Raises:
        InputError: a file or message is not as it must be, or none carries a ticker; nothing is written.
    """
    messages = OptionMessages(options)
    rows: list[Row] = []
    notes: list[str] = []
    for path in sources:
        recording = _Recording(path)
        rows += recording.rows(messages)
        if recording.passed_over:
            notes.append(f"{path.name}: {recording.passed_over} lines passed over, no received messages")
    if not rows:
        allowed = "at least one ticker, summary or mark of an option"
        refuse("FILE_EMPTY", "no message carries Greeks", sources[0], observed=notes or None, allowed=allowed)
    rows.sort(key=lambda row: (row["local_ns"], row["venue_ns"]))  # as they came: time never goes back
    rows = _as_first_sent(rows)
    number_batches(rows)
    listings, terms = listings_of(rows)
    if any(row["local_ns"] == row["venue_ns"] for row in rows):
        notes.insert(0, "local stamps are not in every source: the venue's stamp stands in there")
    meta = {
        "source": [{"name": path.name, "sha256": sha256_of(path)} for path in sources],
        "options": {"format": "venue-messages"},
        "notes": notes + terms,
    }
    return Imported(listings, quotes_of(rows).sort("seq", "symbol"), meta)


def _as_first_sent(rows: Sequence[Row]) -> list[Row]:
    """The rows without those that were sent before with the same stamp."""
    first: dict[tuple[str, str, int], Row] = {}
    for row in rows:
        first.setdefault((row["venue"], row["symbol"], row["venue_ns"]), row)
    return list(first.values())


class _Recording:
    """One file, and how many of its lines were no received messages."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.passed_over = 0

    def rows(self, messages: OptionMessages) -> Iterator[Row]:
        """The rows of the file's messages, in order."""
        path = self.path
        if path.suffix.lower() == ".json":
            yield from _document_rows(read_json(path), path, messages)
            return
        text = read_text(path)
        for number, line in enumerate(text.splitlines(), start=1):
            where = f"line {number}"
            found = _RECEIVED.fullmatch(line.strip())
            if found is not None:
                received_ns = _received_ns(found["stamp"], path, where)
                for row in messages.rows(parse_json(found["json"], path, where), f"{path.name}, {where}"):
                    yield row | {"local_ns": received_ns}
            elif line.lstrip()[:1] in ("{", "["):
                yield from messages.rows(parse_json(line, path, where), f"{path.name}, {where}")
            elif line.strip():
                self.passed_over += 1  # a connection, or what was sent


def _document_rows(document: object, path: Path, messages: OptionMessages) -> Iterator[Row]:
    # an object of named lists is a collection of messages; a message itself has other keys as well
    if isinstance(document, dict) and all(isinstance(value, list) for value in document.values()):
        for name, content in document.items():
            yield from messages.rows(content, f"{path.name}, {name}")
    else:
        yield from messages.rows(document, path.name)


def _received_ns(stamp: str, path: Path, where: str) -> int:
    whole, _, part = stamp.partition(".")
    if not STAMPS_MS[0] <= int(whole) * 1000 <= STAMPS_MS[1]:
        refuse(
            "SOURCE_VALUE",
            "not a time",
            path,
            where=f"{path.name}, {where}",
            observed=stamp,
            allowed="seconds since 1970, from 2010 to 2100",
        )
    return int(whole) * NS_PER_SECOND + int(part.ljust(9, "0") or 0)
