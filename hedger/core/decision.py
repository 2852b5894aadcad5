"""One event, one Decision: what was seen, what is out, why a hedge is due or not, what is asked for.

The digest is over what was decided: names, decimals and reasons exactly, computed numbers to nine digits,
since the last ones of a sum differ between processors and no decision hangs on them.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from hedger.core.actions import Action, Adjustment, Alert, Submit
from hedger.core.order_life import order_document
from hedger.core.state import Mode
from hedger.core.verification import Verification
from hedger.planning import HedgePlan
from venues.orders import Order

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the limits said of one order: code "" where it was let through."""

    client_id: str
    code: str = ""
    text: str = ""

    @property
    def approved(self) -> bool:
        """Whether it was let through."""
        return not self.code


@dataclass(frozen=True, slots=True)
class Leg:
    """A leg of a ticket in words: quantity in order units, cost in USD."""

    venue: str
    symbol: str
    side: str
    quantity: Decimal
    limit_price: Decimal
    expected_price: float
    cost_usd: float


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a plan came to: enough to know it again. after: rows at the reference prices. unwind: how to get
    back if a leg fails, leg by leg in the order of the ticket."""

    status: str
    reason: str
    legs: tuple[Leg, ...]
    cost_usd: float
    lower_bound_usd: float
    after: tuple[tuple[str, float], ...]
    unwind: tuple[str, ...] = ()

    @classmethod
    def of(cls, plan: HedgePlan, unwind: tuple[str, ...] = ()) -> Ticket:
        """The words of a plan."""
        legs = tuple(
            Leg(
                t.listing.venue,
                t.listing.symbol,
                str(t.side),
                t.quantity,
                t.limit_price,
                t.expected_price,
                t.cost.total,
            )
            for t in plan.trades
        )
        after = tuple(zip(plan.snapshot.exposure.rows, map(float, plan.after), strict=True))
        return cls(str(plan.status), plan.reason, legs, plan.cost.total, plan.lower_bound_usd, after, unwind)


@dataclass(frozen=True, slots=True)
class Decision:
    """What one event led to. Exposures are those after it, in the rows' units.

    mode: as it acts (a venue's unexplained difference makes an armed engine reducing). breached: rows outside
    their trigger. trigger: why a hedge is due, or why not, or "" where that was not asked. verdicts: of the
    limits, one per order wished for. plan: the whole plan for whoever draws it, in no digest.
    """

    seq: int
    now_ns: int
    mode: Mode
    paused: bool = False
    exposures: tuple[tuple[str, float], ...] = ()
    breached: tuple[str, ...] = ()
    trigger: str = ""
    due: bool = False
    ticket: Ticket | None = None
    verdicts: tuple[Verdict, ...] = ()
    actions: tuple[Action, ...] = ()
    adjustments: tuple[Adjustment, ...] = ()
    verification: Verification | None = None
    reason: str = ""
    digest: str = ""
    plan: HedgePlan | None = field(default=None, compare=False, repr=False)

    @property
    def quiet(self) -> bool:
        """Whether nothing but a look was taken: such decisions may be written down in batches."""
        return not (self.actions or self.adjustments or self.ticket or self.verification or self.verdicts)

    @property
    def orders(self) -> tuple[Order, ...]:
        """The orders that it sends."""
        return tuple(a.order for a in self.actions if isinstance(a, Submit))

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """What it tells a person."""
        return tuple(a for a in self.actions if isinstance(a, Alert))

    def sealed(self) -> Decision:
        """With its digest."""
        return replace(self, digest=hashlib.sha256(canonical(self.document()).encode()).hexdigest())

    def document(self) -> Json:
        """As JSON: decimals as strings, unknown as null, everything but the digest and the whole plan."""
        return {
            "seq": self.seq,
            "now_ns": self.now_ns,
            "mode": str(self.mode),
            "paused": self.paused,
            "exposures": [[row, figure(x)] for row, x in self.exposures],
            "breached": list(self.breached),
            "trigger": self.trigger,
            "due": self.due,
            "ticket": None if self.ticket is None else _words(self.ticket),
            "verdicts": [_words(v) for v in self.verdicts],
            "actions": [action_document(a) for a in self.actions],
            "adjustments": [_words(a) for a in self.adjustments],
            "verification": None if self.verification is None else _words(self.verification),
            "reason": self.reason,
        }


def action_document(action: Action) -> Json:
    """One action as JSON; an order with everything that makes it that order."""
    if isinstance(action, Submit):
        return {"action": "submit", **order_document(action.order)}
    names = {
        "Cancel": "cancel",
        "CancelAll": "cancel_all",
        "AskOrder": "ask_order",
        "AskAccount": "ask_account",
    }
    name = names.get(type(action).__name__, "alert")
    words: Json = _words(action)
    return {"action": name} | words


def figure(x: float) -> float | None:
    """A finite number to nine digits, else None."""
    return float(f"{x:.9g}") if math.isfinite(x) else None


def canonical(document: Json) -> str:
    """One text for one document.

    >>> canonical({"b": 1.0, "a": [None, "x"]})
    '{"a":[null,"x"],"b":1.0}'
    """
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _words(value: Any) -> Any:
    """A frozen value as plain JSON: dataclasses by their fields, decimals as they are written."""
    if isinstance(value, float):
        return figure(value)
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool | int) or value is None:
        return value
    if hasattr(value, "__dataclass_fields__"):
        return {name: _words(getattr(value, name)) for name in value.__dataclass_fields__}
    if isinstance(value, Iterable):
        return [_words(part) for part in value]
    raise TypeError(f"{type(value).__name__} has no canonical form")
