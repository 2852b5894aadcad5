"""Importer of `deribit-tickers`: a JSON list of Deribit `ticker` or `get_order_book` results.

Items may be wrapped as the venue's answers are, {"result": ...}. Sorted by stamp, a new batch begins where an
instrument comes again. What the list lacks of perpetual, futures and spot is made as for `deribit-chain`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import polars as pl

from pricing.contracts import Contract, Future, Kind, Option, Right
from venues.deribit_chain import VENUE, read_perp
from venues.deribit_names import check_forward_name, check_names
from venues.deribit_synthesis import hedge_quotes
from venues.import_options import Imported, ImportOptions
from venues.listing_book import ListingBook
from venues.source_files import read_json, refuse, sha256_of
from venues.tape_schema import DEPTH_SCHEMA, GREEKS, QUOTE_SCHEMA
from venues.ticker_fields import Fields
from venues.ticker_rows import NS_PER_MS, STAMPS_MS, Row, number_batches, refuse_twice

_RIGHTS = {"call": Right.CALL, "put": Right.PUT}


def import_deribit_tickers(sources: Sequence[Path], options: ImportOptions) -> Imported:
    """Read ticker files as one recording: listings, quotes, order books, and what tape.json keeps.

    Raises:
        InputError: a file, item or option is not as it must be; nothing has been written.
    """
    tickers = [row for path in sources for row in _read_tickers(path, options)]
    tickers.sort(key=lambda row: row["venue_ns"])
    refuse_twice(tickers)
    number_batches(tickers)
    perp_mids = {} if options.perp_file is None else read_perp(Path(options.perp_file))

    book = ListingBook(VENUE, tickers[0]["venue_ns"], tickers[-1]["venue_ns"])
    for row in tickers:
        book.listing(row["symbol"], row["contract"])
    columns = {name: kind for name, kind in QUOTE_SCHEMA.items() if name != "flag"}
    quotes = pl.DataFrame([{name: row.get(name) for name in columns} for row in tickers], schema=columns)
    held = frozenset(row["symbol"] for row in tickers)
    hedges = hedge_quotes(_seen(tickers), held, options, perp_mids, book.listing)
    levels = [level for row in tickers for level in _levels(row)]
    depth = pl.DataFrame(levels, schema=DEPTH_SCHEMA, orient="row") if levels else None
    notes = ["local stamps are not in the source: the venue's stamp stands in"]
    if hedges.height:
        made = ", ".join(hedges["symbol"].unique().sort().to_list())
        notes.append(f"not in the source, made by the options of the import: {made}")
    meta = {
        "source": [{"name": path.name, "sha256": sha256_of(path)} for path in options.files(sources)],
        "options": {"format": "deribit-tickers", **options.recorded()},
        "notes": notes + book.notes(),
    }
    return Imported(book.listings(), pl.concat([quotes, hedges]).sort("seq", "symbol"), meta, depth)


def _read_tickers(path: Path, options: ImportOptions) -> list[Row]:
    document = read_json(path)
    if isinstance(document, dict) and "result" in document:
        document = document["result"]
        document = [document] if isinstance(document, dict) else document
    if not isinstance(document, list):
        allowed = "a list of Deribit ticker or get_order_book results"
        refuse("SOURCE_FORM", "not a list", path, observed=type(document).__name__, allowed=allowed)
    if not document:
        refuse("FILE_EMPTY", "the file has no rows", path, allowed="at least one item")
    return [ticker_row(item, f"{path.name}, item {i}", options) for i, item in enumerate(document, start=1)]


def ticker_row(item: object, where: str, options: ImportOptions) -> Row:
    """One `ticker` or `get_order_book` result as a row of quotes.

    Its contract, expiry, currency, place in the source and order book stand beside the tape's columns.

    Raises:
        InputError: a field is not as it must be.
    """
    if isinstance(item, dict) and "result" in item:
        item = item["result"]
    fields = Fields(item, where)
    name = fields.text("instrument_name")
    contract = check_names(name, f"{where}, key instrument_name")
    _check_contract(fields, contract)
    stamp_ns = fields.integer("timestamp", *STAMPS_MS) * NS_PER_MS
    is_open = fields.text_or_none("state") in (None, "open")
    is_option = isinstance(contract, Option)
    mark_iv = fields.number("mark_iv", "not negative", must_exist=is_option)
    forward_name = fields.text_or_none("underlying_index") if is_option else None
    check_forward_name(forward_name, contract.underlying, f"{where}, key underlying_index")
    row: Row = {
        "venue_ns": stamp_ns,
        "local_ns": stamp_ns,
        "venue": VENUE,
        "symbol": name,
        "mark": fields.number("mark_price", "not negative", must_exist=True),
        "mark_iv": None if mark_iv is None or not is_option else mark_iv / 100,  # percent on the wire
        "forward": fields.number("underlying_price", "positive", must_exist=True) if is_option else None,
        "forward_name": forward_name,
        "index": fields.number("index_price", "positive", must_exist=True),
        "funding_rate": fields.number("funding_8h") if contract.kind is Kind.PERPETUAL else None,
        "open_interest": fields.number("open_interest", "not negative"),
        "contract": contract,
        "currency": contract.underlying,
        "expiry_ns": contract.expiry_ns if isinstance(contract, Option) else None,
        "where": where,
    }
    greeks = fields.nested("greeks")
    row |= {f"venue_{greek}": greeks.number(greek) for greek in GREEKS}
    in_coins = contract.kind in (Kind.OPTION, Kind.SPOT)
    for side, ladder, falling in (("bid", "bids", True), ("ask", "asks", False)):
        row[side] = fields.known(f"best_{side}_price", must_exist=True)
        if not is_open:
            # Nobody can trade against what stands in a closed book.
            row[side] = None
        size = fields.known(f"best_{side}_amount")
        if size is None and in_coins:
            size = options.size_of(contract.underlying)
        row[f"{side}_size"] = size if row[side] is not None else None
        levels = row[ladder] = fields.ladder(ladder, falling)
        if not is_open:
            levels = row[ladder] = []
        if levels and levels[0][0] != row[side]:
            what = f"the order book and best_{side}_price disagree"
            fields.refuse(ladder, what, levels[0][0], str(row[side]))
    return row


def _check_contract(fields: Fields, contract: Contract) -> None:
    """What the item says beside its name must be what the name says."""
    if isinstance(contract, Option | Future):
        expiry_ms = fields.number("expiration_timestamp")
        if expiry_ms is not None and expiry_ms * NS_PER_MS != contract.expiry_ns:
            _disagrees(fields, "expiration_timestamp", expiry_ms, contract.expiry_ns // NS_PER_MS)
    if isinstance(contract, Option):
        strike = fields.number("strike")
        if strike is not None and strike != contract.strike:
            _disagrees(fields, "strike", strike, contract.strike)
        right = fields.text_or_none("option_type")
        if right is not None and _RIGHTS.get(right) is not contract.right:
            _disagrees(fields, "option_type", right, contract.right.name.lower())


def _disagrees(fields: Fields, key: str, observed: object, named: object) -> NoReturn:
    fields.refuse(key, "the field and the instrument's name disagree", observed, f"{named}, as the name says")


def _seen(tickers: Sequence[Row]) -> pl.DataFrame:
    """Options and indices per batch, as `hedge_quotes` takes them.

    The expiry that stands for the perpetual is the nearest alive of all seen so far: where a batch holds far
    options only, their forward is no perpetual, and none is made.
    """
    stamps = {
        row["seq"]: row["venue_ns"] for row in tickers
    }  # the last of each batch: rows are in time order
    expiries: dict[str, set[int]] = {}
    by_batch: dict[int, list[Row]] = {}
    for row in tickers:
        by_batch.setdefault(row["seq"], []).append(row)
    rows = []
    for seq, batch in by_batch.items():
        for row in batch:
            if row["forward"] is not None and row["expiry_ns"] is not None:
                expiries.setdefault(row["currency"], set()).add(row["expiry_ns"])
        alive = {c: [e for e in dates if e > stamps[seq]] for c, dates in expiries.items()}
        front = {currency: min(dates) for currency, dates in alive.items() if dates}
        rows += [
            (
                seq,
                stamps[seq],
                row["currency"],
                row["expiry_ns"],
                row["forward"],
                row["forward_name"],
                row["index"],
                front.get(row["currency"]),
            )
            for row in batch
        ]
    schema = {
        "seq": pl.Int64, "stamp_ns": pl.Int64, "currency": pl.String, "expiry_ns": pl.Int64,
        "forward": pl.Float64, "forward_name": pl.String, "index": pl.Float64, "front_ns": pl.Int64,
    }  # fmt: skip
    return pl.DataFrame(rows, schema=schema, orient="row")


def _levels(row: Row) -> list[tuple[object, ...]]:
    """Rows of depth.parquet."""
    stamps = (row["seq"], row["venue_ns"], row["local_ns"], row["venue"], row["symbol"])
    sides = (("bid", row["bids"]), ("ask", row["asks"]))
    return [(*stamps, side, i, *level) for side, ladder in sides for i, level in enumerate(ladder)]
