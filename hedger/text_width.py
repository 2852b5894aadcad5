"""Lines as wide as there is room: they break between words, and columns go on below each other.

A number is never cut: a terminal that breaks a line within one shows two others.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

#: Nothing is made to fit less.
WIDTH_MIN = 40
#: What continues a line stands so far to the right of it.
INDENT = 4
#: Where a line may go on in the next: after a blank, and in JSON and lists of names, never before a digit.
_PLACES = re.compile(r"""(?<=\s)(?=\S)|(?<=,)(?=[^\s\d])|(?<=[{\[])(?=["{\[])""")
#: A line of a settings file with a comment behind it, or nothing else.
_COMMENTED = re.compile(r"""(?P<said>(?:[^#"']|"[^"]*"|'[^']*')*)#\s*(?P<why>.*)""")


def wrapped(line: str, width: int | None) -> list[str]:
    """A line in pieces that fit, the later ones set in; None: there is no end to the room.

    >>> wrapped("  filled 1,234,567 of 2,000,000 at 70000.5 USD", 24)
    ['  filled 1,234,567 of', '      2,000,000 at', '      70000.5 USD']
    """
    if width is None or len(line) <= width:
        return [line]
    blank = " " * (len(line) - len(line.lstrip()) + INDENT)
    pieces, piece = [], ""
    for part in _PLACES.split(line):
        if piece.strip() and len((piece + part).rstrip()) > width:
            pieces.append(piece.rstrip())
            piece = blank
        piece += part
    return [*pieces, piece.rstrip()]


def beginning(text: str, most: int) -> str:
    """The beginning of a text, of about so many characters, that ends where a line may.

    >>> beginning('{"size":"1,250,000.75","side":"buy"}', 24)
    '{"size":"1,250,000.75",'
    """
    ends = [place.start() for place in _PLACES.finditer(text, 0, most + 1) if place.start()]
    return text[: ends[-1] if ends else most]


def commented(line: str, width: int | None) -> list[str]:
    """A line of a settings file in lines that fit and say the same; a comment that does not stands above.

    >>> commented("mid_bps_max = 150.0   # bps; distance from the middle", 30)
    ['# bps; distance from the', '# middle', 'mid_bps_max = 150.0']
    """
    found = _COMMENTED.fullmatch(line)
    if width is None or len(line) <= width or found is None:
        return [line]
    why = [piece.strip() for piece in wrapped(found["why"], width - INDENT)]
    return [f"# {piece}" for piece in why] + [said for said in [found["said"].rstrip()] if said]


def blocks(widths: Sequence[int], room: int | None) -> Iterator[slice]:
    """Which columns stand side by side: as many as there is room for, then the next below them.

    >>> list(blocks([10, 10, 10], 25))
    [slice(0, 2, None), slice(2, 3, None)]
    """
    first, used = 0, 0
    for i, width in enumerate(widths):
        if room is not None and i > first and used + width > room:
            yield slice(first, i)
            first, used = i, 0
        used += width
    yield slice(first, len(widths))
