"""Plans the hedge that the what-if panel shows, beside it: frames and keys never wait for it.

It is planned when the panel asks for it, and anew only once book or market are materially others.
"""

from __future__ import annotations

from collections.abc import Callable

from hedger.dashboard.background import Background
from hedger.desk.look import Look
from hedger.desk.planned_hedge import Basis, Planned, planned


class Planner:
    """work: where it is planned."""

    def __init__(self) -> None:
        self.work = Background[Planned]("hedge")

    def hedge(self, basis: Basis, look: Callable[[], Look | None]) -> Planned | None:
        """The last hedge of the book of a basis, and the next one begun where its market has moved; None
        while the first is being planned. look: at the book and market of the basis."""
        found = self.work.found
        if found is not None and not found.basis.same(basis):
            found = None
        due = found is None or not found.basis.near(basis)
        if due and not self.work.busy and (what := look()) is not None:
            self.work.begin(lambda: planned(what, basis), lambda why: Planned(basis, None, why))
        return found
