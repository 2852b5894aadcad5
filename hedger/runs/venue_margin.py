"""What watches the margin of a live account (C9): the venue's own figures, a model of ours, or a person.

What nobody watches lets no order out. The doctor says so before anything is started.
"""

from __future__ import annotations

import math
from pathlib import Path

from hedger.limits_file import load_limits
from hedger.margin_models import without_table
from hedger.margin_tables import margin_terms
from hedger.runs.checks import Check, Finding, bad, from_error
from hedger.sections.venues import VenueName
from hedger.settings import Settings
from pricing.errors import InputError
from risk.limit_terms import allows
from risk.margin_terms import MarginModel
from venues.errors import VenueError
from venues.orders import EVERY_CURRENCY, AccountReport
from venues.simulated_books import VENUE


def check_limits_file(settings: Settings) -> Check | None:
    """The hard limits can be read; None where none are named."""
    if not settings.limits_file:
        return None
    try:
        load_limits(Path(settings.limits_file))
    except InputError as error:
        return from_error("limits", error)
    return Check("limits", Finding.GOOD, f"{settings.limits_file} can be read")


def check_paper_margin(settings: Settings, now_ns: int) -> Check | None:
    """Whether the model that `paper.margin` names can be had of the venues traded on; None where none is
    named, and live."""
    if settings.run.mode == "live" or settings.paper.margin == "none":
        return None
    what, venues = "margin on paper", settings.run.feed or (VENUE,)
    if text := without_table(settings.paper, venues, now_ns):
        return Check(what, Finding.NOTE, text)
    return Check(what, Finding.GOOD, f"by the {settings.paper.margin} model of the package")


def check_margin(
    settings: Settings, name: VenueName, report: AccountReport | VenueError, now_ns: int
) -> list[Check]:
    """Whether orders would be let out for their margin.

    report: of the account, or why it cannot be read, which refuses a start by itself. now_ns: the venue's.
    """
    what, config, live = f"{name}, margin", settings.venues[name], settings.run.mode == "live"
    try:
        limits = load_limits(Path(settings.limits_file) if settings.limits_file else None).limits.margin
    except InputError:
        return []  # told by itself
    excused = allows(limits.unproven_venues, name)
    if config.margin == "reported":
        if isinstance(report, VenueError):
            return [Check(what, Finding.NOTE, f"not known, the account cannot be read: {report.text()}")]
        if told := _told(report):
            text = f"as the venue reports it: {told}; an order adds at most "
            text += f"{limits.added_share:g} of its notional (margin.added_share of the limits)"
            return [Check(what, Finding.GOOD, text)]
        observed = "its report on the account names no margin"
    else:
        terms = margin_terms(name, now_ns)
        model = MarginModel(config.margin)
        known = {} if terms is None else terms.standard if model is MarginModel.STANDARD else terms.matrix
        note = terms.note if terms is not None and model is MarginModel.STANDARD else ""
        doubted = sorted(coin for coin, item in known.items() if not item.confirmed)
        if known and not note and not doubted:
            return [Check(what, Finding.GOOD, f"by the {config.margin} model of the package")]
        unsure = note or f"the {config.margin} model of {', '.join(doubted)} is an estimate"
        observed = unsure if known else f"no {config.margin} model of {name} is known"
    if excused:
        text = (
            f"not watched: {observed}; margin.unproven_venues of the limits lets orders out, a person watches"
        )
        return [Check(what, Finding.NOTE, text)]
    if not live:
        return [Check(what, Finding.NOTE, f"live, no order would be let out: {observed}")]
    return [
        bad(
            what, "MARGIN_UNKNOWN", "every order that needs margin would be refused",
            where=f"venues.{name}.margin = {config.margin!r}", observed=observed,
            allowed="figures of the venue, or a proven model",
            fix=f"name {name} in margin.unproven_venues of {settings.limits_file or 'a limits file'} if a "
            "person watches its margin",
        )
    ]  # fmt: skip


def _told(report: AccountReport) -> str:
    """What a report tells of margin, in words; "" where nothing."""
    whole = {currency for currency, margin in report.margins.items() if math.isfinite(margin.balance)}
    names = sorted(whole - {EVERY_CURRENCY})
    pool = ["all currencies together, in USD"] if EVERY_CURRENCY in report.margins else []
    cash = ["for spot what its wallet has free"] if report.cash else []
    return ", ".join((*pool, *names, *cash))
