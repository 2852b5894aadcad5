"""The preview of a hedge or of a flatten, as the engine has answered it: in words, and what it trades."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from hedger.amounts import counted
from hedger.core.events import Verb
from hedger.figures import figure, usd
from pricing.daycount import iso
from pricing.universe import Universe
from risk import costs

Json = Mapping[str, Any]


def text(number: int, decision: Json, against: str, old: str, traded_usd: float | None) -> str:
    """Whether it would leave, orders, cost, what the limits say, and rows after it; 66 columns wide.

    against: what stands against it by now, "" where nothing does. old: the age of the answer, in words.
    traded_usd: what its legs trade, None unknown.
    """
    shown = decision["preview"]
    before, scope = dict(decision["exposures"]), str(shown["scope"])
    against = against or str(shown["against"])
    lines = [refused(against)] if against else []
    lines.append(f"{asked_about(scope)}, {old} old (record {number}, {iso(decision['now_ns'])[11:19]})")
    ticket = shown["ticket"]
    if ticket is None:
        return "\n".join([*lines, shown["reason"] or "no ticket"])
    lines.append(
        f"{ticket['status']}: {ticket['reason']}; {usd(ticket['cost_usd'])} USD, "
        f"no mix costs less than {usd(ticket['lower_bound_usd'])}"
    )
    if ticket["legs"]:
        lines.append(f"an estimate: {counted(len(ticket['legs']), 'leg')}, {usd(traded_usd)} USD notional")
        lines.append("  side  quantity symbol                    limit   cost USD")
    lines += [
        f"  {leg['side']:<4} {leg['quantity']:>9} {leg['symbol']:<21} {leg['limit_price']:>9} "
        f"{usd(leg['cost_usd']):>10}"
        for leg in ticket["legs"]
    ]
    if ticket["legs"]:
        lines += [
            f"  limits on the first order: {verdict['text'] or 'allowed'}" for verdict in shown["verdicts"]
        ]
    # the coin asked about, and whatever else the plan moves
    coin = scope.rpartition(" ")[2]
    lines.append("rows before and after:")
    lines += [
        f"  {row:<22} {figure(before.get(row)):>9}  ->  {figure(after):>9}"
        for row, after in ticket["after"]
        if row.split(":")[0] in ("delta", "gamma", "vega")
        and row.count(":") == 1
        and (coin in ("", Verb.FLATTEN, row.split(":")[1]) or figure(before.get(row)) != figure(after))
    ]
    return "\n".join(lines)


def refused(against: str) -> str:
    """The line that stands above everything else.

    >>> refused("the engine is killed")
    'IT WOULD NOT LEAVE: the engine is killed'
    """
    return f"IT WOULD NOT LEAVE: {against}"


def legs_notional_usd(legs: Sequence[Json], universe: Universe, spot: Mapping[str, float]) -> float | None:
    """What the legs of a ticket trade, as fees count it; None where a listing or an index is not known.

    spot: index by currency, USD.
    """
    places, found = universe.positions, 0.0
    for leg in legs:
        at = places.get((leg["venue"], leg["symbol"]))
        if at is None:
            return None
        found += float(leg["quantity"]) * costs.notional_usd(
            universe.listings[at], float(leg["expected_price"]), spot
        )
    return found if math.isfinite(found) else None


def asked_about(scope: str) -> str:
    """What was asked about, in words.

    >>> asked_about(""), asked_about("BTC"), asked_about("flatten BTC"), asked_about("flatten")
    ('a hedge of every underlying', 'a hedge of BTC', 'a flatten of BTC', 'a flatten of every underlying')
    """
    head, _, name = scope.partition(" ")
    if head == Verb.FLATTEN:
        return f"a flatten of {name or 'every underlying'}"
    return f"a hedge of {scope or 'every underlying'}"
