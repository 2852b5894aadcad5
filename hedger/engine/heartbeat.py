"""A sign of life: a small file beside the journal that the engine's own loop writes, and nothing else does.

Whoever watches compares the monotonic time in it with its own: on one machine both count from the same
moment, and no step of the wall clock comes between. A process that was stopped (SIGSTOP) does not write it,
whatever its threads do.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hedger.journal.codec import CodecError, codec

_BYTES_MAX = 65_536


@dataclass(frozen=True, slots=True)
class VenueSign:
    """What only the running engine knows of a venue. Times are UTC, None: never.

    credits: messages that may leave at once by the engine's own count, of burst at most, per_s more a second;
    the last kept of them are for cancels and questions. paces: of questions, where the venue paces them, by
    kind: (left, of), in its costs. timer: whether the venue has a dead man's switch; timer_s: to what we set
    it, None: we set none; armed: it has said that it cancels; refreshed_ns: when the last refresh that it
    took was sent. agreed_ns: the last account report that agreed with the book; reconciled: what came of the
    last question, "" before the first.
    """

    venue: str
    credits: float
    burst: float
    per_s: float
    kept: float
    paces: tuple[tuple[str, float, float], ...]
    timer: bool
    timer_s: float | None
    armed: bool
    refreshed_ns: int | None
    agreed_ns: int | None
    reconciled: str


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Who lives, and when last. stepped_ns: how far the wall clock was moved since the engine's start.

    closed: the engine has ended in order. venues: none where the engine's build does not tell of them.
    """

    pid: int
    monotonic_ns: int
    now_ns: int
    seq: int
    mode: str
    stepped_ns: int = 0
    closed: bool = False
    venues: tuple[VenueSign, ...] = ()


_VENUES = codec(tuple[VenueSign, ...])


def heartbeat_path(journal: Path) -> Path:
    """Where a journal's sign of life is."""
    return journal.with_name(journal.name + ".heartbeat")


def beat(journal: Path, heartbeat: Heartbeat) -> None:
    """Write a sign of life, whole or not at all; it need not survive a power failure.

    Raises:
        OSError: it cannot be written.
    """
    path = heartbeat_path(journal)
    draft = path.with_name(path.name + ".new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, json.dumps(asdict(heartbeat)).encode("ascii"))
    finally:
        os.close(descriptor)
    os.replace(draft, path)


def last_beat(journal: Path) -> Heartbeat | None:
    """The last sign of life; None where there is none that can be read.

    What a newer build says beside it is left aside: its watchdog may be of ours.
    """
    with suppress(OSError, ValueError, TypeError, RecursionError), heartbeat_path(journal).open("rb") as file:
        found = json.loads(file.read(_BYTES_MAX))
        known = {name: found[name] for name in found if name in Heartbeat.__dataclass_fields__}
        beat = Heartbeat(**known | {"venues": _venues(known.get("venues", []))})
        numbers = (beat.pid, beat.monotonic_ns, beat.now_ns, beat.seq, beat.stepped_ns)
        if all(type(x) is int for x in numbers) and type(beat.closed) is bool:
            return beat
    return None


def _venues(found: Any) -> tuple[VenueSign, ...]:
    """What it says of venues; nothing where another build says it otherwise: who lives is known then, too."""
    try:
        signs: tuple[VenueSign, ...] = _VENUES.decode(found)
    except CodecError:
        return ()
    return signs
