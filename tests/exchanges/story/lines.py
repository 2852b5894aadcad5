"""The exchange's own log in the words of the history checker.

`Stamped` is the exchange's truth with our form of order ids, and with two things more in a row: the true
time, since an exchange's clock may be skewed, and of an order whether its intent already lay on the disk when
it came, read from the journal's file by a connection of its own: that is no word of the engine's.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.exchanges.core import Exchange
from tests.exchanges.story.place import Place
from tests.exchanges.truth import Truth
from tests.exchanges.words import Kind

_COMES = frozenset({"order", "refused"})


class Stamped(Truth):
    """See the module. journal: the file, None until there is one."""

    def __init__(self, place: Place) -> None:
        super().__init__()
        self._place = place
        self.journal: Path | None = None
        self._reader: sqlite3.Connection | None = None

    def note(self, ns: int, event: str, **fields: object) -> None:
        """Add a row."""
        more: dict[str, object] = {"at_ns": time.time_ns()}
        if fields.get("client_id"):
            fields["client_id"] = self._place.client_id(str(fields["client_id"]))
            if event in _COMES:
                more["on_record"] = self._on_record(str(fields["client_id"]))
        super().note(ns, event, **fields, **more)

    def records(self) -> int:
        """How many the journal on the disk has."""
        row = self._asked("SELECT coalesce(max(number), 0) FROM records", ())
        return 0 if row is None else int(row[0])

    def _on_record(self, client_id: str) -> bool:
        query = "SELECT 1 FROM records WHERE kind = 'intent' AND key = ?"
        return self._asked(query, (client_id,)) is not None

    def _asked(self, query: str, values: tuple[str, ...]) -> tuple[Any, ...] | None:
        if self._reader is None:
            if self.journal is None or not self.journal.exists():
                return None
            self._reader = sqlite3.connect(f"{self.journal.absolute().as_uri()}?mode=ro", uri=True)
        row: tuple[Any, ...] | None = self._reader.execute(query, values).fetchone()
        return row

    def close(self) -> None:
        """Close what was opened."""
        super().close()
        if self._reader is not None:
            self._reader.close()


def facts(place: Place, exchange: Exchange, first: int) -> Iterator[dict[str, Any]]:
    """The log from a row on, in the checker's words; before it, what was held then."""
    held: dict[str, Decimal] = {}
    left: dict[int, Decimal] = {}
    for at, row in enumerate(exchange.truth.rows):
        symbol = str(row.get("symbol") or "")
        instrument = exchange.instruments[symbol] if symbol else None
        named = place.symbol(instrument) if instrument is not None else None
        positions = instrument is not None and instrument.kind is not Kind.SPOT
        if row.get("account") != place.account:
            continue
        if row["event"] == "fill" and positions:
            signed = Decimal(row["quantity"]) * (1 if row["side"] == "buy" else -1)
            held[symbol] = held.get(symbol, Decimal(0)) + signed
        if at < first:
            continue
        fact: dict[str, Any] = {
            "time_ns": row["at_ns"],
            "symbol": named,
            "client_id": row.get("client_id", ""),
        }
        if positions:
            fact["position"] = f"{held.get(symbol, Decimal(0)):f}"
        yield from _told(place, row, fact, left, instrument)


def _told(
    place: Place, row: dict[str, Any], fact: dict[str, Any], left: dict[int, Decimal], instrument: Any
) -> Iterator[dict[str, Any]]:
    event = row["event"]
    if event in _COMES:
        more = {"side": row["side"], "quantity": row["quantity"], "on_record": row.get("on_record", True)}
        yield fact | {"what": "received"} | more
        if event == "refused":
            yield fact | {"what": "rejected", "code": row["reason"]}
            return
        left[row["order_id"]] = Decimal(row["quantity"])
        yield fact | {"what": "accepted", "left": row["quantity"], "venue_order_id": row["order_id"]} | more
    elif event == "fill":
        ours = bool(row["order_id"]) and bool(row["client_id"])
        rest = left[row["order_id"]] - Decimal(row["quantity"]) if ours else Decimal(0)
        if ours:
            left[row["order_id"]] = rest
        yield fact | {
            "what": "filled" if ours else "external",
            "side": row["side"],
            "quantity": row["quantity"],
            "price": row["price"],
            "left": f"{rest:f}",
            "trade_id": place.trade_id(row, instrument),
            "fee": _told_fee(place, row["fee"]),
            "currency": row["fee_currency"],
        }
    elif event == "cancelled":
        yield fact | {"what": "cancelled", "filled": row["filled"], "code": row["why"]}


def held_at(exchange: Exchange, first: int, place: Place) -> list[dict[str, Any]]:
    """What was held before a row of the log: facts to begin with."""
    held: dict[str, Decimal] = {}
    for row in exchange.truth.rows[:first]:
        mine = row["event"] == "fill" and row.get("account") == place.account
        if mine and exchange.instruments[row["symbol"]].kind is not Kind.SPOT:  # coins are money
            signed = Decimal(row["quantity"]) * (1 if row["side"] == "buy" else -1)
            held[row["symbol"]] = held.get(row["symbol"], Decimal(0)) + signed
    found = []
    for symbol, quantity in held.items():
        named = place.symbol(exchange.instruments[symbol])
        found.append({"time_ns": 0, "what": "opened", "symbol": named, "position": f"{quantity:f}"})
    return found


def _told_fee(place: Place, fee: str) -> str:
    """As the exchange tells it: to so many places, where its protocol rounds."""
    return fee if place.fee_places is None else repr(round(float(fee), place.fee_places))
