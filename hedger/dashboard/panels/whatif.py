"""Panel 3: the ladder of spot, vol and time, by full revaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hedger.dashboard.sheet import Column, Line, Section, Sheet, Tone, counted, figure

Json = Mapping[str, Any]
#: Moves that stay the longest when the screen is narrow; the others go in this order's reverse.
_RANKS = {0.0: 0, -10.0: 1, 10.0: 1, -20.0: 2, 20.0: 2, -5.0: 3, 5.0: 3, -2.0: 4, 2.0: 4, -3.0: 5, 3.0: 5}


def sheet(
    ladder: Json | None, side: str, hedge: str, as_of: str, took_ms: float, keys: Mapping[str, str]
) -> Sheet:
    """ladder: of `hedger.desk.ladder`, None while the book cannot be valued. side: "unhedged" or "hedged".
    hedge: which hedge that is, "" where there is none to show. keys: of the actions that may be taken."""
    if ladder is None:
        return (Section("what if", (), (Line("", ("the book cannot be valued yet",), Tone.WARN),)),)
    worst = ladder["worst"][side]
    told = f"worst P&L, {side}: " + (
        "unknown"
        if worst is None
        else f"{figure(worst['pnl'])} at spot {worst['spot_pct']:+g} %, vol {worst['vol_points']:+g} pt, "
        + (f"in {counted(worst['days'], 'day')}" if worst["days"] else "now")
    )
    lines = [Line("worst", (told,), Tone.WARN, (told,))]
    none = "no hedge to show: none was previewed"
    none += f"; {keys['preview']} asks for one" if "preview" in keys else ""
    means = f"hedged means: {hedge}" if hedge else none
    lines.append(Line("hedge", (means,), Tone.PLAIN, (means,)))
    found = [
        Section(
            f"{ladder['metric']} {side}, {ladder['unit']}, as of {as_of[11:19]}, {took_ms:.0f} ms",
            (),
            tuple(lines),
        )
    ]
    columns = (
        Column("vol \\ spot %", 12, left=True),
        *(Column(f"{x:+g}" if x else "0", 8, _RANKS.get(x, 6)) for x in ladder["spot_pct"]),
    )
    for days in dict.fromkeys(cell["days"] for cell in ladder["cells"]):
        mine = [cell for cell in ladder["cells"] if cell["days"] == days]
        section = Section(
            f"in {counted(days, 'day')}" if days else "now", columns, tuple(_line(c, side) for c in mine)
        )
        found.append(section)
    return tuple(found)


def _line(cell: Json, side: str) -> Line:
    numbers: Sequence[float | None] = cell[side] or [None] * len(cell["unhedged"])
    vol = f"{cell['vol_points']:+g} pt" if cell["vol_points"] else "0"
    tone = Tone.PLAIN if cell["vol_points"] else Tone.HEAD
    return Line(f"{cell['days']} {cell['vol_points']}", (vol, *(figure(x) for x in numbers)), tone)
