"""The margin of a book in every cell of the what-if ladder, by the models that the desk's settings name.

On paper that is `paper.margin`, live `venues.NAME.margin`. Where no model is named or known, or the venue's
own report is taken, margin after a shock is not known, and that is said.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hedger.margin_models import margin_models, reports_margin, venue_models
from hedger.problem.snapshot import Snapshot
from hedger.settings import Settings
from pricing.contracts import Kind
from pricing.universe import FloatArray
from risk.margin import on_venue
from risk.repricing import Holding
from risk.scenarios import Shock
from risk.shocked_margin import Account, shocked_margin


def margin_cells(
    snapshot: Snapshot, holdings: Sequence[Holding], shocks: Sequence[Shock], settings: Settings | None
) -> tuple[list[FloatArray], tuple[str, ...]]:
    """Initial margin of each holding, (underlyings, shocks), NaN where unknown; which models, and what they
    do not tell. The first holding is the book as it stands. settings: None: no model is named."""
    found, notes = [], dict[str, None]()
    for holding in holdings:
        accounts = _accounts(snapshot, holding, settings)
        named = (f"{x.model} model of {x.venue}" for x in accounts if x.model is not None)
        notes.update({f"initial margin by the {name}": None for name in named})
        one = shocked_margin(
            snapshot.market, snapshot.valuation, accounts, shocks, snapshot.underlyings, snapshot.numeraire
        )
        notes.update(dict.fromkeys(one.reasons))
        found.append(one.required)
    return found, tuple(notes)


def _accounts(snapshot: Snapshot, holding: Holding, settings: Settings | None) -> list[Account]:
    """What is margined together: the book's accounts, and in the one of its venue what a hedge trades."""
    universe, book = snapshot.market.universe, snapshot.book
    parts: dict[str, list[FloatArray]] = {}
    for venue, account in dict.fromkeys((p.listing.venue, p.account) for p in book.positions.values()):
        parts.setdefault(venue, []).append(book.part(venue, account).quantities(universe))
    traded = np.where(universe.kind == Kind.SPOT, 0.0, holding.quantities - snapshot.quantities)
    for venue in dict.fromkeys(universe.listings[i].venue for i in np.flatnonzero(traded).tolist()):
        mine = np.where(on_venue(universe, venue), traded, 0.0)
        of = parts.setdefault(venue, [np.zeros(len(universe))])
        if len(of) == 1:
            of[0] = of[0] + mine
        else:
            of.append(mine)
    found = []
    for venue, of in parts.items():
        known = _of_venue(venue, settings, snapshot.market.now_ns)
        unclear = bool(traded[on_venue(universe, venue)].any()) and len(of) > 1
        if unclear:
            known = Account(venue, of[0], why=f"{venue} has several accounts: which one hedges is not known")
        found += [Account(venue, x, known.model, known.terms, known.why) for x in of]
    return found


def _of_venue(venue: str, settings: Settings | None, at_ns: int) -> Account:
    """How a venue margins, or why that is not known; without positions."""
    nothing = np.zeros(0)
    if settings is None:
        return Account(venue, nothing, why="no margin model is named")
    live = settings.run.mode == "live"
    if live:
        models = venue_models(settings, (venue,), at_ns)
    else:
        models = margin_models(settings.paper, (venue,), at_ns)
    if venue in models:
        return Account(venue, nothing, *models[venue])
    if live and reports_margin(settings, venue):
        why = f"{venue} reports its own margin, which no shock moves; venues.{venue}.margin names a model"
    elif not live and settings.paper.margin == "none":
        why = 'no margin model is named: paper.margin is "none"'
    else:
        why = f"no margin model is known for {venue}"
    return Account(venue, nothing, why=why)
