"""Margin parameters shipped with the package, by venue and day: hedger/tables/VENUE_margin.toml."""

from __future__ import annotations

import tomllib
from dataclasses import fields
from datetime import UTC, date, datetime
from functools import lru_cache
from importlib import resources
from typing import Any, TypeVar

from pricing.daycount import NS_PER_SECOND
from pricing.errors import InputError
from risk.margin_terms import MarginTerms, MatrixTerms, StandardTerms

Terms = TypeVar("Terms", StandardTerms, MatrixTerms)


def margin_terms(venue: str, at_ns: int) -> MarginTerms | None:
    """A venue's margin parameters at a time, UTC nanoseconds; None where the package ships no table of it.

    A coin is left out before its first entry: nothing is known of it then.

    Raises:
        InputError: a shipped table is damaged.
    """
    document = _document(venue)
    if document is None:
        return None
    numbers = _borrowed(document["like"]) if "like" in document else document
    at = datetime.fromtimestamp(at_ns // NS_PER_SECOND, UTC).date()
    unknown_from = document.get("standard_unknown_from")
    note = document.get("standard_unknown_note", "") if unknown_from and at >= unknown_from else ""
    return MarginTerms(
        venue=document["venue"],
        standard=_in_force(numbers.get("standard", []), at, StandardTerms),
        matrix=_in_force(numbers.get("matrix", []), at, MatrixTerms),
        note=note,
    )


def _borrowed(venue: str) -> dict[str, Any]:
    """The numbers of another venue's table; an estimate of that one is a rule where it is borrowed."""
    of = _document(venue) or {}
    kinds = ("standard", "matrix")
    return {kind: [entry | {"confirmed": True} for entry in of.get(kind, [])] for kind in kinds}


def _in_force(entries: list[dict[str, Any]], at: date, kind: type[Terms]) -> dict[str, Terms]:
    """The newest entry of each coin that holds on a day."""
    found: dict[str, Terms] = {}
    names = [item.name for item in fields(kind)]
    for entry in sorted(entries, key=lambda item: item["effective_from"]):
        if entry["effective_from"] <= at:
            values = {name: entry[name] for name in names}
            if "extended_moves" in values:
                values["extended_moves"] = tuple(values["extended_moves"])
            found[entry["underlying"]] = kind(**values)
    return found


@lru_cache(maxsize=8)
def _document(venue: str) -> dict[str, Any] | None:
    tables = resources.files("hedger") / "tables"
    known = [item.name for item in tables.iterdir()]
    name = f"{venue}_margin.toml"
    if name not in known:
        return None
    try:
        return tomllib.loads((tables / name).read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(
            "MARGIN_TABLE",
            "a shipped margin table is damaged",
            where=f"hedger/tables/{name}",
            observed=error,
            fix="reinstall the package",
        ) from None
