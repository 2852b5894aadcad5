"""Every metric there is: the one list behind the page of `hedger.engine.metrics`, the docs and the dashboard.

Names follow Prometheus: the unit last, counters end in `_total` and count since the engine's start. A label
has few values: venues, rows of the book, modes, states of orders; never an order's id or a strike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Type = Literal["gauge", "counter"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. unit: of its number; labels: in the order in which they are written."""

    name: str
    type: Type
    unit: str
    meaning: str
    labels: tuple[str, ...] = ()


METRICS = (
    Metric("hedger_mode", "gauge", "0 or 1", "1 for the mode that the engine acts in", ("mode",)),
    Metric("hedger_paused", "gauge", "0 or 1", "1 while it is paused: no new hedges"),
    Metric(
        "hedger_orders", "gauge", "orders", "orders that are not over, by what is known of them", ("state",)
    ),
    Metric("hedger_link_up", "gauge", "0 or 1", "1 while a venue can be reached", ("venue",)),
    Metric(
        "hedger_reconciled_age_seconds",
        "gauge",
        "s",
        "since a venue's account last agreed with the book; NaN: it does not agree now",
        ("venue",),
    ),
    Metric(
        "hedger_exposure",
        "gauge",
        "the row's: coin, coin/USD, USD/vol, USD/year",
        "a row of the book, with the fills since the last mark",
        ("row",),
    ),
    Metric(
        "hedger_band",
        "gauge",
        "the row's",
        "the edge of a row's trigger interval; a row without an edge on that side is left out",
        ("row", "kind"),
    ),
    Metric("hedger_mark_age_seconds", "gauge", "s", "since the last mark; NaN: there was none yet"),
    Metric("hedger_equity_usd", "gauge", "USD", "worth of the book at the last mark; NaN: not known"),
    Metric("hedger_day_fees_usd", "gauge", "USD", "fees of the UTC day; NaN: a currency has no price"),
    Metric(
        "hedger_day_slippage_usd",
        "gauge",
        "USD",
        "of the UTC day's hedges that ended, against the mid when decided on",
    ),
    Metric("hedger_day_turnover_usd", "gauge", "USD", "traded by the UTC day's hedges that ended"),
    Metric("hedger_day_fills", "gauge", "fills", "of the UTC day"),
    Metric("hedger_day_refused_orders", "gauge", "orders", "refused by our own limits in the UTC day"),
    Metric("hedger_residual_usd", "gauge", "USD", "P&L of the UTC day that nothing explains"),
    Metric("hedger_events_total", "counter", "events", "events decided on"),
    Metric("hedger_decisions_loud_total", "counter", "decisions", "decisions that did something"),
    Metric("hedger_quotes_total", "counter", "quotes", "quotes that came from venues"),
    Metric(
        "hedger_quotes_conflated_total",
        "counter",
        "quotes",
        "quotes that a newer one replaced before they were decided on",
    ),
    Metric("hedger_orders_sent_total", "counter", "orders", "orders handed to venues"),
    Metric("hedger_cancels_sent_total", "counter", "cancels", "cancels handed to venues"),
    Metric("hedger_questions_sent_total", "counter", "questions", "questions to venues: orders and accounts"),
    Metric(
        "hedger_orders_held_by_latch_total",
        "counter",
        "orders",
        "orders that the kill latch held back at the last moment",
    ),
)
BY_NAME = {metric.name: metric for metric in METRICS}
