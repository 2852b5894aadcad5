"""Panel 6: orders and fills, down to every record that speaks of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hedger.dashboard.sheet import Column, Line, Section, Sheet, Tone
from hedger.figures import age, exact, figure
from pricing.daycount import iso

Json = Mapping[str, Any]
SHOWN = 200
_ORDERS = (
    Column("time", 8, left=True),
    Column("state", 9, left=True),
    Column("side", 4, left=True),
    Column("quantity", 9),
    Column("symbol", 20, left=True),
    Column("at", 10),
    Column("filled", 9),
    Column("why", 14, 2, left=True),
    Column("order", 18, 1, left=True),
    Column("may fill", 9, 3),
    Column("ahead ≤", 8, 3),
    Column("venue", 12, 4, left=True),
    Column("age", 7, 3),
)
_FILLS = (
    Column("time", 8, left=True),
    Column("", 9, left=True),
    Column("side", 4, left=True),
    Column("quantity", 9),
    Column("symbol", 20, left=True),
    Column("at", 10),
    Column("fee", 9),
    Column("in", 5, 1, left=True),
    Column("order", 18, 2, left=True),
    Column("trade", 16, 3, left=True),
)


def sheet(orders: Sequence[Json], fills: Sequence[Json], now_ns: int) -> Sheet:
    """orders: the newest last, as `hedger orders` has them; fills alike. Those still in work stand first."""
    live = [o for o in orders if o["live"]]
    over = [o for o in orders if not o["live"]][-SHOWN:][::-1]
    none = (Line("", ("none",), Tone.DIM),)
    return (
        Section("in work", _ORDERS, tuple(_order(o, now_ns) for o in live) or none),
        Section("over, newest first", _ORDERS, tuple(_order(o, now_ns) for o in over) or none),
        Section("fills, newest first", _FILLS, tuple(_fill(f) for f in list(fills)[-SHOWN:][::-1]) or none),
    )


def _order(order: Json, now_ns: int) -> Line:
    unknown = order["state"] == "unknown"
    bad = unknown or order["state"] in ("rejected", "denied")
    return Line(
        f"order {order['client_id']}",
        (
            iso(order["wall_ns"])[11:19],
            order["state"].upper() if unknown else order["state"],
            order["side"],
            order["quantity"],
            order["symbol"],
            order["price"],
            order["filled"],
            order["code"],
            order["client_id"],
            exact(order["reserved"]),
            ahead(order) if order["live"] else "",
            order["venue"],
            age((now_ns - order["wall_ns"]) / 1e9) if order["live"] else "",
        ),
        Tone.BAD if bad else Tone.PLAIN,
    )


def ahead(order: Json) -> str:
    """What stands at its price, at most so much of it ahead; "-" where the book does not show it."""
    return "-" if order["level_size"] is None else figure(order["level_size"])


def _fill(fill: Json) -> Line:
    return Line(
        f"fill {fill['venue']} {fill['trade_id']} {fill['client_id']}",
        (
            iso(fill["time_ns"])[11:19],
            "maker" if fill["maker"] else "taker",
            fill["side"],
            fill["quantity"],
            fill["symbol"],
            fill["price"],
            exact(fill["fee"]),
            fill["fee_currency"],
            fill["client_id"],
            fill["trade_id"],
        ),
    )


def lineage(client_id: str, records: Sequence[Json]) -> list[str]:
    """The records on an order in words: intent, answers, fills."""
    lines = [f"order {client_id}: {len(records)} records"]
    for r in records:
        lines.append(f"{r['record']} {iso(r['now_ns'])[11:23]} event {r['seq']} {r['kind']}: {r['text']}")
    return lines if records else [f"order {client_id}: no record speaks of it"]
