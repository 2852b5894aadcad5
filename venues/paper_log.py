"""The paper venue's own truth: an append-only list of facts, for whoever checks an engine against it.

It is written by the venue alone, in venue time, and says what happened whether or not anybody was told.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, fields
from decimal import Decimal
from enum import StrEnum


class Happened(StrEnum):
    """What a fact says."""

    OPENED = "opened"  # the venue opened: positions and balances at the start
    RECEIVED = "received"  # an order reached the venue, whatever became of it
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    CANCEL_RECEIVED = "cancel_received"
    AMEND_RECEIVED = "amend_received"
    AMENDED = "amended"  # by us or by a person: quantity, price and left are the order's from then on
    EXTERNAL = "external"  # a trade that no order of ours made: manual, liquidation, correction
    FUNDING = "funding"
    SETTLED = "settled"  # a position ended at its expiry, or gains were paid out
    DEAD_MAN = "dead_man"
    FEED_GAP = "feed_gap"
    FAULT = "fault"
    STATUS = "status"


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that happened at the venue; empty and None where it does not apply.

    number counts from 0 without a gap. quantity > 0 in order units, price in the venue's quotation, fee > 0
    is paid, amount > 0 is received by the account. left: of the order, after the fact. position: signed, of
    the symbol, after the fact. fault: the id of the fault that caused it.
    """

    number: int
    time_ns: int
    what: Happened
    client_id: str = ""
    venue_order_id: str = ""
    symbol: str = ""
    side: str = ""
    quantity: Decimal | None = None
    price: Decimal | None = None
    left: Decimal | None = None
    trade_id: str = ""
    maker: bool | None = None
    fee: Decimal | None = None
    currency: str = ""
    amount: Decimal | None = None
    position: Decimal | None = None
    code: str = ""
    fault: str = ""
    text: str = ""

    def as_json(self) -> str:
        """One line of JSON: decimals as strings, what does not apply left out."""
        shown: dict[str, object] = {}
        for item in fields(self):
            content = getattr(self, item.name)
            if content is None or content == "":
                continue
            shown[item.name] = f"{content:f}" if isinstance(content, Decimal) else content
        return json.dumps(shown, ensure_ascii=True, separators=(",", ":"))


class TruthLog:
    """Facts in the order they happened; nothing is ever taken out."""

    def __init__(self) -> None:
        self._facts: list[Fact] = []

    def __len__(self) -> int:
        return len(self._facts)

    def __iter__(self) -> Iterator[Fact]:
        return iter(self._facts)

    def __getitem__(self, number: int) -> Fact:
        return self._facts[number]

    def add(
        self,
        time_ns: int,
        what: Happened,
        *,
        client_id: str = "",
        venue_order_id: str = "",
        symbol: str = "",
        side: str = "",
        quantity: Decimal | None = None,
        price: Decimal | None = None,
        left: Decimal | None = None,
        trade_id: str = "",
        maker: bool | None = None,
        fee: Decimal | None = None,
        currency: str = "",
        amount: Decimal | None = None,
        position: Decimal | None = None,
        code: str = "",
        fault: str = "",
        text: str = "",
    ) -> Fact:
        """Write one fact down; its number is given here."""
        fact = Fact(
            number=len(self._facts),
            time_ns=time_ns,
            what=what,
            client_id=client_id,
            venue_order_id=venue_order_id,
            symbol=symbol,
            side=side,
            quantity=quantity,
            price=price,
            left=left,
            trade_id=trade_id,
            maker=maker,
            fee=fee,
            currency=currency,
            amount=amount,
            position=position,
            code=code,
            fault=fault,
            text=text,
        )
        self._facts.append(fact)
        return fact

    def of(self, what: Happened) -> list[Fact]:
        """All facts of one sort."""
        return [fact for fact in self._facts if fact.what is what]

    def json_lines(self) -> Iterator[str]:
        """Every fact as one line of JSON, in order, without line ends."""
        return (fact.as_json() for fact in self._facts)
