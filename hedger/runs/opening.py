"""What a journal begins with: the book on its venues' accounts, and the settings by one hash and as a text;
and what a start had, read off its record again."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from hedger.journal.entries import Configuration
from hedger.limits_file import LoadedLimits, built_in, read_limits
from hedger.settings import EVERY, Settings
from pricing.errors import InputError
from pricing.market import Market
from pricing.valuation import MarkStatus, value
from risk.book import Book, settles_daily
from risk.limit_terms import Limits


def opened(book: Book, market: Market, desk: Settings) -> Book:
    """The book of a file: its cash holds all gains so far, so perpetuals and futures gain from here on.

    Raises:
        InputError: one of them has no price.
    """
    valuation, universe = value(market, desk.age_s_max), market.universe
    prices = {}
    for position in book.positions.values():
        if settles_daily(position.listing):
            at = universe.positions[position.listing.key]
            if valuation.status[at] != MarkStatus.OK:
                raise InputError(
                    "REPLAY_NO_PRICE",
                    "a perpetual or future of the book has no price",
                    where=f"{position.listing.venue} {position.listing.symbol}",
                    observed=MarkStatus(int(valuation.status[at])).name.lower(),
                    allowed="a usable mark and an index",
                    not_done="nothing was replayed",
                    fix="take the position out of the book, or give a market that quotes it",
                )
            prices[position.listing.key] = float(valuation.forward[at])
    return book.opened_at(prices)


def on_one_account(book: Book) -> Book:
    """The book as a paper venue holds it: one account a venue, without a name.

    Raises:
        InputError: a venue with several accounts, which paper would neither trade nor compare apart.
    """
    names: dict[str, set[str]] = {}
    for venue, account in [(v, a) for v, _, a in book.positions] + [(v, a) for v, a, _ in book.cash]:
        names.setdefault(venue, set()).add(account)
    for venue, accounts in sorted(names.items()):
        if len(accounts) > 1:
            raise InputError(
                "PAPER_ACCOUNTS",
                "the paper venue has one account",
                where=f"book, column account, venue {venue}",
                observed=", ".join(repr(name) for name in sorted(accounts)),
                allowed="one account a venue",
                not_done="nothing was started",
                fix="begin an engine for each account, with the rows of that account",
            )
    positions = [replace(position, account="") for position in book.positions.values()]
    cash = {(venue, "", currency): amount for (venue, _, currency), amount in book.cash.items()}
    return Book.of(positions, cash)


def settings_sha256(settings: Settings) -> str:
    """The settings in effect by one hash: the same for whatever file, environment or defaults they came from,
    in whatever order they were written.

    Every key counts with its value, whether it was given or is the built-in one. An underlying's bands count
    as those of "*" with its own over them, and not at all where they are the same.
    """
    tree = settings.model_dump(mode="json", exclude={"bands"})
    every = _bands_in_effect(settings, EVERY)
    own = {name: _bands_in_effect(settings, name) for name in settings.bands if name != EVERY}
    tree["bands"] = {EVERY: every} | {name: bands for name, bands in own.items() if bands != every}
    return hashlib.sha256(_one_text(tree).encode()).hexdigest()


def settings_text(settings: Settings) -> str:
    """The settings that were given, as the JSON that `Settings` is read from again."""
    return _one_text(settings.model_dump(mode="json", exclude_unset=True))


def settings_of(word: Configuration) -> Settings | None:
    """The settings of a start; None where its record does not hold them, or this release cannot read them."""
    if not word.settings:
        return None
    try:
        return Settings.model_validate(json.loads(word.settings))
    except (ValidationError, ValueError, RecursionError):
        return None


def limits_on_record(word: Configuration) -> LoadedLimits | None:
    """The hard limits of a start, under the hash that it wrote of their file; None as for its settings."""
    if not word.limits:
        return None
    try:
        limits = read_limits(tomllib.loads(word.limits), "the journal")
    except (ValueError, RecursionError, InputError):
        return None
    if word.limits_sha256 == built_in().sha256 and limits != Limits():
        return None  # this release's text, and not what it says
    return LoadedLimits(limits, "the journal", word.limits_sha256)


def _bands_in_effect(settings: Settings, name: str) -> Mapping[str, Any]:
    merged: dict[str, Any] = {}
    for key in dict.fromkeys((EVERY, name)):
        bands = settings.bands[key]
        merged |= bands.model_dump(mode="json", include=bands.model_fields_set)
    return {key: value for key, value in merged.items() if value is not None and value != {}}


def _one_text(tree: Mapping[str, Any]) -> str:
    return json.dumps(tree, sort_keys=True, separators=(",", ":"))
