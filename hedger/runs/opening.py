"""The book that a journal begins with, on its venues' accounts."""

from __future__ import annotations

from dataclasses import replace

from hedger.settings import Settings
from pricing.errors import InputError
from pricing.market import Market
from pricing.valuation import MarkStatus, value
from risk.book import Book, settles_daily


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
