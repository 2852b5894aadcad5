"""How a verb prints: one JSON document, or a view for people."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType

#: What the ticket needs to show every figure whole.
VIEW_COLUMNS_MIN = 80


def show_json(document: object) -> None:
    """One JSON document on one line; a number that is none is a fault of ours (ValueError)."""
    print(json.dumps(document, allow_nan=False))


def show(view: RenderableType, *, plain: bool = False) -> None:
    """Show a view as wide as the terminal, 80 columns without one; `plain`: no escape codes even on a
    terminal."""
    from rich.console import Console

    terminal = sys.stdout.isatty() and not plain
    console = Console(force_terminal=terminal, color_system="auto" if terminal else None, highlight=False)
    # A narrower table would cut figures short, and a price cut short is another price: lines wrap instead.
    console.width = max(console.width, VIEW_COLUMNS_MIN)
    console.print(view)


def show_table(columns: Sequence[str], rows: Sequence[Sequence[str]], caption: str) -> None:
    """A table without lines, numbers to the right, its caption below."""
    from rich.table import Table

    table = Table(caption=caption, caption_justify="left", box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for number, name in enumerate(columns):
        table.add_column(name, justify="right" if number else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    show(table)
