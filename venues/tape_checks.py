"""What makes rows of a tape unsound: a line for each finding, with file, row, column, value, allowed."""

from __future__ import annotations

import polars as pl

from venues.tape_schema import OPTIONAL_QUOTE_COLUMNS, QUOTE_SCHEMA, STAMP_NS_MAX, STAMPS, flag_column

#: Missing is null, never 0: these are above 0 wherever they are known.
_POSITIVE = ("bid", "bid_size", "ask", "ask_size", "forward", "index")
_NOT_NEGATIVE = ("mark", "mark_iv", "open_interest")


def quote_problems(quotes: pl.DataFrame, listings: pl.DataFrame) -> list[str]:
    """What is unsound about quotes; empty when nothing is."""
    name = "quotes.parquet"
    problems = _stamp_problems(name, quotes, listings) + _order_problems(name, quotes)
    if problems:
        return problems
    twice = pl.struct("seq", "venue", "symbol").is_duplicated()
    problems += _rows(name, quotes, twice, "symbol", "each venue and symbol once in a batch")
    for column, kind in {**QUOTE_SCHEMA, **OPTIONAL_QUOTE_COLUMNS}.items():
        if kind == pl.Float64 and column in quotes.columns:
            bad = ~pl.col(column).is_finite()
            problems += _rows(name, quotes, bad, column, "a finite number or null")
    for column in _POSITIVE:
        problems += _rows(name, quotes, pl.col(column) <= 0, column, "above 0, or null where unknown")
    for column in _NOT_NEGATIVE:
        problems += _rows(name, quotes, pl.col(column) < 0, column, "0 or above")
    if not problems and "flag" in quotes.columns:
        marked = quotes.with_columns(flag_column(quotes, listings).alias("expected"))
        bad = pl.col("flag").ne_missing(pl.col("expected"))
        problems += _rows(name, marked, bad, "flag", "the reason its own numbers give")
    return problems


def depth_problems(depth: pl.DataFrame, quotes: pl.DataFrame, listings: pl.DataFrame) -> list[str]:
    """What is unsound about order books; empty when nothing is. Best price first, levels from 0."""
    name = "depth.parquet"
    problems = _stamp_problems(name, depth, listings) + _order_problems(name, depth, batches=False)
    problems += _levels(name, depth, {"bid", "ask"})
    problems += _rows(name, depth, ~(pl.col("level") >= 0), "level", "levels from 0")
    if problems:
        return problems
    key = ["seq", "venue", "symbol"]
    unquoted = depth.select(key).join(quotes.select(key), on=key, how="anti")
    if unquoted.height:
        first = unquoted.row(0)
        problems.append(f"{name}: {unquoted.height} rows without a quote in their batch, first {first}")
    ladder = depth.sort(*key, "side", "level", maintain_order=True)
    same = pl.all_horizontal(pl.col(c) == pl.col(c).shift() for c in (*key, "side"))
    begins = ~same.fill_null(False)
    skipped = (
        pl.when(begins).then(pl.col("level") != 0).otherwise(pl.col("level") != pl.col("level").shift() + 1)
    )
    problems += _rows(name, ladder, skipped, "level", "0, 1, 2, ... on each side", "ladder row")
    step = pl.col("price") - pl.col("price").shift()
    worse = pl.when(pl.col("side") == "bid").then(step < 0).otherwise(step > 0)
    bad = ~begins & ~worse
    return problems + _rows(name, ladder, bad, "price", "each level worse than the one before", "ladder row")


def trade_problems(trades: pl.DataFrame, listings: pl.DataFrame) -> list[str]:
    """What is unsound about trades; empty when nothing is."""
    name = "trades.parquet"
    problems = _stamp_problems(name, trades, listings)
    return problems + _levels(name, trades, {"buy", "sell"})


def timetable_problems(timetable: pl.DataFrame) -> list[str]:
    """What is unsound about a run's timetable; empty when nothing is. Without its end it is of a run that was
    cut off, or a part of one."""
    name = "timetable.parquet"
    problems = []
    for column in timetable.columns:
        problems += _rows(name, timetable, pl.col(column).is_null(), column, "a value")
    early = (pl.col("what") == "end") & (pl.int_range(pl.len()) < pl.len() - 1)
    return problems + _rows(name, timetable, early, "what", "end as the last row")


def _levels(name: str, frame: pl.DataFrame, sides: set[str]) -> list[str]:
    problems = _rows(name, frame, ~pl.col("side").is_in(sorted(sides)), "side", " or ".join(sorted(sides)))
    for column in ("price", "size"):
        bad = ~(pl.col(column).is_finite() & (pl.col(column) > 0))
        problems += _rows(name, frame, bad, column, "a finite number above 0")
    return problems


def _stamp_problems(name: str, frame: pl.DataFrame, listings: pl.DataFrame) -> list[str]:
    problems = []
    for column in (c for c in STAMPS if c in frame.columns):
        problems += _rows(name, frame, pl.col(column).is_null(), column, "a value")
    for column in ("venue_ns", "local_ns"):
        bad = (pl.col(column) <= 0) | (pl.col(column) > STAMP_NS_MAX)
        problems += _rows(name, frame, bad, column, "nanoseconds since 1970")
    strangers = frame.join(listings.select("venue", "symbol"), on=["venue", "symbol"], how="anti")
    if strangers.height:
        first = strangers.select("venue", "symbol").row(0)
        problems.append(f"{name}: {strangers.height} rows on symbols that are not in listings, first {first}")
    return problems


def _order_problems(name: str, frame: pl.DataFrame, batches: bool = True) -> list[str]:
    problems = _rows(name, frame, pl.col("seq") < 0, "seq", "0 or above")
    problems += _rows(name, frame, pl.col("seq") < pl.col("seq").shift(), "seq", "never falling")
    if batches and not problems:
        times = frame.group_by("seq", maintain_order=True).agg(pl.col("local_ns").max())
        back = pl.col("local_ns") < pl.col("local_ns").shift()
        problems += _rows(name, times, back, "local_ns", "time never goes back from batch to batch", "batch")
    return problems


def _rows(
    name: str, frame: pl.DataFrame, bad: pl.Expr, column: str, allowed: str, unit: str = "row"
) -> list[str]:
    """One line about the rows where `bad` holds; null is bad in a book or trade, not in a quote."""
    required = column in ("side", "price", "size", "level")
    found = frame.select(bad.fill_null(required)).to_series().arg_true()
    if not len(found):
        return []
    first = int(found[0])
    observed = frame[column][first]
    return [
        f"{name}, {unit} {first + 1}, column {column}: {observed!r}, allowed: {allowed} (rows: {len(found)})"
    ]
