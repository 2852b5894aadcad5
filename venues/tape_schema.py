"""The tape's tables: columns and types, listings to and from rows, and what makes rows unsound."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

import numpy as np
import polars as pl

from pricing.contracts import (
    ComboRule,
    Contract,
    Fees,
    Future,
    Kind,
    Listing,
    Option,
    Perpetual,
    Right,
    Spot,
    TickSteps,
)
from pricing.errors import InputError
from pricing.market import QUOTE_FIELDS, Flag, Marks, quote_flags
from venues.deribit_names import forward_kind

FORMAT_VERSION = 1

LISTING_SCHEMA = pl.Schema(
    {
        "venue": pl.String,
        "symbol": pl.String,
        "kind": pl.String,
        "underlying": pl.String,
        "settlement_currency": pl.String,
        "payoff": pl.String,
        "size": pl.String,
        "tick_steps": pl.String,
        "lot": pl.String,
        "minimum": pl.String,
        "strike": pl.Float64,
        "expiry_ns": pl.Int64,
        "right": pl.String,
        "maker_fee": pl.String,
        "taker_fee": pl.String,
        "fee_cap": pl.String,
        "combo_rule": pl.String,
    }
)
STAMPS = {
    "seq": pl.Int64,
    "venue_ns": pl.Int64,
    "local_ns": pl.Int64,
    "venue": pl.String,
    "symbol": pl.String,
}
GREEKS = ("delta", "gamma", "vega", "theta", "rho")
VENUE_GREEKS = tuple(f"venue_{greek}" for greek in GREEKS)
QUOTE_SCHEMA = pl.Schema(
    STAMPS
    | {name: pl.Float64 for name in ("bid", "bid_size", "ask", "ask_size", "mark", "mark_iv", "forward")}
    | {"forward_name": pl.String}
    | {name: pl.Float64 for name in ("index", "funding_rate", "open_interest", *VENUE_GREEKS)}
    | {"flag": pl.String}
)
#: Columns that only some venues and sources fill; a tape has them where its source does. greeks_index: the
#: index at the call that brought the venue's Greeks, where prices came by another. *_bs: the second set of
#: Greeks that OKX publishes (Black-Scholes, in USD).
OPTIONAL_QUOTE_COLUMNS = pl.Schema(
    {
        name: pl.Float64
        for name in ("greeks_index", "venue_delta_bs", "venue_gamma_bs", "venue_vega_bs", "venue_theta_bs")
    }
)
DEPTH_SCHEMA = pl.Schema(
    STAMPS | {"side": pl.String, "level": pl.Int64, "price": pl.Float64, "size": pl.Float64}
)
TRADE_SCHEMA = pl.Schema(
    {name: kind for name, kind in STAMPS.items() if name != "seq"}
    | {"trade_id": pl.String, "side": pl.String, "price": pl.Float64, "size": pl.Float64}
)
#: Of a run that was put on the tape: what it did when, in order; see `hedger.runs.timetable`.
TIMETABLE_SCHEMA = pl.Schema(
    {
        "what": pl.String,
        "venue": pl.String,
        "now_ns": pl.Int64,
        "monotonic_ns": pl.Int64,
        "number": pl.Int64,
        "text": pl.String,
    }
)
#: The last stamp in nanoseconds that a row may carry (year 2116).
STAMP_NS_MAX = 2**62
SCHEMAS = {
    "listings": LISTING_SCHEMA,
    "quotes": QUOTE_SCHEMA,
    "depth": DEPTH_SCHEMA,
    "trades": TRADE_SCHEMA,
    "timetable": TIMETABLE_SCHEMA,
}


def listings_frame(listings: Iterable[Listing]) -> pl.DataFrame:
    """Listings as rows of `listings.parquet`; decimals as exact text."""
    return pl.DataFrame([_listing_row(listing) for listing in listings], schema=LISTING_SCHEMA)


def listings_from(frame: pl.DataFrame, where: str = "listings.parquet") -> tuple[Listing, ...]:
    """Rows of `listings.parquet` as listings.

    Raises:
        InputError: a row is no listing; named by file and row.
    """
    listings = []
    for number, row in enumerate(frame.iter_rows(named=True), start=1):
        try:
            listings.append(_listing(row))
        except (ValueError, KeyError, TypeError, ArithmeticError) as error:
            raise InputError(
                "TAPE_LISTING",
                "a row is no listing",
                where=f"{where}, row {number}",
                observed=f"{row['venue']} {row['symbol']}: {error}",
                allowed="a listing as `tape import` writes it",
                fix="import the tape again from its source",
            ) from error
    return tuple(listings)


def arrays(frame: pl.DataFrame) -> dict[str, Any]:
    """The columns that `Marks` takes from quotes, null as NaN; each (len(frame),)."""
    columns: dict[str, Any] = {name: frame[name].to_numpy() for name in QUOTE_FIELDS}
    columns["venue_ns"] = frame["venue_ns"].to_numpy()
    names = frame["forward_name"]
    codes = {name: int(forward_kind(name)) for name in names.unique().to_list()}
    columns["forward_kind"] = names.replace_strict(codes, return_dtype=pl.Int8).to_numpy()
    return columns


def flag_column(quotes: pl.DataFrame, listings: pl.DataFrame) -> pl.Series:
    """Per quote null where it may be traded against, else the reason's word: expired at its own stamp, or
    the first of `pricing.market.quote_flags`."""
    key = ["venue", "symbol"]
    named = quotes.select(key).join(
        listings.select(*key, "expiry_ns", "kind"), on=key, how="left", maintain_order="left"
    )
    expiry_ns = named["expiry_ns"].fill_null(0).to_numpy()
    columns = arrays(quotes)
    marks = Marks(seq=0, now_ns=0, rows=np.arange(quotes.height), **columns)
    option = (named["kind"] == Kind.OPTION.name.lower()).fill_null(False).to_numpy()
    past = (expiry_ns > 0) & (expiry_ns <= columns["venue_ns"])
    tests = {Flag.EXPIRED: past} | quote_flags(marks, option)
    codes = np.select(list(tests.values()), [np.int8(flag) for flag in tests], np.int8(Flag.OK))
    words = {int(flag): None if flag is Flag.OK else flag.reason for flag in Flag}
    return pl.Series("flag", codes, dtype=pl.Int8).replace_strict(words, return_dtype=pl.String)


def _text(value: Decimal) -> str:
    return format(value, "f")


def _listing_row(listing: Listing) -> dict[str, object]:
    contract = listing.contract
    option = contract if isinstance(contract, Option) else None
    return {
        "venue": listing.venue,
        "symbol": listing.symbol,
        "kind": Kind(contract.kind).name.lower(),
        "underlying": contract.underlying,
        "settlement_currency": contract.settlement,
        "payoff": "inverse" if contract.inverse else "linear",
        "size": _text(listing.size),
        "tick_steps": str(listing.tick_steps),
        "lot": _text(listing.lot),
        "minimum": _text(listing.minimum),
        "strike": option.strike if option else None,
        "expiry_ns": contract.expiry_ns if isinstance(contract, Option | Future) else None,
        "right": option.right.value if option else None,
        "maker_fee": _text(listing.fees.maker),
        "taker_fee": _text(listing.fees.taker),
        "fee_cap": None if listing.fees.cap is None else _text(listing.fees.cap),
        "combo_rule": listing.fees.combo.value,
    }


@lru_cache(maxsize=4096)
def _decimal(text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite():
        raise ValueError(f"{text!r} is not a decimal number")
    return value


_tick_steps = lru_cache(maxsize=4096)(TickSteps.parse)


@lru_cache(maxsize=4096)
def _fees(maker: str, taker: str, cap: str | None, combo: str) -> Fees:
    return Fees(_decimal(maker), _decimal(taker), None if cap is None else _decimal(cap), ComboRule(combo))


def _listing(row: dict[str, Any]) -> Listing:
    optional = {"strike", "expiry_ns", "right", "fee_cap"}
    missing = [name for name, value in row.items() if value is None and name not in optional]
    if missing:
        raise ValueError(f"{missing[0]} is null")
    return Listing(
        venue=row["venue"],
        symbol=row["symbol"],
        contract=_contract(row),
        tick_steps=_tick_steps(row["tick_steps"]),
        lot=_decimal(row["lot"]),
        minimum=_decimal(row["minimum"]),
        fees=_fees(row["maker_fee"], row["taker_fee"], row["fee_cap"], row["combo_rule"]),
        size=_decimal(row["size"]),
    )


def _contract(row: dict[str, Any]) -> Contract:
    if row["payoff"] not in ("inverse", "linear"):
        raise ValueError(f"payoff {row['payoff']!r}, allowed: inverse, linear")
    inverse = row["payoff"] == "inverse"
    underlying, settlement, expiry_ns = row["underlying"], row["settlement_currency"], row["expiry_ns"]
    kind = Kind[row["kind"].upper()]
    if kind is Kind.SPOT:
        if inverse:
            raise ValueError("a spot pair is linear")
        return Spot(underlying, settlement)
    if kind is Kind.PERPETUAL:
        return Perpetual(underlying, settlement, inverse)
    if expiry_ns is None or not 0 < expiry_ns <= STAMP_NS_MAX:
        raise ValueError(f"expiry_ns {expiry_ns}")
    if kind is Kind.FUTURE:
        return Future(underlying, settlement, inverse, expiry_ns)
    strike = row["strike"]
    if strike is None or not 0 < strike < float("inf"):
        raise ValueError(f"strike {strike}")
    return Option(underlying, settlement, inverse, expiry_ns, strike, Right(row["right"]))
