"""What comes next and why, as plain text for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hedger.amounts import amount, counted
from pricing.daycount import iso
from risk.interval_words import interval_words

Json = Mapping[str, Any]


def hedging_text(document: Json) -> str:
    """The document of `hedger.desk.hedging`."""
    return "\n".join(_lines(document))


def ahead_words(order: Json) -> str:
    """What stands at an order's price, behind a comma; "" where the book does not show it."""
    size = order["level_size"]
    return "" if size is None else f", at most {size:.8g} ahead"


def in_a_line(told: Json) -> str:
    """A decision of the document: what was done, and why or why not.

    >>> told = {"mode": "armed", "paused": True, "trigger": "", "reason": "", "ticket": None, "sent": []}
    >>> in_a_line({**told, "refused": [], "verified": None, "previewed": False, "alerts": []})
    'armed, paused: nothing to do'
    """
    parts = []
    if ticket := told["ticket"]:
        cost = amount(ticket["cost_usd"], unknown="?")
        parts.append(f"ticket {ticket['status']}, {counted(ticket['legs'], 'leg')}, {cost} USD")
    parts += [f"send {order['side']} {order['quantity']} {order['symbol']}" for order in told["sent"]]
    parts += [f"REFUSED {code}" for code in told["refused"]]
    if check := told["verified"]:
        parts.append(f"verified: {'inside' if check['inside'] else 'OUTSIDE'}, {check['ended']}")
    if told["previewed"]:
        parts.append("preview")
    parts += [f"alert {code}" for code in told["alerts"]]
    parts += [text for text in (told["trigger"], told["reason"]) if text]
    return "; ".join(parts) or f"{_mode(told)}: nothing to do"


def at_length(decision: Json) -> Iterator[str]:
    """A decision as the journal has it, with each order, limit and alert that the document only counts or
    names."""
    yield f"mode {_mode(decision)}"
    if decision["trigger"]:
        yield f"due: {'yes' if decision['due'] else 'no'}, {decision['trigger']}"
    if decision["breached"]:
        yield f"outside: {', '.join(decision['breached'])}"
    if decision["reason"]:
        yield decision["reason"]
    ticket = decision.get("ticket")
    if ticket:
        yield f"ticket {ticket['status']}: {ticket['reason']}"
        for leg in ticket["legs"]:
            yield f"  {leg['side']} {leg['quantity']} {leg['symbol']} at {leg['limit_price']}"
        yield from (f"  way back: {text}" for text in ticket["unwind"])
    for verdict in decision["verdicts"]:
        yield f"limits on {verdict['client_id']}: {verdict['text'] or 'allowed'}"
    for action in decision["actions"]:
        if action["action"] == "alert":
            yield f"{action['severity'].upper()} {action['code']}: {action['text']}"
        else:
            words = (str(x) for name, x in action.items() if name != "action" and x not in ("", None))
            yield f"{action['action']} {' '.join(words)}"
    check = decision.get("verification")
    if check:
        yield f"verification of {check['execution']}: {'; '.join(check['differences']) or 'as promised'}"


def _mode(decision: Json) -> str:
    return f"{decision['mode']}{', paused' if decision['paused'] else ''}"


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
        f"{_interval(row['trigger'])}, landing {_interval(row['landing'])}, {state}{hand}"
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


def _interval(pair: tuple[float | None, float | None]) -> str:
    return interval_words(*pair, _number)
