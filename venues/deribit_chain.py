"""Importer of `deribit-chain`: snapshots of Deribit's whole option chain, a row per option and time.

The columns are listed in the README. A row that cannot be what it says is refused, with its file, row and
column; a quote that is merely no good to trade against is kept and flagged by the tape.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from pricing.contracts import Option
from pricing.daycount import iso
from pricing.errors import InputError
from venues.deribit_names import check_forward_name, check_names, parse_name
from venues.deribit_synthesis import hedge_quotes, median
from venues.import_options import Imported, ImportOptions
from venues.listing_book import ListingBook
from venues.source_files import refuse, sha256_of
from venues.source_tables import (
    NUMBER,
    TEXT,
    TIME,
    Rule,
    apply_rules,
    epoch_ns,
    number_rules,
    price_rules,
    read_columns,
    refuse_twice,
    time_rules,
)

VENUE = "deribit"
CHAIN_COLUMNS: Mapping[str, str] = {
    "ts": TIME, "currency": TEXT, "instrument": TEXT,
    "expiry": TIME, "strike": NUMBER, "option_type": TEXT,
    "bid": NUMBER, "ask": NUMBER, "mark": NUMBER, "mark_iv": NUMBER, "underlying_price": NUMBER,
    "underlying_index": TEXT, "index_price": NUMBER, "delta": NUMBER, "vega": NUMBER,
    "open_interest": NUMBER, "volume_24h": NUMBER, "volume_usd": NUMBER,
}  # fmt: skip
PERP_COLUMNS: Mapping[str, str] = {
    "snapshot_ts": TIME, "currency": TEXT, "instrument": TEXT, "price_used": NUMBER,
}  # fmt: skip
_QUOTE_COLUMNS = {"mark": "mark", "mark_iv": "mark_iv", "forward": "underlying_price"}
_KEPT = {
    "open_interest": "open_interest",
    "venue_delta": "delta",
    "venue_vega": "vega",
    "greeks_index": "index_price",
}


def import_deribit_chain(sources: Sequence[Path], options: ImportOptions) -> Imported:
    """Read chain files as one recording: listings, quotes, and what tape.json keeps.

    Raises:
        InputError: a file, row or option is not as it must be; nothing has been written.
    """
    chain = pl.concat([_read_chain(path) for path in sources]).sort("ts_ns", maintain_order=True)
    refuse_twice(chain, ["ts_ns", "instrument"], "instrument", "each instrument once per snapshot")
    for currency in sorted(chain["currency"].unique().to_list()):
        if options.size_of(currency) is None:
            raise InputError(
                "IMPORT_SIZE",
                "the chain has no sizes, and none is given for a currency in it",
                where="--size-at-touch",
                observed=currency,
                allowed="a size in coins for every currency in the file, or one number for all",
                not_done="nothing was written",
                fix=f"add --size-at-touch {currency}=10, with your size",
            )
    perp_mids = {} if options.perp_file is None else read_perp(Path(options.perp_file))
    chain = chain.with_columns((pl.col("ts_ns").rank("dense").cast(pl.Int64) - 1).alias("seq"))
    index = pl.DataFrame(
        [
            (*group.select("seq", "currency").row(0), median(group["index_price"]))
            for group in chain.partition_by("seq", "currency")
        ],
        schema={"seq": pl.Int64, "currency": pl.String, "index": pl.Float64},
        orient="row",
    )
    chain = chain.join(index, on=["seq", "currency"], how="left", maintain_order="left")

    book = ListingBook(VENUE, chain["ts_ns"][0], chain["ts_ns"][-1])  # sorted above
    for name in sorted(chain["instrument"].unique().to_list()):
        book.listing(name, parse_name(name))
    quotes = _option_quotes(chain, options)
    alive = pl.col("expiry_ns").filter(
        (pl.col("expiry_ns") > pl.col("ts_ns")) & pl.col("underlying_price").is_not_null()
    )
    seen = chain.select(
        "seq",
        "currency",
        "expiry_ns",
        "index",
        stamp_ns="ts_ns",
        forward="underlying_price",
        forward_name="underlying_index",
        front_ns=alive.min().over("seq", "currency"),
    )
    hedges = hedge_quotes(seen, frozenset(), options, perp_mids, book.listing)
    quotes = pl.concat(
        [quotes, hedges.select(c for c in quotes.columns if c != "greeks_index")], how="diagonal"
    )
    quotes = quotes.sort("seq", "symbol")
    notes = [
        "prices come by one call, Greeks and index by another, seconds later: greeks_index is the row's",
        "the source has one stamp per snapshot: venue and local stamps are equal",
        "sizes, the perpetual, the dated futures and spot are not in the source: the options of the import "
        "make them",
        "spot: size-at-touch of its currency, in coins, on each side of the median index",
    ]
    if options.perp_file is not None:
        stamps = set(zip(chain["ts_ns"], chain["currency"], strict=True))
        used = len(stamps & set(perp_mids))
        notes.append(f"perpetual mid from --perp in {used} of {len(stamps)} pairs of snapshot and currency")
    meta = {
        "source": [{"name": path.name, "sha256": sha256_of(path)} for path in options.files(sources)],
        "options": {"format": "deribit-chain", **options.recorded()},
        "notes": notes + book.notes(),
    }
    return Imported(book.listings(), quotes, meta)


def _option_quotes(chain: pl.DataFrame, options: ImportOptions) -> pl.DataFrame:
    sizes = {currency: options.size_of(currency) for currency in chain["currency"].unique().to_list()}
    size = pl.col("currency").replace_strict(sizes, return_dtype=pl.Float64)
    # Deribit writes 0 where nobody quotes; on the tape what is missing is null.
    sides = {side: pl.when(pl.col(side) > 0).then(pl.col(side)) for side in ("bid", "ask")}
    return chain.select(
        "seq",
        venue_ns="ts_ns",
        local_ns="ts_ns",
        venue=pl.lit(VENUE),
        symbol="instrument",
        bid=sides["bid"],
        bid_size=pl.when(pl.col("bid") > 0).then(size),
        ask=sides["ask"],
        ask_size=pl.when(pl.col("ask") > 0).then(size),
        forward_name="underlying_index",
        index="index",
        **_QUOTE_COLUMNS,
        **_KEPT,
    )


def _read_chain(path: Path) -> pl.DataFrame:
    """A chain file with its rows checked; adds ts_ns, expiry_ns, file and row (from 1)."""
    frame = read_columns(path, CHAIN_COLUMNS)
    required = ("ts", "currency", "instrument", "expiry", "strike", "option_type")
    rules = [Rule(c, pl.col(c).is_null(), "a value is missing", "a value") for c in required]
    rules += time_rules(frame, "ts") + time_rules(frame, "expiry") + number_rules(CHAIN_COLUMNS)
    rules += [
        Rule(c, pl.col(c) < 0, "a negative number", "0 or above, or null where unknown")
        for c in ("bid", "ask", "mark", "mark_iv", "open_interest", "volume_24h", "volume_usd")
    ]
    rules += price_rules(["strike", "underlying_price", "index_price"])
    neither = ~pl.col("option_type").is_in(["C", "P"])
    rules.append(Rule("option_type", neither, "not an option type", "C or P"))
    apply_rules(path, frame, rules)
    # whole nanoseconds from here on: files may differ in the unit of their stamps
    frame = frame.with_columns(ts_ns=epoch_ns("ts"), expiry_ns=epoch_ns("expiry")).drop("ts", "expiry")
    _check_contracts(path, frame)
    return frame


def _check_contracts(path: Path, frame: pl.DataFrame) -> None:
    """Each name must say what the columns beside it say, and each forward must be one of its currency."""
    columns = ("instrument", "currency", "expiry_ns", "strike", "option_type")
    cases = frame.group_by(columns, maintain_order=True).agg(pl.col("row").first())
    for name, currency, expiry_ns, strike, right, row in cases.iter_rows():
        contract = check_names(name, f"{path.name}, row {row}, column instrument")
        if not isinstance(contract, Option):
            refuse(
                "SOURCE_NAME",
                "not an option",
                path,
                where=f"{path.name}, row {row}, column instrument",
                observed=name,
                allowed="option names: this format holds options only",
                fix="drop the row at its source",
            )
        pairs = {
            "currency": (currency, contract.underlying),
            "expiry": (expiry_ns, contract.expiry_ns),
            "strike": (strike, contract.strike),
            "option_type": (right, contract.right.value),
        }
        for column, (observed, named) in pairs.items():
            if observed != named:
                if column == "expiry":
                    observed, named = iso(expiry_ns), iso(contract.expiry_ns)
                refuse(
                    "SOURCE_NAME",
                    "the instrument's name and its column disagree",
                    path,
                    where=f"{path.name}, row {row}, column {column}",
                    observed=f"{observed} beside {name}",
                    allowed=f"{named}, as the name says",
                    fix="correct the row at its source",
                )
    forwards = frame.group_by("underlying_index", "currency", maintain_order=True).agg(pl.col("row").first())
    for name, currency, row in forwards.iter_rows():
        check_forward_name(name, currency, f"{path.name}, row {row}, column underlying_index")


def read_perp(path: Path) -> dict[tuple[int, str], float]:
    """Mids of perpetuals by (stamp ns, currency)."""
    frame = read_columns(path, PERP_COLUMNS)
    rules = [Rule(c, pl.col(c).is_null(), "a value is missing", "a value") for c in PERP_COLUMNS]
    rules += time_rules(frame, "snapshot_ts") + number_rules(PERP_COLUMNS)
    rules += price_rules(["price_used"])
    wrong = pl.col("instrument") != pl.col("currency") + "-PERPETUAL"
    rules.append(Rule("instrument", wrong, "not the currency's perpetual", "CUR-PERPETUAL"))
    apply_rules(path, frame, rules)
    frame = frame.with_columns(ts_ns=epoch_ns("snapshot_ts"))
    refuse_twice(frame, ["ts_ns", "currency"], "currency", "each currency once per snapshot")
    keys = zip(frame["ts_ns"], frame["currency"], strict=True)
    return dict(zip(keys, frame["price_used"], strict=True))
