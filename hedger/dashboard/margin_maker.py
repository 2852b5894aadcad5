"""Reckons the margin ladder beside the panel: every cell is the whole book revalued and margined anew, which
takes longer than a frame may. Only while the panel asks for it, and not so often that it would take more than
a small share of a core."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hedger.dashboard.background import Background
from hedger.desk.planned_hedge import Planned

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """ladder: None where it could not be made; why: the reason. of: what it is of. hedge: the one in its
    cells. as_of: of its marks."""

    of: tuple[object, ...]
    hedge: Planned | None
    as_of: str
    ladder: Json | None
    took_s: float
    at_s: float
    why: str = ""


class MarginMaker:
    """work: where it is reckoned. rest: a ladder is reckoned anew after so many times what it took."""

    def __init__(self, rest: float = 20.0) -> None:
        self._rest = rest
        self.work = Background[Made]("margin")

    def ladder(
        self, of: tuple[object, ...], hedge: Planned | None, as_of: str, make: Callable[[], Json]
    ) -> Made | None:
        """The last ladder of what is asked about, and the next one begun where that is due; None while the
        first is being made. of: by identity, what it is of. hedge: beside the book; the last ladder may be of
        an earlier one. as_of: the marks of now."""
        found = self.work.found
        if found is not None and not _same(found.of, of):
            found = None
        if found is None or (
            found.as_of != as_of and time.monotonic() - found.at_s > self._rest * found.took_s
        ):
            begun = time.monotonic()

            def made(ladder: Json | None, why: str = "") -> Made:
                ended = time.monotonic()
                return Made(of, hedge, as_of, ladder, ended - begun, ended, why)

            self.work.begin(lambda: made(make()), lambda why: made(None, why))
        return found


def _same(one: tuple[object, ...], other: tuple[object, ...]) -> bool:
    return len(one) == len(other) and all(x is y for x, y in zip(one, other, strict=True))
