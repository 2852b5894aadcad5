"""What the doctor says of one thing that was looked at: good, something to know, or bad, with the way out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pricing.errors import HedgerError


class Finding(StrEnum):
    """How a check ended."""

    GOOD = "good"
    NOTE = "note"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Check:
    """One line: what was looked at, how it is, and what was found in words. figures: in the unit of each
    name, None where it cannot be told. code: of what is bad, empty otherwise."""

    what: str
    finding: Finding
    text: str
    figures: tuple[tuple[str, float | None], ...] = ()
    code: str = ""

    def document(self) -> dict[str, Any]:
        """For JSON."""
        told = {
            "check": self.what,
            "finding": str(self.finding),
            "code": self.code or None,
            "text": self.text,
        }
        return told | dict(self.figures)


def bad(
    what: str,
    code: str,
    fault: str,
    *,
    where: str = "",
    observed: object = None,
    allowed: str = "",
    fix: str = "",
    figures: tuple[tuple[str, float | None], ...] = (),
) -> Check:
    """A check that stands against live trading, in the words of every other error."""
    told = HedgerError(
        code, fault, where=where, observed=observed, allowed=allowed, not_done="nothing was sent", fix=fix
    )
    return from_error(what, told, figures)


def from_error(what: str, error: HedgerError, figures: tuple[tuple[str, float | None], ...] = ()) -> Check:
    """The same of an error that was met on the way."""
    return Check(what, Finding.BAD, error.text(), figures, error.code)
