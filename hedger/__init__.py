"""Decides, then does: from a market and a book to the cheapest hedge ticket.

In a notebook: `import hedger as hg`, then `hg.book`, `hg.risk`, `hg.plan`, `hg.whatif` and `hg.journal.scan`
give what the verbs say as polars frames (`hedger.notebook`). Nothing is loaded before it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hedger import journal as journal
    from hedger.notebook import book as book
    from hedger.notebook import plan as plan
    from hedger.notebook import risk as risk
    from hedger.notebook import whatif as whatif

_FROM_NOTEBOOK = ("book", "plan", "risk", "whatif")


def __getattr__(name: str) -> object:
    """What a notebook asks for, loaded at that moment (PEP 562)."""
    if name in _FROM_NOTEBOOK:
        from hedger import notebook

        return getattr(notebook, name)
    if name == "journal":
        from importlib import import_module

        return import_module("hedger.journal")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Its names, those not loaded yet among them."""
    return sorted([*globals(), *_FROM_NOTEBOOK, "journal"])
