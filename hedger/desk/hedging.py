"""What comes next and why: the hedge panel and `hedger status --hedge` as one document.

Where each row is in its band, what is in work, the last ticket, and the last decisions with why not; read off
the record, nothing is planned. Null stands for unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hedger.amounts import counted
from hedger.core.by_hand import NOTHING_BY_HAND, ByHand
from hedger.desk.decision_log import DecisionLog, OnRecord
from hedger.desk.engine_state import EngineState
from hedger.desk.hedging_text import at_length, in_a_line
from hedger.desk.risk_tree import band_rows
from hedger.documents import missing_list
from hedger.problem.snapshot import Snapshot
from pricing.daycount import iso

Json = dict[str, Any]
DECISIONS_TOLD = 20
_LEG = ("venue", "symbol", "side", "quantity", "limit_price", "expected_price", "cost_usd")


@dataclass(frozen=True, slots=True)
class Hedging:
    """What the document is made of. snapshot: None while the book cannot be valued; fault: why, "" before the
    first mark. working: `order_rows` of what may still do something. at_ns: ages count up to it, UTC."""

    log: DecisionLog
    snapshot: Snapshot | None
    working: Sequence[Json]
    at_ns: int
    engine_state: EngineState
    by_hand: ByHand = NOTHING_BY_HAND
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
        "ticket": None if log.ticket is None else _ticket(log.ticket),
        "decisions": [_decision(each) for each in list(log.told)[-DECISIONS_TOLD:][::-1]],
    }


def _next(of: Hedging) -> Json | None:
    """What will be done next, and why; null before the first decision."""
    decision = of.log.last
    if decision is None:
        return None
    asked = of.log.asked or decision
    why = str(asked["trigger"] or asked["reason"] or "the policy was not asked yet")
    withheld = of.engine_state.withheld
    working, due = len(of.working), bool(asked["due"])
    if working:
        what = f"{counted(working, 'order')} in work" + ("" if of.engine_state.runs else f", and {withheld}")
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


def _ticket(of: OnRecord) -> Json:
    ticket = of.document["ticket"]
    return {
        "record": of.record,
        "now_ns": of.document["now_ns"],
        **{name: ticket[name] for name in ("status", "reason", "cost_usd", "lower_bound_usd")},
        "legs": [{name: leg[name] for name in _LEG} for leg in ticket["legs"]],
    }


def _decision(of: OnRecord) -> Json:
    """One that says something: `text` in one line, what was done and why or why not; `told` at length."""
    decision = of.document
    ticket, check = decision.get("ticket"), decision.get("verification")
    actions = decision["actions"]
    found = {
        "record": of.record,
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
    }
    return {**found, "text": in_a_line(found), "told": list(at_length(decision))}
