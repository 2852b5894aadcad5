"""What a decision asks the shell to do, and what it writes down beside it. Frozen words; they do nothing.

An order leaves only inside a `Submit`, orders that go as one inside a `SubmitCombo`, and both hold what the
limits let through, not orders: the router takes nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from venues.orders import ComboOrder, Order


class Permission(Protocol):
    """An order that the limits let through: `risk.limits.Approved[Order]`, which only `review` makes."""

    @property
    def item(self) -> Order:
        """The order."""
        ...


class Severity(StrEnum):
    """Who must look: nobody now, a person today, a person at once."""

    NOTE = "note"
    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Submit:
    """Send an order, once."""

    approved: Permission

    @property
    def order(self) -> Order:
        """The order."""
        return self.approved.item


@dataclass(frozen=True, slots=True)
class SubmitCombo:
    """Send orders as one combo, once; each of them was let through by the limits."""

    approved: tuple[Permission, ...]

    @property
    def order(self) -> ComboOrder:
        """The combo."""
        return ComboOrder(tuple(permission.item for permission in self.approved))


@dataclass(frozen=True, slots=True)
class Cancel:
    """Ask a venue to cancel one order."""

    venue: str
    client_id: str


@dataclass(frozen=True, slots=True)
class CancelAll:
    """The venue's own mass cancel, of every order of the account."""

    venue: str


@dataclass(frozen=True, slots=True)
class AskOrder:
    """Ask a venue what it knows of one order; the answer is an event."""

    venue: str
    client_id: str


@dataclass(frozen=True, slots=True)
class AskAccount:
    """Ask a venue for orders, positions, balances, and the trades since `since_ns` of its own clock."""

    venue: str
    since_ns: int


@dataclass(frozen=True, slots=True)
class Alert:
    """Something a person must know. code: stable, for scripts; text: one sentence."""

    severity: Severity
    code: str
    text: str


Action = Submit | SubmitCombo | Cancel | CancelAll | AskOrder | AskAccount | Alert


class AdjustmentKind(StrEnum):
    """Why the book changes without a trade."""

    FUNDING = "funding"
    SETTLEMENT = "settlement"
    ACCEPTED_POSITION = "accepted_position"  # a person took the venue's word for a position
    ACCEPTED_CASH = "accepted_cash"
    SETTLEMENT_CORRECTED = "settlement_corrected"  # the venue delivered at another price than was booked


@dataclass(frozen=True, slots=True)
class Adjustment:
    """A change of the book that no trade made: written down as what it is, never dressed up as a fill.

    amount: what the balance of `currency` gains, of a settlement to 1e-12; quantity: what the position gains,
    order units; price: of a settlement, USD per coin. key: what it is, so that the journal takes it once: an
    hour's funding of a currency, the settlement of a position as its last fill left it; "" where it has none.
    """

    kind: AdjustmentKind
    venue: str
    account: str
    symbol: str = ""
    quantity: Decimal = Decimal(0)
    currency: str = ""
    amount: Decimal = Decimal(0)
    price: Decimal = Decimal(0)
    text: str = ""
    key: str = ""
