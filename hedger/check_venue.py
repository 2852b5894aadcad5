"""Our Greeks against the venue's, each quote at its own stamp, in the venue's own display units."""

from __future__ import annotations

from typing import Any

import numpy as np
from rich.table import Table

from hedger.snapshot import Snapshot
from pricing import black76
from pricing.conventions import deribit_display
from pricing.daycount import years_between
from venues.tape import Tape

#: What is compared, by the names of both sides. Deribit publishes five decimals of each.
_GREEKS = ("delta", "gamma", "vega", "theta")


def check_document(tape: Tape, snapshot: Snapshot) -> dict[str, Any]:
    """Worst and median absolute difference per venue and Greek at the snapshot's batch.

    Only venues whose display convention is known are compared; options without a published value,
    forward or vol are left out and counted.
    """
    frame = tape.venue_greeks_at(snapshot.market.now_ns)
    universe = snapshot.market.universe
    result: dict[str, Any] = {"compared": 0, "left_out": 0, "greeks": {}}
    if frame.is_empty():
        return result
    rows = np.array(
        [universe.positions[key] for key in zip(frame["venue"], frame["symbol"], strict=True)], dtype=np.int64
    )

    def column(name: str) -> np.ndarray[Any, np.dtype[np.float64]]:
        return np.asarray(frame[name].cast(float).fill_null(float("nan")).to_numpy(), dtype=np.float64)

    forward, vol, mark = column("forward"), column("mark_iv"), column("mark")
    years = years_between(frame["venue_ns"].to_numpy(), universe.expiry_ns[rows])
    known = universe.is_option[rows] & universe.inverse[rows] & (years > 0)
    known &= np.array([venue in ("deribit",) for venue in frame["venue"]])
    known &= np.isfinite(forward) & np.isfinite(vol)
    result["compared"] = int(known.sum())
    result["left_out"] = int((universe.is_option[rows] & ~known).sum())
    ours = black76.greeks(
        forward[known], universe.strike[rows][known], years[known], vol[known], universe.sign[rows][known]
    )
    shown = deribit_display(ours, mark[known], forward[known], years[known])
    symbols = np.array([universe.listings[i].symbol for i in rows])[known]
    for name in _GREEKS:
        difference = np.abs(np.asarray(getattr(shown, name)) - column(f"venue_{name}")[known])
        if np.isfinite(difference).any():
            worst = int(np.nanargmax(difference))
            result["greeks"][name] = {
                "worst": float(difference[worst]),
                "median": float(np.nanmedian(difference)),
                "worst_symbol": str(symbols[worst]),
            }
    return result


def check_view(document: dict[str, Any]) -> Table:
    """The comparison for people."""
    table = Table(
        title=f"Ours against the venue's: {document['compared']} options, {document['left_out']} left out"
    )
    for name in ("Greek", "worst", "median", "worst at"):
        table.add_column(name)
    for greek, figures in document["greeks"].items():
        table.add_row(greek, f"{figures['worst']:.2g}", f"{figures['median']:.2g}", figures["worst_symbol"])
    return table
