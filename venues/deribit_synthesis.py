"""Hedge instruments that a recording of options lacks: perpetual, dated futures, spot, around a mid.

What is made here is told by the options of `tape import` and recorded on the tape; it stands for instruments
that existed at the time, at a width and size the user chose.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from decimal import Decimal

import numpy as np
import polars as pl

from pricing.contracts import Contract, Future, Listing
from pricing.market import ForwardKind
from venues.deribit_names import forward_kind, parse_name
from venues.import_options import ImportOptions
from venues.tape_schema import QUOTE_SCHEMA

Lister = Callable[[str, Contract], Listing]


def median(values: pl.Series) -> float | None:
    """Median of the known values (the mean of the middle two of an even count); None where none is known."""
    known = values.drop_nulls().to_numpy()
    return float(np.median(known)) if known.size else None


def hedge_quotes(
    options_seen: pl.DataFrame,
    held: Set[str],
    options: ImportOptions,
    perp_mids: Mapping[tuple[int, str], float],
    lister: Lister,
) -> pl.DataFrame:
    """Quotes of the instruments that a source of options lacks, one of each per batch.

    Args:
        options_seen: rows of options and whatever else carries an index: seq, stamp_ns (the batch's),
            currency, expiry_ns (null where none), forward, forward_name, index and front_ns, the expiry whose
            forward stands for the perpetual's mid. `seq` rises.
        held: symbols that the source has itself; nothing is made in their place.
        perp_mids: by (stamp_ns, currency), mids that replace the perpetual's.
        lister: makes (or finds) the listing of a symbol.

    Returns:
        Rows with the tape's quote columns, without `flag`.
    """
    rows: list[dict[str, object]] = []
    for group in options_seen.partition_by("seq", "currency", maintain_order=True):
        seq, stamp_ns, currency = group.select("seq", "stamp_ns", "currency").row(0)
        index = median(group["index"])
        alive = group.filter(pl.col("expiry_ns") > stamp_ns)
        mids: list[tuple[str, float | None, float, float | None]] = []
        front = alive.filter(pl.col("expiry_ns") == pl.col("front_ns"))
        mid = perp_mids.get((stamp_ns, currency), median(front["forward"]))
        mids.append((f"{currency}-PERPETUAL", mid, options.perp_spread_bps, options.perp_size_usd))
        for name in sorted(alive["forward_name"].drop_nulls().unique().to_list()):
            if forward_kind(name) is ForwardKind.LISTED_FUTURE and isinstance(parse_name(name), Future):
                mid = median(alive.filter(pl.col("forward_name") == name)["forward"])
                mids.append((name, mid, options.future_spread_bps, options.future_size_usd))
        mids.append((f"{currency}_USDC", index, options.spot_spread_bps, options.size_of(currency)))
        for symbol, mid, width_bps, size in mids:
            if mid is None or symbol in held:
                continue
            listing = lister(symbol, parse_name(symbol))
            rows.append(_quote(listing, mid, width_bps, size) | _stamps(seq, stamp_ns) | {"index": index})
    schema = {name: kind for name, kind in QUOTE_SCHEMA.items() if name != "flag"}
    return pl.DataFrame(rows, schema=schema)


def _quote(listing: Listing, mid: float, width_bps: float, size: float | None) -> dict[str, object]:
    """A quote around a mid, each side rounded outward to the tick in exact decimals."""
    exact, half = Decimal(repr(mid)), Decimal(repr(width_bps)) / 20_000
    bid = listing.price_floor(exact * (1 - half))
    ask = listing.price_ceiling(exact * (1 + half))
    quoted = bid > 0  # a price below the first tick has no bid: null, not 0
    return {
        "venue": listing.venue,
        "symbol": listing.symbol,
        "bid": float(bid) if quoted else None,
        "bid_size": size if quoted else None,
        "ask": float(ask),
        "ask_size": size,
        "mark": mid,
    }


def _stamps(seq: int, stamp_ns: int) -> dict[str, object]:
    return {"seq": seq, "venue_ns": stamp_ns, "local_ns": stamp_ns}
