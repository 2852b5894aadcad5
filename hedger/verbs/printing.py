"""How a verb prints: one JSON document, or a view for people."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from hedger.text_width import WIDTH_MIN, wrapped
from pricing.errors import printable

if TYPE_CHECKING:
    from rich.console import RenderableType

#: As wide as no view is: where nothing ends a line.
_OPEN = 100_000
#: What is told as a story is no table to be cut by a script.
_PAGE = 80


def show_json(document: object) -> None:
    """One JSON document on one line; a number that is none is a fault of ours (ValueError)."""
    print(json.dumps(document, allow_nan=False))


def show(view: RenderableType, *, plain: bool = False) -> None:
    """Show a view in the room there is, as wide as it likes in a pipe; `plain`: text to be read, without
    escape codes even on a terminal, and in a pipe as wide as a page."""
    from rich.console import Console

    class Piped(Console):
        """A console that leaves a reader who went away to `hedger.cli`: by itself it ends with exit 1."""

        def on_broken_pipe(self) -> None:
            raise  # what Rich has just caught

    terminal = sys.stdout.isatty() and not plain
    console = Piped(force_terminal=terminal, color_system="auto" if terminal else None, highlight=False)
    console.width = room() or (_PAGE if plain else _OPEN)
    console.print(view)


def room() -> int | None:
    """How wide lines may be: what COLUMNS says, else the terminal; None where neither does, as in a pipe."""
    told = os.environ.get("COLUMNS", "")
    if told.isascii() and told.isdigit() and int(told):
        return max(int(told), WIDTH_MIN)
    try:
        return max(os.get_terminal_size(sys.stdout.fileno()).columns, WIDTH_MIN)
    except (OSError, ValueError):  # no terminal, or no file at all
        return None


def say(text: str) -> None:
    """Print lines so that the terminal need not break one within a number, and what a file or a venue put
    into them steers no terminal."""
    width = room()
    for line in text.split("\n"):
        print("\n".join(wrapped(printable(line), width)))


def show_table(columns: Sequence[str], rows: Sequence[Sequence[str]], caption: str) -> None:
    """A table without lines, numbers to the right, its caption below."""
    from hedger.width_table import Fitted

    table = Fitted(columns[:1], columns[1:], caption=caption, folds=columns, lines=False)
    for row in rows:
        table.add_row(*row)
    show(table)
