"""What a cell of the what-if ladder can say: here by itself, for whoever only has to name it."""

from __future__ import annotations

METRICS = ("pnl", "delta", "gamma", "vega", "margin")
