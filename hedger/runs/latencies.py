"""Recorded latencies for the paper venue: a CSV file, a column for each way, a row for each measurement."""

from __future__ import annotations

import csv
import math
from pathlib import Path

from pricing.errors import InputError, refuse_repeated
from venues.paper_terms import LATENCY_NS_MAX, Empirical, Latencies

#: From the venue's book to us, from us to the venue's matching, and back to us.
COLUMNS = ("feed_ms", "order_ms", "answer_ms")
NOTHING = "nothing was started"
_NS_PER_MS = 1_000_000


def read_latencies(path: Path) -> Latencies:
    """The latencies of a file; each is drawn from its own column, an empty cell is no measurement.

    Raises:
        InputError: it cannot be read, lacks a column, or holds what is no latency.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file, strict=True)
            refuse_repeated(table.fieldnames or (), str(path), NOTHING)
            rows = list(table)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise _refusal(
            "LATENCY_UNREADABLE", "cannot read the latencies", path, str(error), "a CSV file"
        ) from None
    if not rows or any(name not in rows[0] for name in COLUMNS):
        observed = ", ".join(map(str, rows[0])) if rows else "no rows"
        raise _refusal("LATENCY_COLUMNS", "columns are missing", path, observed, ", ".join(COLUMNS))
    samples: dict[str, tuple[int, ...]] = {}
    for name in COLUMNS:
        told = [(line, row[name]) for line, row in enumerate(rows, 2) if (row[name] or "").strip()]
        samples[name] = tuple(_ns(text, f"{path}, line {line}, {name}") for line, text in told)
        if not samples[name]:
            raise _refusal("LATENCY_EMPTY", f"{name} has no measurement", path, "none", "one or more")
    return Latencies(*(Empirical(samples[name]) for name in COLUMNS))


def _ns(text: str, where: str) -> int:
    try:
        ms = float(text)
    except ValueError:
        ms = math.nan
    if not 0 <= ms * _NS_PER_MS <= LATENCY_NS_MAX:
        raise _refusal(
            "LATENCY_VALUE", "not a latency", where, text, f"0 to {LATENCY_NS_MAX // _NS_PER_MS} ms"
        )
    return round(ms * _NS_PER_MS)


def _refusal(code: str, what: str, where: Path | str, observed: str, allowed: str) -> InputError:
    return InputError(
        code,
        what,
        where=str(where),
        observed=observed,
        allowed=allowed,
        not_done=NOTHING,
        fix="correct the file that paper.latency_file names, or leave the key out",
    )
