"""The preview of a hedge or of a flatten, as the engine has answered it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hedger.core.events import Verb
from hedger.dashboard.sheet import figure, usd
from pricing.daycount import iso

Json = Mapping[str, Any]


def text(number: int, decision: Json) -> str:
    """Orders, cost, rows after it, what the limits say, and whether it would leave; 66 columns wide."""
    shown = decision["preview"]
    before = dict(decision["exposures"])
    lines = [f"record {number}, {iso(decision['now_ns'])[11:23]}: {asked_about(str(shown['scope']))}"]
    lines += [f"IT WOULD NOT LEAVE: {shown['against']}"] if shown["against"] else []
    ticket = shown["ticket"]
    if ticket is None:
        return "\n".join([*lines, shown["reason"] or "no ticket"])
    lines.append(
        f"{ticket['status']}: {ticket['reason']}; {usd(ticket['cost_usd'])} USD, "
        f"no mix costs less than {usd(ticket['lower_bound_usd'])}"
    )
    lines += ["  side  quantity symbol                    limit   cost USD"] * bool(ticket["legs"])
    lines += [
        f"  {leg['side']:<4} {leg['quantity']:>9} {leg['symbol']:<21} {leg['limit_price']:>9} "
        f"{usd(leg['cost_usd']):>10}"
        for leg in ticket["legs"]
    ]
    if ticket["legs"]:
        lines += [
            f"  limits on the first order: {verdict['text'] or 'let out'}" for verdict in shown["verdicts"]
        ]
    lines.append("rows before and after:")
    lines += [
        f"  {row:<22} {figure(before.get(row)):>9}  ->  {figure(after):>9}"
        for row, after in ticket["after"]
        if row.split(":")[0] in ("delta", "gamma", "vega") and row.count(":") == 1
    ]
    return "\n".join(lines)


def asked_about(scope: str) -> str:
    """What was asked about, in words.

    >>> asked_about(""), asked_about("BTC"), asked_about("flatten BTC"), asked_about("flatten")
    ('a hedge of every underlying', 'a hedge of BTC', 'a flatten of BTC', 'a flatten of every underlying')
    """
    head, _, name = scope.partition(" ")
    if head == Verb.FLATTEN:
        return f"a flatten of {name or 'every underlying'}"
    return f"a hedge of {scope or 'every underlying'}"
