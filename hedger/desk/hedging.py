"""What comes next and why: the hedge panel and `hedger status --hedge` as one document.

Where each row is in its band, what is in work, the last ticket, and the last decisions with why not; read off
the record, nothing is planned. Null stands for unknown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hedger.amounts import amount, counted
from hedger.core.by_hand import NOTHING_BY_HAND, ByHand
from hedger.core.state import Mode
from hedger.desk.decision_log import DecisionLog
from hedger.desk.risk_tree import band_rows
from hedger.desk.withheld import withheld_in
from hedger.documents import missing_list
from hedger.problem.snapshot import Snapshot
from pricing.daycount import iso

Json = dict[str, Any]
DECISIONS_TOLD = 20
_LEG = ("venue", "symbol", "side", "quantity", "limit_price", "expected_price", "cost_usd")


@dataclass(frozen=True, slots=True)
class Hedging:
    """What the document is made of. snapshot: None while the book cannot be valued; fault: why, "" before the
    first mark. working: `order_rows` of what may still do something. at_ns: ages count up to it, UTC.
    latched: the kill latch is set."""

    log: DecisionLog
    snapshot: Snapshot | None
    working: Sequence[Json]
    at_ns: int
    by_hand: ByHand = NOTHING_BY_HAND
    latched: bool = False
    fault: str = ""


def hedging_document(of: Hedging) -> Json:
    """The document."""
    snapshot, log = of.snapshot, of.log
    return {
        "as_of": None if snapshot is None else iso(snapshot.market.now_ns),
        "at_ns": of.at_ns,
        "rows": None if snapshot is None else band_rows(snapshot, of.by_hand),
        "fault": of.fault,
        "missing": [] if snapshot is None else missing_list(snapshot),
        "bad_indexes": [] if snapshot is None else [x.underlying for x in snapshot.bad_indexes],
        "next": _next(of),
        "working": [row | {"age_s": (of.at_ns - row["wall_ns"]) / 1e9} for row in of.working],
        "ticket": None if log.ticket is None else _ticket(*log.ticket),
        "decisions": [_decision(*each) for each in list(log.told)[-DECISIONS_TOLD:][::-1]],
    }


def _next(of: Hedging) -> Json | None:
    """What will be done next, and why; null before the first decision."""
    decision = of.log.last
    if decision is None:
        return None
    asked = of.log.asked or decision
    why = str(asked["trigger"] or asked["reason"] or "the policy was not asked yet")
    # the latch's file may be there before the engine has said that it is killed
    mode = Mode.KILLED if of.latched else Mode(decision["mode"])
    withheld = withheld_in(mode, decision["paused"])
    working, due = len(of.working), bool(asked["due"])
    if working:
        what = f"{counted(working, 'order')} in work"
    elif due:
        what = f"a hedge is DUE and nothing leaves: {withheld}" if withheld else "a hedge is due"
    else:
        what = f"nothing leaves: {withheld}" if withheld else "no hedge"
    return {
        "what": what,
        "why": why,
        "reason": str(decision["reason"]),
        "working": working,
        "due": due,
        "withheld": str(withheld),
    }


def _ticket(number: int, decision: Mapping[str, Any]) -> Json:
    ticket = decision["ticket"]
    return {
        "record": number,
        "now_ns": decision["now_ns"],
        **{name: ticket[name] for name in ("status", "reason", "cost_usd", "lower_bound_usd")},
        "legs": [{name: leg[name] for name in _LEG} for leg in ticket["legs"]],
    }


def _decision(number: int, decision: Mapping[str, Any]) -> Json:
    """One that says something: `text` in one line, what was done and why or why not; `told` at length."""
    ticket, check = decision.get("ticket"), decision.get("verification")
    actions = decision["actions"]
    return {
        "record": number,
        "seq": decision["seq"],
        "now_ns": decision["now_ns"],
        "mode": decision["mode"],
        "paused": decision["paused"],
        "trigger": decision["trigger"],
        "due": decision["due"],
        "outside": decision["breached"],
        "reason": decision["reason"],
        "ticket": ticket
        and {
            "status": ticket["status"],
            "legs": len(ticket["legs"]),
            "cost_usd": ticket["cost_usd"],
        },
        "sent": [
            {name: action[name] for name in ("side", "quantity", "symbol")}
            for action in actions
            if action["action"] == "submit"
        ],
        "refused": [verdict["code"] for verdict in decision["verdicts"] if verdict["code"]],
        "verified": check and {"inside": check["inside"], "ended": check["ended"]},
        "previewed": bool(decision.get("preview")),
        "alerts": [action["code"] for action in actions if action["action"] == "alert"],
        "acted": bool(actions),
        "text": _in_a_line(decision),
        "told": list(_at_length(decision)),
    }


def _in_a_line(decision: Mapping[str, Any]) -> str:
    """A decision in one line: what was done, and why or why not."""
    parts = []
    sent = [a for a in decision["actions"] if a["action"] == "submit"]
    if decision.get("ticket"):
        ticket = decision["ticket"]
        legs = counted(len(ticket["legs"]), "leg")
        parts.append(f"ticket {ticket['status']}, {legs}, {amount(ticket['cost_usd'], unknown='?')} USD")
    parts += [f"send {a['side']} {a['quantity']} {a['symbol']}" for a in sent]
    refused = [v for v in decision["verdicts"] if v["code"]]
    parts += [f"REFUSED {v['code']}" for v in refused]
    check = decision.get("verification")
    if check:
        parts.append(f"verified: {'inside' if check['inside'] else 'OUTSIDE'}, {check['ended']}")
    if decision.get("preview"):
        parts.append("preview")
    parts += [f"alert {a['code']}" for a in decision["actions"] if a["action"] == "alert"]
    parts += [text for text in (decision["trigger"], decision["reason"]) if text]
    mode = decision["mode"] + (", paused" if decision["paused"] else "")
    return "; ".join(parts) or f"{mode}: nothing to do"


def _at_length(decision: Mapping[str, Any]) -> Iterator[str]:
    yield f"mode {decision['mode']}{', paused' if decision['paused'] else ''}"
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
        yield f"limits on {verdict['client_id']}: {verdict['text'] or 'let out'}"
    for action in decision["actions"]:
        if action["action"] == "alert":
            yield f"{action['severity'].upper()} {action['code']}: {action['text']}"
        else:
            words = (str(x) for name, x in action.items() if name != "action" and x not in ("", None))
            yield f"{action['action']} {' '.join(words)}"
    check = decision.get("verification")
    if check:
        yield f"verification of {check['execution']}: {'; '.join(check['differences']) or 'as promised'}"
