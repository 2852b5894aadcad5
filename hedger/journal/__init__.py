"""What we did: one chain of records, durable before anything leaves, and what comes back from it.

In a notebook `hedger.journal.scan(FILE)` gives a journal's tables as polars frames.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hedger.journal.scanning import scan as scan


def __getattr__(name: str) -> object:
    """`scan`, at the moment it is asked for (PEP 562)."""
    if name == "scan":
        from hedger.journal import scanning

        return scanning.scan
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
