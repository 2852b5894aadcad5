"""What a person had seen of a hedge when he asked for it: the command carries it, and the plan that the
engine makes anew is held against it before anything leaves. A hedge asked for without a look carries none.

The indexes may stand still while volatility, spreads or the bands make the hedge another one: what a person
agreed to are its cost and the sides of its legs, and those alone are held.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hedger.problem.assembly import Trade
from hedger.sections.execution import ExecutionConfig

#: What stands between the scope of a hedge and what was previewed.
_BEGINS = " {"
_SIDES = ("buy", "sell")


@dataclass(frozen=True, slots=True)
class Previewed:
    """cost_usd: of the ticket that was shown. legs: (venue, symbol, "buy" or "sell")."""

    cost_usd: float
    legs: tuple[tuple[str, str, str], ...]


def argument_of(scope: str, ticket: Mapping[str, Any]) -> str:
    """The argument of a hedge that was previewed. ticket: as a decision's document has it.

    >>> argument_of("BTC", {"cost_usd": 12.5, "legs": [{"venue": "v", "symbol": "BTC-P", "side": "sell"}]})
    'BTC {"cost_usd":12.5,"legs":[["v","BTC-P","sell"]]}'
    """
    legs = [[leg["venue"], leg["symbol"], leg["side"]] for leg in ticket["legs"]]
    words = json.dumps({"cost_usd": ticket["cost_usd"], "legs": legs}, separators=(",", ":"))
    return f"{scope} {words}"


def scope_of(argument: str) -> str:
    """The argument of a command without what was previewed, as people are told of it.

    >>> scope_of('BTC {"cost_usd":12.5,"legs":[]}'), scope_of("flatten BTC"), scope_of(' {"legs":[]}')
    ('BTC', 'flatten BTC', '')
    """
    return argument.partition(_BEGINS)[0]


def parse_previewed(argument: str) -> Previewed | None:
    """What was previewed of a hedge; None where nothing was.

    Raises:
        ValueError: it says something else than a cost and legs.

    >>> parse_previewed(' {"cost_usd":2,"legs":[["v","BTC-P","sell"]]}')
    Previewed(cost_usd=2.0, legs=(('v', 'BTC-P', 'sell'),))
    """
    _, begins, rest = argument.partition(_BEGINS)
    if not begins:
        return None
    try:
        told = json.loads("{" + rest)
        cost, legs = float(told["cost_usd"]), told["legs"]
    except (KeyError, TypeError, OverflowError, RecursionError) as error:
        raise ValueError(f"a cost and legs are expected: {type(error).__name__}") from error
    if not math.isfinite(cost) or not isinstance(legs, list):
        raise ValueError("a cost and legs are expected")
    if not all(
        isinstance(leg, list) and len(leg) == 3 and all(isinstance(x, str) for x in leg) and leg[2] in _SIDES
        for leg in legs
    ):
        raise ValueError("a leg has a venue, a symbol and a side")
    return Previewed(cost, tuple((venue, symbol, side) for venue, symbol, side in legs))


def other_than(
    previewed: Previewed, trades: Sequence[Trade], cost_usd: float, config: ExecutionConfig
) -> str:
    """Why a plan is another hedge than the one that was previewed, "" where it may be sent for that."""
    sides = {(venue, symbol): side for venue, symbol, side in previewed.legs}
    for trade in trades:
        old, now = sides.get((trade.listing.venue, trade.listing.symbol)), str(trade.side)
        if old not in (None, now):
            where = f"{trade.listing.symbol} on {trade.listing.venue}"
            return f"it would {now} {where}, and was previewed to {old} it"
    rise, share = cost_usd - previewed.cost_usd, config.preview_cost_share_max
    if rise > config.preview_cost_usd_max and rise > share * abs(previewed.cost_usd):
        more = f"{config.preview_cost_usd_max:.15g} USD or {100.0 * share:.15g} %"
        return (
            f"it costs {cost_usd:z.2f} USD by now, {rise:.2f} more than the {previewed.cost_usd:z.2f} "
            f"previewed; at most {more} more is sent"
        )
    return ""
