"""`tape import`: recordings of others, read whole, checked, and written as a tape or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path

from pricing.errors import InputError
from venues.binance_ws import import_binance_ws
from venues.deribit_chain import import_deribit_chain
from venues.deribit_tickers import import_deribit_tickers
from venues.greeks_table import import_greeks_table
from venues.import_options import Imported, ImportOptions, parse_size_at_touch
from venues.message_import import import_venue_messages
from venues.source_files import check_decodes
from venues.tape_files import refuse_existing, write
from venues.tardis import import_tardis

__all__ = [
    "ImportOptions",
    "Imported",
    "SourceFormat",
    "import_deribit_chain",
    "import_deribit_tickers",
    "import_tape",
    "parse_size_at_touch",
]


class SourceFormat(StrEnum):
    """Formats that `tape import` reads."""

    DERIBIT_CHAIN = "deribit-chain"
    DERIBIT_TICKERS = "deribit-tickers"
    VENUE_MESSAGES = "venue-messages"
    GREEKS_TABLE = "greeks-table"
    BINANCE_WS = "binance-ws"
    TARDIS = "tardis"


_IMPORTERS = {
    SourceFormat.DERIBIT_CHAIN: import_deribit_chain,
    SourceFormat.DERIBIT_TICKERS: import_deribit_tickers,
    SourceFormat.VENUE_MESSAGES: import_venue_messages,
    SourceFormat.GREEKS_TABLE: import_greeks_table,
    SourceFormat.BINANCE_WS: import_binance_ws,
    SourceFormat.TARDIS: import_tardis,
}


def import_tape(sources: Sequence[Path], format: str, out: Path, options: ImportOptions) -> Imported:
    """Read sources of one format and write them as the tape `out`; what was read is returned.

    Raises:
        InputError: unknown format, `out` exists, or a source is refused; nothing has been written.
    """
    if format not in list(SourceFormat):
        raise InputError(
            "IMPORT_FORMAT",
            "unknown format",
            where="--format",
            observed=repr(format),
            allowed=", ".join(SourceFormat),
            not_done="nothing was written",
        )
    if not sources:
        raise InputError("IMPORT_SOURCE", "no source is named", where="SOURCE", allowed="at least one file")
    refuse_existing(Path(out))
    chosen, paths = SourceFormat(format), [Path(source) for source in sources]
    for path in _parquet_files(chosen, paths, options):
        check_decodes(path)
    imported = _IMPORTERS[chosen](paths, options)
    write(Path(out), imported.listings, imported.quotes, imported.depth, imported.trades, imported.meta)
    return imported


def _parquet_files(format: SourceFormat, sources: Sequence[Path], options: ImportOptions) -> list[Path]:
    """The files that the importer of a format reads as parquet: a chain always, a table by its ending."""
    if format is SourceFormat.DERIBIT_CHAIN:
        files = list(sources)
    elif format is SourceFormat.GREEKS_TABLE:
        files = [path for path in sources if path.suffix not in (".json", ".csv")]
    else:
        files = []
    return files + ([Path(options.perp_file)] if options.perp_file is not None else [])
