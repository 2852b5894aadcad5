"""Which alerts a person has seen: a file of lines beside the journal, outside the record and its chain.

An alert is the engine's word and stands in the journal; that somebody has read it is the desk's, binds the
engine to nothing, and is written by whoever reads it. A decision may tell several things: an alert is known
by its record and its place among the alerts there, so that what was seen of one hides none of the others. A
line that cannot be read is passed over: at worst an alert is shown as new once more.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from pricing.errors import InputError

#: What is read at most; far more than a desk acknowledges in the life of a journal.
BYTES_MAX = 4 << 20
_USER_MAX = 64
#: An alert: number of its record, and its place among the alerts there, from 0.
Which = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """which: the alert. at_ns: UTC."""

    which: Which
    user: str
    at_ns: int


def place_of(journal: Path) -> Path:
    """The file beside a journal."""
    return journal.with_name(journal.name + ".acknowledged")


def acknowledge(journal: Path, which: Which, user: str, at_ns: int) -> None:
    """Note that an alert was seen.

    Raises:
        InputError: it cannot be written.
    """
    record, place = which
    told = {"record": record, "place": place, "user": user[:_USER_MAX], "at_ns": at_ns}
    line = json.dumps(told) + "\n"
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
        descriptor = os.open(place_of(journal), flags, 0o600)
        try:
            os.write(descriptor, line.encode())  # one short write: lines of several terminals do not mix
        finally:
            os.close(descriptor)
    except OSError as error:
        raise InputError(
            "ACKNOWLEDGE",
            "it cannot be noted that an alert was seen",
            where=place_of(journal).name,
            observed=error.strerror or error,
            allowed="a folder with rights and space",
            not_done="the alert stays new",
            fix="see to the journal's folder",
        ) from error


def acknowledged(journal: Path) -> dict[Which, Acknowledged]:
    """Who has seen which alert; the first word counts. Nothing where there is no such file."""
    try:
        with place_of(journal).open("rb") as file:
            lines = file.read(BYTES_MAX).splitlines()
    except OSError:
        return {}
    found: dict[Which, Acknowledged] = {}
    for line in lines:
        told = _read(line)
        if told is not None:
            found.setdefault(told.which, told)
    return found


def _read(line: bytes) -> Acknowledged | None:
    try:
        told = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(told, dict):
        return None
    record, place, at_ns = (told.get(name) for name in ("record", "place", "at_ns"))
    user = told.get("user")
    if type(record) is not int or type(place) is not int or type(at_ns) is not int:
        return None
    return Acknowledged((record, place), user[:_USER_MAX], at_ns) if isinstance(user, str) else None
