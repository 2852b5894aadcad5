"""How far the hard limits were used: worst moment of each that a journal tells of, against what is allowed.

Which limits were in force the journal says; how much of them was used when, `hedger.report.capacity`.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from typing import Any

import polars as pl

from hedger.limits_file import LoadedLimits, read_limits
from hedger.report.capacity import CONTROLS
from hedger.report.walk import ReadJournal
from pricing.errors import InputError
from risk.limit_terms import Limits

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class KnownLimits:
    """The limits that were in force at the last start; None where nobody can say, and why."""

    limits: Limits | None
    unknown: str = ""


def limits_of(journal: ReadJournal, at_hand: LoadedLimits) -> KnownLimits:
    """The limits in the journal, or those at hand if their hash is the journal's."""
    if journal.limits_text:
        try:
            return KnownLimits(read_limits(tomllib.loads(journal.limits_text), "the journal"))
        except (ValueError, RecursionError, InputError) as error:
            return KnownLimits(None, f"the limits in the journal cannot be read: {error}")
    wanted = journal.starts[-1]["limits_sha256"] if journal.starts else ""
    if wanted and wanted == at_hand.sha256:
        return KnownLimits(at_hand.limits)
    return KnownLimits(None, "the journal has only the hash of its limits, and those at hand are others")


def limits_use(made: dict[str, pl.DataFrame]) -> list[Json]:
    """A line per limit, of the table of their use: worst, allowed, share, at_ns; worst and share None where
    never known. note: why, or of what the worst is."""
    lines = []
    for (control, limit), mine in made["limit_use"].group_by(["control", "limit"], maintain_order=True):
        first = mine.row(0, named=True)
        told = mine.drop_nulls("use")
        worst = told.row(told["use"].arg_max() or 0, named=True) if told.height else {}
        why = mine.filter(pl.col("use").is_null())["note"].unique(maintain_order=True)
        note = worst["note"] if worst else "; ".join(why.head(3))
        lines.append(
            {
                **{"control": control, "limit": limit, "unit": first["unit"], "allowed": first["allowed"]},
                **{"share": worst.get("share"), "worst": worst.get("use"), "at_ns": worst.get("now_ns")},
                "note": note,
            }
        )
    return sorted(lines, key=lambda line: CONTROLS.index(line["control"]))
