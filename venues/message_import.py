"""Importer of `venue-messages`: websocket recordings of Deribit, OKX, Bybit and Binance options.

A JSON document (a message, a list of them, or an object of lists), or a text of lines `<unix seconds>:
<JSON>` with what came in; lines of what was sent and of connections are passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from pricing.daycount import NS_PER_SECOND
from venues.import_options import Imported, ImportOptions
from venues.option_messages import OptionMessages
from venues.source_files import parse_json, read_json, read_text, refuse, sha256_of
from venues.ticker_rows import Row, listings_of, number_batches, quotes_of

_RECEIVED = re.compile(r"(?P<stamp>[0-9]{9,11}(?:\.[0-9]{1,9})?): (?P<json>[\[{].*)")


def import_venue_messages(sources: Sequence[Path], options: ImportOptions) -> Imported:
    """Read recordings as one: listings, quotes, and what tape.json keeps. A message that is sent again with
    the same stamp counts once.

    Raises:
        InputError: a file or message is not as it must be, or none carries a ticker; nothing is written.
    """
    messages = OptionMessages(options)
    rows = [row for path in sources for row in _rows(path, messages)]
    if not rows:
        allowed = "at least one ticker, summary or mark of an option"
        refuse("FILE_EMPTY", "no message carries Greeks", sources[0], allowed=allowed)
    rows.sort(key=lambda row: row["venue_ns"])
    rows = list({(row["venue"], row["symbol"], row["venue_ns"]): row for row in rows}.values())
    number_batches(rows)
    listings, notes = listings_of(rows)
    if any(row["local_ns"] == row["venue_ns"] for row in rows):
        notes.insert(0, "local stamps are not in every source: the venue's stamp stands in there")
    meta = {
        "source": [{"name": path.name, "sha256": sha256_of(path)} for path in sources],
        "options": {"format": "venue-messages"},
        "notes": notes,
    }
    return Imported(listings, quotes_of(rows).sort("seq", "symbol"), meta)


def _rows(path: Path, messages: OptionMessages) -> Iterator[Row]:
    if path.suffix == ".json":
        document = read_json(path)
        # an object of named lists is a collection of messages; a message itself has other keys as well
        collected = isinstance(document, dict) and all(isinstance(value, list) for value in document.values())
        lists = document if collected else {"": document}
        for name, content in lists.items():
            yield from messages.rows(content, f"{path.name}{', ' + name if name else ''}")
        return
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        found = _RECEIVED.fullmatch(line)
        if found is None:
            continue  # a connection, or what was sent
        where = f"line {number}"
        whole, _, part = found["stamp"].partition(".")
        received_ns = int(whole) * NS_PER_SECOND + int(part.ljust(9, "0") or 0)
        for row in messages.rows(parse_json(found["json"], path, where), f"{path.name}, {where}"):
            yield row | {"local_ns": received_ns}
