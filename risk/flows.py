"""What moved a book's cash between two valuations, beside the market: trades, payments, expiries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from risk.book import Fill


class Cause(StrEnum):
    """Why a payment that is no trade was made."""

    FUNDING = "funding"
    FEE = "fee"
    SETTLEMENT = "settlement"  # an expiry paid otherwise than was booked
    TRANSFER = "transfer"  # a deposit or a withdrawal: moves equity, and is no gain


@dataclass(frozen=True, slots=True)
class Trade:
    """A fill, and the mid of its listing when it was decided on (venue's quotation), NaN where unknown.

    spot: USD per coin when it was booked; a coin that is not in it counts at the later mark. With it fees and
    slippage are what they were, however far apart the marks lie.
    """

    fill: Fill
    arrival_mid: float
    spot: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Payment:
    """amount > 0 is received, < 0 paid, in `currency`. underlying: what it is for, "" where for nothing."""

    cause: Cause
    currency: str
    amount: float
    underlying: str = ""


@dataclass(frozen=True, slots=True)
class Flows:
    """All of an interval. settled: settlement price, USD per coin, of each (venue, symbol) that expired."""

    trades: tuple[Trade, ...] = ()
    payments: tuple[Payment, ...] = ()
    settled: Mapping[tuple[str, str], float] = field(default_factory=dict)


NO_FLOWS = Flows()
