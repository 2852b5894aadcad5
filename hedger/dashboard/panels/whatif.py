"""Panel 3: the ladder of spot, vol and time, by full revaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hedger.amounts import counted
from hedger.dashboard.panels.incomplete import left_out
from hedger.dashboard.sheet import Column, Line, Section, Sheet, Tone
from hedger.desk.ladder import NO_MODEL, grids
from hedger.figures import UNKNOWN, figure, usd
from pricing.daycount import iso

Json = Mapping[str, Any]
#: Moves that stay the longest when the screen is narrow; the others go in this order's reverse.
_RANKS = {0.0: 0, -10.0: 1, 10.0: 1, -20.0: 2, 20.0: 2, -5.0: 3, 5.0: 3, -2.0: 4, 2.0: 4, -3.0: 5, 3.0: 5}


def sheet(
    ladder: Json | None,
    missing: Sequence[Json],
    bad_indexes: Sequence[str],
    side: str,
    hedge: str,
    as_of: str,
    took_ms: float,
) -> Sheet:
    """ladder: of `hedger.desk.ladder`, None while the book cannot be valued; missing, bad_indexes: what it
    lacks. side: "unhedged" or "hedged". hedge: which hedge is meant, or why there is none, in words."""
    if ladder is None:
        return (Section("what if", (), (Line("", ("the book cannot be valued yet",), Tone.WARN),)),)
    shown = grids(ladder)
    words = [_worst(of, one["worst"][side], side) for of, one in shown]
    lines = [
        Line(f"worst {of}".rstrip(), (text,), Tone.WARN, (text,))
        for (of, _), text in zip(shown, words, strict=True)
    ]
    lines.append(Line("hedge", (hedge,), Tone.PLAIN, (hedge,)))
    notes = (f"{ladder['metric']}: {note}" for note in ladder["notes"])
    lines += [Line(f"note {i}", (note,), Tone.PLAIN, (note,)) for i, note in enumerate(notes)]
    unknown = NO_MODEL if ladder["metric"] == "margin" else UNKNOWN
    found = [
        *left_out(missing, bad_indexes),
        Section(
            f"{ladder['metric']} {side}, {ladder['unit']}, as of {as_of[11:19]}, {took_ms:.0f} ms",
            (),
            tuple(lines),
        ),
    ]
    columns = (
        Column("vol \\ spot %", 12, left=True),
        *(Column(f"{x:+g}" if x else "0", 8, _RANKS.get(x, 6), paired=True) for x in ladder["spot_pct"]),
    )
    for of, one in shown:
        for days in dict.fromkeys(cell["days"] for cell in one["cells"]):
            mine = [cell for cell in one["cells"] if cell["days"] == days]
            when = f"in {counted(days, 'day')}" if days else "now"
            title = f"{of}, {when}" if of else when
            found.append(Section(title, columns, tuple(_line(of, c, side, unknown) for c in mine)))
    return tuple(found)


def means(hedge: Json, marked_ns: int) -> str:
    """Which hedge is meant: as `hedger whatif --hedged` has it, on the marks of then, UTC."""
    legs, cost = counted(len(hedge["trades"]), "leg"), usd(hedge["cost_usd"])
    at = iso(marked_ns)[11:19]
    return f"hedged means: {hedge['status']}, {legs}, {cost} USD, planned at {at}: {hedge['reason']}"


def _worst(of: str, worst: Json | None, side: str) -> str:
    """The worst cell in words; of: the coin that it is of, "" for the whole book."""
    told = f"worst P&L{f' of {of}' * bool(of)}, {side}: "
    if worst is None:
        return told + "unknown"
    when = f"in {counted(worst['days'], 'day')}" if worst["days"] else "now"
    at = f"at spot {worst['spot_pct']:+g} %, vol {worst['vol_points']:+g} pt, {when}"
    return f"{told}{figure(worst['pnl'])} {at}"


def _line(of: str, cell: Json, side: str, unknown: str) -> Line:
    numbers: Sequence[float | None] = cell[side] or [None] * len(cell["unhedged"])
    vol = f"{cell['vol_points']:+g} pt" if cell["vol_points"] else "0"
    tone = Tone.PLAIN if cell["vol_points"] else Tone.HEAD
    key = f"{of} {cell['days']} {cell['vol_points']}".lstrip()
    return Line(key, (vol, *(unknown if x is None else figure(x) for x in numbers)), tone)
