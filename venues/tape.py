"""Recorded market data: a folder of listings, quotes, order books and trades; written whole, read lazily.

The tape holds what we saw. This module is its front door: `write`, `Tape` to read, `info` and `verify`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from pricing.contracts import Kind
from pricing.daycount import NS_PER_SECOND, iso
from pricing.errors import InputError
from pricing.universe import Universe
from venues.source_files import sha256_of
from venues.tape_checks import depth_problems, quote_problems, timetable_problems, trade_problems
from venues.tape_files import clock_offsets, counts_of, files_of, read_description, write
from venues.tape_reader import Batches, Tape, Trades
from venues.tape_schema import DEPTH_SCHEMA, SCHEMAS, listings_from

__all__ = ["Batches", "Tape", "Trades", "info", "verify", "write"]

_GAPS_SHOWN = 5


def info(path: Path | str) -> dict[str, Any]:
    """What is on a tape, for JSON: source, span, batches, rows, listings, flags, gaps, offsets, notes."""
    tape = Tape.open(path)
    batches, universe = tape.batches, tape.universe
    listings: dict[str, dict[str, int]] = {}
    for listing in universe.listings:
        per_kind = listings.setdefault(listing.contract.underlying, {})
        kind = Kind(listing.contract.kind).name.lower()
        per_kind[kind] = per_kind.get(kind, 0) + 1
    minutes = np.diff(batches.now_ns) / (60 * NS_PER_SECOND)
    longest = np.argsort(-minutes, kind="stable")[:_GAPS_SHOWN]
    counts = tape.counts()
    first, last = int(batches.now_ns[0]), int(batches.now_ns[-1])
    return {
        "format_version": tape.description["format_version"],
        "source": tape.description["source"],
        "span": {"from": iso(first), "to": iso(last), "from_ns": first, "to_ns": last},
        "batches": counts["batches"],
        "rows": {name: counts[name] for name in SCHEMAS},
        "listings": {underlying: listings[underlying] for underlying in universe.underlyings},
        "flags": counts["flags"],
        "gaps": [
            {
                "minutes": float(minutes[i]),
                "from": iso(int(batches.now_ns[i])),
                "to": iso(int(batches.now_ns[i + 1])),
            }
            for i in longest
        ],
        "outages": tape.description.get("outages", []),
        "clock_offset_ns": tape.description["clock_offset_ns"],
        "notes": tape.description["notes"],
        "options": tape.description["options"],
    }


def verify(path: Path | str) -> list[str]:
    """What is wrong with a tape; empty = sound.

    Raises:
        InputError: there is no tape, or its tape.json cannot be read.
    """
    folder = Path(path)
    description = read_description(folder)
    damaged = []
    files = {file for name in SCHEMAS for file in files_of(name, description)}
    for name in sorted({"listings.parquet", "quotes.parquet", *description["hash"]} & files):
        file = folder / name
        if not file.is_file():
            damaged.append(f"{name}: missing")
        elif name not in description["hash"]:
            damaged.append(f"{name}: no hash in tape.json")
        elif sha256_of(file) != description["hash"][name]:
            damaged.append(f"{name}: its SHA-256 is not the one in tape.json")
    problems = damaged + [
        f"{name}: named in tape.json, not a file of a tape" for name in sorted({*description["hash"]} - files)
    ]
    unnamed = (files & {item.name for item in folder.iterdir()}) - set(description["hash"])
    problems += [f"{name}: not named in tape.json" for name in sorted(unnamed)]
    if damaged:
        return problems  # what is not the file that was written is not read: see `Tape.open`
    try:
        tape = Tape.of_hashed(folder, description)
        tables = {name: tape.frame(name) for name in SCHEMAS if name in tape.present}
        universe = Universe.of(listings_from(tables["listings"]))
    except InputError as error:
        return [*problems, error.text()]
    listings, quotes = tables["listings"], tables["quotes"]
    problems += quote_problems(quotes, listings) if quotes.height else ["quotes.parquet: no rows"]
    problems += depth_problems(tables.get("depth", pl.DataFrame(schema=DEPTH_SCHEMA)), quotes, listings)
    if "trades" in tables:
        problems += trade_problems(tables["trades"], listings)
    if "timetable" in tables:
        problems += timetable_problems(tables["timetable"])
    if not problems:
        if description["clock_offset_ns"] != clock_offsets(tables):
            problems.append(f"tape.json: clock_offset_ns is not {clock_offsets(tables)}")
        if description["counts"] != counts_of(tables):
            problems.append(f"tape.json: counts are not {counts_of(tables)}")
    assert len(universe) == listings.height
    return problems
