"""Sheets of text: sections with columns and lines, and how they are laid out in so many columns of a screen.

Pure: the same sheet and width give the same lines. Columns have fixed widths, so that a number that changes
moves nothing else; where the screen is too narrow, the columns of the highest rank are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby

from rich.cells import cell_len, set_cell_size

_GAP = 1
_MARK = 2  # what shows where the cursor is, without colour


class Tone(StrEnum):
    """How a line is to be felt; words say the same, so that colour is never needed."""

    PLAIN = "plain"
    DIM = "dim"
    GOOD = "good"
    WARN = "warn"
    BAD = "bad"
    HEAD = "head"


@dataclass(frozen=True, slots=True)
class Column:
    """width: characters; 0: what is left, from `least` to `most`. rank: 0 is always shown, the highest goes
    first. paired: it goes together with the others of its rank."""

    title: str
    width: int
    rank: int = 0
    left: bool = False
    least: int = 12
    most: int = 1000
    paired: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """key: what the cursor stays on, "" where it cannot stand. more: shown when it is opened. depth: in a
    tree; a line belongs to the last one before it that is less deep."""

    key: str
    cells: tuple[str, ...]
    tone: Tone = Tone.PLAIN
    more: tuple[str, ...] = ()
    depth: int = 0


@dataclass(frozen=True, slots=True)
class Section:
    """A table with a title; without columns its lines are text."""

    title: str
    columns: tuple[Column, ...]
    lines: tuple[Line, ...]


Sheet = tuple[Section, ...]


@dataclass(frozen=True, slots=True)
class Drawn:
    """A line of the screen. head: of the columns above it, which stay in sight when it is scrolled."""

    text: str
    tone: Tone
    key: str = ""
    head: str = ""
    more: tuple[str, ...] = ()


def laid_out(sheet: Sheet, width: int, wanted: str = "") -> list[Drawn]:
    """The lines of a sheet. wanted: only lines with these words, capital or not, below their heads and what
    they belong to."""
    drawn: list[Drawn] = []
    for section in sheet:
        kept = matching(section.lines, wanted) if wanted else section.lines
        if wanted and not kept:
            continue
        columns = _fitting(section.columns, width - _MARK)
        head = _row([c.title for c in section.columns], section.columns, columns) if columns else ""
        if drawn:
            drawn.append(Drawn("", Tone.PLAIN))
        if section.title:
            drawn.append(Drawn(clipped(section.title, width), Tone.HEAD, head=head))
        if any(c.title for c in section.columns):
            drawn.append(Drawn(head, Tone.HEAD, head=head))
        for line in kept:
            text = _row(line.cells, section.columns, columns) if columns else "  " + " ".join(line.cells)
            drawn.append(Drawn(clipped(text, width), line.tone, line.key, head, line.more))
    if wanted and sheet and not drawn:
        drawn.append(Drawn(clipped(f"  no line here has these words: {wanted}", width), Tone.WARN))
    return drawn


def matching(lines: Sequence[Line], wanted: str) -> list[Line]:
    """The lines of which each word that is looked for stands in their cells, their name, or in those of what
    they belong to; and what they belong to."""
    words = wanted.casefold().split()
    kept: set[int] = set()
    above: list[tuple[int, str]] = []  # what the next line belongs to: where it stands, and its words
    for i, line in enumerate(lines):
        while above and lines[above[-1][0]].depth >= line.depth:
            above.pop()
        above.append((i, " ".join((*line.cells, line.key)).casefold()))
        text = " ".join(told for _, told in above)
        if all(word in text for word in words):
            kept |= {at for at, _ in above}
    return [line for i, line in enumerate(lines) if i in kept]


def _fitting(columns: Sequence[Column], width: int) -> dict[int, int]:
    """The widths of the columns that fit, by place."""
    kept = sorted(range(len(columns)), key=lambda i: (columns[i].rank, i))
    found: dict[int, int] = {}
    left, rest = width + _GAP, [i for i in kept if columns[i].width == 0]
    for _, group in groupby(kept, lambda i: (columns[i].rank, -1 if columns[i].paired else i)):
        these = list(group)
        need = sum((columns[i].width or columns[i].least) + _GAP for i in these)
        if need > left and columns[these[0]].rank:
            break  # one that comes later and is narrower would stand among others than it belongs to
        found |= {i: columns[i].width for i in these}
        left -= need
    for i in rest:
        if i in found:
            more = max(min(left, columns[i].most - columns[i].least), 0)
            found[i] = columns[i].least + more
            left -= more
    return dict(sorted(found.items()))


def _row(cells: Sequence[str], columns: Sequence[Column], widths: dict[int, int]) -> str:
    parts = []
    for i, width in widths.items():
        cell = clipped(cells[i] if i < len(cells) else "", width)
        rest = " " * (width - cell_len(cell))
        parts.append(cell + rest if columns[i].left else rest + cell)
    return " " * _MARK + (" " * _GAP).join(parts).rstrip()


def clipped(text: str, width: int) -> str:
    """At most so many cells of a terminal, of which a Chinese letter takes two; what is cut off is told by an
    ellipsis, and nothing in it moves the cursor.

    >>> clipped("abcdef", 4), clipped("a\\nb", 9), clipped("系统繁忙", 5)
    ('abc…', 'a b', '系统…')
    """
    text = "".join(c if c.isprintable() else " " for c in text)
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, width - 1) + "…" if width > 0 else ""
