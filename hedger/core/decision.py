"""One event, one Decision: what was seen, what is out, why a hedge is due or not, what is asked for.

The digest is over what was decided: names, decimals and reasons exactly, computed numbers to nine digits,
since the last ones of a sum differ between processors and no decision hangs on them.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import Any

from hedger.core.actions import Action, Adjustment, Alert, Submit, SubmitCombo
from hedger.core.order_life import order_document
from hedger.core.state import Mode
from hedger.core.verification import Verification
from hedger.planning import HedgePlan
from venues.orders import Order

Json = dict[str, Any]
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)
#: Names of rows, reasons and modes as JSON strings; they are few.
_quoted = lru_cache(maxsize=1024)(_ENCODER.encode)


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
class Preview:
    """What a hedge would be at this moment, as a person asked; nothing of it was sent.

    scope: the underlying asked for, "" for all, "flatten .." for what a flatten would be. ticket: None where
    no plan could be made. verdicts: of the limits on the orders that it would begin with. against: why
    nothing would leave now, "" where it would. indexes: USD by underlying, as planned with.
    """

    scope: str
    ticket: Ticket | None
    verdicts: tuple[Verdict, ...]
    against: str
    indexes: tuple[tuple[str, float], ...]
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """What one event led to. Exposures are those after it, in the rows' units.

    mode: as it acts (a venue's unexplained difference makes an armed engine reducing). breached: rows outside
    their trigger. trigger: why a hedge is due, or why not, or "" where that was not asked. verdicts: of the
    limits, one per order wished for. preview: where a person asked for one. plan: the whole plan for whoever
    draws it, in no digest.
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
    preview: Preview | None = None
    digest: str = ""
    plan: HedgePlan | None = field(default=None, compare=False, repr=False)

    @property
    def quiet(self) -> bool:
        """Whether nothing but a look was taken: such decisions may be written down in batches."""
        done = self.actions or self.adjustments or self.ticket or self.verification or self.verdicts
        return not (done or self.preview)

    @property
    def orders(self) -> tuple[Order, ...]:
        """The orders that it sends; of a combo its legs."""
        found: list[Order] = []
        for action in self.actions:
            if isinstance(action, Submit):
                found.append(action.order)
            elif isinstance(action, SubmitCombo):
                found += action.order.legs
        return tuple(found)

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """What it tells a person."""
        return tuple(a for a in self.actions if isinstance(a, Alert))

    def made_digest(self) -> str:
        """SHA-256 of its document in canonical form."""
        text = self._quiet_text() if self.quiet else canonical(self.document())
        return hashlib.sha256(text.encode()).hexdigest()

    def _quiet_text(self) -> str:
        """`canonical(self.document())` where nothing is done: thousands a minute, so written out by hand."""
        names, values = zip(*self.exposures, strict=True) if self.exposures else ((), ())
        shown = (_figures(len(values)) % values).split(",") if values else []
        rows = _pairs(names) % tuple([_json_of_nine(x) for x in shown])
        breached = ",".join([_quoted(row) for row in self.breached])
        return (
            f'{{"actions":[],"adjustments":[],"breached":[{breached}],"due":{_word(self.due)},'
            f'"exposures":[{rows}],"mode":{_quoted(self.mode)},"now_ns":{self.now_ns},'
            f'"paused":{_word(self.paused)},"reason":{_quoted(self.reason)},"seq":{self.seq},"ticket":null,'
            f'"trigger":{_quoted(self.trigger)},"verdicts":[],"verification":null}}'
        )

    def document(self) -> Json:
        """As JSON: decimals as strings, unknown as null, everything but the digest and the whole plan."""
        preview = {} if self.preview is None else {"preview": _words(self.preview)}
        return preview | {
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
    if isinstance(action, SubmitCombo):
        combo = action.order
        return {
            "action": "submit_combo",
            "client_id": combo.client_id,
            "venue": combo.venue,
            "quantity": str(combo.quantity),
            "price": str(combo.price),
            "legs": [order_document(leg) for leg in combo.legs],
        }
    names = {
        "Cancel": "cancel",
        "CancelAll": "cancel_all",
        "AskOrder": "ask_order",
        "AskAccount": "ask_account",
    }
    name = names.get(type(action).__name__, "alert")
    words: Json = _words(action)
    return {"action": name} | words


def _json_of_nine(text: str) -> str:
    """A number written with %.9g, as JSON writes that number.

    >>> [_json_of_nine(x) for x in ("0.25", "-3", "1e-05", "1.5e+09", "1e+20", "nan", "-inf")]
    ['0.25', '-3.0', '1e-05', '1500000000.0', '1e+20', 'null', 'null']
    """
    if "." in text and "e" not in text:
        return text  # nine digits are fewer than it takes to tell doubles apart: they come back as they are
    x = float(text)
    return repr(x) if math.isfinite(x) else "null"


@lru_cache(maxsize=64)
def _figures(n: int) -> str:
    """The format of so many numbers with nine digits each."""
    return ",".join(["%.9g"] * n)


@lru_cache(maxsize=64)
def _pairs(names: tuple[str, ...]) -> str:
    """The format of rows and their numbers as JSON."""
    return ",".join([f"[{_quoted(name).replace('%', '%%')},%s]" for name in names])


def _word(truth: bool) -> str:
    return "true" if truth else "false"


def figure(x: float) -> float | None:
    """A finite number to nine digits, else None."""
    return float(f"{x:.9g}") if math.isfinite(x) else None


def canonical(document: Json) -> str:
    """One text for one document.

    >>> canonical({"b": 1.0, "a": [None, "x"]})
    '{"a":[null,"x"],"b":1.0}'
    """
    return _ENCODER.encode(document)


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
