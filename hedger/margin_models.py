"""Which margin models a desk's settings name: on paper `paper.margin`, live `venues.NAME.margin`."""

from __future__ import annotations

from collections.abc import Collection

from hedger.core.leg_margin import Models
from hedger.margin_tables import margin_terms
from hedger.sections.paper import PaperConfig
from hedger.settings import Settings
from risk.margin_terms import MarginModel


def margin_models(config: PaperConfig, venues: Collection[str], at_ns: int) -> Models:
    """How each venue margins the account; none where it is not to be modelled, or its table is not known."""
    if config.margin == "none":
        return {}
    terms = {name: margin_terms(name, at_ns) for name in venues}
    model = MarginModel(config.margin)
    return {name: (model, known) for name, known in terms.items() if known is not None}


def without_table(config: PaperConfig, venues: Collection[str], at_ns: int) -> str:
    """That `paper.margin` names a model that some venues have no table of, in a sentence; else ""."""
    names = sorted(set(venues) - set(margin_models(config, venues, at_ns)))
    if config.margin == "none" or not names:
        return ""
    named = f'paper.margin "{config.margin}" is named, but no table of {", ".join(names)} is known'
    return f"{named}: margin is not modelled there, no order is refused for it"


def reports_margin(desk: Settings, venue: str) -> bool:
    """Whether a venue's own figures are to be taken."""
    return any(name == venue and config.margin == "reported" for name, config in desk.venues.items())


def venue_models(desk: Settings, venues: Collection[str], at_ns: int) -> Models:
    """The venues whose margin a model of the package is to reckon, and its terms at a time, UTC nanoseconds;
    a venue whose table is not known is left out."""
    found = {}
    for name, config in desk.venues.items():
        if (
            name in venues
            and config.margin != "reported"
            and (terms := margin_terms(name, at_ns)) is not None
        ):
            found[str(name)] = MarginModel(config.margin), terms
    return found
