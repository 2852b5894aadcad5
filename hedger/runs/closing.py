"""How a run on the wall clock ends, whatever market it ran on: its figures, and its exit code."""

from __future__ import annotations

import signal
from typing import Any

from hedger.core.state import Mode
from hedger.engine.service import Service
from hedger.runs.launch import RunOptions
from hedger.runs.paper_setup import wealth_usd
from hedger.runs.results import Results
from hedger.settings import Settings
from pricing.errors import Exit


def closing_document(
    options: RunOptions, service: Service, results: Results, desk: Settings, *, trading: str, latched: bool
) -> dict[str, Any]:
    """What every run says in the end; null where it cannot be known."""
    state = service.state
    results.close(state, state.snapshot)
    return {
        "trading": trading,
        "journal": str(options.journal),
        "ended": service.ending.why,
        "mode": "killed" if latched else str(state.mode),
        "seq": state.seq,
        **service.counts(),
        **results.document(),
        "accepted": [
            {
                "venue": x.venue,
                "what": x.symbol or x.currency,
                "amount": str(x.quantity if x.symbol else x.amount),
            }
            for x in results.accepted
        ],
        "equity_usd": wealth_usd(state, desk) if state.snapshot is not None else None,
        "open_orders": sorted(record.order.client_id for record in state.live_orders()),
    }


def exit_code(service: Service, *, to_arm: bool) -> Exit:
    """130 or 143 of a signal; 3 or 5 of an engine that was to be armed and never was; 1 of one that has
    halted, which a person must look at; else 0."""
    if service.ending.signal:
        return Exit.INTERRUPTED if service.ending.signal == signal.SIGINT else Exit.TERMINATED
    if to_arm and not service.armed:
        return Exit.REFUSED if service.state.mode is Mode.KILLED else Exit.UNRECONCILED
    return Exit.NEGATIVE if service.state.mode is Mode.HALTED else Exit.DONE
