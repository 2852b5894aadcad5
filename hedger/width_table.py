"""Tables in the room there is: no number is cut, and what is left out is said."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console, ConsoleOptions, JustifyMethod, RenderResult
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from hedger.text_width import INDENT


class Fitted:
    """A table in the room there is: whole, else without the columns that can be spared, which it says, else
    as a list. left and right: its columns and where they are aligned; folds: those whose words may stand
    below each other; spare: what is left out, in that order."""

    def __init__(
        self,
        left: Sequence[str],
        right: Sequence[str],
        *,
        title: str = "",
        caption: str = "",
        folds: Sequence[str] = (),
        spare: Sequence[str] = (),
        lines: bool = True,
    ) -> None:
        self._columns, self._right = (*left, *right), frozenset(right)
        self._title, self._caption = title, caption
        self._folds, self._spare, self._lines = frozenset(folds), tuple(spare), lines
        self._rows: list[tuple[tuple[str, ...], str]] = []

    def add_row(self, *cells: str, style: str = "") -> None:
        """One more row, with as many cells as there are columns, top to bottom as they are given."""
        self._rows.append((cells, style))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The widest form that is no wider than the console: table, table without what is spared, list."""
        for dropped in range(len(self._spare) + 1):
            table = self._table(self._spare[:dropped])
            if _least(console, options, table) <= options.max_width:
                yield table
                if dropped:
                    names = ", ".join(self._spare[:dropped])
                    yield Text(f"Left out for want of room: {names}; --json or a wider terminal has it.")
                return
        yield from self._list()

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """As wide as the whole table, where there is room."""
        least = _least(console, options, self._table(()))
        return Measurement(min(least, options.max_width), min(least, options.max_width))

    def _table(self, without: Sequence[str]) -> Table:
        table = Table(
            title=self._title or None,
            title_justify="left",
            title_style="bold",
            caption=self._caption or None,
            caption_justify="left",
            box=box.SIMPLE_HEAD if self._lines else None,
            pad_edge=False,
            padding=(0, 1 if self._lines else 2, 0, 0),
        )
        shown = [i for i, name in enumerate(self._columns) if name not in without]
        for i in shown:
            name, align = self._columns[i], _aligned(self._columns[i] in self._right)
            folds = name in self._folds
            texts = [name, *(cells[i] for cells, _ in self._rows)]
            words = [word for text in texts for word in (text.split() if folds else text.splitlines())]
            least = max(map(len, words), default=0)
            table.add_column(name, justify=align, no_wrap=not folds, overflow="fold", min_width=least)
        for cells, style in self._rows:
            table.add_row(*(cells[i] for i in shown), style=style)
        return table

    def _list(self) -> RenderResult:
        """A row its names, and below them its figures by name."""
        if self._title:
            yield Text(self._title, style="bold")
        for cells, style in self._rows:
            named = list(zip(self._columns, cells, strict=True))
            yield Text(" ".join(x for name, x in named if x and name not in self._right), style=style)
            figures = ", ".join(f"{name} {x}" for name, x in named if x and name in self._right)
            yield Padding(Text(figures, style=style), (0, 0, 0, INDENT))
        if self._caption:
            yield Text(self._caption)


def _aligned(right: bool) -> JustifyMethod:
    return "right" if right else "left"


def _least(console: Console, options: ConsoleOptions, table: Table) -> int:
    """How wide a table must be for no cell to be cut."""
    return Measurement.get(console, options.update(max_width=10_000), table).minimum
