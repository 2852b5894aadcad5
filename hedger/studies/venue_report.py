"""What a comparison with a venue's Greeks says: figures, what is flagged and why; for JSON and for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from rich.console import Group, RenderableType
from rich.text import Text

from hedger.studies.check_venue import VenueComparison, compare_batch, places, stamp_error_s
from hedger.width_table import Fitted
from pricing.discrepancies import Reason
from pricing.universe import Universe
from pricing.venue_greeks import GREEKS
from venues.tape import Tape

FLAGS_SHOWN = 12


def check_document(tape: Tape, now_ns: int, universe: Universe) -> dict[str, Any]:
    """The comparison of the newest row of every option alive: figures by venue and Greek, flags and reasons.

    `greeks` holds the figures of the first convention compared, `venues` those of each.
    """
    frame, before = tape.venue_greeks_at(now_ns), tape.venue_greeks_before(now_ns)
    rows = places(frame, universe)
    expired = universe.is_option[rows] & (universe.expiry_ns[rows] <= now_ns)
    frame = frame.filter(pl.Series(~expired))
    compared, left_out = compare_batch(frame, before, universe, stamp_error_s(tape))
    venues = [summary([one]) for one in compared]
    return {
        "compared": sum(len(one.symbols) for one in compared),
        "left_out": left_out,
        "expired": int(expired.sum()),
        "flagged": sum(int(one.comparison.flagged.sum()) for one in compared),
        "greeks": venues[0]["greeks"] if venues else {},
        "venues": venues,
        "flags": [flag for one in compared for flag in _flags(one)],
    }


def summary(parts: Sequence[VenueComparison]) -> dict[str, Any]:
    """Figures of one venue and convention over one or more batches."""
    difference = np.concatenate([part.comparison.difference for part in parts], axis=1)
    allowed = np.concatenate([part.comparison.tolerance for part in parts], axis=1)
    symbols = [symbol for part in parts for symbol in part.symbols]
    greeks = {}
    for number, name in enumerate(GREEKS):
        told = np.isfinite(difference[number])
        if told.any():
            worst = int(np.nanargmax(difference[number]))
            greeks[name] = {
                "compared": int(told.sum()),
                "worst": float(difference[number, worst]),
                "median": float(np.nanmedian(difference[number])),
                "flagged": int((difference[number] > allowed[number]).sum()),
                "worst_symbol": symbols[worst],
            }
    reasons = Counter(
        str(reason) for part in parts for reason in part.comparison.reason if reason is not None
    )
    captures = [capture for part in parts for capture in part.captures]
    return {
        "venue": parts[0].venue,
        "convention": str(parts[0].convention),
        "compared": len(symbols),
        "flagged": int(sum(part.comparison.flagged.sum() for part in parts)),
        "greeks": greeks,
        "reasons": dict(reasons.most_common()),
        "captures": [
            {
                "underlying": c.underlying,
                "index_move": c.move,
                "scatter": c.scatter,
                "options": c.options,
            }
            for c in captures
        ],
    }


def _flags(one: VenueComparison) -> list[dict[str, Any]]:
    """Every flagged option with its differences and the likely reason."""
    found = one.comparison
    flags = []
    for i in np.flatnonzero(found.flagged).tolist():
        reason = found.reason[i] or Reason.UNEXPLAINED
        greeks = {
            name: {
                "ours": float(found.ours[g, i]),
                "venue": float(one.published[g, i]),
                "difference": float(found.difference[g, i]),
                "tolerance": float(found.tolerance[g, i]),
            }
            for g, name in enumerate(GREEKS)
            if found.difference[g, i] > found.tolerance[g, i]
        }
        amount = found.amount[i]
        flags.append(
            {
                "venue": one.venue,
                "convention": str(one.convention),
                "symbol": one.symbols[i],
                "reason": str(reason),
                "amount": float(amount) if np.isfinite(amount) else None,
                "says": said(reason, float(amount)),
                "greeks": greeks,
            }
        )
    return flags


def said(reason: Reason, amount: float) -> str:
    """A reason in words.

    >>> said(Reason.FORWARD_MOVED, 0.0012)
    'taken on a forward 12.0 bp higher'
    """
    way = "higher" if amount > 0 else "lower"
    return {
        Reason.STALE_COPY: "the same figures as in the batch before: a stale copy",
        Reason.SIGN: "the opposite sign",
        Reason.UNITS: f"other units: {amount:.4g} times ours",
        Reason.PREMIUM_ADJUSTED: "premium-adjusted (coin) Greeks",
        Reason.NOT_PREMIUM_ADJUSTED: "plain Black-Scholes Greeks",
        Reason.LAST_DAY_RULE: "theta or gamma scaled otherwise inside the last day",
        Reason.THETA_CAP: "theta capped otherwise",
        Reason.SETTLEMENT_WINDOW: "delta not reduced in the settlement window",
        Reason.INDEX_NOT_FORWARD: f"taken on the index, {abs(amount) * 1e4:.1f} bp {way} than the forward",
        Reason.FORWARD_MOVED: f"taken on a forward {abs(amount) * 1e4:.1f} bp {way}",
        Reason.VOL_MOVED: f"taken on a vol {abs(amount):.2f} points {way}",
        Reason.TIME_MOVED: f"taken {abs(amount):.0f} s {'later' if amount > 0 else 'earlier'}",
        Reason.BOTH_MOVED: f"taken on a forward {abs(amount) * 1e4:.1f} bp {way} and another vol",
        Reason.UNEXPLAINED: "not explained",
    }[reason]


def check_view(document: Mapping[str, Any]) -> RenderableType:
    """The comparison for people."""
    parts: list[RenderableType] = [
        Text(
            f"Ours against the venue's: {document['compared']} compared, {document['left_out']} left out, "
            f"{document['expired']} expired, {document['flagged']} flagged"
        )
    ]
    if document["left_out"]:
        parts.append(Text("left out: no Greeks, vol or forward published, or a venue of unknown convention"))
    for venue in document["venues"]:
        parts.append(_venue_table(venue))
        for capture in venue["captures"]:
            parts.append(
                Text(
                    f"{capture['underlying']}: the index moved {capture['index_move'] * 1e4:+z.1f} bp "
                    f"between the calls for prices and Greeks, {capture['scatter'] * 1e4:.1f} bp left open"
                )
            )
        if venue["reasons"]:
            reasons = ", ".join(f"{name} {count}" for name, count in venue["reasons"].items())
            parts.append(Text(f"flagged, likely reasons: {reasons}"))
    parts += [Text(f"  {flag['symbol']}: {_flag_line(flag)}") for flag in document["flags"][:FLAGS_SHOWN]]
    if len(document["flags"]) > FLAGS_SHOWN:
        parts.append(Text(f"  and {len(document['flags']) - FLAGS_SHOWN} more: --json lists them"))
    return Group(*parts)


def _flag_line(flag: Mapping[str, Any]) -> str:
    figures = ", ".join(
        f"{name} {x['ours']:.6g} against {x['venue']:.6g}" for name, x in flag["greeks"].items()
    )
    return f"{figures}: {flag['says']}"


def _venue_table(venue: Mapping[str, Any]) -> Fitted:
    title = f"{venue['venue']}, convention {venue['convention']}"
    figures = ["compared", "worst", "median", "flagged"]
    table = Fitted(["Greek"], [*figures, "worst at"], title=title, lines=False)
    for name, x in venue["greeks"].items():
        figures = [str(x["compared"]), f"{x['worst']:.2g}", f"{x['median']:.2g}", str(x["flagged"])]
        table.add_row(name, *figures, x["worst_symbol"])
    return table
