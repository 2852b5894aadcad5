"""The doctor at a wallet: coins without an index, and fees that are paid in one.

Neither stands against trading: what such a coin is worth is in no row and no limit, and a fee in it counts
as the most that it can be. But a person should know before the first order.
"""

from __future__ import annotations

from hedger.runs.checks import Check, Finding
from hedger.runs.venue_setup import Adapter
from pricing.contracts import STABLE_CURRENCIES
from venues.errors import Locked, VenueError
from venues.orders import AccountReport


async def wallet_notes(name: str, venue: Adapter, report: AccountReport | VenueError) -> list[Check]:
    """What there is to say of a wallet; none where nothing is out of the common.

    report: of the account, or why it cannot be read.

    Raises:
        Locked: the key is refused.
    """
    if isinstance(report, VenueError):
        text = f"what it holds cannot be read: {report.text()}"
        return [Check(f"{name}, balances", Finding.NOTE, text)]
    listed = {listing.contract.underlying for listing in venue.known.values()}
    bare = {
        currency: amount
        for currency, amount in sorted(report.balances.items())
        if amount and currency not in listed and currency not in STABLE_CURRENCIES
    }
    found = []
    if bare:
        told = ", ".join(f"{amount:f} {currency}" for currency, amount in bare.items())
        text = (
            f"no index of {told} is known here: what that is worth is in no row and no limit "
            "(BALANCE_UNPRICED); move it out if it is more than dust"
        )
        found.append(Check(f"{name}, balances", Finding.NOTE, text))
    what = f"{name}, fees"
    try:
        coin = await venue.fee_coin()
    except Locked:
        raise
    except VenueError as error:
        text = f"whether they are paid in a coin of the venue's own is not known: {error.text()}"
        return [*found, Check(what, Finding.NOTE, text)]
    if coin and coin not in listed:
        text = (
            f"they are paid in {coin}, of which no index is known here: each counts as the most that the "
            "listing charges, discount left out; switch that off at the venue to have them exactly"
        )
        found.append(Check(what, Finding.NOTE, text))
    return found
