"""Orders and fills in plain words, for JSON and tables alike: exact amounts as text."""

from __future__ import annotations

from typing import Any

from hedger.core.order_life import OrderRecord, order_document
from venues.orders import TradeReport


def order_row(record: OrderRecord) -> dict[str, Any]:
    """An order in plain words, for JSON and tables: exact amounts as text."""
    return {
        **order_document(record.order),
        "execution": record.execution,
        "wall_ns": record.wall_ns,
        "state": str(record.state),
        "filled": str(record.booked),
        "code": record.code,
        "venue_order_id": record.venue_order_id,
    }


def fill_row(report: TradeReport) -> dict[str, Any]:
    """An execution in plain words: exact amounts as text, and as numbers beside it."""
    fill = report.fill
    amounts = {"quantity": fill.quantity, "price": fill.price, "fee": fill.fee}
    return {
        "venue": fill.listing.venue,
        "symbol": fill.listing.symbol,
        "account": fill.account,
        "trade_id": fill.trade_id,
        "time_ns": fill.time_ns,
        "client_id": report.client_id,
        "maker": report.maker,
        "side": str(fill.side),
        "fee_currency": fill.fee_currency,
        **{name: str(amount) for name, amount in amounts.items()},
        **{f"{name}_number": float(amount) for name, amount in amounts.items()},
    }
