"""What comes next and why, as plain text for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hedger.amounts import amount
from pricing.daycount import iso

Json = Mapping[str, Any]


def hedging_text(document: Json) -> str:
    """The document of `hedger.desk.hedging`."""
    return "\n".join(_lines(document))


def ahead_words(order: Json) -> str:
    """What stands at an order's price, behind a comma; "" where the book does not show it."""
    size = order["level_size"]
    return "" if size is None else f", at most {size:.8g} ahead"


def _lines(document: Json) -> Iterator[str]:
    found = document["next"]
    if found is None:
        yield "next: nothing was decided yet"
    else:
        reason = "" if found["reason"] in found["why"] else f"; {found['reason']}"
        yield f"next: {found['what']}: {found['why']}{reason}"
    if document["rows"] is None:
        yield document["fault"] or "the book cannot be valued yet: no mark has come"
    for missing in document["missing"]:
        yield f"NOT IN THESE FIGURES: {missing['symbol']} on {missing['venue']}: {missing['reason']}"
    for name in document["bad_indexes"]:
        yield f"NOT IN THESE FIGURES: the index of {name} is bad"
    for row in document["rows"] or ():
        if row["trigger"] is not None:
            yield _row(row)
    for order in document["working"]:
        yield (
            f"in work: {order['client_id']} {order['state']}, {order['side']} {order['quantity']} "
            f"{order['symbol']} at {order['price']}, filled {order['filled']}, {order['age_s']:.0f} s old"
            f"{ahead_words(order)}"
        )
    yield from _ticket(document["ticket"])
    for decision in document["decisions"]:
        yield f"{iso(decision['now_ns'])[:19]}Z event {decision['seq']}: {decision['text']}"


def _row(row: Json) -> str:
    state = "unknown" if row["value"] is None else "OUTSIDE" if row["breached"] else "inside"
    hand = ", by hand" if row["by_hand"] else ""
    return (
        f"{row['row']}: {_number(row['value'])} {row['unit']}, target {_number(row['target'])}, trigger "
        f"{_edges(row['trigger'])}, landing {_edges(row['landing'])}, {state}{hand}"
    )


def _ticket(ticket: Json | None) -> Iterator[str]:
    if ticket is None:
        return
    cost, bound = amount(ticket["cost_usd"], 2), amount(ticket["lower_bound_usd"], 2)
    at = iso(ticket["now_ns"])[:19]
    yield (
        f"last ticket at {at}Z: {ticket['status']}, {cost} USD, no mix costs less than {bound}: "
        f"{ticket['reason']}"
    )
    for leg in ticket["legs"]:
        yield (
            f"  {leg['side']} {leg['quantity']} {leg['symbol']} on {leg['venue']} at {leg['limit_price']}, "
            f"{amount(leg['cost_usd'], 2)} USD"
        )


def _number(x: float | None) -> str:
    return "unknown" if x is None else f"{x:.6g}"


def _edges(pair: tuple[float | None, float | None]) -> str:
    low, high = ("open" if x is None else f"{x:.6g}" for x in pair)
    return f"{low} .. {high}"
